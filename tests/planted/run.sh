#!/bin/sh
# The suite is tested by bugs that it must catch. Each NN-name.patch here plants one in the sources;
# its header names the test that has to fail:
#
#     Breaks: one sentence, what is wrong and what it costs in the field.
#     Caught-by: cuts_journal_cuts          CTest's name of the test
#     With: KEDGE_LIVES=20000               optional: environment of that test
#
#     --- a/src/log/journal.c               a patch as git makes it, from the top folder
#
# Numbers 01 to 23 are SWAP.md's list (section 13); from 30 on bugs that were met since. To add one:
# break the code, `git diff src > /tmp/bug`, put the header in front, undo the change, run this with the
# number, and see it caught.
#
#     tests/planted/run.sh [NN ...]         all, or those whose names begin so
#
# Two work side by side, each with a copy of the tree and a build folder of its own under
# build/planted (KEDGE_PLANTED), kept between runs, so a bug costs one file and a link. Prints
# `planted NN name: caught by TEST` for each; exit 0 when all were caught, 1 when one was not, when a
# patch no longer applies, when it does not compile, or when a test hangs (KEDGE_PLANTED_LIMIT, 600 s).
# A test that fails without a bug catches nothing: `make test` comes first.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
work=${KEDGE_PLANTED:-$top/build/planted}
limit=${KEDGE_PLANTED_LIMIT:-600}
mkdir -p "$work"

header() { sed -n "s/^$1: *//p" "$2" | head -n 1; }

# A fresh copy; files that a patch touches look new, so nothing of an earlier bug stays built.
copy_tree() {
    rm -rf "$1/tree" && mkdir -p "$1/tree" || return 1
    for part in CMakeLists.txt CMakePresets.json cmake src include ports examples tests tools; do
        [ ! -e "$top/$part" ] || cp -a "$top/$part" "$1/tree/" || return 1
    done
    sed -n 's|^+++ b/||p' "$top"/tests/planted/*.patch | sort -u | while read -r file; do
        [ ! -e "$1/tree/$file" ] || touch "$1/tree/$file"
    done
    cmake -S "$1/tree" -B "$1/build" -G Ninja -DCMAKE_C_COMPILER=gcc "-DCMAKE_C_FLAGS=-O2 -g" \
        > "$1/configure.log" 2>&1
}

# git apply must not look for a repository around the copy: it would leave out what lies outside.
apply() { (cd "$1/tree" && GIT_CEILING_DIRECTORIES=$1 git apply $3 "$2"); }

# One bug: its line on stdout, 0 when caught.
plant() {
    patch=$2
    name=$(basename "$patch" .patch | sed 's/-/ /')
    by=$(header Caught-by "$patch")
    with=$(header With "$patch")
    if [ -z "$by" ] || ! apply "$1" "$patch" "" 2> "$1/apply.log"; then
        echo "planted $name: the patch does not apply any more, or names no test"
        return 1
    fi
    if ! cmake --build "$1/build" --target "$by" -j 1 > "$1/build.log" 2>&1; then
        echo "planted $name: does not compile; see $1/build.log"
        result=1
    else
        (cd "$1/tree" && env $with timeout "$limit" "$1/build/tests/$by" > "$1/test.log" 2>&1)
        case $? in
        0) echo "planted $name: NOT CAUGHT by $by"; result=1 ;;
        124) echo "planted $name: $by hangs"; result=1 ;;
        *) echo "planted $name: caught by $by"; result=0 ;;
        esac
    fi
    apply "$1" "$patch" -R || result=1
    return $result
}

# Every second patch of the list, beginning with the first or the second.
worker() {
    mine=$work/$1
    mkdir -p "$mine"
    if ! copy_tree "$mine"; then
        echo "planted: cannot configure; see $mine/configure.log"
        return 1
    fi
    failed=0
    i=0
    for one in $list; do
        [ $((i % 2)) -ne "$1" ] || plant "$mine" "$one" || failed=1
        i=$((i + 1))
    done
    return $failed
}

list=
for patch in "$top"/tests/planted/[0-9]*.patch; do
    [ -e "$patch" ] || continue
    [ $# -gt 0 ] || list="$list $patch"
    for wanted in "$@"; do
        case $(basename "$patch") in "$wanted"*) list="$list $patch" ;; esac
    done
done
[ -n "$list" ] || { echo "planted: no such patch" >&2; exit 1; }
worker 0 &
first=$!
worker 1 &
second=$!
result=0
wait $first || result=1
wait $second || result=1
exit $result
