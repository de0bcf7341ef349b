#!/usr/bin/env python3
"""size_boards.py ARM_DIR JSON: text and static RAM of whole programs of the boards: loaders with a console,
and the agent as an application. Added to the JSON that size_table.py wrote."""
import json
import os
import subprocess
import sys

GOAL_BLE = 60 * 1024
ROWS = (
    ("nrf52840-loader", "nRF52840 loader with console and flight recorder, P-256 (p256-m)"),
    ("nrf52840-loader-smp", "the same, SMP on the console in recovery mode (groups os and image)"),
    ("qemu-ast1030-loader", "that on QEMU's ast1030, P-256 compiled for speed"),
    ("nrf52840-application-waits", "nRF52840 agent, SMP over a serial line"),
    ("qemu-ast1030-application-waits", "QEMU's ast1030 agent, SMP over a serial line"),
    ("qemu-ast1030-ble-update-waits", "and BLE (NimBLE's host, LESC, HCI on a UART); SMP groups os and image only"),
    ("qemu-ast1030-ble-waits", "and BLE; all SMP groups: recorder, history, policy, staging"),
)


def main(arm, out):
    result = {}
    print(f"\n{'whole programs':72}{'text':>8}{'RAM':>8}")
    for name, words in ROWS:
        elf = os.path.join(arm, f"{name}.elf")
        if not os.path.exists(elf):
            continue
        done = subprocess.run(["arm-none-eabi-size", elf], check=True, capture_output=True, text=True)
        text, data, bss = map(int, done.stdout.splitlines()[1].split()[:3])
        result[name] = {"text": text + data, "ram": data + bss}
        mark = ""
        if "-ble-" in name:
            mark = "  ok" if text + data <= GOAL_BLE else f"  MISS (goal {GOAL_BLE:,})"
        print(f"{words:72}{text + data:8,}{data + bss:8,}{mark}")
    print("RAM: data + bss, all buffers included (an agent: 4 KiB to verify, 4 KiB of ring and 2 x 2 KiB of messages).")
    with open(out) as file:
        merged = json.load(file)
    merged["boards"] = result
    with open(out, "w") as file:
        json.dump(merged, file, indent=1)


main(*sys.argv[1:])
