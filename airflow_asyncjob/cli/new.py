"""asyncjob new: a definition to start from."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from airflow_asyncjob.cli.outcome import ExitCode, tell
from airflow_asyncjob.errors import DefinitionError, DestinationError

__all__ = ["new_from_curl"]


def new_from_curl(files: Sequence[Path], output: Path | None, *, force: bool) -> int:
    """Write a definition started from curl commands; notes go to stderr.

    :param files: files with the commands, read one after the other; empty: stdin.
    :param output: None: stdout.
    :param force: overwrite ``output``.
    :raises DefinitionError: the commands cannot be read.
    :raises DestinationError: the output exists, or cannot be written.
    """
    from airflow_asyncjob.importers.draft import draft_from_curl

    draft = draft_from_curl("\n".join(_read(file) for file in files) if files else _pasted())
    if output is None:
        sys.stdout.write(draft.text)
    else:
        _write(output, draft.text, force=force)
        tell(f"{output} is written. Replace every FILL_IN_ in it, then: asyncjob validate {output}")
    for note in draft.notes:
        tell(f"note: {note}")
    return ExitCode.OK


def _pasted() -> str:
    if sys.stdin.isatty():
        tell("Paste the curl commands that submit, ask for the status and download; then press Ctrl-D.")
    return sys.stdin.read()


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{file} cannot be read: {error}") from None


def _write(output: Path, text: str, *, force: bool) -> None:
    try:
        with output.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise DestinationError(f"{output} exists; --force overwrites it") from None
    except OSError as error:
        raise DestinationError(f"{output} cannot be written: {error.strerror}") from None
