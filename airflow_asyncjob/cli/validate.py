"""asyncjob validate: every mistake of every file."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from airflow_asyncjob.cli.definitions import load_definition
from airflow_asyncjob.cli.outcome import ExitCode, print_json
from airflow_asyncjob.errors import DefinitionError

__all__ = ["validate_files"]


def validate_files(sources: Sequence[str], *, as_json: bool) -> int:
    """Check definitions; say all that is wrong.

    As JSON: ``{"valid": ..., "files": [{"file": ..., "valid": ..., "errors": ["file:line: ...", ...]}]}``.

    :return: exit code: 0 when all are valid, 2 otherwise.
    """
    checked = [(source, _errors(source)) for source in sources]
    valid = not any(errors for _, errors in checked)
    if as_json:
        files = [{"file": source, "valid": not errors, "errors": errors} for source, errors in checked]
        print_json({"valid": valid, "files": files})
    else:
        for source, errors in checked:
            sys.stdout.write("".join(f"{error}\n" for error in errors) or f"{source}: valid\n")
    return ExitCode.OK if valid else ExitCode.USAGE


def _errors(source: str) -> list[str]:
    try:
        load_definition(source)
    except DefinitionError as error:
        return error.message.splitlines()
    return []
