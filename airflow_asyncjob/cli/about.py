"""What a person wants to know of a definition before using it: connection, inputs, limits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.cli.progress import bytes_text
from airflow_asyncjob.transport.narrate import duration

if TYPE_CHECKING:
    from airflow_asyncjob.definition import AsyncJob

__all__ = [
    "INPUT_COLUMNS",
    "connection_of",
    "header_of",
    "input_rows",
    "inputs_of",
    "limits_of",
    "rejects_of",
]

INPUT_COLUMNS = ("input", "type", "default", "meaning")
_CREDENTIALS = {
    "none": "no credentials",
    "basic": "login and password",
    "bearer": "the token as password",
    "api_key": "the key as password",
    "aws_sigv4": "login (access key ID), password (secret access key), in Extra region_name",
    "oauth2": "login (client ID), password (client secret)",
}
_UNNAMED = "what the templates of its section auth name"
_SIZES = ("part_bytes", "part_records", "job_bytes", "job_records")
_TIMES = ("initial_wait", "poll_wait", "longest_wait", "queue_timeout", "timeout")


def header_of(text: str) -> str:
    """Return the comment that a definition's file begins with, without its marks."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return "\n".join(lines)


def connection_of(text: str, job: AsyncJob) -> str:
    """Return what the Airflow connection, or ``ASYNCJOB_CONN``, must have.

    As the header says it, in lines from ``Connection:`` to one that ends a sentence; a header that says
    nothing: what the kind of authentication needs.
    """
    said: list[str] = []
    for line in header_of(text).splitlines():
        if said or line.startswith("Connection: "):
            said.append(line)
            if line.endswith("."):
                break
    if said:
        return " ".join(said).removeprefix("Connection: ")
    if job.auth is None:
        return "type http, host: the address; a login without more is basic."
    return f"type http, host: the address; {job.auth.type}: {_CREDENTIALS.get(job.auth.type, _UNNAMED)}."


def inputs_of(job: AsyncJob) -> list[dict[str, Any]]:
    """Return the inputs: ``name, type, required, default, description``."""
    return [
        {
            "name": name,
            "type": each.type,
            "required": each.is_required,
            "default": each.default,
            "description": each.description,
        }
        for name, each in job.inputs.items()
    ]


def input_rows(job: AsyncJob) -> list[tuple[str, str, str, str]]:
    """Return the inputs as rows of a table; see :data:`INPUT_COLUMNS`."""
    return [
        (
            each["name"],
            each["type"],
            "required" if each["required"] else json.dumps(each["default"], ensure_ascii=False),
            each["description"],
        )
        for each in inputs_of(job)
    ]


def limits_of(job: AsyncJob) -> dict[str, str]:
    """Return the limits that the definition sets, and the times that it waits: path to text for people."""
    return dict(_limits(job))


def _limits(job: AsyncJob) -> Iterator[tuple[str, str]]:
    upload = getattr(job.submit, "upload", None)
    for name in _SIZES if upload is not None else ():
        value = getattr(upload, name)
        if value is not None:
            yield f"submit.upload.{name}", _amount(name, value)
    for name in sorted(job.limits.model_fields_set):
        value = getattr(job.limits, name)
        if value is not None:
            yield f"limits.{name}", _amount(name, value)
    for name in _TIMES if job.status is not None else ():
        value = getattr(job.status, name)
        if value is not None:
            yield f"status.{name}", duration(value)


def rejects_of(job: AsyncJob) -> dict[str, str]:
    """Return how the records that the API refuses are told and taken; empty where the definition has none."""
    if job.result is None or job.result.rejects is None:
        return {}
    told = {name: getattr(job.result.rejects, name) for name in ("key", "index", "reason", "when")}
    found = {f"result.rejects.{name}": value for name, value in told.items() if value is not None}
    found["result.on_rejects"] = job.result.on_rejects
    if job.result.tolerated:
        found["result.tolerated"] = str(job.result.tolerated)
    return found


def _amount(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return bytes_text(int(value))
    return duration(value) if name.endswith("_timeout") else f"{value:,}".removesuffix(".0")
