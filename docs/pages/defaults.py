"""Every default in one place: definition, tasks, command line, connection; and the numbers that are fixed."""

from __future__ import annotations

import dataclasses
import inspect
import json
import typing
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from airflow_asyncjob.definition.models.job import JobModel
from pages.definition import default_text, meaning_text, models_in
from pages.docstrings import cell, parse
from pages.markdown import NOTICE, table

__all__ = ["defaults_page"]

Row = tuple[str, str, str]


def defaults_page() -> str:
    """Every default."""
    return "".join(
        [
            NOTICE,
            "# All defaults\n\n"
            "What holds where nothing is said. A time is in seconds. Fields of which nothing holds "
            "when they are not given are not here: [The definition, field by "
            "field](definition.md) has them all.\n",
            "\n## In a definition\n\n",
            table(("field", "default", "meaning"), _of_definition()),
            "\n## Of tasks\n\n",
            table(("argument", "default", "meaning"), _of_tasks()),
            "\n## Of the command line\n\n",
            table(("option", "default", "meaning"), _of_commands()),
            "\n## Of a connection\n\nIn its extra; more: [Connections](../how-to/connections.md).\n\n",
            table(("field", "default", "meaning"), _of_connection()),
            "\n## What is fixed\n\nNo options, since nobody has needed one.\n\n",
            table(("what", "is"), _fixed()),
        ]
    )


# The definition -----------------------------------------------------------------------------------------


def _of_definition() -> list[Row]:
    places = Counter(model for model, _ in _models(JobModel, ""))
    rows: dict[str, Row] = {}
    for model, path in _models(JobModel, ""):
        # A part that stands in several places, such as a request, is shown once.
        prefix = path if places[model] == 1 else f"{model.__name__}."
        for name, info in model.model_fields.items():
            shown, meaning = default_text(info), meaning_text(name, info)
            if shown == "`null`" and "null: " in meaning:
                shown += f": {meaning.partition('null: ')[2].removesuffix('.')}"
            if shown not in ("", "required", "`null`"):
                label = f"`{prefix}{info.alias or name}`"
                rows.setdefault(label, (label, shown, _first(meaning.partition("null: ")[0].rstrip("; "))))
    method = "`submit.request.method`"
    return [*rows.values(), (method, "`POST`", "A validator of the section sets it.")]


def _models(model: type[BaseModel], path: str, depth: int = 0) -> Iterator[tuple[type[BaseModel], str]]:
    yield model, path
    for name, info in model.model_fields.items() if depth < 6 else ():
        for part in models_in(info.annotation):
            if part is not model:
                yield from _models(part, f"{path}{info.alias or name}.", depth + 1)


def _first(text: str) -> str:
    """Return the first sentence."""
    head, stop, _ = text.partition(". ")
    return head + "." if stop else text


# Tasks and the command line -----------------------------------------------------------------------------


def _of_tasks() -> list[Row]:
    import airflow_asyncjob as package

    items: list[tuple[str, Any, Any]] = [
        ("async_job", type(package.async_job).__call__, None),
        ("AsyncSubmitOperator", package.AsyncSubmitOperator.__init__, package.AsyncSubmitOperator),
        ("AsyncStatusSensor", package.AsyncStatusSensor.__init__, package.AsyncStatusSensor),
        ("ResultDownloadOperator", package.ResultDownloadOperator.__init__, package.ResultDownloadOperator),
    ]
    rows = []
    for name, function, item in items:
        told = parse(item or function).params
        for parameter in inspect.signature(function).parameters.values():
            plain = parameter.default
            if parameter.name == "job_retry_wait":
                plain = _constant("airflow_asyncjob.hooks.definitions", "_JOB_RETRY_WAIT")
            if plain is parameter.empty or plain is None or repr(plain) == "UNSET":
                continue
            shown = f"`{plain!r}`".replace("'", '"')
            rows.append((f"`{name}({parameter.name})`", shown, _first(cell(told.get(parameter.name, "")))))
    return rows


def _of_commands() -> list[Row]:
    from airflow_asyncjob.cli.app import app

    rows = []
    for command in app.registered_commands:
        function: Any = command.callback
        hints = typing.get_type_hints(function, include_extras=True)
        for parameter in inspect.signature(function).parameters.values():
            if parameter.default in (None, False, parameter.empty):
                continue
            _, info = typing.get_args(hints[parameter.name])
            name = command.name or function.__name__
            rows.append(
                (f"`asyncjob {name} --{parameter.name}`", f"`{parameter.default}`", cell(info.help or ""))
            )
    return rows


def _of_connection() -> list[Row]:
    from airflow_asyncjob.transport.settings import ConnectionSettings

    told = parse(ConnectionSettings).params
    return [
        (f"`{field.name}`", f"`{json.dumps(field.default)}`", cell(told[field.name]))
        for field in dataclasses.fields(ConnectionSettings)
        if isinstance(field.default, int)
    ]


# Fixed --------------------------------------------------------------------------------------------------


def _fixed() -> list[tuple[str, str]]:
    def seconds(module: str, name: str) -> str:
        return f"{_constant(f'airflow_asyncjob.{module}', name):g} s"

    longest = seconds("protocol.waits", "LONGEST_BACKOFF")
    return [
        ("Waits before a request is repeated", f"1, 2, 4 ... {longest}, each up to a tenth longer"),
        (
            "Waits between polls grow up to, without `longest_wait`",
            seconds("protocol.waits", "LONGEST_GROWTH"),
        ),
        ("A Retry-After of a download is waited out up to", seconds("protocol.fetching", "_LONGEST_WAIT")),
        (
            "A Retry-After of a cancel or a delete is waited out up to",
            seconds("protocol.job", "_LONGEST_STOP_WAIT"),
        ),
        (
            "Tries of the last look, at the deadline",
            str(_constant("airflow_asyncjob.protocol.judge", "LATE_LOOKS")),
        ),
        (
            "A submit task gives the worker back for waits of more than",
            seconds("operators.submit", "_SLEPT_THROUGH"),
        ),
        (
            "The log says that a request waits for its turn (`requests_per_second`) from",
            seconds("transport.pace", "LONG_PAUSE"),
        ),
        (
            "Airflow's own timeout of a deferred wait, after the deadline",
            seconds("operators.waiting", "_NET_SECONDS"),
        ),
    ]


def _constant(module: str, name: str) -> Any:
    from importlib import import_module

    return getattr(import_module(module), name)
