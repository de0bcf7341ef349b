"""Where things are: a module of its own, since a run of several folders has several conftest.py.
KEDGE_BIN_DIR names another directory than build/bin."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("KEDGE_BIN_DIR", ROOT / "build" / "bin"))
