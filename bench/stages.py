#!/usr/bin/env python3
"""stages.py BUILD OUT.json: instructions a byte of each stage of the receive path, the pipe that moves the bytes included, counted by
callgrind from the difference of two lengths (what a file costs once is not in it), on this machine's
processor; the decoder on Cortex-M4 is in `make bench-delta`."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

build, out = sys.argv[1:]
SHORT, LONG = 16384, 65536
STAGES = {"plain": "no stage", "ctr": "AES-CTR (BearSSL, constant time), with the envelope's hash",
          "sealed": "sealed file (ChaCha20-Poly1305), with the envelope's hash",
          "delta": "patch, with the envelope's hash and the old image's", "compressed": "compressed image"}


def count(stage, size):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["valgrind", "--tool=callgrind", "--toggle-collect=bench_stage_run",
                               f"--callgrind-out-file={folder}/out", f"{build}/bench/bench_stages", stage, str(size)],
                              capture_output=True, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


rows = []
print(f"{'a stage of the receive path':<64} instructions a byte")
for stage, words in STAGES.items():
    rows.append({"stage": stage, "words": words,
                 "per_byte": round((count(stage, LONG) - count(stage, SHORT)) / (LONG - SHORT), 1)})
    print(f"{words:<64} {rows[-1]['per_byte']:>8.1f}", flush=True)
pathlib.Path(out).write_text(json.dumps({"stages": rows}))
