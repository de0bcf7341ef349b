#!/usr/bin/env bash
# build.sh PRESET [TARGET...]: configures (the first time) and builds; says little unless something is
# wrong. Target `programs`: only what goes to bin/. One broken file does not keep the others.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=build
[ "$1" = gcc ] || dir=build/${1#clang-}
# No build.ninja: first time, or a broken one that must be said again.
[ -e "$dir/build.ninja" ] || cmake --preset "$1" >/dev/null
preset=$1
shift
[ $# -gt 0 ] || set -- all
cmake --build "$dir" --target "$@" -- --quiet -k 0 || { echo "build.sh: preset $preset did not build" >&2; exit 1; }
