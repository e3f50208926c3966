"""What ``--set`` gives, on every command that takes inputs."""

from __future__ import annotations

from pathlib import Path

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.errors import InputError

__all__ = ["given_inputs", "read_files"]


def given_inputs(pairs: tuple[str, ...]) -> dict[str, str]:
    """Return what ``--set NAME=VALUE`` gave, as text.

    :raises InputError: one is no such pair, or is given twice.
    """
    given: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InputError(f"--set {pair}: give it as NAME=VALUE")
        if name in given:
            raise InputError(f"--set {name} is given twice; a list is one JSON value: --set '{name}=[1, 2]'")
        given[name] = value
    return given


def read_files(definition: AsyncJob, given: dict[str, str]) -> dict[str, str]:
    """Return inputs with the text of a file in place of ``@FILE``, where a list, an object or records are
    wanted.

    :param given: see :func:`given_inputs`.
    :raises InputError: a file cannot be read.
    """
    return {name: _read(definition, name, text) for name, text in given.items()}


def _read(definition: AsyncJob, name: str, text: str) -> str:
    kind = definition.inputs[name].type if name in definition.inputs else "string"
    if not text.startswith("@") or kind not in ("list", "object", "records"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(
            f"--set {name}={text}: the file {text[1:]} cannot be read: {said}. Give the path of a text file "
            "with JSON after the @"
        ) from None
