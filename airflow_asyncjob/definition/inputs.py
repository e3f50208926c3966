"""Inputs: the values of one job, checked against what its definition declares."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.definition.models.inputs import Input
from airflow_asyncjob.definition.problems import did_you_mean
from airflow_asyncjob.definition.values import InputType, plain, typed
from airflow_asyncjob.definition.values import from_template as read_template
from airflow_asyncjob.definition.values import from_text as read_text
from airflow_asyncjob.errors import InputError

__all__ = ["resolve_inputs"]


def resolve_inputs(
    job: AsyncJob,
    given: Mapping[str, Any] | None,
    *,
    from_text: bool = False,
    from_template: Collection[str] = (),
) -> dict[str, Any]:
    """Return the value of every input of a job: what is given, else the default.

    Values are plain JSON afterwards: a datetime is text or a number, as its ``format`` says. Nothing is
    turned into another type silently: ``"1"`` is not an integer.

    :param job: the definition. One without an ``inputs`` section takes any name.
    :param given: name: value; None is the same as no values.
    :param from_text: values are text from a command line and are read as the declared type; lists and
        objects as JSON.
    :param from_template: names of the inputs whose value Airflow rendered from a template: text is read as
        the declared type, since Airflow renders everything to text.
    :raises InputError: an input is missing, unknown, or of the wrong type; all such mistakes are shown.
    """
    values = dict(given or {})
    if "inputs" not in job.model_fields_set:
        return _undeclared(values)
    mistakes = [
        f"inputs.{name}: unknown input; {did_you_mean(str(name), list(job.inputs))}"
        for name in values
        if name not in job.inputs
    ]
    resolved: dict[str, Any] = {}
    for name, declared in job.inputs.items():
        try:
            if name in values:
                read = read_text if from_text else read_template if name in from_template else None
                resolved[name] = _given(declared, values[name], read)
            elif declared.is_required:
                mistakes.append(f"inputs.{name}: required, and not given; {_wanted(declared)}")
            else:
                resolved[name] = _default(declared)
        except ValueError as error:
            mistakes.append(f"inputs.{name}: {error}")
    if mistakes:
        raise InputError("\n".join(mistakes))
    return resolved


def _undeclared(values: Mapping[str, Any]) -> dict[str, Any]:
    resolved = {}
    mistakes = []
    for name, value in values.items():
        try:
            resolved[name] = plain(value)
        except ValueError as error:
            mistakes.append(f"inputs.{name}: {error}")
    if mistakes:
        raise InputError("\n".join(mistakes))
    return resolved


def _given(declared: Input, value: Any, read: Callable[[InputType, str], Any] | None) -> Any:
    if read is not None and isinstance(value, str):
        value = read(declared.type, value)
    if value is None and declared.default is None and not declared.is_required:
        return None
    return typed(declared.type, value, declared.format)


def _default(declared: Input) -> Any:
    if declared.default is None:
        return None
    return typed(declared.type, declared.default, declared.format)


def _wanted(declared: Input) -> str:
    return f"it is of type {declared.type}" + (f": {declared.description}" if declared.description else "")
