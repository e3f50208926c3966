"""What all models of a definition share: strictness, durations, plain values, and how a mistake is told."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from airflow_asyncjob.definition.problems import shown
from airflow_asyncjob.definition.values import plain

__all__ = [
    "ByteSize",
    "Duration",
    "Json",
    "Model",
    "PositiveDuration",
    "ShortForm",
    "Words",
    "mistakes",
    "one_or_many",
    "parse_bytes",
    "parse_duration",
]

_EXAMPLES = '30, "0.5s", "90s", "2m", "1h"'
_LONGEST_SECONDS = 10 * 365 * 86400


class Model(BaseModel):
    """Unknown keys are mistakes, and a loaded definition never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


def mistakes(found: list[tuple[str, str]]) -> PydanticCustomError:
    """Return the error that a model's validator raises for one mistake or more among its fields.

    :param found: field (empty: the whole; ``cancel.0.then`` inside of a list) and message. Names of fields
        beside it stand in backticks in the message, so that they can be called as the user knows them.
    """
    text = "; ".join(f"{field}: {message}" if field else message for field, message in found)
    return PydanticCustomError("mistakes", "{text}", {"text": text, "found": found})


class ShortForm:
    """In the JSON Schema, what may stand for the long form; the validation itself is done by a validator."""

    def __init__(self, *schemas: JsonSchemaValue) -> None:
        self._schemas = schemas

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [*self._schemas, handler(core)]}


def one_or_many(value: Any) -> Any:
    """Return a word as a list of one; null is not a word."""
    return [value] if isinstance(value, (str, bool, int, float)) else value


Words = Annotated[tuple[str, ...], BeforeValidator(one_or_many), ShortForm({"type": "string"})]
"""One word or a list of words."""

Json = Annotated[Any, BeforeValidator(plain)]
"""Any value that JSON can hold."""


def parse_duration(value: Any) -> float:
    """Return a duration in seconds.

    :param value: seconds as a number, a timedelta, or text with units such as ``"0.5s"``, ``"90s"``,
        ``"2m"``, ``"1h"``.
    :raises ValueError: not a duration, negative, or longer than ten years.
    """
    seconds: float | None = None
    if isinstance(value, datetime.timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, str):
        seconds = _from_units(value.strip())
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    if seconds is None or not math.isfinite(seconds):
        raise ValueError(
            f"{shown(value)} is not a duration; give seconds or text with a unit, such as {_EXAMPLES}"
        )
    if seconds < 0:
        raise ValueError(f"{shown(value)} is negative, which a duration cannot be")
    if seconds > _LONGEST_SECONDS:
        raise ValueError(f"{shown(value)} is longer than ten years")
    return seconds


def _from_units(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        # Not at the top: its patterns take milliseconds to compile, and every DAG file pays for the imports.
        from pytimeparse.timeparse import timeparse

        parsed = timeparse(text)
        return None if parsed is None else float(parsed)


_IN_A_FILE: Mapping[str, Any] = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}],
    "description": f"Seconds, or text with a unit: {_EXAMPLES}.",
}

Duration = Annotated[float, BeforeValidator(parse_duration), WithJsonSchema(dict(_IN_A_FILE))]
"""Seconds inside; in a file also text with a unit."""

PositiveDuration = Annotated[
    float, BeforeValidator(parse_duration), Field(gt=0), WithJsonSchema(dict(_IN_A_FILE))
]
"""As :data:`Duration`, and more than zero."""


_SIZES = '32000000, "32MB", "6 MiB"'
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]?)(i?)B", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3}


def parse_bytes(value: Any) -> int:
    """Return a size in bytes.

    :param value: bytes as a whole number, or text with a unit: ``"32MB"`` (of 1,000,000 bytes each),
        ``"6 MiB"`` (of 1,048,576 bytes each).
    :raises ValueError: not a size, or less than one byte.
    """
    size: float | None = None
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())) is not None:
        number, unit, binary = match.groups()
        size = float(number) * (1024 if binary else 1000) ** _POWERS[unit.upper()]
    elif isinstance(value, int) and not isinstance(value, bool):
        size = value
    if size is None:
        raise ValueError(f"{shown(value)} is not a size; give bytes or text with a unit, such as {_SIZES}")
    if size < 1 or size != int(size):
        raise ValueError(f"{shown(value)} is not one byte or more, as a whole number")
    return int(size)


ByteSize = Annotated[
    int,
    BeforeValidator(parse_bytes),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}],
            "description": f"Bytes, or text with a unit: {_SIZES}.",
        }
    ),
]
"""Bytes inside; in a file also text with a unit."""
