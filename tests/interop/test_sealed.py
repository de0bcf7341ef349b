"""Sealed files, AES-CTR files and the example of an own cipher, through clients of others that know
nothing of them. If it fails, an encrypted update needs a client of its own, or a changed byte reaches
the slot."""

import random
import struct
import subprocess
import sys

import pytest
from clients import Refused, Smpclient, Toolkit, smpmgr
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from devices import image_hash
from paths import BIN, ROOT
from test_device import device, install, sign  # noqa: F401

KEDGE = BIN / "kedge"
SHARED, LOCAL = bytes(range(32)), bytes(range(100, 132))
SEGMENT = 4096


@pytest.fixture
def keyed(device, install, sign, tmp_path):
    """A device with both keys that runs 1.0.0."""
    for name, key in (("shared", SHARED), ("local", LOCAL)):
        (tmp_path / name).write_bytes(key)
    install(device, sign("1.0.0", 1))
    device.extra = ("--shared-key", tmp_path / "shared", "--local-key", tmp_path / "local")
    return device.start()


@pytest.fixture
def seal(tmp_path):
    def run(image, *options):
        plain, sealed = tmp_path / "plain.bin", tmp_path / "sealed.bin"
        plain.write_bytes(image)
        (tmp_path / "key").write_bytes(SHARED)
        subprocess.run([KEDGE, "seal", "--shared-key", tmp_path / "key", *options, plain, sealed], check=True)
        return sealed.read_bytes()

    return run


def boots_it(device, client, image):
    client.test(image_hash(image))
    assert device.next_boot(client.reset) == "booted 2.0.0 (a new image on trial)"


@pytest.mark.parametrize("client", [lambda d: Smpclient(d, "udp"), lambda d: Smpclient(d, "pty"),
                                    lambda d: Toolkit(d, "udp")], ids=["smpclient-udp", "smpclient-pty", "toolkit"])
def test_sealed_through_libraries(keyed, seal, sign, client):
    image = sign("2.0.0", 2)
    assert image[0x200:0x240] not in seal(image)
    client(keyed).upload(seal(image))
    boots_it(keyed, client(keyed), image)


def test_sealed_through_smpmgr(keyed, seal, sign, tmp_path):
    image = sign("2.0.0", 2)
    path = tmp_path / "file.bin"
    path.write_bytes(seal(image))
    done = smpmgr("--port", keyed.pty, "--timeout", "10", "image", "upload", path)
    assert done.returncode == 0, done.stdout + done.stderr
    boots_it(keyed, Smpclient(keyed, "udp"), image)


def test_flipped_bits(keyed, seal, sign, install):
    """One bit, anywhere: head, tags, segments, TLVs. Refused, and nothing of that segment is written. In
    the magic or the flags it makes another file of it: an image that nobody may start."""
    image = sign("2.0.0", 2)
    sealed = seal(image)
    chance = random.Random(11)
    payload = struct.unpack_from("<I", sealed, 12)[0]
    head = 32 + 40 + 16
    places = [16, 33, 36, 40, 50, 70, 80, head, head + SEGMENT, 32 + payload - 1, 32 + payload + 12, len(sealed) - 20,
              *(chance.randrange(head, 32 + payload) for _ in range(8))]
    client = Smpclient(keyed, "udp")
    for place in places:
        client.erase()
        changed = bytearray(sealed)
        changed[place] ^= 0x10 if place == 16 else 1 << chance.randrange(8)
        if place < 36:
            client.upload(bytes(changed))
            with pytest.raises(Refused):
                client.test(client.states()[-1]["hash"])
            assert image[0x200:0x240] not in keyed.external()
            continue
        with pytest.raises(Exception):  # noqa: B017  (each failure is another class in smpclient)
            client.upload(bytes(changed))
        assert all(state["version"] != "2.0.0" or not state["pending"] for state in client.states()), place
        assert place >= 32 + payload or all(state["slot"] == 0 for state in client.states()), place
        segment = (place - head) // (SEGMENT + 16)
        if place < 32 + payload:
            inside = image[max(segment, 0) * SEGMENT:][0x200:SEGMENT]
            chip = keyed.external()
            assert not any(inside[i:i + 16] in chip for i in range(0, len(inside) - 16, 61)), place
    client.upload(sealed)
    boots_it(keyed, client, image)


def test_wrong_keys_and_lengths(keyed, seal, sign, tmp_path, device):
    """Sealed with another key, cut short, with bytes behind its end, for a device key that it has not."""
    image = sign("2.0.0", 2)
    sealed = seal(image)
    (tmp_path / "other").write_bytes(bytes(32))
    plain = tmp_path / "plain.bin"
    other = tmp_path / "other.bin"
    subprocess.run([KEDGE, "seal", "--shared-key", tmp_path / "other", plain, other], check=True)

    def refused(content, *words):
        path = tmp_path / "try.bin"
        path.write_bytes(content)
        done = subprocess.run([KEDGE, "--udp", f"127.0.0.1:{device.port}", "image", "upload", path],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 1 and all(word in done.stderr for word in words), done.stderr

    refused(other.read_bytes(), "another shared key")
    refused(sealed[:-100])
    refused(sealed + bytes(40))
    refused(sealed[:20000])
    Smpclient(keyed, "udp").upload(sealed)
    boots_it(keyed, Smpclient(keyed, "udp"), image)


def ctr_payload(image, key, nonce):
    own = HKDF(hashes.SHA256(), 32, nonce, b"kedge ctr").derive(key)
    mask = Cipher(algorithms.AES(own), modes.CTR(bytes(16))).encryptor()
    return b"KCT1" + struct.pack("<I", len(image)) + nonce + mask.update(image)


def envelope(payload, tmp_path):
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    inner.write_bytes(payload)
    subprocess.run([sys.executable, "-m", "imgtool.main", "sign", "--non-bootable", "-v", "0.0.0", "-H", "0x20",
                    "--pad-header", "-S", "0x100000", inner, outer], check=True, capture_output=True)
    return outer.read_bytes()


def test_ctr_by_independent_code(keyed, sign, tmp_path):
    """Encrypted by Python's cryptography, wrapped by imgtool, sent by smpclient."""
    image = sign("2.0.0", 2)
    file = envelope(ctr_payload(image, LOCAL, b"0123456789abcdef"), tmp_path)
    Smpclient(keyed, "udp").upload(file)
    boots_it(keyed, Smpclient(keyed, "udp"), image)


def test_ctr_without_the_key(device, install, sign, tmp_path):
    image = sign("2.0.0", 2)
    install(device, sign("1.0.0", 1))
    device.start()
    with pytest.raises(Exception):  # noqa: B017
        Smpclient(device, "udp").upload(envelope(ctr_payload(image, LOCAL, bytes(16)), tmp_path))
    assert [state["slot"] for state in Smpclient(device, "udp").states()] == [0]


OPENS = """
#include <stdio.h>
#include "own_cipher.h"
int main(void)
{
    static const uint32_t key[4] = {1, 2, 3, 4};
    const struct kedge_transform_env env = {.keys = key};
    struct own_cipher own = {0};
    uint8_t byte, out;
    size_t taken, given;
    while (fread(&byte, 1, 1, stdin) == 1) {
        if (own_cipher.push(&own, &env, kedge_bytes(&byte, 1), &taken) != 0 || taken != 1)
            return 1;
        if (own_cipher.pull(&own, &env, kedge_buf(&out, 1), &given) != 0)
            return 2;
        fwrite(&out, 1, given, stdout);
    }
    return own_cipher.finish(&own, &env) != 0 ? 3 : 0;
}
"""


def test_the_example_s_two_sides(sign, tmp_path):
    """What the documents' encrypt.py makes on a server is what their own_cipher.c opens on a device."""
    image = sign("2.0.0", 2, size=3000)
    folder = ROOT / "examples" / "local_encryption"
    plain, file, program = tmp_path / "v2.bin", tmp_path / "v2.own", tmp_path / "opens"
    plain.write_bytes(image)
    (tmp_path / "opens.c").write_text(OPENS)
    subprocess.run([sys.executable, folder / "encrypt.py", plain, file], check=True)
    subprocess.run(["gcc", "-I", ROOT / "include", "-I", folder, tmp_path / "opens.c", folder / "own_cipher.c", "-o",
                    program], check=True)
    sent = file.read_bytes()
    size = struct.unpack_from("<I", sent, 12)[0]
    assert sent[32:36] == b"OWN1" and image[0x200:0x220] not in sent
    opened = subprocess.run([program], input=sent[32:32 + size], capture_output=True, check=True).stdout
    assert opened == image
