#!/usr/bin/env bash
# The long sweeps: what `make test` samples, whole. Prints counts, seconds and seeds. LIVES and SEED
# choose how long.
set -uo pipefail
cd "$(dirname "$0")/.."
lives=${LIVES:-100000}
seed=${SEED:-$(date +%s)}
failed=0

run() { # name, program, environment...
    local name=$1 program=$2 start=$SECONDS
    shift 2
    echo "== $name (seed $seed)"
    if ! env "KEDGE_SEED=$seed" "$@" "build/tests/$program" 2>&1 | sed -E '/^\[ *(RUN|OK|=|-)/d'; then
        failed=$((failed + 1))
    fi
    echo "   $((SECONDS - start)) s"
}

run "every journal operation cut, pairs, random lives" cuts_journal_cuts "KEDGE_LIVES=$lives"
run "whole lives of a device" world_world "KEDGE_LIVES=$((lives / 10))"
run "bus faults, dead chips, decayed bits" cuts_swap_faults
run "the agent cut everywhere" cuts_agent_cuts
run "model closure" model_closure
run "every pair of cuts of every scenario" cuts_swap_cuts KEDGE_EXHAUSTIVE=1
run "the same of the encrypted ones" cuts_encrypted_cuts KEDGE_EXHAUSTIVE=1

echo "== over BLE, what takes minutes"
venv=${KEDGE_DEPS:-$HOME/.cache/kedge}/venv
"$venv/bin/python" -m pytest -q -p no:cacheprovider --timeout 300 -m long tests/ble || failed=$((failed + 1))

# 44,000 places (SWEEP_STRIDE=1: all); one second of one core cuts about six of them.
real() { # name, options...
    echo "== $1"
    python3 tests/qemu/sweep.py "${@:2}" || failed=$((failed + 1))
}
tools/build.sh arm boards || exit 1
real "the Cortex-M4 loader cut at any instruction" --near 31 --far 20011 --stride "${SWEEP_STRIDE:-2}"
real "the same, and its recovery cut as well" --near 31 --far 20011 --stride "$((${SWEEP_STRIDE:-2} * 10))" --again
echo "$((10 - failed)) passed, $failed failed"
[ "$failed" = 0 ]
