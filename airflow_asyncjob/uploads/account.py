"""What became of the records that a job was given: which were not sent, which were refused, and which record
a reject is about. The source is read again for it, where there is such a record, so that none has to be kept
meanwhile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.definition.models.upload import Upload
from airflow_asyncjob.errors import SourceChangedError
from airflow_asyncjob.protocol.messages import Submission
from airflow_asyncjob.results.jsontext import dumps
from airflow_asyncjob.results.rejects import Reject
from airflow_asyncjob.transport.upload import Find
from airflow_asyncjob.uploads.cut import JobEnd
from airflow_asyncjob.uploads.cut import Reject as Unsent
from airflow_asyncjob.uploads.opened import OpenedUpload
from airflow_asyncjob.uploads.sending import FoundRecord, find_records, key_of
from airflow_asyncjob.uploads.source import explained

__all__ = ["Account", "account_of"]

_AT_ONCE = 64 * 1024 * 1024
"""Bytes of rejects that are held at once, to be looked for in one pass over the source."""
_OBJECT = 1000
"""About what a reject takes besides the text of its entry."""


class Account:
    """The records of one job. It is asked once, in the order of the methods.

    :param definition: its submit has an upload.
    :param names: that the templates of the source see, the same as the submit's.
    :param find: finds files.
    :param refused: returns the records that answers to the upload refused, as
        :mod:`airflow_asyncjob.protocol.refusals` describes them; None: no answer was read for any.
    :param submission: says what was sent. Where it says that nothing was left out, the source is read only if
        something was refused. None: that is not known.
    """

    def __init__(
        self,
        definition: AsyncJob,
        names: Mapping[str, Any],
        find: Find,
        refused: Callable[[], Iterable[Mapping[str, Any]]] | None = None,
        submission: Submission | None = None,
    ) -> None:
        assert definition.submit is not None
        assert definition.submit.upload is not None
        upload = definition.submit.upload
        self.keys = upload.key
        self.sent = 0
        self.unmatched = 0
        self._upload = upload
        self._names = names
        self._find = find
        self._refused = refused
        self._submission = submission
        self._read = False
        self._unsent: set[int] = set()
        self._gone = bytearray()
        self._found: set[int | None] = set()
        self._nameless = 0
        self._naming = {"upload": _names_one(definition.submit.steps or (), upload), "job": False}
        if definition.result is not None:
            self._naming["job"] = _names_one([definition.result], upload)

    @property
    def accepted(self) -> int:
        """How many of the records that were sent nobody refused."""
        refused = sum(byte.bit_count() for byte in self._gone)
        return max(0, self.sent - refused - len(self._found) - self.unmatched - self._nameless)

    def before(self) -> Iterator[Reject]:
        """Yield what was refused before the job ran: records that were not sent, and those of the upload.

        :raises UploadError: the source cannot be read, or is not what it was when it was planned.
        """
        if self._submission is not None and self._submission.mark and self._submission.left_out == 0:
            self.sent = self._submission.records
        else:
            yield from self._not_sent()
        self._gone = bytearray(self.sent // 8 + 1)
        if self._refused is not None:
            yield from self.matched(Reject(**entry) for entry in self._refused())

    def matched(self, rejects: Iterable[Reject]) -> Iterator[Reject]:
        """Yield rejects with the record that each is about, in the order of the records; then those that name
        none.

        :param rejects: their ``number`` counts the records that the job sent. One that has its record was
            found before, and stays as it is.
        :raises UploadError: the source cannot be read.
        """
        held: list[Reject] = []
        size = 0
        for reject in rejects:
            if reject.record is not None:
                self._found.add(reject.number)
                yield reject
                continue
            held.append(reject)
            size += len(dumps(reject.answer)) + _OBJECT
            if size >= _AT_ONCE:
                yield from self._looked_up(held)
                held, size = [], 0
        if held:
            yield from self._looked_up(held)

    def _not_sent(self) -> Iterator[Reject]:
        self._read = True
        opened = OpenedUpload(self._upload, self._names, self._find)
        known = self._submission.mark if self._submission else ""
        with explained(opened.given.path):
            for event in opened.events():
                if isinstance(event, Unsent):
                    self._unsent.add(event.number)
                    yield Reject("local", event.key, event.number, event.reason, event.record)
                elif isinstance(event, JobEnd):
                    self.sent = event.records
                    mark = known or (event.mark if opened.piece is None else opened.piece.mark)
                    if event.mark != mark:
                        raise SourceChangedError(
                            f"{opened.reader.name} is not what it was when the job was sent, so that nobody "
                            "can tell which of its records were refused. Let it stay as it is until the job "
                            "is fetched."
                        )
                    return

    def _looked_up(self, rejects: list[Reject]) -> Iterator[Reject]:
        numbers: dict[int, list[Reject]] = defaultdict(list)
        keys: dict[tuple[str, ...], list[Reject]] = defaultdict(list)
        nameless: list[Reject] = []
        for reject in rejects:
            if reject.number is not None:
                numbers[reject.number].append(reject)
            elif reject.key is not None and self.keys:
                keys[key_of(reject.key)].append(reject)
            else:
                nameless.append(reject)
        last: dict[tuple[str, ...], FoundRecord] = {}
        for found in self._records(set(keys), set(numbers)):
            for reject in numbers.pop(found.sent, ()):
                yield self._about(reject, found)
            named = key_of(found.key)
            # Several records may have one key, and several rejects be about one record: who can tell. Each
            # record gets one, and the last of them the rest.
            if keys.get(named):
                yield self._about(keys[named].pop(0), found)
                last[named] = found
        for named, left in keys.items():
            for reject in left:
                yield self._about(reject, last.get(named))
        for reject in [*(reject for left in numbers.values() for reject in left), *nameless]:
            yield self._about(reject, None)

    def _records(self, keys: Collection[tuple[str, ...]], numbers: Collection[int]) -> Iterator[FoundRecord]:
        if not keys and not numbers:
            return iter(())
        if not self._read:  # not before: it may have changed, or be gone, and nobody asks for it
            list(self._not_sent())
        return find_records(
            self._upload, self._names, self._find, keys=keys, numbers=numbers, rejected=self._unsent
        )

    def _about(self, reject: Reject, found: FoundRecord | None) -> Reject:
        if found is None:
            if self._naming[reject.stage]:
                self.unmatched += 1
            else:
                self._nameless += 1
            return replace(reject, number=None)
        self._gone[found.sent // 8] |= 1 << found.sent % 8
        return replace(reject, key=found.key or reject.key, number=found.number, record=found.record)


def account_of(
    definition: AsyncJob,
    names: Mapping[str, Any],
    find: Find,
    refused: Callable[[], Iterable[Mapping[str, Any]]],
    submission: Submission | None = None,
) -> Account | None:
    """Return the account of a job, see :class:`Account`; None: it was given no records."""
    if definition.submit is None or definition.submit.upload is None:
        return None
    return Account(definition, names, find, refused, submission)


def _names_one(sections: Iterable[Any], upload: Upload) -> bool:
    """Return whether the rejects of one of these sections say which record they are about."""
    every = [section.rejects for section in sections if section.rejects is not None]
    return any(one.index is not None or (one.key is not None and upload.key) for one in every)
