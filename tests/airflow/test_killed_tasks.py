"""A user ends a task that runs on a worker, in this process: what becomes of its job, and what is said."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, TaskDeferred

from airflow_asyncjob import AsyncSubmitOperator, async_job
from airflow_asyncjob.testing import FakeJobServer
from tests.airflow.in_process import Worker

JOB: dict[str, Any] = {
    "name": "killed",
    "inputs": {"plan": {"type": "object", "default": {"run_for": 3600}}},
    "submit": {"request": {"url": "/jobs", "json": "{{ inputs.plan }}"}, "id": "id"},
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {"running": ["queued", "running"], "done": ["succeeded"], "cancelled": ["cancelled"]},
        "poll_wait": 0.1,
    },
    "result": {"target": "urls", "format": "csv"},
    "cancel": {"method": "DELETE", "url": "/jobs/{{ submission_id }}"},
}
BLESSED = {**JOB, "cancel": {**JOB["cancel"], "on_mark_success": True}}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    with FakeJobServer("generic") as server:
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "http", "host": server.url}))
        yield server


def group(job: dict[str, Any], **arguments: Any) -> Worker:
    with DAG("d") as dag:
        async_job(job=job, http_conn_id="shop", group_id="job", **arguments)
    return Worker(dag)


def killed_while(worker: Worker, task_id: str, moment: Callable[[], bool], state: str) -> Any:
    """Run a task whose state becomes another at a moment; as Airflow does it, its process is asked to end.

    :return: what the task returned, or the exception that it ended with.
    """
    task, context = worker.prepared(task_id)
    over = threading.Event()

    def mark() -> None:
        while not moment() and not over.is_set():
            time.sleep(0.01)
        worker.state = state
        task.on_kill()

    user = threading.Thread(target=mark)
    user.start()
    try:
        return task.execute(context)
    except (AirflowException, TaskDeferred) as error:
        return error
    finally:
        over.set()
        user.join()


@pytest.mark.parametrize(
    ("job", "state", "cancels"),
    [
        (JOB, "failed", True),
        (JOB, "success", False),
        (BLESSED, "success", True),
        (JOB, "restarting", False),
        (JOB, "running", False),
    ],
)
def test_a_submit_that_is_killed_in_its_request(
    server: FakeJobServer, job: dict[str, Any], state: str, cancels: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults.add("submit", "slow", seconds=1)
    worker = group(job)
    end = killed_while(worker, "job.submit", lambda: not server.faults.active(), state)
    (job_id,) = [entry.job_id for entry in server.ledger.entries("submit") if entry.created]
    assert [entry.job_id for entry in server.ledger.entries("cancel")] == ([job_id] if cancels else [])
    if cancels:
        assert str(end) == f"Airflow ended this task while it submitted job {job_id}"
    else:
        assert end == job_id, "Airflow ignores it after a mark or a clear; after a shutdown it is the result"
    stored = worker.stores["job.submit"]["asyncjob.submit"]["data"]["checkpoint"]
    assert stored["submission"]["id"] == job_id, "noted, for the try after a clear"
    said = "".join(capsys.readouterr())
    assert "Airflow ends this task while its submit is under way." in said
    assert (f"The task was marked {state}: cancelling the job." in said) is cancels


def test_a_submit_that_waits_too_does_not_defer_once_it_is_marked_failed(server: FakeJobServer) -> None:
    server.faults.add("submit", "slow", seconds=1)
    with DAG("d") as dag:
        AsyncSubmitOperator(task_id="job", job=JOB, http_conn_id="shop", wait_for_completion=True)
    end = killed_while(Worker(dag), "job", lambda: not server.faults.active(), "failed")
    assert str(end) == "Airflow ended this task while it submitted job job-1"
    assert server.ledger.running() == 0


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("job", "state", "cancels"),
    [(JOB, "failed", True), (JOB, "success", False), (BLESSED, "success", True), (JOB, "running", False)],
)
def test_a_wait_that_is_killed_on_its_worker(
    server: FakeJobServer, job: dict[str, Any], state: str, cancels: bool, deferrable: bool
) -> None:
    worker = group(job, deferrable=deferrable)
    job_id = worker.run("job.submit")
    server.faults.add("poll", "slow", seconds=1)
    end = killed_while(worker, "job.wait", lambda: not server.faults.active(), state)
    assert str(end) == "Airflow ended this task while it waited for the job"
    assert [entry.job_id for entry in server.ledger.entries("cancel")] == ([job_id] if cancels else [])


@pytest.mark.parametrize(("run", "cancels"), [("failed", True), ("running", False), ("success", False)])
def test_a_wait_that_is_skipped_is_cancelled_only_with_a_run_that_failed(
    server: FakeJobServer, run: str, cancels: bool
) -> None:
    """Airflow skips what is not done when ``dagrun_timeout`` is over."""
    worker = group(JOB, deferrable=False)
    job_id = worker.run("job.submit")
    server.faults.add("poll", "slow", seconds=1)
    worker.run_state = run
    killed_while(worker, "job.wait", lambda: not server.faults.active(), "skipped")
    assert [entry.job_id for entry in server.ledger.entries("cancel")] == ([job_id] if cancels else [])


def test_a_submit_that_was_marked_failed_without_being_told_cancels_too(server: FakeJobServer) -> None:
    worker = group(JOB)
    worker.state = "failed"
    task, context = worker.prepared("job.submit")
    with pytest.raises(AirflowException, match="Airflow ended this task while it submitted job job-1"):
        task.execute(context)
    assert [entry.job_id for entry in server.ledger.entries("cancel")] == ["job-1"]


def test_a_submit_is_not_lost_because_airflow_does_not_tell_its_state(
    server: FakeJobServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = group(JOB)
    task, context = worker.prepared("job.submit")

    def refuse(**asked: Any) -> Any:
        raise RuntimeError("503 Service Unavailable")

    monkeypatch.setattr(context["ti"], "get_task_states", refuse, raising=False)
    assert task.execute(context) == "job-1"
    assert server.ledger.entries("cancel") == []
    assert "Whether a user ended this task is not known: 503" in "".join(capsys.readouterr())


def test_a_cancel_that_does_not_work_is_said(
    server: FakeJobServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults.add("submit", "slow", seconds=1)
    server.faults.add("cancel", 403, times=None)
    end = killed_while(group(JOB), "job.submit", lambda: len(server.faults.active()) == 1, "failed")
    assert str(end) == "Airflow ended this task while it submitted job job-1"
    said = "".join(capsys.readouterr())
    assert "The job 'job-1' could not be stopped" in said
    assert "It may run on at the API: cancel it there." in said
