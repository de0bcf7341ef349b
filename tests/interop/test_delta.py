"""Patches and compressed images, end to end: made by the host tool, sent by clients that know nothing
of them, built by the device in its secondary slot. If this fails, an update of 300 bytes becomes one
of 250 KB, or worse: a wrong image."""

import hashlib
import random
import subprocess
import sys

import pytest

from clients import Kedge, Smpclient, Toolkit, smpmgr
from devices import KEY, image_hash, payload
from test_device import device, install, sign  # noqa: F401  (fixtures)
from test_kedge_over_smp import ask, facts, refused  # noqa: F401  (fixture)

OLD, NEW = "1.0.0", "2.0.0"


def signed(directory, data, version):
    source, target = directory / "in.bin", directory / "out.bin"
    source.write_bytes(data)
    subprocess.run([sys.executable, "-m", "imgtool.main", "sign", "-k", KEY, "-v", version, "-H",
                    "0x200", "--pad-header", "-S", "0x71000", "--align", "4", source, target],
                   check=True, capture_output=True)
    return target.read_bytes()


@pytest.fixture(scope="session")
def pair(tmp_path_factory, kedge):
    """The running image, the next one (a piece in its middle is new, so half of it has moved), and
    the patch between them."""
    directory = tmp_path_factory.mktemp("pair")
    before = payload(40000, 7)
    after = before[:21000] + b"a new function" * 9 + before[21000:]
    images = [signed(directory, before, OLD), signed(directory, after, NEW)]
    for name, image in zip(("old", "new"), images):
        (directory / name).write_bytes(image)
    subprocess.run([kedge, "delta", directory / "old", directory / "new", directory / "patch"],
                   check=True, capture_output=True)
    return images[0], images[1], (directory / "patch").read_bytes(), directory


@pytest.fixture
def running(device, install, pair):
    install(device, pair[0])
    return device.start()


def send(device, run_kedge, data, *options):
    path = device.directory / "sent"
    path.write_bytes(data)
    return run_kedge("--udp", f"127.0.0.1:{device.port}", "image", "upload", path, *options)


def secondary(device, size):
    return device.external()[:size]


CLIENTS = {"smpclient-udp": lambda d, k: Smpclient(d, "udp"),
           "smpclient-pty": lambda d, k: Smpclient(d, "pty"),
           "toolkit-udp": lambda d, k: Toolkit(d, "udp"), "kedge-pty": lambda d, k: Kedge(d, "pty", k)}


@pytest.mark.parametrize("name", CLIENTS)
def test_any_client_carries_a_patch(running, pair, kedge, name):
    """Upload, test, revert, confirm; the patch is a hundredth of the image."""
    old, new, patch, _ = pair
    client = CLIENTS[name](running, kedge)
    assert len(patch) < len(new) // 80
    client.upload(patch)
    assert secondary(running, len(new)) == new
    state = {s["slot"]: s for s in client.states()}
    assert state[1]["version"] == NEW and state[1]["hash"] == image_hash(new)
    client.test(image_hash(new))
    assert running.next_boot(client.reset).startswith(f"booted {NEW}")
    assert running.next_boot(client.reset).startswith(f"booted {OLD}")
    client.test(image_hash(new))
    assert running.next_boot(client.reset).startswith(f"booted {NEW}")
    client.confirm()
    assert running.next_boot(client.reset).startswith(f"booted {NEW}")


def test_smpmgr_carries_a_patch(running, pair, tmp_path):
    path = tmp_path / "patch.bin"
    path.write_bytes(pair[2])
    done = smpmgr("--port", running.pty, "--timeout", "10", "image", "upload", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert secondary(running, len(pair[1])) == pair[1]


def test_the_recorder_has_it_as_its_own_phase(running, pair, run_kedge):
    at = ("--udp", f"127.0.0.1:{running.port}")
    run_kedge(*at, "recorder", "clear")
    assert send(running, run_kedge, pair[2]).returncode == 0
    counts = facts(run_kedge(*at, "recorder", "show", "--json"))
    assert counts["external"]["decode"]["program_bytes"] >= len(pair[1]) - 3 * 256
    for phase in ("decode", "download"):
        assert counts["internal"][phase]["programs"] == 0 == counts["internal"][phase]["erases"]


def test_a_wrong_base_is_refused_before_anything_is_erased(device, install, sign, pair, run_kedge):
    install(device, sign("1.5.0", 3))
    before = sign("1.6.0", 4)
    install(device, before, "secondary")
    device.start()
    run_kedge("--udp", f"127.0.0.1:{device.port}", "recorder", "clear")
    refused(send(device, run_kedge, pair[2]), "another image", sha8(pair[0]))
    counts = facts(run_kedge("--udp", f"127.0.0.1:{device.port}", "recorder", "show", "--json"))
    assert all(counts["external"][phase]["erases"] == 0 for phase in counts["external"])
    assert secondary(device, len(before)) == before


def sha8(image):
    return hashlib.sha256(image).hexdigest()[:16]


def reseal(patch, change):
    """The envelope around another payload, its hash right again: whoever makes one can do that."""
    head, size = bytearray(patch[:32]), int.from_bytes(patch[12:16], "little")
    payload_bytes = change(bytearray(patch[32:32 + size]))
    head[12:16] = len(payload_bytes).to_bytes(4, "little")
    protected = int.from_bytes(patch[10:12], "little")
    body = bytes(head) + bytes(payload_bytes) + patch[32 + size:32 + size + protected]
    return (body + b"\x07\x69" + (40).to_bytes(2, "little") + b"\x10\x00\x20\x00"
            + hashlib.sha256(body).digest())


def flip(at):
    def change(data):
        data[at] ^= 1
        return data
    return change


HEAD = 48
BAD = {
    "flipped map": flip(HEAD + 4), "flipped late": flip(-3), "truncated": lambda d: d[:-5],
    "extended": lambda d: d + b"\0" * 9, "other version": flip(4), "unknown flag": lambda d:
    d[:5] + b"\x84" + d[6:], "foreign": lambda d: b"DLT1" + random.Random(5).randbytes(200),
    "empty": lambda d: d[:HEAD], "another new hash": flip(40), "huge": lambda d:
    d[:12] + b"\xff\xff\x7f\x00" + d[16:],
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_patch_is_refused_and_the_slot_is_still_usable(running, pair, run_kedge, kind):
    """With a reason; nothing is pending, the running image stays, the right patch works after it."""
    _, new, patch, _ = pair
    done = send(running, run_kedge, reseal(patch, BAD[kind]), "--test")
    refused(done, "upload")
    listed = facts(run_kedge("--udp", f"127.0.0.1:{running.port}", "image", "list", "--json"))
    assert not any(i.get("pending") for i in listed["images"])
    assert running.next_boot(lambda: Smpclient(running, "udp").reset()).startswith(f"booted {OLD}")
    done = send(running, run_kedge, patch)
    assert done.returncode == 0, done.stderr
    assert secondary(running, len(new)) == new


def test_a_compressed_image_needs_no_base(device, install, sign, pair, run_kedge, tmp_path):
    install(device, sign("1.5.0", 3))
    device.start()
    text = signed(tmp_path, (b"compresses well, " * 3000)[:40000], NEW)
    (tmp_path / "image").write_bytes(text)
    done = run_kedge("delta", "--compress", tmp_path / "image", tmp_path / "small", "--json")
    assert facts(done)["file"] < 1500
    assert send(device, run_kedge, (tmp_path / "small").read_bytes()).returncode == 0
    assert secondary(device, len(text)) == text


def test_a_sealed_patch(device, install, pair, run_kedge, tmp_path):
    """Nobody on the way learns what changed."""
    key = tmp_path / "shared"
    key.write_bytes(bytes(range(32)))
    done = run_kedge("seal", "--shared-key", key, pair[3] / "patch", tmp_path / "sealed")
    assert done.returncode == 0, done.stderr
    install(device, pair[0])
    device.start("--shared-key", str(key))
    done = send(device, run_kedge, (tmp_path / "sealed").read_bytes())
    assert done.returncode == 0, done.stderr
    assert secondary(device, len(pair[1])) == pair[1]


def test_through_the_chunk_store(running, pair, run_kedge):
    path = pair[3] / "patch"
    done = run_kedge("--udp", f"127.0.0.1:{running.port}", "stage", "put", path)
    assert done.returncode == 0, done.stderr
    done = run_kedge("--udp", f"127.0.0.1:{running.port}", "stage", "finish")
    assert done.returncode == 0, done.stderr
    assert secondary(running, len(pair[1])) == pair[1]


@pytest.mark.parametrize("cut", [5, 60, 120])
def test_cut_while_decoding(device, install, pair, run_kedge, cut):
    """Power fails in the middle; the same patch again ends in the exact image. Every place of a cut:
    tests/cuts/test_delta_cuts.c."""
    _, new, patch, _ = pair
    install(device, pair[0])
    device.start().stop()  # what a first boot writes is not of the upload
    device.start("--cut", str(cut), "--seed", str(cut))
    path = device.directory / "patch"
    path.write_bytes(patch)
    at = ("--udp", f"127.0.0.1:{device.port}", "--timeout", "1")
    refused(run_kedge(*at, "image", "upload", path), "fell silent")
    assert device.process.wait(10) == 9
    device.process = None
    device.start()
    done = send(device, run_kedge, patch, "--test")
    assert done.returncode == 0, done.stderr
    assert secondary(device, len(new)) == new
    assert device.next_boot(Smpclient(device, "udp").reset).startswith(f"booted {NEW}")


def test_upload_delta_from(running, pair, run_kedge):
    """Made and sent in one step; another base on the device: the whole image, compressed."""
    old, new, patch, directory = pair
    at = ("--udp", f"127.0.0.1:{running.port}")
    done = run_kedge(*at, "image", "upload", directory / "new", "--delta-from", directory / "old")
    assert done.returncode == 0 and f"{len(patch)} bytes" in done.stdout, done.stdout + done.stderr
    assert secondary(running, len(new)) == new
    run_kedge(*at, "image", "erase")
    done = run_kedge(*at, "image", "upload", directory / "new", "--delta-from", directory / "new")
    assert done.returncode == 0 and "does not run" in done.stderr, done.stdout + done.stderr
    assert secondary(running, len(new)) == new


def test_dumpinfo_says_what_becomes_what(pair, run_kedge):
    old, new, patch, directory = pair
    inside = facts(run_kedge("dumpinfo", directory / "patch", "--json"))["inside"]
    assert inside == {"kind": "delta", "old_size": len(old), "old_sha256_begins": sha8(old),
                      "new_size": len(new), "new_sha256_begins": sha8(new)}
    assert sha8(old) in run_kedge("dumpinfo", directory / "patch").stdout


def test_misuse(pair, run_kedge, tmp_path):
    directory = pair[3]
    refused(run_kedge("delta", directory / "old", directory / "old", tmp_path / "x"), "same image")
    (tmp_path / "text").write_text("no image at all" * 9)
    refused(run_kedge("delta", directory / "old", tmp_path / "text", tmp_path / "x"), "image")
    for words in (("delta", "a", "b"), ("delta", "--compress", "a", "b", "c"),
                  ("delta", "--chunk", "5", "a", "b", "c"), ("delta", "--base", "3", "a", "b", "c")):
        done = run_kedge(*words)
        assert done.returncode == 2 and "kedge delta" in done.stderr, done.stderr
    assert not (tmp_path / "x").exists()
