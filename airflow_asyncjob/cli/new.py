"""asyncjob new: a definition to start from."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from airflow_asyncjob.cli.outcome import ExitCode, tell
from airflow_asyncjob.errors import DefinitionError, DestinationError

__all__ = ["new_from_catalogue", "new_from_curl"]

_NAME_LINE = re.compile(r"^name:.*$", re.MULTILINE)


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


def new_from_catalogue(name: str, source: str, output: Path | None, *, force: bool) -> int:
    """Copy a definition of the catalogue, with its comments, into a file of the user's.

    :param name: name of the new definition, such as ``shop/contacts``.
    :param source: name of the one to copy.
    :param output: None: the name with ``.yaml``, its folders made where they are missing.
    :param force: overwrite ``output``.
    :raises DefinitionError: there is no such definition, or the new name is none.
    :raises DestinationError: the output exists, or cannot be written.
    """
    from airflow_asyncjob.definition.catalogue import NAME, find_entry

    if not NAME.fullmatch(name):
        raise DefinitionError(
            f"{name!r} is not a name, such as shop/contacts: letters, digits, - and _, and a / between its "
            "parts. --output says which file it is written to"
        )
    entry = find_entry(source)
    text, lines = _NAME_LINE.subn(f"name: {name}", entry.file.read_text(encoding="utf-8"), count=1)
    named = text if lines else f"name: {name}\n{text}"
    file = Path(f"{name}.yaml") if output is None else output
    _write(file, f"# Copied from {entry.name} of {entry.origin}.\n{named}", force=force)
    tell(f"{file} is written. Change what you need, then: asyncjob validate {file}")
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
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise DestinationError(f"{output} exists; --force overwrites it") from None
    except OSError as error:
        raise DestinationError(f"{output} cannot be written: {error.strerror}") from None
