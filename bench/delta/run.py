#!/usr/bin/env python3
"""run.py BENCH_DELTA PAIRS JSON: patches of each pair by `kedge delta`'s encoder and by others' tools, in
bytes, one run; the table of `make bench-delta`. Two pairs at a time."""
import json
import lzma
import os
import pathlib
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import detools
import hdiffpatch

# Whole files of shared/DELTA.md, where the very bytes are at hand; else its ratio to the best tool.
SAME_BYTES = {"mpy-minor": 923, "mpy-v1.10": 17145, "synthesizer-1-2": 146 + 48, "synthesizer-1-3": 209 + 48,
              "esp8266": 64586 + 48, "shell-pi-3": 1133 + 48}
RATIO = {"one-line": 5.04, "feature": 1.58, "library": 1.89, "Os-to-O2": 1.21}
SLACK = 1.03  # the issue's
SECONDS, MEGABYTES = 60, 200


def size_of(path):
    return path.stat().st_size


def by_command(words, out):
    subprocess.run([str(w) for w in words], check=True, capture_output=True)
    return size_of(out)


def by_detools(old, new, out, **options):
    with open(old, "rb") as a, open(new, "rb") as b, open(out, "wb") as to:
        detools.create_patch(a, b, to, **options)
    return size_of(out)


def others(old, new, work):
    out = work / "patch"
    tools = {
        "bsdiff": lambda: by_command(["bsdiff", old, new, out], out),
        "xdelta3": lambda: by_command(["xdelta3", "-e", "-9", "-S", "lzma", "-f", "-s", old, new, out], out),
        "zstd": lambda: by_command(["zstd", "-q", "-f", "--ultra", "-22", "--long=27", f"--patch-from={old}", new,
                                    "-o", out], out),
        "HDiffPatch": lambda: len(hdiffpatch.diff(old.read_bytes(), new.read_bytes(), compression="lzma2")),
        "detools": lambda: min(by_detools(old, new, out, compression="lzma"),
                               by_detools(old, new, out, compression="heatshrink"),
                               by_detools(old, new, out, compression="lzma", data_format="arm-cortex-m4"),
                               by_detools(old, new, out, compression="lzma", patch_type="hdiffpatch",
                                          algorithm="hdiffpatch")),
    }
    return {name: tool() for name, tool in tools.items()}


def armt(new):
    """LZMA2 behind the filter for Thumb branches, dictionary 128 KiB."""
    filters = [{"id": lzma.FILTER_ARMTHUMB}, {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME,
                                              "dict_size": 1 << 17}]
    return len(lzma.compress(new.read_bytes(), lzma.FORMAT_RAW, filters=filters))


def heatshrink(new):
    import heatshrink2
    return len(heatshrink2.compress(new.read_bytes(), window_sz2=11, lookahead_sz2=5))


def measure(bench, row):
    name, old, new, *numbers = row.split()
    new = pathlib.Path(new)
    ours = json.loads(subprocess.run([bench, old, new, *numbers], check=True, capture_output=True, text=True).stdout)
    with tempfile.TemporaryDirectory() as work:
        rest = (others(pathlib.Path(old), new, pathlib.Path(work)) if old != "-"
                else {"LZMA2+ARMT": armt(new), "heatshrink": heatshrink(new)})
    return name, dict(size=size_of(new), kedge=ours, others=rest)


def judge(name, row):
    """What was to be reached, in words, and whether it was."""
    ours, best = row["kedge"]["bytes"], min(row["others"].values())
    goals = []
    if name.startswith("plain"):
        share = 100 * (ours - row["others"]["LZMA2+ARMT"]) / row["size"]
        goals.append((f"{share:+.2f} points to LZMA2+ARMT (+1)", share <= 1))
    elif name in SAME_BYTES:
        goals.append((f"<= {int(SAME_BYTES[name] * SLACK)}", ours <= SAME_BYTES[name] * SLACK))
    elif name in RATIO:
        goals.append((f"{best / ours:.2f} times smaller than the best (DELTA.md's firmware: {RATIO[name]})", True))
    if not name.startswith("plain") and name != "version":
        goals.append(("smaller than all", ours < best))
    goals.append((f"{row['kedge']['seconds']:.0f} s", row["kedge"]["seconds"] <= SECONDS))
    goals.append((f"{row['kedge']['megabytes']:.0f} MB", row["kedge"]["megabytes"] <= MEGABYTES))
    return "; ".join(text if ok else f"{text} MISSED" for text, ok in goals), all(ok for _, ok in goals)


def main(bench, pairs, target):
    rows = [line for line in open(pairs).read().splitlines() if line]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        table = dict(pool.map(lambda row: measure(bench, row), rows))
    missed = 0
    print("| pair | image | Kedge | share | others | goals |\n|---|---|---|---|---|---|")
    for name, row in table.items():
        row["goal"], row["ok"] = judge(name, row)
        missed += not row["ok"]
        rest = ", ".join(f"{tool} {size:,}" for tool, size in sorted(row["others"].items(), key=lambda r: r[1]))
        print(f"| {name} | {row['size']:,} | **{row['kedge']['bytes']:,}** | "
              f"{100 * row['kedge']['bytes'] / row['size']:.2f} % | {rest} | {row['goal']} |")
    pathlib.Path(target).write_text(json.dumps(table, indent=1) + "\n")
    print(f"\n{len(table)} pairs, {missed} with a goal missed; bytes of whole files, 48 of them header, one chunk; "
          f"also in {target}")


if __name__ == "__main__":
    main(*sys.argv[1:])
