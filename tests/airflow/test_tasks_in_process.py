"""What the tasks do with what they are given, in this process: around a defer, and when they fail."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_asyncjob import AsyncStatusSensor, AsyncSubmitOperator, async_job
from airflow_asyncjob.testing import FakeJobServer
from tests.airflow.in_process import Worker

STATUS: dict[str, Any] = {
    "request": {"url": "/jobs/{{ submission_id }}"},
    "path": "status",
    "values": {"running": ["queued", "running"], "done": ["succeeded"], "failed": ["failed"]},
    "message": "message",
    "initial_wait": 0.2,
    "poll_wait": 0.2,
    "poll_error_budget": 1,
}
JOB: dict[str, Any] = {
    "name": "plain",
    "inputs": {"plan": {"type": "object", "default": {}}, "note": {"default": ""}},
    "submit": {"request": {"url": "/jobs", "json": "{{ inputs.plan }}"}, "id": "id"},
    "status": STATUS,
    "result": {"target": "urls", "format": "csv"},
    "cancel": {"method": "DELETE", "url": "/jobs/{{ submission_id }}"},
}
SECRET = "planted-secret-0123456789"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
    with FakeJobServer("generic") as server:
        connection = {"conn_type": "http", "host": server.url, "login": "me", "password": SECRET}
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(connection))
        yield server


def group(**arguments: Any) -> Worker:
    """Return a worker for a group ``job`` of the plain job."""
    given = {"job": JOB, "http_conn_id": "shop", "group_id": "job", **arguments}
    with DAG("d") as dag:
        async_job(**given)
    return Worker(dag)


def sensor(server: FakeJobServer, plan: dict[str, Any] | None = None, **arguments: Any) -> Worker:
    """Return a worker for one sensor, ``wait``, and a job that was submitted by hand."""
    job_id = httpx.post(f"{server.url}/jobs", json=plan or {}).json()["id"]
    with DAG("d") as dag:
        AsyncStatusSensor(task_id="wait", job=JOB, http_conn_id="shop", submission_id=job_id, **arguments)
    return Worker(dag)


def test_the_link_to_the_job_may_be_at_the_host_of_the_connection(server: FakeJobServer) -> None:
    link = "{{ connection.schema }}://{{ connection.host }}:8080/ui/{{ inputs.note }}/{{ submission_id }}"
    worker = group(job={**JOB, "link": link}, inputs={"note": "a b"}, deferrable=False)
    task, context = worker.prepared("job.submit")
    assert task.execute(context) == "job-1"
    assert task.remote_job_url == "http://127.0.0.1:8080/ui/a%20b/job-1"


def test_what_the_steps_and_the_download_note_is_in_the_task_log(
    server: FakeJobServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = {"name": "look", "request": {"url": "/jobs/{{ submission_id }}"}}
    job = {
        **JOB,
        "result": {"steps": [step], "target": "urls", "format": "csv"},
        "errors": {"result": [{"when": "code + 'x' == 1", "then": "fail"}]},
    }
    worker = group(job=job, destination=str(tmp_path / "a.csv"))
    for task in ("job.submit", "job.wait"):
        worker.run(task)
    capsys.readouterr()
    worker.run("job.fetch")
    note = "errors.result[0].when: \"code + 'x' == 1\" does not work on this answer"
    assert capsys.readouterr().out.count(note) == 2, "of the step and of the download"


class TestBeforeADefer:
    """What could not be deferred with is refused while nothing is sent."""

    @pytest.mark.parametrize(
        "path", ["no_such_module:clean", "no_such_package.module:clean", "tests.no_such_module:clean"]
    )
    @pytest.mark.parametrize("retries", [None, 0])
    def test_a_transform_that_the_download_would_not_find(
        self, server: FakeJobServer, tmp_path: Path, path: str, retries: int | None
    ) -> None:
        job = {**JOB, "result": {**JOB["result"], "transform": path}}
        worker = group(job=job, destination=str(tmp_path / "a.csv"), job_retries=retries)
        with pytest.raises(AirflowFailException) as caught:
            worker.run("job.submit")
        said = f"Nothing is sent, since job.fetch would fail: transform {path} cannot be imported: "
        assert str(caught.value).startswith(f"{said}ModuleNotFoundError: No module named ")
        assert server.ledger.count() == 0

    def test_a_transform_is_looked_for_without_running_its_module(
        self, server: FakeJobServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "heavy_one.py").write_text("raise RuntimeError('the module was run')")
        monkeypatch.syspath_prepend(str(tmp_path))
        job = {**JOB, "result": {**JOB["result"], "transform": "heavy_one:clean"}}
        assert group(job=job, destination=str(tmp_path / "a.csv")).run("job.submit") == "job-1"

    def test_a_transform_of_a_download_that_runs_elsewhere_is_its_own_matter(
        self, server: FakeJobServer, tmp_path: Path
    ) -> None:
        job = {**JOB, "result": {**JOB["result"], "transform": "no_such_module:clean"}}
        worker = group(job=job, destination=str(tmp_path / "a.csv"), fetch={"queue": "heavy"})
        assert worker.run("job.submit") == "job-1"

    def test_a_secret_among_the_inputs(self, server: FakeJobServer) -> None:
        worker = group(inputs={"note": SECRET})
        with pytest.raises(AirflowFailException) as caught:
            worker.run("job.submit")
        said = str(caught.value)
        assert said.startswith("Nothing is sent: job.wait could not defer: inputs.note holds what looks like")
        assert "deferrable=False" in said
        assert SECRET not in said
        assert server.ledger.entries("submit") == []

    def test_a_secret_in_the_definition_of_the_waiting_task(self, server: FakeJobServer) -> None:
        with DAG("d") as dag:
            submit = AsyncSubmitOperator(task_id="submit", http_conn_id="shop", job=JOB)
            AsyncStatusSensor(
                task_id="wait",
                http_conn_id="shop",
                submission_id=submit.output,
                job=JOB,
                headers={"X-Key": SECRET},
            )
        with pytest.raises(AirflowFailException, match=r"wait could not defer: definition\.status\.request"):
            Worker(dag).run("submit")
        assert server.ledger.entries("submit") == []

    def test_a_task_that_waits_without_deferring_may_have_it(
        self, server: FakeJobServer, tmp_path: Path
    ) -> None:
        worker = group(inputs={"note": SECRET}, deferrable=False)
        assert worker.run("job.submit")
        assert worker.run("job.wait")
        assert worker.deferrals == 0

    def test_a_job_that_runs_already_is_not_given_up(self, server: FakeJobServer) -> None:
        worker = group()
        first = worker.run("job.submit")
        again = group(inputs={"note": SECRET})
        again.stores = worker.stores
        assert again.run("job.submit") == first
        assert server.ledger.accepted() == 1


class TestAfterADefer:
    """The log of the worker, whose last section knows nothing of the triggerer's."""

    @pytest.mark.parametrize(
        ("plan", "said"),
        [
            ({}, r"Job \S+ is done after .* s, 1 poll\. Status 'succeeded', 1 download target\."),
            ({"files": 3}, r"Job \S+ is done after .*\. Status 'succeeded', 3 download targets\."),
        ],
    )
    def test_it_says_how_the_job_ended(
        self, server: FakeJobServer, plan: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        worker = sensor(server, plan)
        assert worker.run("wait")
        assert worker.deferrals == 1
        assert re.search(said, capsys.readouterr().out)


class TestSensorsThatDoNotFail:
    """``soft_fail`` and ``never_fail``, after a deferral and on the worker."""

    @pytest.mark.parametrize("deferrable", [True, False])
    @pytest.mark.parametrize("option", ["soft_fail", "never_fail"])
    def test_a_job_that_failed_skips(self, server: FakeJobServer, option: str, deferrable: bool) -> None:
        plan = {"ends": "failed", "message": "no such segment"}
        worker = sensor(server, plan, **{option: True}, deferrable=deferrable)
        with pytest.raises(AirflowSkipException, match=f"because {option} is set.*no such segment"):
            worker.run("wait")
        assert worker.deferrals == int(deferrable)

    def test_without_them_it_fails_for_good(self, server: FakeJobServer) -> None:
        with pytest.raises(AirflowFailException, match="no such segment"):
            sensor(server, {"ends": "failed", "message": "no such segment"}).run("wait")

    def test_an_error_of_ours_is_skipped_by_never_fail_only(self, server: FakeJobServer) -> None:
        server.faults.add("poll", 500, times=None)
        with pytest.raises(AirflowSkipException, match=r"because never_fail is set.*2 polls in a row failed"):
            sensor(server, {"run_for": 60}, never_fail=True).run("wait")
        with pytest.raises(Exception, match="2 polls in a row failed") as caught:
            sensor(server, {"run_for": 60}, soft_fail=True).run("wait")
        assert not isinstance(caught.value, AirflowSkipException)
        assert server.ledger.running() == 2, "the jobs may be well"

    def test_a_timeout_is_skipped_and_cancelled(self, server: FakeJobServer) -> None:
        with pytest.raises(AirflowSkipException, match=r"because soft_fail is set.*timed out"):
            sensor(server, {"run_for": 600}, timeout=0.5, soft_fail=True).run("wait")
        assert server.ledger.running() == 0


class TestTheNetUnderADeferral:
    """Where the trigger never answers, Airflow resumes the task with nothing but an error."""

    def resumed(self, server: FakeJobServer, worker: Worker) -> Any:
        """Resume as Airflow does when the deferral itself has timed out."""
        task, context = worker.prepared("wait")
        error = {"error": "Trigger timeout"}
        return task.resume_execution("__fail__", error, context)

    def deferred(self, server: FakeJobServer, **plan: Any) -> Worker:
        """Return a worker whose task has deferred, and whose trigger never ran."""
        worker = sensor(server, plan, timeout=1)
        task, context = worker.prepared("wait")
        with pytest.raises(TaskDeferred) as deferred:
            task.execute(context)
        assert deferred.value.timeout is not None
        assert deferred.value.timeout.total_seconds() > 600, "long after the deadline"
        stored = worker.stores["wait"]["asyncjob.wait"]["data"]["checkpoint"]
        for moment in ("deadline", "next_poll_at"):
            stored[moment] -= 2000
        return worker

    def test_a_job_that_has_ended_is_found(self, server: FakeJobServer) -> None:
        worker = self.deferred(server)
        job_id = server.ledger.entries("submit")[0].job_id
        assert self.resumed(server, worker) == [f"/jobs/{job_id}/result/1"]
        assert server.ledger.accepted() == 1

    def test_nothing_stored_is_an_error(self, server: FakeJobServer) -> None:
        worker = self.deferred(server)
        worker.stores.clear()
        with pytest.raises(AirflowException, match="in time, and nothing is stored of the job"):
            self.resumed(server, worker)

    def test_a_job_that_still_runs_after_its_deadline_is_cancelled(self, server: FakeJobServer) -> None:
        worker = self.deferred(server, run_for=600)
        with pytest.raises(AirflowSensorTimeout, match="timed out"):
            self.resumed(server, worker)
        assert server.ledger.running() == 0


class TestOneTask:
    """Submit and wait in one."""

    def worker(self, **arguments: Any) -> Worker:
        with DAG("d") as dag:
            AsyncSubmitOperator(
                task_id="job",
                job=JOB,
                http_conn_id="shop",
                inputs={"plan": {"ends": "failed", "message": "no such segment"}},
                wait_for_completion=True,
                **arguments,
            )
        return Worker(dag)

    def test_where_a_retry_submits_anew_the_message_says_so(self, server: FakeJobServer) -> None:
        with pytest.raises(AirflowException, match="no such segment") as caught:
            self.worker(retries=1).run("job")
        assert "The next try of this task submits a new job." in str(caught.value)
        assert "cannot get better" not in str(caught.value)

    def test_the_last_try_says_what_to_do(self, server: FakeJobServer) -> None:
        with pytest.raises(AirflowException, match="correct its inputs, and submit a new one") as caught:
            self.worker(retries=0).run("job")
        assert "next try" not in str(caught.value)
