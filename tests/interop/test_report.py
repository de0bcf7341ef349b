"""`kedge flash report`: what it shows and exports is what the device did."""

import collections
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import pytest

from browser import Page
from clients import Kedge
from devices import FIXTURES, KEY, Device, image_hash, payload

ROOT = FIXTURES.parents[1]
Operation = collections.namedtuple("Operation", "time boot phase device kind at size")


class Story:
    """A device with an update and its revert, the recorder's counts, the trace."""

    def __init__(self, device, recorder, run_kedge):
        self.device, self.recorder, self.run_kedge = device, recorder, run_kedge
        self.state = device.directory / "state"
        self.trace = (self.state / "trace").read_text()
        self.operations = [Operation(int(t), int(b), p, d, k, int(a, 16), int(s))
                           for t, b, p, d, k, a, s in (line.split() for line in
                                                       self.trace.splitlines() if line[0] != "#")]

    def report(self, path, *options):
        done = self.run_kedge("flash", "report", "--state", self.state, "-o", path, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def count(self, upto=None, **wanted):
        """(erases, programs, programmed bytes) of the operations that have these facts."""
        chosen = [o for o in self.operations[:upto]
                  if all(getattr(o, k) == v for k, v in wanted.items())]
        programs = [o for o in chosen if o.kind == "program"]
        return len(chosen) - len(programs), len(programs), sum(o.size for o in programs)


@pytest.fixture(scope="module")
def story(kedge, kedge_device, run_kedge, tmp_path_factory):
    directory = tmp_path_factory.mktemp("report")
    images = []
    for version, seed in (("1.0.0", 1), ("2.0.0", 2)):
        source, target = directory / "in.bin", directory / f"{version}.img"
        source.write_bytes(payload(10_000, seed))
        subprocess.run([sys.executable, "-m", "imgtool.main", "sign", "-k", KEY, "-v", version, "-H",
                        "0x200", "--pad-header", "-S", "0x71000", "--align", "4", source, target],
                       check=True, capture_output=True)
        images.append(target)
    device = Device(kedge_device, directory)
    done = run_kedge("flash", "write", "--state", directory / "state", "--slot", "primary", images[0])
    assert done.returncode == 0, done.stderr
    device.start()
    client = Kedge(device, "udp", kedge)
    client.upload(images[1].read_bytes())
    client.test(image_hash(images[1].read_bytes()))
    assert device.next_boot(client.reset).startswith("booted 2.0.0")
    assert device.next_boot(client.reset).startswith("booted 1.0.0")
    recorder = json.loads(client.run("recorder", "show", "--json"))
    device.stop()
    return Story(device, recorder, run_kedge)


@pytest.fixture(scope="module")
def page(story, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    story.report(path)
    with Page(path) as opened:
        yield opened


def test_trace_and_recorder_agree(story):
    """The picture and `recorder show` tell different stories of one device."""
    for device in ("internal", "external"):
        for phase in ("boot", "validate", "swap", "idle", "download", "decode"):
            erases, programs, size = story.count(device=device, phase=phase)
            counts = story.recorder[device][phase]
            assert (counts["erases"], counts["program_bytes"]) == (erases, size), (device, phase)
            if device == "external":  # the recorder counts words of the internal flash
                assert counts["programs"] == programs, phase


def test_verdict(story, page, tmp_path):
    """The answer that users print and show to others is wrong, or not there."""
    said = story.report(tmp_path / "r.html")
    line = "internal writes during download: 0"
    assert line in said and page.text("verdict-line") == line
    erases, programs, size = story.count(device="external", phase="download")
    numbers = page.text("verdict-numbers")
    assert f"{programs} programs of {size} bytes and {erases} erases" in numbers
    assert page.js("document.getElementById('verdict').className") == "good"


def test_slider_replays(story, page):
    """The slider does not replay: figures stand still, or count what has not happened yet."""
    total = len(story.operations)
    assert page.js("document.getElementById('slider').max") == str(total)

    def check(done):
        assert page.js("position") == done
        assert page.text("count") == f"operation {done:,} of {total:,}"
        for device in ("internal", "external"):
            assert tuple(page.number_in(f"all-{device}-{f}") for f in
                         ("erases", "programs", "bytes")) == story.count(done, device=device)
            assert tuple(page.number_in(f"download-{device}-{f}") for f in
                         ("erases", "programs", "bytes")) == story.count(
                             done, device=device, phase="download")
        last = story.operations[done - 1]
        assert f"{last.phase}: {last.kind} of {last.size:,} bytes at 0x{last.at:06X}" in page.text("now")

    check(total)
    for fraction in (0.75, 0.2, 0.5):
        page.drag("slider", fraction)
        there = page.js("position")
        assert abs(there - total * fraction) < total * 0.05
        check(there)
    page.js("document.getElementById('slider').focus()")
    page.key("ArrowRight", 39)
    check(there + 1)
    page.key("Home", 36)
    assert page.js("position") == 0 and page.number_in("all-external-erases") == 0
    page.key("End", 35)
    check(total)
    page.js("location.hash = '#op=7'; fromHash()")
    check(7)
    assert page.errors == []


def test_play_reaches_the_end(page):
    """The play button does nothing, or never stops."""
    page.js("go(count - 20); document.getElementById('play').click()")
    for _ in range(200):
        if page.js("position === count && playing === 0"):
            break
        page.ask("Runtime.evaluate", expression="new Promise((r) => setTimeout(r, 50))",
                 awaitPromise=True)
    assert page.js("position === count && playing === 0")


def test_sectors_end_as_they_are(story, page):
    """The grids show other contents than the flashes have."""
    page.js("go(count)")
    for number, name in enumerate(("internal", "external")):
        data = (story.state / f"{name}.bin").read_bytes()
        used = [s for s in range(len(data) // 4096)
                if data[s * 4096:(s + 1) * 4096] != b"\xff" * 4096]
        drawn = page.js(f"[...state.device[{number}].filled].map((n, s) => n ? s : -1)"
                        ".filter((s) => s >= 0)")
        assert drawn == used
        erases = page.js(f"[...state.device[{number}].erases]")
        assert sum(erases) == story.count(device=name)[0]
        for operation in story.operations:
            if operation.device == name and operation.kind == "erase":
                assert erases[operation.at // 4096] > 0
    # nothing came from outside of the record, since the debugger is in it
    assert page.js("state.device.some((d) => d.writer.includes(BEFORE) || d.writer.includes(OUTSIDE))"
                   ) is False
    assert story.count(phase="debugger")[0] == 3


def test_hover_names_a_sector(story, page):
    """A sector cannot be asked for its address, its region and its erases."""
    page.js("go(count)")
    spot = page.js("(() => { const m = maps.find((m) => m.range.name === 'secondary');"
                   "const b = m.canvas.getBoundingClientRect(); return [b.x + m.cell * 1.5, b.y + 3]})()")
    page.ask("Input.dispatchMouseEvent", type="mouseMoved", x=spot[0], y=spot[1])
    tip = page.text("tip")
    erases = sum(o.kind == "erase" and o.device == "external" and o.at == 0x1000
                 for o in story.operations)
    assert "external 0x001000, secondary" in tip and f"{erases} erase" in tip


def test_filters(story, page):
    """A filter hides nothing, or its figures stay wrong after it is lifted."""
    page.js("go(count); document.getElementById('phase-swap').click()")
    assert page.number_in("swap-internal-erases") == 0
    left = [sum(x) for x in zip(*(story.count(device="external", phase=p)
                                  for p in ("boot", "validate", "idle", "download", "debugger")))]
    assert page.number_in("all-external-erases") == left[0]
    assert page.number_in("all-external-programs") == left[1]
    page.js("document.getElementById('phase-swap').click()")
    assert page.number_in("all-external-erases") == story.count(device="external")[0]


def test_boots_in_words(story, page):
    """The boot history of the page is not what the device said."""
    words = page.text("boots")
    for number, verdict in enumerate(story.device.verdicts(), 1):
        assert f"Boot {number}: {verdict}" in words
    assert "not confirmed: the old image is back: 2.0.0 -> 1.0.0" in page.text("history")
    page.js("document.querySelectorAll('#boots li[data-op]')[1].click()")
    assert page.js("position") == next(i for i, o in enumerate(story.operations) if o.boot == 2)


def test_needs_no_network(story, page, tmp_path):
    """Customers open it in a lab without a network; a page that fetches something is broken there."""
    assert [u for u in page.requests if not u.startswith("file:")] == []
    text = story.report(tmp_path / "r.html") and (tmp_path / "r.html").read_text()
    assert not re.search(r"https?://|src=|@import|url\(", text)


def test_picture(page, tmp_path):
    """Canvases that stay empty: everything else is right and nobody sees anything."""
    page.js("go(count)")
    page.screenshot(tmp_path / "report.png")
    assert (tmp_path / "report.png").stat().st_size > 40_000
    # below the strip of phases, where each program is a dot of its phase's colour
    colours = page.js("(() => { const c = document.getElementById('timeline'), seen = new Set();"
                      "const d = c.getContext('2d').getImageData(0, 20, c.width, 190).data;"
                      "for (let i = 0; i < d.length; i += 4) seen.add(d[i] << 16 | d[i+1] << 8 | d[i+2]);"
                      "return [...seen].map((v) => '#' + v.toString(16).padStart(6, '0'))})()")
    for phase in ("download", "swap", "boot", "debugger"):
        assert page.js(f"colour['phase-{phase}']") in colours, phase


def write_trace(state, *lines):
    (state / "trace").write_text("\n".join(lines) + "\n")


@pytest.fixture
def blank(run_kedge, tmp_path):
    """A state directory with an empty trace, and how to report on it."""
    state = tmp_path / "state"
    assert run_kedge("flash", "erase", "--state", state, "--slot", "secondary").returncode == 0
    (state / "trace").write_text("")
    return state


def report_of(run_kedge, state, name="report.html", *options):
    path = state.parent / name
    done = run_kedge("flash", "report", "--state", state, "-o", path, *options)
    assert done.returncode == 0, done.stderr
    return path, done.stdout


def test_bad_news_is_told(run_kedge, blank):
    """A download that did write the internal flash is reported as a good one."""
    write_trace(blank, "# process 1 clock-runs", "# power-on 1 0",
                "10 1 download external program 0x000000 256",
                "20 1 download internal erase 0x00C000 4096",
                "30 1 download internal program 0x00C000 16")
    path, said = report_of(run_kedge, blank)
    assert "internal writes during download: 2" in said
    with Page(path) as page:
        assert page.js("document.getElementById('verdict').className") == "bad"
        assert page.text("verdict-line") == "internal writes during download: 2"


def test_nothing_happened(run_kedge, blank):
    """An empty record ends in an error, or in a verdict about a download that never was."""
    path, said = report_of(run_kedge, blank)
    assert "no download in this record" in said
    with Page(path) as page:
        assert page.text("now") == "No operation was recorded."
        page.key("ArrowRight", 39)
        page.js("document.getElementById('play').click()")
        assert page.errors == []


def test_hostile_trace(run_kedge, blank):
    """A trace or a directory name with markup in it runs as a script in the reader's browser."""
    evil = "</script><script>window.hit=1</script><img src=x onerror='window.hit=1'>"
    state = blank.rename(blank.parent / "<img src=x onerror=alert(1)>")
    write_trace(state, "# process " + evil, "# power-on 1 0", "# booted " + evil, "# " + evil,
                "# holds internal 0xC000-0x" + "F" * 40 + " -- 1-2-3", "# holds nowhere 1-2", "#",
                "5 1 swap external erase 0x000000 4096",
                "6 1 swap external erase 0x000001 4096",          # not a sector
                "6 1 swap external program 0xFFFFFFFF 4294967295",  # not on the chip
                "6 1 dance external program 0x000000 16", "x" * 5000, "7 1 swap external er")
    (state / "trace").write_bytes((state / "trace").read_bytes() + b"\xff\x00\xfe half a line")
    path, said = report_of(run_kedge, state)
    assert "1 operations" in said and "6 lines" in said
    with Page(path) as page:
        assert page.js("typeof window.hit") == "undefined"
        assert page.js("document.images.length") == 0
        assert "<img src=x onerror=alert(1)>" in page.text("title")
        assert "booted </script>" in page.text("boots")
        assert page.errors == []
    path, _ = report_of(run_kedge, state, "report.json", "--format", "chrome-trace")
    json.loads(path.read_text())


def test_changed_from_outside(run_kedge, blank):
    """A flash that was edited between two runs looks as if the device had done it."""
    with open(blank / "internal.bin", "r+b") as f:
        f.seek(0x20000)
        f.write(bytes(4096))
    write_trace(blank, "# process 1 clock-runs", "# holds internal", "# holds external",
                "# power-on 1 0", "10 1 swap external erase 0x000000 4096")
    path, _ = report_of(run_kedge, blank)
    with Page(path) as page:
        assert page.js("state.device[0].writer[0x20] === OUTSIDE")
        page.js("go(0)")
        assert page.js("state.device[0].filled[0x20]") == 0


def test_fifty_thousand_operations(run_kedge, blank):
    """A long life of a device makes a page that cannot be moved through."""
    lines, time = ["# process 1 clock-runs"], 0
    for sweep in range(60):
        lines.append(f"# power-on {sweep + 1} {time}")
        for sector in range(50):
            lines.append(f"{time} 1 swap external erase 0x{sector * 4096:06X} 4096")
            lines += [f"{time + p} 1 swap external program 0x{sector * 4096 + p * 256:06X} 256"
                      for p in range(16)]
            time += 50_000
    write_trace(blank, *lines)
    path, said = report_of(run_kedge, blank)
    assert "51000 operations" in said and path.stat().st_size < 3_000_000
    with Page(path) as page:
        times = page.js("[0, 25499, 25498, 50999, 1, 51000, 30000].map((n) => {"
                        "const t = performance.now(); go(n); return performance.now() - t})")
        assert sorted(times)[len(times) // 2] < 400 and max(times) < 3000, times
        assert page.number_in("all-external-erases") == 30000 // 17 + 1
        assert page.errors == []


def test_continuous_clock(story, tmp_path):
    """Each process starts at zero: operations of two runs lie over each other."""
    path = tmp_path / "trace.json"
    story.report(path, "--format", "chrome-trace")
    events = [e for e in json.loads(path.read_text())["traceEvents"] if e["ph"] == "X"]
    assert len(events) == len(story.operations)
    for before, after in zip(events, events[1:]):
        assert after["ts"] >= before["ts"]
        assert after["pid"] != before["pid"] or after["ts"] >= before["ts"] + before["dur"]


def test_chrome_trace(story, tmp_path):
    """Perfetto refuses the export, or shows other operations than were done."""
    path = tmp_path / "trace.json"
    story.report(path, "--format", "chrome-trace")
    events = json.loads(path.read_text())["traceEvents"]
    names = {(e["pid"], e.get("tid")): e["args"]["name"] for e in events if e["ph"] == "M"}
    done = [e for e in events if e["ph"] == "X"]
    assert [(names[e["pid"], None].split()[0], names[e["pid"], e["tid"]], e["name"],
             int(e["args"]["address"], 16), e["args"]["bytes"]) for e in done] == [
                 (o.device, o.phase, o.kind, o.at, o.size) for o in story.operations]
    assert all(isinstance(e[k], int) and e[k] >= 0 for e in done for k in ("ts", "dur", "pid", "tid"))
    said = [e["name"] for e in events if e["ph"] == "i"]
    for verdict in story.device.verdicts():
        assert verdict in said


def programs_on_bus(path):
    """Data of each page program that the device logged (FORMAT.md [L-4])."""
    log, at, found = path.read_bytes(), 0, []
    while at < len(log):
        _, sent, kept, _ = struct.unpack_from("<QHHI", log, at)
        command = log[at + 16:at + 16 + sent]
        at += 16 + sent + kept
        if command[:1] == b"\x02":
            found.append(command[4:])
    return found


def test_wires_by_sigrok(story, tmp_path):
    """sigrok's decoder reads other erases and programs off the exported wires than were done."""
    path = tmp_path / "wires.vcd"
    story.report(path, "--format", "vcd")
    done = subprocess.run(
        ["sigrok-cli", "-I", "vcd", "-i", path, "-P",
         "spi:clk=clk:mosi=mosi:miso=miso:cs=cs,spiflash:chip=macronix_mx25l6405d", "-A",
         "spiflash=se:be:ce:ce2:pp:wren"], capture_output=True, text=True, timeout=280, check=True)
    decoded, data, pages, enabled = [], {}, [], False
    for line in done.stdout.splitlines():
        erase = re.search(r"Erase sector \d+ \((0x[0-9a-f]+)\)", line)
        program = re.search(r"Page program \(addr (0x[0-9a-f]+), (\d+) bytes\): (.*)", line)
        if "Write enable" in line:
            enabled = True
            continue
        assert enabled, f"no write enable before: {line}"
        enabled = False
        assert erase or program, line
        if erase:
            at = int(erase[1], 16)
            decoded.append(("erase", at, 4096))
            data = {k: v for k, v in data.items() if not at <= k < at + 4096}
        else:
            at, size = int(program[1], 16), int(program[2])
            decoded.append(("program", at, size))
            pages.append(bytes.fromhex(program[3]))
            for k, byte in enumerate(pages[-1]):
                data[at + k] = data.get(at + k, 0xFF) & byte
    assert decoded == [(o.kind, o.at, o.size) for o in story.operations if o.device == "external"]
    assert pages == programs_on_bus(story.state / "bus")
    # what was on the wires is what lies in the chip
    external = story.device.external()
    assert data and all(external[at] == byte for at, byte in data.items())


def tshark(pcap, *options):
    """tshark takes no script from root: then as nobody, with copies that nobody can read."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        for path in (pcap, ROOT / "tools" / "wireshark" / "smp.lua"):
            shutil.copy(path, directory)
            os.chmod(os.path.join(directory, path.name), 0o644)
        other = {"user": "nobody"} if os.getuid() == 0 else {}
        done = subprocess.run(
            ["tshark", "-X", "lua_script:smp.lua", "-r", pcap.name, *options], cwd=directory,
            capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "HOME": directory}, **other)
    assert done.returncode == 0 and "Lua" not in done.stderr, done.stderr
    return done.stdout


def fields(pcap, *names):
    rows = tshark(pcap, "-T", "fields", *(a for n in names for a in ("-e", n)))
    return [row.split("\t") for row in rows.splitlines()]


def test_messages_by_tshark(story):
    """Wireshark shows the traffic as nameless bytes, or malformed."""
    pcap = story.state / "smp.pcap"
    rows = fields(pcap, "mcumgr.name", "mcumgr.op", "mcumgr.seq", "mcumgr.response_to", "frame.number",
                  "_ws.malformed", "_ws.expert")
    assert all(row[5] == "" and row[6] == "" for row in rows), rows
    names = collections.Counter(row[0] for row in rows)
    assert names["os reset"] == 4 and names["image state"] >= 2 and names["kedge recorder"] == 2
    assert names["image upload"] >= 6 and "" not in names
    asked = {row[4]: row for row in rows if row[1] in "02"}
    answers = [row for row in rows if row[1] in "13"]
    assert len(asked) == len(answers)
    for row in answers:
        request = asked[row[3]]
        assert request[0] == row[0] and request[2] == row[2]
    # the payload is handed to the CBOR dissector: keys and the text of the upload's bytes
    text = tshark(pcap, "-V", "-Y", 'mcumgr.name == "image upload" && mcumgr.op == 2', "-c", "5")
    assert "Concise Binary Object Representation" in text
    assert "Text String: off" in text and "Text String: data" in text


def test_truncated_message_by_tshark(story, tmp_path):
    """A datagram shorter than its length says breaks the dissector instead of being named."""
    def packet(data):
        ip = bytes([0x45, 0]) + (28 + len(data)).to_bytes(2, "big") + bytes(4) + bytes(
            [64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1])
        udp = b"\x05\x39\x05\x39" + (8 + len(data)).to_bytes(2, "big") + bytes(2)
        size = (28 + len(data)).to_bytes(4, "little")
        return bytes(8) + size + size + ip + udp + data

    pcap = tmp_path / "bad.pcap"
    pcap.write_bytes((story.state / "smp.pcap").read_bytes()[:24] + b"".join(map(packet, [
        bytes.fromhex("0a0000100000010f") + b"\xbf", bytes.fromhex("0800000000000206"),
        bytes.fromhex("0a000001ffff01ffa0ff"), b"\x08", b"\xff" * 40])))
    rows = fields(pcap, "mcumgr.name", "mcumgr.length")
    assert [row[0] for row in rows] == ["os command 15", "os params", "group 65535 command 255", "", ""]
    text = tshark(pcap, "-V")
    assert "shorter than its length says" in text and "Bytes behind the message" in text


def test_logs_survive_kill(kedge_device, run_kedge, kedge, tmp_path):
    """After a crash of the process the record of what led to it is gone or unreadable."""
    image = FIXTURES / "p256.img"
    assert run_kedge("flash", "write", "--state", tmp_path / "state", "--slot", "primary",
                     image).returncode == 0
    device = Device(kedge_device, tmp_path)
    device.start()
    Kedge(device, "udp", kedge).upload(image.read_bytes())
    time.sleep(0.1)  # the log is on disk 10 ms after what it tells
    device.kill()
    device.start()
    device.stop()
    story = Story(device, None, run_kedge)
    assert story.count(phase="download")[1] > 0
    assert "not understood" not in story.report(tmp_path / "r.html")
    assert story.trace.count("# process ") == 3 and story.trace.count("# booted ") == 2
    rows = fields(story.state / "smp.pcap", "mcumgr.name")
    assert rows and all(row[0] for row in rows)


@pytest.mark.parametrize("words, code, says", [
    (["--state", "absent", "-o", "r.html"], 1, "kedge-device --state"),
    (["--state", "empty", "-o", "r.html"], 1, "start kedge-device"),
    (["--state", "empty"], 2, "-o FILE"),
    (["-o", "r.html"], 2, "--state"),
    (["--state", "empty", "-o", "r.html", "--format", "pdf"], 2, "chrome-trace"),
    (["--state", "traced", "-o", "no/such/place.html"], 1, "cannot write"),
    (["--state", "traced", "-o", "r.vcd", "--format", "vcd"], 1, "start kedge-device"),
])
def test_misuse(kedge, tmp_path, words, code, says):
    """A wrong call ends without a word, with half a file, or makes a state directory."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "traced").mkdir()
    (tmp_path / "traced" / "trace").write_text("")
    done = subprocess.run([kedge, "flash", "report", *words], cwd=tmp_path, capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == code and says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("r.*")) and not (tmp_path / "absent").exists()
