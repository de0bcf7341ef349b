"""What every interop test needs: where our binaries are, and a way to run them.

KEDGE_BIN_DIR names another directory than build/bin. The pinned tools of others (imgtool,
smpclient, ...) are those of the Python environment that pytest runs in: requirements.txt.
"""

import subprocess

import pytest

from paths import BIN


def binary(name):
    path = BIN / name
    assert path.exists(), f"{path} is not built: run make, or set KEDGE_BIN_DIR"
    return path


@pytest.fixture(scope="session")
def kedge():
    return binary("kedge")


@pytest.fixture(scope="session")
def kedge_device():
    return binary("kedge-device")


@pytest.fixture(scope="session")
def run_kedge(kedge):
    """run_kedge("sign", ..., stdin="") -> CompletedProcess with text stdout and stderr."""

    def run(*args, stdin="", timeout=60):
        return subprocess.run(
            [kedge, *map(str, args)], input=stdin, capture_output=True, text=True,
            timeout=timeout, check=False, start_new_session=True)

    return run
