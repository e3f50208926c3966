"""Reading the caller's records, some thousand at a time, from any of them on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, Protocol

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.definition.models.upload import Read, Upload
from airflow_asyncjob.errors import SourceError
from airflow_asyncjob.results.formats import json, jsonl
from airflow_asyncjob.results.formats.dialect import Dialect
from airflow_asyncjob.results.source import RECORD_LIMIT, Body
from airflow_asyncjob.results.table import require_arrow
from airflow_asyncjob.transport.upload import Find
from airflow_asyncjob.uploads.micros import in_micros
from airflow_asyncjob.uploads.source import (
    Given,
    Position,
    SourceBody,
    TextFile,
    explained,
    format_of,
    opened,
    unreadable,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Chunk", "CsvReader", "Reader", "chunks_from", "reader_of"]

_AT_ONCE = 4096


@dataclass(frozen=True)
class Chunk:
    """Records that follow each other.

    :param offset: a place in the source from which it can be read again.
    :param base: how many records lie between that place and the first of these.
    :param names: of the columns; None: the values are records as they came.
    :param values: the records, or a row of values for each.
    """

    offset: int
    base: int
    names: Sequence[str] | None
    values: Sequence[Any]

    def record(self, at: int) -> Any:
        """Return a record as the caller knows it."""
        value = self.values[at]
        return value if self.names is None else dict(zip(self.names, value, strict=True))


class Reader(Protocol):
    """A source of records."""

    @property
    def name(self) -> str:
        """The source for people."""
        ...

    @property
    def columns(self) -> Sequence[str] | None:
        """The names that all records have; None: each has its own."""
        ...

    @property
    def from_text(self) -> bool:
        """Whether all values are text."""
        ...

    def chunks(self, offset: int, before: int) -> Iterator[Chunk]:
        """Yield the records from a place on.

        :param before: how many records lie before it, for messages.
        :raises SourceError: they are not what was declared.
        :raises UploadError: the storage fails.
        """
        ...


def chunks_from(reader: Reader, position: Position) -> Iterator[tuple[Chunk, int, int]]:
    """Yield chunks from a record on, each with the place of the first that is meant in it, and its number."""
    offset, skip, number = position
    for chunk in reader.chunks(offset, number - 1 - skip):
        size = len(chunk.values)
        if size <= skip:
            skip -= size
            continue
        yield chunk, skip, number
        number += size - skip
        skip = 0


def reader_of(upload: Upload, given: Given, find: Find, *, exact: bool) -> Reader:
    """Return what reads a source.

    :param exact: numbers of JSON with a fraction as ``Decimal``; else as floats.
    :raises SourceError: it is not what was declared.
    :raises UploadError: there is no such file, or the storage fails.
    """
    if given.records is not None:
        return ListReader(given.records)
    kind, read = format_of(upload, given.path), upload.read
    if kind == "parquet":
        return ParquetReader(given.path, find)
    text = TextFile(given.path, find, kind, read.encoding)
    if kind in ("csv", "tsv"):
        return CsvReader(text, kind, read)
    return JsonlReader(text, exact) if kind == "jsonl" else JsonReader(text, read.records, exact)


class ListReader:
    """Records that are at hand."""

    name = "The list of records"
    columns = None
    from_text = False

    def __init__(self, records: Sequence[Any]) -> None:
        self._records = records

    def chunks(self, offset: int, before: int) -> Iterator[Chunk]:
        """Yield the records."""
        for at in range(0, len(self._records), _AT_ONCE):
            yield Chunk(0, at, None, self._records[at : at + _AT_ONCE])


class CsvReader:
    """Text in columns: every value is text."""

    from_text = True

    def __init__(self, text: TextFile, kind: str, read: Read) -> None:
        with explained(text.name):
            require_arrow()
        self.name = f"The file {text.name}"
        self.text = text
        self.dialect = Dialect(
            Records.model_validate({"format": kind, "csv": read.csv.model_copy(update={"skip_lines": 0})})
        )
        self.head = b""
        """The line with the names, as it is; empty where there is none."""
        self._first = 0
        self.columns: Sequence[str] = ()
        with text.body() as body:
            self._find_first(body, read)

    def _find_first(self, body: Body, read: Read) -> None:
        """Find out what the columns are, and where the records begin."""
        self._first = _after_lines(body, read.csv.skip_lines)
        if isinstance(read.csv.header, tuple):
            self.columns = read.csv.header
            return
        with self.text.body(self._first) as below:
            for block in self.dialect.blocks(below):
                names, rest = self.dialect.header(below, block)
                self._first += len(block) - len(rest)
                if names is not None:
                    self.columns = tuple(names)
                    self.head = block[: len(block) - len(rest)].lstrip(b"\r\n")
                    break

    def blocks(self, offset: int, before: int) -> Iterator[tuple[int, bytes, Body]]:
        """Yield blocks of whole records as they are, with the place of each."""
        at = offset or self._first
        with self.text.body(at) as body:
            body.records = before
            for block in self.dialect.blocks(body):
                yield at, block, body
                at += len(block)

    def chunks(self, offset: int, before: int) -> Iterator[Chunk]:
        """Yield the records."""
        names = list(self.columns)
        for at, block, body in self.blocks(offset, before):
            base = 0
            for batch in self.dialect.parsed(body, block, names):
                rows = list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
                yield Chunk(at, base, names, rows)
                base += len(rows)
                body.records += len(rows)


def _after_lines(body: Body, lines: int) -> int:
    """Return where the text goes on after so many lines."""
    at = 0
    for chunk in body.text() if lines else ():
        start = 0
        while lines:
            end = chunk.find(b"\n", start) + 1
            if not end:
                break
            start, lines = end, lines - 1
        at += start if not lines else len(chunk)
        if not lines:
            break
    return at


class JsonlReader:
    """JSON Lines."""

    columns = None
    from_text = False

    def __init__(self, text: TextFile, exact: bool) -> None:
        self.name = f"The file {text.name}"
        self._text = text
        self._exact = exact

    def chunks(self, offset: int, before: int) -> Iterator[Chunk]:
        """Yield the records."""
        lines = 0
        with self._text.body(offset) as body:
            body.records = before
            for block in _lines(body):
                values: list[Any] = []
                part = SourceBody(self._text.name, "jsonl", iter([block]), encoding=None, within=True)
                part.records = body.records
                for run in jsonl.read_runs(part, exact=self._exact, above=lines):
                    values += run.values
                    part.records += run.size
                yield Chunk(offset, 0, None, values)
                body.records = part.records
                offset += len(block)
                lines += block.count(b"\n")


def _lines(body: Body) -> Iterator[bytes]:
    """Yield blocks of whole lines."""
    parts: list[bytes] = []
    for chunk in body.text():
        end = chunk.rfind(b"\n") + 1
        if end:
            yield b"".join((*parts, chunk[:end]))
            parts = [chunk[end:]]
        else:
            parts.append(chunk)
        if sum(map(len, parts)) > RECORD_LIMIT:
            said = f"the line after record {body.records} is longer than {RECORD_LIMIT // 2**20} MiB"
            raise body.wrong(said, "")
    rest = b"".join(parts)
    if rest:
        yield rest


class JsonReader:
    """One JSON document. It is read from its start, wherever the records that are wanted lie."""

    columns = None
    from_text = False

    def __init__(self, text: TextFile, path: str | None, exact: bool) -> None:
        self.name = f"The file {text.name}"
        self._text = text
        self._path = path
        self._exact = exact

    def chunks(self, offset: int, before: int) -> Iterator[Chunk]:
        """Yield the records."""
        with self._text.body() as body:
            if not body.head:
                return
            for run in json.read_runs(body, self._path, exact=self._exact):
                yield Chunk(0, body.records, None, run.values)
                body.records += run.size


class ParquetReader:
    """Parquet: times become text of ISO 8601, NaN becomes null."""

    from_text = False

    def __init__(self, path: str, find: Find) -> None:
        self._source = find(path)
        self.name = f"The file {self._source.name}"
        with explained(self._source.name):
            require_arrow()
        with opened(self._source) as file, self._told():
            import pyarrow.parquet as pq

            self._empty = not file.read(1)
            file.seek(0)
            self.columns: Sequence[str] = () if self._empty else pq.ParquetFile(file).schema_arrow.names
        twice = next((name for name in self.columns if self.columns.count(name) > 1), None)
        if twice is not None:
            raise SourceError(
                f"{self.name} cannot be read as parquet: it has more than one column {twice!r}. Write it "
                "again, each column with a name of its own."
            )

    def _told(self) -> _Told:
        return _Told(self._source.name)

    def chunks(self, offset: int, before: int) -> Iterator[Chunk]:
        """Yield the records; a place is a row group."""
        import pyarrow.parquet as pq

        if self._empty:
            return
        with opened(self._source) as opened_file, self._told():
            file = pq.ParquetFile(opened_file)
            for group in range(offset, file.num_row_groups):
                base = 0
                for batch in file.iter_batches(_AT_ONCE, row_groups=[group], use_threads=False):
                    whole = in_micros(self.columns, batch.columns, before)
                    rows = list(zip(*map(_plain_column, whole), strict=True))
                    before += len(rows)
                    yield Chunk(group, base, self.columns, rows)
                    base += len(rows)


class _Told:
    """Turns what pyarrow raises into the errors of an upload."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import pyarrow as pa

        # Values that Python has not, such as a year after 9999, are a ValueError or an OverflowError, and a
        # time zone that nobody knows is a KeyError; ArrowInvalid is a ValueError.
        if isinstance(error, ValueError | OverflowError | KeyError | pa.ArrowNotImplementedError):
            raise SourceError(
                f"The file {self._name} cannot be read as parquet: {error}. Write it again, or say in "
                "submit.upload.read what it is."
            ) from None
        if isinstance(error, OSError):
            raise unreadable(self._name, error) from error


def _plain_column(column: pa.Array) -> list[Any]:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain_column(column.dictionary_decode())
    values: list[Any] = column.to_pylist()
    simple = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_boolean)
    return values if any(test(kind) for test in simple) else [_plain(value) for value in values]


class Binary:
    """Bytes that are no text, which no part can hold."""

    def __str__(self) -> str:
        return "(bytes that are no text)"


def _plain(value: Any) -> Any:
    """Return a value of Arrow as JSON has it; binary values that are no text have no such form."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return Binary()
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo is None else _in_utc(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _in_utc(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
