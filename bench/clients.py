#!/usr/bin/env python3
"""How much of a client's own speed the device leaves it: uploads of 256 KiB by smpclient and
mcumgr-toolkit over UDP, against kedge-device (no flash time) and against a server that stores
nothing, in turns, in one run. A server is judged by the ratio: times on shared machines mean little.

usage: clients.py BUILD_DIR OUT.json   (in the Python environment of tests/interop)
"""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "interop"))
from clients import Smpclient, Toolkit  # noqa: E402
from devices import KEY, Device, free_port, payload  # noqa: E402

ROUNDS = 9
GOALS = {"smpclient": 0.9, "mcumgr-toolkit": 0.5}


def signed(directory, version, seed):
    source, target = directory / "in.bin", directory / "out.bin"
    source.write_bytes(payload(256 * 1024 - 1024, seed))
    subprocess.run([sys.executable, "-m", "imgtool.main", "sign", "-k", KEY, "-v", version, "-H",
                    "0x200", "--pad-header", "-S", "0x71000", "--align", "4", source, target],
                   check=True, capture_output=True)
    return target.read_bytes()


class NullServer:
    def __init__(self, binary):
        self.port = free_port()
        self.process = subprocess.Popen([binary, f"127.0.0.1:{self.port}"],
                                        stdout=subprocess.DEVNULL)
        time.sleep(0.3)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def seconds(client, image):
    start = time.perf_counter()
    client.upload(image)
    return time.perf_counter() - start


def main():
    build, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    results = []
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        # another file each time: the device knows one that it already has by its hash
        images = [signed(directory, f"1.0.{i}", i) for i in range(4)]
        device = Device(build / "bin" / "kedge-device", directory / "device").start()
        null = NullServer(build / "bench" / "bench_null_server")
        try:
            for shift, (label, make) in enumerate((("smpclient", Smpclient),
                                                   ("mcumgr-toolkit", Toolkit))):
                real, free = make(device, "udp"), make(null, "udp")
                pairs = []
                for i in range(ROUNDS):
                    image = images[(i + shift) % len(images)]
                    pairs.append((seconds(real, image), seconds(free, image)))
                # the quickest of each: what neither the scheduler nor the other tenant delayed
                ours, theirs = (min(p[k] for p in pairs) for k in (0, 1))
                ratio = theirs / ours
                kib = len(images[0]) / 1024
                results.append({"client": label, "device_kib_s": round(kib / ours),
                                "null_kib_s": round(kib / theirs), "ratio": round(ratio, 3),
                                "median_ratio": round(statistics.median(b / a for a, b in pairs), 3),
                                "goal": GOALS[label], "met": ratio >= GOALS[label]})
        finally:
            null.stop()
            device.stop()
    print(f"{'client, 256 KiB over UDP':28} {'device':>12} {'null server':>12} {'ratio':>7} "
          f"{'median':>7}  goal")
    for r in results:
        print(f"{r['client']:28} {r['device_kib_s']:>6} KiB/s {r['null_kib_s']:>6} KiB/s "
              f"{r['ratio']:>7.2f} {r['median_ratio']:>7.2f}  >= {r['goal']} "
              f"{'ok' if r['met'] else 'MISS'}")
    out.write_text(json.dumps({"clients": results}, indent=2) + "\n")


main()
