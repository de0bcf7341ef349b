"""PRODUCT.md's command line, line by line: what other programs rely on."""

import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest

from clients import Kedge
from devices import KEY, STRANGER, Device, free_port, image_hash, payload
from test_device import device, install, sign  # noqa: F401  (fixtures)

SMALL = 9000
PRIMARY = 0xC000
SLOT = 0x71000


@pytest.fixture(scope="module")
def one(sign):  # noqa: F811
    return sign("1.0.0", 1, size=SMALL)


@pytest.fixture(scope="module")
def two(sign):  # noqa: F811
    return sign("2.0.0", 2, size=SMALL)


@pytest.fixture(scope="module")
def padded(sign):  # noqa: F811
    return sign("2.0.0", 2, size=SMALL, options=["--pad"])


@pytest.fixture
def asked(device, install, one, padded):  # noqa: F811
    """1.0.0 runs, 2.0.0 is there with a request to test it."""
    install(device, one)
    install(device, padded, "secondary")
    return device


def contents(d):
    return d.internal(), d.external()


def put(d, flashes):
    for name, content in zip(("internal.bin", "external.bin"), flashes):
        (d.directory / "state" / name).write_bytes(content)


# ---- kedge-device --------------------------------------------------------------------------------


def test_new_directory(kedge_device, tmp_path):
    """A test bench creates a device by naming it: two erased flashes, a layout, nothing bootable."""
    state = tmp_path / "s"
    done = subprocess.run([kedge_device, "--state", state, "--key", KEY, "--once"], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 3 and done.stderr == ""
    assert re.fullmatch(r"nothing bootable: \S.*\n", done.stdout)
    internal = (state / "internal.bin").read_bytes()
    assert len(internal) == 0x100000
    outside = internal[:0x7D000] + internal[0x7F000:]  # the loader has begun its journal
    assert outside == b"\xff" * len(outside)
    assert (state / "external.bin").read_bytes() == b"\xff" * 0x800000
    assert (state / "trace").exists()
    layout = (state / "layout").read_text()
    for region, device_, address, size in [
            ("loader", "internal", 0, 0xC000), ("primary", "internal", PRIMARY, SLOT),
            ("journal", "internal", 0x7D000, 0x2000), ("settings", "internal", 0x7F000, 0x2000),
            ("secondary", "external", 0, SLOT), ("spares", "external", SLOT, 0x2000),
            ("backup", "external", 0x73000, 0x70000), ("staging", "external", 0xE3000, 0x71D000)]:
        assert f"{region}: {{device: {device_}, address: 0x{address:X}, size: 0x{size:X}}}" in layout


def test_layout_is_copied(kedge_device, run_kedge, tmp_path):
    """Later commands read the layout in the directory, also when the file it came from is gone."""
    assert Device(kedge_device, tmp_path).once()[0] == 3
    text = (tmp_path / "state" / "layout").read_text().replace("0x7F000", "0x8F000")
    given, state = tmp_path / "mine.yml", tmp_path / "s"
    given.write_text(text)
    command = [kedge_device, "--state", state, "--key", KEY, "--once"]
    assert subprocess.run([*command, "--layout", given], capture_output=True, timeout=60,
                          check=False).returncode == 3
    assert (state / "layout").read_text() == text
    assert subprocess.run([*command, "--layout", given], capture_output=True, timeout=60,
                          check=False).returncode == 3
    given.unlink()
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 3
    assert "0x08F000" in run_kedge("flash", "inspect", "--state", state).stdout


def test_once(asked):
    """Scripts read the version from the one line of stdout, and the exit code."""
    code, out = asked.once()
    assert code == 0 and re.fullmatch(r"booted 2\.0\.0 \(\S.*\)", out)
    code, out = asked.once("--crash-version", "1.0.0")  # reverts, prints the verdict, exit 0
    assert code == 0 and re.fullmatch(r"booted 1\.0\.0 \(\S.*\)", out)


@pytest.mark.parametrize("version, text", [("1.2.3+4", "1.2.3+4"), ("1.2.3", "1.2.3")])
def test_version_in_the_verdict(device, install, sign, version, text):  # noqa: F811
    """The version is printed as it was signed; a script compares it as text."""
    install(device, sign(version, 1, size=SMALL))
    assert device.once()[1].startswith(f"booted {text} (")
    assert device.once("--crash-version", version)[0] == 0


@pytest.mark.parametrize("kind", ["before", "torn", "after"])
def test_cut_is_reproducible(asked, kind):
    """A failure that was found with --cut N --seed S must come again on the developer's desk."""
    start = contents(asked)
    for n in ("1", "9", "20"):
        results = []
        for _ in range(2):
            put(asked, start)
            done = subprocess.run(asked.command("--once", "--cut", n, "--cut-kind", kind, "--seed", "7"),
                                  capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 9 and done.stdout == "", done
            assert done.stderr.count("\n") == 1 and n in done.stderr
            results.append(contents(asked))
        assert results[0] == results[1], n
    put(asked, start)
    assert asked.once("--cut", "100000")[0] == 0


def test_what_the_kinds_of_cut_mean(asked):
    """before N = after N-1; torn is another thing than both, and differs with the seed, not the clock."""
    start = contents(asked)

    def cut(n, kind=None, seed=None, clock="none"):
        put(asked, start)
        words = ["--cut", str(n), *(["--cut-kind", kind] if kind else []),
                 *(["--seed", str(seed)] if seed is not None else []), "--flash-time", clock]
        assert asked.once(*words)[0] == 9
        return contents(asked)

    assert cut(1, "before") == start
    differ = seeds = done = 0
    for n in range(6, 28, 3):
        before, after = cut(n, "before"), cut(n, "after")
        assert cut(n + 1, "before") == after
        done += before != after  # all but an erase of what is blank
        torn = cut(n, "torn", 1)
        differ += torn not in (before, after)
        seeds += torn != cut(n, "torn", 2)
    assert done >= 3 and differ >= 3 and seeds >= 3, (done, differ, seeds)
    assert cut(6, "torn", 1) == cut(6) == cut(6, clock="model"), "torn and seed 1, whatever the clock"


def test_cut_counts_on_in_the_agent(device, install, one, two, kedge):  # noqa: F811
    """A cut in the middle of a download is what BLE users have: the count goes on after the boot."""
    install(device, one)
    assert device.once()[0] == 0  # the first boot begins the journal; the next one writes nothing
    device.start("--cut", "12", "--cut-kind", "after")
    done = subprocess.run([kedge, "--udp", f"127.0.0.1:{device.port}", "--timeout", "1", "image", "upload",
                           _file(device, two)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "silent" in done.stderr
    assert device.process.wait(30) == 9
    device.process = None
    assert device.once()[1] == "booted 1.0.0 (the confirmed image)"


def _file(d, image, name="file.bin"):
    path = d.directory / name
    path.write_bytes(image)
    return path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop(device, install, one, number):  # noqa: F811
    """Service managers stop it with SIGTERM: exit 0, the links of its ptys are gone."""
    install(device, one)
    device.start()
    assert device.pty.is_symlink() and device.raw_pty.is_symlink()
    device.process.send_signal(number)
    assert device.process.wait(10) == 0
    device.process = None
    assert not device.pty.is_symlink() and not device.raw_pty.is_symlink()


def test_stop_while_nothing_is_bootable(device):  # noqa: F811
    """A device in recovery mode waits for its image: it serves, and stops when it is told to."""
    device.start()
    assert device.verdicts()[-1].startswith("nothing bootable: ")
    device.stop()


def test_default_place(kedge_device, kedge, tmp_path):
    """Without --udp and --pty it serves at 127.0.0.1:1337, where kedge looks by default."""
    command = [kedge_device, "--state", tmp_path / "s", "--key", KEY, "--flash-time", "none"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().startswith("nothing bootable")
        done = subprocess.run([kedge, "os", "echo", "hello"], capture_output=True, text=True, timeout=60,
                              check=False)
        assert (done.returncode, done.stdout) == (0, "hello\n"), done
        again = subprocess.run([kedge_device, "--state", tmp_path / "t", "--key", KEY], timeout=60,
                               capture_output=True, text=True, check=False)
        assert again.returncode == 1 and again.stderr.count("\n") == 1
        assert "127.0.0.1:1337" in again.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()


def without_journal(both):
    """The journal's history tells how long an update took."""
    internal, external = both
    return internal[:0x7D000] + internal[0x7F000:], external


def test_model_time(asked):
    """Operations take their time by default: a demonstration shows what a real chip would take."""
    start = contents(asked)
    words = [w for w in asked.command("--once") if w not in ("--flash-time", "none")]
    began = time.monotonic()
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    model = time.monotonic() - began
    assert done.stdout.startswith("booted 2.0.0")
    assert model > 0.5  # 4 internal erases of 85 ms and as many external ones, at the least
    slow = without_journal(contents(asked))
    put(asked, start)
    asked.once()
    assert without_journal(contents(asked)) == slow, "the clock changes nothing but the time"


def test_external_dead(asked):
    """The chip came loose: the device boots what it has, and the update waits for the chip."""
    code, out = asked.once("--external-dead")
    assert code == 0 and out.startswith("booted 1.0.0") and "external flash does not answer" in out
    assert asked.once()[1].startswith("booted 2.0.0")
    code, out = asked.once("--external-dead")  # on trial, and nothing to go back by
    assert code == 0 and out.startswith("booted 2.0.0"), out
    assert asked.once()[1].startswith("booted 1.0.0")


def test_trace_holds_every_operation(asked):
    """`flash report` draws it: an operation that is not in the trace never happened for the user."""
    trace = asked.directory / "state" / "trace"
    before = trace.read_text().count("\n")
    assert asked.once("--cut", "15", "--cut-kind", "after")[0] == 9
    lines = trace.read_text().splitlines()[before:]
    operations = [line for line in lines if not line.startswith("#")]
    assert len(operations) == 15
    assert all(re.fullmatch(r"\d+ \d+ \w+ (internal|external) (erase|program) 0x[0-9A-F]+ \d+", line)
               for line in operations), operations


def test_crash_version(asked):
    """A new image that crashes at once is gone after one watchdog reset, without anybody's help."""
    asked.start("--crash-version", "2.0.0")
    asked.wait_boots(2)
    assert [v.split()[1] for v in asked.verdicts()] == ["2.0.0", "1.0.0"]


@pytest.mark.parametrize("strategy", ["swap", "overwrite", "backup"])
def test_strategies(kedge_device, install, run_kedge, one, padded, tmp_path, strategy):  # noqa: F811
    """--strategy is taken from the command line, and each installs the image that was asked for."""
    d = Device(kedge_device, tmp_path / "d", extra=["--strategy", strategy])
    install(d, one)
    install(d, padded, "secondary")
    assert d.once()[1].startswith("booted 2.0.0")
    expected = "booted 2.0.0" if strategy == "overwrite" else "booted 1.0.0"
    assert d.once()[1].startswith(expected)


def test_two_keys(device, install, sign):  # noqa: F811
    """A fleet in the middle of a key change trusts two keys."""
    device.keys = (KEY, STRANGER)
    install(device, sign("3.0.0", 3, key=STRANGER, size=SMALL))
    assert device.once()[1].startswith("booted 3.0.0")
    device.keys = (KEY,)
    assert device.once()[0] == 3


# ---- flash ---------------------------------------------------------------------------------------


def test_secondary_after_a_revert(asked, run_kedge, one, padded):
    """`flash read` finds the image wherever the loader put it; --raw shows the slot as it lies."""
    state, out = asked.directory / "state", asked.directory / "out.bin"
    tlvs = 0x200 + SMALL
    new = padded[:tlvs + int.from_bytes(padded[tlvs + 2:tlvs + 4], "little")]
    for expected, verdict in [(one, "booted 2.0.0"), (new, "booted 1.0.0")]:
        assert asked.once()[1].startswith(verdict)
        assert run_kedge("flash", "read", "--state", state, "--slot", "secondary", out).returncode == 0
        got = out.read_bytes()
        assert len(got) == SLOT and got[:len(expected)] == expected
        assert got[len(expected):] == b"\xff" * (SLOT - len(expected))
        assert run_kedge("flash", "read", "--state", state, "--slot", "secondary", "--raw",
                         out).returncode == 0
        assert out.read_bytes() == asked.external()[:0x73000]
        assert run_kedge("flash", "read", "--state", state, "--slot", "primary", "--raw",
                         out).returncode == 0
        assert out.read_bytes() == asked.internal()[PRIMARY:PRIMARY + SLOT]


def test_read_without_an_image(device, run_kedge):  # noqa: F811
    """No image: the slot from its first byte, whatever lies there."""
    assert device.once()[0] == 3
    state, out = device.directory / "state", device.directory / "out.bin"
    rubbish = payload(SLOT, 5)
    put(device, (device.internal(), rubbish + b"\xff" * (0x800000 - SLOT)))
    assert run_kedge("flash", "read", "--state", state, "--slot", "secondary", out).returncode == 0
    assert out.read_bytes() == rubbish


def test_write_and_erase(device, install, run_kedge, one):  # noqa: F811
    """As a debugger: only the sectors that the file covers; erase covers slot and spares, all both chips."""
    assert device.once()[0] == 3
    full = payload(0x100000, 6), payload(0x800000, 7)
    put(device, full)
    state = device.directory / "state"
    install(device, one)
    end = PRIMARY + (len(one) + 4095) // 4096 * 4096
    internal = device.internal()
    assert internal == (full[0][:PRIMARY] + one + b"\xff" * (end - PRIMARY - len(one)) + full[0][end:])
    assert run_kedge("flash", "erase", "--state", state, "--slot", "secondary").returncode == 0
    assert device.external() == b"\xff" * 0x73000 + full[1][0x73000:]
    assert device.internal() == internal
    assert run_kedge("flash", "erase", "--state", state, "--slot", "primary").returncode == 0
    assert device.internal() == (full[0][:PRIMARY] + b"\xff" * SLOT + full[0][PRIMARY + SLOT:])
    assert run_kedge("flash", "erase", "--state", state, "--slot", "all").returncode == 0
    assert contents(device) == (b"\xff" * 0x100000, b"\xff" * 0x800000)


def test_write_hex(device, run_kedge, one, tmp_path):  # noqa: F811
    """A build's .hex lies at its own address; one that goes past the slot is named with its address."""
    from intelhex import IntelHex
    assert device.once()[0] == 3
    state, path = device.directory / "state", tmp_path / "one.hex"
    file = IntelHex()
    file.puts(PRIMARY, one)
    file.write_hex_file(path)
    assert run_kedge("flash", "write", "--state", state, "--slot", "primary", path).returncode == 0
    assert device.once()[1].startswith("booted 1.0.0")
    before = contents(device)
    file.puts(PRIMARY + SLOT, b"past the end")
    file.write_hex_file(path)
    done = run_kedge("flash", "write", "--state", state, "--slot", "primary", path)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "7D000" in done.stderr.upper(), done.stderr
    assert contents(device) == before


def test_report(asked, run_kedge):
    """The picture is one file that opens anywhere."""
    assert asked.once()[0] == 0
    out = asked.directory / "report.html"
    done = run_kedge("flash", "report", "--state", asked.directory / "state", "-o", out)
    assert done.returncode == 0, done.stderr
    assert "<html" in out.read_text()[:500].lower()


@pytest.mark.parametrize("options, second", [(["--pad"], "1.0.0"), (["--pad", "--confirm"], "2.0.0")])
def test_trailer_bytes_decide(device, install, one, sign, options, second):  # noqa: F811
    """`kedge sign --pad` makes what `imgtool sign --pad` makes: a request by its trailer."""
    install(device, one)
    install(device, sign("2.0.0", 2, size=SMALL, options=options), "secondary")
    assert device.once()[1].startswith("booted 2.0.0")
    assert device.once()[1].startswith(f"booted {second}")


# ---- kedge ---------------------------------------------------------------------------------------

COMMANDS = """keygen getpub sign verify dumpinfo image:list image:upload image:test image:confirm image:erase
image:slots os:echo os:reset os:params os:info os:bootloader recorder:show recorder:clear history:show policy:get
policy:set testplan:run flash:inspect flash:write flash:read flash:erase flash:report image os recorder history
policy testplan flash""".split()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_everywhere(run_kedge, command):
    """--help of every command is on stdout, exit 0; an unknown option is wrong usage and named."""
    words = command.split(":")
    done = run_kedge(*words, "--help")
    assert done.returncode == 0 and done.stderr == "" and " ".join(words) in done.stdout
    done = run_kedge(*words, "--frobnicate")
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert "--frobnicate" in done.stderr


@pytest.mark.parametrize("option", ["--state", "--key", "--layout", "--udp", "--pty", "--raw-pty", "--strategy",
                                    "--once", "--cut", "--cut-kind", "--seed", "--flash-time", "--crash-version",
                                    "--external-dead", "--enc-key", "--hci", "--pull"])
def test_help_of_the_device(kedge_device, option):
    """Every option is in --help, or is refused as one of a later version."""
    done = subprocess.run([kedge_device, "--help"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0 and done.stderr == ""
    if option not in done.stdout:
        done = subprocess.run([kedge_device, "--state", "/nonexistent", "--key", KEY, option, "x"],
                              capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 2 and option[2:] in done.stderr and "not in this version" in done.stderr


@pytest.mark.parametrize("words, named", [
    (["-x"], "-x"), (["-xyz"], "-x"), (["--once=1"], "--once"),
    (["--udp", "127.0.0.1:99999"], "99999"), (["--udp", "127.0.0.1:"], "--udp"), (["--udp", "127.0.0.1:1x"], "1x"),
    (["--cut-kind", "torn "], "torn "), (["--seed", "-1"], "-1"), (["--seed", ""], "--seed"),
    (["--cut", "4294967296"], "4294967296"), (["--crash-version", "1.2.3.4.5"], "1.2.3.4.5"),
    (["--crash-version", "256.0"], "256.0"), (["word"], "word"), (["--flash-time", "real"], "real")])
def test_wrong_usage_of_the_device(kedge_device, tmp_path, words, named):
    """Wrong usage is exit 2, one line, names the word, and makes nothing."""
    state = tmp_path / "s"
    done = subprocess.run([kedge_device, "--state", state, "--key", KEY, *words], capture_output=True,
                          text=True, timeout=30, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and named in done.stderr, done
    assert not state.exists()


def test_verify_says_version_and_hash(run_kedge, two, sign, tmp_path):  # noqa: F811
    """A release script takes version and hash from here."""
    path = tmp_path / "two.bin"
    path.write_bytes(two)
    done = run_kedge("verify", "-k", KEY, path)
    assert done.returncode == 0 and "2.0.0" in done.stdout and image_hash(two).hex() in done.stdout
    done = run_kedge("verify", "-k", STRANGER, path)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    facts = json.loads(run_kedge("dumpinfo", path, "--json").stdout)
    assert "2.0.0" in json.dumps(facts)
    # imgtool's --clear form: the flag and the key TLV, and a payload that is plain
    enc = KEY.parent / "enc.pem"
    path.write_bytes(sign("2.0.0", 2, size=SMALL, options=["-E", enc, "--clear"]))
    done = run_kedge("verify", "-k", KEY, path)
    assert done.returncode == 0, done.stderr


def test_policies(device, install, one, two, run_kedge, kedge):  # noqa: F811
    """Each key does what its line in the table says; a wrong key or value changes nothing."""
    install(device, one)
    device.start()

    def ask(*words):
        return run_kedge("--udp", f"127.0.0.1:{device.port}", *words)

    def reset():
        return device.next_boot(lambda: ask("os", "reset"))

    path = _file(device, two)
    before = ask("policy", "get", "--json").stdout
    flashes = contents(device)
    for key, value in [("nothing", "on"), ("hold", "perhaps"), ("attempts", "0"), ("attempts", "16"),
                       ("hold ", "on"), ("Hold", "on"), ("", "on"), ("hold", "")]:
        done = ask("policy", "set", key, value)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done
    assert ask("policy", "get", "--json").stdout == before and contents(device) == flashes

    assert ask("policy", "set", "hold", "on").returncode == 0
    assert ask("image", "upload", path, "--test").returncode == 0
    for _ in range(2):
        assert reset().startswith("booted 1.0.0")
    assert json.loads(ask("image", "list", "--json").stdout)["images"][1]["pending"]
    assert ask("policy", "set", "erase_pending", "refuse").returncode == 0
    assert ask("image", "erase").returncode == 1
    assert ask("policy", "set", "attempts", "2").returncode == 0
    assert ask("policy", "set", "hold", "off").returncode == 0
    assert [reset().split()[1] for _ in range(3)] == ["2.0.0", "2.0.0", "1.0.0"]

    digest = image_hash(two).hex()
    assert ask("policy", "set", "after_confirm", "wipe").returncode == 0
    assert ask("image", "test", digest).returncode == 0
    assert reset().startswith("booted 2.0.0")
    assert ask("image", "confirm").returncode == 0
    assert reset().startswith("booted 2.0.0")
    assert device.external()[:0x73000] == b"\xff" * 0x73000

    assert ask("policy", "set", "downgrade", "refuse").returncode == 0
    done = ask("image", "upload", _file(device, one, "one.bin"))
    assert done.returncode == 1 and "newer" in done.stderr, done
    assert ask("policy", "set", "downgrade", "allow").returncode == 0
    assert ask("image", "upload", _file(device, one, "one.bin"), "--confirm").returncode == 0
    assert reset().startswith("booted 1.0.0")
    assert reset().startswith("booted 1.0.0 (the confirmed image)")


def test_progress_bar_on_a_terminal_only(device, install, one, sign, kedge):  # noqa: F811
    """A log file full of carriage returns is no use; a person who waits wants to see it move."""
    install(device, one)
    device.start("--flash-time", "model")
    path = _file(device, sign("2.0.0", 2, size=80_000))
    command = [kedge, "--udp", f"127.0.0.1:{device.port}", "image", "upload", path]
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the last writer has closed it
            break
        shown += piece
        if not piece:
            break
    assert process.wait(60) == 0 and "uploaded" in process.stdout.read()
    assert b"\r[" in shown and b"%" in shown and b"KB/s" in shown
    Kedge(device, "udp", kedge).erase()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stderr == "" and "\r" not in done.stdout


def test_nothing_is_left_half_written(run_kedge, one, tmp_path):
    """A sign that fails must not leave half an image where a release script picks it up."""
    target = tmp_path / "out.bin"
    target.write_bytes(b"the last release")
    source = tmp_path / "in.bin"
    source.write_bytes(payload(SLOT, 1))
    done = run_kedge("sign", "-k", KEY, "-v", "1.0.0", "-H", "0x200", "--pad-header", "-S", hex(SLOT), source, target)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert target.read_bytes() == b"the last release"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.bin", "out.bin"]
