#!/usr/bin/env bash
# The main job on a real Cortex-M4 program, in QEMU, over a serial line: upload, test, revert, confirm,
# crash; then what both chips hold. Needs tools/build.sh gcc programs and tools/build.sh arm boards.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools/build.sh arm boards
arm=build/arm key=tests/fixtures/keys/p256.pem
kedge=build/bin/kedge
work=$(mktemp -d)
qemu=
end() {
    [ -z "$qemu" ] || { kill "$qemu" && wait "$qemu" || true; } 2>/dev/null
    rm -rf "$work"
}
trap end EXIT

step() { printf '\n== %s\n' "$*"; }
image() { # version, build
    $kedge sign -k "$key" -v "$1" -H 0x200 --pad-header -S 0x71000 --align 8 \
        "$arm/qemu-ast1030-application-$2.bin" "$work/$1.img" >/dev/null
}
blank() { head -c "$1" /dev/zero | tr '\0' '\377'; }
said() { tail -n +"$((seen + 1))" "$work/console" 2>/dev/null | tr -d '\r' | grep -E "$1"; }
wait_for() { # pattern: in what the console says from now on
    for _ in $(seq 200); do
        if said "$1" >/dev/null; then
            said '^(reset|booted|nothing|application|flash)'
            seen=$(wc -l <"$work/console")
            return
        fi
        sleep 0.05
    done
    echo "the board did not say '$1'" >&2
    return 1
}
board() { "$kedge" --serial "$work/tty" "$@"; }

image 1.0.0 waits
image 2.0.0 waits
image 3.0.0 confirms
image 4.0.0 crashes
{ blank 49152; cat "$work/1.0.0.img"; blank $((1048576 - 49152 - $(stat -c %s "$work/1.0.0.img"))); } >"$work/internal.bin"
blank 8388608 >"$work/external.bin"

step "power on: QEMU's ast1030-evb, Cortex-M4, W25Q80 as internal flash, W25Q64 as external flash"
seen=0
qemu-system-arm -M ast1030-evb,fmc-model=w25q80bl,spi-model=w25q64 -display none -monitor none \
    -kernel "$arm/qemu-ast1030-loader.elf" \
    -drive "file=$work/internal.bin,format=raw,if=mtd,index=0" \
    -drive "file=$work/external.bin,format=raw,if=mtd,index=2" \
    -chardev "pty,id=console,logfile=$work/console" -serial chardev:console >"$work/qemu.log" 2>&1 &
qemu=$!
for _ in $(seq 100); do
    tty=$(grep -o '/dev/pts/[0-9]*' "$work/qemu.log") && break
    sleep 0.05
done
ln -s "$tty" "$work/tty"
exec 9<>"$tty" # QEMU looks only every second whether somebody came
wait_for '^application.*passed'
board os info

step "upload 2.0.0 into the external flash, over the serial line"
board image upload "$work/2.0.0.img" --test
board recorder show
step "reset: 2.0.0 on trial"
board os reset
wait_for '^application.*passed'
step "reset without a confirm: 1.0.0 comes back"
board os reset
wait_for '^application.*passed'
step "3.0.0 confirms itself after its self-test"
board image upload "$work/3.0.0.img" --test
board os reset
wait_for '^application.*passed'
board os reset
wait_for '^application.*passed'
step "4.0.0 crashes: the watchdog resets, the loader reverts"
board image upload "$work/4.0.0.img" --test
board os reset
wait_for '^booted 4'
wait_for '^application.*passed'
board history show
step "power off: both chips, in words"
kill "$qemu"
wait "$qemu" 2>/dev/null || true
qemu=
$kedge flash inspect --layout ports/qemu-ast1030/layout.yml --internal "$work/internal.bin" --external "$work/external.bin"
