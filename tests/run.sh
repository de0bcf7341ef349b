#!/usr/bin/env bash
# What `make test` runs, in order. Each step reports how many checks it made and how many failed. Last
# line: the sum.
set -uo pipefail
cd "$(dirname "$0")/.."
venv=${KEDGE_DEPS:-$HOME/.cache/kedge}/venv
export FUZZ_SECONDS=${FUZZ_SECONDS:-60}
passed=0 failed=0 failures=()
scratch=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)")
log=$scratch/log
trap 'rm -rf "$scratch"' EXIT

step() { printf '\n== %s (%d s)\n' "$1" "$SECONDS"; name=$1; }
count() { # passed failed
    passed=$((passed + $1)) failed=$((failed + $2))
    [ "$2" = 0 ] || failures+=("$name: $2")
}
once() { if "$@"; then count 1 0; else count 0 1; fi; }
number() { sed -n "s/.*$1.*/\1/p" "$log" | tail -n 1 | grep . || echo 0; }

# "N WORD" in pytest's last line
said() { tail -n 1 "$log" | grep -oE "[0-9]+ $1\b" | grep -oE '^[0-9]+' || echo 0; }

ctest_of() { # preset
    ctest --preset "$1" 2>&1 | tee "$log" | grep -vE '^ *Start|Passed'
    local of bad
    of=$(number 'tests failed out of \([0-9]*\)') bad=$(number ', \([0-9]*\) tests failed out of')
    if [ "$of" = 0 ]; then count 0 1; else count $((of - bad)) "$bad"; fi
}

# The fuzz build carries both sanitizers, so the tests run in it a second time and no third build is
# needed; the sweeps of cuts, which are many and slow there, run in gcc's only.
for preset in gcc fuzz; do
    step "build $preset"
    once tools/build.sh "$preset"
done
step "build arm, for QEMU"
once tools/build.sh arm boards

step "layers"
once python3 tools/checks/layers.py --self-test
once python3 tools/checks/layers.py --objects build/libkedge.a
once python3 docs/quote.py --check

for preset in gcc fuzz; do
    step "ctest $preset"
    ctest_of "$preset"
done

step "interop"
# in memory where there is such a place: a file that is made safe (fsync) costs a disk up to 50 ms
"$venv/bin/python" -m pytest -q -n 3 --dist worksteal -p no:cacheprovider --timeout 300 --basetemp "$scratch/pytest" tests/interop tests/ble tests/qemu 2>&1 | tee "$log"
of=$(said passed) bad=$(($(said failed) + $(said "errors?")))
[ $((of + bad)) != 0 ] || bad=1
count "$of" "$bad"

step "fuzz, $FUZZ_SECONDS s each"
tests/fuzz/run.sh | tee "$log"
count "$(grep -c '^ok ' "$log")" "$(grep -c '^FAILED ' "$log")"

step "planted bugs"
once tests/planted/run.sh

printf '\n'
[ ${#failures[@]} = 0 ] || printf 'failed in %s\n' "${failures[@]}"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
