"""The ledger: every request that a fake server saw, in order."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from airflow_asyncjob.testing.records import Records

__all__ = ["KEPT_HEADERS", "PURPOSES", "Entry", "Ledger", "Purpose"]

Purpose = Literal[
    "submit", "upload", "start", "poll", "log", "result", "rejects", "cancel", "delete", "other"
]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)

KEPT_HEADERS = (
    "accept",
    "authorization",
    "content-md5",
    "content-type",
    "cookie",
    "host",
    "idempotency-key",
    "if-range",
    "prefer",
    "range",
    "user-agent",
    "wm_qos.correlation_id",
    "wm_sec.access_token",
    "wm_svc.name",
    "x-amz-access-token",
    "x-api-key",
)
"""Request headers that an entry keeps. Credentials among them: the ledger belongs to a test, not to a log."""

_MOST_ENTRIES = 100_000


@dataclass(frozen=True)
class Entry:
    """One request.

    :param at: when it was answered or cut, seconds since the epoch on the server's clock.
    :param purpose: what it was for. ``submit`` creates a job (or what one is made of, such as an import
        definition), ``upload`` brings records, ``start`` says that there are no more; ``other`` when it fits
        no route.
    :param host: ``api``, or ``files`` for a download from the second port.
    :param method: HTTP method.
    :param path: path without the query.
    :param query: the query as it was sent, without ``?``.
    :param code: HTTP status code sent; None when the connection was cut without an answer.
    :param job_id: the job that it was about; None when none.
    :param created: a new job was accepted, whether or not the client was told.
    :param fault: kind of the fault that was applied; None when none.
    :param headers: those of :data:`KEPT_HEADERS` that were sent, names in lower case.
    :param body: the first 4096 characters of the request's body.
    :param size: bytes of the request's body.
    :param sent: bytes of the answer's body, of one that is cut the half of it.
    """

    at: float
    purpose: Purpose
    host: str
    method: str
    path: str
    query: str
    code: int | None
    job_id: str | None = None
    created: bool = False
    fault: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    size: int = 0
    sent: int = 0


class Ledger:
    """Thread-safe record of requests, with the counts that tests ask for.

    It keeps the last 100,000 requests; the number of accepted jobs is complete.

    :param running: returns the IDs of the jobs that have not ended.
    :param records: what became of each record that uploads brought; None: nothing is uploaded here.
    """

    def __init__(self, running: Callable[[], list[str]], records: Records | None = None) -> None:
        self._running = running
        self.records = records or Records()
        self._entries: deque[Entry] = deque(maxlen=_MOST_ENTRIES)
        self._accepted: list[str] = []
        self._lock = threading.Lock()

    def add(self, entry: Entry) -> None:
        """Record one request."""
        with self._lock:
            self._entries.append(entry)
            if entry.created and entry.job_id is not None:
                self._accepted.append(entry.job_id)

    def entries(self, purpose: Purpose | None = None, *, job_id: str | None = None) -> list[Entry]:
        """Return the requests in order.

        :param purpose: only these; None: all.
        :param job_id: only those about this job; None: all.
        """
        with self._lock:
            found = list(self._entries)
        return [e for e in found if purpose in (None, e.purpose) and job_id in (None, e.job_id)]

    def count(self, purpose: Purpose | None = None, *, job_id: str | None = None) -> int:
        """Return how many requests :meth:`entries` would return."""
        return len(self.entries(purpose, job_id=job_id))

    def accepted(self) -> int:
        """Return how many jobs were created, also those whose answer never reached the client."""
        return len(self.job_ids())

    def running(self) -> int:
        """Return how many jobs have not ended: what a run that cleans up leaves at 0."""
        return len(self.running_ids())

    def job_ids(self) -> list[str]:
        """Return the IDs of all jobs that were created, in order."""
        with self._lock:
            return list(self._accepted)

    def running_ids(self) -> list[str]:
        """Return the IDs of the jobs that have not ended."""
        return self._running()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values: what ``GET /_ledger`` answers."""
        entries = self.entries()
        return {
            "accepted": self.accepted(),
            "running": self.running(),
            "counts": dict(Counter(e.purpose for e in entries)),
            "job_ids": self.job_ids(),
            "running_ids": self.running_ids(),
            "records": self.records.counts(),
            "entries": [asdict(e) for e in entries],
        }
