"""The hands of the command line: send, wait, and let Ctrl-C in where nothing is lost by it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from airflow_asyncjob.cli.interrupts import Interrupts
from airflow_asyncjob.cli.progress import Progress
from airflow_asyncjob.protocol import (
    BodyBroken,
    BodyEnded,
    Command,
    Event,
    Failed,
    Job,
    Listing,
    Purpose,
    Receive,
    Refresh,
    Refreshed,
    Responded,
    Send,
    Store,
    Stored,
    Wait,
    Woken,
    is_between_steps,
)
from airflow_asyncjob.transport.client import Wire
from airflow_asyncjob.transport.driver import sleep_until
from airflow_asyncjob.transport.narrate import Narrator

__all__ = ["CommandLineHands"]

_DOING = {
    Purpose.SUBMIT: "submitting",
    Purpose.LOG: "fetching the log of the job",
    Purpose.CANCEL: "cancelling the job at the API",
    Purpose.DELETE: "deleting the job at the API",
    Purpose.LIST: "asking for the list of jobs",
}
_INTERRUPTED = (Purpose.POLL, Purpose.LIST)


class CommandLineHands:
    """Does what a job asks for, and shows it.

    Nothing is stored: a run on the command line that is killed cannot be carried on.

    :param refused: gets what the answers to an upload refused, part by part; None: nobody asks.
    """

    def __init__(
        self,
        job: Job | Listing,
        wire: Wire,
        interrupts: Interrupts,
        progress: Progress,
        refused: MutableMapping[int, Sequence[Mapping[str, Any]]] | None = None,
    ) -> None:
        self._job = job
        self._wire = wire
        self._interrupts = interrupts
        self._progress = progress
        self._waiting = False
        self._refused = refused
        self.narrator = Narrator(self._say, job)
        wire.say = self._say

    def send(self, command: Send) -> Responded | Failed:
        """Send one request; a poll may be interrupted, a submit not: its answer holds the job's ID."""
        if command.purpose in _DOING:
            self._progress.doing(_DOING[command.purpose])
        if command.purpose not in _INTERRUPTED:
            return self._wire.send(command)
        with self._interrupts.opened():
            return self._wire.send(command)

    def wait(self, command: Wait) -> Woken:
        """Sleep; may be interrupted."""
        self._progress.doing(f"{self._state()}{command.reason}", until=command.until)
        with self._interrupts.opened():
            return sleep_until(command.until)

    def store(self, command: Store) -> Stored:
        """Keep only what was refused. Between two requests of a submit by steps it may be interrupted."""
        if self._refused is not None and command.refusals is not None:
            self._refused[command.refusals.part] = command.refusals.entries
        if is_between_steps(command.checkpoint):
            with self._interrupts.opened():
                return Stored()
        return Stored()

    def refresh(self, command: Refresh) -> Refreshed:
        """Say that nothing has changed: the environment of a process does not."""
        return self._wire.refresh()

    def receive(self, command: Receive) -> BodyEnded | BodyBroken:
        """Never asked for: results are read by their sources."""
        raise AssertionError("a job has no body to receive")

    def observe(self, command: Command, event: Event | None) -> None:
        """Show a command, and what it led to."""
        self._waiting = isinstance(command, Wait) and event is None
        self.narrator.observe(command, event)

    def _say(self, level: int, text: str) -> None:
        # On a terminal the live line says what is so poll after poll; what has changed gets its own line.
        routine = self._waiting and level == logging.INFO and " -> " not in text
        if not (routine and self._progress.is_live):
            self._progress.line(self._wire.redactor.text(text))

    def _state(self) -> str:
        """Return what is known of the job, for the live line."""
        job = self._job
        if isinstance(job, Listing) or job.submission is None:
            return ""
        known = [f"job {job.submission.id}"]
        if job.raw_status is not None:
            known.append(str(job.raw_status))
        if job.progress is not None:
            known.append(f"progress {job.progress}")
        return self._wire.redactor.text(", ".join(known)) + "; "
