#!/usr/bin/env bash
# Runs every built fuzzer for FUZZ_SECONDS (60), three at a time, from its corpus; what it finds goes to
# build/fuzz/found/NAME. One line each: "ok NAME ..." or "FAILED NAME ...".
set -uo pipefail
cd "$(dirname "$0")/../.."
export FUZZ_SECONDS=${FUZZ_SECONDS:-60}
export found=$PWD/build/fuzz/found

one() {
    local program=$1 short=${1##*/fuzz_} dir
    dir=$found/$short
    mkdir -p "$dir/corpus"
    local seeds=tests/fuzz/corpus/$short
    [ -d "$seeds" ] || seeds=
    if "$program" -max_total_time="$FUZZ_SECONDS" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="$dir/" "$dir/corpus" $seeds >"$dir/log" 2>&1; then
        echo "ok $short: $(sed -n 's/^stat::number_of_executed_units: *//p' "$dir/log") runs"
    else
        echo "FAILED $short: see $dir/log; input in $dir"
        grep -m 3 -E 'ERROR|runtime error|deadly' "$dir/log" | sed 's/^/    /'
        return 1
    fi
}
export -f one

if ! compgen -G 'build/fuzz/fuzz/fuzz_*' >/dev/null; then
    echo "FAILED all: no fuzzer is built (tools/build.sh fuzz)"
    exit 1
fi
printf '%s\n' build/fuzz/fuzz/fuzz_* | xargs -P 3 -I{} bash -c 'one {}'
