"""Columns of CSV text, read as declared types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_asyncjob.definition.models.records import ColumnType
from airflow_asyncjob.results.shape import bad_value
from airflow_asyncjob.results.source import Body
from airflow_asyncjob.results.table import arrow_type, filled
from airflow_asyncjob.results.values import as_cell, as_type

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["typed_column"]

# What Arrow reads exactly as as_type does. Everything else goes through as_type, value by value.
_PLAIN: dict[ColumnType, str] = {
    "integer": r"^-?[0-9]{1,18}$",
    "number": r"^-?[0-9]{1,30}(\.[0-9]{1,30})?$",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
}


def typed_column(column: pa.Array, kind: ColumnType, name: str, body: Body, *, text: bool) -> pa.Array:
    """Return a column of text as a type; empty values become null, except in a string column.

    :param text: as text in its plainest form; else as the Arrow type.
    :raises FormatError: a value is not of the type; the message has its record, field and value.
    """
    if kind == "string":
        return column
    if not text and kind in _PLAIN:
        fast = _cast(column, kind)
        if fast is not None:
            return fast
    values: list[Any] = []
    for index, value in enumerate(column.to_pylist()):
        try:
            values.append(as_type(value, kind, from_text=True))
        except (ValueError, RecursionError) as error:
            raise bad_value(body, body.records + index + 1, name, value, kind, str(error)) from None
    if text:
        import pyarrow as pa

        return pa.array([as_cell(value) for value in values], pa.string())
    return filled(values, kind)


def _cast(column: pa.Array, kind: ColumnType) -> pa.Array | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
    if pc.all(pc.match_substring_regex(column, _PLAIN[kind])).as_py() is False:
        return None
    try:
        return column.cast(arrow_type(kind))
    except pa.ArrowInvalid:
        return None
