#!/usr/bin/env python3
"""Makes tests/fixtures: small signed images of every kind, and the keys that signed them.

    pip install imgtool==2.5.0 && tests/support/make_images.py

The images are imgtool's, so the unit tests compare Kedge with what users have, and need no Python.
Keys that exist are kept (they are test keys, known to everybody); signatures change with each run.
"""
import hashlib
import pathlib
import random
import struct
import subprocess
import sys

from cryptography.hazmat.primitives.serialization import load_pem_private_key

HERE = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
IMGTOOL = pathlib.Path(sys.executable).with_name("imgtool")
KEYS = {
    "p256": "ecdsa-p256",
    "stranger": "ecdsa-p256",  # signs images that no test device trusts
    "p384": "ecdsa-p384",
    "ed25519": "ed25519",
    "rsa2048": "rsa-2048",
    "rsa3072": "rsa-3072",
    "enc": "ecdsa-p256",  # the device's encryption key
}
SHA = ["--sha", "512"]
# name: (key, options beyond the usual)
IMAGES = {
    "p256": ("p256", []),
    "p256_header512": ("p256", ["-H", "0x200"]),
    "p256_pubkey": ("p256", ["--public-key-format", "full"]),
    "p256_padsig": ("p256", ["--pad-sig"]),
    "p256_counter": ("p256", ["-s", "7"]),
    "p256_protected": (
        "p256",
        ["-s", "0x01020304", "-d", "(0,1.2.3+4),(1,5.6.7)", "--boot-record", "app",
         "--vid", "kedge.example", "--cid", "board", "--custom-tlv", "0xa0", "0x11223344",
         "--custom-tlv", "0xb1", "hello"],
    ),
    "p256_nonbootable": ("p256", ["--non-bootable"]),
    "p256_ramload": ("p256", ["-L", "0x20000000"]),
    "p256_romfixed": ("p256", ["-F", "0xc000"]),
    "p256_encrypted": ("p256", ["-E", "enc"]),
    "p256_clear": ("p256", ["-E", "enc", "--clear"]),
    "p256_lzma2": ("p256", ["--compression", "lzma2"]),
    "p256_test": ("p256", ["--pad", "--align", "4", "-M", "4"]),
    "p256_confirmed": ("p256", ["--confirm", "--align", "4", "-M", "4"]),
    "stranger": ("stranger", []),
    "p384": ("p384", []),
    "ed25519": ("ed25519", []),
    "ed25519_sha512": ("ed25519", SHA),
    "ed25519_pure": ("ed25519", ["--pure"]),
    "ed25519_pure_counter": ("ed25519", ["--pure", "-s", "9"]),
    "rsa2048": ("rsa2048", []),
    "rsa3072": ("rsa3072", []),
    "unsigned": (None, []),
}


def imgtool(*args):
    subprocess.run([IMGTOOL, *args], check=True, capture_output=True, cwd=HERE / "keys")


def make_keys():
    (HERE / "keys").mkdir(parents=True, exist_ok=True)
    for name, kind in KEYS.items():
        if not (HERE / "keys" / f"{name}.pem").exists():
            imgtool("keygen", "-k", f"{name}.pem", "-t", kind)
        imgtool("getpub", "-k", f"{name}.pem", "-e", "raw", "-o", f"{name}.der")


def make_image(name, payload):
    key, options = IMAGES[name]
    options = [f"{o}.pem" if o == "enc" else o for o in options]
    if "-H" not in options:
        options += ["-H", "0x20"]
    signer = ["-k", f"{key}.pem"] if key else []
    imgtool("sign", *signer, "-v", "1.2.3+4", "--pad-header", "-S", "0xf00", *options,
            payload, HERE / f"{name}.img")


def parts(image):
    """Hashed part and the unprotected TLVs of an image without padding, as bytes and a list."""
    header, protected, size = struct.unpack_from("<HHI", image, 8)
    at = header + size + protected
    hashed, at, tlvs = image[:at], at + 4, []
    while at < len(image):
        kind, length = struct.unpack_from("<HH", image, at)
        tlvs.append((kind, image[at + 4 : at + 4 + length]))
        at += 4 + length
    return hashed, tlvs


def join(hashed, tlvs):
    area = b"".join(struct.pack("<HH", kind, len(data)) + data for kind, data in tlvs)
    return hashed + struct.pack("<HH", 0x6907, 4 + len(area)) + area


def make_joined():
    """Two signers on one image: same payload and header, so the same hash."""
    hashed, mine = parts((HERE / "p256.img").read_bytes())
    same, theirs = parts((HERE / "stranger.img").read_bytes())
    assert hashed == same
    (HERE / "two_signers.img").write_bytes(join(hashed, mine[:1] + theirs[1:] + mine[1:]))


def mgf1(seed, size):
    blocks = (hashlib.sha256(seed + struct.pack(">I", i)).digest() for i in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def make_pss():
    """RSA-2048 signatures over SHA-256("sample"): a right one, and each part of the padding wrong."""
    key = load_pem_private_key((HERE / "keys/rsa2048.pem").read_bytes(), None).private_numbers()
    digest = hashlib.sha256(b"sample").digest()

    def sign(name, separator=1, zero=0, top=0, trailer=0xBC, wrong_salt=0, first=0):
        salt = bytes(range(first, first + 32))
        hashed = hashlib.sha256(bytes(8) + digest + salt).digest()
        used = bytes([salt[0] ^ wrong_salt]) + salt[1:]
        data = bytes([0, zero]) + bytes(188) + bytes([separator]) + used
        masked = bytearray(a ^ b for a, b in zip(data, mgf1(hashed, len(data))))
        masked[0] = masked[0] & 0x7F | top
        number = int.from_bytes(bytes(masked) + hashed + bytes([trailer]), "big")
        n = key.public_numbers.n
        if number >= n:  # the top bit again, with another salt
            return sign(name, separator, zero, top, trailer, wrong_salt, first + 1)
        (HERE / f"pss/{name}.sig").write_bytes(pow(number, key.d, n).to_bytes(256, "big"))

    (HERE / "pss").mkdir(exist_ok=True)
    sign("right")
    sign("separator", separator=2)
    sign("zeros", zero=1)
    sign("trailer", trailer=0xBD)
    sign("salt", wrong_salt=1)
    sign("top_bit", top=0x80)


def main():
    make_keys()
    payload = HERE / "payload.bin"
    payload.write_bytes(random.Random(1).randbytes(200) + bytes(range(100)))
    zeros = HERE / "zeros.bin"  # compression keeps what it does not shrink
    zeros.write_bytes(bytes(600))
    for name in IMAGES:
        make_image(name, zeros if "lzma2" in name else payload)
    make_joined()
    make_pss()
    zeros.unlink()


if __name__ == "__main__":
    main()
