"""A Parquet file that is right if no later record changes a type; it waits on the local disk until then.

It is a tenth of what the same columns are in Arrow's own format, and is copied as it is in the end.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_asyncjob.results.formats.parquet import Group, Writer
from airflow_asyncjob.results.sink import Writable
from airflow_asyncjob.results.spool import Spool
from airflow_asyncjob.results.table import fitted

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Draft"]

_AT_ONCE = 1024 * 1024


class Draft:
    """Batches of one schema, which may grow until the first row group is written.

    :param uri: the destination, for messages.
    :param primary_key: goes into the file; see :class:`~airflow_asyncjob.results.formats.parquet.Writer`.
    """

    def __init__(self, uri: str, primary_key: tuple[str, ...]) -> None:
        self.rows = 0
        """How many records it has."""
        self._uri = uri
        self._key = primary_key
        self._group = Group()
        self._schema: pa.Schema | None = None
        self._spool: Spool | None = None
        self._writer: Writer | None = None

    def add(self, batch: pa.RecordBatch, schema: pa.Schema) -> bool:
        """Take records; False: not with this schema, nor any that come after them.

        :param schema: of all records so far: the types of ``batch`` can be cast to its types.
        :raises DestinationError: the disk is full.
        """
        if self._writer is not None and not schema.equals(self._schema):
            return False
        self._schema = schema
        self.rows += batch.num_rows
        if self._group.add(batch):
            self._write_group()
        return True

    def is_all(self, rows: int, schema: pa.Schema) -> bool:
        """Whether these are all records, and this is their schema."""
        return rows == self.rows and schema.equals(self._schema)

    def copy(self, out: Writable) -> int:
        """Write the file, and return how many records it has; the draft is gone then."""
        if self._spool is None:
            writer = Writer(out, self._schema, self._key)
            writer.write(self._taken())
            writer.close()
        else:
            self._close()
            shutil.copyfileobj(self._spool.file, out, _AT_ONCE)
            self._spool.file.close()
        return self.rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the records again; the draft is gone then."""
        import pyarrow.parquet as pq

        if self._spool is None:
            yield from self._taken()
            return
        self._close()
        with self._spool.file as file:
            yield from pq.ParquetFile(file).iter_batches()

    def drop(self) -> None:
        """Let go of everything."""
        if self._spool is not None:
            self._close()
            self._spool.file.close()

    def _write_group(self) -> None:
        if self._spool is None:
            self._spool = Spool(self._uri)
        if self._writer is None:
            self._writer = Writer(self._spool, self._schema, self._key)
        self._writer.write(self._taken())

    def _taken(self) -> list[pa.RecordBatch]:
        import pyarrow as pa

        assert self._schema is not None
        return [
            pa.RecordBatch.from_arrays([fitted(batch, field) for field in self._schema], schema=self._schema)
            for batch in self._group.take()
        ]

    def _close(self) -> None:
        assert self._spool is not None
        assert self._writer is not None
        rest = self._taken()
        if rest:
            self._writer.write(rest)
        self._writer.close()
        self._spool.rewind()
