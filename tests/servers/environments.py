"""What servers run from: programs of Debian, and environments of their own, whose pins clash with Airflow's.

An environment is made once and kept under .servers/. A Debian program is taken when it is there; in CI, as
root, a missing one is installed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINS = Path(__file__).parent


class CannotInstall(Exception):
    """A server cannot be had on this machine; the message ends with what pip or apt-get said."""


def environment(name: str) -> Path:
    """Return the folder of programs of the environment of tests/servers/NAME.txt, made when it is missing.

    The file lists every package that is needed; nothing else is installed.

    :raises CannotInstall: venv or pip failed.
    """
    pins = PINS / f"{name}.txt"
    folder = ROOT / ".servers" / name
    stamp = folder / "installed.txt"
    with _one_at_a_time():
        if stamp.exists() and stamp.read_text() == pins.read_text():
            return folder / "bin"
        _run([sys.executable, "-m", "venv", "--clear", folder])
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
        _run([*pip, "--requirement", pins])
        stamp.write_text(pins.read_text())
    return folder / "bin"


def debian_program(name: str) -> Path:
    """Return the path of a program that the Debian package of the same name brings.

    :raises CannotInstall: it is not there, and this is not a CI run as root, or apt-get failed.
    """
    with _one_at_a_time():
        if shutil.which(name) is None:
            if not os.environ.get("CI") or os.geteuid() != 0:
                raise CannotInstall(f"there is no program {name}; it comes with: apt-get install {name}")
            _run(["apt-get", "update", "--quiet"])
            _run(["apt-get", "install", "--quiet", "--yes", "--no-install-recommends", name])
    found = shutil.which(name)
    if found is None:
        raise CannotInstall(f"apt-get installed {name}, and there is still no program of this name")
    return Path(found)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Keep the other processes of a test run out: they would install the same, or wait for apt's own lock."""
    (ROOT / ".servers").mkdir(exist_ok=True)
    with (ROOT / ".servers" / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: list[str | Path]) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode != 0:
        raise CannotInstall(
            f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-2000:]}"
        )
