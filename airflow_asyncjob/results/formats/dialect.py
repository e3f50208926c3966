"""Text in columns, as an API writes it down: cut into blocks of whole records, and read by Arrow."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.errors import FormatError
from airflow_asyncjob.results.source import RECORD_LIMIT, Body
from airflow_asyncjob.results.table import MOST_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Dialect"]

_BLOCK = 1024 * 1024
_DEFAULTS = {"csv": ",", "tsv": "\t"}


class Dialect:
    """Delimiter, quotes and header of a definition, compiled once.

    :param records: its ``format`` is csv or tsv.
    """

    def __init__(self, records: Records) -> None:
        self._given = records.csv
        self.delimiter = self._given.delimiter or _DEFAULTS[records.format]
        """One character."""
        self._quote = self._given.quote
        self._escape = self._given.escape
        self._special = tuple(mark.encode() for mark in (self._quote, self._escape) if mark is not None)
        pattern = _pattern(self.delimiter, self._quote, self._escape)
        self._record = re.compile(pattern, re.DOTALL)
        self._records = re.compile(b"(?:" + pattern + b")*+", re.DOTALL)
        self._tidy = (
            re.compile(_tidy(self.delimiter, self._quote)) if self._quote and not self._escape else None
        )
        self._blank = b" \t\r\n".replace(self.delimiter.encode(), b"")
        self._for_python: dict[str, Any] = {
            "delimiter": self.delimiter,
            "quotechar": self._quote,
            "escapechar": self._escape,
            "quoting": csv.QUOTE_NONE if self._quote is None else csv.QUOTE_MINIMAL,
        }

    def batches(self, body: Body) -> Iterator[pa.RecordBatch]:
        """Yield the records as columns of text; the first batch has none, and tells the columns.

        :raises FormatError: a record has more or fewer fields than the header, a name comes twice, or a
            record is over 32 MiB.
        :raises TruncatedError: the text ends within a quoted value.
        """
        header = list(self._given.header) if isinstance(self._given.header, tuple) else None
        if header is not None:
            yield _empty(header)
        for block in self.blocks(body):
            if header is None:
                header, block = self.header(body, block)
                if header is None:
                    continue
                yield _empty(header)
            if block:
                yield from self.parsed(body, block, header)

    def header(self, body: Body, block: bytes) -> tuple[list[str] | None, bytes]:
        """Return the names of the first line that is not blank, and what follows it; None: all is blank.

        :raises FormatError: it cannot be read, or names a column twice.
        """
        match = None
        start = 0
        while start < len(block):
            match = self._record.match(block, start)
            assert match is not None
            start = match.end()
            if match[0].strip(self._blank):
                break
        else:
            return None, b""
        names = self._names(body, match[0])
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise body.wrong(
                f"the header names {', '.join(repr(name) for name in twice)} more than once",
                "Have the API name its columns apart, or set format: raw to keep the bytes",
            )
        return names, block[start:]

    def _names(self, body: Body, line: bytes) -> list[str]:
        try:
            if line.count(self.delimiter.encode()) < MOST_COLUMNS:
                return next(csv.reader([line.decode()], **self._for_python))
            fault = f"it has more than {MOST_COLUMNS} columns"
        except csv.Error as error:
            fault = str(error)
        raise body.wrong(f"the header cannot be read: {fault}", "The first line must name the columns")

    def parsed(
        self, body: Body, block: bytes, header: list[str], *, only: list[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield a block of whole records as columns of text.

        :param only: the columns that are wanted; None: all. Records are checked as a whole anyway.
        :raises FormatError: a record has more or fewer fields than the header.
        """
        import pyarrow as pa
        import pyarrow.csv

        ragged: list[Any] = []

        def note(row: Any) -> str:
            ragged.append(row)
            return "error"

        try:
            table = pyarrow.csv.read_csv(
                pa.BufferReader(block),
                # One block, one thread: the blocks are cut here, between records, in the caller's own thread.
                read_options=pyarrow.csv.ReadOptions(
                    use_threads=False, block_size=len(block) + 1, column_names=header
                ),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=self.delimiter,
                    quote_char=self._quote or False,
                    escape_char=self._escape or False,
                    newlines_in_values=True,
                    invalid_row_handler=note,
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(header, pa.string()),
                    include_columns=only,
                    strings_can_be_null=False,
                    check_utf8=False,
                ),
            )
        except pa.ArrowInvalid as error:
            raise _ragged(body, ragged, error) from None
        yield from table.to_batches()

    def blocks(self, body: Body) -> Iterator[bytes]:
        """Yield blocks of whole records, about 1 MiB each."""
        rest = b""
        waiting: list[bytes] = []
        size, wanted = 0, _BLOCK
        for chunk in self._after_skipped(body):
            waiting.append(chunk)
            size += len(chunk)
            if size < wanted and len(rest) + size <= RECORD_LIMIT:
                continue
            block = rest + b"".join(waiting)
            end = self.end_of_records(block)
            if end:
                yield block[:end]
            rest = block[end:]
            waiting, size = [], 0
            # A record that is not whole yet is looked at again when it is twice as long.
            wanted = max(_BLOCK, len(rest))
            if len(rest) > RECORD_LIMIT:
                raise body.wrong(
                    f"the record after record {body.records} is longer than {RECORD_LIMIT // 2**20} MiB",
                    "A quote may not be closed: have the API send CSV as RFC 4180 describes it, or say in "
                    "csv how it is written down",
                )
        block = rest + b"".join(waiting)
        if not block.strip(self._blank):
            return
        block = block if block.endswith(b"\n") else block + b"\n"
        end = self.end_of_records(block)
        if end:
            yield block[:end]
        if end < len(block):
            raise body.truncated(f"it ends within a quoted value, after record {body.records}")

    def record_ends(self, block: bytes, start: int) -> Iterator[int]:
        """Yield where each record of a block of whole records ends."""
        for match in self._record.finditer(block, start):
            yield match.end()

    def _after_skipped(self, body: Body) -> Iterator[bytes]:
        skipped = 0
        for chunk in body.text():
            while skipped < self._given.skip_lines:
                end = chunk.find(b"\n") + 1
                if not end:
                    break
                chunk = chunk[end:]
                skipped += 1
            else:
                if chunk:
                    yield chunk

    def end_of_records(self, block: bytes) -> int:
        """Return where the last whole record ends. A line break within quotes ends none."""
        last = block.rfind(b"\n") + 1
        if not any(mark in block for mark in self._special):
            return last
        # Where every quote is where it belongs, as almost always, one look from quote to quote will do.
        if self._tidy is not None and self._tidy.fullmatch(block, 0, last):
            return last
        match = self._records.match(block, 0, last)
        assert match is not None  # it matches emptiness
        return match.end()


def _pattern(delimiter: str, quote: str | None, escape: str | None) -> bytes:
    """Return what matches one record, with the end of its line.

    Possessive throughout: a match then needs no memory of its own, however many fields a hostile record has.
    """
    sep = re.escape(delimiter)
    out, escaped = rf"[^{sep}\r\n]*+", ""
    if escape is not None:
        esc = re.escape(escape)
        out, escaped = rf"[^{sep}{esc}\r\n]*+(?:{esc}.[^{sep}{esc}\r\n]*+)*+", f"|{esc}."
    field = out
    if quote is not None:
        q = re.escape(quote)
        within = rf"[^{q}{re.escape(escape or '')}]*+"
        field = rf"(?:{q}{within}(?:(?:{q}{q}{escaped}){within})*+{q})?+(?!{q}){out}"
    return rf"{field}(?:{sep}{field})*+(?:\r\n|\n|\r)".encode()


def _tidy(delimiter: str, quote: str) -> bytes:
    """Return what matches whole records in which all quotes stand around values, or are doubled in them."""
    sep, q = re.escape(delimiter), re.escape(quote)
    value = rf"(?<![^{sep}\r\n]){q}[^{q}]*+(?:{q}{q}[^{q}]*+)*+{q}(?=[{sep}\r\n])"
    return rf"(?:[^{q}]*+{value})*+[^{q}]*+".encode()


def _ragged(body: Body, rows: list[Any], error: Exception) -> FormatError:
    if not rows:
        return body.wrong(f"after record {body.records}: {error}", "Say in csv how it is written down")
    row = rows[0]
    return body.wrong(
        f"record {body.records + row.number} has {row.actual_columns} values, and the header has "
        f"{row.expected_columns} names: {row.text[:80]!r}",
        "A value with a delimiter, a quote or a line break in it must be quoted; if the values are told "
        "apart in another way, say so in csv",
    )


def _empty(header: list[str]) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_pydict({name: pa.array([], pa.string()) for name in header})
