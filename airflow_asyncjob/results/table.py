"""Tables: columns of Arrow, and records in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from importlib.util import find_spec
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.definition.models.records import ColumnType, Records
from airflow_asyncjob.errors import ResultError
from airflow_asyncjob.results.jsontext import dumps
from airflow_asyncjob.results.shape import Shape

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_asyncjob.results.draft import Draft

__all__ = [
    "MOST_COLUMNS",
    "Table",
    "arrow_type",
    "empty_table",
    "filled",
    "fitted",
    "require_arrow",
    "schema_of",
    "table_of_batches",
]

MOST_COLUMNS = 10_000
"""Names that are values would fill the memory: so many different fields are a mistake."""


@dataclass(frozen=True)
class Table:
    """Columns, and records in batches; the batches can be read once.

    :param schema: a ``pyarrow.Schema``.
    :param draft: all of it as a Parquet file, in place of the batches; None: these are it.
    """

    schema: Any
    batches: Iterator[Any]
    draft: Draft | None = None


def require_arrow() -> None:
    """Check that pyarrow is installed, without loading it.

    :raises ResultError: it is not; the message names the extra.
    """
    if find_spec("pyarrow") is None:
        raise ResultError(
            "CSV and TSV are read, and CSV and Parquet are written, with pyarrow, which is not installed: "
            "pip install 'airflow-asyncjob[parquet]'"
        )


def arrow_type(kind: ColumnType) -> pa.DataType:
    """Return the Arrow type of a declared type; json is text."""
    import pyarrow as pa

    types: dict[ColumnType, pa.DataType] = {
        "integer": pa.int64(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us", tz="UTC"),
    }
    return types.get(kind, pa.string())


def filled(values: Iterable[Any], kind: ColumnType) -> pa.Array:
    """Return values, as :func:`~airflow_asyncjob.results.values.as_type` leaves them, as an Arrow column."""
    import pyarrow as pa

    convert = _INTO_ARROW.get(kind)
    if kind == "number":
        values = list(values)
        convert = float if Decimal in set(map(type, values)) else None
    if convert is not None:
        values = [None if value is None else convert(value) for value in values]
    return pa.array(values, arrow_type(kind))


_INTO_ARROW: dict[ColumnType, Any] = {
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "json": dumps,
}


def fitted(batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    """Return a column of a batch with the type of a field; nulls where there is none of that name."""
    import pyarrow as pa

    if field.name not in batch.schema.names:
        return pa.nulls(batch.num_rows, field.type)
    return batch.column(field.name).cast(field.type)


def empty_table(shape: Shape, records: Records, *, text: bool) -> Table:
    """Return a table without records, with the columns that the definition alone tells."""
    if shape.names is None:
        names: Iterable[str] = dict.fromkeys((*records.primary_key, *shape.types))
    else:
        names = shape.names
    return Table(schema_of({name: shape.types.get(name, "string") for name in names}, text=text), iter(()))


def table_of_batches(
    batches: Iterator[pa.RecordBatch], shape: Shape, records: Records, *, text: bool
) -> Table:
    """Return batches as a table; the first one, which may be without records, tells the columns."""
    first = next(batches, None)
    if first is None:
        return empty_table(shape, records, text=text)
    return Table(first.schema, chain([first], batches))


def schema_of(columns: dict[str, ColumnType], *, text: bool) -> pa.Schema:
    """Return the schema of columns of declared types; ``text``: all are text."""
    import pyarrow as pa

    return pa.schema([(name, pa.string() if text else arrow_type(kind)) for name, kind in columns.items()])
