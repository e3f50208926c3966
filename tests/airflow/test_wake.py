"""A wake: a waiting task polls now, and goes on as if nothing had been. In this process, and in Airflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException

from airflow_asyncjob import AsyncSubmitOperator, async_job
from airflow_asyncjob.hooks.wake import event_for
from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.airflow.in_process import Worker
from tests.airflow.runs import Run, serving

JOB: dict[str, Any] = {
    "name": "woken",
    "inputs": {"plan": {"type": "object", "default": {}}},
    "submit": {"request": {"url": "/jobs", "json": "{{ inputs.plan }}"}, "id": "id"},
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {"running": ["queued", "running"], "done": ["succeeded"], "failed": ["failed"]},
        "initial_wait": 3600,
        "poll_wait": 3600,
        "timeout": "9h",
    },
    "result": {"target": "urls", "format": "csv"},
    "cancel": {"method": "DELETE", "url": "/jobs/{{ submission_id }}"},
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    with FakeJobServer("generic") as server:
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "http", "host": server.url}))
        yield server


def group(wakes: int, **arguments: Any) -> Worker:
    with DAG("d") as dag:
        async_job(job=JOB, http_conn_id="shop", group_id="job", **arguments)
    return Worker(dag, wakes=wakes)


def test_a_woken_wait_polls_at_once_and_takes_the_end(server: FakeJobServer) -> None:
    worker = group(1)
    job_id = worker.run("job.submit")
    assert worker.run("job.wait") == [f"/jobs/{job_id}/result/1"]
    assert worker.deferrals == 1
    assert len(server.ledger.entries("poll")) == 1
    assert worker.xcoms["job.wait", "status"]["state"] == "done"


def test_a_woken_wait_that_is_not_over_defers_again_with_the_same_deadline(server: FakeJobServer) -> None:
    server.faults.add("poll", 503)
    worker = group(2)
    job_id = worker.run("job.submit")
    assert worker.run("job.wait") == [f"/jobs/{job_id}/result/1"]
    assert [entry.code for entry in server.ledger.entries("poll")] == [503, 200]
    first, second = worker.triggers
    assert second["checkpoint"]["deadline"] == first["checkpoint"]["deadline"]
    assert second["checkpoint"]["next_poll_at"] > first["checkpoint"]["next_poll_at"]
    assert second["checkpoint"]["looks"] == 1
    assert second["deferral"] != first["deferral"], "an old wake is not taken for one of this wait"


def test_a_wake_whose_job_nothing_knows_says_so(server: FakeJobServer) -> None:
    worker = group(0)
    task, context = worker.prepared("job.wait")
    with pytest.raises(
        AirflowException, match=r"the task was woken \(webhook\), and nothing is stored of its job"
    ):
        task.resume_execution("execute_complete", {"event": event_for("webhook", None)}, context)


def test_a_job_in_one_task_is_woken_too(server: FakeJobServer) -> None:
    with DAG("d") as dag:
        AsyncSubmitOperator(
            task_id="job", job=JOB, http_conn_id="shop", wait_for_completion=True, inputs={"plan": {}}
        )
    worker = Worker(dag, wakes=1)
    assert worker.run("job") == ["/jobs/job-1/result/1"]
    assert server.ledger.accepted() == 1


_API_SERVER = """
import json, sys, threading, time
from airflow.utils.session import create_session
from airflow_asyncjob.plugin.waking import wake

def ask(task):
    with create_session() as session:
        said.append(wake(session, **task, why="webhook"))

print("ready", flush=True)
for line in sys.stdin:
    times, waits, task = json.loads(line)
    give_up = time.monotonic() + 240
    while True:
        said = []
        at_once = [threading.Thread(target=ask, args=(task,)) for _ in range(times)]
        for thread in at_once:
            thread.start()
        for thread in at_once:
            thread.join()
        if not waits or said != ["not waiting"] or time.monotonic() > give_up:
            break
        time.sleep(0.1)
    print(json.dumps(said), flush=True)
"""


class Waker:
    """A process that wakes tasks as a route of the API server does."""

    def __init__(self, airflow: LocalAirflow) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _API_SERVER],
            env={**airflow.env, "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        while self._line() != "ready":
            pass
        return self

    def __exit__(self, *problem: object) -> None:
        self._process.communicate(timeout=60)

    def __call__(self, task: Mapping[str, Any], *, times: int = 1, waits: bool = False) -> list[str]:
        """Wake a task; return what each call was told.

        :param times: calls at once.
        :param waits: ask until the task waits.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([times, waits, task]) + "\n")
        self._process.stdin.flush()
        while not (line := self._line()).startswith("["):
            pass
        said: list[str] = json.loads(line)
        return said

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process has ended; its reason is in the test's output"
        return line.strip()


@pytest.mark.airflow
def test_a_wake_in_airflow(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "woken") as server, Waker(airflow) as wake:
        server.faults.add("poll", 503, times=2)
        run = Run.start(airflow, server, "plain_woken", tmp_path, conn="woken", plan={})
        task = {"dag_id": run.dag_id, "run_id": run.run_id, "task_id": "job.wait"}
        assert wake(task, waits=True) == ["held"], "it waits for less than the quiet seconds"
        assert wake({**task, "task_id": "job.submit"}) == ["not waiting"]
        assert wake({**task, "task_id": "nobody"}) == ["not found"]
        run.until_polled(1)
        assert run.states()["job.wait"] == "deferred"
        deadline = run.checkpoint("job.wait")["deadline"]

        assert sorted(wake(task, times=3)) == ["not waiting", "not waiting", "woken"]
        run.until_polled(2)
        run.until("job.wait", "deferred")
        stored = run.checkpoint("job.wait")
        assert stored["deadline"] == deadline
        assert stored["looks"] == 1, "by the worker"

        assert wake(task, waits=True)[0] in ("woken", "held")
        assert run.end() == "success"
        assert run.tries("job.wait") == 1
        assert len(run.sent("poll")) == 3, "its own next poll would have come in an hour"
        assert run.sent("cancel") == []
        assert run.rows() == 3
        log = run.log("job.wait")
        assert "Woken (webhook): looking at the job now." in log
        assert "Woken (webhook) just after the wait began" in log
