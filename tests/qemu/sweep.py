#!/usr/bin/env python3
"""sweep.py [--stride N] [--near N] [--far N] [--processes N] [--most N] [--again] [--directory DIR]

Power cuts on the real Cortex-M4 loader: QEMU's watchdog resets it after N instructions, for N over a
whole test swap and the whole revert (ports/qemu-ast1030/main_cuts.c walks, recovers and compares).
Inside calls that program or erase, every --near-th instruction, all of them around start and end of
the call; elsewhere every --far-th; of all these, every --stride-th. --again cuts each recovery too.
--most ends each process after so many. Exit 1: something was lost, or QEMU complained."""

import argparse
import concurrent.futures
import pathlib
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time

from rig import ARM, INTERNAL_SIZE, EXTERNAL_SIZE, KEPT_QUIET, KEY, kedge

SLOT, SPARES, PRIMARY, JOURNAL, SECTOR = 0x6000, 0x2000, 0xC000, 0x7D000, 4096


def image(directory, version, size):
    plain, signed = directory / f"{version}.plain", directory / f"{version}.img"
    plain.write_bytes(random.Random(version).randbytes(size - 0x200 - 200))
    done = kedge("sign", "-k", KEY, "-v", version, "-H", "0x200", "--pad-header", "-S", hex(SLOT),
                 "--align", "8", plain, signed)
    assert done.returncode == 0, done.stderr
    return signed


def stray(internal, external):
    """Places outside of what the loader may write that are not blank."""
    allowed = ((internal, [(PRIMARY, PRIMARY + SLOT), (JOURNAL, JOURNAL + 2 * SECTOR)]),
               (external, [(0, SLOT + SPARES)]))
    for name, (chip, places) in zip(("internal", "external"), allowed):
        rest = bytearray(chip)
        for start, end in places:
            rest[start:end] = b"\xff" * (end - start)
        if rest.strip(b"\xff"):
            yield f"{name} flash is written outside its regions"


def walk(directory, images, order):
    """One QEMU from its first cut to its last; (cuts, lost, trials used up, complaints)."""
    directory.mkdir()
    files = [directory / "internal.bin", directory / "external.bin"]
    for file, size in zip(files, (INTERNAL_SIZE, EXTERNAL_SIZE)):
        file.write_bytes(b"\xff" * size)
    orders, errors = directory / "order.bin", directory / "errors.log"
    orders.write_bytes(struct.pack("<6I", *order))
    loaders = [word for file, at in ((orders, 0x5F000), (images[0], 0x60000), (images[1], 0x68000))
               for word in ("-device", f"loader,file={file},addr={at:#x},force-raw=on")]
    process = subprocess.Popen(
        ["qemu-system-arm", "-M", "ast1030-evb,fmc-model=w25q80bl,spi-model=w25q64", "-m", "1M",
         "-nographic", "-monitor", "none", "-icount", "shift=10,sleep=off",
         "-kernel", ARM / "qemu-ast1030-cuts.elf", *loaders,
         "-drive", f"file={files[0]},format=raw,if=mtd,index=0,cache=unsafe",
         "-drive", f"file={files[1]},format=raw,if=mtd,index=2,cache=unsafe",
         "-serial", "stdio", "-d", "guest_errors", "-D", errors,
         "-trace", "enable=m25p80_programming_zero_to_one"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    total = None
    for line in process.stdout:
        words = line.split()
        if words[:1] == ["sum"]:
            total = [int(word) for word in words[1:]]
            break
        if order[0] == 0 or words[:1] != ["case"]:
            print(line.rstrip(), flush=True)
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    complaints = [line for line in errors.read_text(errors="replace").splitlines()
                  if not any(quiet.fullmatch(line) for quiet in KEPT_QUIET)]
    chips = [file.read_bytes() for file in files]
    if [len(chip) for chip in chips] != [INTERNAL_SIZE, EXTERNAL_SIZE]:
        complaints.append("the size of a chip's file has changed")
    complaints += stray(*chips)
    if total is None:
        complaints.append("QEMU ended before the walk did")
    return *(total or [0, 0, 0]), complaints


def sweep(directory, stride=1, near=8, far=5000, processes=2, most=0, again=False):
    images = [image(directory, "1.0.0", 2 * SECTOR), image(directory, "2.0.0", 2 * SECTOR - 1000)]
    with concurrent.futures.ThreadPoolExecutor(processes) as pool:
        runs = [pool.submit(walk, directory / f"walk{i}", images,
                            (i * stride, processes * stride, near, far, most, int(again)))
                for i in range(processes)]
        results = [run.result() for run in runs]
    sums = [sum(column) for column in list(zip(*results))[:3]]
    return *sums, [complaint for result in results for complaint in result[3]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[2])
    for name, default in (("stride", 1), ("near", 8), ("far", 5000), ("processes", 2), ("most", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--directory")
    options = vars(parser.parse_args())
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=options.pop("directory")) as scratch:
        cuts, lost, trials, complaints = sweep(pathlib.Path(scratch), **options)
    for complaint in complaints[:10]:
        print(complaint)
    seconds = time.monotonic() - start
    print(f"{cuts} cuts on the Cortex-M4 loader, {lost} lost, {trials} trials used up, "
          f"{len(complaints)} complaints, {seconds:.0f} s")
    sys.exit(1 if lost or complaints or not cuts else 0)


if __name__ == "__main__":
    main()
