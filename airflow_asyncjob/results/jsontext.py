"""JSON text and back, without losing a digit: ``Decimal`` for fractions, whole numbers of any size."""

from __future__ import annotations

import json
import math
import re
import secrets
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

__all__ = ["decoder", "dumps", "dumps_any", "explained", "loads"]

# The encoder of the standard library cannot write a Decimal as a number. It is written as a string with a
# mark that nobody can guess (records are hostile input), and the quotes are then removed together with the
# mark.
_MARK = secrets.token_hex(16)
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONG_NUMBER = re.compile(r'(?:("(?:[^"\\]|\\.)*")\s*:\s*)?-?(\d{4301,})')
_MARKED = re.compile(f'"{_MARK}([^"]*)"')


def decoder(*, exact: bool = True) -> json.JSONDecoder:
    """Return a decoder of JSON (RFC 8259), which has no NaN and no Infinity.

    :param exact: numbers with a fraction become ``Decimal``; else floats, which must be finite.
    """
    return json.JSONDecoder(parse_float=Decimal if exact else _finite, parse_constant=_refuse_constant)


def explained(error: ValueError, text: str) -> str:
    """Return why a text was not read, for people.

    Python reads no whole number of more than 4,300 digits, because the time for it grows with their square;
    its own words speak of an interpreter's setting.
    """
    found = _LONG_NUMBER.search(text) if "integer string conversion" in str(error) else None
    if found is None:
        return str(error)
    what = "a whole number" if found[1] is None else f"the field {found[1][:80]}"
    return (
        f"{what} has {len(found[2]):,} digits, and at most {sys.get_int_max_str_digits():,} are read: "
        "such a number has to come as text"
    )


def loads(text: str) -> Any:
    """Parse one JSON document, every digit kept.

    :raises ValueError: not JSON.
    :raises RecursionError: nested deeper than Python goes.
    """
    return _decode(text)


def dumps(value: Any) -> str:
    """Return a value as compact JSON on one line; Decimals keep their digits.

    :raises ValueError: a float is not finite.
    :raises RecursionError: nested deeper than Python goes.
    """
    text = _encode(value)
    return _MARKED.sub(r"\1", text) if _MARK in text else text


def dumps_any(value: Any) -> bytes:
    """Return what people look at, as compact JSON: what JSON cannot hold becomes text, and never an error.

    A lone surrogate is written as its escape, and comes back as it was. A number that is not finite, and
    whatever is of another type, such as a date, is written as Python's text of it.
    """
    try:
        text = dumps(value)
    except (TypeError, ValueError):
        text = dumps(_as_json(value))
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    if value is None or isinstance(value, (str, int)):
        return value
    return value if isinstance(value, (float, Decimal)) and math.isfinite(value) else str(value)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} does not fit a double")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _decimal(value: Any) -> str:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is not JSON")
        return f"{_MARK}{value}"
    raise TypeError(f"{type(value).__name__} is not a JSON type")


_encode = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False, default=_decimal
).encode
_decode = decoder().decode
