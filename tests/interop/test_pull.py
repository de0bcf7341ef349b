"""kedge-device --pull from a real web server (busybox httpd): what a cellular product does. If it
fails, a download that a power cut ends begins again, or never comes to an end."""

import hashlib
import socket
import subprocess
import time

import pytest
from test_device import device, install, sign  # noqa: F401


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
    device.start("--pull", url)
    wait_for(device, "chunks are here")
    first = next(line for line in device.lines if "chunks are here" in line)
    assert "pull: 0 of" not in first, first
    wait_for(device, "booted 2.0.0")
    device.stop()
    assert device.once()[1].startswith("booted 1.0.0")  # it was a trial: nobody confirmed


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
