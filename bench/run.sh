#!/usr/bin/env bash
# The measured tables: clients against the device and against a server that stores nothing; flash work
# and model time beside MCUboot's. Writes build/bench.json.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
python=${KEDGE_DEPS:-$HOME/.cache/kedge}/venv/bin/python
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT

"$build/bench/bench_flash" "$parts/flash.json"
echo
"$python" bench/clients.py "$build" "$parts/clients.json"
echo
"$python" bench/stages.py "$build" "$parts/stages.json"
echo
"$python" bench/ble.py "$build" "$parts/ble.json"
echo
tools/build.sh arm qemu-ast1030-measure-small qemu-ast1030-measure-fast
"$python" bench/board.py "$parts/board.json"
"$python" - "$parts" "$build/bench.json" <<'PY'
import json, pathlib, sys
merged = {}
for part in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    merged.update(json.loads(part.read_text()))
pathlib.Path(sys.argv[2]).write_text(json.dumps(merged, indent=2) + "\n")
PY
echo "written: $build/bench.json"
