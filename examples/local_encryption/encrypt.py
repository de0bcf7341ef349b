#!/usr/bin/env python3
"""encrypt.py IMAGE OUT: a signed image as this product's devices take it (own_cipher.c). The envelope
around it, by which any SMP client takes it for an image, is made by imgtool."""

import pathlib
import secrets
import struct
import subprocess
import sys
import tempfile

KEY = (1, 2, 3, 4)  # yours: 128 random bits, in the device's protected flash and on this machine only
MASK = 0xFFFFFFFF


def block(number, counter):
    a, b, total = counter, number, 0
    for _ in range(32):
        a = a + ((((b << 4) ^ (b >> 5)) + b) ^ (total + KEY[total & 3])) & MASK
        total = total + 0x9E3779B9 & MASK
        b = b + ((((a << 4) ^ (a >> 5)) + a) ^ (total + KEY[total >> 11 & 3])) & MASK
    return struct.pack("<II", a, b)


image, out = (pathlib.Path(argument) for argument in sys.argv[1:])
plain, number = image.read_bytes(), secrets.randbits(32)
stream = b"".join(block(number, n) for n in range(len(plain) // 8 + 1))
payload = b"OWN1" + struct.pack("<II", len(plain), number) + bytes(a ^ b for a, b in zip(plain, stream))
with tempfile.TemporaryDirectory() as folder:
    inner = pathlib.Path(folder) / "payload.bin"
    inner.write_bytes(payload)
    subprocess.run([sys.executable, "-m", "imgtool.main", "sign", "--non-bootable", "-v", "0.0.0", "-H", "0x20",
                    "--pad-header", "-S", "0x100000", inner, out], check=True)
