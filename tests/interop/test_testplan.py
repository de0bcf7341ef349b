"""The executable test plan. If these fail, a plan that says "passed" says nothing: a case was left
out, the report is not what scripts read, or a broken loader goes through."""

import json
import os
import re
import subprocess

import pytest

from paths import BIN, ROOT

MCUBOOT_NAMES = [
    "bad_secondary_slot", "secondary_trailer_leftover", "bootstrap", "oversized_bootstrap",
    "norevert_newimage", "basic_revert", "revert_with_fails", "perm_with_fails",
    "perm_with_random_fails", "norevert", "oversized_secondary_slot",
    "status_write_fails_complete", "status_write_fails_with_reset", "downgrade_prevention",
    "hw_prot_missing_security_cnt", "hw_prot_failed_security_cnt_check", "dependency_combos",
    "signed_primary_key_boots", "signed_secondary_key_boots", "signed_unknown_key_rejected"]


@pytest.fixture(scope="module")
def names(run_kedge):
    return [case["name"] for case in json.loads(run_kedge("--json", "testplan", "list").stdout)]


def test_every_case_passes_and_is_reported(run_kedge, names, tmp_path):
    """A case that fails, or that runs and is not told about, is a hole in the plan."""
    report = tmp_path / "report.md"
    done = run_kedge("testplan", "run", "--report", report, timeout=240)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert lines[-1] == f"{len(names)} passed, 0 failed"
    assert [line.split()[:2] for line in lines[:-1]] == [["ok", name] for name in names]
    assert set(MCUBOOT_NAMES) <= set(names) and len(names) == len(set(names))
    assert re.findall(r"^\| ok \| `(\w+)` \|", report.read_text(), re.MULTILINE) == names


def test_json_has_the_facts(run_kedge):
    done = run_kedge("testplan", "run", "--json", "--case", "basic_revert", "--case", "overwrite",
                     "--seed", "7")
    facts = json.loads(done.stdout)
    assert done.returncode == 0
    assert (facts["seed"], facts["passed"], facts["failed"]) == (7, 2, 0)
    assert [case["name"] for case in facts["cases"]] == ["basic_revert", "overwrite"]
    for case in facts["cases"]:
        assert case["passed"] is True and case["boots"] > 1 and case["proves"] and case["part"]


@pytest.mark.parametrize("args, words", [
    (["run", "--case", "no_such_case"], "no_such_case"),
    (["run", "--seed", "many"], "--seed"),
    (["run", "file"], "file"),
    (["walk"], "walk")], ids=["case", "seed", "operand", "command"])
def test_wrong_usage(run_kedge, args, words):
    done = run_kedge("testplan", *args)
    assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_report_that_cannot_be_written_is_said(run_kedge, tmp_path):
    done = run_kedge("testplan", "run", "--case", "norevert", "--report", tmp_path / "no" / "r.md")
    assert done.returncode == 1 and "r.md" in done.stderr


def test_the_table_in_the_docs_is_that_of_the_tool(run_kedge):
    """docs/testplan.md is made by `kedge testplan list`."""
    text = (ROOT / "docs" / "testplan.md").read_text()
    table = run_kedge("testplan", "list").stdout
    assert table in text, "put the output of `kedge testplan list` into docs/testplan.md"


def plant(patch, directory):
    """kedge with one bug of tests/planted/ in it: that one file compiled again, and linked."""
    text = patch.read_text()
    source = re.search(r"^\+\+\+ b/(\S+)", text, re.MULTILINE).group(1)
    broken = directory / source
    broken.parent.mkdir(parents=True)
    broken.write_text((ROOT / source).read_text())
    subprocess.run(["git", "apply", patch], cwd=directory, check=True,
                   env={**os.environ, "GIT_CEILING_DIRECTORIES": str(directory)})
    build = BIN.parent
    commands = json.loads((build / "compile_commands.json").read_text())
    compiler = next(c["command"] for c in commands if c["file"] == str(ROOT / source))
    compiler = re.sub(r" -o \S+ -c \S+", "", compiler)
    subprocess.run(f"{compiler} -I{(ROOT / source).parent} -o {directory}/broken.o -c {broken}",
                   shell=True, cwd=build, check=True)
    links = subprocess.run(["ninja", "-C", build, "-t", "commands", "bin/kedge"],
                           capture_output=True, text=True, check=True).stdout
    link = links.strip().splitlines()[-1]
    assert " -o bin/kedge " in link
    subprocess.run(link.replace(" -o bin/kedge ", f" -o {directory}/kedge {directory}/broken.o "),
                   shell=True, cwd=build, check=True)
    return directory / "kedge"


@pytest.mark.parametrize("bug, case", [
    ("06-request-consumed-before-the-plan", "perm_with_fails"),
    ("10-confirm-not-latched", "norevert_confirmed"),
    ("16-torn-request-kept", "torn_request")])
def test_a_planted_bug_fails_its_case(bug, case, tmp_path):
    """A loader that loses updates must not get through."""
    broken = plant(ROOT / "tests" / "planted" / f"{bug}.patch", tmp_path)
    done = subprocess.run([broken, "testplan", "run", "--case", case, "--case", "bootstrap"],
                          capture_output=True, text=True, timeout=120, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 1, done.stdout + done.stderr
    assert [line.split()[:2] for line in lines[:-1]] == [["ok", "bootstrap"], ["FAILED", case]] or \
        [line.split()[:2] for line in lines[:-1]] == [["FAILED", case], ["ok", "bootstrap"]]
    assert lines[-1] == "1 passed, 1 failed"
    assert f"replay: kedge testplan run --case {case} --seed 1 --keep DIR" in done.stdout


def test_a_failure_can_be_replayed_on_a_device(kedge_device, tmp_path):
    """With --keep the line of a failure is a command, and the cut strikes where it says."""
    broken = plant(ROOT / "tests" / "planted" / "06-request-consumed-before-the-plan.patch", tmp_path)
    done = subprocess.run([broken, "testplan", "run", "--case", "perm_with_fails", "--keep",
                           tmp_path / "kept"], capture_output=True, text=True, timeout=120,
                          check=False)
    command = re.search(r"replay: kedge-device (.*--cut (\d+) .*)$", done.stdout, re.MULTILINE)
    assert command, done.stdout
    replay = [kedge_device, "--flash-time", "none", *command.group(1).split()]
    cut = subprocess.run(replay, capture_output=True, text=True, timeout=60, check=False)
    assert cut.returncode == 9 and f"operation {command.group(2)} " in cut.stderr
    settled = replay[:replay.index("--cut")]
    again = subprocess.run(settled, capture_output=True, text=True, timeout=60, check=False)
    assert again.returncode == 0 and again.stdout.startswith("booted 2.0.0"), again.stdout
