"""An upload with its source: everything that is compiled once, and the cutter that fits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_asyncjob.definition.models.upload import Upload
from airflow_asyncjob.transport.upload import Find
from airflow_asyncjob.uploads.cut import HELD_BYTES, Event, Limits, RecordCutter, Tally
from airflow_asyncjob.uploads.encode import encoder_of, frame_of
from airflow_asyncjob.uploads.mapping import Mapper, needs_exact
from airflow_asyncjob.uploads.readers import Chunk, CsvReader, chunks_from, reader_of
from airflow_asyncjob.uploads.source import START, Position, explained, given_source
from airflow_asyncjob.uploads.verbatim import VerbatimCutter, is_verbatim

__all__ = ["OpenedUpload"]

_VERSION = 1
_NOT_CUT_BY = {"source", "key", "on_invalid"}


class OpenedUpload:
    """What one job sends.

    :param names: that the templates of the source and the envelope see.
    :param find: finds files.
    :raises UploadError: the source cannot be read, or no record fits into a part.
    :raises TemplateError: the source or the envelope cannot be rendered.
    """

    def __init__(self, upload: Upload, names: Mapping[str, Any], find: Find) -> None:
        self.upload = upload
        self.given = given_source(upload, names)
        self.piece = self.given.piece
        with explained(self.given.path):
            self.reader = reader_of(upload, self.given, find, exact=needs_exact(upload))
            self._mapper = Mapper(upload, self.reader)
            columns = self._columns() if upload.format == "csv" else ()
        self.as_it_is = is_verbatim(upload, self.reader)
        self.frame = frame_of(upload, names, columns)
        if self.as_it_is and isinstance(self.reader, CsvReader):
            self.frame = type(self.frame)(self.reader.head)
        self._encode = encoder_of(upload, columns)
        self._limits = Limits(
            upload.part_bytes or HELD_BYTES, upload.part_records, upload.job_bytes, upload.job_records
        )
        self._limits.check(self.frame)

    @property
    def start(self) -> Position:
        """Where the first record of the job lies."""
        return START if self.piece is None else self.piece.position

    @property
    def last(self) -> int | None:
        """Number of the last record of the job; None: the last of the source."""
        return None if self.piece is None else self.start[2] + self.piece.records - 1

    def events(
        self, position: Position | None = None, *, first: int = 1, job_bytes: int = 0
    ) -> Iterator[Event]:
        """Yield parts and jobs.

        :param position: of the first record of a part; None: the first part.
        :param first: number of that record among those that are sent.
        :param job_bytes: of the parts before it.
        """
        start = position or self.start
        tally = Tally(self.frame, self._limits, self._settings(), start, sent=first - 1, job_size=job_bytes)
        args = (self.frame, self._limits, self.upload.key)
        if self.as_it_is and isinstance(self.reader, CsvReader):
            return VerbatimCutter(self.reader, *args).events(start, tally, self.last)
        return RecordCutter(self.reader, self._mapper, self._encode, *args).events(start, tally, self.last)

    def records(self) -> Iterator[tuple[Chunk, int, int]]:
        """Yield the caller's records of the job, as :func:`chunks_from` does."""
        return chunks_from(self.reader, self.start)

    def _columns(self) -> Sequence[str]:
        """Return the columns of CSV: the fields, else those of the source, else those of its first record."""
        if self.upload.fields is not None:
            return tuple(self.upload.fields)
        if self.reader.columns is not None:
            return self.reader.columns
        for chunk in self.reader.chunks(0, 0):
            first = chunk.values[0] if chunk.values else None
            return tuple(first) if isinstance(first, Mapping) else ()
        return ()

    def _settings(self) -> bytes:
        """Return what decides besides the records how they are cut."""
        settings = self.upload.model_dump(mode="json", exclude=_NOT_CUT_BY)
        return json.dumps([_VERSION, settings], sort_keys=True).encode()
