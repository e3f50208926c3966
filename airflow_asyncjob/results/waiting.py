"""Records that wait on the local disk until the types of all columns are known."""

from __future__ import annotations

import os
from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.results.runs import Run, block_of_lines, block_values
from airflow_asyncjob.results.spool import Spool

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_asyncjob.results.draft import Draft

__all__ = ["Waiting"]

_AT_ONCE = 1024 * 1024
_SIZE = 8


class _How(Enum):
    """How a run waits, if not also as columns of the schema that stands in its place."""

    LIST = "a JSON list"
    LINES = "lines, one document each"
    DRAFTED = "lines, and in the draft"


class Waiting:
    """Runs of records, in their order.

    Those that came as columns wait twice: as columns, which are what is needed mostly, and as they came, for
    the case that a later value makes JSON text of a column.

    :param uri: the destination, for messages.
    :param draft: takes the columns as long as it can; None: the table is not written as Parquet as it is.
    """

    def __init__(self, uri: str, draft: Draft | None) -> None:
        self._uri = uri
        self._came = Spool(uri)
        self._draft = draft
        self._drafting = draft is not None
        self._columns: Spool | None = None
        self._schema: pa.Schema | None = None
        self._order: list[_How | pa.Schema] = []

    def add(self, run: Run) -> None:
        """Put records aside.

        :raises DestinationError: the disk is full.
        :raises RecursionError: one is nested too deep.
        """
        block = run.as_block()
        self._drafting = False
        self._order.append(_How.LIST)
        self._write(self._came, block)

    def add_columns(self, run: Run, schema: pa.Schema | None) -> None:
        """Put records aside that came as columns.

        :param schema: of the table, if these are the last records; None: its columns are not made of these.
        :raises DestinationError: the disk is full.
        """
        self._drafting = self._drafting and schema is not None
        self._order.append(_How.LINES if schema is None else self._put(run.batch, schema))
        self._write(self._came, run.lines)

    def finished(self, rows: int, schema: pa.Schema) -> Draft | None:
        """Return the draft if it is the whole table; then nothing waits here any longer."""
        if self._draft is None or not self._draft.is_all(rows, schema):
            return None
        self._came.file.close()
        return self._draft

    def batches_and_records(self) -> Iterator[pa.RecordBatch | list[dict[str, Any]]]:
        """Yield what came as columns as it is, and the rest as records, whose fractions are floats."""
        if self._columns is None and not (self._draft is not None and self._draft.rows):
            yield from self.records(exact=False)
            return
        if self._draft is not None and self._draft.rows:
            yield from self._draft.batches()
        yield from self._after_draft()

    def records(self, *, exact: bool) -> Iterator[list[dict[str, Any]]]:
        """Yield all as records.

        :param exact: numbers with a fraction as ``Decimal``; else as floats, several times as fast.
        """
        self._drop_columns()
        self._came.rewind()
        held: list[dict[str, Any]] = []
        size = 0
        with self._came.file as file:
            for how in self._order:
                block = _read(file)
                size += len(block)
                held += _values(block, how, exact=exact)
                if size >= _AT_ONCE:
                    yield held
                    held, size = [], 0
        if held:
            yield held

    def _put(self, batch: pa.RecordBatch, schema: pa.Schema) -> _How | pa.Schema:
        if self._drafting and self._draft is not None:
            self._drafting = self._draft.add(batch, schema)
            if self._drafting:
                return _How.DRAFTED
        if self._columns is None:
            self._columns = Spool(self._uri)
        self._write(self._columns, batch.serialize())
        if self._schema is None or not self._schema.equals(batch.schema):
            self._schema = batch.schema
        return self._schema

    def _write(self, spool: Spool, data: Any) -> None:
        spool.write(memoryview(data).nbytes.to_bytes(_SIZE))
        spool.write(data)

    def _after_draft(self) -> Iterator[pa.RecordBatch | list[dict[str, Any]]]:
        import pyarrow as pa

        self._came.rewind()
        with self._came.file as file:
            if self._columns is not None:
                self._columns.rewind()
            for how in self._order:
                if how is _How.LIST or how is _How.LINES:
                    yield _values(_read(file), how, exact=False)
                    continue
                file.seek(int.from_bytes(file.read(_SIZE)), os.SEEK_CUR)
                if not isinstance(how, _How):
                    assert self._columns is not None
                    yield pa.ipc.read_record_batch(pa.py_buffer(_read(self._columns.file)), how)
        if self._columns is not None:
            self._columns.file.close()

    def _drop_columns(self) -> None:
        if self._draft is not None:
            self._draft.drop()
        if self._columns is not None:
            self._columns.file.close()


def _values(block: bytes, how: Any, *, exact: bool) -> list[dict[str, Any]]:
    return block_values(block if how is _How.LIST else block_of_lines(block), exact=exact)


def _read(file: Any) -> bytes:
    data: bytes = file.read(int.from_bytes(file.read(_SIZE)))
    return data
