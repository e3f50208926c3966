"""What people read in the log while a job is driven: one line an exchange, state changes, when it goes on.

    POST https://api.example.com/v3/exports 202 in 0.12 s
    Submitted: job 7f3a
    Next poll at 10:31:05 UTC, in 30 s
    GET https://api.example.com/v3/exports/7f3a 200 in 0.08 s: pending. Next poll at 10:31:15 UTC, in 10 s
    GET https://api.example.com/v3/exports/7f3a 503 in 0.02 s: overloaded (poll error 1 of 10). Next poll ...
    GET https://api.example.com/v3/exports/7f3a 200 in 0.08 s: pending -> ready. Job 7f3a is done after 42 s

Worker, triggerer and command line share it. Times are UTC; a poll and the wait after it are one line.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.definition.parts import Plan
from airflow_asyncjob.definition.problems import counted
from airflow_asyncjob.protocol.course import done_before
from airflow_asyncjob.protocol.job import Job
from airflow_asyncjob.protocol.messages import (
    BodyBroken,
    Command,
    Event,
    Failed,
    Finish,
    Outcome,
    Purpose,
    Refreshed,
    Responded,
    Send,
    Store,
    Submission,
    Wait,
)
from airflow_asyncjob.protocol.parts import Planned

if TYPE_CHECKING:
    from airflow_asyncjob.protocol.machine import Machine

__all__ = ["Narrator", "clock_time", "duration", "ended", "with_notes"]

_SHOWN_STATUS = 80
_SHOWN_ERROR = 160
_GOOD = ("done", "no_data")


class Narrator:
    """Turns what ``observe`` of a driver sees into lines.

    :param say: takes a level of :mod:`logging` and a line, such as ``logger.log``.
    :param machine: what is driven; None: only exchanges and waits are told.
    :param clock: seconds since the epoch.
    """

    def __init__(
        self,
        say: Callable[[int, str], object],
        machine: Machine | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._say = say
        self._machine = machine
        self._job = machine if isinstance(machine, Job) else None
        self._clock = clock
        self._poll: Responded | Failed | None = None
        self._status: Any = None
        self._progress: Any = None
        self._told: Submission | None = self._job.submission if self._job else None
        self._over = False
        self._notes = 0

    def observe(self, command: Command, event: Event | None) -> None:
        """Take a command that is about to be done (event None), or what it led to."""
        match command, event:
            case Send(), None:
                self.flush()
            case Send(), Responded() | Failed() if command.purpose is Purpose.POLL:
                self._poll = event
            case Send(), Responded() | Failed():
                level, line = _exchange(event)
                self._say(level, f"{command.step}: {line}" if command.step else line)
            case Wait(), None:
                self._wait(command)
            case Store(), None if self._job is not None:
                self._submitted(self._job.submission)
            case Finish(), _:
                self._finish(command)
            case _, Planned():
                self._say(logging.INFO, self._planned(event.plan))
            case _, Refreshed():
                self._line(logging.INFO, _refreshed(event))
            case _, BodyBroken():
                self._say(logging.WARNING, f"{event.sent}: {event.detail}")
        self._tell_notes()

    def flush(self) -> None:
        """Say what is still held back; for when a drive is left by an exception."""
        self._line(logging.INFO, "")

    def _wait(self, command: Wait) -> None:
        now = self._clock()
        if command.until <= now:
            return
        reason = command.reason.removeprefix("the ")
        at = ":" if "deadline" in reason else " at"
        left = duration(command.until - now)
        self._line(logging.INFO, f"{_capital(reason)}{at} {clock_time(command.until, now)}, in {left}")

    def _planned(self, plan: Plan) -> str:
        """Return what an upload will send; of one that goes on, from where."""
        left = f", {plan.rejected:,} more cannot be sent" if plan.rejected else ""
        done = done_before(self._job.definition.submit, self._job.facts) if self._job else ""
        on = f". Done already: {done}" if done else ""
        return (
            f"Upload: {counted(plan.records, 'record')} in {counted(len(plan.parts), 'part')}, "
            f"{plan.bytes:,} bytes{left}{on}"
        )

    def _submitted(self, submission: Submission | None) -> None:
        if submission is not None and submission != self._told:
            self._told = submission
            self._say(logging.INFO, f"Submitted: job {submission.id}")

    def _finish(self, command: Finish) -> None:
        if command.submission is not None:
            if command.submission == self._told:
                return
            self._submitted(command.submission)
        elif command.outcome is not None and self._job is self._machine:
            level = logging.INFO if command.outcome.state in _GOOD else logging.WARNING
            self._line(level, self._ended(command.outcome))
        else:
            self._over = True
            self.flush()

    def _ended(self, outcome: Outcome) -> str:
        known = self._job.submission if self._job else None
        text = ended(outcome, known.id if known else "")
        return f"{text}: {_one_line(outcome.message, _SHOWN_ERROR)}" if outcome.message else text

    def _line(self, level: int, text: str) -> None:
        """Say a text, behind the poll that led to it when there is one."""
        if self._poll is None:
            if text:
                self._say(level, text)
            return
        poll, self._poll = self._poll, None
        own, line = self._seen(poll)
        self._say(max(level, own), f"{line}. {text}" if text else line)

    def _seen(self, poll: Responded | Failed) -> tuple[int, str]:
        """Return what a poll saw: the status, its change, the progress when it moved; or what failed."""
        level, line = _exchange(poll)
        if self._job is None:
            return level, line
        facts, status = self._job.facts, self._job.definition.status
        if facts.trouble:
            if level < logging.WARNING and isinstance(poll, Responded):
                line += f": the status cannot be read from {_one_line(poll.response.excerpt, _SHOWN_ERROR)!r}"
            allowed = status.poll_error_budget if status else facts.in_a_row
            if facts.in_a_row > allowed:
                line += f" (poll error {facts.in_a_row}, and {allowed} in a row are allowed)"
            elif not self._over:  # else it is final, however many are allowed
                line += f" (poll error {facts.in_a_row} of {allowed})"
            return logging.WARNING, line
        before, self._status = self._status, facts.raw_status
        moved, self._progress = facts.progress != self._progress, facts.progress
        seen = [] if facts.raw_status is None else [_short(facts.raw_status)]
        if seen and before is not None and before != facts.raw_status:
            seen = [f"{_short(before)} -> {seen[0]}"]
        if moved and facts.progress is not None:
            seen.append(f"progress {_short(facts.progress)}")
        return level, f"{line}: {', '.join(seen)}" if seen else line

    def _tell_notes(self) -> None:
        notes = self._machine.notes if self._machine else []
        for note in notes[self._notes :]:
            self._say(logging.WARNING, note)
        self._notes = len(notes)


def ended(outcome: Outcome, submission_id: str = "") -> str:
    """Return how a job ended, such as ``Job 7f3a is done after 42 s, 5 polls``."""
    name = f"Job {submission_id}" if submission_id else "The job"
    return f"{name} is {outcome.state} after {duration(outcome.waited)}, {counted(outcome.polls, 'poll')}"


def with_notes(
    machine: Machine,
    say: Callable[[int, str], object] | None,
    observe: Callable[[Command, Event | None], object] | None,
) -> Callable[[Command, Event | None], None]:
    """Return an ``observe`` that passes everything but the end on, and says what the machine notes besides:
    for a part of a drive whose narrator does not know the machine.

    :param say: takes a level of :mod:`logging` and a line; None: nobody reads it.
    :param observe: None: nobody looks.
    """
    told = 0

    def seen(command: Command, event: Event | None) -> None:
        nonlocal told
        if observe is not None and not isinstance(command, Finish):
            observe(command, event)
        if say is not None:
            for note in machine.notes[told:]:
                say(logging.WARNING, note)
        told = len(machine.notes)

    return seen


def clock_time(moment: float, now: float) -> str:
    """Return a time (seconds since the epoch) for people, in UTC; with the date when it is not today's."""
    then, today = datetime.fromtimestamp(moment, UTC), datetime.fromtimestamp(now, UTC)
    return then.strftime("%H:%M:%S UTC" if then.date() == today.date() else "%Y-%m-%d %H:%M:%S UTC")


def duration(seconds: float) -> str:
    """Return a duration for people: ``0.4 s``, ``30 s``, ``2 min 5 s``, ``3 h 20 min``, ``2 d 4 h``."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for size, big, small_size, small in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // small_size
            return f"{whole // size} {big}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def _exchange(event: Responded | Failed) -> tuple[int, str]:
    if isinstance(event, Failed):
        return logging.WARNING, f"{event.sent} failed: {event.detail}"
    response = event.response
    line = f"{response.sent} {response.code} in {response.elapsed:.2f} s"
    if response.code < 400:
        return logging.INFO, line
    said = _one_line(response.excerpt, _SHOWN_ERROR)
    return logging.WARNING, f"{line}: {said}" if said else line


def _refreshed(event: Refreshed) -> str:
    return "Credentials fetched again: " + ("they have changed" if event.changed else "they are the same")


def _short(value: Any) -> str:
    return _one_line(str(value), _SHOWN_STATUS)


def _one_line(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[:limit] + "…"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
