"""Cutting: from records to parts, and from parts to jobs, by the exact size of what is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_asyncjob.errors import UploadLimitError
from airflow_asyncjob.uploads.encode import Encode, Frame
from airflow_asyncjob.uploads.mapping import Mapper, Unmappable
from airflow_asyncjob.uploads.readers import Chunk, Reader, chunks_from
from airflow_asyncjob.uploads.source import Position

__all__ = [
    "HELD_BYTES",
    "Event",
    "JobEnd",
    "Limits",
    "PartEnd",
    "RecordCutter",
    "Reject",
    "Tally",
    "rejected",
    "too_large",
]

HELD_BYTES = 64 * 1024 * 1024
"""Largest part where the definition names no limit."""

_FLUSH = 1024 * 1024


@dataclass(frozen=True)
class Reject:
    """A record that is not sent.

    :param number: of the record in the source, from 1.
    :param key: the fields that name it; None: the upload has no key.
    :param reason: why it is not sent.
    :param record: as the caller has it, which may be no mapping.
    :param stage: where it was refused: here.
    """

    number: int
    key: dict[str, Any] | None
    reason: str
    record: Any
    stage: str = "local"


@dataclass(frozen=True)
class PartEnd:
    """All bytes of a part have come.

    :param position: of its first record.
    :param first: number of that record among those of the job that are sent, from 1.
    """

    position: Position
    first: int
    records: int
    bytes: int


@dataclass(frozen=True)
class JobEnd:
    """All parts of a job have come.

    :param position: of its first record, sent or not.
    :param span: how many records it covers, those among them that are not sent.
    :param records: how many are sent.
    :param bytes: of all bodies.
    :param mark: fingerprint of its records.
    """

    position: Position
    span: int
    records: int
    bytes: int
    mark: str


Event = bytes | PartEnd | JobEnd | Reject
"""Bytes belong to the part whose end comes next."""


@dataclass(frozen=True)
class Limits:
    """What a part and a job may have at most; None: any number.

    :param part_bytes: of one body.
    """

    part_bytes: int = HELD_BYTES
    part_records: int | None = None
    job_bytes: int | None = None
    job_records: int | None = None

    @property
    def largest(self) -> int:
        """Size of the largest body there can be."""
        return self.part_bytes if self.job_bytes is None else min(self.part_bytes, self.job_bytes)

    def check(self, frame: Frame) -> None:
        """Check that there is room for a record.

        :raises UploadLimitError: there is none.
        """
        if frame.size >= self.largest:
            field = "part_bytes" if self.largest == self.part_bytes else "job_bytes"
            raise UploadLimitError(
                f"submit.upload.{field} is {self.largest:,} bytes, and what stands around the records of a "
                f"part (envelope, CSV header) has {frame.size:,} by itself: no record fits. Nothing was "
                f"sent. Raise {field}, or make the envelope smaller."
            )


@dataclass
class Tally:
    """Where the cutting stands: the part and the job that are being filled.

    :param frame: what each part has besides its records.
    :param limits: see there.
    :param settings: what the fingerprints of jobs begin with.
    """

    frame: Frame
    limits: Limits
    settings: bytes
    start: Position
    sent: int = 0
    part_size: int = 0
    part_records: int = 0
    part_start: Position = (0, 0, 1)
    job_size: int = 0
    mark: hashlib._Hash = field(default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        self.mark.update(self.settings)

    def room(self) -> int:
        """Return how many bytes the part takes still."""
        used = self.part_size if self.part_records else self.frame.size
        part, job = self.limits.part_bytes - used, self.limits.job_bytes
        return part if job is None else min(part, job - self.job_size - used)

    def places(self) -> int | None:
        """Return how many records the part takes still; None: any number."""
        part, job = self.limits.part_records, self.limits.job_records
        left = [] if part is None else [part - self.part_records]
        left += [] if job is None else [job - self.sent]
        return min(left) if left else None

    def is_full(self, size: int) -> bool:
        """Return whether the part has no room for one more record of this size."""
        return size + (self.part_records and len(self.frame.between)) > self.room() or self.places() == 0

    def add(self, data: bytes, records: int, position: Position) -> None:
        """Count records in; a position is where the first of them lies."""
        if self.part_records:
            self.part_size += len(self.frame.between)
        else:
            self.part_size, self.part_start = self.frame.size, position
        self.part_size += len(data)
        self.part_records += records
        self.sent += records
        self.mark.update(data)

    def end_part(self) -> Iterator[Event]:
        """Close the part, where there is one."""
        if self.part_records:
            yield self.frame.tail
            first = self.sent - self.part_records + 1
            yield PartEnd(self.part_start, first, self.part_records, self.part_size)
            self.job_size += self.part_size
            self.part_size = self.part_records = 0

    def end_job(self, position: Position) -> Iterator[Event]:
        """Close the job; the next one begins at a position."""
        yield from self.end_part()
        span = position[2] - self.start[2]
        yield JobEnd(self.start, span, self.sent, self.job_size, self.mark.hexdigest())
        self.start, self.sent, self.job_size = position, 0, 0
        self.mark = hashlib.sha256(self.settings)

    def refuse(self, reject: Reject) -> Reject:
        """Count a record in that is not sent."""
        self.mark.update(b"\0%d" % reject.number)
        return reject


class RecordCutter:
    """Maps, writes and cuts records one by one.

    :param key: the fields of the caller's record that name it.
    """

    def __init__(
        self, reader: Reader, mapper: Mapper, encode: Encode, frame: Frame, limits: Limits, key: Sequence[str]
    ) -> None:
        self._reader = reader
        self._mapper = mapper
        self._encode = encode
        self._frame = frame
        self._limits = limits
        self._key = key
        self._most = limits.largest - frame.size

    def events(self, position: Position, tally: Tally, last: int | None) -> Iterator[Event]:
        """Yield the parts and jobs from a record on.

        :param tally: what was counted before; the part begins at the position.
        :param last: number of the last record; None: the last of the source.
        """
        held: list[bytes] = []
        size = 0
        number = position[2] - 1
        for chunk, start, _ in chunks_from(self._reader, position):
            for at, mapped in enumerate(self._mapper.records(chunk, start), start):
                if number == last:
                    break
                number += 1
                data = self._written(mapped, tally.sent + 1)
                if isinstance(data, str):
                    yield tally.refuse(self._reject(chunk, at, number, data))
                    continue
                here = (chunk.offset, chunk.base + at, number)
                if tally.is_full(len(data)):
                    yield from _flushed(held)
                    yield from tally.end_part()
                    size = 0
                    if tally.is_full(len(data)):
                        yield from tally.end_job(here)
                        again = self._written(mapped, 1)
                        assert isinstance(again, bytes)
                        data = again
                held.append(self._frame.between if tally.part_records else self._frame.head)
                held.append(data)
                tally.add(data, 1, here)
                size += len(data)
                if size >= _FLUSH:
                    yield from _flushed(held)
                    size = 0
            if number == last:
                break
        yield from _flushed(held)
        yield from tally.end_job((0, 0, number + 1))

    def _written(self, mapped: Mapping[str, Any] | Unmappable, number: int) -> bytes | str:
        """Return the bytes of a record, or why it is not sent."""
        if isinstance(mapped, Unmappable):
            return str(mapped)
        try:
            data = self._encode(mapped, number)
        except Unmappable as error:
            return str(error)
        return data if len(data) <= self._most else too_large(len(data), self._frame, self._limits)

    def _reject(self, chunk: Chunk, at: int, number: int, reason: str) -> Reject:
        return rejected(chunk.record(at), self._key, number, reason)


def rejected(record: Any, key: Sequence[str], number: int, reason: str) -> Reject:
    """Return a record that is not sent, and what names it."""
    if not isinstance(record, Mapping):
        return Reject(number, None, reason, record)
    return Reject(number, {name: record.get(name) for name in key} if key else None, reason, record)


def too_large(size: int, frame: Frame, limits: Limits) -> str:
    """Return why a record is larger than any part."""
    field = "part_bytes" if limits.largest == limits.part_bytes else "job_bytes"
    return (
        f"it has {size:,} bytes as it is sent, {size + frame.size:,} with what stands around it, and {field} "
        f"allows {limits.largest:,}"
    )


def _flushed(held: list[bytes]) -> Iterator[bytes]:
    if held:
        yield b"".join(held)
        held.clear()
