#!/usr/bin/env bash
# build.sh PRESET: configures (the first time) and builds; quiet unless something is wrong.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=build
[ "$1" = gcc ] || dir=build/${1#clang-}
# No build.ninja: first time, or a broken one that must be said again.
[ -e "$dir/build.ninja" ] || cmake --preset "$1" >/dev/null
cmake --build "$dir"
