"""Sending: parts are made again as they were planned, and records found again by what an API says of them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_asyncjob.definition.models.upload import Upload
from airflow_asyncjob.definition.parts import PartInfo, Plan
from airflow_asyncjob.errors import SourceChangedError
from airflow_asyncjob.results.values import as_cell
from airflow_asyncjob.transport.upload import Find
from airflow_asyncjob.uploads.cut import Event, JobEnd, PartEnd
from airflow_asyncjob.uploads.opened import OpenedUpload
from airflow_asyncjob.uploads.plan import local_rejects
from airflow_asyncjob.uploads.readers import CsvReader
from airflow_asyncjob.uploads.source import explained
from airflow_asyncjob.uploads.verbatim import VerbatimParts

__all__ = ["FoundRecord", "PartReader", "find_records", "key_of"]


class PartReader:
    """Makes the bodies of the parts that a plan describes. It reads on where it stands: parts in their order
    cost one pass over the source.

    :param names: the same as the plan was made with.
    :raises UploadError: the source cannot be read.
    """

    def __init__(self, upload: Upload, names: Mapping[str, Any], find: Find, plan: Plan) -> None:
        self._opened = OpenedUpload(upload, names, find)
        self._plan = plan
        self._events: Iterator[Event] = iter(())
        self._next = 0
        reader = self._opened.reader
        self._direct = (
            VerbatimParts(reader, self._opened.frame.head)
            if self._opened.as_it_is and isinstance(reader, CsvReader)
            else None
        )

    def size(self, number: int) -> int:
        """Return how many bytes the body of a part has.

        :param number: from 1.
        """
        return self._plan.parts[number - 1].bytes

    def body(self, number: int) -> bytes:
        """Return the body of a part.

        :param number: from 1.
        :raises SourceChangedError: it is not what was planned.
        :raises UploadError: the source cannot be read.
        """
        return b"".join(self.chunks(number))

    def chunks(self, number: int) -> Iterator[bytes]:
        """Yield the body of a part, about 1 MiB at a time. The last piece comes once the whole is known to be
        what was planned.

        :raises SourceChangedError: it is not.
        :raises UploadError: the source cannot be read.
        """
        part = self._plan.parts[number - 1]
        found, size = hashlib.sha256(), 0
        held = b""
        with explained(self._opened.given.path):
            for piece in self._pieces(part):
                found.update(piece)
                size += len(piece)
                if size > part.bytes:
                    break
                if held:
                    yield held
                held = piece
        if size != part.bytes or found.hexdigest() != part.sha256:
            self._next = 0
            raise SourceChangedError(
                f"{self._opened.reader.name} changed in mid-upload: part {number} of {part.count} (from "
                f"record {part.first:,} on) is not what was planned. It was not sent; what was acknowledged "
                "before is at the API. Let the file stay as it is until the upload is done, then clear the "
                "task."
            )
        yield held

    def _pieces(self, part: PartInfo) -> Iterator[bytes]:
        if self._direct is not None:
            yield from self._direct.chunks(part.position[0], part.bytes)
            return
        if part.number != self._next:
            before = sum(other.bytes for other in self._plan.parts[: part.number - 1])
            self._events = self._opened.events(part.position, first=part.first, job_bytes=before)
        self._next = 0
        for event in self._events:
            if isinstance(event, bytes):
                yield event
            elif isinstance(event, PartEnd):
                self._next = part.number + 1
                return
            elif isinstance(event, JobEnd):
                return


@dataclass(frozen=True)
class FoundRecord:
    """One of the caller's records.

    :param number: in the source, from 1.
    :param sent: its number among those that the job sends, from 1: what ``part.first`` counts.
    :param key: the fields that name it; None: the upload has no key.
    """

    number: int
    sent: int
    key: dict[str, Any] | None
    record: Mapping[str, Any]


def key_of(values: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return what names a record as text, which is how an API says it."""
    return tuple("" if value is None else str(as_cell(value)) for value in (values or {}).values())


def find_records(
    upload: Upload,
    names: Mapping[str, Any],
    find: Find,
    *,
    keys: Collection[tuple[str, ...]] = (),
    numbers: Collection[int] = (),
    rejected: Collection[int] | None = None,
) -> Iterator[FoundRecord]:
    """Yield the caller's records that were sent and have one of the keys or numbers, in one pass.

    :param keys: values of ``upload.key`` as text, as :func:`key_of` gives them.
    :param numbers: numbers among the records that the job sends, from 1.
    :param rejected: numbers of the records that were not sent; None: they are found out by one more pass.
    :raises UploadError: the source cannot be read.
    """
    if rejected is None:
        rejected = {reject.number for reject in local_rejects(upload, names, find)}
    opened = OpenedUpload(upload, names, find)
    sent = 0
    with explained(opened.given.path):
        for chunk, start, first in opened.records():
            for number, at in enumerate(range(start, len(chunk.values)), first):
                if opened.last is not None and number > opened.last:
                    return
                if number in rejected:
                    continue
                sent += 1
                if sent not in numbers and not keys:
                    continue
                record = chunk.record(at)
                key = {name: record.get(name) for name in upload.key} if upload.key else None
                if sent in numbers or (keys and key_of(key) in keys):
                    yield FoundRecord(number, sent, key, record)
