#!/usr/bin/env python3
"""record.py NAME RESULT SECONDS [COMMIT]: what a long sweep gave, as a row of docs/check-long.md: the row of
that name is replaced. Called by check-long.sh."""
import datetime
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILE = ROOT / "docs" / "check-long.md"
HEAD = """# The long sweeps, as they last ran

`make check-long` runs them all and writes this table; `tests/check-long.sh NAME...` runs some.

| sweep | result | minutes | commit | date |
|---|---|---|---|---|
"""

name, result, seconds, *commit = sys.argv[1:]
if not commit:
    head = subprocess.run(["git", "-C", ROOT, "describe", "--always"], capture_output=True, text=True, check=True)
    changed = subprocess.run(["git", "-C", ROOT, "diff", "--quiet", "HEAD", "--", ".", f":!{FILE.relative_to(ROOT)}"])
    commit = [head.stdout.strip() + ("-dirty" if changed.returncode else "")]
rows = FILE.read_text().splitlines()[6:] if FILE.exists() else []
rows = [row for row in rows if not row.startswith(f"| {name} |")]
rows.append(f"| {name} | {result.replace('|', '/')} | {int(seconds) / 60:.1f} | {commit[0]} | {datetime.date.today()} |")
FILE.write_text(HEAD + "\n".join(sorted(rows)) + "\n")
