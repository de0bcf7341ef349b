"""Whole updates over the virtual air by smpclient's Bumble transport, unmodified, and by kedge --ble."""

import subprocess
import time

import pytest
from smpclient.generics import success
from smpclient.requests.image_management import ImageStatesRead, ImageStatesWrite
from smpclient.requests.os_management import EchoWrite, ResetWrite
from smpclient.transport.bumble.pairing import KeyboardOnly, NoInputNoOutput

from devices import image_hash
from radio import BIN, Air, gone, run, transport_of

SIZE = 256 * 1024 - 2048


async def ask(client, request):
    reply = await client.request(request, timeout_s=10)
    assert success(reply), reply
    return reply


async def states(client):
    return [(i.slot, i.version, bool(i.active), bool(i.confirmed), bool(i.pending))
            for i in (await ask(client, ImageStatesRead())).images]


async def reset(client):
    await ask(client, ResetWrite())
    await gone(client)  # the device says goodbye, no timeout is needed


async def upload(client, image):
    last = 0
    async for last in client.upload(image, first_timeout_s=10, subsequent_timeout_s=5):
        pass
    assert last == len(image)


def pairing_for(security, device):
    async def pin():
        return device.passkey()

    return {"open": None, "encrypted": NoInputNoOutput(), "authenticated": KeyboardOnly(pin)}[security]


@pytest.mark.parametrize("security", ["open", "encrypted", "authenticated"])
def test_update_revert_update_confirm(make_device, make_central, sign, security):
    """A phone cannot update a device over BLE: upload, test, revert, confirm; or cannot once it must pair."""
    one, two = sign("1.0.0", 60_000, 1), sign("2.0.0", SIZE, 2)
    device = make_device("--ble-security", security, image=one)
    phone = make_central(device, pairing=pairing_for(security, device))

    async def first_evening():
        async with phone.connected() as client:
            assert (await ask(client, EchoWrite(d="hello"))).r == "hello"
            await upload(client, two)
            assert [s[1] for s in await states(client)] == ["1.0.0", "2.0.0"]
            await ask(client, ImageStatesWrite(hash=image_hash(two)))
            assert (await states(client))[1] == (1, "2.0.0", False, False, True)
            await reset(client)

    assert device.next_boot(lambda: run(first_evening())) == "booted 2.0.0 (a new image on trial)"
    phone.pairing = None  # from here on the bond must do

    async def not_convinced():
        async with phone.connected() as client:
            assert await states(client) == [(0, "2.0.0", True, False, False), (1, "1.0.0", False, True, False)]
            await reset(client)

    assert device.next_boot(lambda: run(not_convinced())).startswith("booted 1.0.0")

    async def again():
        async with phone.connected() as client:
            await ask(client, ImageStatesWrite(hash=image_hash(two)))
            await reset(client)

    assert device.next_boot(lambda: run(again())).startswith("booted 2.0.0")

    async def convinced():
        async with phone.connected() as client:
            await ask(client, ImageStatesWrite(hash=b"", confirm=True))
            assert (await states(client))[0][:4] == (0, "2.0.0", True, True)

    run(convinced())
    secured = len(device.said("is encrypted"))
    assert secured == (0 if security == "open" else 4), device.lines
    assert len(device.said("and authenticated")) == (4 if security == "authenticated" else 0)


@pytest.mark.parametrize("mtu", [23, 60, 247, 498])
def test_any_att_mtu(make_device, make_central, sign, mtu):
    """A central with another MTU than ours gets no answer, or half a one."""
    device = make_device()
    image = sign("1.0.0", 12_000)

    async def work():
        async with make_central(device, mtu=mtu).connected() as client:
            assert transport_of(client).mtu == mtu - 3
            text = "x" * 1500
            assert (await ask(client, EchoWrite(d=text))).r == text
            await upload(client, image)
            assert (await states(client))[-1][1] == "1.0.0"

    run(work())


def test_the_mtu_can_be_limited(make_device, make_central):
    """--ble-mtu is not heeded."""
    device = make_device("--ble-mtu", "100")

    async def work():
        async with make_central(device).connected() as client:
            assert transport_of(client).mtu == 97

    run(work())


def test_several_requests_in_flight(make_device, make_central, sign):
    """A client that keeps several requests in flight, as params allows, loses some of them."""
    device = make_device()

    async def work():
        async with make_central(device).connected() as client:
            from smpclient.requests.os_management import MCUMgrParametersRead

            params = await ask(client, MCUMgrParametersRead())
            assert params.buf_count == 4 and params.buf_size == 4096
            asked = [EchoWrite(d=f"{i}" * 1900) for i in range(params.buf_count)]
            for request in asked:
                await transport_of(client).send(request.BYTES)
            for request in asked:
                reply = await transport_of(client).receive()
                assert f"{asked.index(request)}".encode() * 1900 in reply

    run(work())


def test_the_host_tool_updates(make_device, kedge, sign, tmp_path):
    """kedge --ble does not find a device, does not pair, or does not find it again after its reset."""
    two = tmp_path / "two.bin"
    two.write_bytes(sign("2.0.0", SIZE, 2))
    device = make_device("--ble-security", "encrypted", image=sign("1.0.0", 60_000, 1))
    done = kedge(device, "image", "upload", two, "--test", "--reset", "--wait")
    assert done.returncode == 0 and "device runs 2.0.0, on trial" in done.stdout, done
    done = kedge(device, "image", "confirm")
    assert done.returncode == 0 and "2.0.0 runs and is confirmed" in done.stdout, done
    device.name = device.address  # and by its address
    done = kedge(device, "os", "echo", "hello")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done
    device.wait_said("is encrypted", 4)
    assert len(device.said("is encrypted")) == 4, device.lines


def test_a_reset_over_a_slow_link_happens_once(make_device, kedge, sign, tmp_path):
    """The reply to a reset does not get out before the device is gone: the client asks again, and the second
    reset ends the trial of a good image."""
    two = tmp_path / "two.bin"
    two.write_bytes(sign("2.0.0", 20_000, 2))
    slow = Air("--interval", 45, "--phy", 2)
    try:
        device = make_device("--ble-security", "encrypted", image=sign("1.0.0", 20_000, 1), air=slow)
        done = kedge(device, "image", "upload", two, "--test")
        assert done.returncode == 0, done
        done = kedge(device, "os", "reset")
        assert done.returncode == 0, done
        device.wait_boots(2)
        time.sleep(1)
        assert [v.split(" ")[1] for v in device.verdicts()] == ["1.0.0", "2.0.0"], device.lines
        device.kill()
        device.process = None
    finally:
        slow.stop()


def test_the_host_tool_asks_for_the_digits(make_device, kedge, tmp_path):
    """A device that shows six digits cannot be reached by kedge, or can be with the wrong ones."""
    device = make_device("--ble-security", "authenticated")
    wrong = kedge(device, "os", "echo", "x", stdin="000000\n")
    assert wrong.returncode == 1 and "demands pairing" in wrong.stderr, wrong
    device.wait_said("disconnected")
    device.lines.clear()
    tool = subprocess.Popen([BIN / "kedge", "--ble", device.name, "--hci", f"tcp:127.0.0.1:{device.air.port}",
                             "os", "echo", "x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                            env={"XDG_STATE_HOME": str(tmp_path / "tool")})
    assert tool.communicate(f"{device.passkey():06d}\n", timeout=30)[0] == "x\n"
    again = kedge(device, "os", "echo", "y")
    assert (again.returncode, again.stdout) == (0, "y\n"), again


@pytest.mark.parametrize("words, says", [
    (["--ble", "nobody", "--timeout", "1"], "no device nobody within 1 s"),
    (["--ble", "x", "--hci", "tcp:127.0.0.1:1"], "cannot reach the controller"),
    (["--ble", "x", "--hci", "usb:0"], "tcp:HOST:PORT or hciN"),
    (["--hci", "hci0"], "--hci is for --ble"),
    (["--ble", "x", "--udp", "127.0.0.1"], "exclude each other"),
])
def test_the_host_tool_says_what_is_wrong(kedge, air, words, says, tmp_path):
    """A user is left without a hint."""
    if "--timeout" in words:
        words = [*words, "--hci", f"tcp:127.0.0.1:{air.port}"]
    done = subprocess.run([BIN / "kedge", *words, "os", "echo", "x"], capture_output=True, text=True, timeout=30,
                          check=False, env={"XDG_STATE_HOME": str(tmp_path)})
    assert done.returncode in (1, 2) and says in done.stderr and done.stderr.count("\n") == 1, done
