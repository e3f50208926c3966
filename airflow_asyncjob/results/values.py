"""Single values: read as the type that a definition declares, and written as the text of a cell."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from airflow_asyncjob.definition.models.records import ColumnType
from airflow_asyncjob.results.jsontext import dumps, loads

__all__ = ["INT64", "as_cell", "as_type"]

INT64 = range(-(2**63), 2**63)

_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0"})


def as_type(value: Any, kind: ColumnType, *, from_text: bool) -> Any:
    """Return a value as a declared type, in a form that JSON can hold.

    A date becomes ``2026-11-22``, a datetime ``2026-11-22T10:31:05Z``: in UTC, to the microsecond; one
    without an offset is taken as UTC. Empty text is null for every type but string. Whole numbers must fit 64
    bits, numbers a double.

    :param from_text: the value is a CSV cell, so that json is parsed.
    :raises ValueError: it cannot be read as that type; the message says why.
    """
    if value is None or (kind != "string" and isinstance(value, str) and not value.strip()):
        return None
    if kind == "json":
        return loads(value) if from_text else value
    return _READERS[kind](value)


def as_cell(value: Any) -> str | None:
    """Return a value as the text of a CSV cell: text as it is, all else as JSON text; None stays None."""
    if value is None or isinstance(value, str):
        return value
    if type(value) is int or type(value) is Decimal:
        return str(value)
    return dumps(value)


def _string(value: Any) -> str:
    return str(as_cell(value))


def _integer(value: Any) -> int:
    if isinstance(value, str):
        whole = _INTEGER.fullmatch(value.strip()) is not None
    elif isinstance(value, (float, Decimal)):
        # The size is looked at first: 1e999999999 as an int would fill the memory.
        if abs(Decimal(value)) > INT64.stop:
            raise ValueError("it does not fit 64 bits; declare it as string")
        whole = value == int(value)
    else:
        whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole:
        raise ValueError("it is not a whole number")
    number = int(value)
    if number not in INT64:
        raise ValueError("it does not fit 64 bits; declare it as string")
    return number


def _number(value: Any) -> int | Decimal | float:
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            raise ValueError("it is not a number")
        value = Decimal(value.strip())
    elif isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise ValueError("it is not a number")
    try:
        finite = math.isfinite(float(value))
    except OverflowError:
        finite = False
    if not finite:
        raise ValueError("it does not fit a double; declare it as string")
    number: int | Decimal | float = value
    return number


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("it is not one of true, false, t, f, yes, no, y, n, 1, 0")


def _date(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not _DATE.fullmatch(text):
        raise ValueError("it is not a date as 2026-11-22")
    return date.fromisoformat(text).isoformat()


def _datetime(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it is not text in ISO 8601, as 2026-11-22T10:31:05Z")
    try:
        moment = datetime.fromisoformat(value.strip())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("it is not a time in ISO 8601, as 2026-11-22T10:31:05Z") from None
    return moment.isoformat().removesuffix("+00:00") + "Z"


_READERS: dict[ColumnType, Callable[[Any], Any]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
}
