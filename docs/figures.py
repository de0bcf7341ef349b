#!/usr/bin/env python3
"""Put the measured figures into README.md, between its two marks: from build/bench.json (make bench)
and build/size.json (make size). usage: figures.py   (make docs)"""
import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
START, END = "<!-- figures: made by `make docs` -->", "<!-- end of figures -->"


def flash_rows(bench):
    yield "| 256 KiB, nRF52840 + MX25R64 at 8 MHz (model) | int. erases | ext. erases | bytes int / ext | time | goal |"
    yield "|---|---|---|---|---|---|"
    for r in bench["flash"]:
        goal = f"<= {r['goal_seconds']:g} s" if r["goal_seconds"] else ""
        missed = "" if r["met"] else " **missed**"
        yield (f"| {r['case']} | {r['internal_slot_erases']} + {r['internal_other_erases']} | "
               f"{r['external_erases']} | {r['internal_bytes']:,} / {r['external_bytes']:,} | "
               f"{r['seconds']:.2f} s | {goal}{missed} |")
    yield "| *MCUboot swap-offset, figures of shared/PEERS.md, same part times* | 65 | 65 | 263 K / 262 K | 13.05 s | |"


def client_rows(bench):
    yield "| upload of 256 KiB over UDP | device | a server that stores nothing | ratio | goal |"
    yield "|---|---|---|---|---|"
    for r in bench["clients"]:
        yield (f"| {r['client']} | {r['device_kib_s']:,} KiB/s | {r['null_kib_s']:,} KiB/s | "
               f"{r['ratio']:.2f} | >= {r['goal']}{'' if r['met'] else ' **missed**'} |")


def ble_rows(bench):
    yield "| 256 KiB over BLE (modelled: 2M PHY, flash of an MX25R64) | link carries | dirty slot | slot erased ahead | goals |"
    yield "|---|---|---|---|---|"
    if "ble" not in bench:
        raise SystemExit("figures: build/bench.json is older than the figures over BLE: make bench")
    cells = {(r["client"], r["interval"], r["slot"]): r for r in bench["ble"]}
    for client, interval in sorted({key[:2] for key in cells}, key=lambda k: (k[1], k[0])):
        dirty, ahead = (cells[client, interval, slot] for slot in ("dirty", "erased ahead"))
        goals = [f"{r['goal']:.0%}{'' if r['share'] >= r['goal'] else ' **missed**'}" for r in (dirty, ahead) if r["goal"]]
        yield (f"| {client}, {interval:g} ms | {dirty['link'] / 1024:.0f} KiB/s | "
               + " | ".join(f"{r['goodput'] / 1024:.0f} KiB/s, {r['share']:.0%}" for r in (dirty, ahead))
               + f" | {' and '.join(goals)} |")


def stage_rows(bench):
    yield "| a stage of the receive path, instructions a byte on this machine (callgrind) | |"
    yield "|---|---|"
    for r in bench["stages"]:
        yield f"| {r['words']} | {r['per_byte']:,} |"


def size_rows(size):
    yield "| loader on Cortex-M4, -Os | text | static RAM | deepest stack | instructions: boot / test swap |"
    yield "|---|---|---|---|---|"

    def row(name, r, goal=None):
        def cell(key, scale=1, unit=""):
            value = r.get(key)
            if value is None:
                return ""
            text = f"{value / scale:,.1f}{unit}" if scale > 1 else f"{value:,}"
            if goal and goal.get(key) and value > goal[key]:
                limit = f"{goal[key] / scale:g}{unit}" if scale > 1 else f"{goal[key]:,}"
                text += f" **(goal {limit})**"
            return text

        return (f"| {name} | {cell('text')} | {cell('ram')} | {cell('stack')} | "
                f"{cell('plain', 1e6, ' M')} / {cell('test', 1e6, ' M')} |")

    for name, r in size["loaders"].items():
        yield row(f"Kedge {name}, SPI-NOR driver included", r, size["goals"].get(name))
    for name, r in size["mcuboot"].items():
        yield row(f"*MCUboot {name}, no driver*", r)


def main():
    bench = json.loads((ROOT / "build" / "bench.json").read_text())
    size = json.loads((ROOT / "build" / "size.json").read_text())
    blocks = ["\n".join(rows) for rows in (flash_rows(bench), client_rows(bench), ble_rows(bench), stage_rows(bench), size_rows(size))]
    readme = ROOT / "README.md"
    text = readme.read_text()
    head, rest = text.split(START)
    tail = rest.split(END)[1]
    readme.write_text(head + START + "\n" + "\n\n".join(blocks) + "\n" + END + tail)


if __name__ == "__main__":
    main()
