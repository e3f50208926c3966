"""Explaining: what pydantic found wrong, in plain words and with the valid values."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from airflow_asyncjob.definition.problems import Path, Problem, did_you_mean, not_a, shown

__all__ = ["explain", "field_names"]

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of a usual size",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_BOUND = {
    "greater_than_equal": ("ge", "less than"),
    "greater_than": ("gt", "not more than"),
    "less_than_equal": ("le", "more than"),
}


def explain(error: ValidationError, model: type[BaseModel], data: Any) -> list[Problem]:
    """Return what a validation found, as problems with paths into the data.

    :param model: the model that was validated.
    :param data: what it was given.
    """
    problems: list[Problem] = []
    for details in error.errors(include_url=False):
        problems.extend(_problems(details, model, data))
    return problems


def _problems(details: ErrorDetails, model: type[BaseModel], data: Any) -> list[Problem]:
    path = _path_in(data, details["loc"], details["type"])
    if details["type"] == "mistakes":
        found: list[tuple[str, str]] = details["ctx"]["found"]
        return [Problem((*path, *_parts(field)), message) for field, message in found]
    return [Problem(path, _message(details, path, model), final=details["type"] == "extra_forbidden")]


def _parts(field: str) -> Path:
    """Return the parts of a field that a validator names, such as ``cancel.0.then``."""
    return tuple(int(part) if part.isdigit() else part for part in field.split(".") if part)


def _path_in(data: Any, location: tuple[str | int, ...], kind: str) -> Path:
    """Return a location as a path in the data: pydantic adds names of its own for the branch that it
    tried.
    """
    path: list[str | int] = []
    for part in location:
        if isinstance(data, Mapping) and part in data:
            data = data[part]
            path.append(str(part))
        elif isinstance(data, (list, tuple)) and isinstance(part, int) and part < len(data):
            data = data[part]
            path.append(part)
        elif kind == "missing":
            path.append(part)
    return tuple(path)


def _message(details: ErrorDetails, path: Path, model: type[BaseModel]) -> str:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "missing":
        return "required" + _described(model, path)
    if kind == "extra_forbidden":
        owner = _model_at(model, path[:-1]) or model
        return f"unknown field; {did_you_mean(str(path[-1]), field_names(owner))}"
    if kind == "literal_error":
        return _not_one_of(value, _choices(context["expected"])) + _as_type(value, path, model)
    if kind == "value_error":
        return str(context["error"])
    if kind in _BOUND:
        bound, words = _BOUND[kind]
        return f"{shown(value)} is {words} {context[bound]:g}"
    expected = _EXPECTED.get(kind)
    if expected is None:
        return f"{shown(value)}: {details['msg']}"
    return not_a(value, expected) + _hint(value, expected, path, model)


def _choices(expected: str) -> list[str]:
    """Return the values that pydantic lists as ``'a', 'b' or 'c'``."""
    return [part.strip().strip("'") for part in expected.replace(" or ", ", ").split(",")]


def _not_one_of(value: Any, choices: list[str]) -> str:
    if isinstance(value, str):
        near = did_you_mean(value, choices).partition("? ")
        hint = f"; {near[0]}?" if near[1] else ""
        return f"{shown(value)} is not one of: {', '.join(choices)}{hint}"
    return not_a(value, f"one of: {', '.join(choices)}")


def _hint(value: Any, expected: str, path: Path, model: type[BaseModel]) -> str:
    if expected == "text" and isinstance(value, (bool, int, float)):
        return f'; write it in quotes: "{shown(value)}"'
    if expected == "a mapping":
        owner = _model_at(model, path)
        listed = f" with the fields: {', '.join(field_names(owner))}" if owner else ""
        return _as_type(value, path, model) or listed
    return ""


def _as_type(value: Any, path: Path, model: type[BaseModel]) -> str:
    """Return what to write where a word alone stands for a mapping that has it as its ``type``."""
    owner = _model_at(model, path)
    field = owner.model_fields.get("type") if owner else None
    if field is None or not isinstance(value, str) or value not in _words(field.annotation):
        return ""
    return f"; write {path[-1]}: {{type: {value}}}"


def _words(annotation: Any) -> set[Any]:
    """Return the words that a type allows, those of its alternatives included."""
    if typing.get_origin(annotation) is typing.Literal:
        return set(typing.get_args(annotation))
    return {word for part in typing.get_args(annotation) for word in _words(part)}


def field_names(model: type[BaseModel]) -> list[str]:
    """Return the fields of a model as a file writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _described(model: type[BaseModel], path: Path) -> str:
    owner = _model_at(model, path[:-1])
    for name, field in owner.model_fields.items() if owner else ():
        if path[-1] == (field.alias or name) and field.description:
            return f": {field.description}"
    return ""


def _model_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """Return the model that stands at a path; None where no model does."""
    current: type[BaseModel] | None = model
    annotation: Any = model
    for part in path:
        if current is not None:
            field = next((f for n, f in current.model_fields.items() if part in (f.alias or n, n)), None)
            if field is None:
                return None
            annotation = field.annotation
        else:
            args = typing.get_args(annotation)
            if not args:
                return None
            annotation = args[-1 if typing.get_origin(annotation) is dict else 0]
        annotation = _unwrapped(annotation)
        current = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    return current


def _unwrapped(annotation: Any) -> Any:
    """Return a type without Annotated and without ``| None``; of a word or a model, the model."""
    while True:
        origin, args = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is typing.Annotated:
            annotation = args[0]
            continue
        inner = [arg for arg in map(_bare, args) if arg is not type(None)]
        inner = [arg for arg in inner if typing.get_origin(arg) is not typing.Literal]
        if len(inner) == 1 and len(inner) < len(args):
            annotation = inner[0]
            continue
        return annotation


def _bare(annotation: Any) -> Any:
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is typing.Annotated else annotation
