"""The driver loop: the same commands, the same order, blocking or not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import airflow_asyncjob.transport
from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.protocol import Goal, Job
from airflow_asyncjob.protocol.messages import (
    BodyEnded,
    Command,
    Event,
    Failed,
    Finish,
    Receive,
    Refresh,
    Refreshed,
    Responded,
    Send,
    Store,
    Stored,
    Wait,
    Woken,
)
from airflow_asyncjob.transport.client import AsyncWire, Wire
from airflow_asyncjob.transport.driver import arun, run, sleep_until, wait_until
from airflow_asyncjob.transport.settings import ConnectionSettings
from tests.transport.wires import Server, http

Serve = Callable[..., Server]

DEFINITION: Mapping[str, Any] = {
    "submit": {"request": {"url": "/jobs", "json": {}}, "id": "id"},
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {"running": ["working"], "done": ["ready"]},
        "initial_wait": 5,
        "poll_wait": 10,
        "jitter": 0,
    },
}


class Clock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Recorded:
    """Hands that ask a real wire, and keep what they saw."""

    def __init__(self, wire: Wire | None, clock: Clock) -> None:
        self.wire = wire
        self.clock = clock
        self.seen: list[tuple[str, str]] = []
        self.stored: list[Mapping[str, Any]] = []

    def send(self, command: Send) -> Responded | Failed:
        assert self.wire is not None
        return self.wire.send(command)

    def wait(self, command: Wait) -> Woken:
        return sleep_until(command.until, clock=self.clock, sleep=self.clock.sleep)

    def store(self, command: Store) -> Stored:
        self.stored.append(command.checkpoint)
        return Stored()

    def refresh(self, command: Refresh) -> Refreshed:
        assert self.wire is not None
        return self.wire.refresh()

    def receive(self, command: Receive) -> BodyEnded:
        return BodyEnded()

    def observe(self, command: Command, event: Event | None) -> None:
        self.seen.append((type(command).__name__, type(event).__name__ if event else ""))


class AsyncRecorded(Recorded):
    """The same without blocking."""

    def __init__(self, wire: AsyncWire, clock: Clock) -> None:
        super().__init__(None, clock)
        self.async_wire = wire

    async def send(self, command: Send) -> Responded | Failed:  # type: ignore[override]
        return await self.async_wire.send(command)

    async def wait(self, command: Wait) -> Woken:  # type: ignore[override]
        return super().wait(command)

    async def store(self, command: Store) -> Stored:  # type: ignore[override]
        return super().store(command)

    async def refresh(self, command: Refresh) -> Refreshed:  # type: ignore[override]
        return await self.async_wire.refresh()

    async def receive(self, command: Receive) -> BodyEnded:  # type: ignore[override]
        return BodyEnded()


def job(goal: Goal = Goal.ENDED) -> Job:
    return Job(AsyncJob.load(DEFINITION), goal, inputs={}, names={}, key="k")


def api(statuses: list[str]) -> Callable[..., bytes]:
    left = iter(statuses)
    return lambda seen, connection: (
        http(201, b'{"id": "7"}')
        if seen.method == "POST"
        else http(body=b'{"status": "%s"}' % next(left).encode())
    )


def drive(kind: str, server: Server, clock: Clock) -> tuple[Finish, Recorded]:
    settings = ConnectionSettings(base_url=server.url)
    if kind == "sync":
        with Wire(settings) as wire:
            hands = Recorded(wire, clock)
            return run(job(), hands, clock=clock), hands

    async def driven() -> tuple[Finish, Recorded]:
        async with AsyncWire(settings) as wire:
            hands = AsyncRecorded(wire, clock)
            return await arun(job(), hands, clock=clock), hands

    return asyncio.run(driven())


def test_both_pumps_drive_a_job_through_the_same_steps(serve: Serve) -> None:
    seen = []
    for kind in ("sync", "async"):
        clock = Clock()
        server = serve(api(["working", "working", "ready"]))
        finish, hands = drive(kind, server, clock)
        assert finish.outcome is not None
        assert (finish.outcome.state, finish.outcome.polls) == ("done", 3)
        assert sum(clock.slept) == 25
        assert [request.target for request in server.seen] == ["/jobs", "/jobs/7", "/jobs/7", "/jobs/7"]
        seen.append(hands.seen)
    assert seen[0] == seen[1]


def test_every_command_is_seen_before_and_after_it_is_done(serve: Serve) -> None:
    _, hands = drive("sync", serve(api(["ready"])), Clock())
    *steps, last = hands.seen
    assert last == ("Finish", "")
    before, after = steps[::2], steps[1::2]
    assert [name for name, _ in before] == [name for name, _ in after]
    assert {event for _, event in before} == {""}
    assert ("Wait", "Woken") in after
    assert ("Send", "Responded") in after


def test_an_intent_is_stored_before_the_submit_is_sent(serve: Serve) -> None:
    server = serve(api(["ready"]))
    with Wire(ConnectionSettings(base_url=server.url)) as wire:

        class Watching(Recorded):
            def store(self, command: Store) -> Stored:
                sent.append(len(server.seen))
                return super().store(command)

        sent: list[int] = []
        run(job(), Watching(wire, clock := Clock()), clock=clock)
    assert sent[:2] == [0, 1]


class Left(Exception):
    """As a deferral leaves a task."""


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_exception_of_the_hands_ends_the_drive(kind: str) -> None:
    machine, clock = job(), Clock()

    class Leaving(Recorded):
        def store(self, command: Store) -> Stored:
            raise Left

    class AsyncLeaving(AsyncRecorded):
        async def store(self, command: Store) -> Stored:  # type: ignore[override]
            raise Left

    def drive_away() -> None:
        if kind == "sync":
            run(machine, Leaving(None, clock), clock=clock)
        else:
            asyncio.run(arun(machine, AsyncLeaving(None, clock), clock=clock))  # type: ignore[arg-type]

    with pytest.raises(Left):
        drive_away()
    # The command is outstanding still: whoever carries the machine on gets it again.
    assert isinstance(machine.next(clock()), Store)


def test_a_wait_is_slept_in_pieces_and_follows_a_clock_that_is_set() -> None:
    clock = Clock(1000.0)
    assert sleep_until(1100.0, clock=clock, sleep=clock.sleep) == Woken()
    assert clock.now == 1100.0
    assert len(clock.slept) > 1

    def jumps(seconds: float) -> None:
        clock.slept.append(seconds)
        clock.now += 3600

    clock.slept.clear()
    sleep_until(3000.0, clock=clock, sleep=jumps)
    assert len(clock.slept) == 1


def test_a_wait_that_is_over_takes_no_time() -> None:
    clock = Clock(1000.0)
    sleep_until(999.0, clock=clock, sleep=clock.sleep)
    assert clock.slept == []
    asyncio.run(wait_until(999.0, clock=clock))


def test_an_asynchronous_wait_can_be_cut_short() -> None:
    async def cut() -> bool:
        woken = asyncio.Event()
        asyncio.get_running_loop().call_soon(woken.set)
        assert await wait_until(5000.0, clock=Clock(1000.0), woken=woken) == Woken()
        return woken.is_set()

    assert asyncio.run(cut()) is False


def test_an_asynchronous_wait_ends_at_its_time() -> None:
    clock = Clock(1000.0)

    async def waits() -> Woken:
        asyncio.get_running_loop().call_later(0.01, setattr, clock, "now", 2000.0)
        return await wait_until(1000.02, clock=clock)

    assert asyncio.run(waits()) == Woken()


def test_what_a_dag_file_may_reach_loads_no_http_client() -> None:
    code = (
        "import sys, airflow_asyncjob.transport as t; t.ConnectionSettings.from_uri('http://h'); "
        "t.Redactor(); t.run; "
        "print([m for m in ('httpx', 'httpcore', 'anyio', 'airflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = airflow_asyncjob.transport.nothing
