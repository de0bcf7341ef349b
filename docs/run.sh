#!/usr/bin/env bash
# make docs: the measured figures into README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -e build/bench.json ] || bench/run.sh
[ -e build/size.json ] || bench/size.sh
python3 docs/figures.py
python3 docs/quote.py
