"""A hostile world against our programs: damaged flashes, damaged files, packets made by hand.

Every random choice comes from one seed, printed; KEDGE_SEED gives another one.
"""

import os
import random
import shutil
import socket
import subprocess
import threading
import time

import cbor2
import pytest

from clients import Kedge, Smpclient
from devices import KEY, Device, image_hash
from test_device import LAYOUT, device, install, sign  # noqa: F401  (fixtures)

SEED = int(os.environ.get("KEDGE_SEED", "1"))
REGIONS = {  # of the default layout: file, first byte, size
    "loader": ("internal.bin", 0x0, 0xC000),
    "primary-rest": ("internal.bin", 0x1C000, 0x60000),
    "primary-trailer": ("internal.bin", 0x7C000, 0x1000),
    "journal": ("internal.bin", 0x7D000, 0x2000),
    "settings": ("internal.bin", 0x7F000, 0x2000),
    "unnamed": ("internal.bin", 0x81000, 0x7F000),
    "secondary": ("external.bin", 0x0, 0x70000),
    "mailbox": ("external.bin", 0x70000, 0x1000),
    "spares": ("external.bin", 0x71000, 0x2000),
    "backup": ("external.bin", 0x73000, 0x70000),
    "staging": ("external.bin", 0xE3000, 0x71D000),
}
SMALL = 9000  # bytes of payload: the loader's work is the same, its hashes are quick


def one_line(done, program, *words):
    """Exit 1 and one line on stderr that names the program and holds the words; never a trace."""
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1 and done.stderr.startswith(f"{program}: "), done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


# ---- garbage in the flashes ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def lives(kedge_device, sign, tmp_path_factory):  # noqa: F811
    """name -> (internal, external) of a device with a good primary: new, asked, on trial, settled."""
    d = Device(kedge_device, tmp_path_factory.mktemp("lives"))
    assert d.once()[0] == 3
    state = d.directory / "state"
    one = sign("1.0.0", 1, size=SMALL)
    two = sign("2.0.0", 2, size=SMALL, options=["--pad"])
    internal = bytearray(d.internal())
    internal[0xC000:0xC000 + len(one)] = one
    (state / "internal.bin").write_bytes(internal)

    def now():
        return d.internal(), d.external()

    found = {"new": now()}
    external = bytearray(d.external())
    external[:len(two)] = two
    (state / "external.bin").write_bytes(external)
    found["asked"] = now()
    assert d.once()[1].startswith("booted 2.0.0")
    found["on trial"] = now()
    assert d.once()[1].startswith("booted 1.0.0")
    found["reverted"] = now()
    return found


def damage(rng, content):
    """Some bytes of a region, as wear, a crash or an attacker leave them."""
    kind = rng.choice(["random", "zeros", "flips", "lines", "swapped", "cut short"])
    content = bytearray(content)
    size = len(content)
    if kind == "random":
        content[:] = rng.randbytes(size)
    elif kind == "zeros":
        content[:] = bytes(size)
    elif kind == "flips":
        for _ in range(rng.choice([1, 3, 30])):
            content[rng.randrange(size)] ^= 1 << rng.randrange(8)
    elif kind == "lines":
        for _ in range(rng.choice([1, 4, 16])):
            at = rng.randrange(0, size, 16)
            content[at:at + 16] = rng.choice([bytes(16), b"\xff" * 16, rng.randbytes(16)])
    elif kind == "swapped":
        content = content[size // 2:] + content[:size // 2]
    else:
        at = rng.randrange(size)
        content[at:] = rng.choice([b"\xff", b"\x00"]) * (size - at)
    return kind, bytes(content)


@pytest.mark.parametrize("region", REGIONS)
def test_garbage_in_a_region(kedge_device, tmp_path, lives, region):
    """Whatever one region holds, a good primary must boot; else one worn sector bricks the device."""
    rng = random.Random(f"{SEED} {region}")
    print("seed", SEED)
    d = Device(kedge_device, tmp_path)
    state = d.directory / "state"
    state.mkdir()
    name, at, size = REGIONS[region]
    for life, (internal, external) in lives.items():
        files = {"internal.bin": internal, "external.bin": external}
        kind, files[name] = "", bytearray(files[name])
        kind, files[name][at:at + size] = damage(rng, files[name][at:at + size])
        for file, content in files.items():
            (state / file).write_bytes(content)
        for boot in range(2):
            code, verdict = d.once()
            assert code == 0 and verdict.startswith("booted"), (life, kind, boot, code, verdict)


def test_garbage_everywhere_else(kedge_device, tmp_path, lives):
    """All at once: nothing but a good image in the primary, and the agent on top of it serves."""
    rng = random.Random(f"{SEED} everywhere")
    print("seed", SEED)
    d = Device(kedge_device, tmp_path)
    state = d.directory / "state"
    state.mkdir()
    internal, external = map(bytearray, lives["new"])
    for name, at, size in REGIONS.values():
        file = internal if name == "internal.bin" else external
        file[at:at + size] = rng.randbytes(size)
    (state / "internal.bin").write_bytes(internal)
    (state / "external.bin").write_bytes(external)
    d.start()
    try:
        assert d.verdicts()[-1].startswith("booted 1.0.0")
        assert [s["version"] for s in Smpclient(d, "udp").states()][:1] == ["1.0.0"]
    finally:
        d.stop()


def test_nothing_but_garbage(kedge_device, tmp_path, lives):
    """No image anywhere: the loader says so (exit 3), it neither hangs nor crashes."""
    rng = random.Random(f"{SEED} nothing")
    print("seed", SEED)
    d = Device(kedge_device, tmp_path)
    state = d.directory / "state"
    state.mkdir()
    for content in (rng.randbytes, bytes):
        (state / "internal.bin").write_bytes(content(0x100000))
        (state / "external.bin").write_bytes(content(0x800000))
        code, verdict = d.once()
        assert code == 3 and verdict.startswith("nothing bootable: "), verdict


def test_damaged_image_headers(kedge_device, tmp_path, lives):
    """Lengths in a header or a TLV are the attacker's: an image that lies about them must not run."""
    rng = random.Random(f"{SEED} headers")
    print("seed", SEED)
    d = Device(kedge_device, tmp_path)
    state = d.directory / "state"
    state.mkdir()
    internal, external = lives["new"]
    image = internal[0xC000:0xC000 + 0x200 + SMALL + 400]
    for _ in range(12):
        bad = bytearray(image)
        if rng.random() < 0.6:  # header
            at = rng.choice([8, 10, 12, 13, 14, 15, 16, 17, 18, 19])
        else:  # TLV area
            at = 0x200 + SMALL + rng.randrange(0, 60)
        bad[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, bad[at] ^ 0x10])
        if bad == image:
            continue
        (state / "internal.bin").write_bytes(
            internal[:0xC000] + bytes(bad) + internal[0xC000 + len(bad):])
        (state / "external.bin").write_bytes(bytes(bad) + external[len(bad):])
        code, verdict = d.once()
        assert code in (0, 3) and verdict.startswith(("booted 1.0.0", "nothing bootable")), verdict
        if at < 0x200:
            assert code == 3, (at, bad[at], verdict)


# ---- state directories and dumps -----------------------------------------------------------------

COMMANDS = [["inspect"], ["read", "--slot", "primary", "OUT"],
            ["read", "--slot", "secondary", "--raw", "OUT"], ["write", "--slot", "primary", "FILE"],
            ["erase", "--slot", "secondary"], ["erase", "--slot", "all"],
            ["report", "-o", "OUT"]]


@pytest.fixture
def flash(run_kedge, tmp_path):
    """flash(words, state) -> CompletedProcess of `kedge flash ... --state`."""
    source = tmp_path / "file.bin"
    source.write_bytes(b"some firmware")

    def run(words, state):
        words = [tmp_path / "out" if w == "OUT" else source if w == "FILE" else w for w in words]
        return run_kedge("flash", words[0], "--state", state, *words[1:])

    return run


def short(state):
    (state / "internal.bin").write_bytes(b"\xff" * 1000)


def long(state):
    (state / "external.bin").write_bytes(bytes(0x800001))


def empty(state):
    (state / "internal.bin").write_bytes(b"")


def folder(state):
    (state / "internal.bin").unlink()
    (state / "internal.bin").mkdir()


def binary_layout(state):
    (state / "layout").write_bytes(random.Random(SEED).randbytes(500))


def empty_layout(state):
    (state / "layout").write_bytes(b"")


def folder_layout(state):
    (state / "layout").unlink()
    (state / "layout").mkdir()


def huge_layout(state):
    (state / "layout").write_bytes(b"a: b\n" * 100000)


@pytest.mark.parametrize("spoil", [short, long, empty, folder, binary_layout, empty_layout,
                                   folder_layout, huge_layout])
def test_spoilt_state_directory(kedge_device, flash, tmp_path, spoil):
    """A directory that is no device's any more is named and left as it is, by every command."""
    d = Device(kedge_device, tmp_path)
    assert d.once()[0] == 3
    state = d.directory / "state"
    spoil(state)
    for words in COMMANDS:
        one_line(flash(words, state), "kedge")
    done = subprocess.run(d.command("--once"), capture_output=True, text=True, timeout=60, check=False)
    one_line(done, "kedge-device")


def test_no_state_directory(flash, tmp_path, kedge_device):
    """A directory that cannot be, or is a file, is one line; reading makes no device by the way."""
    file = tmp_path / "a-file"
    file.write_text("I am not a directory")
    for words in COMMANDS:
        one_line(flash(words, file), "kedge", str(file))
        one_line(flash(words, file / "under" / "it"), "kedge", str(file))
    missing = tmp_path / "missing"
    for words in ([c for c in COMMANDS if c[0] in ("inspect", "read", "report")]):
        one_line(flash(words, missing), "kedge", str(missing))
        assert not missing.exists(), words
    done = subprocess.run([kedge_device, "--state", file, "--key", KEY, "--once"],
                          capture_output=True, text=True, timeout=60, check=False)
    one_line(done, "kedge-device", str(file))


def test_files_that_do_not_fit(kedge_device, flash, run_kedge, tmp_path):
    """A file too long, empty, missing or a directory is refused before a byte of flash changes."""
    d = Device(kedge_device, tmp_path)
    assert d.once()[0] == 3
    before = d.internal()
    for name, content, word in [("big.bin", bytes(0x71001), "do not fit"), ("none.bin", b"", "none.bin"),
                                ("x.hex", b":00000001FF\n", "x.hex"), ("y.hex", b"\x00\xff" * 90, "y.hex"),
                                ("z.hex", b":02000004FFFFFC\n:10FFF000" + b"00" * 16 + b"01\n", "z.hex")]:
        path = tmp_path / name
        path.write_bytes(content)
        one_line(flash(["write", "--slot", "primary", path], d.directory / "state"), "kedge", word)
    one_line(flash(["write", "--slot", "primary", tmp_path], d.directory / "state"), "kedge")
    one_line(flash(["write", "--slot", "primary", tmp_path / "nix"], d.directory / "state"), "kedge")
    one_line(flash(["read", "--slot", "primary", tmp_path], d.directory / "state"), "kedge",
             "directory")
    one_line(flash(["read", "--slot", "primary", tmp_path / "no" / "such"], d.directory / "state"),
             "kedge")
    assert d.internal() == before


def test_dumps(run_kedge, tmp_path, lives):
    """`flash inspect` of any bytes says something and ends; a dump of a wrong size is named."""
    rng = random.Random(f"{SEED} dumps")
    print("seed", SEED)
    internal, external = tmp_path / "i.bin", tmp_path / "e.bin"
    pairs = [lives["on trial"], (rng.randbytes(0x100000), bytes(0x800000)), (b"", b"")]
    for life in lives.values():
        spoilt = [bytearray(life[0]), bytearray(life[1])]
        for region in ("journal", "settings", "mailbox", "primary-trailer"):
            name, at, size = REGIONS[region]
            file = spoilt[name == "external.bin"]
            file[at:at + size] = damage(rng, file[at:at + size])[1]
        pairs.append(tuple(spoilt))
    for a, b in pairs:
        internal.write_bytes(a)
        external.write_bytes(b)
        done = run_kedge("flash", "inspect", "--internal", internal, "--external", external)
        assert done.returncode == 0 and "journal" in done.stdout, done
    internal.write_bytes(bytes(0x100001))
    one_line(run_kedge("flash", "inspect", "--internal", internal), "kedge", "i.bin")
    one_line(run_kedge("flash", "inspect", "--internal", tmp_path), "kedge", str(tmp_path))
    one_line(run_kedge("flash", "inspect", "--internal", internal, "--layout", tmp_path), "kedge")


def test_running_device_is_not_written(device, install, sign, flash):  # noqa: F811
    """A debugger on a running device would tear what the device just does: refused; reading is not."""
    install(device, sign("1.0.0"))
    device.start()
    state = device.directory / "state"
    for words in COMMANDS:
        done = flash(words, state)
        if words[0] in ("write", "erase"):
            one_line(done, "kedge", "stop it first")
        else:
            assert done.returncode == 0, done
    done = subprocess.run(device.command("--once"), capture_output=True, text=True, timeout=60,
                          check=False)
    one_line(done, "kedge-device", "stop it first")
    assert Smpclient(device, "udp").echo("hi") == "hi"


@pytest.fixture
def ordinary_user():
    """Root may write anywhere: what permissions do is seen as nobody."""
    return {"user": 65534, "group": 65534} if os.getuid() == 0 else {}


def test_read_only_directory(kedge_device, kedge, tmp_path_factory, ordinary_user):
    """A place that may not be written is one line, not half a device."""
    import tempfile
    with tempfile.TemporaryDirectory() as base:
        os.chmod(base, 0o755)
        key = shutil.copy(KEY, base)
        d = Device(kedge_device, base, keys=[key])
        assert d.once()[0] == 3
        for directory, words in [
                (f"{base}/state", [kedge_device, "--key", key, "--once"]),
                (f"{base}/new", [kedge_device, "--key", key, "--once"]),
                (f"{base}/state", [kedge, "flash", "erase", "--slot", "all"]),
                (f"{base}/new", [kedge, "flash", "write", "--slot", "primary", key])]:
            done = subprocess.run([*words, "--state", directory], capture_output=True, text=True,
                                  timeout=60, check=False, cwd="/", **ordinary_user)
            if os.access(words[0], os.X_OK) and "Permission" in done.stderr:
                one_line(done, words[0].name, "Permission denied")
            else:
                assert done.returncode == 1, done


def test_spoilt_records(asked_once, flash):
    """Trace, bus log and packets are files that anybody edits or cuts: a picture or one line."""
    rng = random.Random(f"{SEED} records")
    print("seed", SEED)
    state = asked_once.directory / "state"
    good = {name: (state / name).read_bytes() for name in ("trace", "bus", "smp.pcap")}
    assert len(good["trace"]) > 1000

    def tries(content):
        lines = content.split(b"\n")
        rng.shuffle(lines)
        numbers = bytearray(content)
        for _ in range(40):
            numbers[rng.randrange(len(numbers))] = rng.choice(b"0123456789 #-x\n\xff\x00")
        yield from (b"", b"\n" * 99, rng.randbytes(5000), content[:len(content) // 3], b"\n".join(lines),
                    bytes(numbers), b"# " + b"9" * 70000, b"1 1 boot internal erase 0xFFFFFFFF 4294967295\n" * 9,
                    b"1 1 boot internal program 0xFFFFF 4096\n18446744073709551615 1 x external erase 0x0 0\n")

    for name, content in good.items():
        for spoilt in tries(content):
            (state / name).write_bytes(spoilt)
            for words in (["report", "-o", "OUT"], ["inspect"]):
                done = flash(words, state)
                assert done.returncode in (0, 1), (name, spoilt[:60], done)
                if done.returncode == 1:
                    one_line(done, "kedge")
        (state / name).write_bytes(content)


@pytest.fixture
def asked_once(kedge_device, tmp_path, lives):
    """A device that has a swap behind it, with its record."""
    d = Device(kedge_device, tmp_path / "swapped")
    state = d.directory / "state"
    state.mkdir()
    for name, content in zip(("internal.bin", "external.bin"), lives["asked"]):
        (state / name).write_bytes(content)
    assert d.once()[1].startswith("booted 2.0.0")
    return d


# ---- layouts -------------------------------------------------------------------------------------

GOOD_LAYOUT = LAYOUT.format(primary="0x71000", journal="0x7D000", secondary="0x71000")
BAD_LAYOUTS = {
    "empty": b"",
    "comment": b"# nothing\n",
    "null": b"~\n",
    "scalar": b"hello\n",
    "list": b"- a\n- b\n",
    "binary": random.Random(SEED).randbytes(4000),
    "zeros": bytes(1000),
    "latin-1": GOOD_LAYOUT.encode() + b"# gr\xfc\xdfe\n",
    "deep list": b"a: " + b"[" * 3000 + b"]" * 3000,
    "deep map": b"a: " + b"{a: " * 3000 + b"1" + b"}" * 3000,
    "deep indent": b"".join(b" " * i + b"a:\n" for i in range(300)),
    "unclosed": b"regions: {primary: {device: internal\n",
    "tab": b"regions:\n\tprimary: 1\n",
    "huge": b"a: b\n" * 20000,
    "anchors": b"a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n",
    "self": b"regions: &r {primary: *r}\n",
    "strategy": GOOD_LAYOUT.replace("swap", "magic").encode(),
    "long strategy": GOOD_LAYOUT.replace("swap", "m" * 300).encode(),
    "strategy map": GOOD_LAYOUT.replace("strategy: swap", "strategy: {a: b}").encode(),
    "negative": GOOD_LAYOUT.replace("0x71000", "-4096").encode(),
    "space": GOOD_LAYOUT.replace("0x71000", "' -4096'").encode(),
    "huge number": GOOD_LAYOUT.replace("0x71000", "99999999999999999999999").encode(),
    "2^32": GOOD_LAYOUT.replace("0x71000", "0x100000000").encode(),
    "wraps": GOOD_LAYOUT.replace("size: 0x71000", "size: 0xFFFFF000").encode(),
    "float": GOOD_LAYOUT.replace("0x71000", "1e6").encode(),
    "zero": GOOD_LAYOUT.replace("0x71000", "0").encode(),
    "nul": GOOD_LAYOUT.replace("0x71000", '"0x71000\\0x"').encode(),
    "number is a map": GOOD_LAYOUT.replace("0x71000", "{a: 1}").encode(),
    "region is a list": GOOD_LAYOUT.replace("{device: internal, address: 0x7F000, size: 0x2000}",
                                            "[1, 2]").encode(),
    "regions are a list": b"regions: [primary, secondary]\n",
    "no regions": GOOD_LAYOUT.split("regions")[0].encode(),
    "twice": (GOOD_LAYOUT + "  primary: {device: internal, address: 0x0, size: 0x71000}\n").encode(),
    "twice in one": GOOD_LAYOUT.replace("size: 0x71000", "size: 0x71000, size: 0x70000").encode(),
    "regions twice": (GOOD_LAYOUT + "regions: {}\n").encode(),
    "two documents": (GOOD_LAYOUT + "---\n" + GOOD_LAYOUT).encode(),
    "unknown key": (GOOD_LAYOUT + "colour: red\n").encode(),
    "key with blanks": (GOOD_LAYOUT + "'strategy devices': red\n").encode(),
    "empty key": (GOOD_LAYOUT + "'': red\n").encode(),
    "map as key": (GOOD_LAYOUT + "? {a: b}\n: red\n").encode(),
    "control characters": (GOOD_LAYOUT + '"a\\nb\\e[31m": red\n').encode(),
    "unknown part": GOOD_LAYOUT.replace("mx25r64", "at25sf").encode(),
    "wrong size of part": GOOD_LAYOUT.replace("0x800000", "0x1000000").encode(),
    "sector 0": GOOD_LAYOUT.replace("sector: 4096}", "sector: 0}").encode(),
    "sector 3": GOOD_LAYOUT.replace("size: 0x100000, sector: 4096", "size: 0x100000, sector: 3").encode(),
    "sector huge": GOOD_LAYOUT.replace("size: 0x100000, sector: 4096",
                                       "size: 0x100000, sector: 0x100000").encode(),
    "internal huge": GOOD_LAYOUT.replace("size: 0x100000", "size: 0xFFFFF000").encode(),
    "journal one sector": GOOD_LAYOUT.replace("address: 0x7D000, size: 0x2000",
                                              "address: 0x7D000, size: 0x1000").encode(),
    "primary outside": GOOD_LAYOUT.replace("internal, address: 0xC000", "external, address: 0xC000").encode(),
    "nordic, end before start": b"mcuboot_primary: {address: 0x9000, end_address: 0x100}\n",
    "nordic, no secondary": b"mcuboot_primary: {address: 0xC000, size: 0x71000}\n",
    "nordic, wraps": b"mcuboot_primary: {address: 0xC000, size: 0x71000}\n"
                     b"mcuboot_secondary: {address: 0xFFFFF000, size: 0x71000, region: external_flash}\n",
    "nordic, scalars": b"mcuboot_primary: 1\nmcuboot_secondary: 2\n",
}


@pytest.mark.parametrize("name", BAD_LAYOUTS)
def test_bad_layout(kedge_device, tmp_path, name):
    """A layout file is typed by hand: any mistake is one line, and no device is made from it."""
    path = tmp_path / "layout.yml"
    path.write_bytes(BAD_LAYOUTS[name])
    done = subprocess.run([kedge_device, "--state", tmp_path / "s", "--key", KEY, "--once", "--layout",
                           path, "--flash-time", "none"], capture_output=True, text=True, timeout=60,
                          check=False)
    one_line(done, "kedge-device", "layout" if name != "huge" else "longer")
    assert done.stderr.isprintable() or done.stderr[:-1].isprintable(), done.stderr
    for made in ("internal.bin", "external.bin", "layout"):
        assert not (tmp_path / "s" / made).exists()


def test_mutated_layouts(kedge_device, tmp_path):
    """Any bytes in a layout file: a device or one line, never a crash."""
    rng = random.Random(f"{SEED} layouts")
    print("seed", SEED)
    path = tmp_path / "layout.yml"
    for i in range(30):
        text = bytearray(GOOD_LAYOUT.encode())
        for _ in range(rng.choice([1, 2, 5])):
            at = rng.randrange(len(text))
            how = rng.randrange(3)
            if how == 0:
                text[at] = rng.choice(b"{}[]:,&*!|>'\"%@`#-?\n\t 0x9\xff\x00")
            elif how == 1:
                del text[at:at + rng.randrange(1, 30)]
            else:
                text[at:at] = text[(b := rng.randrange(len(text))):b + 40]
        path.write_bytes(text)
        done = subprocess.run([kedge_device, "--state", tmp_path / f"s{i}", "--key", KEY, "--once",
                               "--layout", path, "--flash-time", "none"], capture_output=True,
                              text=True, timeout=60, check=False)
        if done.returncode != 3:
            one_line(done, "kedge-device")
        shutil.rmtree(tmp_path / f"s{i}", ignore_errors=True)


# ---- keys ----------------------------------------------------------------------------------------


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def bad_keys(tmp_path_factory):
    """Files that somebody might give for a key, and are none that a loader can trust."""
    base = tmp_path_factory.mktemp("keys")
    good = KEY.read_bytes()
    contents = {
        "empty": b"",
        "der": (KEY.parent / "p256.der").read_bytes(),
        "binary": random.Random(SEED).randbytes(3000),
        "short": good[:len(good) // 2],
        "flipped": good.replace(good[60:64], b"!!!!"),
        "huge": b"-----BEGIN PUBLIC KEY-----\n" + b"A" * 3_000_000,
        "image": b"\x3d\xb8\xf3\x96" + bytes(2000),
        "words": b"this is not a key\n",
    }
    for name, content in contents.items():
        (base / name).write_bytes(content)
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-224", "-out", base / "p224")
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-out", base / "k1")
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", base / "rsa1024")
    openssl("genpkey", "-algorithm", "X25519", "-out", base / "x25519")
    openssl("genpkey", "-algorithm", "ED448", "-out", base / "ed448")
    openssl("genpkey", "-genparam", "-algorithm", "DSA", "-pkeyopt", "dsa_paramgen_bits:1024", "-out",
            base / "dsa-parameters")
    openssl("genpkey", "-paramfile", base / "dsa-parameters", "-out", base / "dsa")
    openssl("pkcs8", "-topk8", "-in", KEY, "-passout", "pass:secret", "-out", base / "encrypted")
    openssl("req", "-x509", "-new", "-key", KEY, "-subj", "/CN=kedge", "-days", "2", "-out",
            base / "certificate")
    (base / "folder").mkdir()
    return base


BAD_KEYS = ["empty", "der", "binary", "short", "flipped", "huge", "image", "words", "p224", "k1",
            "rsa1024", "x25519", "ed448", "dsa-parameters", "dsa", "encrypted", "certificate", "folder",
            "missing"]


@pytest.mark.parametrize("name", BAD_KEYS)
def test_bad_key(kedge_device, run_kedge, bad_keys, tmp_path, name):
    """A key that the loader cannot use must be said at the start, not as `unknown signer` later."""
    fixture = KEY.parents[1] / "p256.img"
    path = bad_keys / name
    state = tmp_path / "s"
    done = subprocess.run([kedge_device, "--state", state, "--key", KEY, "--key", path, "--once"],
                          capture_output=True, text=True, timeout=60, check=False)
    one_line(done, "kedge-device", str(path))
    assert not state.exists()
    one_line(run_kedge("verify", "-k", path, fixture), "kedge")
    if name != "x25519":  # the other key that this tool makes: to encrypt for, not to sign with
        one_line(run_kedge("getpub", "-k", path), "kedge")
    one_line(run_kedge("sign", "-k", path, "-v", "1.0.0", "-H", "0x200", "--pad-header", "-S", "0x71000",
                       KEY.parents[1] / "payload.bin", tmp_path / "out.bin"), "kedge")
    assert not (tmp_path / "out.bin").exists()


# ---- files for the tool --------------------------------------------------------------------------


def test_any_bytes_for_an_image(run_kedge, tmp_path):
    """A release script verifies what came over a bad disk: a verdict or one line, never a crash."""
    import json
    rng = random.Random(f"{SEED} images")
    print("seed", SEED)
    fixtures = sorted(KEY.parents[1].glob("*.img"))
    path = tmp_path / "x.img"
    for _ in range(25):
        content = bytearray(rng.choice(fixtures).read_bytes())
        for _ in range(rng.choice([1, 2, 6])):
            how = rng.randrange(4)
            at = rng.choice([rng.randrange(32), rng.randrange(len(content)),
                             max(0, len(content) - rng.randrange(1, 400))]) if content else 0
            if how == 0 and content:
                content[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
            elif how == 1:
                del content[at:at + rng.randrange(1, 300)]
            elif how == 2:
                content[at:at] = rng.randbytes(rng.randrange(1, 40))
            else:
                content[at:at + 4] = rng.choice([b"\xff" * 4, bytes(4), b"\x00\x00\x00\x80"])
        path.write_bytes(content)
        for words in (["verify", "-k", KEY], ["dumpinfo"], ["dumpinfo", "--json"]):
            done = run_kedge(*words, path)
            assert done.returncode in (0, 1), done
            if done.returncode == 1:
                one_line(done, "kedge")
            elif "--json" in words:
                json.loads(done.stdout)


# ---- a device that lies --------------------------------------------------------------------------


class Liar:
    """Answers every datagram with what `lie` makes of it."""

    def __init__(self, lie):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.lie = lie
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            while True:
                request, peer = self.socket.recvfrom(65536)
                for reply in self.lie(request):
                    self.socket.sendto(reply, peer)
        except OSError:
            return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def reply_to(request, body):
    data = body if isinstance(body, bytes) else cbor2.dumps(body)
    return bytes([request[0] | 1, 0]) + len(data).to_bytes(2, "big") + request[4:8] + data


ENTRY = {"slot": 0, "version": "1.0.0", "hash": bytes(32), "bootable": True, "pending": False,
         "confirmed": True, "active": True, "permanent": False}
LIES = {
    "nothing": lambda q: [],
    "noise": lambda q: [random.Random(len(q)).randbytes(200)],
    "empty map": lambda q: [reply_to(q, {})],
    "not a map": lambda q: [reply_to(q, [1, 2])],
    "no payload": lambda q: [reply_to(q, b"")],
    "broken": lambda q: [reply_to(q, b"\xbf\x66images\x9f")],
    "deep": lambda q: [reply_to(q, b"\xa1\x66images" + b"\x81" * 1400)],
    "an error": lambda q: [reply_to(q, {"rc": 4294967295})],
    "an error of a group": lambda q: [reply_to(q, {"err": {"group": 65535, "rc": 65535}})],
    "other sequence": lambda q: [reply_to(q[:6] + bytes([q[6] ^ 1]) + q[7:], {"r": "x", "images": []})],
    "its own request": lambda q: [q],
    "short": lambda q: [reply_to(q, {"r": "x"})[:9]],
    "rubbish in entries": lambda q: [reply_to(q, {"images": [
        {**ENTRY, "version": "\x1b[2J" * 40, "hash": bytes(size)} for size in (0, 1, 64, 65, 200)]})],
    "many entries": lambda q: [reply_to(q, {"images": [{**ENTRY, "slot": i} for i in range(12)]})],
    "wrong types": lambda q: [reply_to(q, {"images": [{k: [v] for k, v in ENTRY.items()}], "off": "x",
                                           "buf_size": -1, "buf_count": "y", "r": 5, "policy": [1],
                                           "counts": {}, "records": [[]], "output": b"z"})],
    "far off": lambda q: [reply_to(q, {"off": 4294967295, "buf_size": 4294967295,
                                       "buf_count": 4294967295})],
    "stuck": lambda q: [reply_to(q, {"off": 1, "buf_size": 0, "buf_count": 0})],
}


SILENT = ("nothing", "noise", "other sequence", "its own request", "short", "not a map", "broken", "deep")


@pytest.mark.parametrize("name", LIES)
def test_lying_device(run_kedge, tmp_path, name):
    """A broken device must not take the tool, or the script around it, along with it."""
    path = tmp_path / "x.bin"
    path.write_bytes((KEY.parents[1] / "p256.img").read_bytes())
    with Liar(LIES[name]) as liar:
        for words in (["image", "list"], ["image", "upload", path], ["image", "test", "00" * 32],
                      ["image", "slots"], ["os", "echo", "a"], ["os", "info"], ["os", "params"],
                      ["recorder", "show"], ["history", "show"], ["policy", "get"]):
            if name in SILENT:  # what is no answer is waited for: two commands are enough of that
                words = words if words[1] in ("list", "upload") else None
            if words is None:
                continue
            done = run_kedge("--udp", f"127.0.0.1:{liar.port}", "--timeout", "0.3", "--json", *words,
                             timeout=20)
            assert done.returncode in (0, 1), done
            assert done.returncode == 0 or done.stderr.startswith("kedge: "), done
            assert done.returncode == 0 or done.stderr.count("\n") == 1, done
            assert "\x1b" not in done.stdout + done.stderr
            if name in ("nothing", "noise", "not a map", "broken", "deep", "short", "an error"):
                assert done.returncode == 1, done


# ---- SMP by hand ---------------------------------------------------------------------------------


class ByHand:
    """Datagrams as they come: header fields and any bytes as payload."""

    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(10)
        self.address = ("127.0.0.1", port)
        self.sequence = 0

    def ask(self, op, group, command, body=None, version=1, flags=0):
        """-> the decoded reply, whose header was checked. body: bytes as they are, or an object."""
        self.sequence = (self.sequence + 1) % 256
        data = b"" if body is None else body if isinstance(body, bytes) else cbor2.dumps(body)
        head = bytes([op | version << 3, flags]) + len(data).to_bytes(2, "big") + group.to_bytes(
            2, "big") + bytes([self.sequence, command])
        self.socket.sendto(head + data, self.address)
        reply = self.socket.recv(65536)
        assert reply[0] == (op | 1 | version << 3) and reply[1] == 0, reply[:8]
        assert int.from_bytes(reply[2:4], "big") == len(reply) - 8
        assert (reply[4:6], reply[6], reply[7]) == (head[4:6], self.sequence, command)
        return cbor2.loads(reply[8:], str_errors="replace")  # an echo of rubbish is rubbish

    def upload(self, **body):
        return self.ask(2, 1, 1, body)

    def shout(self, datagram):
        """For what deserves no answer."""
        self.socket.sendto(datagram, self.address)

    def quiet(self):
        """Nothing was answered: the next reply belongs to the next request."""
        assert self.ask(2, 0, 0, {"d": "still there"}) == {"r": "still there"}


@pytest.fixture
def hand(device, install, sign):  # noqa: F811
    install(device, sign("1.0.0", 1))
    device.start()
    h = ByHand(device.port)
    yield h
    h.socket.close()


def updates(device, hand, image):  # noqa: F811
    """After all that, a normal update works."""
    client = Smpclient(device, "udp")
    client.upload(image)
    client.test(image_hash(image))
    assert device.next_boot(client.reset).startswith("booted 2.0.0")
    client.confirm()
    assert device.next_boot(client.reset).startswith("booted 2.0.0")


def img(code):
    return {"err": {"group": 1, "rc": code}}


def test_requests_that_nobody_serves(hand, device, sign):  # noqa: F811
    """Clients probe: each unknown group, command or version gets its code, or they wait for ever."""
    for version, expected in [(0, {"rc": 8}), (1, {"rc": 8}), (2, {"rc": 13}), (3, {"rc": 13})]:
        for group, command in [(999, 0), (65535, 255), (8, 0), (9, 0), (63, 0), (0, 99), (1, 2), (1, 200),
                               (64, 250)]:
            for op in (0, 2):
                assert hand.ask(op, group, command, {}, version) == expected, (op, group, command)
    assert hand.ask(0, 1, 1, {}) == {"rc": 8}  # reads of what is only written, and the reverse
    assert hand.ask(2, 1, 6, {}) == {"rc": 8}
    assert hand.ask(0, 0, 5, {}) == {"rc": 8}
    assert hand.ask(0, 1, 0, {}, flags=0xFF)["images"][0]["version"] == "1.0.0"
    assert hand.ask(0, 1, 0, None)["images"]  # no payload at all is an empty map
    for op in (1, 3, 4, 5, 6, 7):  # no requests: an answer to an answer would go round for ever
        hand.shout(bytes([op | 8, 0, 0, 1, 0, 0, 9, 0, 0xA0]))
    for datagram in (b"", b"\x0a", b"\x0a\x00\x00\x01\x00\x00\x01", b"\x0a\x00\x00\x09\x00\x00\x01\x00\xa0",
                     b"\x0a\x00\x00\x00\x00\x00\x01\x00\xa0", bytes(5000), bytes(60000)):
        hand.shout(datagram)
    hand.quiet()
    updates(device, hand, sign("2.0.0", 2))


MALFORMED = [
    b"\xff", b"\xbf", b"\xa1", b"\xa1\x61", b"\xa1\x63off", b"\xa1\x63off\x1b", b"\xa1\x01\x02",
    b"\xa1\x63off\x1b\xff\xff\xff\xff\xff\xff\xff\xff", b"\xa1\x63off\x20", b"\xa1\x63off\xf5",
    b"\xa1\x64data\x5b\xff\xff\xff\xff\xff\xff\xff\xff", b"\xa1\x64data\x5a\xff\xff\xff\xffab",
    b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", b"\x80", b"\x00", b"\xf6", b"\x9f" * 2000,
    b"\xa1\x63off" + b"\x81" * 2000, b"\xd8\x18" * 500, b"\xa1\x64data\x5f\x41a\x41b\xff",
    b"\xa1\x7b\xff\xff\xff\xff\xff\xff\xff\xff", b"\xa1\x64data\x1c", b"\xa2\x63off\x00\x63off\x00\xff\xff",
    b"\xa0\xa0", b"\xbf\xff\xff", b"\xa1\x61a\xf9", b"\xa1\x7f\x61a\xff\x00",
]


def test_malformed_cbor(hand, device, sign):  # noqa: F811
    """A broken encoder on the phone gets an answer from every command, and changes nothing."""
    rng = random.Random(f"{SEED} cbor")
    print("seed", SEED)
    good = [cbor2.dumps(o) for o in ({"off": 0, "len": 5000, "data": bytes(64), "sha": bytes(32)},
                                     {"hash": bytes(32), "confirm": True}, {"key": "hold", "value": "on"},
                                     {"d": "x" * 50}, {"slot": 1})]
    before = device.external()
    commands = [(0, 0, 0), (2, 0, 0), (2, 0, 4), (0, 0, 7), (0, 0, 8), (2, 1, 0), (2, 1, 1), (2, 1, 5),
                (0, 10, 2), (0, 10, 3), (0, 64, 1), (0, 64, 2), (2, 64, 4), (2, 64, 5)]
    for op, group, command in commands:
        for body in MALFORMED:
            assert isinstance(hand.ask(op, group, command, body), dict)
        for _ in range(40):
            body = bytearray(rng.choice(good))
            for _ in range(rng.choice([1, 2, 4])):
                body[rng.randrange(len(body))] = rng.choice([0, 0x1B, 0x5F, 0x7F, 0x9F, 0xBF, 0xFF,
                                                             rng.randrange(256)])
            if (group, command) != (1, 5):  # its `slot` is optional: rubbish keys erase, by the rules
                assert isinstance(hand.ask(op, group, command, bytes(body)), dict)
    assert hand.ask(2, 1, 5, {"slot": "one"}) == {"rc": 3}
    assert hand.ask(2, 1, 5, {"slot": 0}) == img(14)
    assert hand.ask(2, 1, 5, {"slot": 2 ** 32}) == {"rc": 3}
    assert device.external() == before
    updates(device, hand, sign("2.0.0", 2))


def test_hostile_uploads(hand, device, sign):  # noqa: F811
    """Offsets, lengths and hashes of an upload are the sender's: each lie is refused by its name."""
    two = sign("2.0.0", 2)
    head = two[:512]
    assert hand.upload() == img(20)  # no off
    assert hand.upload(off=0) == img(22)
    assert hand.upload(off=0, data=b"") == img(22)
    assert hand.upload(off=0, data=head) == img(21)  # no len
    assert hand.upload(off=0, len=0, data=head) == img(31)
    assert hand.upload(off=0, len=32, data=head[:32]) == img(21)
    assert hand.upload(off=0, len=0xFFFFFFFF, data=head) == img(30)
    assert hand.upload(off=0, len=2 ** 32, data=head) == {"rc": 3}
    assert hand.upload(off=0, len=-1, data=head) == {"rc": 3}
    assert hand.upload(off=0, len=0x71000 + 1, data=head) == img(30)
    assert hand.upload(off=0, len=len(two), data=head[:31]) == img(22)
    assert hand.upload(off=0, len=len(two), data=bytes(512)) == img(23)
    assert hand.upload(off=0, len=len(two), data=head, image=2) == img(14)
    assert hand.upload(off=0, len=len(two), data=head, image=2 ** 32 - 1) == img(14)
    assert hand.upload(off=0, len=len(two), data=head, sha=bytes(33)) == img(24)
    assert hand.upload(off=0, len=len(two), data=head, sha=bytes(100)) == img(24)
    assert hand.upload(off=0, len=len(two), data="text") == {"rc": 3}
    big = bytearray(head)
    big[12:16] = b"\xff\xff\xff\xff"
    assert hand.upload(off=0, len=len(two), data=bytes(big)) == img(30)
    # no session: the offset says where to begin
    assert hand.upload(off=1000, data=head) == {"off": 0}
    assert hand.upload(off=0xFFFFFFFF, data=head) == {"off": 0}
    for size in range(0, 33):
        reply = hand.upload(off=0, len=len(two), data=head, sha=bytes([size]) * size)
        assert reply == {"off": 32}, size
    for image in (0, 1):
        assert hand.upload(off=0, len=len(two), data=head, image=image, sha=bytes([image + 40]) * 32)[
            "off"] == 32
    # off beyond, behind, missing data, more than was told, a jump to the end
    assert hand.upload(off=len(two), data=head) == {"off": 32}
    assert hand.upload(off=0xFFFFFFFF, data=head) == {"off": 32}
    assert hand.upload(off=31, data=head) == {"off": 32}
    assert hand.upload(off=32) == {"off": 32}
    assert hand.upload(off=32, data=b"") == {"off": 32}
    assert hand.upload(off=0, len=100, data=head[:100], sha=b"s" * 32) == {"off": 32}
    assert hand.upload(off=32, data=bytes(69)) == img(31)
    # erased in the middle: the session is over, and the next chunk is told so
    assert hand.upload(off=0, len=len(two), data=head, sha=b"t" * 32) == {"off": 32}
    assert hand.upload(off=32, data=two[32:1032]) == {"off": 1032}
    assert hand.ask(2, 1, 5, {}) == {}
    assert hand.upload(off=1032, data=two[1032:2032]) == {"off": 0}
    assert [i["slot"] for i in hand.ask(0, 1, 0)["images"]] == [0]
    updates(device, hand, two)


def test_wrong_sha_is_told(hand, device, sign):  # noqa: F811
    """A file that is not what its hash says must not be taken for uploaded."""
    two = sign("2.0.0", 2)
    off, reply = 0, hand.upload(off=0, len=len(two), data=two[:512], sha=bytes(32))
    while reply["off"] < len(two):
        off = reply["off"]
        reply = hand.upload(off=off, data=two[off:off + 3000])
        assert reply["off"] > off
    assert reply == {"off": len(two), "match": False}
    updates(device, hand, two)


def test_two_clients_and_an_eraser(hand, device, sign):  # noqa: F811
    """Somebody erases and somebody else uploads meanwhile: nobody's bytes get into the other's file."""
    two, three = sign("2.0.0", 2), sign("3.0.0", 3)
    other = ByHand(device.port)
    assert hand.upload(off=0, len=len(two), data=two[:512], sha=b"a" * 32) == {"off": 32}
    assert other.upload(off=0, len=len(three), data=three[:512], sha=b"b" * 32) == {"rc": 10}
    assert other.upload(off=32, data=three[32:512]) == {"rc": 10}
    assert other.ask(2, 1, 5, {}) == {}
    assert other.upload(off=0, len=len(three), data=three[:512], sha=b"b" * 32) == {"off": 32}
    assert hand.upload(off=32, data=two[32:512]) == {"rc": 10}
    assert other.upload(off=32, data=three[32:512]) == {"off": 512}
    # the session is another's for five seconds, unless it is the same file
    assert hand.upload(off=0, len=len(three), data=three[:512], sha=b"b" * 32) == {"off": 512}
    other.socket.close()
    hand.ask(2, 1, 5, {})
    updates(device, hand, two)


def test_hostile_requests(hand, device, sign):  # noqa: F811
    """State writes and policies with values of every wrong shape change nothing."""
    before = device.internal(), device.external()
    for size in [1, 4, 31, 33, 47, 49, 63, 65, 100, 2000]:
        assert hand.ask(2, 1, 0, {"hash": bytes(size)}) == img(24), size
        assert hand.ask(2, 1, 0, {"hash": bytes(size), "confirm": True}) == img(24)
    for size in [32, 48, 64]:
        assert hand.ask(2, 1, 0, {"hash": bytes(size)}) == img(8)
        assert hand.ask(2, 1, 0, {"hash": bytes(size), "confirm": True}) == img(8)
        assert hand.ask(2, 1, 0, {"hash": bytes(size)}, version=0) == {"rc": 1}
    assert hand.ask(2, 1, 0, {}) == img(24)
    assert hand.ask(2, 1, 0, {"confirm": False}) == img(24)
    assert hand.ask(2, 1, 0, {"hash": "text"}) == {"rc": 3}
    assert hand.ask(2, 1, 0, {"confirm": "yes"}) == {"rc": 3}
    policy = hand.ask(0, 64, 4)["policy"]
    for key, value in [("hold", "x" * 3000), ("x" * 3000, "on"), ("", ""), ("hold", ""), ("attempts", "0"),
                       ("attempts", "16"), ("attempts", "01"), ("attempts", "1 "), ("hold\0", "on"),
                       ("hold", "on\0"), ("HOLD", "on")]:
        assert "err" in hand.ask(2, 64, 4, {"key": key, "value": value}), (key[:9], value[:9])
    for body in [{}, {"key": "hold"}, {"value": "on"}, {"key": 1, "value": 2}, {"key": b"hold", "value": "on"}]:
        assert hand.ask(2, 64, 4, body).keys() & {"rc", "err"}, body
    assert hand.ask(0, 64, 4)["policy"] == policy
    assert hand.ask(2, 0, 0, {"d": "y" * 3900}) == {"r": "y" * 3900}
    assert hand.ask(2, 0, 0, {"d": "y" * 4080}).keys() == {"r"}
    assert hand.ask(0, 0, 7, {"format": "q" * 3000})["err"] == {"group": 0, "rc": 2}
    assert hand.ask(2, 0, 4, {"datetime": "z" * 3000}).keys() & {"rc", "err"}
    assert (device.internal(), device.external()) == before
    updates(device, hand, sign("2.0.0", 2))


# ---- images that only look like one --------------------------------------------------------------


def truncated(image):
    return image[:len(image) // 2]


def no_tlvs(image):
    return image[:0x200 + SMALL]


def payload_over_its_tlvs(image):
    """The header claims payload right through the TLV area and its own signature."""
    return image[:12] + len(image).to_bytes(4, "little") + image[16:]


def payload_over_itself(image):
    """A header longer than the file: payload and header overlap."""
    return image[:8] + b"\xff\xff" + image[10:]


def tlvs_in_themselves(image):
    """A TLV that reaches over the end of the area it lies in."""
    at = 0x200 + SMALL + 4 + 2
    return image[:at] + b"\xff\xff" + image[at + 2:]


def one_bit(image):
    return image[:0x300] + bytes([image[0x300] ^ 1]) + image[0x301:]


def other_version(image):
    return image[:20] + bytes([image[20] + 1]) + image[21:]


@pytest.mark.parametrize("spoil", [truncated, no_tlvs, payload_over_its_tlvs, payload_over_itself,
                                   tlvs_in_themselves, one_bit, other_version])
def test_spoilt_images(device, install, sign, kedge, run_kedge, tmp_path, spoil):  # noqa: F811
    """A spoilt candidate is refused by the tool, by the agent and by the loader; the old one runs."""
    bad = spoil(sign("2.0.0", 2, size=SMALL))
    path = tmp_path / "bad.bin"
    path.write_bytes(bad)
    one_line(run_kedge("verify", "-k", KEY, path), "kedge")
    install(device, sign("1.0.0", 1, size=SMALL))
    device.start()
    client = Kedge(device, "udp", kedge)
    uploaded = run_kedge(*client.target, "image", "upload", path)
    if uploaded.returncode == 0:
        hashes = [s["hash"] for s in client.states() if s["slot"] == 1]
        for digest in hashes:
            refused = run_kedge(*client.target, "image", "test", digest.hex())
            one_line(refused, "kedge")
    else:
        one_line(uploaded, "kedge")
    assert device.next_boot(client.reset).startswith("booted 1.0.0 (the confirmed image)")
    device.stop()
    # as a debugger: in the slot, with a request behind it
    magic = bytes.fromhex("77c295f360d2ef7f3552500f2cb67980")
    slot = bad + b"\xff" * (0x71000 - len(bad) - 16) + magic
    install(device, slot, "secondary")
    assert device.once()[1].startswith("booted 1.0.0 (the candidate was refused")
    assert device.once() == (0, "booted 1.0.0 (the confirmed image)")


# ---- a console that carries more than SMP --------------------------------------------------------


def drain(fd, seconds=0.3):
    end, got = time.monotonic() + seconds, b""
    while time.monotonic() < end:
        try:
            got += os.read(fd, 65536)
        except BlockingIOError:
            time.sleep(0.01)
    return got


@pytest.mark.parametrize("which", ["pty", "raw_pty"])
def test_rubbish_on_a_serial_line(device, install, sign, kedge, which):  # noqa: F811
    """Logs, half lines and line noise on the console must not cost more than the one request."""
    import base64
    import binascii
    install(device, sign("1.0.0", 1))
    device.start()
    rng = random.Random(f"{SEED} {which}")
    print("seed", SEED)
    fd = os.open(getattr(device, which), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def write(data):
        while data:
            try:
                data = data[os.write(fd, data):]
            except BlockingIOError:
                time.sleep(0.005)

    def packet(message):
        data = (len(message) + 2).to_bytes(2, "big") + message
        data += binascii.crc_hqx(message, 0).to_bytes(2, "big")
        return b"\x06\x09" + base64.b64encode(data) + b"\n"

    echo = bytes([0x0A, 0, 0, 6, 0, 0, 1, 0]) + cbor2.dumps({"d": "hi"})
    try:
        if which == "pty":
            assert drain(fd, 0.05) == b""
            for junk in [b"\n" * 500, b"[00:00:01] <inf> log text\r\n", b"\x06\x09", b"\x06", b"\x04\x14abcd\n",
                         b"\x06\x09!!!!\n", b"\x06\x09" + b"A" * 30000 + b"\n", packet(echo)[:10],
                         b"x" * 40000, b"\n", packet(echo)[:-3] + b"\n",
                         packet(echo).replace(b"A", b"B", 1), b"\x06\x09AAAA\n", b"\x06\x09//8=\n",
                         rng.randbytes(20000).replace(b"\x06\x09", b"..")]:
                write(junk)
            drain(fd)
            # text without an end of its line in front of a packet, and text between the two lines
            write(b"\nlog text\n" + packet(echo))
            reply = drain(fd)
            assert reply.startswith(b"\x06\x09"), reply
            whole = packet(echo)
            half = 2 + (len(whole) - 3) // 8 * 4
            write(whole[:half] + b"\n" + b"<wrn> in between\r\n" + b"\x04\x14" + whole[half:])
            assert drain(fd).startswith(b"\x06\x09")
        else:
            for junk in [b"\xff" * 3000, rng.randbytes(9000), echo[:9]]:
                write(junk)
            drain(fd)
            time.sleep(3.3)  # the line is quiet: what was half is forgotten
            write(echo)
            assert drain(fd, 1.0)[:1] == b"\x0b"
    finally:
        os.close(fd)
    over = ["--serial", device.pty] if which == "pty" else ["--serial", device.raw_pty, "--raw"]
    two = sign("2.0.0", 2)
    path = device.directory / "two.bin"
    path.write_bytes(two)
    done = subprocess.run([kedge, *over, "--timeout", "20", "image", "upload", path, "--test", "--reset",
                           "--wait"], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0 and "device runs 2.0.0" in done.stdout, done
