#!/usr/bin/env bash
# `make check`: what is judged without running anything. Fails at the end, when all was said.
set -uo pipefail
cd "$(dirname "$0")/../.."
bad=0
say() { printf '\n== %s\n' "$*"; }

say "Cortex-M4, clang and gcc agree that there is no warning"
for preset in arm gcc clang-asan; do tools/build.sh "$preset" || bad=1; done

say "layers"
python3 tools/checks/layers.py --self-test || bad=1
python3 tools/checks/layers.py --objects build/libkedge.a || bad=1

say "format"
git ls-files '*.c' '*.h' | xargs clang-format-14 --dry-run --Werror 2>&1 | grep 'error:' | cut -d: -f1 | sort | uniq -c && bad=1

say "cppcheck"
cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability -j 2 --inline-suppr -Iinclude -Isrc src || bad=1

# Without the check on widened products: sizes are 32 bits wide where this code runs.
say "clang-tidy"
git ls-files 'src/*.c' | xargs -P 2 -n 8 clang-tidy-14 --quiet -p build/asan \
    --checks='-*,bugprone-*,clang-analyzer-*,-bugprone-easily-swappable-parameters,-bugprone-implicit-widening-of-multiplication-result,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling' \
    --warnings-as-errors='*' 2>/dev/null || bad=1

[ "$bad" = 0 ] && echo "check: all is well" || echo "check: see above"
exit "$bad"
