"""Where our binaries are (KEDGE_BIN_DIR, as in tests/interop), the air, images, devices."""

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "interop")]

from devices import KEY, payload  # noqa: E402
from radio import BIN, Air, BleDevice, Central  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes too long for make test; make check-long runs it")


def pytest_collection_modifyitems(config, items):
    if config.option.markexpr == "":
        items[:] = [item for item in items if item.get_closest_marker("long") is None]


@pytest.fixture(scope="session")
def kedge_device_path():
    return BIN / "kedge-device"


@pytest.fixture(scope="session")
def air():
    air = Air()
    yield air
    air.stop()


@pytest.fixture(scope="session")
def sign(tmp_path_factory):
    """sign(version, size, seed) -> image bytes, by imgtool."""
    directory = tmp_path_factory.mktemp("images")

    def run(version, size=100_000, seed=1):
        source, target = directory / "in.bin", directory / "out.bin"
        source.write_bytes(payload(size, seed))
        subprocess.run([sys.executable, "-m", "imgtool.main", "sign", "-k", KEY, "-v", version, "-H", "0x200",
                        "--pad-header", "-S", "0x71000", "--align", "4", source, target],
                       check=True, capture_output=True)
        return target.read_bytes()

    return run


@pytest.fixture
def make_device(tmp_path, air):
    """make_device(*options, image=, air=, timed=) -> a BleDevice, started, stopped at the end."""
    made = []
    standard = air

    def make(*extra, image=None, air=None, timed=False, directory="device"):
        device = BleDevice(BIN / "kedge-device", tmp_path / directory, air or standard, *extra, timed=timed)
        if image is not None:
            path = tmp_path / "install.bin"
            path.write_bytes(image)
            subprocess.run([BIN / "kedge", "flash", "write", "--state", device.directory / "state", "--slot",
                            "primary", path], check=True, capture_output=True)
        made.append(device)
        return device.start()

    yield make
    for device in made:
        if device.process is not None:
            device.kill()


@pytest.fixture
def make_central(tmp_path):
    """make_central(device, number=, mtu=, pairing=) -> a Central with bonds of its own."""

    def make(device, number=1, **options):
        return Central(device, tmp_path / f"bonds{number}.json", number, **options)

    return make


@pytest.fixture
def kedge(tmp_path, air):
    """kedge(device, *words, stdin=) -> CompletedProcess: the host tool as a central."""

    def run(device, *words, stdin="", timeout=60, controller=None):
        command = [BIN / "kedge", "--ble", device.name, "--hci", f"tcp:127.0.0.1:{controller or device.air.port}"]
        return subprocess.run([*command, *map(str, words)], input=stdin, capture_output=True, text=True,
                              timeout=timeout, check=False, env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "tool")})

    return run
