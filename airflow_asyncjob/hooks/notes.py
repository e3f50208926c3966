"""What one process notes of a job for the UI, and when that is worth a write. No I/O, no Airflow."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.panel import WRITE_EVERY, Book, Summary, merged

if TYPE_CHECKING:
    from airflow_asyncjob.protocol import Job, Outcome, Submission
    from airflow_asyncjob.results.manifest import Manifest
    from airflow_asyncjob.transport import AsyncWire, Redactor, Wire
    from airflow_asyncjob.transport.trace import Exchange

__all__ = ["ENDED", "Notes"]

ENDED = ("done", "no_data", "partial", "failed", "timed_out", "cancelled", "downloaded")
_NEWS_WRITES = 20
"""News that is written at once; an API whose status is another one at every poll waits for its turn then."""
_SHOWN_URIS = 20
_TROUBLE_CHARACTERS = 300


class Notes:
    """The summary and the book of one job, as one process of one task instance sees it.

    :param kind: ``submit``, ``wait`` or ``fetch``.
    :param definition: as ``AsyncJob.to_dict`` gives it.
    :param clock: seconds since the epoch.
    """

    def __init__(
        self,
        kind: str,
        definition: Mapping[str, Any],
        conn_id: str,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.summary = Summary(
            kind,
            definition=str(definition.get("name") or ""),
            conn_id=str(conn_id),
            can_cancel=bool(definition.get("cancel")),
            started_at=clock(),
        )
        self.book = Book()
        self._records_in_answers = (definition.get("result") or {}).get("from") == "status"
        steps = (definition.get("submit") or {}).get("steps") or ()
        self._refusing = [str(step.get("name")) for step in steps if step.get("rejects")]
        self._redactor: Redactor | None = None
        self._clock = clock
        self._written: Summary | None = None
        self._written_at = clock()
        self._not_before = 0.0
        self._news_left = _NEWS_WRITES

    # What happens -------------------------------------------------------------------------------------------

    def follow(self, wire: Wire | AsyncWire) -> None:
        """Note every exchange of a connection from now on, and hide its secrets."""
        self._redactor = wire.redactor
        wire.trace.follow(self.heard)

    def heard(self, exchange: Exchange) -> None:
        """Note an exchange. Where a status answer is the result, or the answer to an upload lists refused
        records, its body is people's data.
        """
        plain = exchange.to_dict()
        refuses = any(f"{exchange.step} ".startswith(f"{name} ") for name in self._refusing)
        if refuses or (self._records_in_answers and (exchange.code or 500) < 400):
            plain["response"] = ""
        self.book.add(plain)

    def begin(self, of: str, submission: Submission | None = None, *, state: str = "running") -> None:
        """Take up a job; another one than before starts a new book, which says what was before.

        :param of: see ``Summary.of``.
        :param submission: None: it is not submitted yet.
        """
        old = self.summary
        if old.of and old.of != of:
            self.book = Book(of, [*self.book.before, brief(old)])
            self.summary = Summary(
                old.kind,
                definition=old.definition,
                conn_id=old.conn_id,
                can_cancel=old.can_cancel,
                started_at=self._clock(),
            )
        self.book.of = of
        self.summary = replace(self.summary, of=of, state=state)
        if submission is not None:
            self.accepted(submission)

    def accepted(self, submission: Submission) -> None:
        """Note the job."""
        submitted_at = submission.submitted_at
        self.summary = replace(self.summary, submission_id=submission.id, submitted_at=submitted_at)

    def linked(self, url: str) -> None:
        """Note the address of the job's page, which holds no secret."""
        self.summary = replace(self.summary, remote_url=url or None)

    def seen(self, job: Job) -> None:
        """Note how far a job is."""
        facts = job.facts
        if job.submission is not None and job.submission.id != self.summary.submission_id:
            self.accepted(job.submission)
            self.summary = replace(self.summary, state="running")
        if facts.looks:
            self.summary = replace(self.summary, polls=facts.looks, state=self._state(job))
        self.summary = replace(
            self.summary,
            raw_status=self._safe(facts.raw_status),
            message=self._safe(facts.message or None),
            progress=self._safe(facts.progress),
            deadline=facts.deadline,
            next_poll_at=facts.next_poll_at,
            failed_polls=facts.in_a_row if facts.trouble else 0,
            unknown=facts.unknown,
            trouble=self._trouble_of(job),
        )

    def polled(self, job: Job, at: float, code: int | None, *, unknown: bool = False) -> str:
        """Note how a poll was read, and return it: a state, ``unknown`` or ``error``.

        :param at: when it was sent, seconds since the epoch.
        :param unknown: the job was given up for its status.
        """
        facts = job.facts
        if facts.outcome is not None and not facts.trouble:
            read = str(facts.outcome.state)
        else:
            read = "error" if facts.trouble else "unknown" if facts.unknown or unknown else "running"
        self.seen(job)
        self.book.read_as(at, None if read == "error" else self._safe(facts.raw_status), read, code)
        return read

    def ended(self, outcome: Outcome) -> None:
        """Note how the job ended."""
        self.summary = replace(
            self.summary,
            state=str(outcome.state),
            raw_status=self._safe(outcome.raw_status),
            message=self._safe(outcome.message or None),
            progress=self._safe(outcome.progress),
            polls=max(self.summary.polls, outcome.polls),
            failed_polls=0,
            unknown=0,
            next_poll_at=None,
            trouble=None,
            ended_at=self.summary.ended_at or self._clock(),
        )

    def downloaded(self, manifest: Manifest, seconds: float) -> None:
        """Note what was written.

        :param seconds: the download and the writing took.
        """
        self.summary = replace(
            self.summary,
            state="downloaded" if manifest.uris or manifest.state != "no_data" else "no_data",
            trouble=None,
            ended_at=self._clock(),
            download={
                "records": manifest.records,
                "bytes": manifest.bytes,
                "seconds": round(seconds, 3),
                "uris": [self._safe(uri) for uri in manifest.uris[:_SHOWN_URIS]],
                "files": len(manifest.uris),
                "rejects": (manifest.rejects or {}).get("records"),
                "sha256": manifest.sha256,
                "format": manifest.format,
            },
        )

    def failed(self, message: str) -> None:
        """Note that the task failed; a job that is known to have ended stays what it is."""
        state = self.summary.state if self.summary.state in ENDED else "error"
        trouble = str(self._safe(message))[:_TROUBLE_CHARACTERS] or "It failed without a message."
        self.summary = replace(self.summary, state=state, next_poll_at=None, trouble=trouble)

    # When, and what, to write -------------------------------------------------------------------------------

    @property
    def news(self) -> bool:
        """Whether people want to see what is new at once."""
        return self.summary.differs(self._written)

    def due(self) -> bool:
        """Return whether to write now: there is news, or counts and times have not been written for long."""
        return self.may_write() and ((self.news and self._news_left > 0) or self.overdue())

    def overdue(self) -> bool:
        """Return whether counts and times have not been written for long."""
        return self.may_write() and self._clock() - self._written_at >= WRITE_EVERY

    def known(self, summary: Summary | None) -> None:
        """Take what others wrote a moment ago: only what differs from it is news."""
        self._written = summary
        if summary is not None and summary.updated_at:
            self._written_at = summary.updated_at

    def written(self) -> None:
        """Note that it was written."""
        self._news_left -= self.news
        self._written, self._written_at = self.summary, self._clock()

    def refused(self) -> None:
        """Note that a write failed: the next is not tried at once."""
        self._not_before = self._clock() + WRITE_EVERY

    def may_write(self) -> bool:
        """Return whether there is something to write, and no write has failed a moment ago."""
        return bool(self.summary.of) and self._clock() >= self._not_before

    def plain(self, *stored: tuple[Any, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the summary and the trace to write, as plain JSON.

        :param stored: pairs of what was kept before by others.
        """
        self.summary = replace(self.summary, updated_at=self._clock())
        old = merged(*stored)
        if old.summary is not None and old.summary.of == self.summary.of:
            self.summary = self.summary.after(old.summary)
            self.book = old.book.unite(self.book)
        elif old.summary is not None:
            self.book.replaces([*old.book.before, brief(old.summary)])
        return self.summary.to_dict(), self.book.to_dict()

    # --------------------------------------------------------------------------------------------------------

    def _state(self, job: Job) -> str:
        outcome = job.facts.outcome
        return str(outcome.state) if outcome is not None else "running"

    def _trouble_of(self, job: Job) -> str | None:
        facts = job.facts
        if facts.trouble:
            return str(self._safe(f"The last poll failed: {facts.trouble}"))[:_TROUBLE_CHARACTERS]
        if facts.unknown:
            said = f"The definition does not know the status {facts.raw_status!r}"
            return str(self._safe(said))[:_TROUBLE_CHARACTERS]
        return None

    def _safe(self, value: Any) -> Any:
        if self._redactor is None:
            return value
        from airflow_asyncjob.transport.conceal import concealed

        return concealed(value, self._redactor)


def brief(summary: Summary) -> dict[str, Any]:
    """Return what a new book says of the job that it replaces."""
    return {
        "submission_id": summary.submission_id,
        "state": summary.state,
        "submitted_at": summary.submitted_at,
        "ended_at": summary.ended_at,
    }
