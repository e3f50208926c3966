"""Targets that expire, and secret ones, between the tasks of a DAG."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_asyncjob import AsyncStatusSensor, ResultDownloadOperator
from tests.airflow.in_process import Worker
from tests.servers.scripted import Reply, running, turns

JOB: dict[str, Any] = {
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "state",
        "values": {"running": "busy", "done": "ready", "failed": "bad"},
        "expires_at": "until",
        "poll_wait": 0.05,
    },
    "result": {"target": "url", "format": "csv"},
}
SECRET = {**JOB, "result": {**JOB["result"], "secret": True}}
SIGNED = {"state": "ready", "url": "BASE/files/7?X-Amz-Signature=s3cr3t-signature"}
ROWS = "a,b\n1,2\n"
PAST = time.time() - 60


def worker(job: dict[str, Any], destination: Path, **fetch: Any) -> Worker:
    """Return the runner of a DAG that waits for a job and fetches its result."""
    with DAG("d") as dag:
        wait = AsyncStatusSensor(task_id="wait", job=job, http_conn_id="jobs", submission_id="7")
        ResultDownloadOperator(
            task_id="fetch",
            job=job,
            http_conn_id="jobs",
            target=wait.output,
            destination=str(destination),
            **fetch,
        )
    return Worker(dag)


def test_a_target_that_has_expired_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = {"state": "ready", "url": "/old", "until": PAST}, {"state": "ready", "url": "/new"}
    with running({"GET /jobs/7": turns(old, new), "GET /new": ROWS}) as api:
        monkeypatch.setenv("AIRFLOW_CONN_JOBS", api.base)
        tasks = worker(JOB, tmp_path / "out.csv")
        assert tasks.run("wait") == "/old"
        assert tasks.run("fetch")["state"] == "done"
    assert [str(asked) for asked in api.asked] == ["GET /jobs/7", "GET /jobs/7", "GET /new"]
    assert (tmp_path / "out.csv").read_text().splitlines() == ["a,b", "1,2"]


def test_a_secret_target_travels_by_no_xcom_no_event_and_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = {"state": "busy"}
    with running({"GET /jobs/7": turns(busy, SIGNED), r"GET /files/7\?.*": ROWS}) as api:
        monkeypatch.setenv("AIRFLOW_CONN_JOBS", api.base)
        tasks = worker(SECRET, tmp_path / "out.csv")
        assert tasks.run("wait") == "7"
        assert tasks.deferrals == 1
        assert tasks.run("fetch")["submission_id"] == "7"
    kept = json.dumps([list(tasks.xcoms.values()), tasks.stores], default=str)
    assert "s3cr3t" not in kept
    assert len(api.of("GET /jobs/7")) == 3


def test_a_secret_target_of_a_job_that_is_said_by_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running({"GET /jobs/7": SIGNED, r"GET /files/7\?.*": ROWS}) as api:
        monkeypatch.setenv("AIRFLOW_CONN_JOBS", api.base)
        with DAG("d") as dag:
            wait = AsyncStatusSensor(
                task_id="wait",
                http_conn_id="jobs",
                submission_id="7",
                endpoint="/jobs/{{ submission_id }}",
                status_path="state",
                done_values="ready",
                download_target_path="url",
                secret=True,
            )
            ResultDownloadOperator(
                task_id="fetch",
                http_conn_id="jobs",
                target=wait.output,
                destination=str(tmp_path / "out.csv"),
                format="csv",
                secret=True,
                target_path="url",
                status=JOB["status"],
            )
        tasks = Worker(dag)
        assert tasks.run("wait") == "7"
        assert tasks.run("fetch")["records"] == 1


def test_a_secret_target_of_a_job_given_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running({"GET /jobs/7": SIGNED, r"GET /files/7\?.*": ROWS}) as api:
        monkeypatch.setenv("AIRFLOW_CONN_JOBS", api.base)
        with DAG("d") as dag:
            ResultDownloadOperator(
                task_id="fetch", job=SECRET, http_conn_id="jobs", target="7", destination=f"{tmp_path}/o.csv"
            )
        assert Worker(dag).run("fetch")["records"] == 1


def test_a_job_that_has_vanished_fails_the_download_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Reply(410, {"error": "link expired"})
    with running({"GET /jobs/7": turns(SIGNED, gone)}) as api:
        monkeypatch.setenv("AIRFLOW_CONN_JOBS", api.base)
        tasks = worker(SECRET, tmp_path / "out.csv")
        tasks.run("wait")
        with pytest.raises(AirflowFailException, match="The job is gone at the API"):
            tasks.run("fetch")


def test_data_that_are_gone_meanwhile_skip_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running({"GET /jobs/7": turns(SIGNED, {"state": "ready", "url": []})}) as api:
        monkeypatch.setenv("AIRFLOW_CONN_JOBS", api.base)
        tasks = worker(SECRET, tmp_path / "out.csv", skip_on_no_data=True)
        tasks.run("wait")
        with pytest.raises(AirflowSkipException):
            tasks.run("fetch")
