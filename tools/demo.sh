#!/usr/bin/env bash
# The main job in a dozen lines: real Nordic firmware over BLE into external SPI NOR, tested, reverted,
# confirmed, attacked; and which flash was touched. Exit 0 only when every step gave what it says.
# The air is a virtual one (tests/ble/air). "demo.sh udp": the same over UDP.
set -euo pipefail
cd "$(dirname "$0")/.."

kedge=$PWD/build/bin/kedge
hex=/usr/share/firmware-microbit-micropython/firmware.hex
work=$(mktemp -d)
port=$((20000 + $$ % 20000))
over=${1:-ble}
device= air= server= modem=
say() { printf '\n\033[1m%2d. %s\033[0m\n' "$((step += 1))" "$*"; }
fail() { echo "demo: $*" >&2; tail -n 5 "$work/log" >&2 || true; exit 1; }
cleanup() { [ -z "$device$air$server$modem" ] || kill $device $air $server $modem 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"; }
trap cleanup EXIT
step=0

# The air, with the options of tests/ble/air/air.py.
open_air() {
    [ -z "$air" ] || kill "$air" 2>/dev/null || true
    rm -f "$work/air" "$work/air.port"
    mkfifo "$work/air"
    "${KEDGE_DEPS:-$HOME/.cache/kedge}/venv/bin/python" tests/ble/air/air.py 1 "$@" <"$work/air" >"$work/air.port" 2>>"$work/log" &
    air=$!
    exec 9>"$work/air" # it is there until this is closed
    for _ in $(seq 100); do [ -s "$work/air.port" ] && break; sleep 0.1; done
    controller=tcp:127.0.0.1:$(cut -d' ' -f2 "$work/air.port")
    radio=(--hci "$controller" --ble-name Demo --ble-security encrypted)
}
if [ "$over" = ble ]; then
    export XDG_STATE_HOME=$work # bonds
    open_air
    smp() { "$kedge" --ble Demo --hci "$controller" --timeout 10 "$@"; }
else
    radio=(--udp "127.0.0.1:$port")
    smp() { "$kedge" --udp "127.0.0.1:$port" --timeout 10 "$@"; }
fi
start() {
    build/bin/kedge-device --state "$work/dev" --key "$work/pub.pem" "${radio[@]}" "$@" >>"$work/log" 2>&1 &
    device=$!
    for _ in $(seq 300); do
        smp os echo ready >/dev/null 2>&1 && return
        kill -0 "$device" 2>/dev/null || fail "the device ended: $(tail -n 1 "$work/log")"
        sleep 0.1
    done
    fail "the device does not answer"
}
stop() { kill "$device"; wait "$device" || fail "the device ended badly"; device=; }
boots() { grep -c -e '^booted' -e '^nothing' "$work/log" || true; }
# Reset and wait for the next verdict of the loader; it must contain the words given.
reset_expect() {
    local before
    before=$(boots)
    smp os reset >/dev/null
    for _ in $(seq 600); do
        [ "$(boots)" -gt "$before" ] && break
        sleep 0.1
    done
    expect "$@"
}
expect() {
    local line
    line=$(grep -e '^booted' -e '^nothing' "$work/log" | tail -n 1)
    echo "    device: $line"
    case "$line" in *"$1"*) ;; *) fail "expected '$1'" ;; esac
}
hash_of() {
    "$kedge" dumpinfo --json "$1" | python3 -c 'import json, sys
print(next(t["data"] for t in json.load(sys.stdin)["tlv_area"]["tlvs"] if t["type_name"] == "SHA256"))'
}

say "A key pair, and two versions of real firmware (MicroPython for a Nordic SoC), signed"
"$kedge" keygen -t ecdsa-p256 -k "$work/key.pem"
"$kedge" keygen -t ecdsa-p256 -k "$work/stranger.pem"
"$kedge" getpub -k "$work/key.pem" -e pem -o "$work/pub.pem"
python3 tools/demo/firmware.py "$hex" "$work/fw1.bin"
python3 tools/demo/firmware.py "$hex" "$work/fw2.bin" $'from microbit import *\ndisplay.scroll("v2")\n'
sign() { "$kedge" sign -k "$work/$1.pem" -v "$2" -H 0x200 --pad-header -S 0x71000 --align 4 "$3" "$4"; }
sign key 1.0.0 "$work/fw1.bin" "$work/v1.bin"
sign key 2.0.0 "$work/fw2.bin" "$work/v2.bin"
sign key 3.0.0 "$work/fw1.bin" "$work/v3.bin"
sign stranger 9.0.0 "$work/fw2.bin" "$work/v9.bin"
ls -l "$work"/v[12].bin | awk '{print "    " $5 " bytes  " $NF}'

say "Version 1 into the primary slot with a debugger; the loader boots it"
"$kedge" flash write --state "$work/dev" --slot primary "$work/v1.bin"
start --crash-version 3.0.0
expect "booted 1.0.0"

say "Upload version 2 over ${over^^} into the external flash"
[ "$over" != ble ] || grep '^ble:.*\(advertises\|encrypted\)' "$work/log" | head -n 2 | sed 's/^/    device: /'
smp recorder clear >/dev/null
smp image upload "$work/v2.bin"

say "Which flash was touched? The recorder's answer"
smp recorder show
smp recorder show --json >"$work/recorder.json"
python3 - "$work/recorder.json" <<'PY' || fail "internal flash was touched during the download"
import json, sys
recorder = json.load(open(sys.argv[1]))
internal, external = recorder["internal"]["download"], recorder["external"]["download"]
assert internal["programs"] == 0 and internal["erases"] == 0, internal
assert external["programs"] > 900 and external["erases"] >= 62, external
PY

say "Test it: one boot of version 2"
smp image test "$(hash_of "$work/v2.bin")" >/dev/null
"$kedge" flash inspect --state "$work/dev" | grep -i 'next boot'
reset_expect "booted 2.0.0"
smp image list

say "Reset without a confirm: version 1 is back, bit for bit"
reset_expect "booted 1.0.0"
"$kedge" flash read --state "$work/dev" --slot primary "$work/back.bin"
cmp -n "$(stat -c %s "$work/v1.bin")" "$work/v1.bin" "$work/back.bin" || fail "the old image is not the same"

say "Again, and now confirmed: version 2 stays"
smp image test "$(hash_of "$work/v2.bin")" >/dev/null
reset_expect "booted 2.0.0"
smp image confirm >/dev/null
reset_expect "booted 2.0.0"

say "A version 3 that crashes as soon as it runs: its watchdog resets, version 2 comes back"
smp image upload "$work/v3.bin" --test --reset >/dev/null
for _ in $(seq 900); do
    grep -q '^booted 3.0.0' "$work/log" && grep '^booted' "$work/log" | tail -n 1 | grep -q '^booted 2.0.0' && break
    sleep 0.1
done
grep '^booted 3.0.0' "$work/log" | sed 's/^/    device: /'
expect "booted 2.0.0"

say "An image signed by a stranger is refused by 'image test' ..."
smp image upload "$work/v9.bin" >/dev/null
if smp image test "$(hash_of "$work/v9.bin")" >/dev/null 2>"$work/err"; then fail "it was accepted"; fi
sed 's/^/    /' "$work/err"

say "... and by the loader, when a debugger put it there with a request"
stop
"$kedge" sign -k "$work/stranger.pem" -v 9.0.0 -H 0x200 --pad-header -S 0x71000 --align 4 --pad "$work/fw2.bin" "$work/v9p.bin"
"$kedge" flash write --state "$work/dev" --slot secondary "$work/v9p.bin"
start
expect "booted 2.0.0"
smp history show | tail -n 3
stop

say "Your own encryption: version 4 sealed with a key of yours; any client carries it, the device opens it"
head -c 32 /dev/urandom >"$work/shared.key"
sign key 4.0.0 "$work/fw1.bin" "$work/v4.bin"
"$kedge" seal --shared-key "$work/shared.key" "$work/v4.bin" "$work/v4.sealed"
"$kedge" dumpinfo "$work/v4.sealed" | grep -i -A2 "^#### Inside"
start --shared-key "$work/shared.key"
expect "booted 2.0.0"

say "One bit of it changed on the way: refused, and nothing of that segment is written"
python3 - "$work/v4.sealed" "$work/v4.bad" <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[len(data) // 2] ^= 1
open(sys.argv[2], "wb").write(data)
PY
if smp image upload "$work/v4.bad" >/dev/null 2>"$work/err"; then fail "it was accepted"; fi
sed 's/^/    /' "$work/err"

say "The sealed file itself: authenticated, opened and written segment by segment, then tested"
smp image upload "$work/v4.sealed" --test
reset_expect "booted 4.0.0"
smp image confirm >/dev/null
stop

say "The next update as a patch: what changed from version 4 to 5, and beside it the whole image"
sign key 5.0.0 "$work/fw2.bin" "$work/v5.bin"
if [ "$over" = ble ]; then
    open_air --interval 15 --phy 2
    echo "    (from here on the air has the pace of a 2M link at 15 ms)"
fi
start
expect "booted 4.0.0"
smp image upload "$work/v5.bin" | sed "s|$work/|    |"
smp image erase
smp image upload "$work/v5.bin" --delta-from "$work/v4.bin" --test | sed "s|$work/|    |; s|: |: as a patch, |;t;d"
"$kedge" flash read --state "$work/dev" --slot secondary "$work/built.bin"
cmp -n "$(stat -c %s "$work/v5.bin")" "$work/v5.bin" "$work/built.bin" || fail "the device built another image"
reset_expect "booted 5.0.0"
smp image confirm >/dev/null
stop

say "Cellular: version 6 through a modem's AT commands, parked chunk by chunk in a partition of its own"
sign key 6.0.0 "$work/fw1.bin" "$work/v6.bin"
mkdir "$work/www"
cp "$work/v6.bin" "$work/www/image.bin"
"$kedge" stage manifest "$work/www/image.bin" >/dev/null
busybox httpd -f -p "127.0.0.1:$((port + 1))" -h "$work/www" & server=$!
python3 tests/modem/modem.py "$work/modem" --faults 3 & modem=$!
for _ in $(seq 100); do [ -e "$work/modem" ] && break; sleep 0.1; done
pull=(--pull "http://127.0.0.1:$((port + 1))/image.bin" --modem "$work/modem")
start
smp policy set hold on >/dev/null
stop
for cut in 200 350; do
    build/bin/kedge-device --state "$work/dev" --key "$work/pub.pem" --udp "127.0.0.1:$port" "${pull[@]}" --cut $cut >"$work/cut" 2>&1 && fail "no power cut"
    grep -o 'power cut at operation.*' "$work/cut" | sed 's/^/    device: /'
    "$kedge" flash inspect --state "$work/dev" | sed -n '/^staging/,/^budget/p' | sed '$d' | sed 's/^/    /'
done

say "The line lies, power failed twice: what was parked stays, the rest is fetched; then it waits for the user's word"
start "${pull[@]}"
for _ in $(seq 1200); do grep -q 'waits for kedge policy' "$work/log" && break; sleep 0.1; done
grep '^kedge-device: pull' "$work/log" | sed 's/^kedge-device:/    device:/'
grep -q 'waits for kedge policy' "$work/log" || fail "it was not downloaded"
kill "$server" "$modem"
smp recorder show | head -n 12
reset_expect "booted 5.0.0"
smp policy set hold off >/dev/null
reset_expect "booted 6.0.0"
smp image confirm >/dev/null
stop

say "What is left in the external flash, in words"
"$kedge" flash inspect --state "$work/dev"

say "The whole story as a page: every operation, on both flashes, to replay in a browser"
"$kedge" flash report --state "$work/dev" -o build/report.html | tee "$work/report"
grep -qx 'internal writes during download: 0' "$work/report" || fail "the report tells another story"
echo
echo "demo: done"
