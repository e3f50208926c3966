"""What tasks and trigger keep of a job for the UI: complete, bounded, seldom written, never in the way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferred

from airflow_asyncjob import AsyncStatusSensor, AsyncStatusTrigger, async_job
from airflow_asyncjob.panel import SUMMARY, TRACE, TRACE_BYTES, merged
from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.transport import Redactor
from airflow_asyncjob.triggers import status
from tests.airflow.channel import Channel
from tests.airflow.in_process import Instance, Store, Worker

SECRET = "planted-secret-0123456789"
JOB: dict[str, Any] = {
    "name": "plain",
    "inputs": {"plan": {"type": "object", "default": {}}},
    "submit": {
        "request": {
            "url": "/jobs",
            "json": "{{ inputs.plan }}",
            "params": {"api_key": "{{ connection.extra.token }}"},
        },
        "id": "id",
    },
    "status": {
        "request": {
            "url": "/jobs/{{ submission_id }}",
            "headers": {"X-Token": "{{ connection.extra.token }}"},
        },
        "path": "status",
        "values": {"running": ["queued", "running"], "done": ["succeeded"], "failed": ["failed"]},
        "message": "message",
        "progress": "progress",
        "initial_wait": 0.1,
        "poll_wait": 0.1,
        "poll_error_budget": 2,
    },
    "result": {"target": "urls", "format": "csv"},
    "cancel": {"method": "DELETE", "url": "/jobs/{{ submission_id }}"},
    "link": "/ui/{{ submission_id }}",
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
    with FakeJobServer("generic") as server:
        connection = {
            "conn_type": "http",
            "host": server.url,
            "login": "me",
            "password": SECRET,
            "extra": {"token": SECRET},
        }
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(connection))
        yield server


def group(tmp_path: Path, **arguments: Any) -> Worker:
    given = {"job": JOB, "http_conn_id": "shop", "group_id": "job", "destination": str(tmp_path / "a.csv")}
    with DAG("d") as dag:
        async_job(**{**given, **arguments})
    return Worker(dag)


def kept(worker: Worker, task_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a reader sees of a task: the summary and the trace."""
    store = worker.stores.get(task_id, Store())
    pairs = [
        (store.get(SUMMARY), store.get(TRACE)),
        (worker.xcoms.get((task_id, SUMMARY)), worker.xcoms.get((task_id, TRACE))),
    ]
    found = merged(*pairs)
    assert found.summary is not None
    return found.summary.to_dict(), found.book.to_dict()


def purposes(trace: dict[str, Any]) -> list[str]:
    return [entry["purpose"] for entry in trace["exchanges"]]


def test_the_whole_course_of_a_job_is_kept(server: FakeJobServer, tmp_path: Path) -> None:
    worker = group(tmp_path, inputs={"plan": {"run_for": 1, "message": "all well"}})
    worker.channel = Channel(worker.xcoms)
    for task_id in ("job.submit", "job.wait", "job.fetch"):
        worker.run(task_id)
    assert worker.deferrals == 1

    summary, trace = kept(worker, "job.submit")
    assert (summary["kind"], summary["state"], summary["submission_id"]) == ("submit", "running", "job-1")
    assert purposes(trace) == ["submit"]
    assert trace["exchanges"][0]["response"].startswith('{"id": "job-1"')

    summary, trace = kept(worker, "job.wait")
    assert (summary["kind"], summary["state"], summary["raw_status"]) == ("wait", "done", "succeeded")
    assert (summary["definition"], summary["conn_id"]) == ("plain", "shop")
    assert (summary["message"], summary["can_cancel"]) == ("all well", True)
    assert summary["remote_url"] == f"{server.url}/ui/job-1"
    assert summary["submitted_at"] < summary["started_at"] < summary["ended_at"] < summary["deadline"]
    polls = server.ledger.entries("poll")
    assert summary["polls"] == len(polls) == sum(one["count"] for one in trace["exchanges"])
    assert trace["polls"][-1][1:] == ["succeeded", "done", 200]
    assert [one["state"] for one in trace["exchanges"]][-1] == "done"
    assert trace["exchanges"][0]["raw_status"] in ("queued", "running")
    assert worker.stores["job.wait"][SUMMARY]["state"] == "done", (
        "the worker takes over what the trigger kept"
    )
    assert len(worker.stores["job.wait"][TRACE]["exchanges"]) == len(trace["exchanges"])

    summary, trace = kept(worker, "job.fetch")
    assert (summary["kind"], summary["state"], summary["submission_id"]) == ("fetch", "downloaded", "job-1")
    manifest = worker.xcoms["job.fetch", "return_value"]
    download = summary["download"]
    assert {name: download[name] for name in ("records", "bytes", "sha256", "format")} == {
        name: manifest[name] for name in ("records", "bytes", "sha256", "format")
    }
    assert (download["uris"], download["files"]) == (manifest["uris"], 1)
    assert purposes(trace) == ["result"]
    assert trace["exchanges"][0]["response"] == "", "people's data stay where they are"

    everything = json.dumps([*worker.stores.values(), *worker.xcoms.values()])
    assert SECRET not in everything
    assert not Redactor([SECRET]).holds_secret(everything)
    found = Redactor([SECRET]).would_change([dict(store) for store in worker.stores.values()])
    assert {path.rpartition(".")[2] for path in found} == {"authorization"}, "whose value is hidden"
    assert '"authorization": "Basic ***"' in everything


def trigger(server: FakeJobServer, worker: Worker, job_id: str, **arguments: Any) -> AsyncStatusTrigger:
    submission = {"id": job_id, "submitted_at": time.time(), "captures": {}}
    checkpoint = {"version": 1, "phase": "submitted", "submission": submission, "deadline": time.time() + 600}
    waiting = AsyncStatusTrigger(
        definition=arguments.pop("definition", JOB),
        http_conn_id="shop",
        inputs={},
        names={},
        checkpoint={**checkpoint, **arguments},
    )
    waiting.task_instance = Instance(worker, worker.dag.get_task("wait"))
    return waiting


def waiter(server: FakeJobServer, **plan: Any) -> tuple[Worker, str]:
    job_id = str(httpx.post(f"{server.url}/jobs", json=plan).json()["id"])
    with DAG("d") as dag:
        AsyncStatusSensor(task_id="wait", job=JOB, http_conn_id="shop", submission_id=job_id)
    return Worker(dag), job_id


async def first(waiting: AsyncStatusTrigger) -> Any:
    async for event in waiting.run():
        return event.payload
    raise AssertionError("no event")


def quick(**fields: Any) -> dict[str, Any]:
    return {**JOB, "status": {**JOB["status"], "initial_wait": 0.01, "poll_wait": 0.01, **fields}}


def test_a_trigger_does_not_write_at_each_poll(server: FakeJobServer) -> None:
    worker, job_id = waiter(server, run_for=2)
    channel = Channel(worker.xcoms)
    with channel.open():
        asyncio.run(first(trigger(server, worker, job_id, definition=quick())))
    polls = len(server.ledger.entries("poll"))
    seen = {entry["raw_status"] for entry in kept(worker, "wait")[1]["exchanges"]}
    assert polls > 15
    assert channel.written.count(SUMMARY) <= len(seen), f"{polls} polls, {seen}"
    assert channel.written.count(TRACE) == channel.written.count(SUMMARY)
    assert kept(worker, "wait")[0]["polls"] == polls


def test_a_status_that_is_another_one_at_every_poll_is_not_written_at_each(server: FakeJobServer) -> None:
    worker, job_id = waiter(server, run_for=3)
    definition = quick(path="progress", values={"running": list(range(100)), "done": [100]})
    channel = Channel(worker.xcoms)
    with channel.open():
        asyncio.run(first(trigger(server, worker, job_id, definition=definition)))
    assert len(server.ledger.entries("poll")) > 25
    assert channel.written.count(SUMMARY) <= 22


def test_a_trigger_that_starts_again_goes_on_with_the_same_trace(server: FakeJobServer) -> None:
    worker, job_id = waiter(server, run_for=60)
    channel = Channel(worker.xcoms)

    async def killed_after_a_write() -> None:
        running = asyncio.ensure_future(first(trigger(server, worker, job_id)))
        while SUMMARY not in channel.written:
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    with channel.open():
        asyncio.run(killed_after_a_write())
        before = kept(worker, "wait")
        httpx.delete(f"{server.url}/jobs/{job_id}")
        definition = {**JOB, "status": {**JOB["status"], "unknown": "fail"}}
        event = asyncio.run(first(trigger(server, worker, job_id, definition=definition)))
    assert event["error"]["kind"] == "UnknownStatusError"
    summary, trace = kept(worker, "wait")
    assert summary["state"] == "error"
    assert "cancelled" in summary["trouble"]
    assert trace["polls"][0] == before[1]["polls"][0]
    assert trace["polls"][-1][1:3] == ["cancelled", "unknown"]
    assert trace["exchanges"][0]["state"] == "running"


def test_the_cancel_of_a_task_that_is_marked_failed_is_kept(
    server: FakeJobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, job_id = waiter(server, run_for=60)
    channel = Channel(worker.xcoms)
    waiting = trigger(server, worker, job_id)

    async def marked() -> None:
        running = asyncio.ensure_future(first(waiting))
        while SUMMARY not in channel.written:
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        channel.state = "failed"
        await waiting.on_kill()
        await asyncio.gather(*status._BESIDE)

    with channel.open():
        asyncio.run(marked())
    assert server.ledger.running() == 0
    summary, trace = kept(worker, "wait")
    assert summary["state"] == "cancelled"
    assert purposes(trace)[0] == "poll"
    cancel = trace["exchanges"][-1]
    assert (cancel["purpose"], cancel["method"], cancel["code"]) == ("cancel", "DELETE", 200)


class Refusing(Store):
    """A task state store that keeps the job, and nothing for the UI."""

    def set(self, key: str, value: Any) -> None:  # type: ignore[override]
        if key in (SUMMARY, TRACE):
            raise RuntimeError("API_SERVER_ERROR: the database is full")
        self[key] = value


def test_a_store_that_refuses_is_no_harm_to_the_job(
    server: FakeJobServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = group(tmp_path, inputs={"plan": {"run_for": 1}})
    worker.channel = Channel(worker.xcoms, refuses=True)
    worker.stores = {f"job.{name}": Refusing() for name in ("submit", "wait", "fetch")}
    worker.run("job.submit")
    capsys.readouterr()
    worker.run("job.wait")
    said = capsys.readouterr().out
    worker.run("job.fetch")
    assert (tmp_path / "a.csv").exists()
    assert said.count("cannot be kept for the UI (XCom: RuntimeError('API_SERVER_ERROR") == 1
    assert said.count("cannot be kept for the UI (task state store: RuntimeError('API_SERVER_ERROR") == 2, (
        "once before the deferral, once after it: two processes"
    )
    assert worker.channel.written.count(SUMMARY) + worker.channel.written.count(TRACE) == 1, "not tried again"


def test_a_clear_of_the_submit_starts_a_new_trace_that_names_the_job_before(
    server: FakeJobServer, tmp_path: Path
) -> None:
    worker = group(tmp_path, inputs={"plan": {"run_for": 60}}, deferrable=False)
    worker.run("job.submit")
    task, context = worker.prepared("job.submit")
    context["ti"].max_tries = 5  # as a clear sets it
    assert task.execute(context) == "job-2"
    summary, trace = kept(worker, "job.submit")
    assert (summary["submission_id"], summary["state"]) == ("job-2", "running")
    assert [job["submission_id"] for job in trace["before"]] == ["job-1"]
    assert purposes(trace) == ["cancel", "submit"], "the job before is cancelled"
    assert trace["exchanges"][-1]["response"].startswith('{"id": "job-2"')


def test_a_retry_goes_on_with_the_same_trace(server: FakeJobServer, tmp_path: Path) -> None:
    worker = group(tmp_path, deferrable=False, inputs={"plan": {}})
    worker.run("job.submit")
    server.faults.add("poll", 500, times=3)
    with pytest.raises(Exception, match="500"):
        worker.run("job.wait")
    summary, trace = kept(worker, "job.wait")
    assert (summary["state"], summary["failed_polls"]) == ("error", 3)
    assert "500" in summary["trouble"]
    worker.run("job.wait")
    summary, trace = kept(worker, "job.wait")
    assert (summary["state"], summary["trouble"], summary["failed_polls"]) == ("done", None, 0)
    assert [one["code"] for one in trace["exchanges"] for _ in range(one["count"])] == [500, 500, 500, 200]
    assert [poll[2] for poll in trace["polls"]] == ["error", "error", "error", "done"]


def test_a_submit_that_failed_is_kept_with_what_came_back(server: FakeJobServer, tmp_path: Path) -> None:
    worker = group(tmp_path, deferrable=False)
    server.faults.add("submit", 400)
    with pytest.raises(Exception, match="400"):
        worker.run("job.submit")
    summary, trace = kept(worker, "job.submit")
    assert (summary["state"], summary["submission_id"]) == ("error", None)
    assert "400" in summary["trouble"]
    assert [one["code"] for one in trace["exchanges"]] == [400]


def test_a_rescheduled_wait_is_written_when_there_is_news_and_else_seldom(server: FakeJobServer) -> None:
    worker, _ = waiter(server, run_for=60)
    with DAG("d") as worker.dag:
        AsyncStatusSensor(
            task_id="wait",
            job=JOB,
            http_conn_id="shop",
            submission_id="job-1",
            deferrable=False,
            mode="reschedule",
        )

    class Counting(Store):
        writes = 0

        def set(self, key: str, value: Any) -> None:  # type: ignore[override]
            Counting.writes += key == SUMMARY
            self[key] = value

    worker.stores["wait"] = Counting()
    for _ in range(6):
        time.sleep(0.15)  # so that the poll is due
        with pytest.raises(AirflowRescheduleException):
            worker.run("wait")
    polls = len(server.ledger.entries("poll"))
    assert polls >= 4
    assert Counting.writes <= 3, "the first, and the status's changes"


def test_a_wait_on_the_worker_is_seen_while_it_waits(server: FakeJobServer) -> None:
    worker, _ = waiter(server, run_for=1)
    with DAG("d") as worker.dag:
        AsyncStatusSensor(
            task_id="wait", job=JOB, http_conn_id="shop", submission_id="job-1", deferrable=False
        )

    class Watched(Store):
        states: list[tuple[str, Any]] = []

        def set(self, key: str, value: Any) -> None:  # type: ignore[override]
            if key == SUMMARY:
                Watched.states.append((value["state"], value["raw_status"]))
            self[key] = value

    worker.stores["wait"] = Watched()
    worker.run("wait")
    assert Watched.states[0] == ("running", None)
    assert ("running", "running") in Watched.states
    assert Watched.states[-1] == ("done", "succeeded")
    assert len(Watched.states) <= 5


def test_where_the_status_answer_is_the_result_its_body_is_not_kept(
    server: FakeJobServer, tmp_path: Path
) -> None:
    job = {**JOB, "result": {"from": "status", "format": "json"}}
    worker = group(tmp_path, job=job, deferrable=False)
    for task_id in ("job.submit", "job.wait", "job.fetch"):
        worker.run(task_id)
    for task_id in ("job.wait", "job.fetch"):
        trace = kept(worker, task_id)[1]
        assert [one["response"] for one in trace["exchanges"]] == [""] * len(trace["exchanges"])


def test_what_is_stored_fits_airflows_limit(server: FakeJobServer, tmp_path: Path) -> None:
    worker = group(tmp_path, deferrable=False, inputs={"plan": {"message": "й" * 5000, "run_for": 2}})
    for task_id in ("job.submit", "job.wait"):
        worker.run(task_id)
    for store in worker.stores.values():
        assert len(json.dumps(store[TRACE])) <= TRACE_BYTES
        assert len(json.dumps(store[SUMMARY])) <= 2048


def test_a_deferral_keeps_what_the_worker_saw(server: FakeJobServer) -> None:
    worker, _ = waiter(server, run_for=60)
    task, context = worker.prepared("wait")
    with pytest.raises(TaskDeferred):
        task.execute(context)
    summary = worker.stores["wait"][SUMMARY]
    assert (summary["state"], summary["polls"]) == ("running", 0)
    assert summary["next_poll_at"] > summary["submitted_at"]
