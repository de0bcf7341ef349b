"""Keys and images: scripts written for imgtool go on working with kedge, and each reads the
other's files. imgtool 2.5.0 runs in this process; kedge is the built binary."""

import base64
import itertools
import json
import random
import stat
import struct
import subprocess

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imgtool.main import imgtool as imgtool_cli
from intelhex import IntelHex

KEYS = ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048", "rsa-3072"]
ENCRYPTION_KEYS = ["ecdsa-p256", "x25519", "rsa-2048"]
SLOT = 0x10000
BASE = ["-v", "1.2.3+4", "-H", "0x200", "-S", hex(SLOT)]
PADDED = BASE + ["--pad-header"]
SIGNATURES = {0x20, 0x22, 0x23, 0x24}

# Hypothesis makes the same examples in each run; a failure prints its example.
FIXED = settings(derandomize=True, deadline=None, max_examples=150,
                 suppress_health_check=[HealthCheck.function_scoped_fixture])


def imgtool(*args):
    result = CliRunner().invoke(imgtool_cli, [str(a) for a in args])
    assert result.exit_code == 0, (args, result.output, result.exception)
    return result.stdout


def good(result):
    assert result.returncode == 0, (result.args, result.stderr)
    assert result.stderr == ""
    return result.stdout


def refused(result, code, *words):
    """Exit code, and one line on stderr with these words in it."""
    assert result.returncode == code, (result.args, result.stdout, result.stderr)
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """One private key of each kind by imgtool, its public half, and one that signed nothing."""
    where = tmp_path_factory.mktemp("keys")
    for kind in KEYS + ["x25519"]:
        for name in (kind, f"other-{kind}"):
            imgtool("keygen", "-t", kind, "-k", where / f"{name}.pem")
        imgtool("getpub", "-k", where / f"{kind}.pem", "-e", "pem", "-o", where / f"{kind}.pub")
    return where


@pytest.fixture(scope="session")
def firmware(tmp_path_factory):
    """Not a multiple of anything, so that padding shows."""
    where = tmp_path_factory.mktemp("firmware")
    data = random.Random(1).randbytes(9_973)
    (where / "plain.bin").write_bytes(data)
    (where / "linked.bin").write_bytes(bytes(0x200) + data)
    for name, address in (("low", 0), ("high", 0xFE00), ("linked", 0xC000)):
        ih = IntelHex()
        ih.puts(address, (bytes(0x200) if name == "linked" else b"") + data[:5000])
        ih.puts(address + 7000, data[7000:])  # a gap, as linkers leave them
        ih.write_hex_file(where / f"{name}.hex")
    (where / "tlv.bin").write_bytes(random.Random(2).randbytes(333))
    return where


def parse(image):
    """What is before the unprotected TLVs; these TLVs; what is behind."""
    header, protected, size = struct.unpack("<HHI", image[8:16])
    at = start = header + size + protected
    magic, total = struct.unpack("<HH", image[at:at + 4])
    assert magic == 0x6907
    tlvs = []
    at += 4
    while at < start + total:
        kind, length = struct.unpack("<HH", image[at:at + 4])
        tlvs.append((kind, image[at + 4:at + 4 + length]))
        at += 4 + length
    return image[:start], tlvs, image[at:]


def without_signature(image):
    """Everything that a randomised signature, and its varying length, leaves the same."""
    front, tlvs, tail = parse(image)
    named = [(kind, None if kind in SIGNATURES else data) for kind, data in tlvs]
    return front, named, tail.lstrip(b"\xff"), len(image) if tail else None


def both_sign(run_kedge, tmp_path, options, source, key=None, ending="bin"):
    """The files that kedge and imgtool make of the same words."""
    words = [*options, *(["-k", key] if key else []), source]
    ours, theirs = tmp_path / f"ours.{ending}", tmp_path / f"theirs.{ending}"
    good(run_kedge("sign", *words, ours))
    imgtool("sign", *words, theirs)
    return ours.read_bytes(), theirs.read_bytes()


# ---- keys ----


@pytest.mark.parametrize("kind", KEYS + ["x25519"])
def test_keygen_makes_keys_that_imgtool_reads(run_kedge, tmp_path, kind):
    """Otherwise a key made with one tool is lost to the other, and so is the fleet."""
    key = tmp_path / "key.pem"
    good(run_kedge("keygen", "-t", kind, "-k", key))
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert imgtool("keyinfo", "-k", key).strip() == "private"


def test_keygen_with_a_passphrase(run_kedge, tmp_path, firmware):
    """A key stored with a passphrase must be of no use without it, and of use with it."""
    key, out = tmp_path / "key.pem", tmp_path / "out.bin"
    good(run_kedge("keygen", "-p", "-t", "ed25519", "-k", key, stdin="a word\na word\n"))
    assert "BEGIN ENCRYPTED PRIVATE KEY" in key.read_text()
    serialization.load_pem_private_key(key.read_bytes(), b"a word")
    words = ["sign", *PADDED, "-k", key, firmware / "plain.bin", out]
    refused(run_kedge(*words, stdin="another\n"), 1, "passphrase is wrong")
    refused(run_kedge(*words), 1, "passphrase", "terminal")
    assert not out.exists()
    good(run_kedge(*words, stdin="a word\n"))
    refused(run_kedge("keygen", "-p", "-t", "ed25519", "-k", tmp_path / "n.pem",
                      stdin="one\ntwo\n"), 1, "differ")
    assert not (tmp_path / "n.pem").exists()


@pytest.mark.parametrize("kind", KEYS + ["x25519"])
def test_getpub_is_imgtools(run_kedge, tmp_path, keys, kind):
    """The array goes into bootloaders' sources: another name or byte and no image boots."""
    for half in ("pem", "pub"):
        key = keys / f"{kind}.{half}"
        for encoding in ("lang-c", "pem", "raw"):
            ours, theirs = tmp_path / "ours", tmp_path / "theirs"
            good(run_kedge("getpub", "-k", key, "-e", encoding, "-o", ours))
            imgtool("getpub", "-k", key, "-e", encoding, "-o", theirs)
            expected = theirs.read_bytes().replace(b"imgtool.py", b"kedge")
            assert ours.read_bytes() == expected
    assert good(run_kedge("getpub", "-k", key, "--name-suffix", "_2")) == imgtool(
        "getpub", "-k", key, "--name-suffix", "_2").replace("imgtool.py", "kedge")


# ---- sign: the same bytes ----

TRAILERS = [
    [*words, *align, *most, *more]
    for words in (["--pad"], ["--test"], ["--confirm"], ["--pad", "--confirm"])
    for align in ([], ["--align", "4"], ["--align", "8"], ["--align", "16"], ["--align", "32"])
    for most in ([], ["--max-align", "8"], ["--max-align", "16"], ["--max-align", "32"])
    for more in ([], ["--overwrite-only"], ["-M", "40"], ["-R", "0"])
]

CONTENTS = [
    [],
    ["--align", "2"],
    ["-s", "auto"],
    ["-s", "AUTO"],
    ["-s", "0"],
    ["--security-counter=0xfffffffe"],
    ["-s", "0b101"],
    ["-d", "(0, 1.2.3+4)"],
    ["-d", "(1,2.0.0), (255, 255.255.65535+4294967295)"],
    ["--boot-record", "CoFM"],
    ["--boot-record", "twelve chars"],
    ["--custom-tlv", "0xa0", "text"],
    ["--custom-tlv", "0xa1", "0x00ff1020", "--custom-tlv", "162", "a=b"],
    ["--custom-tlv", "0xfffe", ""],
    ["-s", "7", "--boot-record", "X", "-d", "(3, 1.0)", "--custom-tlv", "0xABA0", "0xAb"],
    ["--public-key-format", "full"],
    ["--public-key-format", "hash"],
    ["--non-bootable"],
    ["-F", "0xc000"],
    ["-L", "0x20000000"],
    ["--load-addr", "0"],
    ["--clear"],
    ["--pad-sig"],
    ["-R", "0xff"],
    ["-R", "0"],
    ["-v", "0"],
    ["-v", "255.255.65535+4294967295"],
    ["-H", "32"],
    ["-H", "0x1000"],
]

ED25519_ONLY = [["--sha", "512"], ["--sha", "256"], ["--sha", "auto"], ["--pure"],
                ["--pure", "--boot-record", "P", "-s", "1"], ["--sha", "512", "--boot-record", "Q"]]


@pytest.mark.parametrize("options", TRAILERS + CONTENTS + ED25519_ONLY, ids=" ".join)
def test_every_byte_is_imgtools(run_kedge, tmp_path, keys, firmware, options):
    """A build that switches tools must give the same image, or devices refuse or misread it."""
    ours, theirs = both_sign(run_kedge, tmp_path, PADDED + options, firmware / "plain.bin",
                             keys / "ed25519.pem")
    assert ours == theirs


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("options", CONTENTS + [["--confirm"], ["--pad", "--max-align", "32"]],
                         ids=" ".join)
def test_all_but_a_random_signature_is_imgtools(run_kedge, tmp_path, keys, firmware, kind, options):
    """The same for the keys whose signatures differ each time."""
    ours, theirs = both_sign(run_kedge, tmp_path, PADDED + options, firmware / "plain.bin",
                             keys / f"{kind}.pem")
    assert without_signature(ours) == without_signature(theirs)


@pytest.mark.parametrize("sha", ["auto", "256", "384", "512"])
@pytest.mark.parametrize("options", [[], ["--boot-record", "U", "--pad"]], ids=" ".join)
def test_unsigned_images_are_imgtools(run_kedge, tmp_path, firmware, sha, options):
    """Builds that sign in a later step start from this image."""
    ours, theirs = both_sign(run_kedge, tmp_path, PADDED + ["--sha", sha] + options,
                             firmware / "plain.bin")
    assert ours == theirs


def test_firmware_linked_with_room_for_the_header(run_kedge, tmp_path, keys, firmware):
    """Zephyr's builds leave the header's room themselves: it must not be put in twice."""
    ours, theirs = both_sign(run_kedge, tmp_path, BASE, firmware / "linked.bin",
                             keys / "ed25519.pem")
    assert ours == theirs
    refused(run_kedge("sign", *BASE, firmware / "plain.bin", tmp_path / "no.bin"), 1,
            "--pad-header")


@pytest.mark.parametrize("source", ["low", "high", "linked"])
@pytest.mark.parametrize("ending", ["bin", "hex"])
@pytest.mark.parametrize("options", [
    [], ["--pad"], ["--confirm"], ["--test"], ["--confirm", "--max-align", "16"],
    ["--confirm", "--max-align", "32"], ["--pad", "--overwrite-only"], ["-x", "0x12fff0"],
    ["--confirm", "-x", "0x7000000", "-R", "0"]], ids=" ".join)
def test_hex_in_and_out(run_kedge, tmp_path, keys, firmware, source, ending, options):
    """Programmers take .hex: a byte at another address is a dead board."""
    base = BASE if source == "linked" else PADDED
    ours, theirs = both_sign(run_kedge, tmp_path, base + options, firmware / f"{source}.hex",
                             keys / "ed25519.pem", ending)
    assert ours == theirs


def test_custom_tlv_from_a_file_and_signature_out(run_kedge, tmp_path, keys, firmware):
    """Provisioning scripts read the signature file; the TLV file carries their data."""
    options = PADDED + ["--custom-tlv-file", "0xb0", firmware / "tlv.bin", "--custom-tlv", "0xa0",
                        "first", "--sig-out", tmp_path / "sig"]
    key = keys / "ed25519.pem"
    good(run_kedge("sign", *options, "-k", key, firmware / "plain.bin", tmp_path / "a.bin"))
    ours = (tmp_path / "sig").read_bytes()
    imgtool("sign", *options, "-k", key, firmware / "plain.bin", tmp_path / "b.bin")
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()
    assert (tmp_path / "sig").read_bytes() == ours
    assert base64.b64decode(ours) == parse((tmp_path / "a.bin").read_bytes())[1][-1][1]


@pytest.mark.parametrize("kind", KEYS)
def test_signing_elsewhere(run_kedge, tmp_path, keys, firmware, kind):
    """Teams whose key never leaves its machine export what to sign and put the signature in."""
    source, sig = firmware / "plain.bin", tmp_path / "sig"
    for vector in ("payload", "digest"):
        ours, theirs = both_sign(run_kedge, tmp_path, PADDED + ["--vector-to-sign", vector], source,
                                 keys / f"{kind}.pem")
        assert ours == theirs
    good(run_kedge("sign", *PADDED, "-k", keys / f"{kind}.pem", "--sig-out", sig, source,
                   tmp_path / "whole.bin"))
    fixed = ["--fix-sig", sig, "--fix-sig-pubkey", keys / f"{kind}.pub"]
    ours, theirs = both_sign(run_kedge, tmp_path, PADDED + fixed, source)
    assert ours == theirs == (tmp_path / "whole.bin").read_bytes()


# ---- verify ----


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("options", [[], ["--pad"], ["--public-key-format", "full"],
                                     ["--pad-sig"], ["-s", "3", "--custom-tlv", "0xa0", "x"]],
                         ids=" ".join)
def test_each_verifies_the_others_images(run_kedge, tmp_path, keys, firmware, kind, options):
    """A release signed with either tool must pass the other's check before it goes out."""
    private, public = keys / f"{kind}.pem", keys / f"{kind}.pub"
    both_sign(run_kedge, tmp_path, PADDED + options, firmware / "plain.bin", private)
    for image in (tmp_path / "ours.bin", tmp_path / "theirs.bin"):
        assert "correctly validated" in imgtool("verify", "-k", public, image)
        for key in (public, private):
            said = good(run_kedge("verify", "-k", key, image))
            assert "1.2.3+4" in said
            assert dict(parse(image.read_bytes())[1])[0x11 if "384" in kind else 0x10].hex() in said


@pytest.mark.parametrize("options", [["--sha", "512"], ["--pure"], ["--non-bootable"],
                                     ["-L", "0x20000000"]], ids=" ".join)
def test_verify_of_the_rarer_kinds(run_kedge, tmp_path, keys, firmware, options):
    """A good image for another use must not be called bad."""
    both_sign(run_kedge, tmp_path, PADDED + options, firmware / "plain.bin", keys / "ed25519.pem")
    good(run_kedge("verify", "-k", keys / "ed25519.pub", tmp_path / "ours.bin"))


def test_verify_with_several_keys_and_hex(run_kedge, tmp_path, keys, firmware):
    """A release script checks against all the keys that the devices trust."""
    image = tmp_path / "image.hex"
    good(run_kedge("sign", *PADDED, "-x", "0xC000", "-k", keys / "rsa-2048.pem",
                   firmware / "plain.bin", image))
    options = [word for kind in KEYS for word in ("-k", keys / f"{kind}.pub")]
    assert str(keys / "rsa-2048.pub") in good(run_kedge("verify", *options, image))


@pytest.mark.parametrize("kind", KEYS)
def test_verify_refuses_the_wrong_key(run_kedge, tmp_path, keys, firmware, kind):
    """A release signed with the wrong key would be refused by every device."""
    image = tmp_path / "image.bin"
    imgtool("sign", *PADDED, "-k", keys / f"{kind}.pem", firmware / "plain.bin", image)
    for other in KEYS:
        result = run_kedge("verify", "-k", keys / f"other-{other}.pem", image)
        refused(result, 1, "not signed by the given key")


def test_verify_refuses_every_altered_or_missing_byte(run_kedge, tmp_path, keys, firmware):
    """What passes here is what is sent out: no damaged file may pass."""
    image, bad = tmp_path / "image.bin", tmp_path / "bad.bin"
    imgtool("sign", *PADDED, "-s", "1", "-k", keys / "ecdsa-p256.pem", firmware / "plain.bin", image)
    data = image.read_bytes()
    front = len(parse(data)[0])
    for at in [*range(0, 32), 0x1ff, 0x200, 5000, *range(front - 16, len(data))]:
        bad.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:])
        refused(run_kedge("verify", "-k", keys / "ecdsa-p256.pub", bad), 1, "bad.bin")
    for size in [0, 1, 16, 31, 32, 0x200, 5000, *range(front, len(data))]:
        bad.write_bytes(data[:size])
        refused(run_kedge("verify", "-k", keys / "ecdsa-p256.pub", bad), 1, "bad.bin")
        refused(run_kedge("dumpinfo", bad), 1, "bad.bin")


# ---- keys in a token ----


@pytest.mark.parametrize("kind", ["ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072"])
def test_a_key_that_stays_in_its_token(kedge, tmp_path, keys, firmware, kind, monkeypatch):
    """Release keys live in HSMs: signing must work without the key ever being a file."""
    (tmp_path / "tokens").mkdir()
    (tmp_path / "conf").write_text(f"directories.tokendir = {tmp_path}/tokens\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "conf"))
    monkeypatch.setenv("PKCS11_MODULE_PATH", "/usr/lib/softhsm/libsofthsm2.so")
    for words in (["--init-token", "--free", "--label", "t", "--so-pin", "1234", "--pin", "5678"],
                  ["--import", keys / f"{kind}.pem", "--token", "t", "--label", "k", "--id", "01",
                   "--pin", "5678"]):
        subprocess.run(["softhsm2-util", *words], check=True, capture_output=True)

    def sign(uri, pin=""):
        return subprocess.run(
            [kedge, "sign", *PADDED, "-k", uri, firmware / "plain.bin", tmp_path / "out.bin"],
            input=pin, capture_output=True, text=True, check=False, start_new_session=True)

    refused(sign("pkcs11:token=t;object=k?pin-value=1"), 1, "PIN")
    refused(sign("pkcs11:token=t;object=other?pin-value=5678"), 1, "not found")
    assert not (tmp_path / "out.bin").exists()
    for uri, pin in (("pkcs11:token=t;object=k?pin-value=5678", ""),
                     ("pkcs11:token=t;object=k;type=private", "5678\n")):
        good(sign(uri, pin))
        imgtool("sign", *PADDED, "-k", keys / f"{kind}.pem", firmware / "plain.bin",
                tmp_path / "theirs.bin")
        assert without_signature((tmp_path / "out.bin").read_bytes()) == without_signature(
            (tmp_path / "theirs.bin").read_bytes())
        assert "correctly" in imgtool("verify", "-k", keys / f"{kind}.pub", tmp_path / "out.bin")
        (tmp_path / "out.bin").unlink()


# ---- encryption ----


def unwrap(private, kind, data, size):
    """The AES key, by another library than ours (facts 7.3)."""
    if kind == 0x30:
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        return private.decrypt(data, oaep)
    if kind == 0x31:
        return aes_key_unwrap(private, data)
    point, mac_size = (65, 32) if kind == 0x32 else (32, 64 if kind == 0x34 else 32)
    digest = hashes.SHA512() if kind == 0x34 else hashes.SHA256()
    if kind == 0x32:
        peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data[:point])
        shared = private.exchange(ec.ECDH(), peer)
    else:
        shared = private.exchange(x25519.X25519PublicKey.from_public_bytes(data[:point]))
    derived = HKDF(digest, size + mac_size, None, b"MCUBoot_ECIES_v1").derive(shared)
    check = hmac.HMAC(derived[size:], digest)
    check.update(data[point + mac_size:])
    check.verify(data[point:point + mac_size])
    cipher = Cipher(algorithms.AES(derived[:size]), modes.CTR(bytes(16))).decryptor()
    return cipher.update(data[point + mac_size:])


@pytest.mark.parametrize("kind", ENCRYPTION_KEYS)
@pytest.mark.parametrize("options", [
    list(itertools.chain(*words)) for words in itertools.product(
        ([], ["--encrypt-keylen", "256"]), ([], ["--clear"]),
        ([], ["--pad", "--align", "8"], ["--confirm", "--max-align", "32"]))], ids=" ".join)
def test_encrypted_images(run_kedge, tmp_path, keys, firmware, kind, options):
    """The device must find its key and get the plain firmware back; nobody else may."""
    sign_with = keys / ("ed25519.pem" if kind == "x25519" else f"{kind}.pem")
    ours, theirs = both_sign(run_kedge, tmp_path, [*PADDED, "-E", keys / f"{kind}.pub", *options],
                             firmware / "plain.bin", sign_with)
    front, tlvs, tail = parse(ours)
    front2, tlvs2, tail2 = parse(theirs)
    assert front[:0x200] == front2[:0x200]
    assert [(t, len(d)) for t, d in tlvs if t != 0x22] == [
        (t, len(d)) for t, d in tlvs2 if t != 0x22]
    assert tlvs[:2] == tlvs2[:2]  # hash, key hash
    assert tail.lstrip(b"\xff") == tail2.lstrip(b"\xff")
    assert not options or len(ours) == len(theirs) or "--pad" not in options

    size = 32 if "256" in options else 16
    private = serialization.load_pem_private_key((keys / f"{kind}.pem").read_bytes(), None)
    aes = unwrap(private, *tlvs[-1], size)
    plain = front[0x200:]
    if "--clear" not in options:
        plain = Cipher(algorithms.AES(aes), modes.CTR(bytes(16))).decryptor().update(plain)
    firmware_bytes = (firmware / "plain.bin").read_bytes()
    assert plain.rstrip(b"\0") == firmware_bytes.rstrip(b"\0")

    for image in (tmp_path / "ours.bin", tmp_path / "theirs.bin"):
        good(run_kedge("verify", "-k", sign_with, "-E", keys / f"{kind}.pem", image))
        without = run_kedge("verify", "-k", sign_with, image)
        if "--clear" in options:
            good(without)
        else:
            refused(without, 1, "-E")
            refused(run_kedge("verify", "-k", sign_with, "-E", keys / f"other-{kind}.pem", image),
                    1, "another device")


def test_x25519_with_sha512(run_kedge, tmp_path, keys, firmware):
    """Devices built with the SHA-512 key exchange know only that TLV."""
    both_sign(run_kedge, tmp_path, [*PADDED, "-E", keys / "x25519.pub", "--hmac-sha", "512"],
              firmware / "plain.bin", keys / "ed25519.pem")
    for image in (tmp_path / "ours.bin", tmp_path / "theirs.bin"):
        assert parse(image.read_bytes())[1][-1][0] == 0x34
        good(run_kedge("verify", "-k", keys / "ed25519.pub", "-E", keys / "x25519.pem", image))


@pytest.mark.parametrize("kek", [16, 24, 32])
@pytest.mark.parametrize("size", [16, 32])
def test_shared_aes_key(run_kedge, tmp_path, keys, firmware, kek, size):
    """imgtool has no AES key wrap, MCUboot has: a device with a shared key must get its firmware back."""
    secret = random.Random(kek).randbytes(kek)
    (tmp_path / "kek.b64").write_bytes(base64.b64encode(secret) + b"\n")
    (tmp_path / "kek.bin").write_bytes(secret)
    (tmp_path / "other.bin").write_bytes(bytes(kek))
    image = tmp_path / "image.bin"
    good(run_kedge("sign", *PADDED, "-E", tmp_path / "kek.b64", "--encrypt-keylen", 8 * size,
                   "-k", keys / "ecdsa-p256.pem", firmware / "plain.bin", image))
    front, tlvs, _ = parse(image.read_bytes())
    assert tlvs[-1][0] == 0x31 and len(tlvs[-1][1]) == size + 8
    aes = unwrap(secret, *tlvs[-1], size)
    plain = Cipher(algorithms.AES(aes), modes.CTR(bytes(16))).decryptor().update(front[0x200:])
    assert plain.rstrip(b"\0") == (firmware / "plain.bin").read_bytes().rstrip(b"\0")
    for name in "kek.b64", "kek.bin":
        good(run_kedge("verify", "-k", keys / "ecdsa-p256.pub", "-E", tmp_path / name, image))
    refused(run_kedge("verify", "-k", keys / "ecdsa-p256.pub", "-E", tmp_path / "other.bin", image), 1,
            "another device")
    theirs = json.loads(imgtool("dumpinfo", "-f", "json", image))
    assert json.loads(good(run_kedge("dumpinfo", "--json", image))) == theirs
    assert theirs["tlv_area"]["tlvs"][-1]["type_name"] == "ENCKW"


# ---- dumpinfo ----


@pytest.mark.parametrize("options", [
    [], ["--pad"], ["--confirm", "--max-align", "16"], ["--confirm", "--max-align", "32"],
    ["-s", "auto", "-d", "(1, 1.0.0)", "--boot-record", "B", "--custom-tlv", "0xa0", "v"],
    ["--non-bootable", "-F", "0xc000"], ["-E", "x25519.pub", "--pad"],
    ["-E", "x25519.pub", "--encrypt-keylen", "256"]], ids=" ".join)
def test_dumpinfo_is_imgtools(run_kedge, tmp_path, keys, firmware, options):
    """Scripts read these names; people compare the two outputs when an update fails."""
    image = tmp_path / "image.bin"
    options = [keys / word if word.endswith(".pub") else word for word in options]
    imgtool("sign", *PADDED, *options, "-k", keys / "ed25519.pem", firmware / "plain.bin", image)
    theirs = json.loads(imgtool("dumpinfo", "-f", "json", image))
    assert json.loads(good(run_kedge("dumpinfo", "--json", image))) == theirs
    assert json.loads(good(run_kedge("--json", "dumpinfo", image))) == theirs

    def upto_trailer(text):
        return [line.rstrip() for line in text.split("#### Image trailer")[0].splitlines()
                if "End of Image" not in line]

    ours = good(run_kedge("dumpinfo", image))
    assert upto_trailer(ours) == upto_trailer(imgtool("dumpinfo", image))
    if "--confirm" in options:
        assert "image_ok:    SET (0x1)" in ours


# ---- wrong usage, and files that are not what they should be ----


@pytest.mark.parametrize("words,code,needles", [
    ([], 2, ["--help"]),
    (["frobnicate"], 2, ["frobnicate"]),
    (["--frobnicate", "sign"], 2, ["--frobnicate"]),
    (["--udp", "a", "--serial", "b", "sign"], 2, ["exclude"]),
    (["sign"], 2, ["IN OUT"]),
    (["sign", "--frobnicate", "IN", "OUT"], 2, ["--frobnicate"]),
    (["sign", "-Z", "IN", "OUT"], 2, ["-Z"]),
    (["sign", "--pad=1", "IN", "OUT"], 2, ["--pad"]),
    (["sign", "IN", "OUT", "third"], 2, ["third"]),
    (["sign", "IN", "OUT", "-v"], 2, ["--version"]),
    (["sign", "-H", "0x200", "IN", "OUT"], 2, ["-v"]),
    (["sign", "-v", "1.0", "IN", "OUT"], 2, ["-H"]),
    (["sign", *PADDED, "-H", "31", "IN", "OUT"], 2, ["--header-size"]),
    (["sign", *PADDED, "-H", "x", "IN", "OUT"], 2, ["--header-size", "x"]),
    (["sign", *PADDED, "-H", "010", "IN", "OUT"], 2, ["--header-size"]),
    (["sign", *PADDED, "--align", "3", "IN", "OUT"], 2, ["--align", "8"]),
    (["sign", *PADDED, "--max-align", "4", "IN", "OUT"], 2, ["--max-align"]),
    (["sign", *PADDED, "--endian", "big", "IN", "OUT"], 2, ["imgtool", "--endian"]),
    (["sign", *PADDED, "-e", "big", "IN", "OUT"], 2, ["imgtool", "--endian"]),
    (["sign", *PADDED, "--compression=lzma2", "IN", "OUT"], 2, ["imgtool", "--compression"]),
    (["sign", *PADDED, "--vid", "a", "IN", "OUT"], 2, ["imgtool", "--vid"]),
    (["sign", *PADDED, "--cid", "a", "IN", "OUT"], 2, ["imgtool", "--cid"]),
    (["sign", *PADDED, "-s", "-1", "IN", "OUT"], 2, ["--security-counter"]),
    (["sign", *PADDED, "-s", "4294967296", "IN", "OUT"], 2, ["--security-counter"]),
    (["sign", *PADDED, "-d", "1,2.0", "IN", "OUT"], 2, ["--dependencies"]),
    (["sign", *PADDED, "-d", "(256,2.0)", "IN", "OUT"], 2, ["--dependencies"]),
    (["sign", *PADDED, "-d", "(1,2.0),", "IN", "OUT"], 2, ["--dependencies"]),
    (["sign", *PADDED, "-d", "", "IN", "OUT"], 2, ["--dependencies"]),
    (["sign", *PADDED, "--custom-tlv", "0x10", "a", "IN", "OUT"], 2, ["0x10"]),
    (["sign", *PADDED, "--custom-tlv", "0xa0", "0xabc", "IN", "OUT"], 2, ["0xabc"]),
    (["sign", *PADDED, "--custom-tlv", "0xa0", "a", "--custom-tlv", "160", "b", "IN", "OUT"], 2,
     ["twice"]),
    (["sign", *PADDED, "--boot-record", "thirteen chars", "IN", "OUT"], 2, ["--boot-record"]),
    (["sign", *PADDED, "-L", "1", "-F", "1", "IN", "OUT"], 2, ["--load-addr", "--rom-fixed"]),
    (["sign", *PADDED, "-S", "0", "--pad", "IN", "OUT"], 2, ["--slot-size"]),
    (["sign", *PADDED, "--pure", "IN", "OUT"], 2, ["--pure"]),
    (["sign", *PADDED, "--pure", "-k", "KEY:rsa-2048.pem", "IN", "OUT"], 2, ["ed25519"]),
    (["sign", *PADDED, "--sha", "512", "-k", "KEY:ecdsa-p256.pem", "IN", "OUT"], 2, ["--sha"]),
    (["sign", *PADDED, "--fix-sig", "IN", "IN", "OUT"], 2, ["--fix-sig-pubkey"]),
    (["sign", *PADDED, "--sig-out", "OUT", "IN", "OUT"], 2, ["--key"]),
    (["sign", *PADDED, "-k", "pkcs11:token=no-such;object=b", "IN", "OUT"], 1, ["token's key"]),
    (["sign", *PADDED, "IN", "OUT.hex"], 2, ["--hex-addr"]),
    (["sign", *PADDED, "-k", "KEY:rsa-2048.pub", "IN", "OUT"], 1, ["private"]),
    (["sign", *PADDED, "-k", "KEY:x25519.pem", "IN", "OUT"], 1, ["cannot sign"]),
    (["sign", *PADDED, "-k", "IN", "IN", "OUT"], 1, ["no PEM key"]),
    (["sign", *PADDED, "-k", "missing.pem", "IN", "OUT"], 1, ["missing.pem", "No such file"]),
    (["sign", *PADDED, "-E", "KEY:ecdsa-p384.pub", "IN", "OUT"], 1, ["encrypt"]),
    (["sign", *PADDED, "-E", "KEY:ed25519.pub", "IN", "OUT"], 1, ["encrypt"]),
    (["sign", *PADDED, "missing.bin", "OUT"], 1, ["missing.bin", "No such file"]),
    (["sign", *PADDED, "miss\ning.bin", "OUT"], 1, ["miss?ing.bin"]),
    (["sign", *PADDED, "IN", "no/such/dir/out.bin"], 1, ["no/such/dir"]),
    (["sign", *PADDED, "/dev/null", "OUT"], 1, ["empty"]),
    (["sign", *PADDED, "-S", "0x2000", "IN", "OUT"], 1, ["do not fit", "0x2000"]),
    (["verify", "IN"], 2, ["-k"]),
    (["verify", "-k", "KEY:rsa-2048.pub"], 2, ["IMAGE"]),
    (["verify", "-k", "KEY:rsa-2048.pub", "missing.bin"], 1, ["missing.bin"]),
    (["verify", "-k", "missing.pub", "IN"], 1, ["missing.pub"]),
    (["verify", "-k", "KEY:rsa-2048.pub", "IN"], 1, ["no image"]),
    (["verify", "-k", "KEY:x25519.pub", "IN"], 1, ["x25519.pub"]),
    (["dumpinfo"], 2, ["IMAGE"]),
    (["dumpinfo", "--format", "yaml", "IN"], 2, ["imgtool", "--format"]),
    (["dumpinfo", "IN"], 1, ["no image"]),
    (["dumpinfo", "/"], 1, ["cannot read /"]),
    (["keygen", "-k", "OUT"], 2, ["-t"]),
    (["keygen", "-t", "rsa-1024", "-k", "OUT"], 2, ["rsa-1024", "rsa-2048"]),
    (["keygen", "-t", "ed25519", "-k", "no/dir/k.pem"], 1, ["no/dir"]),
    (["keygen", "-t", "ed25519", "-k", "OUT", "operand"], 2, ["operand"]),
    (["getpub"], 2, ["-k"]),
    (["getpub", "-k", "KEY:ed25519.pem", "-e", "lang-rust"], 2, ["lang-rust"]),
    (["getpub", "-k", "KEY:ed25519.pem", "-l", "c"], 2, ["imgtool", "--lang"]),
    (["getpub", "-k", "KEY:ed25519.pem", "-e", "raw", "--name-suffix", "x"], 2, ["--name-suffix"]),
    (["getpub", "-k", "KEY:ed25519.pem", "--name-suffix", "a;b"], 2, ["--name-suffix"]),
])
def test_what_is_wrong_is_said(run_kedge, tmp_path, keys, firmware, words, code, needles):
    """A script must see the failure, a person its reason; and no half-made file may stay."""
    out = tmp_path / "out.bin"
    words = [str(firmware / "plain.bin") if w == "IN" else str(out) if w == "OUT"
             else str(out.with_suffix(".hex")) if w == "OUT.hex"
             else str(keys / w[4:]) if w.startswith("KEY:") else w for w in words]
    refused(run_kedge(*words), code, *needles)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_fails_leaves_the_old_file(run_kedge, tmp_path, firmware):
    """Last night's release must survive today's full disk."""
    out = tmp_path / "out.bin"
    out.write_bytes(b"last night's")
    refused(run_kedge("sign", *PADDED, "-S", "0x2000", firmware / "plain.bin", out), 1)
    assert out.read_bytes() == b"last night's"
    assert list(tmp_path.iterdir()) == [out]
    link = tmp_path / "link.bin"
    link.symlink_to(out)
    good(run_kedge("sign", *PADDED, firmware / "plain.bin", link))
    assert link.is_symlink() and out.stat().st_size > 9000
    assert run_kedge("sign", *PADDED, firmware / "plain.bin", "/dev/full").returncode == 1


@pytest.mark.parametrize("command", ["keygen", "getpub", "sign", "verify", "dumpinfo", None])
def test_help_everywhere(run_kedge, command):
    """The first thing that somebody types who does not know the tool."""
    for word in ("--help", "-h"):
        said = good(run_kedge(*([command] if command else []), word))
        assert said.startswith("Usage: kedge")
        assert "--help" in said


# ---- Intel hex ----


def write_hex(path, segments, record=16):
    ih = IntelHex()
    for address, data in segments:
        ih.puts(address, data)
    ih.write_hex_file(path, byte_count=record)
    return ih


def payload(image):
    header, = struct.unpack("<H", image[8:10])
    size, = struct.unpack("<I", image[12:16])
    return image[header:header + size]


def test_a_segment_outside_the_slot_is_named(run_kedge, tmp_path):
    """A .hex with UICR words or two programs in it would give an image of 256 MB, or of neither."""
    path = tmp_path / "in.hex"
    write_hex(path, [(0xC000, b"firmware" * 100), (0x100010C0, bytes(28))])
    for options in (PADDED, ["-v", "1", "-H", "32", "--pad-header"]):
        refused(run_kedge("sign", *options, path, tmp_path / "out"), 1, "0x100010C0", "28 bytes")
    write_hex(path, [(0xC000, b"a"), (0xC000 + SLOT, b"b")])
    refused(run_kedge("sign", *PADDED, path, tmp_path / "out"), 1, hex(0xC000 + SLOT).upper()[2:])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text,needle", [
    (":0400000001020304F2\n", "cut short"),
    (":0400000001020304F3\n:00000001FF\n", "checksum"),
    (":040000000102030\n:00000001FF\n", "line 1"),
    (":04000000010203zzF2\n:00000001FF\n", "hex digits"),
    ("0400000001020304F2\n:00000001FF\n", "colon"),
    (":0400000601020304EC\n:00000001FF\n", "type"),
    (":0400000001020304F2\n:0100030005F7\n:00000001FF\n", "twice"),
    (":00000001FF\n", "no data"),
    ("", "cut short"),
    (":020000041000EA\n:0400FE0001020304F4\n:00000001FF\n", "segment"),
])
def test_damaged_hex_is_refused(run_kedge, tmp_path, text, needle):
    """A file that lost a line in a mail or a merge must not become firmware."""
    path = tmp_path / "in.hex"
    path.write_text(text)
    if needle == "segment":
        path.write_text(":020000041000EA\n:04FFFE0001020304F5\n:00000001FF\n")
    refused(run_kedge("sign", *PADDED, path, tmp_path / "out"), 1, "in.hex", needle)


def test_hex_without_the_name_and_binary_that_looks_like_it(run_kedge, tmp_path):
    """A .hex named otherwise is read as what it is; a .bin is never read as anything else."""
    write_hex(tmp_path / "firmware", [(0, b"payload!" * 8)])
    good(run_kedge("sign", *PADDED, tmp_path / "firmware", tmp_path / "a"))
    assert payload((tmp_path / "a").read_bytes()) == b"payload!" * 8
    text = (tmp_path / "firmware").read_bytes()
    (tmp_path / "b.bin").write_bytes(text)
    good(run_kedge("sign", *PADDED, tmp_path / "b.bin", tmp_path / "b"))
    assert payload((tmp_path / "b").read_bytes()) == text


@FIXED
@given(base=st.sampled_from([0, 1, 0xFFF0, 0xC000, 0x7FFF_0000, 0xFFFF_0000]),
       pieces=st.lists(st.tuples(st.integers(0, 0x3000), st.binary(min_size=1, max_size=300)),
                       min_size=1, max_size=5), record=st.integers(1, 255))
def test_any_hex_gives_imgtools_payload(run_kedge, tmp_path, base, pieces, record):
    """Linkers and merge tools write .hex in many ways: each must give the same bytes."""
    path = tmp_path / "in.hex"
    memory = write_hex(path, [(base + at, data) for at, data in pieces], record)
    good(run_kedge("sign", *PADDED, path, tmp_path / "out"))
    assert payload((tmp_path / "out").read_bytes()) == bytes(memory.tobinarray())


@FIXED
@given(at=st.integers(0, 10_000), digit=st.sampled_from("0123456789ABCDEF"))
def test_no_changed_digit_goes_unnoticed(run_kedge, tmp_path, at, digit):
    """One flipped digit is one wrong byte in the field."""
    path = tmp_path / "in.hex"
    write_hex(path, [(0xFFF0, random.Random(3).randbytes(300))])
    text = path.read_text()
    digits = [i for i, c in enumerate(text) if c not in ":\n"]
    at = digits[at % len(digits)]
    path.write_text(text[:at] + digit + text[at + 1:])
    result = run_kedge("sign", *PADDED, path, tmp_path / "out")
    assert result.returncode == (0 if text[at] == digit else 1)


# ---- versions ----

number = st.one_of(st.integers(0, 300), st.integers(65_500, 65_600),
                   st.integers(4_294_967_200, 4_294_967_400)).map(str)
version = st.one_of(
    st.tuples(number, st.sampled_from(["", "."]), number, st.sampled_from(["", "."]), number,
              st.sampled_from(["", "+", "."]), number).map("".join),
    st.lists(number, min_size=1, max_size=4).map(
        lambda n: "+".join([".".join(n[:3])] + n[3:])),
    st.text("0123456789.+-v ", max_size=12))


@settings(FIXED, max_examples=300)
@given(text=version)
def test_versions_are_read_as_imgtool_reads_them(run_kedge, tmp_path, text):
    """A version read as another decides which image a device runs."""
    source = tmp_path / "in.bin"
    source.write_bytes(b"firmware")
    theirs = CliRunner().invoke(imgtool_cli, [
        "sign", f"--version={text}", "-H", "32", "-S", "0x10000", "--pad-header", str(source),
        str(tmp_path / "theirs")])
    ours = run_kedge("sign", f"--version={text}", "-H", 32, "--pad-header", source,
                     tmp_path / "ours")
    if theirs.exit_code == 0:
        good(ours)
        assert (tmp_path / "ours").read_bytes()[20:28] == (
            tmp_path / "theirs").read_bytes()[20:28]
    else:
        refused(ours, 2, "version")
