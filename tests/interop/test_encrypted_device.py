"""Encrypted updates on kedge-device, with images that imgtool encrypted (AES-KW: kedge, imgtool has
none). At the end of every phase the whole external chip is searched for what must not be there: any
16 bytes of a payload, a content key. If this fails, whoever clips a reader to the chip has the
firmware; or the customer's own image is not accepted."""

import base64
import json
import pathlib
import shutil
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

from devices import FIXTURES, Device, payload

KEYS = FIXTURES / "keys"
IMGTOOL = pathlib.Path(sys.executable).with_name("imgtool")
SIZE = 20_001
# kind: device key, signing key (imgtool wants one family), options
KINDS = {
    "p256": ("enc.pem", "p256.pem", []),
    "x25519": ("enc_x25519.pem", "ed25519.pem", []),
    "x25519-sha512": ("enc_x25519.pem", "ed25519.pem", ["--hmac-sha", "512"]),
    "rsa": ("enc_rsa.pem", "rsa2048.pem", []),
    "aes-kw": ("enc_kw.b64", "p256.pem", []),
}


class Rig:
    """A device with a factory image in version 1.0.0, and images for it."""

    def __init__(self, kind, keylen, kedge_device, run_kedge, directory, extra=()):
        self.enc, self.signer, self.options = KINDS[kind]
        self.keylen, self.run_kedge, self.directory = keylen, run_kedge, directory
        self.secrets = []
        self.device = Device(kedge_device, directory / "device", keys=(KEYS / self.signer,),
                             extra=("--enc-key", KEYS / self.enc, *extra))

    def sign(self, version, seed, *options, encrypt=True):
        name = self.directory / f"{version}-{seed}.bin"
        firmware = self.directory / "firmware.bin"
        firmware.write_bytes(payload(SIZE, seed))
        self.secrets.append(payload(SIZE, seed))
        words = ["sign", "-k", KEYS / self.signer, "-v", version, "-H", "0x200", "--pad-header",
                 "-S", "0x71000", "--align", "4", *options]
        if encrypt:
            words += ["-E", KEYS / self.enc, "--encrypt-keylen", self.keylen, *self.options]
        words += [firmware, name]
        if self.enc.endswith("b64") and encrypt:
            assert self.run_kedge(*words).returncode == 0
        else:
            subprocess.run([IMGTOOL, *map(str, words)], check=True, capture_output=True)
        if encrypt:
            self.secrets.append(content_key(name.read_bytes(), KEYS / self.enc, int(self.keylen) // 8))
        return name

    def flash(self, image):
        done = self.run_kedge("flash", "write", "--state", self.device.directory / "state", "--slot",
                              "primary", image)
        assert done.returncode == 0, done.stderr

    def ask(self, *words):
        return self.run_kedge("--udp", f"127.0.0.1:{self.device.port}", *words)

    def reset(self, *words):
        return self.device.next_boot(lambda: self.ask(*(words or ("os", "reset"))))

    def no_leak(self):
        """Any 16 bytes that are in a secret too hold an aligned word of 8 that is in it."""
        chip = self.device.external()
        end = len(chip.rstrip(b"\xff"))
        for secret in self.secrets:
            words = {secret[i:i + 8] for i in range(len(secret) - 7)}
            assert not [at for at in range(0, end, 8) if chip[at:at + 8] in words]

    def runs(self, image):
        """The primary holds the plain image, bit for bit, whatever was encrypted on its way."""
        data = image.read_bytes()
        found = self.device.internal()[0xC000:0xC000 + len(data)]
        header = int.from_bytes(data[8:10], "little")
        size = int.from_bytes(data[12:16], "little")
        assert found[:header] == data[:header] and found[header + size:] == data[header + size:]
        assert found[header:header + size].rstrip(b"\0") == payload(
            SIZE, int(image.stem.split("-")[1])).rstrip(b"\0")


def content_key(image, path, size):
    """What imgtool drew, unwrapped by another library than ours."""
    at = int.from_bytes(image[8:10], "little") + int.from_bytes(image[12:16], "little") + \
        int.from_bytes(image[10:12], "little") + 4
    while image[at + 1] != 0 or not 0x30 <= image[at] <= 0x34:
        at += 4 + int.from_bytes(image[at + 2:at + 4], "little")
    kind, data = image[at], image[at + 4:at + 4 + int.from_bytes(image[at + 2:at + 4], "little")]
    if kind == 0x31:
        return aes_key_unwrap(base64.b64decode(path.read_bytes()), data)
    private = serialization.load_pem_private_key(path.read_bytes(), None)
    if kind == 0x30:
        return private.decrypt(data, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
    digest = hashes.SHA512() if kind == 0x34 else hashes.SHA256()
    point, mac = (65, 32) if kind == 0x32 else (32, digest.digest_size)
    shared = private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(
        ec.SECP256R1(), data[:point])) if kind == 0x32 else private.exchange(
            x25519.X25519PublicKey.from_public_bytes(data[:point]))
    derived = HKDF(digest, size + mac, None, b"MCUBoot_ECIES_v1").derive(shared)
    check = hmac.HMAC(derived[size:], digest)
    check.update(data[point + mac:])
    check.verify(data[point:point + mac])
    return Cipher(algorithms.AES(derived[:size]), modes.CTR(bytes(16))).decryptor().update(data[point + mac:])


@pytest.fixture
def rig(kedge_device, run_kedge, tmp_path):
    made = []

    def make(kind="p256", keylen="128", extra=()):
        made.append(Rig(kind, keylen, kedge_device, run_kedge, tmp_path, extra))
        return made[-1]

    yield make
    for one in made:
        one.device.stop()


def refused(done, *words):
    assert done.returncode == 1, done.stdout + done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def upload(rig, image):
    done = rig.ask("image", "upload", image, "--test")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("keylen", ["128", "256"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_from_a_plain_factory_image(rig, kind, keylen):
    """Uploaded, tested, reverted, tested again, confirmed, followed by the next; nothing leaks."""
    rig = rig(kind, keylen)
    factory, second, third = (rig.sign("1.0.0", 1, encrypt=False), rig.sign("2.0.0", 2),
                              rig.sign("3.0.0", 3))
    rig.flash(factory)
    rig.device.start()
    upload(rig, second)
    rig.no_leak()
    assert rig.reset() == "booted 2.0.0 (a new image on trial)"
    rig.runs(second)
    rig.no_leak()
    assert rig.reset() == "booted 1.0.0 (not confirmed: the old image is back)"
    rig.runs(factory)
    rig.no_leak()
    assert rig.ask("image", "test", image_hash_of(rig, 2)).returncode == 0
    assert rig.reset() == "booted 2.0.0 (a new image on trial)"
    assert rig.ask("image", "confirm").returncode == 0
    assert rig.reset() == "booted 2.0.0 (first boot after the application confirmed)"
    rig.no_leak()
    upload(rig, third)
    assert rig.reset() == "booted 3.0.0 (a new image on trial)"
    rig.runs(third)
    rig.no_leak()
    assert rig.reset() == "booted 2.0.0 (not confirmed: the old image is back)"
    rig.runs(second)
    rig.no_leak()


def image_hash_of(rig, version):
    """As image list shows it."""
    slots = json.loads(rig.ask("image", "list", "--json").stdout)["images"]
    return next(slot["hash"] for slot in slots if slot["version"].startswith(f"{version}."))


@pytest.mark.parametrize("strategy", ["overwrite", "backup"])
def test_other_strategies(rig, strategy):
    """overwrite leaves the candidate, backup the old image too; neither in plain."""
    rig = rig(extra=("--strategy", strategy))
    factory, second = rig.sign("1.0.0", 1, encrypt=False), rig.sign("2.0.0", 2)
    rig.flash(factory)
    rig.device.start()
    upload(rig, second)
    rig.no_leak()
    assert rig.reset().startswith("booted 2.0.0")
    rig.runs(second)
    rig.no_leak()
    if strategy == "backup":
        assert rig.reset() == "booted 1.0.0 (not confirmed: the old image is back)"
        rig.runs(factory)
        rig.no_leak()


def test_the_old_image_can_be_tested_again(rig):
    """It came without a key; what hides it is the device's own, and the agent opens it as the loader does."""
    rig = rig()
    factory, second = rig.sign("1.0.0", 1, encrypt=False), rig.sign("2.0.0", 2)
    rig.flash(factory)
    rig.device.start()
    upload(rig, second)
    rig.reset()
    assert rig.ask("image", "confirm").returncode == 0
    rig.reset()
    assert rig.ask("image", "test", image_hash_of(rig, 1)).returncode == 0
    assert rig.reset() == "booted 1.0.0 (a new image on trial)"
    rig.runs(factory)
    rig.no_leak()


def test_refused_before_the_reboot(rig, tmp_path):
    """Each with its reason while somebody is there to read it, and what runs goes on running."""
    rig = rig()
    rig.flash(rig.sign("1.0.0", 1, encrypt=False))
    rig.device.start()
    good = rig.sign("2.0.0", 2)
    plain = rig.sign("2.0.0", 4, encrypt=False)
    refused(rig.ask("image", "upload", plain, "--test"), "plain image", "confidential")
    clear = rig.sign("2.0.0", 5, "--clear")
    refused(rig.ask("image", "upload", clear, "--test"), "not encrypted")
    rig.no_leak()
    subprocess.run([IMGTOOL, "keygen", "-k", tmp_path / "other.pem", "-t", "ecdsa-p256"], check=True)
    other = tmp_path / "other.bin"
    (tmp_path / "firmware.bin").write_bytes(payload(SIZE, 6))
    subprocess.run([IMGTOOL, "sign", "-k", KEYS / "p256.pem", "-v", "2.0.0", "-H", "0x200",
                    "--pad-header", "-S", "0x71000", "-E", tmp_path / "other.pem",
                    tmp_path / "firmware.bin", other], check=True, capture_output=True)
    refused(rig.ask("image", "upload", other, "--test"), "another device")
    data = bytearray(good.read_bytes())
    data[5000] ^= 1
    bad = tmp_path / "bad.bin"
    bad.write_bytes(data)
    refused(rig.ask("image", "upload", bad, "--test"), "do not match the image hash")
    assert rig.reset() == "booted 1.0.0 (the confirmed image)"
    upload(rig, good)
    assert rig.reset() == "booted 2.0.0 (a new image on trial)"


def test_a_plain_candidate_by_debugger(rig):
    """Refused at the boot, reported, and in the history."""
    rig = rig()
    rig.flash(rig.sign("1.0.0", 1, encrypt=False))
    image = rig.sign("2.0.0", 2, "--pad", encrypt=False)
    done = rig.run_kedge("flash", "write", "--state", rig.device.directory / "state", "--slot",
                         "secondary", image)
    assert done.returncode == 0, done.stderr
    code, verdict = rig.device.once()
    assert code == 0 and verdict.startswith("booted 1.0.0 (the candidate was refused") and "not encrypted" in verdict


def test_policy_off_takes_plain_images(rig):
    """Whoever does not want it switches it off; the key still opens what is encrypted."""
    rig = rig()
    rig.flash(rig.sign("1.0.0", 1, encrypt=False))
    rig.device.start()
    assert rig.ask("policy", "get", "confidential").stdout.strip().endswith("on")
    assert rig.ask("policy", "set", "confidential", "off").returncode == 0
    upload(rig, rig.sign("2.0.0", 4, encrypt=False))
    assert rig.reset() == "booted 2.0.0 (a new image on trial)"
    assert rig.ask("image", "confirm").returncode == 0
    rig.reset()
    upload(rig, rig.sign("3.0.0", 2))
    assert rig.reset() == "booted 3.0.0 (a new image on trial)"


def test_a_key_file_that_is_none(kedge_device, tmp_path):
    """Named at the start, not at the first update."""
    for name, words in (("p384.pem", "use ecdsa-p256"), ("nothing.pem", "cannot read")):
        done = subprocess.run([kedge_device, "--state", tmp_path / "s", "--key", KEYS / "p256.pem",
                               "--enc-key", KEYS / name, "--once"], capture_output=True, text=True,
                              timeout=30, check=False)
        assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1


def test_inspect_tells_encrypted_from_hidden_from_plain(rig, tmp_path):
    """Somebody has a dump and asks whether the chip gives anything away."""
    rig = rig()
    factory, second = rig.sign("1.0.0", 1, encrypt=False), rig.sign("2.0.0", 2)
    state = rig.device.directory / "state"

    def inspect(*words):
        done = rig.run_kedge("flash", "inspect", "--state", state, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.split("secondary")[1] if "secondary" in done.stdout else done.stdout

    rig.flash(factory)
    rig.device.start()
    upload(rig, second)
    rig.device.stop()
    without, opened = inspect(), inspect("-E", KEYS / "enc.pem")
    assert "encrypted for the device: ECIES-P256, AES-128" in without and "give -E" in without
    assert "opened: complete, hash and signature are right" in opened
    assert "boots 2.0.0 (a new image on trial)" in opened
    assert "next boot: depends on the device's own key" in without
    assert rig.device.once()[1] == "booted 2.0.0 (a new image on trial)"
    without, opened = inspect(), inspect("-E", KEYS / "enc.pem")
    assert "damaged, or hidden by the device's own key" in without
    assert "hidden by the device's own key" in opened and "boots 1.0.0" in opened
    assert "opened: complete, hash and signature are right" in opened
    plain = rig.run_kedge("flash", "write", "--state", state, "--slot", "secondary",
                          rig.sign("3.0.0", 3, "--clear"))
    assert plain.returncode == 0
    assert "plain here, made for encryption (ECIES-P256)" in inspect()
    assert "not encrypted" in (rig.run_kedge("flash", "write", "--state", state, "--slot", "secondary", factory)
                               and inspect())


def test_power_cuts_with_a_real_key_agreement(rig, tmp_path):
    """The keys of both images come from the journal again after each cut: a wrong one shows at once."""
    rig = rig()
    factory, second, third = (rig.sign("1.0.0", 1, encrypt=False), rig.sign("2.0.0", 2),
                              rig.sign("3.0.0", 3))
    rig.flash(factory)
    rig.device.start()
    upload(rig, second)
    rig.reset()
    assert rig.ask("image", "confirm").returncode == 0
    rig.reset()
    upload(rig, third)
    rig.device.stop()
    state, before = rig.device.directory / "state", tmp_path / "before"
    shutil.copytree(state, before)
    for kind in "before", "torn", "after":
        for cut in range(1, 400, 43):
            shutil.rmtree(state)
            shutil.copytree(before, state)
            code, _ = rig.device.once("--cut", str(cut), "--cut-kind", kind)
            assert code in (0, 9)
            if code == 9:
                assert rig.device.once()[1].startswith("booted 3.0.0 (a new image on trial"), (kind, cut)
            rig.runs(third)
            assert rig.device.once()[1] == "booted 2.0.0 (not confirmed: the old image is back)", (kind, cut)
            rig.runs(second)
            rig.no_leak()
            if code == 0:
                break
