"""The definition, field by field, from its models."""

from __future__ import annotations

import types
import typing
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from airflow_asyncjob.definition.models import base
from airflow_asyncjob.definition.models.job import JobModel
from airflow_asyncjob.definition.models.rules import STATES
from pages.docstrings import cell, parse
from pages.markdown import NOTICE, table

__all__ = ["default_text", "definition_page", "field_at", "meaning_text", "models_in", "type_text"]

DURATIONS = {"initial_wait", "poll_wait", "longest_wait", "timeout", "queue_timeout", "tolerance", "wait"}


def definition_page() -> str:
    """Every section of a definition, field by field."""
    models = _with_parts(JobModel)
    parts = [
        NOTICE,
        "# The definition, field by field\n\n"
        "One schema for YAML files, Python objects and the operators' flat arguments. A duration is a "
        'number of seconds, or text with a unit: `"0.5s"`, `"90s"`, `"2m"`, `"1h"`. An '
        "[extractor](#extractor) may be given as text: a path, or a template where it holds `{{`. For "
        "editors: [asyncjob.schema.json](../schema/asyncjob.schema.json), which "
        "`asyncjob schema` prints too.\n\n"
        "How to write one: [Write a definition](../how-to/write-a-definition.md).\n",
    ]
    for model in models:
        rows = [
            (f"`{info.alias or name}`", type_text(name, info), default_text(info), meaning_text(name, info))
            for name, info in model.model_fields.items()
        ]
        parts.append(f"\n## {_title(model)}\n\n{parse(model).summary}\n\n")
        parts.append(table(("field", "type", "default", "meaning"), rows))
    return "".join(parts)


def _with_parts(first: type[BaseModel]) -> list[type[BaseModel]]:
    done: list[type[BaseModel]] = []
    queue = [first]
    while queue:
        model = queue.pop(0)
        if model not in done:
            done.append(model)
            queue += [part for info in model.model_fields.values() for part in models_in(info.annotation)]
    return done


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in models_in(argument)]


def _title(model: type[BaseModel]) -> str:
    return "AsyncJob" if model.__name__ == "JobModel" else model.__name__


def type_text(name: str, info: FieldInfo, page: str = "") -> str:
    """Return a field's type as a person would say it.

    :param page: page that holds the sections, for links from another one.
    """
    if name in DURATIONS or name.endswith("_timeout"):
        return "duration" + (" or null" if type(None) in typing.get_args(info.annotation) else "")
    if name in STATES:
        return "word or list of words"
    one_or_many = any(getattr(part, "func", None) is base.one_or_many for part in info.metadata)
    return ("text or " if one_or_many else "") + _said(info.annotation, page)


def meaning_text(name: str, info: FieldInfo) -> str:
    """Return what a field means."""
    if name in STATES:
        return f"The API's words for a job that is {name.replace('_', ' ')}."
    return cell(info.description or "")


def _said(annotation: Any, page: str) -> str:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return "any"
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in args)
    if origin is typing.Annotated:
        return _said(args[0], page)
    if origin in (types.UnionType, typing.Union):
        named = [_said(part, page) for part in args if part is not type(None)]
        return " or ".join(named) + (" or null" if type(None) in args else "")
    if origin in (tuple, list):
        return f"list of {_said(args[0], page)}"
    if origin is dict:
        return f"mapping of name to {_said(args[1], page)}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{_title(annotation)}]({page}#{_title(annotation).lower()})"
    words = {"str": "text", "int": "integer", "float": "number", "bool": "boolean"}
    return words.get(getattr(annotation, "__name__", ""), str(annotation))


def default_text(info: FieldInfo) -> str:
    """Return a field's default as it would be written in a file."""
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    if value is PydanticUndefined or isinstance(value, BaseModel) or value in ((), {}, [], ""):
        return ""
    if value is None or isinstance(value, bool):
        return f"`{'null' if value is None else str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def field_at(path: tuple[str, ...]) -> FieldInfo:
    """Return the field of a definition that a path leads to."""
    model: type[BaseModel] = JobModel
    for name in path[:-1]:
        model = models_in(model.model_fields[name].annotation)[0]
    by_alias = {info.alias or name: info for name, info in model.model_fields.items()}
    return by_alias[path[-1]]
