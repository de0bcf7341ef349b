"""QEMU's ast1030-evb with our loader and application: started, talked to, read afterwards.

KEDGE_ARM_DIR names another directory than build/arm. A run fails on whatever QEMU says about the
guest (-d guest_errors), but for what it says about itself at each of its resets.
"""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))

from devices import KEY, payload  # noqa: E402
from paths import BIN, ROOT  # noqa: E402

ARM = pathlib.Path(os.environ.get("KEDGE_ARM_DIR", ROOT / "build" / "arm"))
LAYOUT = ROOT / "ports" / "qemu-ast1030" / "layout.yml"
PRIMARY, SLOT, SECTOR = 0xC000, 0x71000, 4096
INTERNAL_SIZE, EXTERNAL_SIZE = 0x100000, 0x800000
FILE_SIZE = 65536
KEPT_QUIET = (  # at each reset, before the guest's first instruction
    re.compile(r"Invalid read at addr 0x[04], size 4, region '\(null\)', reason: rejected"),
    re.compile(r"aspeed_timer_ctrl_pulse_enable: Timer does not support pulse mode"),
)
TRACED = ("binding", "flash_erase", "page_program", "programming_zero_to_one")


def kedge(*words, timeout=60):
    return subprocess.run([BIN / "kedge", *map(str, words)], capture_output=True, text=True,
                          timeout=timeout, check=False)


def firmware(directory, kind, version, key=KEY, size=FILE_SIZE, program="application"):
    """The application in one of its builds, signed, with other bytes behind it so that every sector
    of two versions differs: a file of `size` bytes at most, ECDSA signatures vary a little."""
    program = (ARM / f"qemu-ast1030-{program}-{kind}.bin").read_bytes()
    room = size - 0x200 - 160
    assert len(program) <= room
    plain, image = directory / "plain.bin", directory / f"{version}-{kind}.img"
    plain.write_bytes(program + payload(room - len(program), version))
    done = kedge("sign", "-k", key, "-v", version, "-H", "0x200", "--pad-header", "-S", hex(SLOT),
                 "--align", "8", plain, image)
    assert done.returncode == 0, done.stderr
    return image.read_bytes()


class Board:
    """Two flash files and, between start and stop, a QEMU."""

    external_model, external_size = "w25q64", EXTERNAL_SIZE
    kedge = BIN / "kedge"

    def __init__(self, directory, primary=b"", secondary=b""):
        self.directory = pathlib.Path(directory)
        self.internal_file = self.directory / "internal.bin"
        self.external_file = self.directory / "external.bin"
        self.console_file = self.directory / "console.log"
        self.errors_file = self.directory / "errors.log"
        self.process, self.hold, self.pty = None, None, None
        self.write_chips(primary, secondary)

    def write_chips(self, primary, secondary):
        internal = bytearray(b"\xff" * INTERNAL_SIZE)
        internal[PRIMARY:PRIMARY + len(primary)] = primary
        self.internal_file.write_bytes(internal)
        self.external_file.write_bytes(secondary + b"\xff" * (self.external_size - len(secondary)))

    def internal(self):
        return self.internal_file.read_bytes()

    def external(self):
        return self.external_file.read_bytes()

    def start(self, *extra, loader="loader"):
        self.process = subprocess.Popen(
            ["qemu-system-arm", "-M", f"ast1030-evb,fmc-model=w25q80bl,spi-model={self.external_model}",
             "-nographic", "-monitor", "none",
             "-kernel", ARM / f"qemu-ast1030-{loader}.elf",
             "-drive", f"file={self.internal_file},format=raw,if=mtd,index=0",
             "-drive", f"file={self.external_file},format=raw,if=mtd,index=2",
             "-chardev", f"pty,id=console,logfile={self.console_file},logappend=on",
             "-serial", "chardev:console", *map(str, extra),
             "-qmp", f"unix:{self.directory}/qmp,server=on,wait=off",
             "-d", "guest_errors", "-D", self.errors_file,
             *(word for event in TRACED for word in ("-trace", f"enable=m25p80_{event}"))],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"(/dev/pts/\d+)", line)
        assert found, line + self.process.stdout.read()
        self.pty = found[1]
        # QEMU looks only every second whether somebody came; so somebody always is there
        self.hold = os.open(self.pty, os.O_RDWR | os.O_NOCTTY)
        return self

    def stop(self):
        """As the facts say: never SIGKILL, it loses writes that the guest has seen done."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) in (0, -signal.SIGTERM), self.process.stdout.read()
        os.close(self.hold)
        self.process = None

    def press_reset(self):
        """A system reset from outside, at whatever the processor does."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f"{self.directory}/qmp")
            for command in (b'{"execute": "qmp_capabilities"}', b'{"execute": "system_reset"}'):
                s.recv(4096)
                s.sendall(command)
            s.recv(4096)

    def console(self):
        return self.console_file.read_text(errors="replace") if self.console_file.exists() else ""

    def lines(self, start):
        """Lines of the console that begin so, as far as they are complete."""
        return [line.strip() for line in self.console().splitlines(keepends=True)
                if line.startswith(start) and line.endswith("\n")]

    def wait(self, start, count, seconds=60):
        """Wait until the console has had `count` lines that begin so; the last one."""
        end = time.monotonic() + seconds
        while len(self.lines(start)) < count:
            assert time.monotonic() < end, f"no {start!r}; the console said:\n{self.console()}"
            assert self.process.poll() is None, self.process.stdout.read()
            time.sleep(0.02)
        return self.lines(start)[-1]

    def next_boot(self, act):
        """Do something that ends in a reset; the verdict, once the application is up."""
        boots, ups = len(self.lines("booted")), len(self.lines("application"))
        act()
        verdict = self.wait("booted", boots + 1)
        self.wait("application", ups + 1)
        return verdict

    def complaints(self):
        """What QEMU said about the guest; a program of what is not erased too."""
        return [line for line in self.errors_file.read_text(errors="replace").splitlines()
                if not any(quiet.fullmatch(line) for quiet in KEPT_QUIET)
                and not re.search(r"m25p80_(binding|flash_erase|page_program) ", line)]

    def traced(self):
        """What QEMU's two chips saw, internal and external: [bytes erased, bytes programmed] each."""
        text = self.errors_file.read_text(errors="replace")
        chips = re.findall(r"m25p80_binding \[(\w+)\]", text)
        sums = {chip: [0, 0] for chip in chips}
        for chip, size in re.findall(r"m25p80_flash_erase \[(\w+)\] offset = \w+, len = (\d+)", text):
            sums[chip][0] += int(size)
        for chip in re.findall(r"m25p80_page_program \[(\w+)\]", text):
            sums[chip][1] += 1
        return [sums[chip] for chip in chips]
