"""Fetching: what the machines for the steps to a result and for a download have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.errors import AsyncJobError, UnreachableError
from airflow_asyncjob.protocol.answers import Answer, Reading
from airflow_asyncjob.protocol.machine import Machine
from airflow_asyncjob.protocol.messages import (
    Command,
    Event,
    Failed,
    Finish,
    Outcome,
    Refresh,
    Refreshed,
    Responded,
    Submission,
    Wait,
    Woken,
)
from airflow_asyncjob.protocol.steps import pause_of
from airflow_asyncjob.protocol.times import moment
from airflow_asyncjob.protocol.transitions import Verdict

__all__ = ["Fetching"]

_LONGEST_WAIT = 3600.0
"""Seconds that a Retry-After is waited out; more is for a later process."""


class Fetching(Machine):
    """Asks for something of a job that has ended, as often as ``limits.retries`` allows.

    :param definition: how to talk to the API.
    :param inputs: the job's inputs, resolved.
    :param names: the frozen scalars of the run, for templates.
    :param submission: the job; None where the target alone is known.
    :param captures: those of the status answers; the submission's are added.
    """

    what = "the download"
    """What is tried, for messages."""

    def __init__(
        self,
        definition: AsyncJob,
        *,
        inputs: Mapping[str, Any],
        names: Mapping[str, Any],
        submission: Submission | None = None,
        captures: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.definition = definition
        self._captures = {**(submission.captures if submission else {}), **(captures or {})}
        self._names: dict[str, Any] = {**names, "inputs": inputs, "captures": self._captures}
        if submission is not None:
            self._names["submission_id"] = submission.id
        self._seed = submission.id if submission else ""
        self.section = "result" if definition.result is None else definition.result.section
        self._reading: Reading | None = None
        self._finish: Finish | None = None
        self._tries = 0
        self._until = 0.0
        self._refreshed = False

    @property
    def problem(self) -> str:
        """Why the last request did not work, for people; empty: none failed."""
        return self._reading.problem if self._reading else ""

    def _open(self) -> Verdict:
        return Verdict.FRESH

    def _judge(self, event: Event) -> Verdict:
        if isinstance(event, Refreshed):
            self._refreshed = True
            return Verdict.CHANGED if event.changed else Verdict.UNCHANGED
        if isinstance(event, Woken):
            return Verdict.WOKEN
        assert isinstance(event, (Responded, Failed))
        reading = self._read(event)
        self.notes.extend(reading.notes)
        match reading.answer:
            case Answer.GOOD:
                return self._good(reading)
            case Answer.ENDED:
                return Verdict.NOTHING
            case Answer.NOT_DONE | Answer.UNSETTLED | Answer.GARBLED:
                return self._again(reading)
        self._reading = reading
        denied = reading.answer is Answer.DENIED and not self._refreshed
        return Verdict.DENIED if denied else Verdict.REFUSED

    def _read(self, event: Responded | Failed) -> Reading:
        raise NotImplementedError

    def _good(self, reading: Reading) -> Verdict:
        raise NotImplementedError

    def _again(self, reading: Reading) -> Verdict:
        self._reading = reading
        wait = pause_of(reading, self._tries + 1, self._seed)
        self._until = self._now + wait
        allowed = self._tries < self.definition.limits.retries and wait <= _LONGEST_WAIT
        return Verdict.AGAIN if allowed else Verdict.EXHAUSTED

    def _do_count_try(self) -> None:
        self._tries += 1

    def _do_no_data(self) -> None:
        self._finish = Finish(outcome=Outcome("no_data", []))

    def _do_fail(self) -> None:
        assert self._reading is not None
        self._finish = Finish(error=self._reading.error)

    def _do_fail_tries(self) -> None:
        assert self._reading is not None
        text = (
            f"{self._tries + 1} tries of {self.what} did not work"
            if self._tries
            else f"{self.what[:1].upper()}{self.what[1:]} did not work"
        )
        text = f"{text}; the last: {self._reading.problem}."
        self._finish = Finish(error=self._reading.error or self._worn_out(text, self._reading))

    def _worn_out(self, text: str, reading: Reading) -> AsyncJobError:
        """Return the error for the last try that was allowed."""
        later = f" The API wants no request before {moment(self._until)}." if reading.wait else ""
        return UnreachableError(
            f"{text}{later} Expected a code of 2xx. Try again later, or raise limits.retries."
        )

    def _enter_fetch_refresh(self) -> Command:
        return Refresh()

    def _enter_fetch_pause(self) -> Command:
        return Wait(self._until, f"the next try of {self.what}")

    def _enter_finished(self) -> Command:
        assert self._finish is not None
        return self._finish
