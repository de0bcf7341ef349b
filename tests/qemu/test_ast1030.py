"""The loader and the agent as real Cortex-M4 programs on QEMU's ast1030-evb, with two of its SPI-NOR
chips. What fails here fails on a board, whatever the simulator says: a jump, a register, a command."""

import json
import os
import random
import re
import threading
import time

import pytest

import sweep
from rig import (EXTERNAL_SIZE, INTERNAL_SIZE, LAYOUT, PRIMARY, SECTOR, SLOT, Board,
                 firmware, kedge)
from clients import Kedge, Refused, Smpclient, smpmgr
from devices import STRANGER, image_hash


@pytest.fixture
def board(request, tmp_path):
    boards = []

    def make(kind=Board, **chips):
        boards.append(kind(tmp_path, **chips))
        return boards[-1]

    yield make
    for made in boards:
        made.stop()


def counts(shown):
    """Bytes erased and programmed, over all phases, of internal and external flash."""
    return [[sum(phase[what] for phase in shown[chip].values())
             for what in ("erase_bytes", "program_bytes")] for chip in ("internal", "external")]


def secondary_image(external, size):
    """The image in the secondary, wherever the swap left it: at base 0 or behind two spares, with
    the mailbox sector in between if it is that long."""
    for base in (0, 2):
        if external[base * SECTOR:base * SECTOR + 4] == b"\x3d\xb8\xf3\x96":
            return external[base * SECTOR:base * SECTOR + size]
    return None


def test_update_story(board, tmp_path):
    """Upload, test, revert, confirm, self-confirm, crash: an update on a real processor, in its whole
    life, leaves exactly the right bytes on both chips and is counted truly."""
    v1, v2 = (firmware(tmp_path, "waits", v) for v in ("1.0.0", "2.0.0"))
    v3 = firmware(tmp_path, "confirms", "3.0.0")
    v4 = firmware(tmp_path, "crashes", "4.0.0")
    b = board(primary=v1)
    spent = [[0, 0], [0, 0]]

    def account():
        """Before a reset: what this power-on did so far, by the recorder of loader and agent."""
        shown = json.loads(ours.run("recorder", "show", "--json"))
        for total, chip in zip(spent, counts(shown)):
            total[0] += chip[0]
            total[1] += chip[1]
        return shown

    b.start()
    assert b.wait("booted", 1) == "booted 1.0.0 (the confirmed image)"
    b.wait("application", 1)
    ours, python = Kedge(b, "console", b.kedge), Smpclient(b, "console")

    done = smpmgr("--port", b.pty, "image", "upload", tmp_path / "2.0.0-waits.img")
    assert done.returncode == 0, done.stdout + done.stderr
    python.test(image_hash(v2))
    assert account()["internal"]["download"]["programs"] == 0
    assert b.next_boot(python.reset) == "booted 2.0.0 (a new image on trial)"
    account()
    assert b.next_boot(python.reset).startswith("booted 1.0.0 (not confirmed: the old")
    python.test(image_hash(v2))
    account()
    b.next_boot(ours.reset)
    python.confirm()
    account()
    assert b.next_boot(python.reset).startswith("booted 2.0.0 (")
    assert [(s["version"], s["confirmed"], s["active"]) for s in python.states()][0] == \
        ("2.0.0", True, True)

    ours.upload(v3)
    ours.test(image_hash(v3))
    account()
    b.next_boot(ours.reset)
    assert b.lines("application")[-1] == "application 3.0.0: self-test passed, confirmed"
    account()
    assert b.next_boot(ours.reset).startswith("booted 3.0.0 (")

    ours.upload(v4)
    ours.test(image_hash(v4))
    account()
    boots = len(b.lines("booted"))
    ours.reset()
    assert b.wait("booted", boots + 1) == "booted 4.0.0 (a new image on trial)"
    assert b.wait("booted", boots + 2).startswith("booted 3.0.0 (not confirmed: the old")
    b.wait("application", len(b.lines("booted")) - 1)
    account()
    assert b.lines("reset:")[boots - 1:] == ["reset: asked for", "reset: asked for", "reset: watchdog"]
    lost = [line.split() for line in b.lines("flash:")[2 * boots:2 * boots + 2]]
    b.stop()

    assert not b.complaints()
    traced = b.traced()
    for total, words, chip in zip(spent, lost, traced):  # the boot that crashed told its counts
        assert [total[0] + SECTOR * int(words[3]), total[1] + int(words[7])] == chip
    internal, external = b.internal(), b.external()
    assert (len(internal), len(external)) == (INTERNAL_SIZE, EXTERNAL_SIZE)
    assert internal[PRIMARY:PRIMARY + len(v3)] == v3
    assert secondary_image(external, len(v4)) == v4
    blank = b"\xff"
    assert internal[:PRIMARY].strip(blank) == b"" and internal[0x81000:].strip(blank) == b""
    assert external[SLOT + 2 * SECTOR:].strip(blank) == b""
    seen = kedge("flash", "inspect", "--layout", LAYOUT, "--internal", b.internal_file,
                 "--external", b.external_file)
    assert seen.returncode == 0 and "3.0.0" in seen.stdout and "4.0.0" in seen.stdout


def test_resets_in_the_middle_of_an_upload(board, tmp_path):
    """A device that is reset while it receives goes on where it was, with the same command of the
    client still running, and has the file whole in the end."""
    v1, v2 = firmware(tmp_path, "waits", "1.0.0"), firmware(tmp_path, "waits", "2.0.0", size=262144)
    b = board(primary=v1).start()
    b.wait("application", 1)
    ours = Kedge(b, "console", b.kedge)
    upload = threading.Thread(target=lambda: ours.upload(v2))
    upload.start()
    for delay in (0.6, 0.9, 1.2):
        ups = len(b.lines("application"))
        time.sleep(delay)
        assert upload.is_alive()
        b.press_reset()
        b.wait("application", ups + 1)
    upload.join(60)
    assert not upload.is_alive()
    assert [(s["slot"], s["version"]) for s in ours.states()] == [(0, "1.0.0"), (1, "2.0.0")]
    ours.test(image_hash(v2))
    assert b.next_boot(ours.reset) == "booted 2.0.0 (a new image on trial)"
    b.stop()
    assert not b.complaints()
    assert b.internal()[PRIMARY:PRIMARY + len(v2)] == v2


class LargeBoard(Board):
    """An external chip that no table names: by its SFDP, with four address bytes."""
    external_model, external_size = "w25q256", 0x2000000


class ForeignBoard(Board):
    """An external chip without a table entry and without SFDP."""
    external_model, external_size = "is25lp080d", 0x100000


def test_chip_by_its_own_description(board, tmp_path):
    """A product is built with the chip that could be bought; one that describes itself is used, above
    16 MiB too."""
    v1, v2 = firmware(tmp_path, "waits", "1.0.0"), firmware(tmp_path, "confirms", "2.0.0")
    b = board(LargeBoard, primary=v1).start()
    b.wait("application", 1)
    ours = Kedge(b, "console", b.kedge)
    ours.upload(v2)
    ours.test(image_hash(v2))
    assert b.next_boot(ours.reset) == "booted 2.0.0 (a new image on trial)"
    assert b.lines("application")[-1] == "application 2.0.0: self-test passed, confirmed"
    b.stop()
    assert not b.complaints()
    assert secondary_image(b.external(), len(v1)) == v1
    assert len(b.external()) == LargeBoard.external_size


def test_foreign_chip(board, tmp_path):
    """A chip that nobody knows is not written, the device boots, says so, stays reachable, and takes
    updates again once the right chip is there."""
    v1, v2 = firmware(tmp_path, "waits", "1.0.0"), firmware(tmp_path, "waits", "2.0.0")
    b = board(ForeignBoard, primary=v1).start()
    verdict = b.wait("booted", 1)
    assert verdict.startswith("booted 1.0.0 (") and "another flash chip answers than the one configured" in verdict
    assert b.wait("application", 1) == "application 1.0.0: self-test failed"
    ours = Kedge(b, "console", b.kedge)
    assert ours.echo("still here") == "still here"
    with pytest.raises(Refused):
        ours.upload(v2)
    assert [s["version"] for s in ours.states()] == ["1.0.0"]
    b.stop()
    assert b.external().strip(b"\xff") == b""
    assert [erased + programmed for erased, programmed in b.traced()][1] == 0

    b.external_model, b.external_size = Board.external_model, Board.external_size
    b.external_file.write_bytes(b"\xff" * b.external_size)
    b.start()
    b.wait("application", 2)
    Kedge(b, "console", b.kedge).upload(v2)


def test_noise_and_wrong_images(board, tmp_path):
    """Noise on the console, an image signed by a stranger and one that was put into the external
    chip behind the device's back leave it up, on its old image, and saying why."""
    v1, v2 = firmware(tmp_path, "waits", "1.0.0"), firmware(tmp_path, "waits", "2.0.0")
    theirs = firmware(tmp_path, "waits", "3.0.0", key=STRANGER)
    b = board(primary=v1).start()
    b.wait("application", 1)
    noise = random.Random(6)
    for start in (b"", b"\x06\x09", b"\x04\x14"):
        os.write(b.hold, start + noise.randbytes(3000) + b"\n")
    ours = Kedge(b, "console", b.kedge)
    assert ours.echo("still here") == "still here"
    ours.upload(theirs)
    with pytest.raises(Refused, match="nobody we know|unknown|key|sign"):
        ours.test(image_hash(theirs))
    b.stop()
    assert not b.complaints()

    magic = bytes.fromhex("77c295f360d2ef7f3552500f2cb67980")
    b.write_chips(v1, (theirs + b"\xff" * (SLOT - 16 - len(theirs))) + magic)
    b.start()
    assert re.match(r"booted 1\.0\.0 \(.*: .*", b.wait("booted", 2))
    b.wait("application", 2)
    ours = Kedge(b, "console", b.kedge)
    assert ours.echo("still here") == "still here"
    ours.upload(v2)
    ours.test(image_hash(v2))
    assert b.next_boot(ours.reset) == "booted 2.0.0 (a new image on trial)"


def test_recovery(board, tmp_path):
    """A board with nothing that boots waits for an image over SMP instead of being a brick: one by a
    stranger is not installed, the right one is, the internal flash untouched until then. Nobody
    asks: it looks again by itself."""
    v1, theirs = firmware(tmp_path, "waits", "1.0.0"), firmware(tmp_path, "waits", "3.0.0", key=STRANGER)
    b = board().start()
    assert b.wait("nothing bootable", 1).startswith("nothing bootable: ")
    b.wait("recovery", 1)
    ours = Kedge(b, "console", b.kedge)
    assert ours.echo("anybody there") == "anybody there"
    ours.upload(theirs)
    with pytest.raises(Refused, match="denies"):
        ours.test(image_hash(theirs))
    ours.reset()
    b.wait("nothing bootable", 2)
    b.wait("recovery", 2)
    ours.upload(v1)
    assert [(s["slot"], s["version"]) for s in ours.states()] == [(1, "1.0.0")]
    assert b.internal()[PRIMARY:PRIMARY + SLOT].strip(b"\xff") == b""
    ours.test(image_hash(v1))
    assert b.next_boot(ours.reset).startswith("booted 1.0.0 (")
    b.stop()
    assert b.internal()[PRIMARY:PRIMARY + len(v1)] == v1
    assert not b.complaints()

    b.write_chips(b"", b"")
    b.start()
    b.wait("recovery", 3)
    b.wait("recovery", 4)
    assert b.lines("reset: ")[-1] == "reset: watchdog"


def test_cuts_at_any_instruction(tmp_path):
    """The watchdog resets the real loader in the middle of whatever it does, of a page too; a sample
    here, the sweep is in check-long."""
    cuts, lost, _, complaints = sweep.sweep(tmp_path, stride=701, near=61, far=100003)
    assert (lost, complaints) == (0, [])
    assert cuts >= 20
