#!/usr/bin/env python3
"""Uploads of 256 KiB over a modelled BLE link (2M PHY, data packets of 251 bytes) into a device whose
flash takes its time (MX25R64, typical), as a share of what the link can carry one way. Two clients:
smpclient, one request at a time; kedge, as many as the device has buffers for. The link's model is
tests/ble/air/link_model.py; both sides run in real time, so a busy machine shows as a slower device.

usage: ble.py BUILD_DIR OUT.json   (in the Python environment of tests/interop)
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(sys.argv[1]).resolve()
os.environ["KEDGE_BIN_DIR"] = str(BUILD / "bin")
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("interop", "ble", "ble/air")]
from clients import Kedge  # noqa: E402
from devices import Device, payload  # noqa: E402
from link_model import Pace, limit  # noqa: E402
from radio import BIN, Air, BleDevice, Central, run  # noqa: E402
from smpclient.requests.image_management import ImageErase  # noqa: E402

SIZE = 256 * 1024
INTERVALS = (7.5, 15, 45)
GOALS = {("erased ahead", 15): 0.41, ("dirty", 15): 0.30}


def image(seed):
    """Any bytes with an image's header: it is never asked for."""
    head = bytes.fromhex("3db8f396") + bytes(4) + (512).to_bytes(2, "little") + bytes(2)
    body = (SIZE - 512 - 4).to_bytes(4, "little") + bytes(12)
    return (head + body + payload(SIZE - 32, seed))[:SIZE]


async def by_smpclient(device, directory, file):
    """(seconds, longest wait for a reply)"""
    async with Central(device, directory / "bonds").connected() as client:
        start = last = time.perf_counter()
        waits = []
        async for _ in client.upload(file, first_timeout_s=20, subsequent_timeout_s=10):
            now = time.perf_counter()
            waits.append(now - last)
            last = now
        return time.perf_counter() - start, max(waits[1:-1])


def kedge(device, directory, *words):
    done = subprocess.run([BIN / "kedge", "--ble", device.name, "--hci", f"tcp:127.0.0.1:{device.air.port}", *words],
                          capture_output=True, text=True, check=True, timeout=120,
                          env={**os.environ, "XDG_STATE_HOME": str(directory)})
    return done.stdout


def by_kedge(device, directory, file):
    path = directory / "upload.bin"
    path.write_bytes(file)
    return float(re.search(r"in ([\d.]+) s", kedge(device, directory, "image", "upload", str(path)))[1]), None


async def erase(device, directory):
    async with Central(device, directory / "bonds").connected() as client:
        await client.request(ImageErase(slot=1), timeout_s=60)


def measure(interval, client, directory):
    upload = {"smpclient": lambda d, f: run(by_smpclient(d, directory, f)),
              "kedge": lambda d, f: by_kedge(d, directory, f)}[client]
    filled = Device(BIN / "kedge-device", directory / "device").start()  # no flash time, no radio
    Kedge(filled, "udp", BIN / "kedge").upload(image(1))
    filled.stop()
    air = Air("--interval", interval)
    device = BleDevice(BIN / "kedge-device", directory / "device", air, timed=True).start()
    try:
        dirty = upload(device, image(2))
        run(erase(device, directory))
        return {"dirty": dirty, "erased ahead": upload(device, image(3))}
    finally:
        device.stop()
        air.stop()


def main():
    rows, missed = [], 0
    print("256 KiB over a modelled 2M link, flash of an MX25R64 (model)")
    print(f"{'interval':>9} {'link':>10} {'client':<10} {'slot':<13} {'goodput':>10} {'share':>6} {'goal':>6} {'longest reply':>14}")
    for interval in INTERVALS:
        most = limit(Pace(interval=interval))
        for client in ("smpclient", "kedge"):
            with tempfile.TemporaryDirectory() as name:
                for slot, (seconds, longest) in measure(interval, client, pathlib.Path(name)).items():
                    share = SIZE / seconds / most
                    goal = GOALS.get((slot, interval))
                    missed += goal is not None and share < goal
                    rows.append({"interval": interval, "client": client, "slot": slot, "link": most,
                                 "goodput": SIZE / seconds, "share": share, "goal": goal, "longest": longest})
                    print(f"{interval:>6} ms {most / 1024:>4.0f} KiB/s {client:<10} {slot:<13} "
                          f"{SIZE / seconds / 1024:>4.1f} KiB/s {share:>6.0%} "
                          f"{'' if goal is None else f'{goal:.0%}':>5}{' ' if goal is None or share >= goal else '!'}"
                          f"{'' if longest is None else f'{longest * 1000:.0f} ms':>14}", flush=True)
    if missed:
        print(f"{missed} goals missed (!)")
    pathlib.Path(sys.argv[2]).write_text(json.dumps({"ble": rows}))


if __name__ == "__main__":
    main()
