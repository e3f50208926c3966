"""Types of text columns, told from all of their values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.definition.models.records import ColumnType
from airflow_asyncjob.results.spool import Spool
from airflow_asyncjob.results.table import Table, arrow_type, filled
from airflow_asyncjob.results.values import as_type

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["inferred"]

# Only what can be written back as it came, or means the same: 00123, +1, 1e5 and numbers of more digits than
# a double holds are names, codes or money, and stay text. So do times without an offset.
_LOOKS: dict[ColumnType, str] = {
    "boolean": r"^(true|false|True|False|TRUE|FALSE)$",
    "integer": r"^(0|-?[1-9][0-9]{0,17})$",
    "number": r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "datetime": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})$",
}
_LONGEST_NUMBER = 16
"""Characters of a number: 15 digits, which every double keeps, and the point."""


def inferred(table: Table, declared: Iterable[str], uri: str) -> Table:
    """Return a table whose text columns have the types of their values, empty values being null.

    It waits on the local disk, because the last value may be the one that is text.

    :param table: as it was read.
    :param declared: names of columns that keep the type that they have.
    :param uri: the destination, for messages.
    """
    import pyarrow as pa

    kept = set(declared)
    guesses = {
        field.name: _Guess() for field in table.schema if field.type == pa.string() and field.name not in kept
    }
    spool = Spool(uri)
    with pa.ipc.new_stream(spool, table.schema) as out:
        for batch in table.batches:
            for name, guess in guesses.items():
                guess.see(batch.column(name))
            out.write_batch(batch)
    kinds = {name: guess.type for name, guess in guesses.items()}
    schema = pa.schema(
        [
            pa.field(field.name, arrow_type(kinds[field.name]) if field.name in kinds else field.type)
            for field in table.schema
        ]
    )
    return Table(schema, _typed(spool, kinds, schema))


class _Guess:
    """What a column can be, judged by all values so far."""

    def __init__(self) -> None:
        self._left: list[ColumnType] = list(_LOOKS)
        self._any = False

    @property
    def type(self) -> ColumnType:
        return self._left[0] if self._left and self._any else "string"

    def see(self, column: pa.Array) -> None:
        import pyarrow.compute as pc

        values = column.filter(pc.not_equal(column.fill_null(""), ""))
        if len(values):
            self._any = True
            self._left = [kind for kind in self._left if _is(values, kind)]


def _is(values: pa.Array, kind: ColumnType) -> bool:
    import pyarrow.compute as pc

    if not pc.all(pc.match_substring_regex(values, _LOOKS[kind])).as_py():
        return False
    if kind == "number":
        size = pc.utf8_length(pc.utf8_ltrim(values, "-"))
        fits: bool = pc.max(size).as_py() <= _LONGEST_NUMBER
        return fits
    if kind in ("date", "datetime"):
        try:
            for value in values.unique().to_pylist():
                as_type(value, kind, from_text=True)
        except ValueError:
            return False
    return True


def _typed(spool: Spool, kinds: dict[str, ColumnType], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    spool.rewind()
    with spool.file, pa.ipc.open_stream(spool.file) as stream:
        for batch in stream:
            columns = [
                _cast(batch.column(field.name), kinds.get(field.name, "string"), field.type)
                for field in schema
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _cast(column: pa.Array, kind: ColumnType, into: Any) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind == "string":
        return column
    column = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
    if kind == "boolean":
        return pc.equal(pc.utf8_lower(column), "true")
    if kind == "datetime":
        values = [None if v is None else as_type(v, kind, from_text=True) for v in column.to_pylist()]
        return filled(values, kind)
    return column.cast(into)
