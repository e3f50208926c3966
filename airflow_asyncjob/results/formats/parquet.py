"""Parquet, written with pyarrow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.results.sink import Writable
from airflow_asyncjob.results.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Group", "Writer", "write"]

_GROUP_BYTES = 16 * 1024 * 1024
_GROUP_ROWS = 1_000_000
_SAMPLE_ROWS = 50_000


class Writer:
    """A Parquet file that is written row group by row group, of about 16 MiB each before compression.

    :param out: takes the bytes.
    :param schema: a ``pyarrow.Schema`` that all batches have.
    :param primary_key: goes into the file's key-value metadata as ``primary_key``, a JSON list; nothing when
        empty.
    """

    def __init__(self, out: Writable, schema: pa.Schema, primary_key: tuple[str, ...]) -> None:
        if primary_key:
            schema = schema.with_metadata({"primary_key": json.dumps(list(primary_key), ensure_ascii=False)})
        self._out = out
        self._schema = schema
        self._file: Any = None

    def write(self, group: list[pa.RecordBatch]) -> int:
        """Write one row group, and return how many records it has."""
        import pyarrow as pa

        table = pa.Table.from_batches(group).replace_schema_metadata(self._schema.metadata)
        self._opened(table).write_table(table, row_group_size=_GROUP_ROWS)
        return int(table.num_rows)

    def close(self) -> None:
        """Write the end of the file."""
        self._opened(None).close()

    def _opened(self, first: pa.Table | None) -> Any:
        import pyarrow.parquet as pq

        if self._file is None:
            repeating = True if first is None else _repeating(first)
            self._file = pq.ParquetWriter(self._out, self._schema, use_dictionary=repeating)
        return self._file


class Group:
    """Batches that wait until they are a row group."""

    def __init__(self) -> None:
        self._held: list[pa.RecordBatch] = []
        self._size = self._rows = 0

    def add(self, batch: pa.RecordBatch) -> bool:
        """Hold a batch; True: they are enough."""
        if batch.num_rows:
            self._held.append(batch)
            self._size += batch.nbytes
            self._rows += batch.num_rows
        return self._size >= _GROUP_BYTES or self._rows >= _GROUP_ROWS

    def take(self) -> list[pa.RecordBatch]:
        """Return the batches, and begin anew."""
        held, self._held, self._size, self._rows = self._held, [], 0, 0
        return held


def write(out: Writable, table: Table, primary_key: tuple[str, ...]) -> int:
    """Write the table and return how many records it has; see :class:`Writer`."""
    writer, group = Writer(out, table.schema, primary_key), Group()
    count = 0
    for batch in table.batches:
        if group.add(batch):
            count += writer.write(group.take())
    if rest := group.take():
        count += writer.write(rest)
    writer.close()
    return count


def _repeating(group: pa.Table) -> bool | list[str]:
    """Return the columns that a dictionary makes smaller, told by the first records; True: all may be.

    Arrow builds a dictionary of every column, and throws that of a key or an address away when it grew too
    large: a third of the processor time of the whole file.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    sample = group.slice(0, _SAMPLE_ROWS)
    if any(pa.types.is_nested(field.type) for field in group.schema):
        return True
    try:
        distinct = {name: pc.count_distinct(sample[name]).as_py() for name in group.schema.names}
    except pa.ArrowNotImplementedError:  # a type that only a transform makes
        return True
    return [name for name, count in distinct.items() if count * 2 <= max(sample.num_rows, 2)]
