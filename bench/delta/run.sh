#!/usr/bin/env bash
# `make bench-delta`: the corpus, then the table. Both stay under $KEDGE_DEPS/delta for the next time.
set -euo pipefail
cd "$(dirname "$0")/../.."
deps=${KEDGE_DEPS:-$HOME/.cache/kedge}
venv=$deps/venv-delta
mkdir -p "$deps/delta" "$deps/archives"
if ! cmp -s bench/delta/requirements.txt "$venv/installed.txt"; then
    echo "bench-delta: installing other tools into $venv"
    /usr/bin/python3 -m venv "$venv"
    grep -E '^(setuptools|wheel)' bench/delta/requirements.txt >"$venv/build.txt"
    "$venv/bin/pip" install --quiet --require-hashes --only-binary :all: --retries 3 -r "$venv/build.txt"
    "$venv/bin/pip" install --quiet --require-hashes --no-build-isolation --retries 3 -r bench/delta/requirements.txt
    cp bench/delta/requirements.txt "$venv/installed.txt"
fi
if [ ! -e "$deps/archives/detools-0.53.0.tar.gz" ]; then # its test files are genuine firmware
    grep -E '^detools' bench/delta/requirements.txt >"$venv/source.txt"
    "$venv/bin/pip" download --quiet --no-deps --no-build-isolation --no-binary :all: --require-hashes -r "$venv/source.txt" -d "$deps/archives"
fi
python3 bench/delta/corpus.py "$deps/delta" >"$deps/delta/pairs"
"$venv/bin/python" bench/delta/run.py build/bench/bench_delta "$deps/delta/pairs" build/bench-delta.json
echo
python3 bench/delta/cortex_m4.py build/arm build/bench/bench_delta "$deps/delta/pairs" build/bench-delta-m4.json
