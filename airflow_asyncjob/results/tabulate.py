"""Records of any shape become a table.

Which columns there are, and of which type, is known when the last record was seen. The records wait on the
local disk until then, so that memory does not grow with them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.definition.models.records import ColumnType, Records
from airflow_asyncjob.errors import FormatError
from airflow_asyncjob.results.kinds import Kinds
from airflow_asyncjob.results.runs import Run, runs_of_rows
from airflow_asyncjob.results.shape import Shape, bad_value
from airflow_asyncjob.results.source import Body, Row
from airflow_asyncjob.results.table import MOST_COLUMNS, Table, empty_table, filled, fitted, schema_of
from airflow_asyncjob.results.values import as_cell, as_type
from airflow_asyncjob.results.waiting import Waiting

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_asyncjob.results.draft import Draft

__all__ = ["table_of_rows", "table_of_runs"]

log = logging.getLogger(__name__)
_EXACT: frozenset[ColumnType] = frozenset({"string", "json"})


def table_of_rows(rows: Iterator[Row], shape: Shape, records: Records, uri: str, *, text: bool) -> Table:
    """Return records that ``shape`` was applied to as a table; see :func:`table_of_runs`."""
    gathered = _Gathered(shape, dict.fromkeys(shape.names or ()), Waiting(uri, None), shaped=True)
    for run in runs_of_rows(rows):
        gathered.add(run, None)
    return gathered.table(records, text=text)


def table_of_runs(
    runs: Iterable[tuple[Run, Body]],
    shape: Shape,
    records: Records,
    uri: str,
    *,
    text: bool,
    draft: Draft | None = None,
) -> Table:
    """Return records as they came as a table, whose columns are the fields in their order of appearance.

    A typed field that never occurs is a column of nulls.

    :param shape: its ``select`` is plain, so that it is done on whole columns.
    :param uri: the destination, for messages.
    :param text: every value is text as in a CSV cell; else columns have the types declared or found.
    :param draft: takes what comes as columns; None: the table is not written as Parquet as it is.
    :raises FormatError: there are more than 10,000 different fields, or none; a value is not of its type.
    """
    fields = shape.fields if shape.names is not None else {}
    gathered = _Gathered(shape, fields, Waiting(uri, draft), shaped=False)
    for run, body in runs:
        gathered.add(run, body)
    return gathered.table(records, text=text)


class _Gathered:
    """Records that wait, and what was seen of them.

    :param fields: the columns that are known before any record was seen, and the field of each.
    :param shaped: the records are as ``shape`` makes them; else columns are chosen and typed here.
    """

    def __init__(
        self, shape: Shape, fields: Mapping[str, str | None], waiting: Waiting, *, shaped: bool
    ) -> None:
        self._shape = shape
        self._fields = {name: field or name for name, field in fields.items()}
        self._open = shape.names is None or shaped
        self._types = {} if shaped else shape.types
        self._kinds = {name: Kinds() for name in self._fields}
        self._count = 0
        self._waiting = waiting

    def add(self, run: Run, body: Body | None) -> None:
        """Look at records, and put them aside."""
        if run.batch is not None:
            self._add_columns(run)
            return
        values = run.values
        if body is not None and set(map(type, values)) - {dict}:
            self._shape.refuse_others(values, body)
        present: set[str] = set().union(*values)
        if self._open and present - self._fields.keys():
            for name in chain.from_iterable(values):
                if name not in self._fields:
                    self._fields[name] = name
                    self._kinds[name] = Kinds()
            self._check_number(len(values))
        for name, field in self._fields.items():
            if field in present:
                column = [record.get(field) for record in values]
                self._kinds[name].see_all(column)
                if body is not None and name in self._types:
                    _check_type(column, self._types[name], name, body)
        try:
            self._waiting.add(run)
        except RecursionError:
            raise FormatError(
                f"one of records {self._count + 1} to {self._count + len(values)} cannot be written: it is "
                "nested too deep."
            ) from None
        self._count += len(values)

    def _add_columns(self, run: Run) -> None:
        batch = run.batch
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if name not in self._fields:
                self._fields[name] = name
                self._kinds[name] = Kinds()
            self._kinds[name].see_column(column)
        self._check_number(batch.num_rows)
        kinds = {name: kind.type for name, kind in self._kinds.items()}
        # What is JSON text once is so in the end, and is made of the records as they came.
        columns = bool(kinds) and "json" not in kinds.values()
        self._waiting.add_columns(run, schema_of(kinds, text=False) if columns else None)
        self._count += batch.num_rows

    def table(self, records: Records, *, text: bool) -> Table:
        """Return everything as a table."""
        shape = self._shape
        if not self._count:
            return empty_table(shape, records, text=text)
        columns = {name: shape.types.get(name, kind.type) for name, kind in self._kinds.items()}
        columns |= {name: kind for name, kind in shape.types.items() if name not in columns}
        if not columns:
            raise FormatError(
                f"none of the {self._count} records has a field, and a table without columns holds no "
                "records: write JSON Lines, or check what the API sends"
            )
        if not text:
            self._tell_mixed()
        schema = schema_of(columns, text=text)
        draft = self._waiting.finished(self._count, schema)
        if draft is not None:
            return Table(schema, iter(()), draft)
        return Table(schema, self._batches(columns, schema, text=text))

    def _check_number(self, more: int) -> None:
        if len(self._fields) > MOST_COLUMNS:
            raise FormatError(
                f"up to record {self._count + more} there are more than {MOST_COLUMNS} different fields: "
                "names may be used as values. Make fields of them with select, or write JSON Lines, which "
                "need no columns."
            )

    def _tell_mixed(self) -> None:
        for name, kind in self._kinds.items():
            if kind.mixed and name not in self._shape.types:
                log.warning(
                    "field %s holds %s: it is written as JSON text; name it in types to have one type",
                    name,
                    kind.mixed,
                )

    def _batches(
        self, columns: dict[str, ColumnType], schema: pa.Schema, *, text: bool
    ) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        # Floats are read several times as fast as Decimals, and lose only what a text would show.
        exact = text or "json" in columns.values() or not _EXACT.isdisjoint(self._shape.types.values())
        done = 0
        for found in self._waited(exact=exact):
            if isinstance(found, list):
                arrays = self._arrays(found, columns, done, text=text)
                done += len(found)
            else:
                arrays = [fitted(found, field) for field in schema]
                done += found.num_rows
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _waited(self, *, exact: bool) -> Iterator[pa.RecordBatch | list[dict[str, Any]]]:
        try:
            yield from self._waiting.records(exact=True) if exact else self._waiting.batches_and_records()
        except RecursionError:  # what could be read once may be too deep where the caller is deeper
            raise FormatError("A record cannot be written: it is nested too deep.") from None

    def _arrays(
        self, some: list[dict[str, Any]], columns: dict[str, ColumnType], done: int, *, text: bool
    ) -> list[pa.Array]:
        where = f"one of records {done + 1} to {done + len(some)} cannot be written: it"
        try:
            return [self._column(some, name, kind, text=text) for name, kind in columns.items()]
        except RecursionError:
            raise FormatError(f"{where} is nested too deep.") from None
        except UnicodeEncodeError:
            raise FormatError(
                f"{where} holds a lone surrogate (such as \\ud800), which is not text. Leave the field out "
                "with select, or have the API correct it."
            ) from None

    def _column(self, some: list[dict[str, Any]], name: str, kind: ColumnType, *, text: bool) -> pa.Array:
        import pyarrow as pa

        field = self._fields.get(name, name)
        values: Iterable[Any] = [record.get(field) for record in some]
        if name in self._types:
            values = [as_type(value, kind, from_text=False) for value in values]
        return pa.array(map(as_cell, values), pa.string()) if text else filled(values, kind)


def _check_type(column: list[Any], kind: ColumnType, name: str, body: Body) -> None:
    for index, value in enumerate(column):
        try:
            as_type(value, kind, from_text=False)
        except (ValueError, RecursionError) as error:
            raise bad_value(body, body.records + index + 1, name, value, kind, str(error)) from None
