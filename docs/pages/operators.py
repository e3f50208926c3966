"""Operators, sensor and task group, from signatures, docstrings and the models of a definition."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from pages.definition import default_text, field_at, meaning_text, type_text
from pages.docstrings import cell, parse
from pages.markdown import NOTICE, table

__all__ = ["default_of", "operators_page"]

SYNONYMS = {"poke_interval": "poll_wait", "max_wait": "longest_wait"}
"""Airflow's names for arguments that the sensor has under its own name too."""


def operators_page() -> str:
    """Every argument of the Airflow classes, from signatures, docstrings and the definition's models."""
    import airflow_asyncjob as package
    from airflow_asyncjob.definition.flat import RESULT_ARGUMENTS, STATUS_ARGUMENTS, SUBMIT_ARGUMENTS

    group = package.async_job
    parts = [
        NOTICE,
        "# Operators, sensor and task group\n\n"
        "What `airflow_asyncjob` has for DAG files. Every one takes Airflow's own arguments of an operator "
        "too (`retries`, `pool`, `trigger_rule`, callbacks ...).\n\n"
        "Arguments whose default is *unset* are the fields of a [definition](definition.md) under another "
        "name. Where `job` gives a definition, an argument that is given replaces its field; where it does "
        "not, the default of the field holds, which is shown in brackets.\n",
        _operator("async_job", type(group), type(group).__call__, {}),
        _operator("AsyncSubmitOperator", package.AsyncSubmitOperator, None, SUBMIT_ARGUMENTS),
        _operator("AsyncStatusSensor", package.AsyncStatusSensor, None, STATUS_ARGUMENTS),
        _operator("ResultDownloadOperator", package.ResultDownloadOperator, None, RESULT_ARGUMENTS),
        _operator("UploadPlanOperator", package.UploadPlanOperator, None, {}),
        _operator("AsyncJobHook", package.AsyncJobHook, None, {}),
        _operator("AsyncStatusTrigger", package.AsyncStatusTrigger, None, {}),
    ]
    return "".join(parts)


def _operator(name: str, item: Any, call: Any, flat: Mapping[str, tuple[str, ...]]) -> str:
    told = parse(item)
    said = parse(call).params if call else told.params
    parts = [f"\n## {name}\n\n{told.summary}\n", f"\n{told.body}\n" if told.body else ""]
    if getattr(item, "template_fields", None):
        parts.append(f"\nTemplated: {', '.join(f'`{field}`' for field in item.template_fields)}.\n")
    signature = inspect.signature(call or item.__init__)
    rows = [
        _argument(parameter, flat, said)
        for parameter in signature.parameters.values()
        if parameter.name != "self"
        and (parameter.kind is not parameter.VAR_KEYWORD or parameter.name in said)
    ]
    rows += [
        (f"`{field}`", "", "", cell(meaning))
        for field, meaning in said.items()
        if field not in signature.parameters
    ]
    parts.append("\n" + table(("argument", "type", "default", "meaning"), rows))
    return "".join(parts)


def _argument(
    parameter: inspect.Parameter, flat: Mapping[str, tuple[str, ...]], said: Mapping[str, str]
) -> tuple[str, str, str, str]:
    info = field_at(flat[parameter.name]) if parameter.name in flat else None
    meaning = said.get(parameter.name) or (meaning_text(flat[parameter.name][-1], info) if info else "")
    if info is not None:
        kind, default = type_text(flat[parameter.name][-1], info, "definition.md"), default_text(info)
        if flat[parameter.name] == ("submit", "request", "method"):
            default = "`POST`"  # a validator of the section sets it
        default = "required" if default == "required" else f"unset ({default})" if default else "unset"
    else:
        kind, default = _annotation(parameter.annotation), default_of(parameter)
    meaning = meaning or f"The same as `{SYNONYMS[parameter.name]}`."
    label = f"**{parameter.name}" if parameter.kind is parameter.VAR_KEYWORD else parameter.name
    return f"`{label}`", kind, default, cell(meaning)


_SAID = {
    "str": "text",
    "bool": "boolean",
    "float": "number",
    "JobSource": "name, path, mapping or `AsyncJob`",
    "Mapping[str, Any]": "mapping",
    "Any": "any",
    "None": "None",
}


def _annotation(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return " or ".join(_SAID.get(part, f"`{part}`") for part in text.split(" | "))


def default_of(parameter: inspect.Parameter) -> str:
    if parameter.kind is parameter.VAR_KEYWORD:
        return ""
    if parameter.default is parameter.empty:
        return "required"
    if repr(parameter.default) == "<factory>":
        return ""
    return "unset" if repr(parameter.default) == "UNSET" else f"`{parameter.default!r}`".replace("'", '"')
