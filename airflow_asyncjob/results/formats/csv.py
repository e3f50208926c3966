"""CSV (RFC 4180) and its relatives. Columns stay columns where that is enough."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.results.columns import typed_column
from airflow_asyncjob.results.formats.dialect import Dialect
from airflow_asyncjob.results.shape import Shape
from airflow_asyncjob.results.sink import Writable
from airflow_asyncjob.results.source import Body, Row
from airflow_asyncjob.results.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Columns", "read", "read_batches", "write"]

_SPECIAL = '[",\r\n]'


class Columns:
    """The columns of the first result, which all others must have too, in any order.

    :param records: what names columns, and is checked against them.
    """

    def __init__(self, records: Records, shape: Shape) -> None:
        self._dialect = Dialect(records)
        self._shape = shape
        self._names: list[str] | None = None
        self._expected: dict[str, Iterable[str]] = {"select": shape.fields.values()}
        if shape.names is None and records.transform is None:
            self._expected |= {"types": records.types, "primary_key": records.primary_key}

    def batches(self, body: Body) -> Iterator[pa.RecordBatch]:
        """Yield the records of a body as columns of text, in the first result's order.

        :raises FormatError: see :func:`read`.
        :raises TruncatedError: the text ends within a quoted value.
        """
        for batch in self._dialect.batches(body):
            yield self._aligned(batch.rename_columns(self._shape.named(batch.schema.names, body)), body)

    def _aligned(self, batch: pa.RecordBatch, body: Body) -> pa.RecordBatch:
        names = batch.schema.names
        if self._names is None:
            self._names = names
            self._check(body, names)
        if names == self._names:
            return batch
        fewer = [name for name in self._names if name not in names]
        more = [name for name in names if name not in self._names]
        if fewer or more:
            parts = [f"it lacks {', '.join(fewer)}"] if fewer else []
            parts += [f"it has {', '.join(more)} besides"] if more else []
            raise body.wrong(
                f"its header differs from the one of the first result: {' and '.join(parts)}",
                "Results that become one file must have the same columns: have the API send them so, or "
                "write them raw into a folder",
            )
        return batch.select(self._names)

    def _check(self, body: Body, names: list[str]) -> None:
        for place, expected in self._expected.items():
            unknown = [name for name in expected if name not in names]
            if unknown:
                raise body.wrong(
                    f"{place} names {', '.join(unknown)}, and the columns are: {', '.join(names)}",
                    f"Correct {place}",
                )


def read(body: Body, columns: Columns) -> Iterator[Row]:
    """Yield the records, every value a string; an empty value is an empty string.

    :raises FormatError: a record has more or fewer fields than the header, a name comes twice, a record is
        over 32 MiB, or the columns are not the expected ones.
    :raises TruncatedError: the text ends within a quoted value.
    """
    for batch in columns.batches(body):
        names = batch.schema.names
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            body.records += 1
            yield dict(zip(names, values, strict=True)), None


def read_batches(
    bodies: Iterable[Body], records: Records, shape: Shape, *, text: bool
) -> Iterator[pa.RecordBatch]:
    """Yield the records of all bodies as columns. ``select`` must be plain (see :attr:`Shape.plain`).

    :param text: typed values stay text, in their plainest form; else they have their Arrow type.
    :raises FormatError: see :func:`read`; a value is not of its type.
    """
    columns = Columns(records, shape)
    for body in bodies:
        for batch in columns.batches(body):
            yield _shaped(batch, body, shape, text=text)
            body.records += batch.num_rows


def write(out: Writable, table: Table) -> int:
    """Write header and records, quoted where it is needed, and return how many records there were.

    A null and an empty string are both an empty value.

    :param table: all of its columns are text.
    """
    import pyarrow as pa

    names = [pa.array([name], pa.string()) for name in table.schema.names]
    if names:
        out.write(_encoded(names))
    count = 0
    for batch in table.batches:
        if batch.num_rows:
            out.write(_encoded(batch.columns))
            count += batch.num_rows
    return count


def _encoded(columns: list[pa.Array]) -> bytes:
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = [_quoted(column, alone=len(columns) == 1) for column in columns]
    lines = pc.binary_join_element_wise(*cells, ",", null_handling="replace", null_replacement="")
    whole = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines), "\n")
    return bytes(whole[0].as_buffer()) + b"\n"


def _quoted(column: pa.Array, *, alone: bool) -> pa.Array:
    import pyarrow.compute as pc

    column = column.fill_null("")
    special = pc.match_substring_regex(column, _SPECIAL)
    if alone:
        # An empty line would not be a record.
        special = pc.or_(special, pc.equal(column, ""))
    if not pc.any(special).as_py():
        return column
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(special, pc.binary_join_element_wise('"', doubled, '"', ""), column)


def _shaped(batch: pa.RecordBatch, body: Body, shape: Shape, *, text: bool) -> pa.RecordBatch:
    import pyarrow as pa

    chosen = {name: name for name in batch.schema.names} if shape.names is None else shape.fields
    columns = {}
    for name, field in chosen.items():
        column = batch.column(field)
        kind = shape.types.get(name)
        columns[name] = column if kind is None else typed_column(column, kind, name, body, text=text)
    return pa.RecordBatch.from_pydict(columns)
