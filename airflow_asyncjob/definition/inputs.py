"""Inputs: the values of one job, checked against what its definition declares."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.definition.models.inputs import Input
from airflow_asyncjob.definition.problems import did_you_mean, shown
from airflow_asyncjob.definition.templates import inspect
from airflow_asyncjob.definition.values import InputType, plain, typed
from airflow_asyncjob.definition.values import from_template as read_template
from airflow_asyncjob.definition.values import from_text as read_text
from airflow_asyncjob.errors import DefinitionError, InputError

__all__ = ["resolve_inputs", "source_input", "without_records"]


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


def without_records(job: AsyncJob, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a job that is submitted, as they may be kept: without lists of records.

    Only the submit sends them. They are many, and about people.
    """
    return {
        name: value
        for name, value in inputs.items()
        if not (
            isinstance(value, (list, tuple)) and name in job.inputs and job.inputs[name].type == "records"
        )
    }


def source_input(job: AsyncJob, given: str | None = None) -> str:
    """Return the input that says where the records of the upload are.

    :param given: its name; None: it is the only one that ``submit.upload.source`` uses.
    :raises DefinitionError: nothing is uploaded, there is no such input, or the source uses none or several.
    """
    upload = job.submit.upload if job.submit is not None else None
    name = job.name or "the definition"
    if upload is None:
        raise DefinitionError(f"{name} uploads nothing: it has no section submit.upload")
    used = sorted(member for holder, member in inspect(upload.source).members if holder == "inputs")
    if given is None and len(used) == 1:
        return used[0]
    if given is not None and given in used:
        return given
    said = f"{name} takes its records from {shown(upload.source)}"
    if given is not None:
        raise DefinitionError(f"source_input {given!r}: {said}; {did_you_mean(given, used)}")
    raise DefinitionError(f"{said}, which is not one input: give source_input, the one that a piece replaces")
