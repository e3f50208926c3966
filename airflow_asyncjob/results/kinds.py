"""Which type a column of JSON values has, told from all of its values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.definition.models.records import ColumnType
from airflow_asyncjob.results.values import INT64

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Kinds"]

# Plain bits: this runs for every column of every run, and enum.Flag takes ten times as long.
_TEXT, _BOOLEAN, _SMALL, _LARGE, _HUGE, _FRACTION, _NESTED = (1 << bit for bit in range(7))
_NAMES = {
    _TEXT: "text",
    _BOOLEAN: "true or false",
    _SMALL: "whole numbers",
    _LARGE: "whole numbers beyond 2^53",
    _HUGE: "numbers beyond 64 bits",
    _FRACTION: "numbers with a fraction",
    _NESTED: "lists or objects",
}
_TYPES: tuple[tuple[int, ColumnType], ...] = (
    (_TEXT, "string"),
    (_BOOLEAN, "boolean"),
    (_SMALL | _LARGE, "integer"),
    (_SMALL | _FRACTION, "number"),
    (_NESTED, "json"),
)
_OF = {str: _TEXT, bool: _BOOLEAN, list: _NESTED, dict: _NESTED, type(None): 0}
_EXACT = 2**53
"""Up to here a double holds every whole number."""


class Kinds:
    """The kinds of value that a column has. Nulls have none."""

    def __init__(self) -> None:
        self._seen = 0

    def see_all(self, values: list[Any]) -> None:
        """Count many values in."""
        for found in set(map(type, values)):
            kind = _OF.get(found)
            if kind is not None:
                self._seen |= kind
                continue
            same: list[Any] = [value for value in values if type(value) is found]
            # The largest and the smallest stand for all that lie between.
            self._seen |= _number(min(same)) | _number(max(same))

    def see_column(self, column: pa.Array) -> None:
        """Count a column in that has no nested values, and no numbers that a double does not hold."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if column.null_count == len(column):
            return
        if pa.types.is_integer(column.type):
            ends = pc.min_max(column).as_py()
            self._seen |= _number(ends["min"]) | _number(ends["max"])
        elif pa.types.is_floating(column.type):
            self._seen |= _FRACTION
        else:
            self._seen |= _BOOLEAN if pa.types.is_boolean(column.type) else _TEXT

    @property
    def type(self) -> ColumnType:
        """The one type that holds all values without changing any; ``json`` (JSON text) when none does.

        Numbers with a fraction become doubles, and small whole numbers beside them too. A column of nulls is
        text.
        """
        for kinds, name in _TYPES:
            if not self._seen & ~kinds:
                return name
        return "json"

    @property
    def mixed(self) -> str:
        """What is mixed, for people, when values of different kinds made the column JSON text; else empty."""
        if self.type != "json" or self._seen == _NESTED:
            return ""
        return ", ".join(name for kind, name in _NAMES.items() if kind & self._seen)


def _number(value: Any) -> int:
    if isinstance(value, int):
        if -_EXACT <= value <= _EXACT:
            return _SMALL
        return _LARGE if value in INT64 else _HUGE
    return _FRACTION if math.isfinite(float(value)) else _HUGE
