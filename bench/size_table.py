#!/usr/bin/env python3
"""size_table.py ARM_DIR RUNS JSON: the table of `make size`, from the linked loaders and from what
ports/mps2-an386/main_measure.c printed. Others' figures: docs of the sources named in the table."""
import collections
import json
import os
import re
import subprocess
import sys

BUFFER = 4096  # the unit buffer: one flash sector, counted apart
REASONS = {"plain": 0, "test": 1, "revert": 4}  # enum kedge_reason of what must have happened

# Goals: text, static RAM beside the sector buffer, stack, millions of instructions.
LOADERS = {
    "small": ("swap, P-256 (p256-m)", dict(text=12288, ram=3072, stack=1300, plain=29e6, test=55e6)),
    "fast": ("small, hot files for speed", dict(text=14336, ram=3072, stack=1800, plain=16e6, test=40e6)),
    "ed25519": ("swap, Ed25519 (Monocypher)", dict(text=20480, ram=3072, stack=1800, plain=16e6, test=40e6)),
    "ecies": ("small + ECIES-P256", dict(text=15360, stack=2900, test=230e6)),
    "ecies-fast": ("fast + ECIES-P256, AES tables", dict(test=120e6)),
}
# MCUboot v2.4.0 + 114, same flags, no SPI-NOR driver in it; instructions with both flashes as RAM.
MCUBOOT = {
    "swap-move, P-256": dict(text=13772, ram=3444, stack=1308, plain=33.0e6, test=67.8e6),
    "swap-offset, P-256": dict(text=14424, ram=3456, stack=1364, plain=33.0e6, test=67.3e6),
    "swap-move, Ed25519": dict(text=26520, ram=3444),
    "swap-move, ECIES-P256": dict(text=18860, ram=3804, stack=1692, plain=33.3e6, test=430.5e6),
}
COLUMNS = ("text", "ram", "stack", "plain", "test")


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def sections(elf):
    text, data, bss = run("arm-none-eabi-size", elf).splitlines()[1].split()[:3]
    return int(text) + int(data), int(data), int(bss)


def symbol(elf, name):
    """Bytes of a variable; 0: there is none, so the program ends before it is needed."""
    for line in run("arm-none-eabi-nm", "-S", elf).splitlines():
        words = line.split()
        if len(words) == 4 and words[3] == name:
            return int(words[1], 16)
    return 0


def rooms(elf):
    """Bytes of code by the source file that they come from, inlined or not."""
    folder = {"p256-m.c": "p256-m", "sha2small.c": "bearssl", "dec32be.c": "bearssl", "enc32be.c": "bearssl"}
    linked = [f"src/{room}" for room in ("base", "boot", "crypto", "flash", "image", "log", "swap")]
    for root in (*linked, "include", "ports/nrf52840", "ports/cortex-m4"):
        for path, _, names in os.walk(root):
            folder.update({name: os.path.join(path, name) for name in names})
    rows = []
    for line in run("arm-none-eabi-objdump", "--dwarf=decodedline", elf).splitlines():
        row = re.match(r"(\S+\.[ch])\s+(\d+|-)\s+(0x[0-9a-f]+|0)\b", line)
        if row:
            rows.append((int(row[3], 16), row[2] == "-", row[1]))
    sums = collections.Counter()
    for (at, end, name), (after, _, _) in zip(sorted(rows), sorted(rows)[1:]):
        if not end or after == at:
            sums[folder.get(name, name)] += after - at
    return dict(sums.most_common())


def cell(name, value):
    if value is None:
        return ""
    return f"{value / 1e6:.1f} M" if name in ("plain", "test", "revert") else f"{value:,}"


def main(arm, runs, out):
    measured = {}
    for line in open(runs):
        words = line.split()
        if len(words) == 3 and words[1] == "state":
            measured.setdefault(words[0], {})["state"] = int(words[2])
        if len(words) == 6 and words[2] in REASONS:
            build, flash, case, reason, instructions, stack = words
            if int(reason) != REASONS[case]:
                sys.exit(f"size: {build}, {flash}: {case} ended for reason {reason}, not {REASONS[case]}")
            measured.setdefault(build, {})[flash, case] = int(instructions), int(stack)
    result = {"goals": {}, "mcuboot": MCUBOOT, "loaders": {}}
    print(f"{'':34}{'text':>9}{'RAM':>8}{'stack':>8}{'boot':>9}{'test swap':>11}{'revert':>9}")
    for name, values in MCUBOOT.items():
        cells = [cell(c, values.get(c)) for c in COLUMNS]
        print(f"{'MCUboot, ' + name:34}{cells[0]:>9}{cells[1]:>8}{cells[2]:>8}{cells[3]:>9}{cells[4]:>11}")
    missed = 0
    for build, (words, goals) in LOADERS.items():
        elf = os.path.join(arm, f"nrf52840-{build}.elf")
        text, data, bss = sections(elf)
        runs_of = measured.get(build, {})
        state = runs_of.pop("state", 0)
        if state > symbol(elf, "state"):
            sys.exit(f"size: the loader's state takes {state} bytes; give it so many in ports/nrf52840/main_loader.c")
        if len(runs_of) != 2 * len(REASONS):
            sys.exit(f"size: the run of mps2-an386-{build}.elf is not complete")
        values = {
            "text": text, "ram": data + bss - BUFFER,
            "stack": max(stack for _, stack in runs_of.values()),
            **{case: runs_of["ram", case][0] for case in REASONS},
        }
        cells = [cell(c, values[c]) for c in COLUMNS + ("revert",)]
        print(f"{build + ': ' + words:34}{cells[0]:>9}{cells[1]:>8}{cells[2]:>8}{cells[3]:>9}{cells[4]:>11}{cells[5]:>9}")
        marks = ["" if c not in goals else "ok" if values[c] <= goals[c] else "MISS" for c in COLUMNS]
        missed += marks.count("MISS")
        wanted = [f"{cell(c, goals.get(c))}" for c in COLUMNS]
        print(f"{'  goal':34}{wanted[0]:>9}{wanted[1]:>8}{wanted[2]:>8}{wanted[3]:>9}{wanted[4]:>11}")
        print(f"{'':34}{marks[0]:>9}{marks[1]:>8}{marks[2]:>8}{marks[3]:>9}{marks[4]:>11}")
        result["goals"][build] = goals
        result["loaders"][build] = {
            **values, "data": data, "bss": bss, "rooms": rooms(elf),
            "with_driver": {case: runs_of["nor", case][0] for case in REASONS},
        }
    print("\nRAM: data + bss without the one sector buffer of 4,096 B. Kedge's text has the SPI-NOR driver in it,\n"
          "MCUboot's has none. Instructions: 256 KiB, every sector differs, both flashes as plain RAM; stack: the\n"
          "deepest of all boots, with the driver too.")
    small = result["loaders"]["small"]["rooms"]
    print("\nThe small loader's code by file (constants are the rest):")
    for path, size in small.items():
        print(f"  {size:6,}  {path}")
    print(f"  {sum(small.values()):6,}")
    print(f"\n{missed} goals missed" if missed else "\nall goals met")
    os.makedirs(os.path.dirname(out) or ".", exist_ok=True)
    with open(out, "w") as file:
        json.dump(result, file, indent=1)


main(*sys.argv[1:])
