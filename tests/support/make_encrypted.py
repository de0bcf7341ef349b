#!/usr/bin/env python3
"""Makes tests/fixtures/enc: the same payload encrypted for every kind of device key, by imgtool where
it can (it has no AES-KW; there the key TLV is made here, RFC 3394 by cryptography).

    ~/.cache/kedge/venv/bin/python tests/support/make_encrypted.py

Keys that exist are kept (they are test keys, known to everybody).
"""
import base64
import os
import pathlib
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from make_images import HERE, imgtool, join, parts

OUT = HERE / "enc"
KEYS = HERE / "keys"
# kind: file of the device's key, its type, who signs (imgtool wants the same family)
DEVICE = {
    "p256": ("enc", "ecdsa-p256", "p256"),
    "x25519": ("enc_x25519", "x25519", "ed25519"),
    "rsa": ("enc_rsa", "rsa-2048", "rsa2048"),
}
ENCRYPTED = {16: 0x4, 32: 0x8}


def sign(signer, out, *options):
    imgtool("sign", "-k", f"{signer}.pem", "-v", "1.2.3+4", "--pad-header", "-H", "0x20", "-S", "0xf00",
            *options, HERE / "payload.bin", out)


def wrapped_by_kw(size):
    """What imgtool would write if it knew AES-KW: flag set before signing, then cipher text and TLV."""
    clear = OUT / f"kw_{size * 8}_clear.img"
    sign("p256", clear, "-E", "enc.pem", "--encrypt-keylen", str(size * 8), "--clear")
    hashed, tlvs = parts(clear.read_bytes())
    clear.unlink()
    header, length = struct.unpack_from("<H2xI", hashed, 8)
    assert struct.unpack_from("<I", hashed, 16)[0] == ENCRYPTED[size]
    key = os.urandom(size)
    kek = base64.b64decode((KEYS / "enc_kw.b64").read_bytes())
    masked = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(
        hashed[header : header + length])
    tlvs = [t for t in tlvs if t[0] != 0x32] + [(0x31, aes_key_wrap(kek, key))]
    (OUT / f"kw_{size * 8}.img").write_bytes(
        join(hashed[:header] + masked + hashed[header + length :], tlvs))


def main():
    OUT.mkdir(exist_ok=True)
    for name, (key, kind, signer) in DEVICE.items():
        path = KEYS / f"{key}.pem"
        if not path.exists():
            imgtool("keygen", "-k", path, "-t", kind)
        for bits in "128", "256":
            sign(signer, OUT / f"{name}_{bits}.img", "-E", path, "--encrypt-keylen", bits)
            if name == "x25519":
                sign(signer, OUT / f"x25519_sha512_{bits}.img", "-E", path, "--encrypt-keylen", bits,
                     "--hmac-sha", "512")
    if not (KEYS / "enc_kw.b64").exists():
        (KEYS / "enc_kw.b64").write_bytes(base64.b64encode(os.urandom(32)) + b"\n")
    wrapped_by_kw(16)
    wrapped_by_kw(32)


if __name__ == "__main__":
    main()
