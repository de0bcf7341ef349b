#!/usr/bin/env python3
"""Cut the flash image of a micro:bit out of its .hex, and add a script of our own.

usage: firmware.py FIRMWARE.hex OUT.bin [SCRIPT]

The .hex holds 0x0-0x3B88C of flash and 28 bytes of configuration registers at 0x100010C0, which are
no part of an image. MicroPython looks for a user's script at 0x3E000: 'MP', length (16 bits, little
endian), text. That is how version 2 of the demo differs from version 1.
"""
import sys

FLASH_END = 0x40000
SCRIPT_AT = 0x3E000


def flash_of(path):
    image = bytearray(b"\xff" * FLASH_END)
    base = end = 0
    for number, line in enumerate(open(path, encoding="ascii"), 1):
        record = bytes.fromhex(line.strip()[1:])
        if not record or sum(record) & 0xFF:
            sys.exit(f"{path}:{number}: bad record")
        size, at, kind, data = record[0], int.from_bytes(record[1:3], "big"), record[3], record[4:-1]
        if kind == 4:
            base = int.from_bytes(data, "big") << 16
        elif kind == 2:
            base = int.from_bytes(data, "big") << 4
        elif kind == 0 and base + at + size <= FLASH_END:
            image[base + at : base + at + size] = data
            end = max(end, base + at + size)
    return image, end


def main():
    image, end = flash_of(sys.argv[1])
    if len(sys.argv) > 3:
        script = sys.argv[3].encode()
        block = b"MP" + len(script).to_bytes(2, "little") + script
        image[SCRIPT_AT : SCRIPT_AT + len(block)] = block
        end = SCRIPT_AT + len(block)
    open(sys.argv[2], "wb").write(image[: (end + 3) & ~3])


main()
