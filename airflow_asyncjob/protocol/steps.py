"""Steps: what the job machine notes on an action, and which command a phase begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.definition.models.status import Status
from airflow_asyncjob.errors import AsyncJobError
from airflow_asyncjob.protocol import endings
from airflow_asyncjob.protocol.answers import Answer, Reading
from airflow_asyncjob.protocol.checkpoint import Durable
from airflow_asyncjob.protocol.facts import Facts
from airflow_asyncjob.protocol.goals import Goal
from airflow_asyncjob.protocol.machine import Machine
from airflow_asyncjob.protocol.messages import (
    Command,
    Finish,
    Purpose,
    Refresh,
    Send,
    Store,
    Wait,
)
from airflow_asyncjob.protocol.parts import Refusals
from airflow_asyncjob.protocol.targets import discreet, is_too_large, secret_place
from airflow_asyncjob.protocol.transitions import TABLE, Phase, Verdict
from airflow_asyncjob.protocol.waits import backoff, poll_wait

__all__ = ["Steps", "comparable", "pause_of"]

_DAY = 86400.0
_KEEPS = (Goal.SUBMITTED, Goal.ENDED)
_BEFORE_ANSWER = (Phase.RECORD_INTENT, Phase.SUBMIT, Phase.SUBMIT_REFRESH)


class Steps(Machine):
    """The part of :class:`~airflow_asyncjob.protocol.job.Job` that acts; the other part decides."""

    table = TABLE

    def __init__(self, definition: AsyncJob, goal: Goal, facts: Facts, names: Mapping[str, Any]) -> None:
        super().__init__()
        self.definition = definition
        self.goal = goal
        self._names = names
        self._facts = facts
        self._stored: dict[str, Any] | None = None
        self._storing: dict[str, Any] | None = None
        self._refusals: Refusals | None = None
        self._reading: Reading | None = None
        self._noted: set[str] = set()
        self._error: AsyncJobError | None = None
        self._log = ""
        self._until = 0.0
        self._refreshed = False
        self._stop = goal is Goal.CANCELLED

    @property
    def _seed(self) -> str:
        return self._facts.key or (self._facts.submission.id if self._facts.submission else "")

    @property
    def _status(self) -> Status:
        assert self.definition.status is not None
        return self.definition.status

    @property
    def deadline(self) -> float | None:
        """When the wait ends, seconds since the epoch; None before the job is submitted."""
        facts = self._facts
        if facts.deadline is not None:
            return facts.deadline
        if facts.submission is None or self.definition.status is None:
            return None
        return facts.begun + self.definition.status.timeout

    @property
    def _queue_deadline(self) -> float | None:
        """Until when the job has to start; as the deadline, it starts anew when the task is cleared."""
        if self.deadline is None or self._status.queue_timeout is None:
            return None
        return self.deadline - self._status.timeout + self._status.queue_timeout

    @property
    def _latest(self) -> float:
        """Until when this job may wait to be accepted."""
        if self._facts.deadline is not None:
            return self._facts.deadline
        patience = _DAY if self.definition.status is None else self.definition.status.timeout
        return (self._now if self._facts.since is None else self._facts.since) + patience

    # Storing ------------------------------------------------------------------------------------------------

    def _durable(self) -> Durable:
        facts = self._facts
        if self.phase in _BEFORE_ANSWER:
            return "intent"
        if self.phase is Phase.RECORD_STEP and (facts.not_before or 0.0) <= self._now:
            return "intent"  # of the next step, which is sent at once
        if facts.submission is None:
            return "intent" if facts.unsure else "idle"
        if facts.outcome is None or self.phase is Phase.LOG:
            return "submitted"
        return (
            "ended" if self.phase in (Phase.RECORD_END, Phase.FINISHED) and not self._error else "cancelling"
        )

    def _record(self) -> Command | Verdict:
        """Store what is durable, unless it is stored already or is nothing at all."""
        if self.goal not in _KEEPS:
            return Verdict.STORED
        untouched = self._stored is None and self._storing is None and self._durable() == "idle"
        plain = self._facts.checkpoint(self._durable(), self._now).to_dict()
        if untouched or comparable(plain) == self._stored:
            return Verdict.STORED
        self._storing = plain
        return Store(plain, self._refusals)

    _enter_record_pause = _record
    _enter_record_step = _enter_record_submission = _record

    def _enter_record_next(self) -> Command | Verdict:
        until = self._facts.not_before
        outlasts = until is not None and until > self._first_look_at()
        moved = self._facts.captures != (self._stored or {}).get("captures", {})
        return self._record() if outlasts or moved else Verdict.STORED

    def _enter_record_cancel(self) -> Command | Verdict:
        return Verdict.STORED if self.definition.cancel is None else self._record()

    def _enter_record_end(self) -> Command | Verdict:
        outcome = self._facts.outcome
        too_large = outcome is not None and is_too_large(outcome.target)
        return Verdict.STORED if self._error or too_large else self._record()

    def _enter_record_failure(self) -> Command | Verdict:
        self._facts.forget_tries()
        return self._record()

    # Any request of a job -----------------------------------------------------------------------------------

    def _submit_names(self) -> Mapping[str, Any]:
        key = self._facts.key
        return {**self._names, "idempotency_key": key} if key else self._names

    def _take(self, reading: Reading) -> Reading:
        self._reading = reading
        self.notes.extend(note for note in reading.notes if note not in self._noted)
        self._noted.update(reading.notes)
        return reading

    def _enter_submit_pause(self) -> Command | Verdict:
        until = self._facts.not_before or 0.0
        if until <= self._now:
            return Verdict.WOKEN
        stepped = self.phase is Phase.SUBMIT_PAUSE and self._facts.begun_steps and not self._facts.tries
        what = self.phase.removesuffix("_pause")
        return Wait(until, f"the next {'step' if stepped else 'try'} of the {what}")

    _enter_cancel_pause = _enter_delete_pause = _enter_target_pause = _enter_submit_pause

    def _do_count_try(self) -> None:
        self._facts.tries += 1
        self._facts.not_before = self._until

    def _do_fail(self) -> None:
        reading = self._reading
        if self.phase in (Phase.POLL, Phase.POLL_REFRESH):
            self._do_plan_next()
        assert reading is not None
        assert reading.error is not None
        self._error = reading.error
        if self.phase is Phase.SUBMIT and reading.answer is Answer.REFUSED and self._facts.unsure:
            self.notes.append(
                "An earlier submit of this job had no answer: it may have been accepted all the same."
            )

    # Waiting ------------------------------------------------------------------------------------------------

    def _job_names(self) -> Mapping[str, Any]:
        assert self._facts.submission is not None
        return {
            **self._submit_names(),
            "submission_id": self._facts.submission.id,
            "captures": self._facts.all_captures(),
        }

    def _do_plan_first(self) -> None:
        facts = self._facts
        facts.begun = min(facts.begun, self._now)
        if self.definition.status is None:
            return
        facts.deadline = self.deadline
        if facts.next_poll_at is not None:
            return
        assert facts.submission is not None
        if facts.not_before is None and facts.submission.not_before is not None:
            late = facts.begun - facts.submission.submitted_at
            facts.not_before = facts.submission.not_before + late
        facts.next_poll_at = max(facts.begun + self._status.initial_wait, facts.not_before or 0.0)

    def _first_look_at(self) -> float:
        """Return the earliest time at which a look is allowed as far as the definition goes."""
        facts = self._facts
        if facts.last_poll_at is None:
            return facts.begun + self._status.initial_wait
        return facts.last_poll_at + self._status.poll_wait

    def _next_look(self) -> tuple[float, bool]:
        """Return when to look next, and whether a Retry-After forbids that look: then it is given up."""
        facts, deadline = self._facts, self.deadline
        assert deadline is not None
        assert facts.next_poll_at is not None
        if facts.next_poll_at < deadline:
            return facts.next_poll_at, False
        last = max(deadline, min(self._first_look_at(), facts.next_poll_at))  # sooner where somebody woke it
        forbidden = facts.not_before is not None and facts.not_before > max(last, self._now)
        return (deadline, True) if forbidden else (last, False)

    def _enter_poll_pause(self) -> Command | Verdict:
        until, forbidden = self._next_look()
        if until <= self._now:
            return Verdict.OVERDUE if forbidden else Verdict.WOKEN
        deadline = self.deadline
        last = deadline is not None and until >= deadline
        return Wait(
            until,
            "the deadline" if forbidden else "the last look, at the deadline" if last else "the next poll",
        )

    def _enter_poll(self) -> Command:
        assert self._status.request is not None
        request, secret = self._status.request, secret_place(self.definition)
        return Send(Purpose.POLL, request, self._job_names(), where="status.request", secret=secret)

    def _do_plan_next(self) -> None:
        """Note the poll, and set the time of the next."""
        facts, reading, deadline = self._facts, self._reading, self.deadline
        assert reading is not None
        facts.looks += 1
        facts.last_poll_at = self._now
        wait = poll_wait(self._status, facts.looks, self._seed)
        if reading.look is None:
            facts.errors += 1
            facts.late += deadline is not None and self._now >= deadline
            facts.kinds.add(reading.answer)
            facts.trouble, facts.in_a_row = reading.problem, facts.errors
            wait = max(wait, pause_of(reading, facts.errors, self._seed))
        else:
            facts.polls += 1
            facts.errors = facts.late = 0
            facts.kinds.clear()
            facts.trouble = ""
            facts.unknown = facts.unknown + 1 if reading.answer is Answer.UNKNOWN else 0
            facts.raw_status, facts.message = reading.look.raw_status, reading.look.message
            facts.progress = facts.progress if reading.look.progress is None else reading.look.progress
            facts.captures.update(reading.look.captures)
            self._refreshed = False
        facts.not_before = None if reading.wait is None else self._now + reading.wait
        if reading.look is not None and reading.look.queued and self._queue_deadline is not None:
            # A wait that has grown must not keep a queued job longer than the definition allows.
            wait = min(wait, max(self._queue_deadline - self._now, self._status.poll_wait))
        facts.next_poll_at = max(self._now + wait, facts.not_before or 0.0)

    def _do_fail_budget(self) -> None:
        self._do_plan_next()
        assert self._reading is not None
        self._error = endings.over_budget(self.definition, self._facts, self._reading)

    def _do_keep_end(self) -> None:
        self._do_plan_next()
        assert self._reading is not None
        assert self._reading.look is not None
        outcome = endings.ended(self._facts, self._reading.look, self._now)
        if self.goal is not Goal.TARGET:
            assert self._facts.submission is not None
            target = discreet(self.definition, outcome.target, self._facts.submission)
            outcome = replace(outcome, target=target)
        self._facts.outcome = outcome

    # The target of a job that has ended ---------------------------------------------------------------------

    def _enter_target(self) -> Command:
        return self._enter_poll()

    def _do_fail_target(self) -> None:
        assert self._reading is not None
        self._error = endings.no_target_found(self._facts, self._reading)

    # The log ------------------------------------------------------------------------------------------------

    def _enter_log(self) -> Command | Verdict:
        log, outcome = self._status.log, self._facts.outcome
        failed = outcome is not None and outcome.state == "failed" and self.goal is Goal.ENDED
        if log is None or log.request is None or not failed:
            return Verdict.ABSENT
        return Send(Purpose.LOG, log.request, self._job_names(), where="status.log.request")

    def _do_keep_log(self) -> None:
        assert self._facts.outcome is not None
        self._facts.outcome = replace(self._facts.outcome, log=self._log)

    def _do_say_no_log(self) -> None:
        self._say(f"its log could not be read: {self._log}")

    # Stopping -----------------------------------------------------------------------------------------------

    def _do_time_out(self) -> None:
        if self.phase is Phase.POLL:
            self._do_plan_next()
        assert self.deadline is not None
        self._facts.outcome = endings.timed_out(self._facts, self.deadline, self._now)
        self._begin_stop()

    def _do_time_out_queued(self) -> None:
        self._do_plan_next()
        assert self._queue_deadline is not None
        self._facts.outcome = endings.not_started(self._facts, self._queue_deadline, self._now)
        self._begin_stop()

    def _do_stop_job(self) -> None:
        self._begin_stop()
        replaced = self.goal is Goal.REPLACED
        word = "replaced by a new submission" if replaced else "stopped on request"
        self._facts.outcome = endings.stopped(self._facts, word, self._now)

    def _begin_stop(self) -> None:
        self._refreshed = False
        self._facts.tries, self._facts.not_before = 0, None

    def _do_stop_unsent(self) -> None:
        self._facts.outcome = endings.stopped(
            self._facts, "stopped on request; no job was submitted", self._now
        )

    def _do_stop_blind(self) -> None:
        problem = self._reading.problem if self._reading else ""
        self._error = endings.blind(self.definition, self._facts, problem)

    def _enter_cancel(self) -> Command | Verdict:
        if self.definition.cancel is None:
            return Verdict.ABSENT
        return Send(Purpose.CANCEL, self.definition.cancel, self._job_names(), where="cancel")

    def _enter_delete(self) -> Command:
        assert self.definition.delete is not None
        return Send(Purpose.DELETE, self.definition.delete, self._job_names(), where="delete")

    def _do_say_cancelled(self) -> None:
        self._say("cancelled at the API")

    def _do_say_gone(self) -> None:
        if self._facts.outcome is None:
            self._facts.outcome = endings.stopped(self._facts, "", self._now)
        assert self._reading is not None
        self._say(f"the API has no such job to cancel any more ({self._reading.problem})")

    def _do_say_not_cancelled(self) -> None:
        assert self._facts.outcome is not None
        error = endings.not_stopped(self._facts, self.definition, self._reading)
        if self._facts.outcome.state == "timed_out":
            self._say(error.message)
        else:
            self._error = error

    def _say(self, word: str) -> None:
        assert self._facts.outcome is not None
        self._facts.outcome = endings.with_word(self._facts.outcome, word)

    # Any request, and the end -------------------------------------------------------------------------------

    def _enter_submit_refresh(self) -> Command:
        return Refresh()

    _enter_poll_refresh = _enter_cancel_refresh = _enter_delete_refresh = _enter_submit_refresh
    _enter_target_refresh = _enter_submit_refresh

    def _enter_finished(self) -> Command:
        if self._error is not None:
            return Finish(error=self._error)
        wants_submission = self.goal in (Goal.SUBMITTED, Goal.DELETED)
        if self._facts.outcome is None or (wants_submission and not self._stop):
            return Finish(submission=self._facts.submission)
        return Finish(outcome=self._facts.outcome)


def comparable(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored checkpoint without the time at which it was written."""
    return {name: value for name, value in plain.items() if name != "at"}


def pause_of(reading: Reading, tries: int, seed: str) -> float:
    """Return the seconds before a repeat: as a rule says, else the backoff; never less than Retry-After."""
    usual = backoff(tries, seed) if reading.pause is None else reading.pause
    return max(usual, reading.wait or 0.0)
