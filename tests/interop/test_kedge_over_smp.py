"""kedge image, os, recorder, history, policy against kedge-device: words, JSON, exit codes."""

import json
import time

import pytest

from devices import free_port, image_hash
from test_device import device, install, sign  # noqa: F401  (fixtures)


@pytest.fixture
def ask(device, install, sign, run_kedge):
    """A running device with version 1.0.0; ask("image", "list") -> CompletedProcess."""
    install(device, sign("1.0.0", 1))
    device.start()

    def run(*words, over="udp"):
        target = {"udp": ["--udp", f"127.0.0.1:{device.port}"], "pty": ["--serial", device.pty],
                  "raw": ["--serial", device.raw_pty, "--raw"]}[over]
        return run_kedge(*target, *words)

    return run


def facts(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(done, *words):
    """Exit 1, and one line on stderr that holds the words."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("kedge: "), done.stderr
    for word in words:
        assert word in done.stderr


def misused(done, *words):
    assert done.returncode == 2, done.stdout + done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize("over", ["udp", "pty", "raw"])
def test_os_over_every_link(ask, over):
    """A link that carries nothing is found by the first echo."""
    assert ask("os", "echo", "grüße \\ \"x\"", over=over).stdout == "grüße \\ \"x\"\n"
    assert facts(ask("os", "params", "--json", over=over)) == {"buf_size": 4096, "buf_count": 4}
    assert "mode 3" in ask("os", "bootloader", over=over).stdout
    assert facts(ask("--json", "os", "bootloader", over=over))["bootloader"] == "MCUboot"
    assert "1.0.0" in ask("os", "info", over=over).stdout
    assert ask("os", "info", "s", over=over).stdout == "Kedge\n"


@pytest.mark.parametrize("over", ["udp", "pty", "raw"])
def test_one_command_update(ask, device, sign, tmp_path, over):
    """What a script does: upload, test, reset, wait, and read what runs from the output."""
    image = sign("2.0.0", 2)
    path = tmp_path / "two.bin"
    path.write_bytes(image)
    done = ask("image", "upload", path, "--test", "--reset", "--wait", over=over)
    assert done.returncode == 0, done.stderr
    assert f"{len(image)} bytes" in done.stdout
    assert "2.0.0 will be tried at the next boot" in done.stdout
    assert "device runs 2.0.0, on trial" in done.stdout
    assert done.stderr == ""  # no progress bar in a pipe
    assert device.verdicts()[-1].startswith("booted 2.0.0")

    done = ask("image", "confirm", over=over)
    assert "2.0.0 runs and is confirmed" in done.stdout
    done = ask("os", "reset", "--wait", over=over)
    assert "device runs 2.0.0, confirmed" in done.stdout
    records = facts(ask("history", "show", "--json", over=over))["records"]
    assert records and (records[0]["from"], records[0]["to"]) == ("1.0.0", "2.0.0")
    assert "1.0.0 -> 2.0.0" in ask("history", "show", over=over).stdout


def test_list_and_hash_prefix(ask, device, sign, tmp_path):
    """Eight digits of a hash are enough; a wrong one names no image."""
    image = sign("2.0.0", 2)
    digest = image_hash(image).hex()
    path = tmp_path / "two.bin"
    path.write_bytes(image)
    up = facts(ask("image", "upload", path, "--json"))
    assert up["bytes"] == len(image) and up["resumed_at"] == 0
    images = facts(ask("image", "list", "--json"))["images"]
    assert [(i["slot"], i["version"], i["active"]) for i in images] == [
        (0, "1.0.0", True), (1, "2.0.0", False)]
    assert images[1]["hash"] == digest
    assert digest in ask("image", "list").stdout

    misused(ask("image", "test", "xyz"), "no hash")
    misused(ask("image", "test", digest[:7]), "first 8")
    refused(ask("image", "test", "00000000"), "image list")
    refused(ask("image", "test", "00" * 32), "hash")
    refused(ask("image", "test", images[0]["hash"]), "runs already")
    assert ask("image", "test", digest[:8].upper()).returncode == 0
    assert facts(ask("image", "list", "--json"))["images"][1]["pending"] is True
    assert "already" in ask("image", "upload", path).stdout
    slots = facts(ask("image", "slots", "--json"))["images"][0]
    assert [s["size"] for s in slots["slots"]] == [0x71000, 0x71000]
    assert slots["max_image_size"] == 458752
    assert ask("image", "erase").returncode == 0
    assert len(facts(ask("image", "list", "--json"))["images"]) == 1
    refused(ask("image", "erase", "--slot", "0"), "slot 1")


def test_refused_files(ask, sign, tmp_path):
    """Refusals say what is wrong with the file, and nothing changes on the device."""
    plain = tmp_path / "plain.bin"
    plain.write_bytes(bytes(5000))
    refused(ask("image", "upload", plain), "not a signed image", "sign it first")
    refused(ask("image", "upload", plain, "--test"), "sign it first")
    short = tmp_path / "short.bin"
    short.write_bytes(b"abc")
    refused(ask("image", "upload", short), "too short")
    refused(ask("image", "upload", tmp_path / "none.bin"), "none.bin")
    older = tmp_path / "older.bin"
    older.write_bytes(sign("0.9.0", 3))
    refused(ask("image", "upload", older, "--upgrade"), "not newer")
    misused(ask("image", "upload", older, "--test", "--confirm"), "exclude")
    misused(ask("image", "upload", older, "--wait"), "--reset")
    assert len(facts(ask("image", "list", "--json"))["images"]) == 1


def test_policy(ask, device):
    """A setting lasts over a reset; a wrong one changes nothing."""
    before = facts(ask("policy", "get", "--json"))
    assert before == {"after_confirm": "keep", "hold": "off", "attempts": 1,
                      "erase_pending": "allow", "downgrade": "allow", "confidential": "off",
                      "locked": []}
    refused(ask("policy", "set", "hold", "maybe"), "no such value")
    refused(ask("policy", "set", "holds", "on"), "no such policy key")
    refused(ask("policy", "get", "holds"), "holds")
    misused(ask("policy", "set", "hold"), "KEY VALUE")
    assert facts(ask("policy", "get", "--json")) == before
    assert ask("policy", "set", "attempts", "3").returncode == 0
    assert ask("os", "reset", "--wait").returncode == 0
    assert facts(ask("policy", "get", "--json")) == {**before, "attempts": 3}
    assert ask("policy", "get", "attempts").stdout == "attempts 3\n"


def test_recorder(ask, sign, tmp_path):
    path = tmp_path / "two.bin"
    path.write_bytes(sign("2.0.0", 2))
    assert ask("recorder", "clear").returncode == 0
    assert ask("image", "upload", path).returncode == 0
    assert "internal writes during download: 0" in ask("recorder", "show").stdout
    counts = facts(ask("recorder", "show", "--json"))
    assert counts["external"]["download"]["erases"] >= 25
    assert counts["forbidden"]["download"] == ["internal"]


def test_nobody_there(run_kedge, tmp_path):
    """A silent device is named with its address, in the time that was asked for."""
    target = f"127.0.0.1:{free_port()}"
    start = time.monotonic()
    done = run_kedge("--udp", target, "--timeout", "0.5", "image", "list")
    assert time.monotonic() - start < 2
    refused(done, f"device does not answer at {target}", "is it running?", "--timeout 0.5")
    refused(run_kedge("--serial", "/dev/null", "os", "params"), "not a serial line")
    refused(run_kedge("--serial", tmp_path / "none", "os", "params"), "No such file")
    refused(run_kedge("--ble", "Kedge", "--hci", f"tcp:127.0.0.1:{free_port()}", "os", "params"),
            "127.0.0.1")
    misused(run_kedge("--ble", "Kedge", "--hci", "usb0", "os", "params"), "--hci")
    misused(run_kedge("--udp", ":1", "os", "params"), "HOST[:PORT]")
    misused(run_kedge("--udp", "a", "--serial", "b", "os", "params"), "exclude")
    misused(run_kedge("image"), "command")
    misused(run_kedge("image", "destroy"), "destroy")
    assert run_kedge("image", "--help").returncode == 0
    assert run_kedge("image", "upload", "--help").returncode == 0
