"""What a command leaves: an exit code, and with ``--output json`` one JSON object as stdout's last line."""

from __future__ import annotations

import json
import sys
from enum import IntEnum
from typing import Any

from airflow_asyncjob.errors import (
    AsyncJobError,
    ConnectionSetupError,
    DefinitionError,
    JobCancelledError,
    JobError,
    JobTimeoutError,
)

__all__ = ["CODE_OF_STATE", "ExitCode", "code_of", "error_object", "print_json", "state_of", "tell"]


class ExitCode(IntEnum):
    """What the shell is told."""

    OK = 0
    ERROR = 1
    USAGE = 2
    PARTIAL = 3
    FAILED = 4
    TIMED_OUT = 5
    INTERRUPTED = 130


CODE_OF_STATE = {
    "done": ExitCode.OK,
    "no_data": ExitCode.OK,
    "partial": ExitCode.PARTIAL,
    "failed": ExitCode.FAILED,
    "cancelled": ExitCode.FAILED,
    "timed_out": ExitCode.TIMED_OUT,
}
"""A job's last state: exit code."""


def state_of(error: AsyncJobError) -> str:
    """Return the state that an error tells of: one of the job's, or ``error`` when it is ours."""
    if isinstance(error, JobTimeoutError):
        return "timed_out"
    if isinstance(error, JobCancelledError):
        return "cancelled"
    return "failed" if isinstance(error, JobError) else "error"


def code_of(error: AsyncJobError) -> ExitCode:
    """Return the exit code of an error."""
    if isinstance(error, DefinitionError | ConnectionSetupError):
        return ExitCode.USAGE
    return CODE_OF_STATE.get(state_of(error), ExitCode.ERROR)


def error_object(error: AsyncJobError, **more: Any) -> dict[str, Any]:
    """Return the JSON object of an error: ``state``, ``message``, ``error`` (its class), and more."""
    return {"state": state_of(error), "message": error.message, "error": type(error).__name__, **more}


def print_json(value: Any) -> None:
    """Write one line of JSON to stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def tell(text: str, code: int | None = None) -> None:
    """Write a line for people to stderr.

    :param code: the exit code that it explains; on a terminal it gives the line its colour. None: no colour.
    """
    import typer

    colours = {ExitCode.OK: typer.colors.GREEN, ExitCode.PARTIAL: typer.colors.YELLOW}
    colour = None if code is None else colours.get(ExitCode(code), typer.colors.RED)
    typer.secho(text, err=True, fg=colour)
