"""Times of Arrow in microseconds, the finest that Python has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["in_micros"]


def in_micros(names: Sequence[str], batch: Sequence[pa.Array], before: int) -> list[pa.Array]:
    """Return the columns with their times in microseconds, the finest that Python has.

    :param names: of the columns.
    :param before: how many records lie before these.
    :raises ValueError: one has a time of day between two of them.
    """
    import pyarrow as pa

    columns = []
    for name, column in zip(names, batch, strict=True):
        column = _cast(column, _micros(column.type, times=False), safe=False)
        kind = _micros(column.type, times=True)
        try:
            columns.append(_cast(column, kind))
        except pa.ArrowInvalid:
            at = next(at for at in range(len(column)) if not _fits(column.slice(at, 1), kind))
            raise ValueError(
                f"record {before + at + 1}, field {name}: it holds a time of day with nanoseconds, and "
                "times are read to the microsecond"
            ) from None
    return columns


def _cast(column: pa.Array, kind: pa.DataType, *, safe: bool = True) -> pa.Array:
    return column if kind == column.type else column.cast(kind, safe=safe)


def _fits(value: pa.Array, kind: pa.DataType) -> bool:
    import pyarrow as pa

    try:
        value.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _micros(kind: pa.DataType, *, times: bool) -> pa.DataType:
    """Return a type with microseconds where it has nanoseconds, also within.

    :param times: of times of day; else of timestamps and durations.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        plain = _micros(kind.value_type, times=times)
        return kind if plain == kind.value_type else plain
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_micros(kind.value_type, times=times)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_micros(kind.value_type, times=times)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_micros(field.type, times=times)) for field in kind])
    if times:
        return pa.time64("us") if kind == pa.time64("ns") else kind
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    return pa.duration("us") if kind == pa.duration("ns") else kind
