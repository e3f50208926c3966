"""Records of all sources, one after the other, as the definition wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.results.flat import FlatReader
from airflow_asyncjob.results.formats import csv, json, jsonl, xml
from airflow_asyncjob.results.runs import Run
from airflow_asyncjob.results.shape import Shape
from airflow_asyncjob.results.source import Body, Row

__all__ = ["read_rows", "read_runs"]


def read_rows(bodies: Iterable[Body], records: Records, shape: Shape) -> Iterator[Row]:
    """Yield the records of all bodies in their order, duplicates kept.

    :raises FormatError: see the readers.
    :raises TruncatedError: one ends too early.
    """
    read = _reader(records, shape)
    for body in bodies:
        for value, text in read(body):
            yield shape.apply(value, body), text if shape.keeps else None


def read_runs(bodies: Iterable[Body], records: Records, *, flat: bool = False) -> Iterator[tuple[Run, Body]]:
    """Yield the records of all bodies, of JSON or JSON Lines, many at once and as they came.

    Numbers with a fraction are floats, where these hold them, and else ``Decimal``.

    :param flat: what is flat may come as columns.
    :raises FormatError: see the readers; or one is not a record.
    :raises TruncatedError: one ends too early.
    """
    reader = FlatReader() if flat else None
    for body in bodies:
        runs = (
            jsonl.read_runs(body, exact=True, rough=True, flat=reader)
            if records.format == "jsonl"
            else json.read_runs(body, records.records, exact=True, rough=True)
        )
        for run in runs:
            yield run, body
            body.records += run.size


def _reader(records: Records, shape: Shape) -> Callable[[Body], Iterator[Row]]:
    if records.tabular:
        columns = csv.Columns(records, shape)
        return lambda body: csv.read(body, columns)
    if records.format == "jsonl":
        return lambda body: jsonl.read(body, exact=shape.exact)
    if records.format == "xml":
        path = records.records or ""
        return lambda body: xml.read(body, path)
    return lambda body: json.read(body, records.records, exact=shape.exact)
