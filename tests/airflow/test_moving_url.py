"""A status URL that each answer names anew, across a triggerer that starts again and a task that is retried.

Airflow's supervisor is the one part that is not real here: its messages are Airflow's own.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType, TaskDeferred
from airflow.sdk.execution_time.comms import ErrorResponse, GetXCom, SetXCom, XComResult

from airflow_asyncjob import AsyncStatusSensor, AsyncStatusTrigger
from airflow_asyncjob.errors import PollBudgetError
from airflow_asyncjob.hooks.moved import MOVED, newer
from airflow_asyncjob.panel import SUMMARY, TRACE
from airflow_asyncjob.protocol import Checkpoint, Submission
from tests.airflow.in_process import Worker
from tests.servers.scripted import Reply, Scripted, running, turns

DEFINITION: dict[str, Any] = {
    "status": {
        "request": {"url": "{{ captures.next }}"},
        "path": "state",
        "values": {"running": "busy", "done": "ready"},
        "capture": {"next": "next"},
        "poll_wait": 0.05,
        "poll_error_budget": 0,
    },
    "result": {"target": "url"},
}
SUBMISSION = Submission("7", time.time(), {"next": "/q/1"})


def once(answer: Any) -> Any:
    """Return an answer that is given once: a status URL that has moved is not there any more."""
    return turns(answer, Reply(404, {"error": "moved on"}))


ROUTES = {
    "GET /q/1": once({"state": "busy", "next": "/q/2"}),
    "GET /q/2": once({"state": "busy", "next": "/q/3"}),
    "GET /q/3": once({"state": "ready", "next": None, "url": "/r"}),
}


class Supervisor:
    """Keeps XComs as Airflow's supervisor does, for the triggers of one process.

    :param dies_at: the triggerer is killed when it has written this URL; empty: it is not.
    :param xcoms: those of an earlier one; None: there are none.
    """

    def __init__(self, dies_at: str = "", xcoms: dict[tuple[Any, ...], Any] | None = None) -> None:
        self.xcoms = {} if xcoms is None else xcoms
        self.dies_at, self.broken = dies_at, False
        self.dead = asyncio.Event()

    async def asend(self, message: Any) -> Any:
        if self.broken:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))
        key = (message.dag_id, message.run_id, message.task_id, message.map_index, message.key)
        if isinstance(message, GetXCom):
            return XComResult(key=message.key, value=self.xcoms.get(key))
        assert isinstance(message, SetXCom)
        self.xcoms[key] = json.loads(json.dumps(message.value))
        if self.dies_at and self.dies_at in json.dumps(message.value):
            self.dead.set()
            await asyncio.Event().wait()
        return None


def trigger(map_index: int = -1) -> AsyncStatusTrigger:
    checkpoint = Checkpoint(phase="submitted", submission=SUBMISSION, deadline=time.time() + 60)
    made = AsyncStatusTrigger(
        definition=DEFINITION, http_conn_id="jobs", inputs={}, names={}, checkpoint=checkpoint.to_dict()
    )
    made.task_instance = SimpleNamespace(  # type: ignore[assignment]
        dag_id="d", run_id="r", task_id="wait", map_index=map_index
    )
    return made


def run(monkeypatch: pytest.MonkeyPatch, api: Scripted, supervisor: Supervisor, **of: Any) -> dict[str, Any]:
    """Run a trigger to its event, or until its triggerer is killed: then nothing is returned."""
    monkeypatch.setenv("AIRFLOW_CONN_JOBS", api.base)
    comms = "airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS"
    monkeypatch.setattr(comms, supervisor, raising=False)

    async def first() -> dict[str, Any]:
        async for event in trigger(**of).run():
            return dict(event.payload)
        raise AssertionError("no event")

    async def to_the_end() -> dict[str, Any]:
        life, death = asyncio.create_task(first()), asyncio.create_task(supervisor.dead.wait())
        await asyncio.wait({life, death}, return_when=asyncio.FIRST_COMPLETED)
        death.cancel()
        return {} if life.cancel() else life.result()

    return asyncio.run(to_the_end())


@pytest.mark.parametrize("map_index", [-1, 3])
@pytest.mark.parametrize("dies_at", ["/q/2", "/q/3"])
def test_a_triggerer_that_starts_again_goes_on_where_the_last_answer_pointed(
    monkeypatch: pytest.MonkeyPatch, dies_at: str, map_index: int
) -> None:
    supervisor = Supervisor(dies_at)
    with running(ROUTES) as api:
        assert run(monkeypatch, api, supervisor, map_index=map_index) == {}
        event = run(monkeypatch, api, Supervisor(xcoms=supervisor.xcoms), map_index=map_index)
    assert event["outcome"]["target"] == "/r"
    assert [str(asked) for asked in api.asked] == ["GET /q/1", "GET /q/2", "GET /q/3"]
    assert {place[:4] for place in supervisor.xcoms} == {("d", "r", "wait", map_index)}
    assert {place[4] for place in supervisor.xcoms} == {MOVED, SUMMARY, TRACE}
    assert event["outcome"]["polls"] == 3


def test_an_xcom_that_cannot_be_written_ends_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(Supervisor):
        async def asend(self, message: Any) -> Any:
            self.broken = isinstance(message, SetXCom)
            return await super().asend(message)

    with running(ROUTES) as api:
        event = run(monkeypatch, api, Deaf())
    assert event["outcome"]["state"] == "done"


def test_the_next_try_of_a_task_goes_on_where_the_last_answer_pointed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = {**ROUTES, "GET /q/2": turns(Reply(500, "sorry"), {"state": "busy", "next": "/q/3"})}
    with DAG("d") as dag:
        AsyncStatusSensor(
            task_id="wait", job=DEFINITION, http_conn_id="jobs", submission_id=SUBMISSION.to_dict()
        )
    with running(routes) as api:
        monkeypatch.setenv("AIRFLOW_CONN_JOBS", api.base)
        tasks = Worker(dag)
        with pytest.raises(PollBudgetError, match="sorry"):
            tasks.run("wait")
        assert tasks.run("wait") == "/r"
    assert [str(asked) for asked in api.asked] == ["GET /q/1", "GET /q/2", "GET /q/2", "GET /q/3"]


def test_a_task_whose_trigger_never_answered_goes_on_where_the_last_answer_pointed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with DAG("d") as dag:
        AsyncStatusSensor(
            task_id="wait", job=DEFINITION, http_conn_id="jobs", submission_id=SUBMISSION.to_dict()
        )
    tasks = Worker(dag)
    with running(ROUTES) as api:
        monkeypatch.setenv("AIRFLOW_CONN_JOBS", api.base)
        task, context = tasks.prepared("wait")
        with pytest.raises(TaskDeferred) as deferred:
            task.execute(context)
        left = deferred.value.trigger.serialize()[1]["checkpoint"]
        assert left["captures"] == {"next": "/q/2"}
        tasks.xcoms["wait", MOVED] = {**left, "looks": 2, "captures": {"next": "/q/3"}, "next_poll_at": 0.0}
        again, context = tasks.prepared("wait")
        assert again.resume_after_net(context) == "/r"
    assert [str(asked) for asked in api.asked] == ["GET /q/1", "GET /q/3"]


def test_the_checkpoint_that_has_seen_more_of_the_same_job_counts() -> None:
    old = {"submission": {"id": "7"}, "looks": 2}
    new = {"submission": {"id": "7"}, "looks": 3}
    assert newer(old, new) == new
    assert newer(new, old) == new
    for other in (None, "text", {"submission": {"id": "8"}, "looks": 9}, {"looks": 9}):
        assert newer(old, other) == old
