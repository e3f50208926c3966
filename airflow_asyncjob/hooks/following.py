"""Follower: stands beside a drive, so that the UI and the metrics see what the log sees."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.errors import UnknownStatusError
from airflow_asyncjob.hooks.metrics import Metrics
from airflow_asyncjob.hooks.notes import Notes

if TYPE_CHECKING:
    from airflow_asyncjob.protocol import Job
    from airflow_asyncjob.protocol.messages import Command, Event
    from airflow_asyncjob.transport import Narrator

__all__ = ["Follower"]


class Follower:
    """A narrator that also notes how far the job is, and asks for a write while nothing else is to be done.

    What goes wrong here is said once and passed over: the job does not suffer from it.

    :param write: called before a wait, when there is something worth a write; None: nothing is written here.
    :param log: takes a warning.
    :param clock: seconds since the epoch.
    """

    def __init__(
        self,
        narrator: Narrator,
        notes: Notes,
        job: Job,
        *,
        metrics: Metrics,
        write: Callable[[], object] | None,
        log: Any,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._narrator = narrator
        self._notes = notes
        self._job = job
        self._metrics = metrics
        self._write = write
        self._log = log
        self._clock = clock
        self._sent_at: float | None = None
        self._due_at: float | None = None
        self._poll: tuple[float, int | None, float] | None = None
        self._broken = False
        self._known = job.submission is not None
        self._submits = 0

    def observe(self, command: Command, event: Event | None) -> None:
        """Take a command before (event None) and after it is done."""
        self._narrator.observe(command, event)
        if self._broken:
            return
        try:
            self._see(command, event)
        except Exception as error:
            self._broken = True
            self._log.warning("What happens to the job cannot be kept for the UI: %r", error)

    def flush(self) -> None:
        """Say what is held back."""
        self._narrator.flush()

    def _see(self, command: Command, event: Event | None) -> None:
        from airflow_asyncjob.protocol.messages import Finish, Purpose, Responded, Send, Store, Wait

        if event is None and not isinstance(command, Store):
            self._take_poll(command)  # and not at a checkpoint: what follows it says why it was kept
        if isinstance(command, Send) and command.purpose is Purpose.SUBMIT and event is not None:
            self._submits += 1
        if isinstance(command, Send) and command.purpose is Purpose.POLL:
            if event is None:
                self._sent_at, self._due_at = self._clock(), self._job.next_poll_at
            else:
                code = event.response.code if isinstance(event, Responded) else None
                at = self._sent_at or self._clock()
                self._poll = (at, code, self._clock() - at)
        elif isinstance(command, Finish):
            self._notes.seen(self._job)
            if self._submits and not self._known:
                self._metrics.submitted("failed" if self._job.submission is None else "accepted")
            if command.outcome is not None:
                self._notes.ended(command.outcome)
        elif isinstance(command, Wait) and event is None:
            self._notes.seen(self._job)
            if self._write is not None and self._notes.due():
                self._write()
        elif isinstance(command, Store) and event is not None and self._notes.overdue():
            self._notes.seen(self._job)
            if self._write is not None:
                self._write()

    def _take_poll(self, command: Command) -> None:
        """Note a poll: how it was read is known when the machine has gone on."""
        if self._poll is None:
            return
        (at, code, seconds), self._poll = self._poll, None
        unknown = isinstance(getattr(command, "error", None), UnknownStatusError)
        read = self._notes.polled(self._job, at, code, unknown=unknown)
        late = None if self._due_at is None else max(at - self._due_at, 0.0)
        self._metrics.polled(read, seconds=seconds, late=late)
