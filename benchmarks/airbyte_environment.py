"""The environment that airbyte-cdk runs in, beside the package: .bench in the project's folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["VERSION", "airbyte_python"]

VERSION = "7.39.1"
_ROOT = Path(__file__).resolve().parent.parent
_FOLDER = _ROOT / ".bench"
_REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def airbyte_python() -> Path | None:
    """Return its Python, installed first where it is not there; None: that failed, which is printed."""
    python, stamp = _FOLDER / "bin" / "python", _FOLDER / ".installed"
    wanted = _REQUIREMENTS.read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"installing airbyte-cdk {VERSION} into {_FOLDER.relative_to(_ROOT)} ...", flush=True)
    for command in (
        [sys.executable, "-m", "venv", str(_FOLDER)],
        [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(_REQUIREMENTS)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if "ERROR" in line] or done.stderr.splitlines()
            print(
                f"airbyte-cdk is left out of the comparison: {' '.join(command[1:4])} failed, and says: "
                f"{said[-1] if said else 'nothing'}\nIt needs a package index: check the network, and run it "
                "again.",
                flush=True,
            )
            return None
    stamp.write_text(wanted)
    return python
