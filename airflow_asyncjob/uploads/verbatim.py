"""CSV that goes up as it is: cut between records, and never taken apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from airflow_asyncjob.definition.models.upload import Upload
from airflow_asyncjob.results.source import Body
from airflow_asyncjob.uploads.cut import Event, Limits, Tally, rejected, too_large
from airflow_asyncjob.uploads.encode import Frame
from airflow_asyncjob.uploads.readers import CsvReader, Reader
from airflow_asyncjob.uploads.source import Position

__all__ = ["VerbatimCutter", "VerbatimParts", "is_verbatim"]


def is_verbatim(upload: Upload, reader: Reader) -> bool:
    """Return whether a part has the same bytes as the source: same columns, same dialect, UTF-8."""
    if not isinstance(reader, CsvReader) or upload.format != "csv":
        return False
    read, written = upload.read, upload.csv
    changes = upload.fields is not None or upload.types or upload.required or read.encoding is not None
    same = (
        reader.dialect.delimiter == written.delimiter
        and read.csv.quote == written.quote
        and read.csv.escape is None
    )
    return not changes and same and bool(reader.head) and written.header


class VerbatimCutter:
    """Cuts a file between records. Each part lies in the file as it is sent, but for the header before it.

    Every record is counted and checked for the number of its values; none becomes a Python object.

    :param key: the fields of the caller's record that name it.
    """

    def __init__(self, reader: CsvReader, frame: Frame, limits: Limits, key: Sequence[str]) -> None:
        self._reader = reader
        self._frame = frame
        self._limits = limits
        self._key = key

    def events(self, position: Position, tally: Tally, last: int | None) -> Iterator[Event]:
        """Yield the parts and jobs from a record on; as :meth:`RecordCutter.events`."""
        number = position[2] - 1
        for at, block, body in self._reader.blocks(position[0], number):
            start = 0
            while start < len(block) and number != last:
                if not tally.part_records and block[start] in b"\r\n":
                    start += 1  # an empty line is no record, and no part begins with one
                    continue
                here = (at + start, 0, number + 1)
                end = self._fitting(block, start, tally, None if last is None else last - number)
                if end > start:
                    data = block[start:end]
                    count = self._counted(body, data)
                    if not tally.part_records:
                        yield self._frame.head
                    yield data
                    tally.add(data, count, here)
                    number, start = number + count, end
                    continue
                if tally.part_records:
                    yield from tally.end_part()
                    continue
                stop = next(self._reader.dialect.record_ends(block, start))
                if stop - start + self._frame.size > self._limits.largest:
                    number += 1
                    said = too_large(stop - start, self._frame, self._limits)
                    record = self._record(body, block[start:stop])
                    yield tally.refuse(rejected(record, self._key, number, said))
                    start = stop
                else:
                    yield from tally.end_job(here)
            if number == last:
                break
        yield from tally.end_job((0, 0, number + 1))

    def _fitting(self, block: bytes, start: int, tally: Tally, left: int | None) -> int:
        """Return where the last record ends that the part takes still."""
        dialect, room = self._reader.dialect, tally.room()
        if room <= 0:
            return start
        end, places = len(block), [most for most in (tally.places(), left) if most is not None]
        if end - start > room:
            end = start + dialect.end_of_records(block[start : start + room])
            if end == start:  # perhaps lines end with a carriage return only
                first = next(dialect.record_ends(block, start))
                end = first if first - start <= room else start
        if places and block.count(b"\n", start, end) + block.count(b"\r", start, end) > min(places):
            ends = list(islice(dialect.record_ends(block, start), min(places)))
            end = min(end, ends[-1] if ends else start)
        return end

    def _counted(self, body: Body, data: bytes) -> int:
        names = list(self._reader.columns)
        batches = self._reader.dialect.parsed(body, data, names, only=names[:1])
        count = sum(int(batch.num_rows) for batch in batches)
        body.records += count
        return count

    def _record(self, body: Body, data: bytes) -> dict[str, str]:
        names = list(self._reader.columns)
        body.records += 1
        for batch in self._reader.dialect.parsed(body, data, names):
            for row in batch.to_pylist():
                return dict(row)
        return {}


class VerbatimParts:
    """Reads parts of a file as they are; it goes on where it stands, as far as it can."""

    def __init__(self, reader: CsvReader, head: bytes) -> None:
        self._reader = reader
        self._head = head
        self._stream: Iterator[bytes] | None = None
        self._at = -1
        self._rest = b""

    def chunks(self, offset: int, size: int) -> Iterator[bytes]:
        """Yield a part; fewer bytes than its size where the file has become shorter.

        :param size: of the body, with its header.
        """
        yield self._head
        left = size - len(self._head)
        self._go_to(offset)
        while left > 0:
            piece = self._next()
            if not piece:
                yield b"\n"  # the last line of the file has no end of its own
                return
            self._rest = piece[left:]
            self._at += min(left, len(piece))
            yield piece[:left]
            left -= len(piece)

    def _go_to(self, offset: int) -> None:
        if self._stream is None or offset < self._at:
            self._stream, self._at, self._rest = self._opened(offset), offset, b""
        while self._at < offset:
            piece = self._next()
            if not piece:
                return
            over = max(len(piece) - (offset - self._at), 0)
            self._rest = piece[len(piece) - over :] if over else b""
            self._at += len(piece) - over

    def _next(self) -> bytes:
        assert self._stream is not None
        piece, self._rest = self._rest or next(self._stream, b""), b""
        return piece

    def _opened(self, offset: int) -> Iterator[bytes]:
        with self._reader.text.body(offset) as body:
            yield from body.text()
