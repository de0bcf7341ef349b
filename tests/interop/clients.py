"""The clients that users have, unmodified, behind one face."""

import asyncio
import subprocess
import sys

from mcumgr_toolkit import MCUmgrClient
from smpclient import SMPClient
from smpclient.generics import success
from smpclient.requests.image_management import ImageErase, ImageStatesRead, ImageStatesWrite
from smpclient.requests.os_management import EchoWrite, ResetWrite
from smpclient.transport.serial import SMPSerialTransport
from smpclient.transport.udp import SMPUDPTransport


class Refused(Exception):
    pass


class Smpclient:
    """smpclient 7.3.0, the library."""

    def __init__(self, device, over):
        self.device, self.over = device, over

    def _run(self, work):
        async def run():
            if self.over == "udp":
                transport = SMPUDPTransport()
                client = SMPClient(transport, "127.0.0.1")
                await transport.connect("127.0.0.1", 5, port=self.device.port)
                await client._initialize()
            else:
                transport = SMPSerialTransport()
                client = SMPClient(transport, str(self.device.pty))
                await client.connect(5)
            try:
                return await work(client)
            finally:
                await client.disconnect()

        return asyncio.run(run())

    def _ask(self, request):
        async def work(client):
            reply = await client.request(request, timeout_s=10)
            if not success(reply):
                raise Refused(repr(reply))
            return reply

        return self._run(work)

    def echo(self, text):
        return self._ask(EchoWrite(d=text)).r

    def upload(self, image):
        async def work(client):
            last = None
            async for last in client.upload(image, first_timeout_s=10, subsequent_timeout_s=5):
                pass
            return last

        assert self._run(work) == len(image)

    def states(self):
        return [dict(slot=i.slot, version=i.version, hash=i.hash, active=i.active,
                     confirmed=i.confirmed, pending=i.pending, permanent=i.permanent)
                for i in self._ask(ImageStatesRead()).images]

    def test(self, digest):
        self._ask(ImageStatesWrite(hash=digest))

    def confirm(self, digest=None):
        self._ask(ImageStatesWrite(hash=digest or b"", confirm=True))

    def erase(self):
        self._ask(ImageErase())

    def reset(self):
        self._ask(ResetWrite())


class Toolkit:
    """mcumgr-toolkit 0.20.0, the library."""

    def __init__(self, device, over):
        self.device, self.over = device, over

    def _client(self):
        if self.over == "udp":
            return MCUmgrClient.udp("127.0.0.1", self.device.port, 5000)
        if self.over == "raw":
            client = MCUmgrClient.raw_serial(str(self.device.raw_pty), 115200, 5000)
        else:
            client = MCUmgrClient.serial(str(self.device.pty), 115200, 5000)
        client.use_auto_frame_size()
        return client

    def _do(self, work):
        try:
            with self._client() as client:
                return work(client)
        except RuntimeError as error:
            raise Refused(str(error)) from error

    def echo(self, text):
        def work(client):
            client.check_connection()
            return client.os_echo(text)

        return self._do(work)

    def upload(self, image):
        self._do(lambda c: c.image_upload(image))

    def states(self):
        return [dict(slot=i.slot, version=i.version, hash=i.hash, active=i.active,
                     confirmed=i.confirmed, pending=i.pending, permanent=i.permanent)
                for i in self._do(lambda c: c.image_get_state())]

    def test(self, digest):
        self._do(lambda c: c.image_set_state(digest))

    def confirm(self, digest=None):
        self._do(lambda c: c.image_set_state(digest, True))

    def erase(self):
        self._do(lambda c: c.image_erase())

    def reset(self):
        self._do(lambda c: c.os_system_reset())


class Kedge:
    """Our own host tool, which speaks with the core's client."""

    def __init__(self, device, over, kedge):
        self.kedge = kedge
        self.target = (["--udp", f"127.0.0.1:{device.port}"] if over == "udp"
                       else ["--serial", str(device.pty)])
        self.scratch = device.directory / "upload.bin"

    def run(self, *words):
        done = subprocess.run([self.kedge, *self.target, "--timeout", "10", *map(str, words)],
                              capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise Refused(done.stderr)
        return done.stdout

    def echo(self, text):
        return self.run("os", "echo", text).rstrip("\n")

    def upload(self, image):
        self.scratch.write_bytes(image)
        self.run("image", "upload", self.scratch)

    def states(self):
        import json
        entries = json.loads(self.run("image", "list", "--json"))
        entries = entries["images"] if isinstance(entries, dict) else entries
        return [dict(slot=i["slot"], version=i["version"], hash=bytes.fromhex(i["hash"]),
                     active=i.get("active", False), confirmed=i.get("confirmed", False),
                     pending=i.get("pending", False), permanent=i.get("permanent", False))
                for i in entries]

    def test(self, digest):
        self.run("image", "test", digest.hex())

    def confirm(self, digest=None):
        self.run("image", "confirm", *([digest.hex()] if digest else []))

    def erase(self):
        self.run("image", "erase")

    def reset(self):
        self.run("os", "reset")


def smpmgr(*words, timeout=120):
    """The command-line program smpmgr 0.19.1."""
    return subprocess.run([sys.executable, "-m", "smpmgr", *map(str, words)], capture_output=True,
                          text=True, timeout=timeout, check=False)
