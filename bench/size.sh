#!/usr/bin/env bash
# size.sh: text, static RAM, deepest stack and instructions of the loaders on Cortex-M4, beside
# MCUboot's and the goals; also into build/size.json. Needs tools/build.sh arm. ARM_DIR and HOST_DIR
# name other build folders.
set -euo pipefail
cd "$(dirname "$0")/.."
arm=${ARM_DIR:-build/arm}
host=${HOST_DIR:-build}
[ -e "$host/build.ninja" ] || cmake --preset gcc -B "$host" >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --build "$host" --target kedge-tool >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }

# An image of 256 KiB in a place of 264 KiB, erased flash behind it; every unit of the two differs.
# make_image NAME KEY SEED OPTIONS...
make_image() {
    local out=$work/$1-$3.bin key=$2 seed=$3
    shift 3
    python3 -c "import random, sys; sys.stdout.buffer.write(random.Random($seed).randbytes(261408))" >"$work/payload.bin"
    "$host/bin/kedge" sign -k "tests/fixtures/keys/$key.pem" -v "$seed.0.0" -H 0x200 --pad-header "$@" \
        "$work/payload.bin" "$work/image" >/dev/null
    head -c 12288 /dev/zero | tr '\0' '\377' | cat "$work/image" - | head -c 270336 >"$out"
}
for seed in 1 2; do
    make_image p256 p256 $seed
    make_image ed25519 ed25519 $seed
done
# Encrypted, each with a key of its own; what runs lies plain in the primary.
make_image ecies p256 1 -E tests/fixtures/keys/enc.pem --clear
make_image ecies p256 2 -E tests/fixtures/keys/enc.pem
for build in small fast ed25519 ecies ecies-fast; do
    case $build in ed25519) key=ed25519 ;; ecies*) key=ecies ;; *) key=p256 ;; esac
    timeout 120 qemu-system-arm -M mps2-an386 -icount shift=0 -display none -monitor none -serial none \
        -semihosting-config enable=on,target=native -kernel "$arm/mps2-an386-$build.elf" \
        -device "loader,file=$work/$key-1.bin,addr=0x21A00000,force-raw=on" \
        -device "loader,file=$work/$key-2.bin,addr=0x21A80000,force-raw=on" 2>&1 | sed "s/^/$build /" >>"$work/runs.txt" ||
        { echo "size: QEMU did not come to an end with $arm/mps2-an386-$build.elf" >&2; exit 1; }
done
python3 bench/size_table.py "$arm" "$work/runs.txt" build/size.json
python3 bench/size_boards.py "$arm" build/size.json
python3 bench/delta/cortex_m4.py "$arm"
