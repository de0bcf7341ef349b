#!/usr/bin/env python3
"""board.py [JSON]: instructions of a boot on QEMU's ast1030-evb with both flashes behind SPI, beside
ports/mps2-an386's with both as plain RAM, which is how MCUboot's were taken (build/size.json)."""
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "qemu"))

from rig import ARM, EXTERNAL_SIZE, INTERNAL_SIZE, KEY, PRIMARY, SLOT, kedge  # noqa: E402

PAYLOAD = 261440  # with header and TLVs about 256 KiB
REASONS = {"plain": 0, "test": 1, "revert": 4}
BUILDS = {"small": "P-256 by p256-m", "fast": "P-256 compiled for speed", "ecies": "small + ECIES-P256, encrypted"}
ENC_KEY = ROOT / "tests" / "fixtures" / "keys" / "enc.pem"
MCUBOOT = {"plain": 33.0e6, "test": 67.3e6}  # swap-offset, both flashes as plain RAM


def image(directory, version, *options):
    plain, signed = directory / "plain.bin", directory / f"{version}.img"
    plain.write_bytes(random.Random(version).randbytes(PAYLOAD))
    done = kedge("sign", "-k", KEY, "-v", version, "-H", "0x200", "--pad-header", "-S", hex(SLOT),
                 "--align", "8", *options, plain, signed)
    assert done.returncode == 0, done.stderr
    return signed.read_bytes()


def measure(directory, build, old, new):
    internal = bytearray(b"\xff" * INTERNAL_SIZE)
    internal[PRIMARY:PRIMARY + len(old)] = old
    (directory / "i.bin").write_bytes(internal)
    (directory / "e.bin").write_bytes(new + b"\xff" * (EXTERNAL_SIZE - len(new)))
    process = subprocess.Popen(
        ["qemu-system-arm", "-M", "ast1030-evb,fmc-model=w25q80bl,spi-model=w25q64", "-nographic",
         "-monitor", "none", "-icount", "shift=0,sleep=off",
         "-kernel", ARM / f"qemu-ast1030-measure-{build}.elf",
         "-drive", f"file={directory}/i.bin,format=raw,if=mtd,index=0,cache=unsafe",
         "-drive", f"file={directory}/e.bin,format=raw,if=mtd,index=2,cache=unsafe",
         "-serial", "stdio"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    cases = {}
    for line in process.stdout:
        words = line.split()
        if words[:1] == ["board"]:
            if int(words[2]) != REASONS[words[1]]:
                sys.exit(f"board: {words[1]} ended for reason {words[2]}")
            cases[words[1]] = int(words[3])
        elif words == ["end"]:
            break
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    if len(cases) != len(REASONS):
        sys.exit(f"board: the run of qemu-ast1030-measure-{build}.elf did not come to its end")
    return cases


def main():
    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch)
        plain = image(directory, "1.0.0"), image(directory, "2.0.0")
        # each with a key of its own; what runs lies plain in the primary
        secret = image(directory, "1.0.0", "-E", ENC_KEY, "--clear"), image(directory, "2.0.0", "-E", ENC_KEY)
        board = {build: measure(directory, build, *(secret if build == "ecies" else plain)) for build in BUILDS}
    size = ROOT / "build" / "size.json"
    plain = json.loads(size.read_text())["loaders"] if size.exists() else {}
    print(f"{'instructions, 256 KiB, every sector differs':52}{'boot':>10}{'test swap':>11}{'revert':>10}")
    rows = [("MCUboot swap-offset, P-256, both flashes as RAM", MCUBOOT)]
    for build, words in BUILDS.items():
        if build in plain:
            rows.append((f"{build}: {words}, as RAM", plain[build]))
        rows.append((f"{build}: {words}, QEMU board, SPI", board[build]))
    for name, values in rows:
        cells = [f"{values[c] / 1e6:.1f} M" if c in values else "" for c in REASONS]
        print(f"{name:52}{cells[0]:>10}{cells[1]:>11}{cells[2]:>10}")
    if not plain:
        print("(make size measures the rows with both flashes as RAM)")
    if len(sys.argv) > 1:
        pathlib.Path(sys.argv[1]).write_text(json.dumps({"board": board}))


main()
