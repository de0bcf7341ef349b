#!/usr/bin/env bash
# Fetches the third-party C trees named on the command line (rows of thirdparty.txt) that are not
# there yet. A tree whose root variable is set is the user's own and left alone.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
deps=${KEDGE_DEPS:-$HOME/.cache/kedge}

# Debian source package, only its upstream tarball, from the release that has this version: the
# machine's own mirror, in private lists, so that the system's stay as they are.
get_deb() {
    local apt=$deps/apt mirror
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' | grep -v security | head -n 1 || true)
    [ -n "$mirror" ] || { echo "setup: no Debian mirror is configured on this machine" >&2; return 1; }
    mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache/archives/partial"
    printf 'Types: deb-src\nURIs: %s\nSuites: trixie\nComponents: main\nSigned-By: %s\n' "$mirror" \
        /usr/share/keyrings/debian-archive-keyring.gpg >"$apt/parts/kedge.sources"
    set -- "$1" -q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$apt/parts" \
        -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root
    apt-get "${@:2}" update && apt-get "${@:2}" source --download-only --tar-only "$1"
}

# A crate is only fetched, never built: a manifest that names it is enough.
get_crate() {
    local home=$work/cargo
    mkdir -p "$work/src"
    : >"$work/src/lib.rs"
    printf '[package]\nname = "sources"\nversion = "0.0.0"\nedition = "2018"\n[dependencies]\n%s = "=%s"\n' \
        "${1%=*}" "${1#*=}" >"$work/Cargo.toml"
    CARGO_HOME=$home cargo fetch --quiet --target "$(uname -m)-unknown-linux-gnu" --manifest-path "$work/Cargo.toml" &&
        cp "$home"/registry/cache/*/"$2" .
}

get_wheel() {
    echo "$1 --hash=sha256:$3" >"$work/requirement.txt"
    "$deps/venv/bin/pip" download --quiet --no-deps --only-binary :all: --require-hashes -r "$work/requirement.txt" -d .
}

fetch() { # name folder how package file root sha256
    local archives=$deps/archives try
    mkdir -p "$archives"
    cd "$archives"
    for try in 1 2 3; do
        if [ ! -e "$5" ]; then
            work=$(mktemp -d)
            "get_$3" "$4" "$5" "$7" || true
            rm -rf "$work"
        fi
        if [ ! -e "$5" ]; then
            echo "setup: $4 did not give $5 (try $try of 3)" >&2
        elif echo "$7  $5" | sha256sum --check --quiet --status; then
            break
        else
            echo "setup: $archives/$5 is corrupt: its SHA-256 is not the one in thirdparty.txt; deleted (try $try of 3)" >&2
            rm -f "$5"
        fi
        [ "$try" != 3 ] || { echo "setup: $1 cannot be had; point $8 at a tree of your own" >&2; exit 1; }
        sleep "$try"
    done
    work=$(mktemp -d -p "$deps")
    case $5 in
    *.whl) "$deps/venv/bin/python" -m zipfile -e "$5" "$work" && mv "$work/$6" "$deps/$2" ;;
    *) mkdir "$work/tree" && tar -xf "$5" -C "$work/tree" --strip-components=1 && mv "$(realpath "$work/tree/$6")" "$deps/$2" ;;
    esac
    rm -rf "$work"
}

for name; do
    read -r _ variable folder how package file root sha256 < <(grep "^$name " "$here/thirdparty.txt")
    [ -z "${!variable:-}" ] || continue
    [ -e "$deps/$folder" ] || (fetch "$name" "$folder" "$how" "$package" "$file" "$root" "$sha256" "$variable")
done
