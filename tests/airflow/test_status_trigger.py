"""AsyncStatusTrigger by itself: its arguments, what it sends, and when it fires. No Airflow runs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    DagRunStateResult,
    GetDagRunState,
    GetTaskStates,
    GetXCom,
    TaskStatesResult,
    XComResult,
)
from airflow.sdk.serde import deserialize, serialize

from airflow_asyncjob import AsyncStatusTrigger
from airflow_asyncjob.hooks.records import finish_of
from airflow_asyncjob.hooks.wake import WOKEN, Wake
from airflow_asyncjob.protocol import Checkpoint, Submission, error_for
from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.triggers import status

DEFINITION: dict[str, Any] = {
    "name": "plain",
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {"running": ["queued", "running"], "done": ["succeeded"], "failed": ["failed"]},
        "message": "message",
        "poll_wait": 0.05,
        "poll_error_budget": 2,
    },
    "result": {"target": "urls"},
    "cancel": {"method": "DELETE", "url": "/jobs/{{ submission_id }}"},
}


def checkpoint(job_id: str = "7", **fields: Any) -> dict[str, Any]:
    submission = Submission(job_id, time.time())
    return Checkpoint.model_validate({"phase": "submitted", "submission": submission, **fields}).to_dict()


def every_argument() -> dict[str, Any]:
    """Return arguments none of which is at its default."""
    return {
        "definition": DEFINITION,
        "http_conn_id": "shop",
        "inputs": {"segment": ["a", 1, None, {"deep": True}]},
        "names": {"ds": "2026-03-01", "map_index": 3},
        "checkpoint": checkpoint(key="k", attempt=2, looks=4, polls=3, deadline=time.time() + 60),
        "quiet": 7.5,
        "deferral": "b1e6",
    }


def test_the_arguments_survive_what_airflow_does_with_them() -> None:
    given = every_argument()
    path, arguments = AsyncStatusTrigger(**given).serialize()
    assert path == "airflow_asyncjob.triggers.status.AsyncStatusTrigger"
    assert arguments == given
    stored = json.loads(json.dumps(serialize(arguments)))
    module, _, name = path.rpartition(".")
    again = getattr(import_module(module), name)(**deserialize(stored))
    assert again.serialize() == (path, given)


def test_a_trigger_stored_without_the_arguments_that_have_defaults_still_loads() -> None:
    arguments = every_argument()
    del arguments["quiet"], arguments["deferral"]
    stored = AsyncStatusTrigger(**arguments).serialize()[1]
    assert (stored["quiet"], stored["deferral"]) == (0.0, "")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    with FakeJobServer("generic") as server:
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "http", "host": server.url}))
        yield server


def submit(server: FakeJobServer, **plan: Any) -> str:
    return str(httpx.post(f"{server.url}/jobs", json=plan).json()["id"])


def trigger(job_id: str, *, quiet: float = 0.0, deferral: str = "", **fields: Any) -> AsyncStatusTrigger:
    return AsyncStatusTrigger(
        definition=DEFINITION,
        http_conn_id="shop",
        inputs={},
        names={},
        checkpoint=checkpoint(job_id, **fields),
        quiet=quiet,
        deferral=deferral,
    )


def events(waiting: AsyncStatusTrigger) -> list[dict[str, Any]]:
    async def collect() -> list[dict[str, Any]]:
        return [event.payload async for event in waiting.run()]

    return asyncio.run(collect())


def test_it_fires_once_with_the_outcome_and_no_body(server: FakeJobServer) -> None:
    job_id = submit(server, message="x" * 500)
    server.faults.add("poll", 503)
    (event,) = events(trigger(job_id))
    assert event["outcome"]["state"] == "done"
    assert event["outcome"]["target"] == [f"/jobs/{job_id}/result/1"]
    assert event["submission"]["id"] == job_id
    assert len(json.dumps(event)) < 2000
    assert [entry.code for entry in server.ledger.entries("poll")] == [503, 200]
    assert server.ledger.accepted() == 1, "a trigger never submits"


def test_a_job_that_failed_is_an_outcome(server: FakeJobServer) -> None:
    (event,) = events(trigger(submit(server, ends="failed", message="no such segment")))
    assert (event["outcome"]["state"], event["outcome"]["message"]) == ("failed", "no such segment")


def test_the_log_of_a_job_that_failed_travels_to_the_task(server: FakeJobServer) -> None:
    waiting = trigger(submit(server, ends="failed", message="disk full at row 7"))
    log = {"request": {"url": "/jobs"}, "path": "jobs[].message"}
    waiting.definition["status"] = {**DEFINITION["status"], "log": log}
    (event,) = events(waiting)
    assert event["outcome"]["log"] == "disk full at row 7"
    outcome = finish_of(event).outcome
    assert outcome is not None
    error = error_for(outcome)
    assert error is not None
    assert error.message.endswith("\nThe end of the job's log:\ndisk full at row 7")


def test_polls_that_fail_are_an_error_of_ours(server: FakeJobServer) -> None:
    job_id = submit(server, run_for=60)
    server.faults.add("poll", 500, times=None)
    (event,) = events(trigger(job_id))
    assert event["error"]["kind"] == "PollBudgetError"
    assert "500" in event["error"]["message"]
    assert len(server.ledger.entries("poll")) == 3
    assert server.ledger.running() == 1, "the job may be well"


def test_the_deadline_of_the_arguments_counts_and_cancels(server: FakeJobServer) -> None:
    job_id = submit(server, run_for=60)
    (event,) = events(trigger(job_id, deadline=time.time() - 1))
    assert event["outcome"]["state"] == "timed_out"
    assert [entry.job_id for entry in server.ledger.entries("cancel")] == [job_id]
    assert server.ledger.running() == 0


def test_a_job_that_is_queued_for_too_long_is_cancelled(server: FakeJobServer) -> None:
    job_id = submit(server, queue_for=60)
    waiting = trigger(job_id)
    waiting.definition["status"] = {**DEFINITION["status"], "queued": ["queued"], "queue_timeout": 0.2}
    (event,) = events(waiting)
    assert event["outcome"]["state"] == "timed_out"
    assert event["outcome"]["raw_status"] == "queued"
    assert event["outcome"]["message"].startswith("not started before ")
    assert [entry.job_id for entry in server.ledger.entries("cancel")] == [job_id]


def test_a_restart_asks_no_sooner_than_the_arguments_say(server: FakeJobServer) -> None:
    job_id = submit(server)
    due = time.time() + 0.6
    for _ in range(2):
        waiting = trigger(job_id, next_poll_at=due, last_poll_at=due - 1, looks=1)

        async def killed_after(seconds: float, waiting: AsyncStatusTrigger = waiting) -> None:
            async with asyncio.timeout(seconds):
                async for _ in waiting.run():
                    raise AssertionError("it fired before the poll was due")

        with pytest.raises(TimeoutError):
            asyncio.run(killed_after(0.1))
    assert server.ledger.entries("poll") == []
    (event,) = events(trigger(job_id, next_poll_at=due, last_poll_at=due - 1, looks=1))
    assert event["outcome"]["state"] == "done"
    assert server.ledger.entries("poll")[0].at >= due


def test_the_event_is_held_back_until_airflow_can_take_it(server: FakeJobServer) -> None:
    job_id = submit(server)
    started = time.time()
    (event,) = events(trigger(job_id, quiet=0.5))
    assert event["outcome"]["state"] == "done"
    assert time.time() >= started + 0.5
    assert server.ledger.entries("poll")[0].at < started + 0.5, "the job itself is looked at in time"


def test_a_checkpoint_of_another_version_is_told_to_the_task(server: FakeJobServer) -> None:
    waiting = trigger("7")
    waiting.checkpoint["version"] = 99
    (event,) = events(waiting)
    assert event["error"]["kind"] == "CheckpointError"
    assert "99" in event["error"]["message"]


def test_credentials_that_changed_are_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeJobServer("generic", auth="bearer", credential="new-token") as guarded:
        created = httpx.post(f"{guarded.url}/jobs", json={}, headers={"Authorization": "Bearer new-token"})

        def connect(token: str) -> None:
            fields = {"conn_type": "http", "host": guarded.url, "password": token}
            extra = {"auth": {"type": "bearer"}}
            monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({**fields, "extra": extra}))

        async def collect() -> list[dict[str, Any]]:
            waiting = trigger(created.json()["id"])
            found = asyncio.ensure_future(anext(waiting.run()))
            while not guarded.ledger.entries("poll") and not found.done():
                await asyncio.sleep(0.01)
                connect("new-token" if waiting_for_the_answer(guarded) else "old-token")
            return [(await found).payload]

        def waiting_for_the_answer(server: FakeJobServer) -> bool:
            return not server.faults.active()

        connect("old-token")
        guarded.faults.add("poll", "slow", seconds=0.5)
        (event,) = asyncio.run(collect())
        assert event["outcome"]["state"] == "done"
        assert [entry.code for entry in guarded.ledger.entries("poll")] == [401, 200]


class Supervisor:
    """The triggerer's supervisor as a trigger sees it: the first answer after a start takes its time."""

    def __init__(
        self, state: str | None, wake: dict[str, Any] | None = None, *, run: str = "running"
    ) -> None:
        self.asked = 0
        self.run = run
        self.wake = wake
        self.ready = asyncio.Event()
        self._states = {"r": {"wait": state}} if state else {}

    async def asend(
        self, message: GetTaskStates | GetXCom | GetDagRunState
    ) -> TaskStatesResult | XComResult | DagRunStateResult:
        if isinstance(message, GetDagRunState):
            return DagRunStateResult(state=self.run)
        if isinstance(message, GetXCom):
            assert (message.key, message.task_id, message.map_index) == (WOKEN, "wait", -1)
            return XComResult(key=message.key, value=self.wake)
        self.asked += 1
        assert message.task_ids == ["wait"]
        await self.ready.wait()
        return TaskStatesResult(task_states=self._states)


@pytest.mark.parametrize(
    ("state", "run", "on_mark_success", "cancels"),
    [
        ("failed", "running", False, True),
        ("failed", "running", True, True),
        ("success", "running", False, False),
        ("success", "running", True, True),
        ("skipped", "running", True, False),
        ("skipped", "failed", False, True),
        (None, "running", True, False),
        ("scheduled", "running", True, False),
        ("deferred", "failed", True, False),
    ],
)
def test_a_job_is_cancelled_from_the_first_moment_of_its_trigger(
    server: FakeJobServer,
    monkeypatch: pytest.MonkeyPatch,
    state: str | None,
    run: str,
    on_mark_success: bool,
    cancels: bool,
) -> None:
    job_id = submit(server, run_for=60)
    waiting = trigger(job_id, next_poll_at=time.time() + 60)
    waiting.definition["cancel"] = {**DEFINITION["cancel"], "on_mark_success": on_mark_success}
    waiting.task_instance = SimpleNamespace(dag_id="d", run_id="r", task_id="wait", map_index=-1)

    async def marked_at_once() -> int:
        supervisor = Supervisor(state, run=run)
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
        monkeypatch.setattr(status, "_WARM", [])
        running = asyncio.ensure_future(anext(waiting.run()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asked_before = supervisor.asked
        running.cancel()  # as Airflow does it, with about a second for on_kill
        with pytest.raises(asyncio.CancelledError):
            await running
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting.on_kill(), 0.05)
        supervisor.ready.set()
        await asyncio.gather(*status._BESIDE)
        return asked_before

    assert asyncio.run(marked_at_once()) == 1, "the channel is warmed before somebody asks"
    assert [entry.job_id for entry in server.ledger.entries("cancel")] == ([job_id] if cancels else [])
    assert server.ledger.running() == int(not cancels)


def test_the_channel_is_warmed_once_in_a_process(
    server: FakeJobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def two_triggers() -> int:
        supervisor = Supervisor("deferred")
        supervisor.ready.set()
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
        monkeypatch.setattr(status, "_WARM", [])
        for _ in range(2):
            waiting = trigger(submit(server))
            waiting.task_instance = SimpleNamespace(dag_id="d", run_id="r", task_id="wait", map_index=-1)
            assert [event.payload["outcome"]["state"] async for event in waiting.run()] == ["done"]
        return supervisor.asked

    assert asyncio.run(two_triggers()) == 1


def wake(deferral: str, *, held: bool) -> dict[str, Any]:
    return Wake(at=time.time(), trigger_id=5, deferral=deferral, why="webhook", held=held).to_dict()


@pytest.mark.parametrize(
    ("noted", "cancels"),
    [
        pytest.param(wake("mine", held=False), False, id="its worker has ended the task"),
        pytest.param(wake("mine", held=True), True, id="held, and marked failed before it was heeded"),
        pytest.param(
            wake("another", held=False), True, id="of an earlier deferral, with the same trigger id"
        ),
        pytest.param({"something": "else"}, True, id="written by somebody else"),
    ],
)
def test_a_trigger_that_a_wake_has_ended_cancels_nothing(
    server: FakeJobServer, monkeypatch: pytest.MonkeyPatch, noted: dict[str, Any], cancels: bool
) -> None:
    job_id = submit(server, run_for=60)
    waiting = trigger(job_id, deferral="mine")
    waiting.task_instance = SimpleNamespace(dag_id="d", run_id="r", task_id="wait", map_index=-1)

    async def killed() -> None:
        supervisor = Supervisor("failed", noted)
        supervisor.ready.set()
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
        await waiting.on_kill()

    asyncio.run(killed())
    assert [entry.job_id for entry in server.ledger.entries("cancel")] == ([job_id] if cancels else [])


@pytest.mark.parametrize("held", [True, False])
def test_a_wake_that_was_held_is_heeded_when_the_quiet_seconds_are_over(
    server: FakeJobServer, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    job_id = submit(server)
    waiting = trigger(job_id, quiet=0.1, deferral="mine", next_poll_at=time.time() + 3600)
    waiting.task_instance = SimpleNamespace(dag_id="d", run_id="r", task_id="wait", map_index=-1)
    monkeypatch.setattr(status, "_HELD_MARGIN", 0.1)
    monkeypatch.setattr(status, "_WARM", [True])

    async def first(seconds: float) -> dict[str, Any]:
        supervisor = Supervisor("deferred", wake("mine", held=held))
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
        async with asyncio.timeout(seconds):
            event = await anext(waiting.run())
        payload: dict[str, Any] = event.payload
        return payload

    if held:
        assert asyncio.run(first(120))["outcome"]["state"] == "done"
        assert len(server.ledger.entries("poll")) == 1
    else:
        with pytest.raises(TimeoutError):
            asyncio.run(first(1))
        assert server.ledger.entries("poll") == []
