"""The records that the API refused: fetched as a result is, and written beside it, with the API's reasons."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from airflow_asyncjob.definition.rejects import ENTRY, rejects_job
from airflow_asyncjob.protocol.refusals import key_by_fields, place_of, reason_text
from airflow_asyncjob.results.destination import Destination, RemotePath, as_destination
from airflow_asyncjob.results.formats import jsonl
from airflow_asyncjob.results.jsontext import dumps_any
from airflow_asyncjob.results.plan import without_suffix
from airflow_asyncjob.results.rows import read_rows
from airflow_asyncjob.results.shape import Shape
from airflow_asyncjob.results.sink import Sink, remove_file
from airflow_asyncjob.results.unpack import open_bodies

if TYPE_CHECKING:
    from airflow_asyncjob.definition.models.refusal import Refusal
    from airflow_asyncjob.results.downloads import Downloads

__all__ = ["Accounting", "Reject", "Stage", "fetch_rejects", "rejects_place"]

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
    :param record: as the caller has it, mostly a mapping; None: it is not known which, or is null itself.
    :param answer: the API's own entry; None: it was never asked.
    """

    stage: Stage
    key: Mapping[str, Any] | None = None
    number: int | None = None
    reason: str | None = None
    record: Any = None
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


class Accounting(Protocol):
    """Knows the records that the job was given, see :class:`airflow_asyncjob.uploads.account.Account`."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The caller's fields that name a record."""
        ...

    @property
    def sent(self) -> int:
        """How many records were sent; known after :meth:`before`."""
        ...

    @property
    def accepted(self) -> int:
        """How many of them nobody refused."""
        ...

    @property
    def unmatched(self) -> int:
        """How many rejects name none of them."""
        ...

    def before(self) -> Iterator[Reject]:
        """Yield what was refused before the job ran."""
        ...

    def matched(self, rejects: Iterable[Reject]) -> Iterator[Reject]:
        """Yield rejects with the caller's record that each is about."""
        ...


@dataclass
class _Count:
    """How many there were of each stage."""

    by_stage: Counter[str] = field(default_factory=Counter)

    def counted(self, rejects: Iterable[Reject]) -> Iterator[Reject]:
        """Pass rejects on."""
        for reject in rejects:
            self.by_stage[reject.stage] += 1
            yield reject

    def to_dict(self, uri: str | None, account: Accounting | None, state: str) -> dict[str, Any]:
        """Return the field ``rejects`` of the manifest."""
        known = account is not None and state in ("done", "partial", "no_data")
        return {
            "uri": uri,
            "records": self.by_stage.total(),
            "sent": account.sent if account else None,
            "accepted": account.accepted if account and known else None,
            "by_stage": {stage: self.by_stage[stage] for stage in get_args(Stage)},
            "unmatched": account.unmatched if account else 0,
        }


def fetch_rejects(
    downloads: Downloads,
    destination: str | os.PathLike[str] | RemotePath | None,
    *,
    state: str,
    account: Accounting | None = None,
) -> dict[str, Any]:
    """Fetch the refused records of a job, and write them beside its result, whole or not at all.

    With them come those that were not sent, and those that the upload's answers refused.

    The file of an earlier run is removed in any case, and there is none where nothing was refused.

    :param downloads: of the job; without ``result.rejects`` the API is not asked for any.
    :param destination: of the result; None: they are counted, and written nowhere.
    :param state: of the job. One without data has no rejects, and the API is not asked.
    :param account: of the records that the job was given; None: it was given none.
    :return: the field ``rejects`` of the manifest.
    :raises AsyncJobError: they cannot be fetched, read or written.
    """
    place = None if destination is None else rejects_place(destination)
    if place is not None:
        remove_file(place)
    result, count = downloads.definition.result, _Count()
    rejects = result.rejects if result is not None else None
    of_job = rejects is not None and rejects.from_ != "upload" and state != "no_data"
    with closing(_all(downloads, account, of_job=of_job)) as found:
        uri = _written(count.counted(found), place)
    return count.to_dict(uri, account, state)


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
    lines = ((None, dumps_any(reject.to_dict())) for reject in chain([first], rejects))
    if place is None:
        for _ in lines:
            pass
        return None
    with Sink(place, folder=False) as sink:
        with sink.file() as out:
            jsonl.write(out, lines)
        return sink.commit()[0]


def _all(downloads: Downloads, account: Accounting | None, *, of_job: bool) -> Generator[Reject, None, None]:
    """Yield the rejects of all stages."""
    if account is not None:
        yield from account.before()
    if of_job:
        with closing(_of_job(downloads, account)) as found:
            yield from found if account is None else account.matched(found)


def _of_job(downloads: Downloads, account: Accounting | None) -> Generator[Reject, None, None]:
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
                yield _reject(row, rejects, account)


def _reject(row: Mapping[str, Any], refusal: Refusal, account: Accounting | None) -> Reject:
    key, number = row.get("key"), None
    named = {refusal.key: key} if refusal.key and not isinstance(key, Mapping) and key is not None else key
    if account is not None:
        named = key_by_fields(key, account.keys)
        number = place_of(row.get("index"), refusal.index_base, 1, account.sent)
    return Reject("job", key=named, number=number, reason=reason_text(row.get("reason")), answer=row[ENTRY])
