"""What the device tells of itself afterwards, beside the simulator's own log (DIR/trace)."""

import json
import time

import pytest
from devices import Device
from test_device import device, install, sign  # noqa: F401  (fixtures)

SMALL = 20000


@pytest.fixture(scope="module")
def one(sign):  # noqa: F811
    return sign("1.0.0", 1, size=SMALL)


@pytest.fixture(scope="module")
def padded(sign):  # noqa: F811
    return sign("2.0.0", 2, size=SMALL, options=["--pad"])


@pytest.fixture
def asked(device, install, one, padded):  # noqa: F811
    """1.0.0 runs, 2.0.0 is there with a request to test it."""
    install(device, one)
    install(device, padded, "secondary")
    return device


def last_boot(d):
    """Sectors erased and bytes programmed by the newest boot of the trace: {device: [sectors, bytes]}."""
    end, text = time.monotonic() + 10, ""
    while "# booted" not in text.rpartition("# power-on")[2] or not text.endswith("\n"):
        assert time.monotonic() < end, "the trace has no end"
        text = (d.directory / "state" / "trace").read_text()
    found = {}
    for line in text.splitlines():
        if line.startswith("# power-on"):
            found = {"internal": [0, 0], "external": [0, 0]}
        if line.startswith("#"):
            continue
        _, _, phase, chip, operation, _, size = line.split()
        if phase in ("boot", "validate", "swap"):
            found[chip][operation == "program"] += int(size) // (4096 if operation == "erase" else 1)
    return found


def newest(d, run_kedge):
    done = run_kedge("--udp", f"127.0.0.1:{d.port}", "history", "show", "--json")
    assert done.returncode == 0, done
    return json.loads(done.stdout)["records"][-1]


def agrees(record, log):
    for chip in ("internal", "external"):
        assert record[f"erases_{chip}"] == log[chip][0], (record, log)
        # in pages of 256; the words that say it and the seal come after it
        assert -64 <= record[f"bytes_{chip}"] - log[chip][1] <= 255, (record, log)


@pytest.mark.parametrize("cuts", [[], [120], [230], [150, 80, 90]])
def test_history_is_the_log(asked, run_kedge, cuts):
    """'What did it do?' must have the answer of the flash itself, also when power failed on the way."""
    for i, n in enumerate(cuts):
        assert asked.once("--cut", str(n), "--seed", str(i))[0] == 9
    asked.start()
    log = last_boot(asked)
    record = newest(asked, run_kedge)
    assert (record["from"], record["to"]) == ("1.0.0", "2.0.0")
    assert record["resumed"] == len(cuts) and record["text"] == "a new image on trial"
    assert record["repaired"] == 0
    agrees(record, log)
    if not cuts:
        assert record["retries"] == 0 and log["external"][0] == 8  # 6 units, mailbox, old header
    shown = run_kedge("--udp", f"127.0.0.1:{asked.port}", "history", "show").stdout
    seen = run_kedge("flash", "inspect", "--state", asked.directory / "state").stdout
    words = f"sectors erased: {log['internal'][0]} internal, {log['external'][0]} external"
    assert words in shown and words in seen
    assert all(("resumed after" in text) == bool(cuts) for text in (shown, seen))

    # and the revert, a clean one: nothing was tried again
    asked.next_boot(lambda: run_kedge("--udp", f"127.0.0.1:{asked.port}", "os", "reset"))
    record = newest(asked, run_kedge)
    assert (record["from"], record["to"]) == ("2.0.0", "1.0.0")
    assert (record["resumed"], record["retries"], record["repaired"]) == (0, 0, 0)
    agrees(record, last_boot(asked))


def operations(d):
    """Of the first boot of a device that is asked: both flashes as they were before are put back."""
    names = [d.directory / "state" / name for name in ("internal.bin", "external.bin")]
    before = [name.read_bytes() for name in names]
    trace = d.directory / "state" / "trace"
    known = len(trace.read_text().splitlines())
    assert d.once()[1].startswith("booted 2.0.0")
    for name, content in zip(names, before):
        name.write_bytes(content)
    return sum(not line.startswith("#") for line in trace.read_text().splitlines()[known:])


def test_external_dead_in_every_phase(asked, run_kedge, kedge_device):
    """A chip that came loose never stops a whole primary, is in the history, leaves SMP alive, and the
    update goes on when it is back."""

    def alive(expected, why):
        d = Device(kedge_device, asked.directory)
        d.start("--external-dead")
        assert d.verdicts()[0].startswith(f"booted {expected}") and why in d.verdicts()[0], d.lines
        assert run_kedge("--udp", f"127.0.0.1:{d.port}", "os", "echo", "still here").returncode == 0
        listed = run_kedge("--udp", f"127.0.0.1:{d.port}", "image", "list", "--json")
        assert listed.returncode == 0 and json.loads(listed.stdout)["images"][0]["version"] == expected
        text = newest(d, run_kedge)["text"] if why != "does not answer" else ""
        d.stop()
        return text

    alive("1.0.0", "does not answer")  # idle, a request waits
    total = operations(asked)
    # the last operations of the swap, behind the whole primary: 2.0.0 runs without its old image in reach
    assert asked.once("--cut", str(total - 12), "--cut-kind", "after")[0] == 9
    assert "dead in the middle of an update" in alive("2.0.0", "dead in the middle of an update")
    assert asked.once()[1].startswith("booted 2.0.0")  # back: the update is finished, on trial
    assert "revert due" in alive("2.0.0", "revert due")
    code, verdict = asked.once()
    assert code == 0 and verdict.startswith("booted 1.0.0"), verdict
    alive("1.0.0", "does not answer")
    assert asked.once()[1].startswith("booted 1.0.0")
