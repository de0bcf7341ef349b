"""The same board with a radio: NimBLE's host and the agent as a real Cortex-M4 program, a virtual
controller on its second UART, an unmodified BLE client on another one in the same air."""

import sys
import types

import pytest
from smpclient.generics import success
from smpclient.requests.image_management import ImageStatesRead, ImageStatesWrite
from smpclient.requests.os_management import EchoWrite, ResetWrite
from smpclient.transport.bumble.pairing import NoInputNoOutput

from rig import PRIMARY, ROOT, Board, firmware
from devices import image_hash
from test_ast1030 import secondary_image

sys.path.insert(0, str(ROOT / "tests" / "ble"))
from radio import Air, Central, gone, run  # noqa: E402

ADDRESS = "C0:6E:ED:5A:10:30"  # controller.c
SIZE = 131072


@pytest.fixture
def air():
    air = Air()
    yield air
    air.stop()


@pytest.fixture
def board(tmp_path, air):
    boards = []

    def make(**chips):
        boards.append(Board(tmp_path, **chips))
        return boards[-1].start("-serial", f"tcp:127.0.0.1:{air.port}")

    yield make
    for made in boards:
        made.stop()


async def ask(client, request):
    reply = await client.request(request, timeout_s=20)
    assert success(reply), reply
    return reply


async def reset(client):
    await ask(client, ResetWrite())
    await gone(client)


def test_update_over_the_air(board, tmp_path, air):
    """Upload, test, revert, confirm over BLE: a stack that runs on a desktop only is no product."""
    v1, v2 = (firmware(tmp_path, "waits", v, program="ble", size=SIZE) for v in ("1.0.0", "2.0.0"))
    b = board(primary=v1)
    phone = Central(types.SimpleNamespace(air=air, address=ADDRESS), tmp_path / "bonds")

    async def session(*steps):
        async with phone.connected(seconds=20) as client:
            for step in steps:
                await step(client)

    async def upload(client):
        assert (await ask(client, EchoWrite(d="air"))).r == "air"
        async for _ in client.upload(v2, first_timeout_s=20, subsequent_timeout_s=20):
            pass

    async def test(client):
        await ask(client, ImageStatesWrite(hash=image_hash(v2)))

    async def confirm(client):
        await ask(client, ImageStatesWrite(hash=b"", confirm=True))
        images = (await ask(client, ImageStatesRead())).images
        assert [(i.version, i.confirmed, i.active) for i in images][0] == ("2.0.0", True, True)

    def boot_after(*steps):
        advertised = len(b.lines("ble: advertises"))
        verdict = b.next_boot(lambda: run(session(*steps, reset)))
        b.wait("ble: advertises", advertised + 1)
        return verdict

    b.wait("ble: advertises", 1)
    assert boot_after(upload, test) == "booted 2.0.0 (a new image on trial)"
    assert boot_after().startswith("booted 1.0.0 (not confirmed")
    assert boot_after(test) == "booted 2.0.0 (a new image on trial)"
    assert boot_after(confirm).startswith("booted 2.0.0 (first boot after")
    b.stop()
    assert not b.complaints()
    assert b.internal()[PRIMARY:PRIMARY + len(v2)] == v2
    assert secondary_image(b.external(), len(v1)) == v1


def test_pairing(board, tmp_path, air):
    """LE Secure Connections on the Cortex-M4 (its ECDH by p256-m), and a bond that is kept in the
    settings: a phone that paired once must get in after a reset, and after a power cut."""
    b = board(primary=firmware(tmp_path, "waits", "1.0.0", program="ble", size=SIZE))
    phone = Central(types.SimpleNamespace(air=air, address=ADDRESS), tmp_path / "bonds",
                    pairing=NoInputNoOutput())

    async def session(leave):
        async with phone.connected(seconds=30) as client:
            assert (await ask(client, EchoWrite(d="in private"))).r == "in private"
            if leave:
                await reset(client)

    b.wait("ble: advertises", 1)
    run(session(leave=False))
    keys = phone.bonds.read_text()
    b.wait("ble: the link is encrypted", 1)
    b.next_boot(lambda: run(session(leave=True)))
    b.wait("ble: advertises", 2)
    run(session(leave=False))
    b.wait("ble: the link is encrypted", 3)
    assert phone.bonds.read_text() == keys  # encrypted by the bond, not paired anew
    assert not b.lines("ble: pairing failed")
    b.stop()
    b.start("-serial", f"tcp:127.0.0.1:{air.port}")
    b.wait("ble: advertises", 3)
    run(session(leave=False))
    assert phone.bonds.read_text() == keys
    b.stop()
    assert not b.complaints()
