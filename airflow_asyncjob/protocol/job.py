"""Job: what happens next with one job. Commands go out, events and times come in; no I/O, no clock.

A driver asks ``next`` for a command, does it, hands the event to ``tell``, and asks again, until ``Finish``.
Worker, triggerer, command line and tests drive the same machine. ``transitions`` has the order of events,
``checkpoint`` what a crash leaves behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.errors import CheckpointError, DefinitionError
from airflow_asyncjob.protocol.answers import Reading
from airflow_asyncjob.protocol.checkpoint import Checkpoint
from airflow_asyncjob.protocol.classify import read_stop
from airflow_asyncjob.protocol.course import known_step
from airflow_asyncjob.protocol.facts import Facts
from airflow_asyncjob.protocol.goals import Goal
from airflow_asyncjob.protocol.judge import PollCounts, judge_look, judge_poll, judge_stop, judge_target
from airflow_asyncjob.protocol.log import read_log
from airflow_asyncjob.protocol.messages import (
    Command,
    Event,
    Failed,
    Refreshed,
    Responded,
    Store,
    Stored,
    Submission,
    Woken,
)
from airflow_asyncjob.protocol.parts import Planned
from airflow_asyncjob.protocol.status import read_poll
from airflow_asyncjob.protocol.steps import comparable, pause_of
from airflow_asyncjob.protocol.submitting import Submitting
from airflow_asyncjob.protocol.transitions import Phase, Verdict

__all__ = ["Goal", "Job"]

_LONGEST_STOP_WAIT = 300.0
"""Seconds that a cancel or a delete waits at most before a repeat: nobody waits hours to say good-bye."""
_SECTIONS: Mapping[Goal, tuple[str, ...]] = {
    Goal.SUBMITTED: ("submit",),
    Goal.ENDED: ("submit", "status"),
    Goal.TARGET: ("status",),
    Goal.DELETED: ("delete",),
}
_HEARD_ALTHOUGH_STOPPED: Mapping[Phase, frozenset[Verdict]] = {
    Phase.START: frozenset({Verdict.OVER, Verdict.STOPPING, Verdict.NOTHING, Verdict.EARLY, Verdict.DISCARD}),
    Phase.SUBMIT: frozenset(
        {Verdict.ACCEPTED, Verdict.STEPPED, Verdict.UNSURE, Verdict.ILLEGIBLE, Verdict.REFUSED}
    ),
    Phase.SEARCH: frozenset({Verdict.ACCEPTED, Verdict.STEPPED}),
    Phase.RECORD_SUBMISSION: frozenset({Verdict.NOTHING, Verdict.EARLY}),
    Phase.POLL: frozenset({Verdict.ENDED, Verdict.VANISHED, Verdict.GONE}),
}


class Job(Submitting):
    """One job, driven towards one goal.

    :param definition: how to talk to it.
    :param goal: when to finish.
    :param inputs: the job's inputs, resolved.
    :param names: the frozen scalars of the run, for templates (``ds``, ``run_id`` ...).
    :param key: the idempotency key of this submission; empty where a job is only attached to.
    :param checkpoint: what an earlier process stored; None: nothing was stored.
    :param submission: a job that another process submitted, to attach to. It wins over a checkpoint of
        another job.
    :param deadline: seconds since the epoch; None: as the checkpoint says, else ``submitted_at`` and
        ``status.timeout``.
    :param attempt: number of this submission among those of one task; it rises when a failed job is recorded.
    :raises DefinitionError: the definition lacks a section that the goal needs.
    :raises CheckpointError: the checkpoint was made with another key, or before a step that the definition
        does not have.
    """

    def __init__(
        self,
        definition: AsyncJob,
        goal: Goal,
        *,
        inputs: Mapping[str, Any],
        names: Mapping[str, Any],
        key: str,
        checkpoint: Checkpoint | None = None,
        submission: Submission | None = None,
        deadline: float | None = None,
        attempt: int = 1,
    ) -> None:
        super().__init__(definition, goal, Facts(key, attempt), {**names, "inputs": inputs})
        self._checkpoint = self._own(checkpoint, submission, key)
        self._adopted, self._deadline = submission, deadline
        self._abandoned = False
        self._require_sections()

    def _own(
        self, checkpoint: Checkpoint | None, submission: Submission | None, key: str
    ) -> Checkpoint | None:
        if checkpoint is None:
            return None
        if submission is not None and (
            checkpoint.submission is None or checkpoint.submission.id != submission.id
        ):
            self.notes.append(
                f"The stored checkpoint is not of the job {submission.id!r}, and is left aside."
            )
            return None
        known_step(self.definition.submit, checkpoint.step)
        if key and checkpoint.key and checkpoint.key != key:
            raise CheckpointError(
                f"The stored checkpoint belongs to the key {checkpoint.key!r}, and this job has {key!r}. "
                "Give the job its own checkpoint, or none where a new one is wanted."
            )
        return checkpoint

    def _require_sections(self) -> None:
        known = self._adopted or (self._checkpoint and self._checkpoint.submission)
        for section in _SECTIONS.get(self.goal, ()):
            if getattr(self.definition, section) is None and not (section == "submit" and known):
                name = self.definition.name or "the definition"
                raise DefinitionError(f"{name} has no section {section!r}, which the goal {self.goal} needs")

    # What people and layers ask -----------------------------------------------------------------------------

    def cancel(self, now: float) -> None:
        """Wish that the remote job stops (Ctrl-C, a task marked failed).

        It is heard at once: either tell what came of the outstanding command, or give the command up and ask
        ``next``. Before the submit is sent nothing is sent at all. A submit that is given up is reported as
        uncertain. A job that turns out to have ended has ended. ``Finish`` comes with the outcome
        ``cancelled``, or with the error that says what could not be stopped.

        :param now: seconds since the epoch.
        """
        self._set_clock(now)
        self._stop = self._abandoned = True

    @property
    def submission(self) -> Submission | None:
        """The job at the API; None while none is known."""
        stored = self._checkpoint.submission if self._checkpoint else None
        return self._facts.submission or self._adopted or stored

    @property
    def facts(self) -> Facts:
        """All that is known of the job. To be read only."""
        return self._facts

    @property
    def raw_status(self) -> Any:
        """The API's own word, as last seen; None before the first."""
        return self._facts.raw_status

    @property
    def progress(self) -> Any:
        """As the API gave it last; None: it does not."""
        return self._facts.progress

    @property
    def message(self) -> str:
        """The API's message, as last seen; empty when there is none."""
        return self._facts.message

    @property
    def polls(self) -> int:
        """Good polls so far."""
        return self._facts.polls

    @property
    def next_poll_at(self) -> float | None:
        """When the next poll is due, seconds since the epoch; None while none is planned."""
        return self._facts.next_poll_at

    @property
    def checkpoint(self) -> Checkpoint:
        """What another process needs to carry on from here, also between two polls.

        For a driver that hands the job over on purpose (a deferral, a reschedule) while ``Wait`` is
        outstanding.
        """
        if self.phase is Phase.START and self._checkpoint is not None:
            return self._checkpoint
        return self._facts.checkpoint(self._durable(), self._now)

    # The start ----------------------------------------------------------------------------------------------

    def next(self, now: float) -> Command:
        """As :meth:`Machine.next`; after :meth:`cancel` another command follows the one given up."""
        if self._abandoned and self._command is not None:
            self._set_clock(now)
            if self.phase is Phase.SUBMIT:
                self._facts.unsure = True
            if isinstance(self._command, Store):
                self._stored = None
            if self._stop_verdict() in self.table[self.phase]:
                self._go(self._stop_verdict())
        self._abandoned = False
        return super().next(now)

    def tell(self, event: Event, now: float) -> None:
        """As :meth:`Machine.tell`."""
        self._abandoned = False
        self._set_clock(now)
        super().tell(event, now)

    def _set_clock(self, now: float) -> None:
        if now < self._now:
            self._facts.set_back(self._now - now)
        self._now = now

    def _open(self) -> Verdict:
        facts = self._facts
        if self._checkpoint is not None:
            key = facts.key
            facts = self._facts = Facts.of(self._checkpoint, self._now)
            facts.key = key or facts.key
            self._stored = comparable(self._checkpoint.to_dict())
        facts.submission = facts.submission or self._adopted
        facts.deadline = facts.deadline if self._deadline is None else self._deadline
        if facts.submission is not None:
            facts.begun = min(facts.submission.submitted_at, self._now)
            return self._open_known(facts.submission)
        if self.goal is Goal.REPLACED:
            self._stop = True
            return self._stop_verdict()
        return self._open_unknown()

    def _open_known(self, submission: Submission) -> Verdict:
        if self.goal is Goal.DELETED:
            return Verdict.DISCARD
        if self.goal is Goal.TARGET:
            return Verdict.SEEK
        outcome = self._facts.outcome
        if outcome is not None and self._checkpoint is not None and self._checkpoint.phase == "cancelling":
            self._stop = self._stop or outcome.state == "cancelled"
            return Verdict.STOPPING
        if outcome is not None and self.goal is not Goal.SUBMITTED:
            return Verdict.OVER
        onward = self._onward(submission)
        if self.goal is Goal.REPLACED and onward in (Verdict.ATTACH, Verdict.MUTE):
            self._do_plan_first()
            may_look = onward is Verdict.ATTACH and self._now >= (self._facts.next_poll_at or 0)
            return Verdict.LOOK if may_look else Verdict.STOP
        return onward

    def _onward(self, submission: Submission) -> Verdict:
        """Return what comes next, now that the job is known."""
        if self.goal is Goal.SUBMITTED:
            return Verdict.KNOWN
        if submission.no_data:
            return Verdict.NOTHING
        if submission.outcome is not None:
            return Verdict.EARLY
        status = self.definition.status
        return Verdict.MUTE if status is None or status.request is None else Verdict.ATTACH

    # Verdicts -----------------------------------------------------------------------------------------------

    def _judge(self, event: Event) -> Verdict:
        if self.phase is Phase.SEARCH:
            return self._judge_search(event)
        if isinstance(event, Stored):
            self._stored = None if self._storing is None else comparable(self._storing)
            self._refusals = None
            return Verdict.STORED
        if isinstance(event, Refreshed):
            self._refreshed = True
            return Verdict.CHANGED if event.changed else Verdict.UNCHANGED
        if isinstance(event, Woken):
            until, forbidden = self._next_look() if self.phase is Phase.POLL_PAUSE else (0.0, False)
            return Verdict.OVERDUE if forbidden and self._now >= until else Verdict.WOKEN
        if self.phase is Phase.PLAN:
            assert isinstance(event, (Planned, Failed))
            return self._judge_plan(event)
        assert isinstance(event, (Responded, Failed))
        if self.phase is Phase.SUBMIT:
            return self._judge_submit(event)
        if self.phase is Phase.LOG:
            return self._judge_log(event)
        if self.phase is Phase.TARGET:
            return self._judge_target(event)
        return self._judge_poll(event) if self.phase is Phase.POLL else self._judge_stop(event)

    def _heeded(self, verdict: Verdict) -> Verdict:
        if verdict is Verdict.STORED and self.phase is Phase.RECORD_STEP:
            too_late = (self._facts.not_before or 0.0) > max(self._latest, self._now)
            verdict = Verdict.FORBIDDEN if too_late else verdict
        if verdict is Verdict.STORED and self.phase is Phase.RECORD_SUBMISSION:
            assert self._facts.submission is not None
            verdict = self._onward(self._facts.submission)
        if not self._stop or verdict in _HEARD_ALTHOUGH_STOPPED.get(self.phase, ()):
            return verdict
        stop = self._stop_verdict()
        return stop if stop in self.table[self.phase] else verdict

    def _judge_poll(self, event: Responded | Failed) -> Verdict:
        facts, status, deadline = self._facts, self.definition.status, self.deadline
        assert facts.submission is not None
        assert status is not None
        assert deadline is not None
        reading = self._read_poll(event)
        if self.goal is Goal.REPLACED:
            return judge_look(reading, refreshed=self._refreshed)
        counts = PollCounts(facts.polls, facts.errors, facts.late, facts.unknown)
        return judge_poll(
            reading,
            status,
            counts,
            overdue=self._now >= deadline,
            refreshed=self._refreshed,
            waited_in_queue=self._queue_deadline is not None and self._now >= self._queue_deadline,
        )

    def _read_poll(self, event: Responded | Failed) -> Reading:
        facts = self._facts
        assert facts.submission is not None
        facts.sent = event.response.sent if isinstance(event, Responded) else event.sent
        return self._take(read_poll(self.definition, event, facts.submission, self._job_names(), self._now))

    def _judge_target(self, event: Responded | Failed) -> Verdict:
        facts, reading = self._facts, self._read_poll(event)
        wait = max(pause_of(reading, facts.tries + 1, self._seed), self._status.poll_wait)
        self._until = self._now + wait
        return judge_target(
            reading,
            tries_left=self.definition.limits.retries - facts.tries,
            refreshed=self._refreshed,
            wait=wait,
        )

    def _judge_log(self, event: Responded | Failed) -> Verdict:
        assert self._status.log is not None
        log, problem = read_log(self._status.log, event, self._facts.all_captures())
        self._log = log or problem
        return Verdict.DONE if log else Verdict.REFUSED

    def _judge_stop(self, event: Responded | Failed) -> Verdict:
        cancelling = self.phase is Phase.CANCEL
        request = self.definition.cancel if cancelling else self.definition.delete
        errors = self.definition.errors
        assert request is not None
        reading = self._take(
            read_stop(
                request,
                errors.cancel if cancelling else errors.delete,
                event,
                self._facts.all_captures(),
                self._now,
                what="the cancel" if cancelling else "the delete",
                gone=(404, 409, 410) if cancelling else (404, 410),
            )
        )
        wait = pause_of(reading, self._facts.tries + 1, self._seed)
        self._until = self._now + wait
        return judge_stop(
            reading,
            tries_left=self.definition.limits.retries - self._facts.tries,
            refreshed=self._refreshed,
            wait=wait,
            longest=_LONGEST_STOP_WAIT,
        )
