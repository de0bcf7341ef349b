"""kedge-device --pull from real servers (busybox httpd, Debian's coap-server), over a cellular modem,
and from servers of bad manners: what a cellular product does. If it fails, a download that a power cut
ends begins again, never comes to an end, or another file than the one announced is started."""

import hashlib
import http.server
import socket
import subprocess
import sys
import threading
import time

import pytest
from paths import BIN, ROOT
from test_device import device, install, sign  # noqa: F401

KEDGE = BIN / "kedge"


def tcp_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def served(tmp_path):
    root = tmp_path / "www"
    root.mkdir()
    port = tcp_port()
    server = subprocess.Popen(["busybox", "httpd", "-f", "-p", f"127.0.0.1:{port}", "-h", root])
    yield root, f"http://127.0.0.1:{port}/image.bin"
    server.kill()
    server.wait(10)


def put(root, image):
    (root / "image.bin").write_bytes(image)
    (root / "image.bin.sha256").write_text(hashlib.sha256(image).hexdigest() + "  image.bin\n")


def wait_for(device, words, seconds=60):
    end = time.monotonic() + seconds
    while not any(words in line for line in device.lines):
        assert time.monotonic() < end, device.lines
        time.sleep(0.05)


def test_pull_over_power_cuts(device, install, sign, served):
    """Power fails twice in the middle; the chunks that were there are not fetched again."""
    root, url = served
    one, two = sign("1.0.0", 1), sign("2.0.0", 2)
    install(device, one)
    put(root, two)
    for cut in (60, 90):
        done = subprocess.run(device.command("--udp", f"127.0.0.1:{device.port}", "--pull", url,
                                             "--cut", str(cut)), timeout=60, check=False,
                              capture_output=True, text=True)
        assert done.returncode == 9, done.stderr
    said = subprocess.run([KEDGE, "flash", "inspect", "--state", device.directory / "state"], text=True,
                          capture_output=True, check=True).stdout.splitlines()
    row = next(i for i, line in enumerate(said) if line.startswith("staging"))
    picture = said[row + 2].strip()
    there = picture.count("#")
    assert picture == "|" + "#" * there + "." * (25 - there) + "|" and 0 < there < 25, said[row:row + 5]
    assert f"of {len(two)} bytes (plain), 25 chunks of 4096" in said[row + 1] and hashlib.sha256(two).hexdigest()[:16] in said[row + 1]
    assert f"receiving: {there} of 25 chunks are there" in said[row + 3] and f"missing {there}-24" in said[row + 3]
    device.start("--pull", url)
    wait_for(device, "chunks are here")
    assert f"pull: {there} of 25 chunks are here" in "".join(device.lines)
    first = next(line for line in device.lines if "chunks are here" in line)
    assert "pull: 0 of" not in first, first
    wait_for(device, "booted 2.0.0")
    device.stop()
    assert device.once()[1].startswith("booted 1.0.0")  # it was a trial: nobody confirmed


def test_pull_cut_anywhere(device, install, sign, served):
    """Process after process, each cut in the middle of an operation, also where the last one was: what
    was torn is written again as it was meant, and no rule of the flash is broken."""
    root, url = served
    two = sign("2.0.0", 2)
    install(device, sign("1.0.0", 1))
    put(root, two)
    for cut in [75, *range(25, 60, 3)]:
        done = subprocess.run(device.command("--udp", f"127.0.0.1:{device.port}", "--pull", url, "--cut", str(cut),
                                             "--seed", str(cut)), timeout=60, check=False, capture_output=True, text=True)
        assert done.returncode == 9, done.stderr
    device.start("--pull", url)
    wait_for(device, "booted 2.0.0")
    device.stop()


def test_pull_wrong_file(device, install, sign, served):
    """What was fetched is not what was announced: nothing is asked for, the reason is said."""
    root, url = served
    install(device, sign("1.0.0", 1))
    put(root, sign("2.0.0", 2))
    (root / "image.bin.sha256").write_text("00" * 32 + "  image.bin\n")
    device.start("--pull", url)
    wait_for(device, "hash")
    device.stop()
    assert device.once()[1].startswith("booted 1.0.0")


def test_pull_no_such_file(device, install, sign, served):
    """A file that is not there stops the pull with its reason; the device stays up."""
    root, url = served
    install(device, sign("1.0.0", 1))
    put(root, sign("2.0.0", 2))
    (root / "image.bin").unlink()
    device.start("--pull", url)
    wait_for(device, "pull stopped", 20)
    assert device.alive()
    device.stop()


# ---- CoAP ---------------------------------------------------------------------------------------


@pytest.fixture
def coap(tmp_path):
    """Debian's coap-server, filled by its own client; DTLS-PSK on the next port."""
    port = tcp_port()
    server = subprocess.Popen(["coap-server-openssl", "-A", "127.0.0.1", "-p", str(port), "-d", "8", "-k", "0123secret",
                               "-v", "3"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def fill(name, content):
        file = tmp_path / name
        file.write_bytes(content)
        for _ in range(50):
            done = subprocess.run(["coap-client-openssl", "-m", "put", "-b", "1024", "-B", "3", "-f", file,
                                   f"coap://127.0.0.1:{port}/{name}"], timeout=30, check=True, capture_output=True)
            if not done.stderr:
                return
            time.sleep(0.1)
        raise AssertionError(done.stderr)

    yield port, fill
    server.kill()
    server.wait(10)


def manifest_of(image, tmp_path, *options):
    file = tmp_path / "manifest-of.bin"
    file.write_bytes(image)
    subprocess.run([KEDGE, "stage", "manifest", *options, file], check=True, stdout=subprocess.DEVNULL)
    return (tmp_path / "manifest-of.bin.manifest").read_bytes()


@pytest.mark.parametrize("scheme", ["coap", "coaps"])
def test_coap(device, install, sign, coap, tmp_path, scheme):
    """Block by block, in clear and by DTLS-PSK, over a power cut."""
    port, fill = coap
    image = sign("2.0.0", 2)
    install(device, sign("1.0.0", 1))
    fill("image.bin", image)
    fill("image.bin.manifest", manifest_of(image, tmp_path, "--chunk", "2000"))
    options = ["--pull", f"{scheme}://127.0.0.1:{port + (scheme == 'coaps')}/image.bin", "--psk", "CoAP:0123secret"]
    done = subprocess.run(device.command("--udp", f"127.0.0.1:{device.port}", *options, "--cut", "120"), timeout=60,
                          check=False, capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    device.start(*options)
    wait_for(device, "booted 2.0.0")
    assert not any("pull: 0 of" in line for line in device.lines), device.lines
    device.stop()


def test_coap_refusals(device, install, sign, coap):
    """A key that the server does not know; no such file: each said, and the device stays up."""
    port, fill = coap
    fill("other.bin", b"x")
    install(device, sign("1.0.0", 1))
    device.start("--pull", f"coaps://127.0.0.1:{port + 1}/image.bin", "--psk", "CoAP:wrong")
    wait_for(device, "again in")
    assert device.alive()
    device.stop()
    done = subprocess.run(device.command("--pull", f"coaps://127.0.0.1:{port + 1}/image.bin"), timeout=30, check=False,
                          capture_output=True, text=True)
    assert done.returncode != 0 and "coaps needs a key" in done.stderr, done
    device.start("--pull", f"coap://127.0.0.1:{port}/image.bin")
    wait_for(device, "put a .manifest")
    assert device.alive()
    device.stop()


# ---- a cellular modem ---------------------------------------------------------------------------


@pytest.fixture
def modem(tmp_path):
    """tests/modem/modem.py on a pty, which really asks the server."""
    processes = []

    def start(*options):
        link = tmp_path / "tty-modem"
        processes.append(subprocess.Popen([sys.executable, ROOT / "tests/modem/modem.py", link, *options]))
        while not link.exists():
            time.sleep(0.01)
        return link

    start.unplug = lambda: [(process.kill(), process.wait(10)) for process in processes]
    yield start
    start.unplug()


def run_policy(device, *words):
    device.start()
    subprocess.run([KEDGE, "--udp", f"127.0.0.1:{device.port}", "policy", *words], check=True,
                   stdout=subprocess.DEVNULL)
    device.stop()


def test_modem_over_power_cuts(device, install, sign, served, modem, tmp_path):
    """From the modem's first chunk to the confirmed image, cut twice; what was there is not asked for
    again; it waits for the user's word; a modem that is unplugged meanwhile takes nothing with it."""
    root, url = served
    image = sign("2.0.0", 2)
    install(device, sign("1.0.0", 1))
    put(root, image)
    (root / "image.bin.manifest").write_bytes(manifest_of(image, tmp_path))
    options = ["--pull", url, "--modem", modem()]
    run_policy(device, "set", "hold", "on")
    for cut in (60, 90):
        done = subprocess.run(device.command("--udp", f"127.0.0.1:{device.port}", *options, "--cut", str(cut)),
                              timeout=60, check=False, capture_output=True, text=True)
        assert done.returncode == 9, done.stderr
    device.start(*options)
    wait_for(device, "it waits for kedge policy")
    assert not any("pull: 0 of" in line for line in device.lines), device.lines
    modem.unplug()
    udp = ["--udp", f"127.0.0.1:{device.port}"]
    reset = lambda: subprocess.run([KEDGE, *udp, "os", "reset"], check=True)  # noqa: E731
    assert device.next_boot(reset) == "booted 1.0.0 (a request waits: policy hold is on)"
    subprocess.run([KEDGE, *udp, "policy", "set", "hold", "off"], check=True)
    assert device.next_boot(reset).startswith("booted 2.0.0")
    subprocess.run([KEDGE, *udp, "image", "confirm"], check=True, stdout=subprocess.DEVNULL)
    assert device.next_boot(reset).startswith("booted 2.0.0")
    device.stop()


@pytest.mark.parametrize("seed", ["3", "5", "8"])
def test_modem_that_lies(device, install, sign, served, modem, tmp_path, seed):
    """It cuts short, repeats, changes, stalls, refuses, starts anew: the image arrives all the same, exact."""
    root, url = served
    image = sign("2.0.0", 2)
    install(device, sign("1.0.0", 1))
    put(root, image)
    (root / "image.bin.manifest").write_bytes(manifest_of(image, tmp_path, "--chunk", "1024"))
    device.start("--pull", url, "--modem", modem("--faults", seed))
    wait_for(device, "booted 2.0.0", 240)
    device.stop()


def test_modem_refusals(device, install, sign, served, modem, tmp_path):
    """No line, no modem on it, no manifest: each said in words."""
    root, url = served
    install(device, sign("1.0.0", 1))
    put(root, sign("2.0.0", 2))
    done = subprocess.run(device.command("--udp", f"127.0.0.1:{device.port}", "--pull", url, "--modem", tmp_path / "none"),
                          timeout=30, check=False, capture_output=True, text=True)
    assert done.returncode != 0 and "is no serial line" in done.stderr, done
    device.start("--pull", url, "--modem", modem())
    wait_for(device, "put a .manifest beside it")
    assert device.alive()
    device.stop()
    done = subprocess.run(device.command("--pull", "coap://127.0.0.1/x", "--modem", modem()), timeout=30, check=False,
                          capture_output=True, text=True)
    assert done.returncode != 0 and "over a modem" in done.stderr, done


# ---- web servers of bad manners -----------------------------------------------------------------


class Manners(http.server.BaseHTTPRequestHandler):
    """What to do wrong, in class attributes set by the test."""

    image, manifest, mode = b"", b"", ""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        cls = type(self)
        cls.requests = cls.requests + 1
        body = cls.manifest if self.path.endswith(".manifest") else cls.image
        start, end, status = 0, len(body), 200
        if "Range" in self.headers and self.path.endswith(".bin"):
            start, end = (int(n) for n in self.headers["Range"].removeprefix("bytes=").split("-"))
            end, status = end + 1, 206
            if cls.mode == "no ranges":
                start, end, status = 0, len(body), 200
            if cls.mode == "busy" and cls.requests < 5:
                status = 503
            if cls.mode == "another range" and cls.requests < 4:
                start, end = start + 512, end
            if cls.mode == "breaks":
                cls.breaks += 1
        if cls.mode == "damaged manifest" and self.path.endswith(".manifest"):
            cls.manifests += 1
            status = 503 if cls.manifests <= cls.unanswered else 200
            if cls.manifests <= cls.unanswered + cls.damaged:
                body = bytes([body[0] ^ 1]) + body[1:]
        self.send_response(status)
        if cls.mode != "changes in silence":
            self.send_header("ETag", f'"{cls.tag}"')
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(body)}")
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        body = body[start:end]
        if self.path.endswith(".bin") and cls.mode == "breaks" and cls.breaks < 4:
            body = body[:20000]
            self.close_connection = True
        if self.path.endswith(".bin") and cls.mode.startswith("changes") and cls.tag == 1:
            self.wfile.write(body[:20000])
            cls.tag, cls.image, cls.manifest = 2, *cls.second
            self.close_connection = True
            return
        self.wfile.write(body)


@pytest.fixture
def manners(tmp_path):
    class Mine(Manners):
        requests, breaks, tag = 0, 0, 1
        manifests, unanswered, damaged = 0, 0, 0

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mine)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Mine, f"http://127.0.0.1:{server.server_port}/image.bin"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("mode", ["no ranges", "busy", "another range", "breaks"])
def test_servers_of_bad_manners(device, install, sign, manners, tmp_path, mode):
    """The whole file to a Range request, 503 for a while, another range than asked, connections that
    break: the image arrives."""
    server, url = manners
    install(device, sign("1.0.0", 1))
    server.image = sign("2.0.0", 2)
    server.manifest = manifest_of(server.image, tmp_path)
    server.mode = mode
    device.start("--pull", url)
    wait_for(device, "booted 2.0.0")
    assert server.requests >= {"no ranges": 2, "busy": 5, "another range": 4, "breaks": 5}[mode]
    device.stop()


@pytest.mark.parametrize("unanswered,damaged,words", [(0, 2, "booted 2.0.0"), (2, 1, "booted 2.0.0"),
                                                      (0, 1000, "none of kedge stage manifest")])
def test_damaged_manifest(device, install, sign, manners, tmp_path, unanswered, damaged, words):
    """A manifest that a bad line damaged is asked for again, also behind questions without an answer; one
    that stays wrong ends the pull, in words."""
    server, url = manners
    install(device, sign("1.0.0", 1))
    server.image = sign("2.0.0", 2)
    server.manifest = manifest_of(server.image, tmp_path)
    server.mode, server.unanswered, server.damaged = "damaged manifest", unanswered, damaged
    device.start("--pull", url)
    wait_for(device, words)
    if damaged < 3:
        assert server.manifests > unanswered + damaged  # and once more behind the reset
    else:
        assert server.manifests == 3
    device.stop()


@pytest.mark.parametrize("mode,words", [("changes", "changed on the server"), ("changes in silence", "another file now")])
def test_file_that_changes(device, install, sign, manners, tmp_path, mode, words):
    """Another file under the same address while it is fetched, told by ETag or by nothing: begun anew,
    never a mixture."""
    server, url = manners
    install(device, sign("1.0.0", 1))
    server.image, third = sign("2.0.0", 2), sign("3.0.0", 3)
    server.manifest = manifest_of(server.image, tmp_path)
    server.second = third, manifest_of(third, tmp_path)
    server.mode = mode
    device.start("--pull", url)
    wait_for(device, "booted 3.0.0")
    assert any(words in line for line in device.lines), device.lines
    device.stop()
