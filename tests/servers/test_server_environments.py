"""What servers run from: a program that is not there is named, with the command that brings it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.servers.environments import CannotInstall, debian_program


def test_a_program_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    python = Path(sys.executable)
    monkeypatch.setenv("PATH", str(python.parent))
    assert debian_program(python.name) == python


def test_a_program_that_is_missing_is_named_and_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(
        CannotInstall, match=r"there is no program no-such-program; .*apt-get install no-such"
    ):
        debian_program("no-such-program")
