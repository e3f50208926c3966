"""Values: what JSON can hold, and what an input of a declared type takes."""

from __future__ import annotations

import ast
import datetime
import enum
import json
import math
from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

from airflow_asyncjob.definition.problems import kind_of, not_a, shown

__all__ = [
    "INPUT_TYPES",
    "MISSING",
    "PLAIN",
    "InputType",
    "Missing",
    "check_format",
    "from_template",
    "from_text",
    "not_plain",
    "plain",
    "typed",
]

InputType = Literal["string", "integer", "number", "boolean", "list", "object", "datetime", "records"]
INPUT_TYPES: tuple[InputType, ...] = get_args(InputType)

PLAIN = (bool, int, float, str, type(None), datetime.date)
"""Types of single values that JSON can hold, or that become text of ISO 8601."""

_DEEPEST = 60


class Missing(enum.Enum):
    """The type of :data:`MISSING`."""

    MISSING = "missing"

    def __bool__(self) -> Literal[False]:
        return False


MISSING: Final = Missing.MISSING
"""Nothing is there. (null in JSON is something: None.)"""


def plain(value: Any, *, depth: int = 0) -> Any:
    """Return a value as plain JSON types: tuples become lists, times become ISO 8601 text.

    :raises ValueError: it holds something that JSON cannot: another object, NaN, a key that is not text.
    """
    if depth > _DEEPEST:
        raise ValueError(f"nested more than {_DEEPEST} levels deep")
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a number that JSON can hold")
        return value
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise ValueError(f"the key {shown(wrong[0])} is not text; write it in quotes")
        return {str.__str__(key): plain(item, depth=depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth=depth + 1) for item in value]
    raise ValueError(not_plain(value))


def not_plain(value: Any) -> str:
    """Return that a value is none that JSON can hold, and what to do."""
    from_airflow = type(value).__module__.startswith("airflow")
    hint = "; pass what another task returns through inputs" if from_airflow else ""
    return (
        f"{kind_of(value)} is not a value that JSON can hold, which are text, numbers, true, false, null, "
        f"lists and mappings{hint}"
    )


def typed(kind: InputType, value: Any, format: str | None = None) -> Any:
    """Return the value of an input as it is used: plain JSON, of the declared type, never converted silently.

    :param format: of a datetime: ``iso`` or None, ``unix``, ``unix_ms``, or strftime text.
    :raises ValueError: not of this type.
    """
    if kind == "datetime":
        return _formatted(_moment(value), format)
    fits = {
        "string": isinstance(value, str),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, (int, float)) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "list": isinstance(value, (list, tuple)),
        "object": isinstance(value, Mapping),
        "records": _is_records(value),
    }[kind]
    if not fits:
        raise ValueError(not_a(value, _ARTICLE[kind]))
    return plain(value)


_ARTICLE: Mapping[InputType, str] = {
    "string": "text (type string)",
    "integer": "a whole number (type integer)",
    "number": "a number (type number)",
    "boolean": "true or false (type boolean)",
    "list": "a list (type list)",
    "object": "a mapping (type object)",
    "datetime": "a time (type datetime)",
    "records": "a list of mappings, the path or URI of a file, or a piece of one (type records)",
}


def _is_records(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    if isinstance(value, Mapping):
        return isinstance(value.get("source"), str)
    return isinstance(value, (list, tuple)) and all(isinstance(record, Mapping) for record in value)


def _moment(value: Any) -> datetime.datetime:
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(
                f"{shown(value)} is not a time in ISO 8601 (type datetime), such as 2026-01-31 or "
                "2026-01-31T12:00:00Z"
            ) from None
    elif isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC)
    if not isinstance(value, datetime.datetime):
        raise ValueError(not_a(value, "a time in ISO 8601 (type datetime)"))
    return value if value.tzinfo else value.replace(tzinfo=datetime.UTC)


def check_format(format: str) -> None:
    """Check the format of a datetime input.

    :raises ValueError: it would send the same text for every time.
    """
    if format not in ("iso", "unix", "unix_ms") and "%" not in format:
        raise ValueError(
            f"{shown(format)} is not one of: iso, unix, unix_ms, or strftime text such as %Y-%m-%d"
        )


def _formatted(moment: datetime.datetime, format: str | None) -> Any:
    if format is None or format == "iso":
        return moment.isoformat()
    if format == "unix":
        return int(moment.timestamp())
    if format == "unix_ms":
        return int(moment.timestamp() * 1000)
    return moment.strftime(format)


def from_text(kind: InputType, text: str) -> Any:
    """Return the value that a text from a command line means for an input of this type.

    :raises ValueError: the text cannot be read so.
    """
    if kind in ("string", "datetime") or (kind == "records" and not text.strip().startswith(("[", "{"))):
        return text
    if kind == "integer" and _is_int(text):
        return int(text)
    try:
        value = json.loads(text, parse_constant=lambda name: name)
    except (ValueError, RecursionError):
        value = MISSING
    if value is MISSING or (kind in ("integer", "number") and type(value) not in (int, float)):
        raise ValueError(f"{shown(text)} is not {_ARTICLE[kind]}; {_AS_TEXT[kind]}")
    return value


_AS_TEXT: Mapping[InputType, str] = {
    "integer": "give it as 42",
    "number": "give it as 42 or 1.5",
    "boolean": "give true or false",
    "list": 'give it as JSON, such as ["a", 1]',
    "object": 'give it as JSON, such as {"a": 1}',
    "records": 'give a path, or JSON such as [{"a": 1}]',
}


def from_template(kind: InputType, text: str) -> Any:
    """Return the value that Airflow rendered to this text, for an input of this type.

    A number, a boolean, a list or a mapping is read as JSON or as Python writes it, which is how Jinja puts
    it into text (``True``, ``['a']``): where both can read it, they agree.

    :raises ValueError: the text is of no such value.
    """
    if kind in ("string", "datetime") or (kind == "records" and not text.strip().startswith(("[", "{"))):
        return text
    for read in (from_text, _from_python):
        try:
            return typed(kind, read(kind, text.strip()))
        except ValueError:
            continue
    raise ValueError(
        f"{shown(text)} is not {_ARTICLE[kind]}. It comes from a template, which Airflow renders to text: "
        "set render_template_as_native_obj=True in the DAG, so that the value keeps its type, or end the "
        "template with | tojson"
    )


def _from_python(kind: InputType, text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, TypeError, MemoryError, RecursionError):
        raise ValueError(f"{shown(text)} is not {_ARTICLE[kind]}") from None


def _is_int(text: str) -> bool:
    return text.strip().lstrip("+-").isdecimal()
