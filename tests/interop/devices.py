"""A kedge-device process for tests: started, talked to, reset, stopped, killed."""

import hashlib
import pathlib
import random
import signal
import socket
import subprocess
import threading
import time

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
KEY = FIXTURES / "keys" / "p256.pem"
STRANGER = FIXTURES / "keys" / "stranger.pem"


def payload(size, seed):
    """Firmware-like bytes: the same seed gives the same bytes."""
    return random.Random(seed).randbytes(size)


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Device:
    """One state directory; `start` as often as you like."""

    def __init__(self, binary, directory, keys=(KEY,), extra=()):
        self.binary, self.directory = binary, pathlib.Path(directory)
        self.keys, self.extra = keys, tuple(extra)
        self.directory.mkdir(exist_ok=True)
        self.port = free_port()
        self.lines, self.process = [], None

    @property
    def pty(self):
        return self.directory / "pty"

    @property
    def raw_pty(self):
        return self.directory / "raw-pty"

    def command(self, *extra):
        keys = [a for k in self.keys for a in ("--key", k)]
        return [self.binary, "--state", self.directory / "state", "--flash-time", "none", *keys,
                *self.extra, *extra]

    def once(self, *extra):
        """Boot, print the verdict, exit: (exit code, verdict)."""
        done = subprocess.run(self.command("--once", *extra), capture_output=True, text=True,
                              timeout=120, check=False)
        return done.returncode, done.stdout.strip()

    def start(self, *extra):
        self.process = subprocess.Popen(
            self.command("--udp", f"127.0.0.1:{self.port}", "--pty", self.pty, "--raw-pty",
                         self.raw_pty, *extra),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        before = len(self.verdicts())
        threading.Thread(target=self._collect, args=(self.process,), daemon=True).start()
        self.wait_boots(before + 1)
        return self

    def _collect(self, process):
        for line in process.stdout:
            self.lines.append(line.strip())

    def verdicts(self):
        return [line for line in self.lines if line.startswith(("booted", "nothing"))]

    def wait_boots(self, count, seconds=30):
        """Wait until that many verdicts were printed in all; the last one."""
        end = time.monotonic() + seconds
        while len(self.verdicts()) < count:
            assert time.monotonic() < end, f"no boot; the device said {self.lines}"
            assert self.process.poll() is None or len(self.verdicts()) >= count, self.lines
            time.sleep(0.01)
        return self.verdicts()[-1]

    def next_boot(self, act):
        """Do something that ends in a reset; the verdict of the boot after it."""
        count = len(self.verdicts())
        act()
        return self.wait_boots(count + 1)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(30) == 0, self.lines
        self.process = None

    def kill(self):
        self.process.kill()
        self.process.wait(30)
        self.process = None

    def external(self):
        return (self.directory / "state" / "external.bin").read_bytes()

    def internal(self):
        return (self.directory / "state" / "internal.bin").read_bytes()


def image_hash(image):
    """The SHA-256 TLV of a signed image, found by hand: header, payload, TLVs."""
    header = int.from_bytes(image[8:10], "little")
    protected = int.from_bytes(image[10:12], "little")
    end = header + int.from_bytes(image[12:16], "little") + protected
    at = end + 4
    while True:
        kind, size = int.from_bytes(image[at:at + 2], "little"), int.from_bytes(
            image[at + 2:at + 4], "little")
        if kind == 0x10:
            digest = image[at + 4:at + 4 + size]
            assert digest == hashlib.sha256(image[:end]).digest()
            return digest
        at += 4 + size
