"""What goes wrong over the air: links that break, power that fails, strangers, lies, lost controllers."""

import asyncio
import hashlib
import json
import time

import pytest
from smpclient.requests.image_management import ImageErase, ImageStatesRead, ImageStatesWrite, ImageUploadWrite
from smpclient.requests.os_management import EchoWrite, ResetWrite
from smpclient.transport.bumble.pairing import KeyboardOnly, NoInputNoOutput

from devices import image_hash
from radio import Air, characteristic_of, gone, hang_up, run, transport_of
from test_update import ask, reset, states, upload

REFUSED_FOR_RESOURCES = 0x14


def fails():
    """Whatever the client makes of a link that ended or said nothing."""
    return pytest.raises((Exception, asyncio.CancelledError))


# ---- links that break ---------------------------------------------------------------------------------


async def upload_first_fragments(client, image, count):
    """So many writes of an upload, as smpclient would cut it; then nothing more is sent."""
    room, sent, off = transport_of(client).mtu, 0, 0
    while sent < count:
        head = {"len": len(image), "sha": hashlib.sha256(image).digest()} if off == 0 else {}
        request = ImageUploadWrite(off=off, data=image[off:off + 4000], **head)
        message = request.BYTES
        for at in range(0, len(message), room):
            if sent == count:
                return off
            await characteristic_of(client).write_value(message[at:at + room])
            sent += 1
        reply = await transport_of(client).receive()
        off = request._Response.loads(reply).off
    return off


@pytest.mark.parametrize("part", range(4))
def test_link_lost_at_every_tenth_fragment(make_device, make_central, sign, part):
    """The phone walks out of reach at a bad moment and the update must be started anew, or is damaged."""
    image = sign("2.0.0", 40_000, 5)
    device = make_device(image=sign("1.0.0", 20_000, 1))
    phone = make_central(device, mtu=247)
    fragments = -(-len(image) // 244)

    async def work(lost_at):
        async with phone.connected() as client:
            reached = await upload_first_fragments(client, image, lost_at)
            await hang_up(client)
        async with phone.connected() as client:
            first = True
            async for off in client.upload(image, first_timeout_s=10, subsequent_timeout_s=5):
                if first:  # what the device has had it does not want again
                    assert off >= reached, (lost_at, off, reached)
                first = False
            listed = (await ask(client, ImageStatesRead())).images[-1]
            assert (listed.version, listed.hash) == ("2.0.0", image_hash(image))
            await ask(client, ImageErase(slot=1))

    for lost_at in range(10 * (part + 1), fragments, 40):
        run(work(lost_at))
    assert device.alive()


def test_power_cut_during_the_upload(make_device, make_central, sign):
    """A battery that dies during an update costs the whole transfer, or leaves a device that is lost."""
    image = sign("2.0.0", 100_000, 6)
    device = make_device(image=sign("1.0.0", 20_000, 1))
    device.stop()
    phone = make_central(device)
    device.start("--cut", "200")

    async def until_dark():
        async with phone.connected() as client:
            with fails():
                async for _ in client.upload(image, first_timeout_s=4, subsequent_timeout_s=2):
                    pass
            await gone(client)

    run(until_dark())
    assert device.process.wait(10) == 9
    device.start()

    async def on():
        async with phone.connected() as client:
            offs = [off async for off in client.upload(image, first_timeout_s=10, subsequent_timeout_s=5)]
            assert offs[0] > 8192 and offs[-1] == len(image)
            await ask(client, ImageStatesWrite(hash=image_hash(image)))
            await reset(client)

    assert device.next_boot(lambda: run(on())).startswith("booted 2.0.0")


# ---- who may -------------------------------------------------------------------------------------------


def test_a_second_central_is_refused(make_device, make_central, sign):
    """Somebody else's phone takes the device away in the middle of an update, or hangs itself."""
    device = make_device()
    image = sign("1.0.0", 60_000)

    async def work():
        async with make_central(device, 1).connected() as first:
            going = asyncio.create_task(upload(first, image))
            second = make_central(device, 2)
            with fails():
                await asyncio.wait_for(second.connected().__aenter__(), 5)
            await going
            assert (await ask(first, EchoWrite(d="still here"))).r == "still here"
        async with make_central(device, 2).connected() as second:  # and now it is free
            assert (await ask(second, EchoWrite(d="my turn"))).r == "my turn"

    run(work())
    assert len(device.said("refused: another central")) == 1


@pytest.mark.long
def test_a_silent_central_gives_way(make_device, make_central):
    """A phone that was put away connected locks everybody else out for good."""
    device = make_device()

    async def work():
        async with make_central(device, 1).connected() as first:
            await asyncio.sleep(31)
            async with make_central(device, 2).connected() as second:
                assert (await ask(second, EchoWrite(d="hello"))).r == "hello"
            await gone(first)

    run(work())
    assert device.said("gives way")


@pytest.mark.parametrize("security", ["encrypted", "authenticated"])
def test_a_stranger_is_denied_in_words(make_device, make_central, security):
    """A device that demands pairing is silent to who has not paired: it looks broken; or it obeys."""
    device = make_device("--ble-security", security)

    async def work():
        async with make_central(device).connected() as client:
            for request in (EchoWrite(d="x"), ImageStatesRead(), ResetWrite()):
                reply = await client.request(request, timeout_s=5)
                assert reply.rc == 11, reply  # access denied

    run(work())
    assert device.said("demands that it pairs first") and len(device.verdicts()) == 1


def test_digits_that_are_wrong(make_device, make_central):
    """Whoever guesses the passkey, or pairs without one, gets in."""
    device = make_device("--ble-security", "authenticated")

    async def guess():
        return (device.passkey() + 1) % 1000000

    async def work(pairing):
        with fails():
            async with make_central(device, pairing=pairing).connected() as client:
                assert (await client.request(EchoWrite(d="x"), timeout_s=3)).rc != 11

    run(work(KeyboardOnly(guess)))
    run(work(NoInputNoOutput()))
    assert not device.said("authenticated")


def paired(device, phone, seconds=20):
    async def work():
        async with phone.connected() as client:
            await ask(client, EchoWrite(d="x"))

    run(work(), seconds)


def test_bonds_survive_power_cuts(make_device, make_central):
    """A phone has to pair again after each flat battery."""
    device = make_device("--ble-security", "encrypted")
    phones = [make_central(device, number, pairing=NoInputNoOutput()) for number in (1, 2, 3)]
    for phone in phones:
        paired(device, phone)
    time.sleep(0.1)
    device.kill()
    device.start()
    for phone in phones:
        phone.pairing = None
        paired(device, phone)
    assert len(device.said("is encrypted")) == 6


def test_the_oldest_bond_makes_room(make_device, make_central):
    """The fifth phone cannot pair, or takes the place of the one that is in use."""
    device = make_device("--ble-security", "encrypted")
    phones = [make_central(device, number, pairing=NoInputNoOutput()) for number in range(1, 6)]
    for phone in phones:
        paired(device, phone)
    for phone in phones[1:]:
        phone.pairing = None
        paired(device, phone)
    phones[0].pairing = None
    with pytest.raises(AssertionError, match="EACCESSDENIED"):
        paired(device, phones[0])


def test_a_bond_that_the_device_lost(make_device, make_central):
    """After a factory reset the old bond of a phone works on a device that should not know it, or the phone
    can never pair again."""
    device = make_device("--ble-security", "encrypted")
    phone = make_central(device, pairing=NoInputNoOutput())
    paired(device, phone)
    device.stop()
    internal = device.directory / "state" / "internal.bin"
    content = bytearray(internal.read_bytes())
    for at in (content.find(b"KSET"), content.rfind(b"KSET")):
        content[at:at + 4096] = b"\xff" * 4096
    internal.write_bytes(content)
    device.start()
    phone.pairing, pairing = None, phone.pairing
    with pytest.raises(AssertionError, match="EACCESSDENIED"):
        paired(device, phone)
    phone.bonds.unlink()
    phone.pairing = pairing
    paired(device, phone)


def test_a_bond_that_the_phone_lost(make_device, make_central):
    """A phone that was set up anew can never pair again, for the device still has its old bond."""
    device = make_device("--ble-security", "encrypted")
    phone = make_central(device, pairing=NoInputNoOutput())
    paired(device, phone)
    phone.bonds.unlink()
    paired(device, phone)
    phone.pairing = None
    paired(device, phone)
    assert len(device.said("is encrypted")) == 3


def test_a_key_that_is_wrong(make_device, make_central):
    """Who claims to be a bonded phone but has another key is let in."""
    device = make_device("--ble-security", "encrypted")
    phone = make_central(device, pairing=NoInputNoOutput())
    paired(device, phone)
    phone.spoil_bonds()
    phone.pairing = None
    with fails():
        paired(device, phone, seconds=5)  # smpclient may wait for the lost link for ever
    assert len(device.said("is encrypted")) == 1 and device.alive()


# ---- lies ------------------------------------------------------------------------------------------------


def smp(payload, size=None, op=2, group=0, sequence=1, command=0):
    return bytes([8 | op, 0, *(size if size is not None else len(payload)).to_bytes(2, "big"),
                  *group.to_bytes(2, "big"), sequence, command]) + payload


GARBAGE = {
    "nothing": [b""],
    "one byte": [b"\x0a"],
    "noise": [bytes((i * 7 + j) & 255 for j in range(200)) for i in range(40)],
    "replies": [smp(b"\xa0", op=3)] * 10,
    "a length too long": [smp(b"\xa0" * 100, size=65535)],
    "a length longer than sent": [smp(b"\xa0" * 100, size=300)],
    "a length shorter than sent": [smp(b"\xa1adx" + b"y" * 100, size=2)],
    "no CBOR": [smp(b"\xff" * 100)] * 3,
    "a flood": [smp(b"\xa1ad\x78\xc8" + b"z" * 200, sequence=i & 255) for i in range(300)],
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage(make_device, make_central, name):
    """A broken or hostile client makes the device deaf or dead."""
    device = make_device()

    async def work():
        async with make_central(device).connected() as client:
            room = transport_of(client).mtu
            for write in GARBAGE[name]:
                await characteristic_of(client).write_value(write[:room])
        async with make_central(device).connected() as client:
            assert (await ask(client, EchoWrite(d="well?"))).r == "well?"

    run(work())
    assert device.alive() and len(device.verdicts()) == 1


def test_the_same_link_recovers(make_device, make_central):
    """After a lying length the client has to reconnect, which it cannot know."""
    device = make_device()

    async def work():
        async with make_central(device).connected() as client:
            await characteristic_of(client).write_value(smp(b"\xa0" * 100, size=300))
            await asyncio.sleep(3.1)
            assert (await ask(client, EchoWrite(d="well?"))).r == "well?"

    run(work())


def test_a_central_that_does_not_subscribe(make_device, make_central):
    """Requests before the subscription crash the device, or their replies go to whoever comes next."""
    device = make_device()

    async def work():
        async with make_central(device).connected() as client:
            await characteristic_of(client).unsubscribe(transport_of(client)._on_notification)
            for _ in range(10):
                await characteristic_of(client).write_value(smp(b"\xa1adai"))
            await asyncio.sleep(0.2)
        async with make_central(device).connected() as client:
            assert (await ask(client, EchoWrite(d="mine"))).r == "mine"

    run(work())


# ---- controllers -----------------------------------------------------------------------------------------


def test_a_controller_that_disappears(make_device, make_central, tmp_path):
    """A Bluetooth chip that resets takes the whole device with it."""
    air = Air()
    device = make_device(air=air)
    air.stop()
    device.wait_said("the controller is gone")
    air = Air("--port", air.port)
    device.air = air
    device.wait_said("advertises", 2)
    paired(device, make_central(device))
    assert len(device.verdicts()) == 1
    device.stop()
    air.stop()


def test_no_controller(kedge_device_path, tmp_path):
    """A mistyped controller leaves a device that nobody can reach, without a word."""
    from devices import KEY
    import subprocess

    for where, says in (("tcp:127.0.0.1:1", "cannot reach the controller"), ("hci99", "cannot take hci99"),
                        ("tcp:nowhere.invalid:1", "cannot find"), ("usb:0", "tcp:HOST:PORT or hciN")):
        done = subprocess.run([kedge_device_path, "--state", tmp_path / "s", "--key", KEY, "--hci", where],
                              capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode in (1, 2) and says in done.stderr, done
