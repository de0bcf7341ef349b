#!/usr/bin/env bash
# check-long.sh [NAME...]: the long sweeps, what `make test` samples, whole; all, or those named. Prints
# counts, seconds and seeds, and writes them to docs/check-long.md. LIVES and SEED choose how long.
set -uo pipefail
cd "$(dirname "$0")/.."
lives=${LIVES:-100000}
seed=${SEED:-$(date +%s)}
failed=0 ran=0 wanted=" $* "
log=$(mktemp)
trap 'rm -f "$log"' EXIT

asked() { [ "$wanted" = "  " ] || [[ $wanted == *" $1 "* ]]; }
# What it printed that has figures.
result() { sed -E '/^\[/d;/^ *$/d;/^(ok|case) /d' "$log" | grep '[0-9]' | tr -s ' ' | tail -n 8 | paste -sd';' | sed 's/;/; /g' | cut -c 1-500; }

# name, command...
sweep() {
    local name=$1 start=$SECONDS
    shift
    asked "$name" || return 0
    echo "== $name (seed $seed)"
    ran=$((ran + 1))
    if env "KEDGE_SEED=$seed" "$@" 2>&1 | tee "$log" | sed -E '/^\[ *(RUN|OK|=|-)/d'; then
        python3 tests/record.py "$name" "$(result); seed $seed" $((SECONDS - start))
    else
        failed=$((failed + 1))
        python3 tests/record.py "$name" "FAILED, seed $seed" $((SECONDS - start))
    fi
    echo "   $((SECONDS - start)) s"
}

tools/build.sh gcc || exit 1
t=build/tests
sweep journal "KEDGE_LIVES=$lives" $t/cuts_journal_cuts       # every operation cut, pairs, random lives
sweep world "KEDGE_LIVES=$((lives / 10))" $t/world_world      # whole lives of a device
sweep faults $t/cuts_swap_faults                              # bus faults, dead chips, decayed bits
sweep agent $t/cuts_agent_cuts                                # the agent cut everywhere
sweep stage $t/cuts_stage_cuts                                # the chunk store
sweep delta $t/cuts_delta_cuts                                # the decoder
sweep closure $t/model_closure
sweep product KEDGE_PRODUCT=1 KEDGE_EXHAUSTIVE=1 $t/cuts_product_cuts            # every place at product geometry
sweep swap-pairs KEDGE_EXHAUSTIVE=1 $t/cuts_swap_cuts         # every pair of cuts of every scenario
sweep encrypted-pairs KEDGE_EXHAUSTIVE=1 $t/cuts_encrypted_cuts
sweep ble "${KEDGE_DEPS:-$HOME/.cache/kedge}/venv/bin/python" -m pytest -q -p no:cacheprovider --timeout 300 -m long tests/ble
# The Cortex-M4 loader cut at any instruction, 41,000 places (SWEEP_STRIDE=1: all); a second of one core cuts three.
if asked cortex-m4 || asked cortex-m4-again; then tools/build.sh arm boards || exit 1; fi
cortex=(python3 tests/qemu/sweep.py --near 31 --far 20011)
sweep cortex-m4 "${cortex[@]}" --stride "${SWEEP_STRIDE:-2}"
sweep cortex-m4-again "${cortex[@]}" --stride "$((${SWEEP_STRIDE:-2} * 10))" --again # ... and its recovery as well
# Fuzzers for ten minutes each.
if asked fuzz; then tools/build.sh fuzz fuzzers || exit 1; fi
sweep fuzz "FUZZ_SECONDS=${LONG_FUZZ_SECONDS:-600}" tests/fuzz/run.sh
echo "$((ran - failed)) passed, $failed failed"
[ "$failed" = 0 ]
