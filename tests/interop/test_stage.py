"""The chunk store over SMP: pushed from Python out of order, and with kedge stage."""

import hashlib
import json
import random
import socket
import struct
import zlib

import cbor2
import pytest

from test_device import device, install, sign  # noqa: F401  (fixtures)
from test_kedge_over_smp import ask, facts, refused  # noqa: F401  (fixture)

BEGIN, DATA, END = 8, 9, 10
NO_FILE, BAD_CHECK, CONFLICT, INCOMPLETE = 19, 20, 21, 22


class Pusher:
    """SMP group 64 by hand: what any client can do with FORMAT.md [G-8] to [G-10] open."""

    def __init__(self, device):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", device.port))
        self.socket.settimeout(5)
        self.sequence = 0

    def request(self, op, command, **entries):
        body = cbor2.dumps(entries)
        self.sequence = (self.sequence + 1) % 256
        self.socket.send(struct.pack(">BBHHBB", op | 1 << 3, 0, len(body), 64, self.sequence,
                                     command) + body)
        return cbor2.loads(self.socket.recv(65536)[8:])

    def begin(self, file, chunk, **more):
        return self.request(2, BEGIN, id=hashlib.sha256(file).digest(), size=len(file),
                            chunk=chunk, check="crc32", **more)

    def put(self, file, chunk, index, damage=False):
        data = file[index * chunk:(index + 1) * chunk]
        check = struct.pack("<I", zlib.crc32(data))
        return self.request(2, DATA, off=index * chunk, check=check,
                            data=bytes([data[0] ^ 1]) + data[1:] if damage else data)

    def status(self):
        return self.request(0, BEGIN)


def missing(status):
    assert "next" not in status
    return [i for first, count in status["missing"] for i in range(first, first + count)]


def code(reply):
    return reply["err"]["rc"]


def test_pushed_out_of_order(ask, device, sign):
    """A link that shuffles, repeats, damages and is cut by a power failure delivers the image."""
    image, chunk = sign("2.0.0", 2), 500
    order = list(range((len(image) + chunk - 1) // chunk))
    random.Random(3).shuffle(order)
    push = Pusher(device)
    assert push.status()["state"] == "empty"
    assert code(push.put(image, chunk, 0)) == NO_FILE
    assert push.begin(image, chunk)["received"] == 0
    for n, index in enumerate(order[:len(order) // 2]):
        if n % 5 == 0:
            assert code(push.put(image, chunk, index, damage=True)) == BAD_CHECK
        assert push.put(image, chunk, index)["received"] == n + 1
        if n % 7 == 0:
            assert push.put(image, chunk, index)["received"] == n + 1
    assert code(push.request(2, END, do="finish", then="test")) == INCOMPLETE
    device.kill()
    device.start()
    push = Pusher(device)
    status = push.begin(image, chunk)
    assert sorted(missing(status)) == sorted(order[len(order) // 2:])
    for index in order[len(order) // 2:]:
        push.put(image, chunk, index)
    assert missing(push.status()) == []
    changed = bytearray(image)
    changed[-1] ^= 1
    assert code(push.put(bytes(changed), chunk, len(order) - 1)) == CONFLICT
    assert push.request(2, END, do="finish", then="test")["state"] in ("hashing", "decoding")
    while (state := push.status())["state"] in ("hashing", "decoding"):
        pass
    assert state["state"] == "decoded", state
    recorder = facts(ask("recorder", "show", "--json"))
    assert recorder["external"]["download"]["program_bytes"] >= len(image) / 2
    assert recorder["external"]["decode"]["program_bytes"] >= len(image)
    assert [recorder["internal"][phase][what] for phase in ("download", "decode")
            for what in ("programs", "erases")] == [0] * 4
    verdict = device.next_boot(lambda: ask("os", "reset"))
    assert verdict.startswith("booted 2.0.0")


def test_command_resumes_after_power_loss(ask, device, sign, tmp_path):
    """The same command again: nothing that arrived is sent twice."""
    image = sign("2.0.0", 2)
    path = tmp_path / "two.bin"
    path.write_bytes(image)
    device.stop()
    device.start("--cut", "400")
    failed = ask("--timeout", "2", "stage", "put", path, "--chunk", "512")
    assert failed.returncode == 1 and "does not answer" in failed.stderr
    device.process.wait(10)
    device.start()
    status = facts(ask("stage", "status", "--json"))
    assert status["state"] == "receiving" and 0 < status["received"] < status["chunks"]
    done = facts(ask("stage", "put", path, "--json"))
    assert (done["chunk"], done["had"]) == (512, status["received"])
    assert done["requests"] == done["chunks"] - done["had"]
    assert "decoded into slot 1: will be tried" in ask("stage", "finish", "--test").stdout
    assert device.next_boot(lambda: ask("os", "reset")).startswith("booted 2.0.0")
    # the whole of it in one command, the old version back
    path.write_bytes(sign("1.0.1", 4))
    assert ask("image", "confirm").returncode == 0
    assert "staged" in ask("stage", "put", path, "--check", "sha256", "--confirm").stdout
    assert device.next_boot(lambda: ask("os", "reset")).startswith("booted 1.0.1")


def test_refusals_in_words(ask, device, sign, tmp_path):
    """Each refusal says what to do."""
    path, other = tmp_path / "two.bin", tmp_path / "three.bin"
    path.write_bytes(sign("2.0.0", 2))
    other.write_bytes(sign("3.0.0", 3))
    refused(ask("stage", "finish"), "begin first")
    assert ask("stage", "status").stdout == "nothing is staged\n"
    Pusher(device).begin(path.read_bytes(), 1000)
    refused(ask("stage", "put", other), "another file is staged", "abort")
    refused(ask("stage", "finish"), "missing")
    assert ask("stage", "abort").returncode == 0
    refused(ask("stage", "put", path, "--chunk", "0"), "1 to 65536")
    refused(ask("stage", "put", path, "--chunk", "70000"), "1 to 65536")
    big = tmp_path / "big.bin"
    big.write_bytes(b"x" * (8 << 20))
    refused(ask("stage", "put", big), "staging region")
    text = tmp_path / "text.bin"
    text.write_bytes(b"not an image at all" * 100)
    refused(ask("stage", "put", text), "sign it first")
    assert ask("stage", "abort").returncode == 0
    assert ask("policy", "set", "confidential", "on").returncode == 0
    before = device.external()
    refused(ask("stage", "put", path), "confidential")
    assert image_bytes_are_absent(device.external(), path.read_bytes(), before)
    for words in (["put"], ["put", path, "--check", "md5"], ["status", "x"], ["nonsense"],
                  ["finish", "--test", "--confirm"]):
        assert ask("stage", *words).returncode == 2, words


def image_bytes_are_absent(chip, image, before):
    assert len(chip) == len(before)
    return all(image[at:at + 32] not in chip for at in range(0x200, len(image) - 32, 997))
