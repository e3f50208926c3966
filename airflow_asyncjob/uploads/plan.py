"""Planning: the source is read once, so that everything about the parts is known before any is sent."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from airflow_asyncjob.definition.models.upload import Upload
from airflow_asyncjob.definition.parts import PartInfo, Plan
from airflow_asyncjob.errors import (
    EmptySourceError,
    RecordError,
    SourceChangedError,
    SourceError,
    UploadLimitError,
)
from airflow_asyncjob.transport.upload import Find
from airflow_asyncjob.uploads.cut import JobEnd, PartEnd, Reject
from airflow_asyncjob.uploads.opened import OpenedUpload
from airflow_asyncjob.uploads.source import explained

__all__ = ["local_rejects", "pieces_of", "plan_upload"]


def plan_upload(upload: Upload, names: Mapping[str, Any], find: Find, *, md5: bool = False) -> Plan:
    """Return how the records of one job are cut into parts. Nothing is kept of them but numbers and hashes.

    :param names: that the templates of the source and the envelope see.
    :param find: finds files.
    :param md5: of each part too; it takes more time than everything else about a body.
    :raises SourceError: the source is not what the definition reads.
    :raises EmptySourceError: it has no records, or none that can be sent.
    :raises RecordError: a record cannot be sent, with ``on_invalid: fail``.
    :raises UploadLimitError: no record fits, or the source has more than one job takes.
    :raises SourceChangedError: a piece is not what it was when it was planned.
    :raises TemplateError: the source or the envelope cannot be rendered.
    """
    opened = OpenedUpload(upload, names, find)
    parts: list[PartInfo] = []
    jobs: list[JobEnd] = []
    refused = _Refused(opened)
    sums = _Sums(md5)
    with explained(opened.given.path):
        for event in opened.events():
            if isinstance(event, Reject):
                refused.add(event)
            elif isinstance(event, JobEnd):
                jobs.append(event)
            elif jobs:
                continue  # it is more than one job takes: how many jobs, the error is to say
            elif isinstance(event, PartEnd):
                parts.append(_info(event, len(parts) + 1, sums))
                sums = _Sums(md5)
            else:
                sums.add(event)
    job = jobs[0]
    if opened.piece is not None and (len(jobs) > 1 or job.mark != opened.piece.mark):
        raise SourceChangedError(
            f"{opened.reader.name} is not what it was when its pieces were planned: the records from number "
            f"{opened.start[2]:,} on are others. Nothing was sent. Plan it again, and let it stay as it is "
            "until all jobs have sent theirs."
        )
    _check(opened, jobs, refused)
    last = replace(parts[-1], last=True)
    whole = tuple(replace(part, count=len(parts)) for part in (*parts[:-1], last))
    return Plan(whole, job.records, job.bytes, refused.count, job.mark)


def pieces_of(upload: Upload, names: Mapping[str, Any], find: Find) -> list[dict[str, Any]]:
    """Return a file in pieces, each of which one job sends: what ``inputs`` of such a job take for the file.

    :return: for each, ``source`` (the path), ``first`` (number of its first record), ``records`` (how many),
        ``bytes`` (of all bodies), and what finds and recognises them again; never records.
    :raises SourceError: the source is a list, or is not what the definition reads; see also
        :func:`plan_upload`.
    """
    opened = OpenedUpload(upload, names, find)
    if opened.given.records is not None:
        raise SourceError(
            "A list of records is not planned: the pieces would be the records themselves. Give the path of "
            "a file that an earlier task wrote, or run one job with the list."
        )
    jobs: list[JobEnd] = []
    refused = _Refused(opened)
    with explained(opened.given.path):
        for event in opened.events():
            if isinstance(event, Reject):
                refused.add(event)
            elif isinstance(event, JobEnd):
                jobs.append(event)
    _check(opened, jobs[:1], refused)
    return [
        {
            "source": opened.given.path,
            "first": job.position[2],
            "records": job.span,
            "bytes": job.bytes,
            "position": list(job.position),
            "mark": job.mark,
        }
        for job in jobs
    ]


def local_rejects(upload: Upload, names: Mapping[str, Any], find: Find) -> Iterator[Reject]:
    """Yield the records of a job that are not sent, in their order. The source is read once more.

    :raises UploadError: see :func:`plan_upload`.
    """
    opened = OpenedUpload(upload, names, find)
    with explained(opened.given.path):
        yield from (event for event in opened.events() if isinstance(event, Reject))


class _Sums:
    """What tells a body from others."""

    def __init__(self, md5: bool) -> None:
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None

    def add(self, data: bytes) -> None:
        """Count more of the body in."""
        self._sha256.update(data)
        if self._md5 is not None:
            self._md5.update(data)

    @property
    def sha256(self) -> str:
        """In hex."""
        return self._sha256.hexdigest()

    @property
    def md5(self) -> str:
        """In base64; empty: it is not wanted."""
        return "" if self._md5 is None else base64.b64encode(self._md5.digest()).decode()


class _Refused:
    """Counts the records that are not sent."""

    def __init__(self, opened: OpenedUpload) -> None:
        self._opened = opened
        self.count = 0
        self.first = ""

    def add(self, reject: Reject) -> None:
        """Count one in.

        :raises RecordError: with ``on_invalid: fail``.
        """
        said = f"record {reject.number:,}{_called(reject)}: {reject.reason}"
        if self._opened.upload.on_invalid == "fail":
            raise RecordError(
                f"{self._opened.reader.name} cannot be sent: {said}. Nothing was sent. Correct the record, "
                "or set submit.upload.on_invalid to reject, which leaves such records out."
            )
        self.count += 1
        self.first = self.first or said


def _called(reject: Reject) -> str:
    named = {name: value for name, value in (reject.key or {}).items() if value is not None}
    return f" ({', '.join(f'{name} {value!r}' for name, value in named.items())})" if named else ""


def _check(opened: OpenedUpload, jobs: list[JobEnd], refused: _Refused) -> None:
    name = opened.reader.name
    if not jobs[0].records:
        if not refused.count:
            raise EmptySourceError(
                f"{name} is empty: there are no records to send. Nothing was sent. Look at the task that "
                "made it, or skip the job when there is nothing to send."
            )
        raise EmptySourceError(
            f"{name} has no record that can be sent; of {refused.count:,} the first is {refused.first}. "
            "Nothing was sent. Correct the records, or submit.upload."
        )
    if len(jobs) > 1:
        sent, size = sum(job.records for job in jobs), sum(job.bytes for job in jobs)
        upload = opened.upload
        limits = {"job_bytes": upload.job_bytes, "job_records": upload.job_records}
        said = " and ".join(f"{field} {limit:,}" for field, limit in limits.items() if limit is not None)
        raise UploadLimitError(
            f"{name} has {sent:,} records in {size:,} bytes to send, and one job takes no more than {said}: "
            f"it takes {len(jobs)} jobs. Nothing was sent. Plan them with UploadPlanOperator, which gives "
            "one piece to each of as many mapped jobs."
        )


def _info(end: PartEnd, number: int, sums: _Sums) -> PartInfo:
    return PartInfo(
        number=number,
        first=end.first,
        records=end.records,
        bytes=end.bytes,
        last=False,
        count=0,
        sha256=sums.sha256,
        md5=sums.md5,
        position=end.position,
    )
