"""Whole updates of a virtual device by the clients that users have, unmodified."""

import os
import random
import socket
import subprocess
import sys
import time

import pytest

from clients import Kedge, Refused, Smpclient, Toolkit, smpmgr
from devices import KEY, STRANGER, Device, image_hash, payload

SIZE = 100_000


@pytest.fixture(scope="session")
def sign(tmp_path_factory):
    """sign(version, seed, key, *options) -> image bytes, by imgtool."""
    directory = tmp_path_factory.mktemp("images")

    def run(version, seed=1, key=KEY, options=(), size=SIZE):
        source, target = directory / "in.bin", directory / "out.bin"
        source.write_bytes(payload(size, seed))
        subprocess.run([sys.executable, "-m", "imgtool.main", "sign", "-k", key, "-v", version,
                        "-H", "0x200", "--pad-header", "-S", "0x71000", "--align", "4", *options,
                        source, target], check=True, capture_output=True)
        return target.read_bytes()

    return run


@pytest.fixture
def device(kedge_device, tmp_path):
    d = Device(kedge_device, tmp_path)
    yield d
    d.stop()


@pytest.fixture
def install(run_kedge, tmp_path):
    """install(device, image): as a debugger does, into the primary."""

    def run(device, image, slot="primary"):
        path = tmp_path / "install.bin"
        path.write_bytes(image)
        done = run_kedge("flash", "write", "--state", device.directory / "state", "--slot", slot,
                         path)
        assert done.returncode == 0, done.stderr

    return run


CLIENTS = ["smpclient-udp", "smpclient-pty", "toolkit-udp", "toolkit-pty", "toolkit-raw",
           "kedge-udp", "kedge-pty"]


@pytest.fixture(params=CLIENTS)
def client(request, device, kedge):
    name, over = request.param.split("-")
    return {"smpclient": lambda: Smpclient(device, over), "toolkit": lambda: Toolkit(device, over),
            "kedge": lambda: Kedge(device, over, kedge)}[name]()


def test_update_by_each_client(device, client, install, sign):
    """A client of the field cannot upload, test, confirm, or sees other states than it expects."""
    one, two = sign("1.0.0", 1), sign("2.0.0", 2)
    install(device, one)
    device.start()
    assert device.verdicts()[-1].startswith("booted 1.0.0")
    assert client.echo("hello") == "hello"
    assert [(s["slot"], s["version"], s["active"], s["confirmed"]) for s in client.states()] == [
        (0, "1.0.0", True, True)]

    client.upload(two)
    states = client.states()
    assert [s["version"] for s in states] == ["1.0.0", "2.0.0"]
    assert states[1]["hash"] == image_hash(two)
    client.test(image_hash(two))
    assert client.states()[1]["pending"] and not client.states()[1]["permanent"]
    assert device.next_boot(client.reset).startswith("booted 2.0.0")
    states = client.states()
    assert states[0]["active"] and not states[0]["confirmed"] and states[1]["confirmed"]

    # not confirmed: the old one comes back, and the new one lies in the secondary bit for bit
    assert device.next_boot(client.reset).startswith("booted 1.0.0")
    assert device.internal()[0xC000:0xC000 + len(one)] == one
    client.test(image_hash(two))
    assert device.next_boot(client.reset).startswith("booted 2.0.0")
    client.confirm()
    assert client.states()[0]["confirmed"]
    for verdict in ("booted 2.0.0", "booted 2.0.0 (the confirmed image)"):
        time.sleep(1.1)  # a client that counts anew sends the same number: within a second it is
        # the same request, sent again
        assert device.next_boot(client.reset).startswith(verdict)
    client.erase()
    assert [s["slot"] for s in client.states()] == [0]


def test_permanent_by_hash(device, install, sign, kedge):
    """`confirm HASH` of an image that never ran must install it for good."""
    one, two = sign("1.0.0", 1), sign("2.0.0", 2)
    install(device, one)
    device.start()
    client = Kedge(device, "udp", kedge)
    client.upload(two)
    client.confirm(image_hash(two))
    assert client.states()[1]["permanent"]
    assert device.next_boot(client.reset).startswith("booted 2.0.0")
    assert device.next_boot(client.reset).startswith("booted 2.0.0")


def test_toolkit_firmware_update(device, install, sign):
    """mcumgr-toolkit's one-call update (bootloader info, upload, test, reset) must go through."""
    one, two = sign("1.0.0", 1), sign("2.0.0", 2)
    install(device, one)
    device.start()
    toolkit = Toolkit(device, "udp")
    verdict = device.next_boot(lambda: toolkit._do(lambda c: c.firmware_update(two)))
    assert verdict.startswith("booted 2.0.0")


def test_toolkit_os_and_enumeration(device, install, sign):
    """What a client asks first (parameters, bootloader, info, groups, time) is answered in shape."""
    install(device, sign("1.0.0"))
    device.start()
    toolkit = Toolkit(device, "udp")
    assert toolkit._do(lambda c: c.os_mcumgr_parameters().buf_size) >= 2475
    assert toolkit._do(lambda c: c.os_application_info("sn")) != ""
    groups = toolkit._do(lambda c: c.enum_get_group_ids())
    assert {0, 1, 10, 64} <= set(groups)
    assert toolkit._do(lambda c: c.image_slot_info())
    assert toolkit._do(lambda c: c.os_get_datetime()) is not None


def test_smpmgr(device, install, sign, tmp_path):
    """The command-line program that users type: list, upload, reset, over a serial port."""
    one, two = sign("1.0.0", 1), sign("2.0.0", 2)
    install(device, one)
    device.start()
    path = tmp_path / "two.bin"
    path.write_bytes(two)
    done = smpmgr("--port", device.pty, "--timeout", "10", "upgrade", "--slot", "1", path)
    assert done.returncode == 0, done.stdout + done.stderr
    device.wait_boots(2)
    assert device.verdicts()[-1].startswith("booted 2.0.0")
    done = smpmgr("--port", device.pty, "--timeout", "10", "image", "state-read")
    assert done.returncode == 0 and "2.0.0" in done.stdout, done.stdout + done.stderr


def test_download_touches_the_external_flash_only(device, install, sign, run_kedge):
    """The user's haunting question: not a byte of internal flash may change during the download."""
    import json
    one, two = sign("1.0.0", 1), sign("2.0.0", 2)
    install(device, one)
    device.start()
    before = device.internal()
    client = Smpclient(device, "udp")
    client.upload(two)
    assert device.internal() == before
    assert device.external()[:len(two)] == two
    done = run_kedge("--udp", f"127.0.0.1:{device.port}", "recorder", "show", "--json")
    recorder = json.loads(done.stdout)
    download = recorder["internal"]["download"]
    assert (download["programs"], download["erases"]) == (0, 0)
    download = recorder["external"]["download"]
    assert len(two) <= download["program_bytes"] <= len(two) + 1024


def test_stranger_is_refused_at_test_and_at_boot(device, install, sign, kedge):
    """An image signed by somebody else must neither be accepted by the agent nor boot."""
    one, bad = sign("1.0.0", 1), sign("9.0.0", 2, key=STRANGER)
    install(device, one)
    device.start()
    client = Kedge(device, "udp", kedge)
    client.upload(bad)
    with pytest.raises(Refused, match="key this device does not know"):
        client.test(image_hash(bad))
    assert device.next_boot(client.reset).startswith("booted 1.0.0 (the confirmed image)")
    device.stop()
    install(device, sign("9.0.0", 2, key=STRANGER, options=["--pad"]), "secondary")
    assert device.once()[1].startswith("booted 1.0.0 (the candidate was refused")
    assert device.once()[1] == "booted 1.0.0 (the confirmed image)"


@pytest.mark.parametrize("options, second", [(["--pad"], "1.0.0"), (["--pad", "--confirm"], "2.0.0")])
def test_imgtool_padded_files_are_requests(device, install, sign, options, second):
    """A file of `imgtool --pad` put there by a debugger is a test request, --confirm a permanent one."""
    install(device, sign("1.0.0", 1))
    install(device, sign("2.0.0", 2, options=options), "secondary")
    assert device.once()[1].startswith("booted 2.0.0")
    assert device.once()[1].startswith(f"booted {second}")


def test_crashing_image_is_reverted(device, install, sign, kedge):
    """A new image that crashes at once must not stay: its watchdog resets, the old one returns."""
    install(device, sign("1.0.0", 1))
    device.start("--crash-version", "2.0.0")
    client = Kedge(device, "udp", kedge)
    two = sign("2.0.0", 2)
    client.upload(two)
    client.test(image_hash(two))
    count = len(device.verdicts())
    client.reset()
    device.wait_boots(count + 2)
    assert [v.split()[1] for v in device.verdicts()[count:count + 2]] == ["2.0.0", "1.0.0"]


def test_upload_resumes_after_the_device_died(device, install, sign, kedge):
    """Power lost in the middle of a download: the same file must go on, not start anew."""
    one, two = sign("1.0.0", 1), sign("2.0.0", 2)
    install(device, one)
    device.start("--cut", "300")
    client = Kedge(device, "udp", kedge)
    with pytest.raises(Refused):
        client.run("--timeout", "1", "image", "upload", _file(device, two))
    assert device.process.wait(30) == 9
    device.process = None
    device.start()
    import json
    client.upload(two)
    programs = json.loads(client.run("recorder", "show", "--json"))["external"]["download"]
    assert programs["program_bytes"] < len(two) * 3 // 4
    client.test(image_hash(two))
    assert device.next_boot(client.reset).startswith("booted 2.0.0")


def _file(device, image):
    path = device.directory / "file.bin"
    path.write_bytes(image)
    return path


def test_sweep_of_cuts_over_a_test_swap(device, install, sign):
    """Power cut inside any operation of a swap: the new image runs, and the old one comes back."""
    one = sign("1.0.0", 1, size=9000)
    padded = sign("2.0.0", 2, size=12000, options=["--pad"])
    two = padded[:0x200 + 12000 + 140]  # header, payload and most of the TLVs
    install(device, one)
    install(device, padded, "secondary")
    state = device.directory / "state"
    start = {n: (state / n).read_bytes() for n in ("internal.bin", "external.bin")}
    cuts = 0
    for n in range(1, 1000, 7):
        for name, content in start.items():
            (state / name).write_bytes(content)
        code, _ = device.once("--cut", str(n), "--seed", str(n))
        if code == 0:
            break
        assert code == 9
        cuts += 1
        verdict = device.once()[1]
        if verdict.startswith("booted 1.0.0"):
            # only a cut before the plan was durable... or at the very last operation, may show it
            assert "not confirmed" in verdict, (n, verdict)
            continue
        assert verdict.startswith("booted 2.0.0"), (n, verdict)
        assert device.internal()[0xC000:0xC000 + len(two)] == two
        assert device.once()[1].startswith("booted 1.0.0"), n
        assert device.internal()[0xC000:0xC000 + len(one)] == one
    assert cuts > 5


def test_dead_external_chip(device, install, sign):
    """A chip that does not answer must not keep a valid firmware from booting."""
    install(device, sign("1.0.0"))
    code, verdict = device.once("--external-dead")
    assert code == 0 and verdict.startswith("booted 1.0.0") and "does not answer" in verdict
    device.start("--external-dead")
    assert Smpclient(device, "udp").echo("still here") == "still here"


def test_random_datagrams(device, install, sign):
    """Rubbish from the network must not stop the device, nor change what it boots."""
    install(device, sign("1.0.0"))
    device.start()
    seed = int(os.environ.get("KEDGE_SEED", "1"))
    print("seed", seed)
    rng = random.Random(seed)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for i in range(3000):
            size = rng.choice([0, 1, 7, 8, 9, 20, 100, 1472, 5000])
            data = bytearray(rng.randbytes(size))
            if rng.random() < 0.7 and size >= 8:
                # a header that parses, so that the handlers are reached; never a reset
                data[0] = rng.choice([0, 2, 8, 10])
                data[2:4] = (size - 8).to_bytes(2, "big")
                data[4:6] = rng.choice([0, 1, 2, 10, 64, 999]).to_bytes(2, "big")
                data[7] = rng.choice([0, 1, 2, 3, 4, 6, 7, 8])
            s.sendto(data, ("127.0.0.1", device.port))
            if i % 100 == 0:
                time.sleep(0.01)
    assert Smpclient(device, "udp").echo("ok") == "ok"
    assert device.alive()
    device.stop()
    assert device.once()[1].startswith("booted 1.0.0")


def test_repeated_reset_is_one_reset(device, install, sign):
    """A reset whose reply was lost is sent again; doing it twice would revert an image on trial."""
    one, two = sign("1.0.0", 1), sign("2.0.0", 2)
    install(device, one)
    device.start()
    client = Smpclient(device, "udp")
    client.upload(two)
    client.test(image_hash(two))
    request = bytes([2 | 1 << 3, 0, 0, 1, 0, 0, 77, 5, 0xA0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        count = len(device.verdicts())
        for _ in range(3):
            s.sendto(request, ("127.0.0.1", device.port))
            assert s.recv(4096)[6] == 77
            time.sleep(0.05)
    device.wait_boots(count + 1)
    time.sleep(0.3)
    assert len(device.verdicts()) == count + 1
    assert device.verdicts()[-1].startswith("booted 2.0.0")


def test_second_client_waits(device, install, sign):
    """Two clients at once must not tear each other's upload: the second one is told busy."""
    import cbor2
    install(device, sign("1.0.0", 1))
    device.start()
    two, three = sign("2.0.0", 2), sign("3.0.0", 3)

    def ask(sock, body):
        data = cbor2.dumps(body)
        sock.sendto(bytes([2 | 1 << 3, 0]) + len(data).to_bytes(2, "big") + bytes([0, 1, 5, 1]) + data,
                    ("127.0.0.1", device.port))
        return cbor2.loads(sock.recv(4096)[8:])

    def first(image, sha):
        return {"off": 0, "len": len(image), "sha": sha, "data": image[:512]}

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a, socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM) as b:
        a.settimeout(5)
        b.settimeout(5)
        # the device may take less than it was offered (its first reply waits for one erase only)
        off = ask(a, first(two, b"a" * 32))["off"]
        assert 0 < off <= 512
        assert ask(b, first(three, b"b" * 32)) == {"rc": 10}
        assert ask(a, {"off": off, "data": two[off:1024]}) == {"off": 1024}
        assert ask(b, first(two, b"a" * 32)) == {"off": 1024}


@pytest.mark.parametrize("words, code, text", [
    (["--state", "X"], 2, "--key"),
    (["--key", "K"], 2, "--state"),
    (["--state", "X", "--key", "K", "--frobnicate"], 2, "--frobnicate"),
    (["--state", "X", "--key", "/nonexistent", "--once"], 1, "/nonexistent"),
    (["--state", "X", "--key", "K", "--cut", "0"], 2, "--cut"),
    (["--state", "X", "--key", "K", "--strategy", "magic"], 2, "magic"),
    (["--state", "X", "--key", "K", "--udp", "256.1.1.1:99", "--flash-time", "none"], 1, "256.1.1.1"),
])
def test_wrong_use_of_the_device(kedge_device, tmp_path, words, code, text):
    """A wrong option must be named, not guessed at."""
    words = [str(tmp_path / "s") if w == "X" else str(KEY) if w == "K" else w for w in words]
    done = subprocess.run([kedge_device, *words], capture_output=True, text=True, timeout=30,
                          check=False)
    assert done.returncode == code, done
    assert text in done.stderr and len(done.stderr.strip().splitlines()) == 1


LAYOUT = """strategy: swap
devices:
  internal: {{part: nrf52840, size: 0x100000, sector: 4096}}
  external: {{part: mx25r64, size: 0x800000, sector: 4096}}
regions:
  primary: {{device: internal, address: 0xC000, size: {primary}}}
  journal: {{device: internal, address: {journal}, size: 0x2000}}
  settings: {{device: internal, address: 0x7F000, size: 0x2000}}
  secondary: {{device: external, address: 0x0, size: {secondary}}}
"""


@pytest.mark.parametrize("values, text", [
    (dict(journal="0x7C000"), "overlap"),
    (dict(primary="0x71800"), "sector"),
    (dict(secondary="0x900000"), "past the external flash"),
    (dict(secondary="0x2000"), "secondary"),
])
def test_bad_layouts_are_explained(kedge_device, tmp_path, values, text):
    """A layout that cannot work must be refused in words before a byte is written."""
    values = dict(dict(primary="0x71000", journal="0x7D000", secondary="0x71000"), **values)
    path = tmp_path / "layout.yml"
    path.write_text(LAYOUT.format(**values))
    done = subprocess.run([kedge_device, "--state", tmp_path / "s", "--key", KEY, "--once", "--layout",
                           path], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1 and text in done.stderr, done
    assert not (tmp_path / "s" / "internal.bin").exists()


def test_another_layout_for_the_same_directory(kedge_device, tmp_path):
    """Flash contents laid out otherwise must not be reinterpreted."""
    path = tmp_path / "layout.yml"
    path.write_text(LAYOUT.format(primary="0x71000", journal="0x7D000", secondary="0x71000"))
    base = [kedge_device, "--state", tmp_path / "s", "--key", KEY, "--once", "--flash-time", "none"]
    assert subprocess.run(base, capture_output=True, timeout=30, check=False).returncode == 3
    done = subprocess.run([*base, "--layout", path], capture_output=True, text=True, timeout=30,
                          check=False)
    assert done.returncode == 1 and "another layout" in done.stderr


def test_nordic_partitions(kedge_device, tmp_path, sign):
    """partitions.yml of an NCS build is taken as it is."""
    path = tmp_path / "partitions.yml"
    path.write_text("""
app: {address: 0xC200, end_address: 0x7D000, region: flash_primary, size: 0x70E00}
external_flash: {address: 0x71000, end_address: 0x800000, region: external_flash, size: 0x78F000}
mcuboot: {address: 0x0, end_address: 0xC000, region: flash_primary, size: 0xC000}
mcuboot_pad: {address: 0xC000, end_address: 0xC200, region: flash_primary, size: 0x200}
mcuboot_primary: {address: 0xC000, end_address: 0x7D000, orig_span: [app, mcuboot_pad],
  region: flash_primary, sharers: 0x1, size: 0x71000, span: [mcuboot_pad, app]}
mcuboot_secondary: {address: 0x0, end_address: 0x71000, device: MX25R64, region: external_flash,
  size: 0x71000}
settings_storage: {address: 0x7D000, end_address: 0x7F000, region: flash_primary, size: 0x2000}
sram_primary: {address: 0x20000000, end_address: 0x20040000, region: sram_primary, size: 0x40000}
""")
    d = Device(kedge_device, tmp_path, extra=["--layout", str(path)])
    assert d.once()[0] == 3
    internal = (tmp_path / "state" / "internal.bin").read_bytes()
    image = sign("1.0.0")
    (tmp_path / "state" / "internal.bin").write_bytes(
        internal[:0xC000] + image + internal[0xC000 + len(image):])
    assert d.once()[1].startswith("booted 1.0.0")
