"""What reports and feeds of the Selling Partner API have in common: they wait in a queue, run, and end."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from airflow_asyncjob.testing.amazon import AmazonOptions, errors, iso
from airflow_asyncjob.testing.api import Reply

__all__ = ["AmazonJob", "Jobs"]


@dataclass
class AmazonJob:
    """A report or a feed.

    :param id: the API's.
    :param given: the body that created it.
    :param created_at: seconds since the epoch.
    :param cancelled_at: when it was cancelled by a request; None: it was not.
    """

    id: str
    given: dict[str, Any]
    created_at: float
    cancelled_at: float | None = None
    fields: dict[str, Any] = field(default_factory=dict)

    def status(self, options: AmazonOptions, now: float, ends: str) -> str:
        """Return the processing status."""
        if self.cancelled_at is not None:
            return "CANCELLED"
        if now < self.created_at + options.queue_seconds:
            return "IN_QUEUE"
        if now < self.created_at + options.queue_seconds + options.seconds:
            return "IN_PROGRESS"
        return ends

    def times(self, options: AmazonOptions, now: float) -> dict[str, str]:
        """Return the fields with times, those that there are by now."""
        started = self.created_at + options.queue_seconds
        found = {"createdTime": iso(self.created_at)}
        if self.cancelled_at is not None:
            return {**found, "processingEndTime": iso(self.cancelled_at)}
        if now >= started:
            found["processingStartTime"] = iso(started)
        if now >= started + options.seconds:
            found["processingEndTime"] = iso(started + options.seconds)
        return found


class Jobs:
    """The reports, or the feeds, of one server. Thread-safe."""

    def __init__(self, first_id: int) -> None:
        self._jobs: dict[str, AmazonJob] = {}
        self._next = first_id
        self._lock = threading.Lock()

    def create(self, given: dict[str, Any], now: float) -> AmazonJob:
        """Make one."""
        with self._lock:
            job = AmazonJob(str(self._next), given, now)
            self._jobs[job.id] = job
            self._next += 1
        return job

    def get(self, job_id: str) -> AmazonJob | None:
        """Return one; None: there is none."""
        with self._lock:
            return self._jobs.get(job_id)

    def all(self) -> list[AmazonJob]:
        """Return all, in order."""
        with self._lock:
            return list(self._jobs.values())

    def cancel(self, job: AmazonJob, options: AmazonOptions, now: float) -> Reply:
        """Cancel one that has not begun."""
        if job.status(options, now, "DONE") != "IN_QUEUE":
            return errors(400, "InvalidInput", "Invalid input", "it is not IN_QUEUE any more", job.id)
        with self._lock:
            job.cancelled_at = now
        return Reply(200, b"", job_id=job.id)
