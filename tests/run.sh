#!/usr/bin/env bash
# What `make test` runs, in order. Each step reports how many checks it made and how many failed; a
# step whose parts are not in the tree yet says so and counts for nothing. Last line: the sum.
set -uo pipefail
cd "$(dirname "$0")/.."
venv=${KEDGE_DEPS:-$HOME/.cache/kedge}/venv
export FUZZ_SECONDS=${FUZZ_SECONDS:-60}
passed=0 failed=0 failures=()
log=$(mktemp)
trap 'rm -f "$log"' EXIT

step() { printf '\n== %s (%d s)\n' "$1" "$SECONDS"; name=$1; }
count() { # passed failed
    passed=$((passed + $1)) failed=$((failed + $2))
    [ "$2" = 0 ] || failures+=("$name: $2")
}
once() { if "$@"; then count 1 0; else count 0 1; fi; }
number() { sed -n "s/.*$1.*/\1/p" "$log" | tail -n 1 | grep . || echo 0; }

ctest_of() { # preset
    ctest --preset "$1" 2>&1 | tee "$log" | grep -vE '^ *Start|Passed'
    local of bad
    of=$(number 'tests failed out of \([0-9]*\)') bad=$(number ', \([0-9]*\) tests failed out of')
    if [ "$of" = 0 ]; then count 0 1; else count $((of - bad)) "$bad"; fi
}

for preset in gcc clang-asan; do
    step "build $preset"
    once tools/build.sh "$preset"
done
step "build fuzz"
once tools/build.sh fuzz fuzzers

step "layers"
once python3 tools/checks/layers.py --self-test
once python3 tools/checks/layers.py --objects build/libkedge.a

for preset in gcc clang-asan; do
    step "ctest $preset"
    ctest_of "$preset"
done

step "interop"
if compgen -G 'tests/interop/test_*.py' >/dev/null; then
    "$venv/bin/python" -m pytest -q -p no:cacheprovider --timeout 300 tests/interop 2>&1 | tee "$log"
    of=$(number '\b\([0-9]*\) passed') bad=$(($(number '\b\([0-9]*\) failed') + $(number '\b\([0-9]*\) error')))
    [ $((of + bad)) != 0 ] || bad=1
    count "$of" "$bad"
else
    echo "no tests/interop/test_*.py yet"
fi

step "fuzz, $FUZZ_SECONDS s each"
tests/fuzz/run.sh | tee "$log"
count "$(grep -c '^ok ' "$log")" "$(grep -c '^FAILED ' "$log")"

step "planted bugs"
if [ -x tests/planted/run.sh ]; then
    once tests/planted/run.sh
else
    echo "no tests/planted/run.sh yet"
fi

printf '\n'
[ ${#failures[@]} = 0 ] || printf 'failed in %s\n' "${failures[@]}"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
