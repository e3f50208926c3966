"""What must hold in every history of the simulation, whatever goes wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from airflow_asyncjob.errors import UncertainError
from airflow_asyncjob.protocol import (
    Checkpoint,
    Command,
    Event,
    Failed,
    Fault,
    Finish,
    Goal,
    Job,
    Outcome,
    Purpose,
    Responded,
    Send,
    Submission,
)
from tests.protocol.fake_api import QUEUED, FakeApi, RemoteJob
from tests.protocol.plans import SETTLE, Plan

KEY = "the-key"
EPSILON = 1e-3


class Broken(AssertionError):
    """Something that must hold does not."""


@dataclass
class Bounds:
    """The earliest times (true) at which a process may send, as far as it can know them."""

    poll: float = 0.0
    look: float = 0.0
    submit: float = 0.0
    listing: float = 0.0

    def copy(self) -> Bounds:
        """Return what a later process knows; when the list may be asked, only one that takes over a wait."""
        return Bounds(self.poll, self.look, self.submit)

    def come_closer(self, seconds: float) -> None:
        """Heed that the clock was set forward, which is all that a process knows of the time."""
        self.poll, self.look = self.poll - seconds, self.look - seconds
        self.submit, self.listing = self.submit - seconds, self.listing - seconds


@dataclass
class Process:
    """One process that drives the job.

    :param orphan: its supervisor is gone: it runs on, and what it stores reaches nobody; it dies of the first
        store.
    :param keeps: whether its stores are kept; a triggerer's are not.
    """

    job: Job
    goal: Goal
    bounds: Bounds
    at: float
    keeps: bool
    orphan: bool = False
    command: Command | None = None
    event: Event | None = None
    stage: str = "next"
    uncertain: bool = False
    sent: int = 0
    exempt: bool = False
    handed: bool = False
    backoff: float = 0.0
    submits: int = 0
    cancels: int = 0
    jumped: float = 0.0
    stopped: bool = False
    last_looks: int = 0
    seen_end: str | None = None
    notes_told: int = 0
    queued_too_long: bool = False
    looks: int = 0
    mark: str = ""
    """Of the source, as this process has cut it."""
    woken: bool = False
    """By an event: it looks at once, and once."""


class Checks:
    """The part of a history that judges. Times are true times; the job, and what it stores, use the clock."""

    def __init__(self, plan: Plan, api: FakeApi) -> None:
        self.plan = plan
        self.api = api
        assert plan.definition.status is not None
        self.status = plan.definition.status
        self.now = 0.0
        self.offset = 1_700_000_000.0
        self.jumped = 0.0
        self.stored: str | None = None
        self.stored_phase: str | None = None
        self.stored_by: Process | None = None
        self.noted: str | None = None
        self.noted_bounds = Bounds()
        self.stored_bounds = Bounds()
        self.risks = 0
        self.begun_again = 0
        self.late_looks = 0
        self.held_until = 0.0
        self.longest_asked = 0.0
        self.stop_asked = False
        self.finish: Finish | None = None
        self.finished_by: Process | None = None

    def store(self, plain: Mapping[str, Any], bounds: Bounds, by: Process) -> None:
        """Keep what a later process starts from, as JSON."""
        self.stored, self.stored_phase = json.dumps(plain), plain["phase"]
        self.stored_bounds, self.stored_by = bounds.copy(), by
        self.check(len(self.stored) < 64 * 1024, "a checkpoint is larger than 64 KiB")

    @property
    def wall(self) -> float:
        """What the clock says."""
        return self.now + self.offset

    def check(self, holds: bool, what: str) -> None:
        """Stop the history where something does not hold."""
        if not holds:
            raise Broken(what)

    def _may_send(self, process: Process, command: Send) -> None:
        """Check a request before it is sent."""
        if process.stopped:
            ending = command.purpose in (Purpose.CANCEL, Purpose.LOG)
            self.check(ending, f"{command.purpose} is sent although the job was stopped")
        most = self.plan.definition.limits.retries + 1
        if process.goal is Goal.TARGET:
            self._may_look(process, command, most)
            return
        phase = self.stored_phase
        alone = process.keeps and not process.orphan and not self.plan.twins
        if command.purpose is Purpose.LIST:
            self.check(self.plan.listed, "a list is asked that cannot tell")
            self.check(phase == "intent" or not alone, f"the list is asked, and what is stored says {phase}")
            self.check(
                self.now >= process.bounds.listing - EPSILON or process.exempt, "the list is asked too early"
            )
            process.exempt = False
            return
        if alone and command.purpose is not Purpose.SUBMIT and not self.plan.two_steps:
            kept = phase in ("submitted", "cancelling", "ended")
            self.check(kept, f"a {command.purpose} is sent, and what is stored says {phase}")
        if command.purpose is Purpose.SUBMIT:
            self.check(phase == "intent" or not alone, f"a submit is sent, and what is stored says {phase}")
            harmless = self._may_repeat(command.step, keyed=self.plan.keyed)
            self.check(harmless or not process.uncertain, "a submit without a key is repeated blindly")
            self._in_order(command, alone=alone)
            process.submits += not process.exempt
            self.check(process.submits <= most, f"more than {most} submits are sent")
            earliest = max(process.bounds.submit, process.backoff)
            self.check(self.now >= earliest - EPSILON or process.exempt, "a submit is sent too early")
        elif command.purpose is Purpose.CANCEL:
            process.cancels += not process.exempt
            self.check(process.cancels <= most, f"more than {most} cancels are sent")
        elif command.purpose is Purpose.POLL:
            earliest = max(process.bounds.poll, process.bounds.look)
            early = f"a poll is sent {earliest - self.now:.3f} s too early"
            self.check(self.now >= earliest - EPSILON or process.exempt, early)
            deadline, submission = process.job.deadline, process.job.submission
            assert deadline is not None
            assert submission is not None
            self.check(not process.queued_too_long, "a job that was queued for too long is waited for")
            right = submission.submitted_at + self.status.timeout
            self.check(abs(deadline - right) < EPSILON or self.jumped > 0, "the deadline was moved")
            if self.wall >= deadline:
                self.late_looks += 1
                process.last_looks += 1
                self.check(process.last_looks <= 4, "looks on and on after the deadline")
        process.exempt = False

    def _may_look(self, process: Process, command: Send, most: int) -> None:
        """Check a request of a look for the target of a job that has ended."""
        self.check(command.purpose is Purpose.POLL, f"a {command.purpose} is sent to look for the target")
        process.looks += not process.exempt
        self.check(process.looks <= most, f"more than {most} looks for the target")
        earliest = max(process.bounds.poll, process.bounds.look) if process.looks > 1 else 0.0
        self.check(self.now >= earliest - EPSILON or process.exempt, "a look is sent too early")
        process.exempt = False

    def _stored_before(self, process: Process, left: float) -> None:
        """Check that a Retry-After that explains this wait would be known to a successor."""
        if process.keeps and not process.orphan and not self.plan.twins and not process.handed:
            bounds, kept, until = process.bounds, self.stored_bounds, self.now + left - EPSILON
            known = kept.look >= bounds.look or bounds.look < until
            known = known and (kept.submit >= bounds.submit or bounds.submit < until)
            self.check(known or process.stopped, "a Retry-After is waited out, and is not stored")

    def _not_too_long(self, process: Process, left: float) -> None:
        """Check that a wait is no longer than the definition, the API, or a backoff explains."""
        status, bounds = self.status, process.bounds
        longest = max(600.0, status.poll_wait) if status.longest_wait is None else status.longest_wait
        if self.jumped and self.plan.two_steps:
            return  # A bare submission does not tell how long ago it was made, on a clock that was set back.
        asked = max(bounds.look, bounds.poll, bounds.submit, bounds.listing) - self.now
        usual = longest * (1 + status.jitter)
        if self.plan.listed:  # a request of an earlier process may be on its way
            usual = max(usual, self.plan.definition.limits.exchange_timeout + SETTLE)
        explained = max(usual, 66.0, asked) + process.jumped
        if self.jumped:
            # On a clock that was set back nobody knows how much of a wait has passed: it is waited again.
            explained = max(explained, self.longest_asked) + 2 * self.plan.slow + 1
        self.check(
            left <= explained + EPSILON, f"a wait of {left:.1f} s, of which {explained:.1f} s are explained"
        )

    def _learn(self, process: Process, command: Send, event: Event | None) -> None:
        """Note from when on a process may send again, now that it knows this answer."""
        bounds = process.bounds
        asked = _asked_wait(event)
        if command.purpose is Purpose.POLL:
            bounds.poll = self.now + self.status.poll_wait
            bounds.look = self.now + asked
            if isinstance(event, Responded) and event.response.code == 200:
                process.seen_end = _end_of(event) or process.seen_end
                process.queued_too_long = self._queued_too_long(process, event)
        elif command.purpose is Purpose.SUBMIT:
            bounds.submit = self.now + asked
            process.backoff = self.now + 1.0
            if isinstance(event, Responded) and event.response.code == 202:
                if command.step in ("", "start"):
                    bounds.poll, bounds.look = self.now + self.status.initial_wait, self.now + asked
                process.uncertain, process.submits, process.backoff = False, 0, 0.0
            elif isinstance(event, Failed):
                process.uncertain = process.uncertain or event.fault is Fault.LOST
            elif isinstance(event, Responded) and (event.response.code >= 500 or event.response.code == 200):
                process.uncertain = True
        elif command.purpose is Purpose.LIST:
            bounds.listing = self.now + asked
            if isinstance(event, Responded) and event.response.code == 200:
                if KEY.encode() in event.response.body:
                    process.submits, process.backoff = 0, 0.0
                process.uncertain = False  # whether it drew the right conclusion shows in what is accepted
        self.longest_asked = max(self.longest_asked, asked)
        self.held_until = max(self.held_until, bounds.look)

    def _queued_too_long(self, process: Process, event: Responded) -> bool:
        """Return whether an answer says that the job is queued, although its time for that is over."""
        submission, allowed = process.job.submission, self.status.queue_timeout
        if allowed is None or submission is None or self.jumped or QUEUED.encode() not in event.response.body:
            return False
        return self.wall >= submission.submitted_at + allowed

    def _may_repeat(self, name: str, *, keyed: bool = False) -> bool:
        """Return whether a request may be sent again although it may have been done.

        :param name: of the step, for people; empty: the submit is one request.
        :param keyed: whether it carries an idempotency key.
        """
        submit = self.plan.definition.submit
        assert submit is not None
        for step in submit.steps or ():
            if step.name == name.partition(" ")[0]:
                return keyed or step.request.method == "PUT" if step.again is None else step.again
        return keyed

    def _in_order(self, command: Send, *, alone: bool) -> None:
        """Check that a later process would know this step, and that a job is started with all its parts."""
        if command.step and alone:
            stored = json.loads(self.stored or "{}")
            step, item = stored.get("step", "create"), stored.get("item", 0) + 1
            right = command.step in (step, f"{step} {item} of {self.api.parts}")
            self.check(right, f"the step {command.step} is sent, and what is stored says {step} {item}")
        if command.step != "start":
            return
        draft = self.api.draft_of(command)
        self.check(len(draft.marks) <= 1, "a job is started with parts of two sources")
        self.check(set(draft.uploads) == set(draft.parts), f"started with {dict(draft.uploads)} only")
        tags = [f"tag of {part}" for part in draft.parts]
        captured = command.names["captures"]
        self.check(captured == {"draft": draft.id, "parts": draft.parts, "tags": tags}, f"{captured} is kept")

    def _count_drafts(self) -> None:
        drafts, submit = len(self.api.drafts), self.plan.definition.submit
        assert submit is not None
        most = 1 + self.risks
        if self.plan.keyed or self.plan.listed or submit.on_uncertain == "fail":
            most = 1
        parts = 1 if submit.on_uncertain == "fail" else 1 + self.risks
        again = 0 if self.plan.keyed else self.begun_again
        # The list tells by a time what a refused submit left from what was made since: not when the clock of
        # one of the two was set back in between.
        mistaken = self.plan.listed and again > 0 and self.jumped > 0
        self.check(
            drafts <= most + again or mistaken, f"{drafts} drafts, {self.risks} risks, {again} begun again"
        )
        put = submit.steps is not None and self._may_repeat("upload 1")
        for draft in self.api.drafts:
            often = max(draft.uploads.values(), default=0)
            self.check(
                put or often <= max(parts, most), f"a part was uploaded {often} times, {self.risks} risks"
            )

    def _count_accepted(self) -> None:
        accepted = len(self.api.jobs)
        submit = self.plan.definition.submit
        assert submit is not None
        if self.plan.keyed:
            self.check(accepted <= 1, "two jobs were accepted although the API has a key")
        elif self.plan.listed and submit.steps is None:
            self.check(accepted <= 1, "two jobs were accepted although the API has a list that tells")
        else:
            self.check(
                accepted <= 1 + self.risks,
                f"{accepted} jobs were accepted, and {self.risks} risks were noted",
            )
            if submit.on_uncertain == "fail":
                self.check(accepted <= 1, "two jobs were accepted although on_uncertain says fail")

    def _judge_end(self, process: Process, finish: Finish) -> None:
        """Check what a process finished with."""
        given = [value for value in (finish.submission, finish.outcome, finish.error) if value is not None]
        self.check(len(given) == 1, f"Finish gives {given}")
        if process.orphan:
            return
        if finish.submission is not None:
            self._kept_whole(process, finish.submission)
        if finish.outcome is not None:
            self._true(process, finish.outcome)
        if finish.error is not None:
            self._honest(process, finish)

    def _kept_whole(self, process: Process, submission: Submission) -> None:
        """Check a submission against the job that the API accepted."""
        remote = self.api.find(submission.id)
        whole = remote is not None and submission.captures["token"] == f"t{submission.id}"
        self.check(whole, f"finished with {submission}")
        phase = self.stored_phase
        stored = phase in ("submitted", "ended") or self.plan.twins
        self.check(stored, f"finished with a submission, and what is stored says {phase}")

    def _true(self, process: Process, outcome: Outcome) -> None:
        """Check an outcome against what really happened."""
        submission = process.job.submission
        remote = None if submission is None else self.api.find(submission.id)
        if remote is None:
            self.check(
                outcome.state == "cancelled" and process.stopped, f"{outcome.state}, and there is no job"
            )
            # What a refused step left behind was told when it was refused.
            nothing = not self.api.jobs and (not self.api.drafts or self.begun_again > 0)
            self.check(process.sent == 0 or nothing or not self.plan.keyed, "a job was left behind unseen")
            known = self.plan.keyed or not self.risks
            self.check(nothing or not known, f"{outcome.message}, and there is a draft or a job")
            return
        self.check(process.job.submission is not None and outcome.target is not None, "no target")
        if outcome.state == "timed_out" and outcome.raw_status != "expired":
            self._timed_out(process, outcome)
            self._stopped_for_good(outcome, remote)
        elif outcome.state == "cancelled" and outcome.raw_status != "stopped":
            self.check(self.stop_asked, "cancelled, and nobody asked for it")
            self._stopped_for_good(outcome, remote)
        else:
            answered = process.goal is not Goal.TARGET or process.looks > 0
            self.check(answered, "a fresh target is told without a look")
            truth = remote.state(self.now)
            self.check(outcome.state == truth, f"the outcome is {outcome.state}, the truth is {truth}")
            self._log_told(outcome, remote)
            targets = remote.targets() if truth in ("done", "partial") else []
            self.check(outcome.target == targets, f"the target is {outcome.target}, not {targets}")

    def _log_told(self, outcome: Outcome, remote: RemoteJob) -> None:
        """Check that the log of a job that failed is told, or why there is none; and of no other job."""
        if outcome.state != "failed" or self.status.log is None:
            self.check(outcome.log == "", f"a log is told of a job that is {outcome.state}")
            return
        told = (
            outcome.log == f"log of {remote.id}, which failed" or "log could not be read" in outcome.message
        )
        self.check(told, f"the log is {outcome.log!r}, the message {outcome.message!r}")

    def _timed_out(self, process: Process, outcome: Outcome) -> None:
        """Check that it was not too early to give a job up."""
        deadline, submission = process.job.deadline, process.job.submission
        assert deadline is not None
        assert submission is not None
        self.check(process.seen_end is None, f"seen as {process.seen_end}, and called timed out")
        if outcome.message.startswith("not started"):
            self.check(outcome.raw_status == QUEUED, f"not started, and the status is {outcome.raw_status}")
            allowed = submission.submitted_at + (self.status.queue_timeout or self.status.timeout)
            self.check(self.wall >= allowed - EPSILON or self.jumped > 0, "given up in the queue too early")
            return
        self.check(self.wall >= deadline - EPSILON or self.jumped > 0, "timed out before the deadline")
        looked = self.late_looks > 0 or self.held_until > deadline - self.offset
        self.check(looked or self.jumped > 0, "timed out without a last look")

    def _stopped_for_good(self, outcome: Outcome, remote: RemoteJob) -> None:
        if self.plan.definition.cancel is None:
            self.check("no cancel request" in outcome.message, "it is not said that the job runs on")
            return
        self.check(self.api.cancels > 0, "no cancel was sent")
        if "could not be stopped" not in outcome.message:
            self.check(remote.state(self.now) != "running", "the remote job was left running")

    def _honest(self, process: Process, finish: Finish) -> None:
        """Check what an error says against what really happened."""
        error = finish.error
        assert error is not None
        if "Nothing was accepted" in error.message:
            alone = self.risks + self.begun_again == 0 and not self.plan.twins
            nothing = not self.api.jobs and not self.api.drafts
            self.check(nothing or not alone, f"a job was accepted, and the error is {error.message!r}")
        if process.goal is Goal.TARGET:
            self.check(process.looks > 0, f"{error.message!r} without a look")
        if isinstance(error, UncertainError):
            self.check(process.job.submission is None, "uncertain, although the submission is known")

    def _alike(self, one: Outcome, other: Outcome) -> bool:
        """Return whether two processes saw the same end; twins may have seen two, at two times."""
        return (
            self.plan.twins
            or self.plan.two_triggers
            or (one.state, one.target) == (other.state, other.target)
        )

    def _at_the_end(self) -> None:
        """Check that a finished job is finished for every later process, without a request."""
        self.check(self.finish is not None, "the history ended without Finish")
        assert self.finish is not None
        process = self.finished_by
        if self.stored is None or process is None or not process.keeps:
            return
        checkpoint = Checkpoint.from_dict(json.loads(self.stored))
        if checkpoint.phase != "ended" or self.finish.outcome is None:
            return
        again = Job(
            self.plan.definition, Goal.ENDED, inputs={}, names={}, key=KEY, checkpoint=checkpoint
        ).next(self.wall + 5e6)
        if not isinstance(again, Finish) or again.outcome is None:
            raise Broken(f"asked again, it does not end: {again}")
        own = self.stored_by is process
        same = (
            again.outcome == self.finish.outcome if own else self._alike(again.outcome, self.finish.outcome)
        )
        self.check(same, f"asked again, it is {again}")


def _asked_wait(event: Event | None) -> float:
    """Return what Retry-After asks for, read apart from the code under test."""
    if not isinstance(event, Responded) or "retry-after" not in event.response.headers:
        return 0.0
    text = event.response.headers["retry-after"]
    if text.isdigit():
        return float(text)
    date = event.response.headers["date"]
    return (parsedate_to_datetime(text) - parsedate_to_datetime(date)).total_seconds()


def _end_of(event: Responded) -> str | None:
    try:
        status = json.loads(event.response.body)["status"]
    except (ValueError, KeyError, TypeError):
        return None
    return status if status not in ("busy", "puzzled", QUEUED) else None
