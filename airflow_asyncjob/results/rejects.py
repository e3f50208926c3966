"""The records that the API refused: fetched as a result is, and written beside it, with the API's reasons."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_asyncjob.definition.rejects import ENTRY, rejects_job
from airflow_asyncjob.results.destination import Destination, RemotePath, as_destination
from airflow_asyncjob.results.formats import jsonl
from airflow_asyncjob.results.jsontext import dumps
from airflow_asyncjob.results.plan import without_suffix
from airflow_asyncjob.results.rows import read_rows
from airflow_asyncjob.results.shape import Shape
from airflow_asyncjob.results.sink import Sink, remove_file
from airflow_asyncjob.results.unpack import open_bodies

if TYPE_CHECKING:
    from airflow_asyncjob.definition.models.refusal import Refusal
    from airflow_asyncjob.results.downloads import Downloads

__all__ = ["Reject", "Stage", "fetch_rejects", "rejects_place"]

Stage = Literal["local", "upload", "job"]
_NAME = "rejects.jsonl"


@dataclass(frozen=True)
class Reject:
    """One refused record: one line of the file.

    :param stage: who refused it: ``local`` this package, before it was sent; ``upload`` the answer to the
        request that sent it; ``job`` the job itself.
    :param key: what names the record, field by field; None: nothing does.
    :param number: of the record among those of the caller, from 1; None: it is not known.
    :param reason: why; None: only the entry says.
    :param record: as the caller has it; None: it is not known which.
    :param answer: the API's own entry; None: it was never asked.
    """

    stage: Stage
    key: Mapping[str, Any] | None = None
    number: int | None = None
    reason: str | None = None
    record: Mapping[str, Any] | None = None
    answer: Any = None

    def to_dict(self) -> dict[str, Any]:
        """Return the line as JSON types."""
        return {
            "key": self.key,
            "number": self.number,
            "stage": self.stage,
            "reason": self.reason,
            "record": self.record,
            "answer": self.answer,
        }


@dataclass
class _Count:
    """How many there were of each stage."""

    by_stage: Counter[str] = field(default_factory=Counter)

    def counted(self, rejects: Iterable[Reject]) -> Iterator[Reject]:
        """Pass rejects on."""
        for reject in rejects:
            self.by_stage[reject.stage] += 1
            yield reject

    def to_dict(self, uri: str | None) -> dict[str, Any]:
        """Return the field ``rejects`` of the manifest."""
        return {
            "uri": uri,
            "records": self.by_stage.total(),
            "sent": None,
            "accepted": None,
            "by_stage": {stage: self.by_stage[stage] for stage in get_args(Stage)},
            "unmatched": 0,
        }


def fetch_rejects(
    downloads: Downloads, destination: str | os.PathLike[str] | RemotePath | None, *, state: str
) -> dict[str, Any]:
    """Fetch the refused records of a job, and write them beside its result, whole or not at all.

    The file of an earlier run is removed in any case, and there is none where nothing was refused.

    :param downloads: of the job; its definition has ``result.rejects``.
    :param destination: of the result; None: they are counted, and written nowhere.
    :param state: of the job. One without data has no rejects, and the API is not asked.
    :return: the field ``rejects`` of the manifest.
    :raises AsyncJobError: they cannot be fetched, read or written.
    """
    place = None if destination is None else rejects_place(destination)
    if place is not None:
        remove_file(place)
    count = _Count()
    if state == "no_data":
        return count.to_dict(None)
    with closing(_of_job(downloads)) as found:
        return count.to_dict(_written(count.counted(found), place))


def rejects_place(destination: str | os.PathLike[str] | RemotePath) -> Destination:
    """Return where the rejects of a result lie: ``x/contacts.parquet`` has ``x/contacts.rejects.jsonl``, and
    a folder ``rejects.jsonl`` in it.

    :raises DestinationError: see :func:`~airflow_asyncjob.results.destination.as_destination`.
    """
    place = as_destination(destination)
    if place.uri.endswith("/"):
        return replace(place, uri=place.uri + _NAME, path=f"{place.path}/{_NAME}")
    if place.uri.endswith(f".{_NAME}"):
        return place
    ending = f".{_NAME}"
    return replace(place, uri=without_suffix(place.uri) + ending, path=without_suffix(place.path) + ending)


def _written(rejects: Iterator[Reject], place: Destination | None) -> str | None:
    """Write the rejects, and return where they are; None: there are none, or they are only counted."""
    first = next(rejects, None)
    if first is None:
        return None
    lines = ((reject.to_dict(), None) for reject in chain([first], rejects))
    if place is None:
        for _ in lines:
            pass
        return None
    with Sink(place, folder=False) as sink:
        with sink.file() as out:
            jsonl.write(out, lines)
        return sink.commit()[0]


def _of_job(downloads: Downloads) -> Generator[Reject, None, None]:
    """Yield what the API calls the rejects of the job."""
    assert downloads.definition.result is not None
    rejects = downloads.definition.result.rejects
    assert rejects is not None
    job = rejects_job(downloads.definition)
    records = job.result
    assert records is not None
    # Stands for the target where the request is a fixed one; an ID is needed, and need not be known.
    submission = downloads.job["submission"]
    start = (submission and submission.id) or _NAME
    downloads, targets = replace(downloads, definition=job).found(start)
    with closing(downloads.of(targets)) as opened:
        bodies = open_bodies(opened, records, job.limits.decompressed_bytes)
        for row, _ in read_rows(bodies, records, Shape(records, called="result.rejects.")):
            if rejects.when is None or row["when"]:
                yield _reject(row, rejects)


def _reject(row: Mapping[str, Any], refusal: Refusal) -> Reject:
    key = row.get("key")
    return Reject(
        "job",
        key=None if key is None or refusal.key is None else _named(key, refusal.key),
        reason=_text(row.get("reason")),
        answer=row[ENTRY],
    )


def _named(key: Any, path: str) -> Mapping[str, Any]:
    """Return a key field by field; without names of fields the path stands for one."""
    return key if isinstance(key, Mapping) else {path: key}


def _text(reason: Any) -> str | None:
    """Return a reason as text: of a list, all of it."""
    if reason is None or isinstance(reason, str):
        return reason
    if isinstance(reason, list):
        return "; ".join(text for text in map(_text, reason) if text)
    return dumps(reason)
