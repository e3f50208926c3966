"""status.from: submit, and the log of a job that failed, between the tasks of a DAG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_asyncjob import async_job
from airflow_asyncjob.testing import FakeJobServer
from tests.airflow.in_process import Worker

JOB: dict[str, Any] = {
    "name": "plain",
    "inputs": {"plan": {"type": "object", "default": {}}},
    "submit": {"request": {"url": "/jobs", "json": "{{ inputs.plan }}"}, "id": "id"},
    "status": {
        "from": "submit",
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {"running": ["queued", "running"], "done": ["succeeded"], "failed": ["failed"]},
        "log": {"request": {"url": "/jobs"}, "path": "jobs[].message"},
        "poll_wait": 0.05,
    },
    "result": {"target": "urls", "format": "csv"},
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    with FakeJobServer("generic") as running:
        monkeypatch.setenv("AIRFLOW_CONN_JOBS", running.url)
        yield running


def group(tmp_path: Path, **plan: Any) -> Worker:
    with DAG("d") as dag:
        async_job(
            job=JOB,
            http_conn_id="jobs",
            inputs={"plan": plan},
            destination=f"{tmp_path}/out.csv",
            group_id="job",
        )
    return Worker(dag)


def test_a_job_that_ended_at_once_is_neither_deferred_nor_polled(
    server: FakeJobServer, tmp_path: Path
) -> None:
    tasks = group(tmp_path, rows=4)
    assert tasks.run("job.submit") == "job-1"
    assert tasks.run("job.wait") == ["/jobs/job-1/result/1"]
    assert tasks.run("job.fetch")["records"] == 4
    assert tasks.deferrals == 0
    assert [entry.purpose for entry in server.ledger.entries()] == ["submit", "result"]


def test_a_job_that_goes_on_is_waited_for(server: FakeJobServer, tmp_path: Path) -> None:
    tasks = group(tmp_path, run_for=0.3)
    tasks.run("job.submit")
    assert tasks.run("job.wait") == ["/jobs/job-1/result/1"]
    assert tasks.deferrals == 1


@pytest.mark.parametrize("run_for", [0, 0.3])
def test_a_job_that_failed_shows_the_end_of_its_log(
    server: FakeJobServer, tmp_path: Path, run_for: float
) -> None:
    tasks = group(tmp_path, run_for=run_for, ends="failed", message="disk full at row 7")
    tasks.run("job.submit")
    with pytest.raises(AirflowFailException, match=r"The end of the job's log:\ndisk full at row 7$"):
        tasks.run("job.wait")
