"""A definition driven through protocol and transport over real sockets, for tests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.inputs import resolve_inputs
from airflow_asyncjob.protocol import (
    BodyBroken,
    BodyEnded,
    Checkpoint,
    Command,
    Event,
    Failed,
    Finish,
    Goal,
    Job,
    Outcome,
    Receive,
    Refresh,
    Refreshed,
    Responded,
    Send,
    Store,
    Stored,
    Submission,
    Wait,
    Woken,
)
from airflow_asyncjob.results.fetch import fetch_result
from airflow_asyncjob.results.manifest import Manifest
from airflow_asyncjob.testing import FakeClock
from airflow_asyncjob.transport.client import Wire
from airflow_asyncjob.transport.driver import run, sleep_until
from airflow_asyncjob.transport.settings import ConnectionSettings
from airflow_asyncjob.uploads.job import Uploading

NAMES = {"ds": "2026-01-01", "run_id": "manual__1"}


@dataclass
class Hands:
    """Sends over real sockets.

    :param clock: a fake one is moved instead of waiting; None: the machine's.
    """

    wire: Wire
    clock: FakeClock | None
    stored: list[dict[str, Any]] = field(default_factory=list)

    def send(self, command: Send) -> Responded | Failed:
        return self.wire.send(command)

    def wait(self, command: Wait) -> Woken:
        if self.clock is None:
            return sleep_until(command.until)
        return sleep_until(command.until, clock=self.clock.time, sleep=self.clock.sleep)

    def store(self, command: Store) -> Stored:
        self.stored.append(json.loads(json.dumps(dict(command.checkpoint))))
        return Stored()

    def refresh(self, command: Refresh) -> Refreshed:
        return self.wire.refresh()

    def receive(self, command: Receive) -> BodyEnded | BodyBroken:
        raise AssertionError("a job has no body to receive")

    def observe(self, command: Command, event: Event | None) -> None:
        """Nothing is watched here."""


@dataclass
class Client:
    """A definition, a connection and a clock: what a task has."""

    job: AsyncJob
    hands: Hands
    now: Callable[[], float]
    inputs: dict[str, Any]

    def drive(
        self,
        *,
        goal: Goal = Goal.ENDED,
        checkpoint: Mapping[str, Any] | None = None,
        submission: Submission | None = None,
    ) -> Finish:
        machine = Job(
            self.job,
            goal,
            inputs=self.inputs,
            names=NAMES,
            key="key-1",
            checkpoint=None if checkpoint is None else Checkpoint.from_dict(checkpoint),
            submission=submission,
        )
        with Uploading(self.hands.wire) as uploading:
            return run(machine, self.hands, clock=self.now, plan=uploading.plan)

    def outcome(self) -> Outcome:
        finish = self.drive()
        assert finish.error is None
        assert finish.outcome is not None
        return finish.outcome

    def submission(self) -> Submission:
        submission = Checkpoint.from_dict(self.hands.stored[-1]).submission
        assert submission is not None
        return submission

    def fetch(self, outcome: Outcome, destination: Path) -> Manifest:
        return fetch_result(
            self.job,
            outcome.target,
            wire=self.hands.wire,
            inputs=self.inputs,
            names=NAMES,
            submission=self.submission(),
            destination=str(destination),
            state=outcome.state,
            wait=self.hands.wait,
        )


@contextmanager
def client_of(
    source: str | Mapping[str, Any],
    url: str,
    clock: FakeClock | None,
    *,
    login: str | None = None,
    password: str | None = None,
    extra: Mapping[str, Any] | None = None,
    **given: Any,
) -> Iterator[Client]:
    job = AsyncJob.load(source)
    settings = ConnectionSettings(base_url=url, login=login, password=password, extra=extra or {})
    with Wire(settings, limits=job.limits, auth=job.auth) as wire:
        now = time.time if clock is None else clock.time
        yield Client(job, Hands(wire, clock), now, resolve_inputs(job, given))
