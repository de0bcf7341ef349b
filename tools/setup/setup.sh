#!/usr/bin/env bash
# setup.sh build|demo|test|fuzz|size|bench|bench-delta|qemu|check|format|docs
# Makes a Debian 12 ready for one target of the Makefile: packages, third-party C, Python. Does
# nothing, quickly, when all is there. Everything else goes to $KEDGE_DEPS (default ~/.cache/kedge).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export KEDGE_DEPS=${KEDGE_DEPS:-$HOME/.cache/kedge}

packages=build trees="bearssl mbedtls monocypher zcbor nimble" python=
case ${1:-build} in
build | docs) ;;
demo) packages+=" demo" python=air ;;
test) packages+=" demo clang python report arm qemu" python=yes ;;
fuzz) packages+=" clang" ;;
size) packages+=" arm qemu" ;;
bench) packages+=" arm qemu python measure" python=yes ;;
qemu) packages+=" arm qemu" ;;
bench-delta) packages+=" arm qemu delta" trees+=" lwip tinycbor littlefs littlefs22" ;;
check) packages+=" clang format lint arm" ;;
format) packages=format trees= ;;
*) echo "setup.sh: no such target: $1" >&2; exit 2 ;;
esac

# Packages: dpkg knows which are there, and fails when it has never heard of one.
names=$(for group in $packages; do sed -n "s/^$group //p" "$here/debian.txt"; done)
missing=$({ dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' $names 2>/dev/null || true; } | sed -n 's/^.i. *//p' |
    sort | comm -13 - <(printf '%s\n' $names | sort))

# Third-party C: crates need a cargo; Debian 12's own (0.66) is too old for today's index.
absent=
for tree in $trees; do
    read -r _ variable folder how _ < <(grep "^$tree " "$here/thirdparty.txt")
    [ -n "${!variable:-}" ] || [ -e "$KEDGE_DEPS/$folder" ] || absent+=" $tree"
    case $how$absent in
    crate*" $tree") cargo --version 2>/dev/null | grep -qE ' 1\.([7-9][0-9]|[1-9][0-9]{2})\.' || missing+=" cargo-web" ;;
    esac
done

if [ -n "$missing" ]; then
    root=$([ "$(id -u)" = 0 ] || echo sudo)
    echo "setup: installing" $missing
    $root apt-get -q update
    $root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $missing
fi

# Python: one virtual environment outside of the source tree; Debian's interpreter, pinned packages.
venv=$KEDGE_DEPS/venv
if [ -n "$trees" ] && ! [ -x "$venv/bin/pip" ]; then
    /usr/bin/python3 -m venv "$venv"
fi
[ -z "$absent" ] || "$here/thirdparty.sh" $absent
requirements=$here/../../tests/interop/requirements.txt
# The demo's virtual air needs six of them.
if [ "$python" = air ]; then
    python=
    if ! cmp -s "$requirements" "$venv/installed.txt" && ! cmp -s "$requirements" "$venv/air.txt"; then
        awk -v want=' bumble cffi cryptography pycparser pyee typing-extensions ' \
            '/^[a-z]/ { split($0, n, "=="); on = index(want, " " n[1] " ") } on && !/# / || on && /==/' \
            "$requirements" >"$venv/air-requirements.txt"
        "$venv/bin/pip" install --quiet --require-hashes --no-deps --only-binary :all: --retries 3 -r "$venv/air-requirements.txt"
        cp "$requirements" "$venv/air.txt"
    fi
fi
if [ -n "$python" ] && ! cmp -s "$requirements" "$venv/installed.txt"; then
    echo "setup: installing Python packages into $venv"
    # crcmod has no wheel; it is built by the environment's own setuptools.
    "$venv/bin/pip" install --quiet --require-hashes --only-binary :all: --no-binary crcmod \
        --no-build-isolation --retries 3 -r "$requirements"
    cp "$requirements" "$venv/installed.txt"
fi
