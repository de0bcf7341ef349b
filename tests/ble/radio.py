"""The virtual air, devices in it, and smpclient as a central: unmodified, over Bumble."""

import asyncio
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

from bumble.hci import Address
from smpclient import SMPClient
from smpclient.transport.bumble import SMPBumbleTransport
from smpclient.transport.bumble.keystore import Custom

from devices import Device

HERE = pathlib.Path(__file__).resolve().parent
BIN = pathlib.Path(os.environ.get("KEDGE_BIN_DIR", HERE.parents[1] / "build" / "bin"))


class Air:
    """An air.py process; every connection to its port is one more controller."""

    def __init__(self, *options):
        self.process = subprocess.Popen([sys.executable, HERE / "air" / "air.py", "1", *map(str, options)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


class BleDevice(Device):
    """A kedge-device whose only way in is the radio."""

    def __init__(self, binary, directory, air, *extra, timed=False):
        super().__init__(binary, directory, extra=extra)
        self.air, self.timed, self.name = air, timed, f"d{id(self) % 1000000}"

    def start(self, *extra):
        command = self.command("--hci", f"tcp:127.0.0.1:{self.air.port}", "--ble-name", self.name, *extra)
        if self.timed:
            command[command.index("none")] = "model"
        heard = len(self.said("advertises"))
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=self._collect, args=(self.process,), daemon=True).start()
        self.wait_said("advertises", heard + 1)
        return self

    def said(self, words):
        return [line for line in self.lines if words in line]

    def wait_said(self, words, count=1, seconds=20):
        """Wait until that many lines hold these words; the last of them."""
        end = time.monotonic() + seconds
        while len(self.said(words)) < count:
            assert time.monotonic() < end, f"never said {words!r}: {self.lines}"
            time.sleep(0.01)
        return self.said(words)[-1]

    @property
    def address(self):
        return self.said("advertises")[-1].split()[-1]

    def passkey(self):
        return int(self.wait_said("type this").split()[-1])


class Central:
    """A phone: an address, a store of bonds that outlives connections, and smpclient."""

    def __init__(self, device, bonds, number=1, mtu=498, pairing=None):
        self.device, self.bonds, self.mtu, self.pairing = device, pathlib.Path(bonds), mtu, pairing
        self.address = Address(f"F0:5C:81:00:00:{number:02X}", Address.RANDOM_DEVICE_ADDRESS)

    @contextlib.asynccontextmanager
    async def connected(self, pairing=None, seconds=10):
        transport = SMPBumbleTransport(
            hci=f"tcp-client:127.0.0.1:{self.device.air.port}", host_address=self.address,
            keystore=Custom(self.bonds), preferred_mtu=self.mtu, pair_on_connect=pairing or self.pairing,
            pair_timeout_s=10, settle_s=0.1)
        client = SMPClient(transport, self.device.address)
        await client.connect(seconds)
        try:
            yield client
        finally:
            if transport._disconnected_event.is_set():
                # its own disconnect() would wait 30 s for an answer of a device that is gone
                await transport._state.transport.close()
            else:
                await client.disconnect()

    def spoil_bonds(self):
        """Every key here becomes another one."""
        stored = json.loads(self.bonds.read_text())
        text = json.dumps(stored)
        for peers in stored.values():
            for keys in peers.values():
                text = text.replace(keys["ltk"]["value"], keys["ltk"]["value"][::-1])
        self.bonds.write_text(text)


def transport_of(client):
    return client._transport


def characteristic_of(client):
    """For what smpclient never does: writes that are no requests."""
    return transport_of(client)._state.smp_characteristic


async def gone(client, seconds=5):
    """Wait until the link is down."""
    await asyncio.wait_for(transport_of(client)._disconnected_event.wait(), seconds)


async def hang_up(client):
    """The central goes without a word more."""
    await transport_of(client)._state.connection.disconnect()
    await gone(client)


def run(work, seconds=120):
    return asyncio.run(asyncio.wait_for(work, seconds))
