"""What comes from outside in a history: clocks that are set, and events of the API."""

from __future__ import annotations

import json
import random
from abc import ABC, abstractmethod
from dataclasses import dataclass

from airflow_asyncjob.protocol import Checkpoint, Goal
from airflow_asyncjob.protocol.transitions import Phase
from tests.protocol.checks import Bounds, Checks, Process
from tests.protocol.fake_api import FakeApi
from tests.protocol.plans import Plan

MOST_LEAPS = 3
MOST_EVENTS = 20


@dataclass(frozen=True)
class Delivery:
    """An event of the API on its way to whoever waits.

    :param ours: it is about the job of this history.
    """

    at: float
    ours: bool


class Moves(Checks, ABC):
    """The part of a history that the processes do not see coming."""

    def __init__(self, rng: random.Random, plan: Plan, api: FakeApi) -> None:
        super().__init__(plan, api)
        self.rng = rng
        self.processes: list[Process] = []
        self.leaps = 0
        self.leapt = 0.0
        self.events: list[Delivery] = []
        self.sent_events = 0

    @abstractmethod
    def say(self, text: str, what: object = None) -> None:
        """Add a line to the story."""

    @abstractmethod
    def start(self, at: float, stored: str | None, bounds: Bounds, keeps: bool = True) -> Process:
        """Start a process from a stored checkpoint."""

    @abstractmethod
    def _next(self, process: Process) -> None:
        """Let a process take its next command."""

    def _jump(self) -> None:
        if self.plan.jumps and self.rng.random() < self.plan.jumps:
            back = self.rng.choice((1.0, 60.0, 7200.0))
            if self.jumped + back < 40000:
                self.jumped += back
                self.offset -= back
                self.say(f"the clock is set back by {back:g} s")

    def _leap(self, process: Process) -> None:
        """Set the clock forward, or back to where it was before."""
        if not self.plan.leaps or self.rng.random() >= self.plan.leaps:
            return
        if self.leapt and self.rng.random() < 0.6:
            seconds, self.leapt = self.leapt, 0.0
            self.jumped += seconds
            self.offset -= seconds
            self.say(f"the clock is set back by {seconds:g} s, to what it was")
            return
        if self.leaps >= MOST_LEAPS or not self._may_leap(process):
            return
        seconds = self.rng.choice((120.0, 3600.0, 86400.0, 5 * 86400.0))
        self.leaps += 1
        self.leapt += seconds
        self.offset += seconds
        self.held_until -= seconds
        known = {id(other): other for other in (*self.processes, self.finished_by) if other is not None}
        for bounds in (self.stored_bounds, self.noted_bounds, *(other.bounds for other in known.values())):
            bounds.come_closer(seconds)
        for other in self.processes:
            other.backoff -= seconds
            if other.stage == "wake" and self.plan.sleeps_by_clock:
                other.at = max(self.now, other.at - seconds)
        self.say(f"the clock is set forward by {seconds:g} s")

    def _may_leap(self, process: Process) -> bool:
        """Return whether the clock may be set forward: a list that lags is believed after a time by it.

        That is the limit that docs/guarantees.md names.
        """
        return not self.plan.listed or process.job.submission is not None

    def _send_event(self) -> None:
        """Let the API send an event now or later, once or twice, about this job or another."""
        if not self.plan.events or self.sent_events >= MOST_EVENTS or self.rng.random() >= self.plan.events:
            return
        ours = self.rng.random() < 0.8
        for _ in range(self.rng.choice((1, 1, 2))):
            self.sent_events += 1
            self.events.append(Delivery(self.now + self.rng.choice((0.0, 1.0, 20.0, 2000.0)), ours))
        self.events.sort(key=lambda event: event.at)

    def _deliver(self, event: Delivery) -> None:
        """Let an event come in: a wait between two polls looks now, and nothing else heeds it."""
        self.now = max(self.now, event.at)
        waiting = next((process for process in self.processes if _waits(process)), None)
        if not event.ours or waiting is None:
            self.say(
                "an event comes of another job" if not event.ours else "an event comes, and nobody waits"
            )
            return
        self.say("an event comes, and wakes the wait")
        self.processes.remove(waiting)
        known = waiting.keeps and self.stored_phase == "submitted" and self.stored is not None
        kept = Checkpoint.from_dict(json.loads(self.stored or "")) if known else waiting.job.checkpoint
        due = json.dumps(kept.due(self.wall).to_dict())
        woken = self.start(self.now, due, waiting.bounds, waiting.keeps)
        woken.exempt = woken.woken = True
        self._next(woken)


def _waits(process: Process) -> bool:
    """Return whether a process waits for the next poll, and is not about to end."""
    between = process.stage == "wake" and process.job.phase is Phase.POLL_PAUSE
    return between and process.goal is Goal.ENDED and not process.orphan and not process.stopped
