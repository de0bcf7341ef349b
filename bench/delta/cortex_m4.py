#!/usr/bin/env python3
"""cortex_m4.py ARM_DIR [BENCH_DELTA PAIRS JSON]: what the decoder of patches costs on a Cortex-M4: bytes of
code and RAM, and instructions per byte of the result in QEMU, for pairs of bench/delta/corpus.py."""
import json
import pathlib
import subprocess
import sys
import tempfile

TEXT, RAM, INSTRUCTIONS = 2560, 10240, 130
JUDGED = ("one-line", "feature", "library")
SHOWN = ("version", *JUDGED, "mpy-v1.10", "plain-mpy")


def text_of(arm):
    """delta.c alone, without link-time optimisation: code, and its words and tables."""
    cmake = json.loads((pathlib.Path(arm) / "compile_commands.json").read_text())
    command = next(c["command"] for c in cmake if c["file"].endswith("src/transform/delta.c"))
    with tempfile.TemporaryDirectory() as work:
        out = f"{work}/delta.o"
        words = [w for w in command.split() if not w.startswith("-flto")]
        words[words.index("-o") + 1] = out
        subprocess.run(words, check=True)
        listing = subprocess.run(["arm-none-eabi-size", "-A", out], check=True, capture_output=True, text=True).stdout
    sizes = {"code": 0, "constants": 0}
    for line in listing.splitlines():
        name, *rest = line.split() or [""]
        if name.startswith(".text"):
            sizes["code"] += int(rest[0])
        elif name.startswith(".rodata"):
            sizes["constants"] += int(rest[0])
    return sizes


def run(arm, old, patch):
    devices = [(patch, 0x21400000)] + ([(old, 0x21000000)] if old != "-" else [])
    words = ["qemu-system-arm", "-M", "mps2-an386", "-icount", "shift=0", "-display", "none", "-monitor", "none",
             "-serial", "none", "-semihosting-config", "enable=on,target=native", "-kernel",
             f"{arm}/mps2-an386-delta.elf", "-device",
             f"loader,addr=0x217FFFF0,data={pathlib.Path(patch).stat().st_size},data-len=4"]
    for file, address in devices:
        words += ["-device", f"loader,file={file},addr={address:#x},force-raw=on"]
    said = subprocess.run(words, check=True, capture_output=True, text=True, timeout=120)
    name, *numbers = (said.stdout + said.stderr).split()
    assert name == "delta" and numbers[0] != "failed", said
    return [int(n) for n in numbers]


def state_of(arm):
    listing = subprocess.run(["arm-none-eabi-nm", "-S", f"{arm}/mps2-an386-delta.elf"], check=True,
                             capture_output=True, text=True).stdout
    return next(int(line.split()[1], 16) for line in listing.splitlines() if line.endswith(" b state"))


def verdict(value, most):
    return "ok" if value <= most else "MISS"


def speed(arm, bench, pairs):
    table = {}
    for row in open(pairs):
        name, old, new, *numbers = row.split()
        if name not in SHOWN:
            continue
        with tempfile.TemporaryDirectory() as work:
            patch = f"{work}/patch"
            subprocess.run([bench, old, new, *numbers, "0", patch], check=True, capture_output=True)
            size, decoding, hashes, stack, _ = run(arm, old, patch)
        assert size == pathlib.Path(new).stat().st_size
        table[name] = dict(decode=decoding / size, hashes=hashes / size, stack=stack)
    print("instructions per byte of the result:    decoding   two hashes   stack")
    for name, row in table.items():
        judged = verdict(row["decode"], INSTRUCTIONS) if name in JUDGED else ""
        print(f"  {name:36} {row['decode']:9.1f} {row['hashes']:12.1f} {row['stack']:7} {judged}")
    print(f"  goal for {', '.join(JUDGED)}: {INSTRUCTIONS} for decoding")
    return table


def main(arm, bench=None, pairs=None, target=None):
    size, ram = text_of(arm), state_of(arm)
    whole = size["code"] + size["constants"]
    print(f"decoder of patches: text {whole:,} B (code {size['code']:,}, words and tables {size['constants']:,}; goal "
          f"{TEXT:,}) {verdict(whole, TEXT)}; RAM {ram:,} B (goal {RAM:,}) {verdict(ram, RAM)}")
    if bench is not None:
        table = speed(arm, bench, pairs)
        pathlib.Path(target).write_text(json.dumps(dict(text=whole, **size, ram=ram, pairs=table), indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
