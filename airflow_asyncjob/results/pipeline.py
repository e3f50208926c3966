"""From bodies to a file of records: read, shape, transform, drop duplicates, write.

Columns stay columns where nothing asks for single records.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.errors import FormatError, ResultError
from airflow_asyncjob.results.distinct import distinct_batches, distinct_rows
from airflow_asyncjob.results.draft import Draft
from airflow_asyncjob.results.formats import csv, jsonl, parquet
from airflow_asyncjob.results.jsontext import loads
from airflow_asyncjob.results.plan import OutputPlan
from airflow_asyncjob.results.rows import read_rows, read_runs
from airflow_asyncjob.results.runs import Run
from airflow_asyncjob.results.shape import Shape
from airflow_asyncjob.results.sink import Writable
from airflow_asyncjob.results.source import Body, Row
from airflow_asyncjob.results.table import Table, table_of_batches
from airflow_asyncjob.results.tabulate import table_of_rows, table_of_runs
from airflow_asyncjob.results.transform import Transform, load_transform, plain_value
from airflow_asyncjob.results.values import as_cell, as_type

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Pipeline"]


class Pipeline:
    """What a definition does between the bytes and the file.

    :param records: how results are read and shaped.
    :param plan: what is written; not raw.
    :param limit: write at most so many records, and read no further; None: all.
    :param uri: the destination, for messages.
    :raises DefinitionError: a path of ``select`` is none, or ``transform`` cannot be imported.
    """

    def __init__(self, records: Records, plan: OutputPlan, limit: int | None, uri: str) -> None:
        self._records = records
        self._plan = plan
        self._limit = limit
        self._uri = uri
        self._shape = Shape(records)
        self._transform = load_transform(records.transform)

    def write(self, bodies: Generator[Body, None, None], out: Writable) -> int:
        """Write all records, and return how many.

        :raises ResultError: they cannot be read, or not be made into what is written.
        """
        with closing(bodies):
            if self._as_columns():
                return self._write_batches(self._batches(bodies), out)
            if self._in_runs():
                flat = self._shape.keeps and (self._plan.format == "parquet" or self._needs_table())
                return self._write_runs(read_runs(bodies, self._records, flat=flat), out)
            rows = self._rows(bodies)
            if self._plan.format == "jsonl" and not self._needs_table():
                return jsonl.write(out, rows)
            text = self._plan.format == "csv" and not self._needs_table()
            table = table_of_rows(rows, self._shape, self._records, self._uri, text=text)
            return self._write_batches(table, out) if self._needs_table() else self._write_table(table, out)

    def _as_columns(self) -> bool:
        if not self._records.tabular or not self._shape.plain or self._by_row() is not None:
            return False
        return self._plan.format != "jsonl" or self._needs_table()

    def _in_runs(self) -> bool:
        """Whether JSON records can be taken many at once. A limit is to read no more than it needs."""
        records = self._records
        if records.format not in ("json", "jsonl") or self._by_row() is not None or self._limit is not None:
            return False
        if self._plan.format == "jsonl" and not self._needs_table():
            return self._shape.keeps and not records.drop_duplicates
        return self._shape.columnar

    def _needs_table(self) -> bool:
        """Whether the types of all columns must be known before anything is written."""
        infers = self._records.infer and self._plan.format != "csv"
        return infers or (self._transform is not None and self._by_row() is None)

    def _by_row(self) -> Transform | None:
        return self._transform if self._transform is not None and self._transform.takes == "row" else None

    # Records, one by one

    def _rows(self, bodies: Iterable[Body]) -> Iterator[Row]:
        rows = read_rows(bodies, self._records, self._shape)
        by_row = self._by_row()
        if by_row is not None:
            rows = self._typed_again(by_row.rows(rows), by_row.path)
        if self._needs_table():
            return rows  # the rest is done on the table
        if self._records.drop_duplicates:
            rows = distinct_rows(rows, self._records.primary_key)
        return _keyed(islice(rows, self._limit), self._records.primary_key)

    def _typed_again(self, rows: Iterable[Row], path: str) -> Iterator[Row]:
        """Give the fields that a transform made the types that the definition declares."""
        for number, (record, _) in enumerate(rows, 1):
            for name, kind in self._shape.types.items():
                if name in record:
                    try:
                        record[name] = as_type(record[name], kind, from_text=False)
                    except ValueError as error:
                        raise ResultError(
                            f"transform {path} made record {number} with {name}: {str(record[name])[:80]!r}, "
                            f"which is not of type {kind}: {error}. Correct types, or the transform"
                        ) from None
            yield record, None

    # JSON, many records at once

    def _write_runs(self, runs: Iterator[tuple[Run, Body]], out: Writable) -> int:
        if self._plan.format == "jsonl" and not self._needs_table():
            return self._copy_runs(runs, out)
        text = self._plan.format == "csv" and not self._needs_table()
        draft = None
        if self._plan.format == "parquet" and not self._needs_table() and not self._records.drop_duplicates:
            draft = Draft(self._uri, self._records.primary_key)
        table = table_of_runs(runs, self._shape, self._records, self._uri, text=text, draft=draft)
        return self._write_batches(table, out)

    def _copy_runs(self, runs: Iterator[tuple[Run, Body]], out: Writable) -> int:
        """Write the records as they came."""
        missing = set(self._records.primary_key)
        count = 0
        for run, body in runs:
            if set(map(type, run.values)) - {dict}:
                self._shape.refuse_others(run.values, body)
            if missing:
                missing.difference_update(*run.values)
            texts = [text for text in run.texts or () if text is not None]
            if len(texts) == len(run.values):
                out.write(b"\n".join(texts) + b"\n")
            else:
                jsonl.write(out, zip(run.exact_values(), run.texts or (), strict=True))
            count += len(run.values)
        _check_key(missing, count)
        return count

    # Columns

    def _batches(self, bodies: Iterable[Body]) -> Table:
        text = self._plan.format == "csv" and not self._needs_table()
        batches = csv.read_batches(bodies, self._records, self._shape, text=text)
        return table_of_batches(batches, self._shape, self._records, text=text)

    def _write_batches(self, table: Table, out: Writable) -> int:
        if self._records.infer and self._plan.format != "csv":
            from airflow_asyncjob.results.infer import inferred

            table = inferred(table, self._shape.types, self._uri)
        changed = self._needs_table() and self._transform is not None and self._by_row() is None
        if changed:
            assert self._transform is not None
            first, batches = _peeked(self._transform.batches(table.batches))
            table = Table(table.schema if first is None else first.schema, batches)
        key = self._records.primary_key
        missing = [name for name in key if name not in table.schema.names]
        if missing:
            raise FormatError(
                f"primary_key names {', '.join(missing)}, and the columns are: "
                f"{', '.join(table.schema.names)}. Correct primary_key."
            )
        if table.draft is not None:
            return table.draft.copy(out)
        batches = table.batches
        if self._records.drop_duplicates:
            batches = distinct_batches(batches, key)
        table = Table(table.schema, _first(batches, self._limit))
        if self._plan.format == "jsonl":
            parsed = {name for name, kind in self._shape.types.items() if kind == "json"}
            return jsonl.write(out, _as_rows(table, parsed))
        return self._write_table(_as_text(table) if changed and self._plan.format == "csv" else table, out)

    def _write_table(self, table: Table, out: Writable) -> int:
        if self._plan.format == "csv":
            return csv.write(out, table)
        return parquet.write(out, table, self._records.primary_key)


def _keyed(rows: Iterable[Row], key: tuple[str, ...]) -> Iterator[Row]:
    """Yield records, and check in the end that some had the fields of the key."""
    missing = set(key)
    count = 0
    for row in rows:
        missing.difference_update(row[0])
        count += 1
        yield row
    _check_key(missing, count)


def _check_key(missing: set[str], count: int) -> None:
    if count and missing:
        raise FormatError(
            f"primary_key names {', '.join(sorted(missing))}, and none of the {count} records has such a "
            "field. Correct primary_key."
        )


def _peeked(batches: Iterator[pa.RecordBatch]) -> tuple[pa.RecordBatch | None, Iterator[pa.RecordBatch]]:
    first = next(batches, None)
    return first, batches if first is None else chain([first], batches)


def _first(batches: Iterator[pa.RecordBatch], limit: int | None) -> Iterator[pa.RecordBatch]:
    left = limit
    for batch in batches:
        yield batch if left is None else batch.slice(0, left)
        if left is not None:
            left -= min(batch.num_rows, left)
            if not left:
                return


def _as_rows(table: Table, parsed: set[str]) -> Iterator[Row]:
    """Yield the records of a table; JSON text in the columns of type json becomes values again."""
    for batch in table.batches:
        for record in batch.to_pylist():
            for name in parsed & record.keys():
                record[name] = None if record[name] is None else loads(record[name])
            yield _plain(record), None


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    try:
        return {name: plain_value(value) for name, value in record.items()}
    except ValueError as error:
        raise ResultError(
            f"a record cannot be written: it holds {error}. Have transform make text or numbers of it"
        ) from None


def _as_text(table: Table) -> Table:
    import pyarrow as pa

    schema = pa.schema([(name, pa.string()) for name in table.schema.names])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in table.batches:
            cells = [list(map(as_cell, _plain(record).values())) for record in batch.to_pylist()]
            columns = list(zip(*cells, strict=True)) or [()] * len(schema)
            yield pa.RecordBatch.from_arrays([pa.array(each, pa.string()) for each in columns], schema=schema)

    return Table(schema, batches())
