"""Parquet, written with pyarrow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.results.sink import Writable
from airflow_asyncjob.results.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["write"]

_GROUP_BYTES = 16 * 1024 * 1024
_GROUP_ROWS = 1_000_000
_SAMPLE_ROWS = 50_000


def write(out: Writable, table: Table, primary_key: tuple[str, ...]) -> int:
    """Write the table and return how many records it has. Row groups are about 16 MiB before compression.

    :param primary_key: goes into the file's key-value metadata as ``primary_key``, a JSON list; nothing when
        empty.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = table.schema
    if primary_key:
        schema = schema.with_metadata({"primary_key": json.dumps(list(primary_key), ensure_ascii=False)})
    groups = (
        pa.Table.from_batches(batches).replace_schema_metadata(schema.metadata)
        for batches in _groups(table.batches)
    )
    first = next(groups, None)
    count = 0
    with pq.ParquetWriter(out, schema, use_dictionary=True if first is None else _repeating(first)) as writer:
        for group in chain([] if first is None else [first], groups):
            writer.write_table(group, row_group_size=_GROUP_ROWS)
            count += group.num_rows
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


def _groups(batches: Iterator[Any]) -> Iterator[list[pa.RecordBatch]]:
    held: list[pa.RecordBatch] = []
    size = rows = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        held.append(batch)
        size += batch.nbytes
        rows += batch.num_rows
        if size >= _GROUP_BYTES or rows >= _GROUP_ROWS:
            yield held
            held, size, rows = [], 0, 0
    if held:
        yield held
