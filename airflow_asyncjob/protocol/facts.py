"""What the machine knows of one job while it drives it; a checkpoint is a copy of its durable part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_asyncjob.definition.parts import Plan
from airflow_asyncjob.protocol.answers import Answer
from airflow_asyncjob.protocol.checkpoint import Checkpoint, Cut, Durable
from airflow_asyncjob.protocol.messages import Outcome, Submission

__all__ = ["Facts"]


@dataclass
class Facts:
    """See :class:`Checkpoint` for what is durable. Times are seconds since the epoch.

    :param begun: ``submitted_at``, or the start of this process where the clock stands before it.
    :param unsure: a submit, or a step of one, was sent whose outcome is not known.
    :param settled_at: from when on the list is believed when it does not have the job that an uncertain
        submit may have made.
    :param left_at: when a submit in steps was refused that begins anew; what is older is left at the API.
    :param list_answered: whether the list has answered since that submit.
    :param plan: the parts of the upload, as this process cut them; None: not yet, or nothing is uploaded.
    :param late: failed looks since the deadline.
    :param kinds: the kinds of answers of the failed polls in a row.
    :param raw_status: the API's own word, as last seen.
    :param message: the API's message, as last seen.
    :param progress: as the API gave it last.
    :param sent: the last poll, for people.
    :param trouble: why the last poll failed; empty when it was good.
    :param in_a_row: failed polls in a row when the last one failed, for people: it stays when the tries are
        forgotten.
    """

    key: str
    attempt: int
    since: float | None = None
    tries: int = 0
    unsure: bool = False
    not_before: float | None = None
    settled_at: float | None = None
    list_answered: bool = False
    left_at: float | None = None
    step: str = ""
    item: int = 0
    step_captures: dict[str, Any] = field(default_factory=dict)
    upload: Cut | None = None
    plan: Plan | None = None
    submission: Submission | None = None
    begun: float = 0.0
    deadline: float | None = None
    next_poll_at: float | None = None
    last_poll_at: float | None = None
    looks: int = 0
    polls: int = 0
    errors: int = 0
    unknown: int = 0
    late: int = 0
    kinds: set[Answer] = field(default_factory=set)
    captures: dict[str, Any] = field(default_factory=dict)
    outcome: Outcome | None = None
    raw_status: Any = None
    message: str = ""
    progress: Any = None
    sent: str = ""
    trouble: str = ""
    in_a_row: int = 0

    @classmethod
    def of(cls, checkpoint: Checkpoint, now: float) -> Facts:
        """Return what a checkpoint says, as it stands on this clock (see :meth:`set_back`)."""
        facts = cls(
            key=checkpoint.key,
            attempt=checkpoint.attempt,
            since=checkpoint.since,
            tries=checkpoint.tries,
            unsure=checkpoint.phase == "intent",
            not_before=checkpoint.not_before,
            settled_at=checkpoint.settled_at,
            list_answered=checkpoint.list_answered,
            left_at=checkpoint.left_at,
            step=checkpoint.step,
            item=checkpoint.item,
            step_captures=dict(checkpoint.step_captures),
            upload=checkpoint.upload,
            submission=checkpoint.submission,
            deadline=checkpoint.deadline,
            next_poll_at=checkpoint.next_poll_at,
            last_poll_at=checkpoint.last_poll_at,
            looks=checkpoint.looks,
            polls=checkpoint.polls,
            errors=checkpoint.errors,
            unknown=checkpoint.unknown,
            captures=dict(checkpoint.captures),
            outcome=checkpoint.outcome,
        )
        if checkpoint.at is not None and checkpoint.at > now:
            facts.set_back(checkpoint.at - now)
        return facts

    def set_back(self, seconds: float) -> None:
        """Move every time as much as the clock was set back (or another machine's clock stands behind).

        So no wait becomes longer than it was meant to be.
        """
        self.begun -= seconds
        self.since = _moved(self.since, seconds)
        self.not_before = _moved(self.not_before, seconds)
        self.settled_at = _moved(self.settled_at, seconds)
        self.left_at = _moved(self.left_at, seconds)
        self.deadline = _moved(self.deadline, seconds)
        self.next_poll_at = _moved(self.next_poll_at, seconds)
        self.last_poll_at = _moved(self.last_poll_at, seconds)

    def checkpoint(self, phase: Durable, now: float) -> Checkpoint:
        """Return the durable part."""
        return Checkpoint(
            phase=phase,
            at=now,
            key=self.key,
            attempt=self.attempt,
            since=self.since,
            tries=self.tries,
            not_before=self.not_before,
            settled_at=self.settled_at,
            list_answered=self.list_answered,
            left_at=self.left_at,
            step=self.step,
            item=self.item,
            step_captures=self.step_captures,
            upload=self.upload,
            submission=self.submission,
            deadline=self.deadline,
            next_poll_at=self.next_poll_at,
            last_poll_at=self.last_poll_at,
            looks=self.looks,
            polls=self.polls,
            errors=self.errors,
            unknown=self.unknown,
            captures=self.captures,
            outcome=self.outcome if phase in ("cancelling", "ended") else None,
        )

    def forget_tries(self) -> None:
        """Start the counters again: this process gives up, and a later one has tries of its own."""
        self.since = None
        self.tries = self.errors = self.unknown = 0

    @property
    def begun_steps(self) -> bool:
        """Whether a part of the submit is done, and not all of it."""
        return bool(self.step or self.item)

    def forget_steps(self) -> None:
        """Start with the first step again, or have none any more."""
        self.step, self.item, self.step_captures, self.upload = "", 0, {}, None

    def all_captures(self) -> Mapping[str, Any]:
        """Return the captures of the submission and of the polls; the later win."""
        return {**(self.submission.captures if self.submission else {}), **self.captures}


def _moved(time: float | None, seconds: float) -> float | None:
    return None if time is None else time - seconds
