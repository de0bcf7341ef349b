"""The NVMC driver of the nRF52840 port on real NVMC registers: QEMU's microbit, an nRF51."""

import re
import subprocess

from rig import ARM, KEPT_QUIET


def test_nvmc(tmp_path):
    """A register, a mode or a page size that is wrong in the driver bricks every nRF52840."""
    errors = tmp_path / "errors.log"
    done = subprocess.run(
        ["qemu-system-arm", "-M", "microbit", "-display", "none", "-monitor", "none", "-serial",
         "none", "-semihosting-config", "enable=on,target=native", "-kernel",
         ARM / "microbit-nvmc.elf", "-d", "guest_errors", "-D", errors],
        capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    assert re.fullmatch(r"ok 46\n", said), said
    assert not [line for line in errors.read_text().splitlines()
                if not any(quiet.fullmatch(line) for quiet in KEPT_QUIET)]
