"""The fetch task after an upload: what was refused at every stage, also when it runs a second time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_asyncjob import async_job
from airflow_asyncjob.testing import FakeJobServer
from tests.airflow.in_process import Worker
from tests.airflow.test_upload_in_process import JOB

REFUSED = {"records": "errors", "key": "email", "index": "row", "reason": "message"}
REJECTS = {"request": {"url": "/jobs/{{ submission_id }}/rejects"}, "records": "rejects", "key": "email"}
PEOPLE = [{"email": ""}, *({"email": f"p{number}@example.com", "name": "Ann"} for number in range(5))]
PLAN = {
    "refuse": {"p1@example.com": "no consent"},
    "job": {"rejects": [{"email": "p3@example.com", "why": "bounced"}]},
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    with FakeJobServer("generic") as server:
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "http", "host": server.url}))
        yield server


def waited(folder: Path, **result: Any) -> Worker:
    """Return a worker whose job has ended."""
    create, send, start = JOB["submit"]["steps"]
    upload = {**JOB["submit"]["upload"], "required": "email"}
    submit = {"upload": upload, "steps": [create, {**send, "rejects": REFUSED}, start], "id": "id"}
    section = {"rejects": {**REJECTS, "reason": "why"}, **result}
    with DAG("d") as dag:
        async_job(
            job={**JOB, "submit": submit, "result": section},
            http_conn_id="shop",
            group_id="job",
            inputs={"contacts": PEOPLE, "plan": PLAN},
            destination=str(folder / "people.csv"),
            deferrable=False,
        )
    worker = Worker(dag)
    worker.run("job.submit")
    worker.run("job.wait")
    return worker


def test_a_fetch_that_runs_again_loses_no_reject(server: FakeJobServer, tmp_path: Path) -> None:
    worker = waited(tmp_path)
    first = worker.run("job.fetch")
    assert first["rejects"] == {
        "uri": f"file://{tmp_path}/people.rejects.jsonl",
        "records": 3,
        "sent": 5,
        "accepted": 3,
        "by_stage": {"local": 1, "upload": 1, "job": 1},
        "unmatched": 0,
    }
    lines = (tmp_path / "people.rejects.jsonl").read_text()
    found = [json.loads(line) for line in lines.splitlines()]
    assert [(one["stage"], one["number"]) for one in found] == [("local", 1), ("upload", 3), ("job", 5)]
    assert [one["record"] for one in found] == [PEOPLE[0], PEOPLE[2], PEOPLE[4]]
    for _ in range(2):
        assert worker.run("job.fetch") == first
        assert (tmp_path / "people.rejects.jsonl").read_text() == lines
        assert [path.name for path in tmp_path.iterdir()] == ["people.rejects.jsonl"]


def test_too_many_refused_fail_the_fetch_each_time_it_runs(server: FakeJobServer, tmp_path: Path) -> None:
    worker = waited(tmp_path, on_rejects="fail", tolerated="30%")
    for _ in range(2):
        with pytest.raises(AirflowFailException) as caught:
            worker.run("job.fetch")
        assert str(caught.value) == (
            "Refused: 3 of 6 (before sending 1, by the upload 1, by the job 1). The reasons are in "
            f"file://{tmp_path}/people.rejects.jsonl. Tolerated: 30%."
        )
        assert worker.xcoms["job.fetch", "rejects"]["accepted"] == 3


def test_a_source_that_is_gone_is_an_error_that_says_so(server: FakeJobServer, tmp_path: Path) -> None:
    worker = waited(tmp_path)
    worker.dag.get_task("job.fetch").inputs = {"contacts": str(tmp_path / "gone.csv"), "plan": PLAN}
    with pytest.raises(AirflowFailException, match=r"Which records were refused is not known.*gone\.csv"):
        worker.run("job.fetch")
