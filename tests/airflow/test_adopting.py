"""A job that a person names by its ID is carried on, and nothing is submitted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_asyncjob import AsyncSubmitOperator, async_job
from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.testing import FakeJobServer
from tests.airflow.in_process import Worker
from tests.cli.command import DEFINITION

JOB = {**DEFINITION, "connection": "api"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    with FakeJobServer("generic") as running:
        monkeypatch.setenv("AIRFLOW_CONN_API", running.url)
        yield running


def made_before(server: FakeJobServer) -> str:
    """Submit a job, as a run did whose Airflow is lost; return its ID."""
    with DAG("before", schedule=None) as dag:
        AsyncSubmitOperator(task_id="submit", job=JOB)
    return str(Worker(dag).run("submit"))


def group(tmp_path: Any = None, **arguments: Any) -> DAG:
    with DAG("d", schedule=None, params={"submission_id": None}) as dag:
        destination = {} if tmp_path is None else {"destination": str(tmp_path / "rows.csv")}
        async_job(
            job=JOB,
            group_id="g",
            submission_id="{{ params.submission_id or '' }}",
            **destination,
            **arguments,
        )
    return dag


def test_a_group_carries_on_the_job_that_a_run_is_given(
    server: FakeJobServer, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    job = made_before(server)
    worker = Worker(group(tmp_path), params={"submission_id": job})
    assert worker.run("g.submit") == job
    assert (
        f"Job {job} was given by hand: nothing is submitted, and it is carried on." in capsys.readouterr().out
    )
    worker.run("g.wait")
    manifest = worker.run("g.fetch")
    assert manifest["submission_id"] == job
    assert (tmp_path / "rows.csv").exists()
    assert server.ledger.accepted() == 1


def test_a_run_that_is_given_none_submits(server: FakeJobServer) -> None:
    worker = Worker(group(), params={"submission_id": None})
    assert worker.run("g.submit")
    assert server.ledger.accepted() == 1


def test_one_task_that_waits_too_carries_it_on(server: FakeJobServer) -> None:
    job = made_before(server)
    worker = Worker(group(job_retries=0), params={"submission_id": job})
    assert worker.run("g.submit")
    assert worker.xcoms["g.submit", "submission"]["id"] == job
    assert server.ledger.accepted() == 1


def test_a_retry_counts_the_waits_from_the_first_try(server: FakeJobServer) -> None:
    worker = Worker(group(), params={"submission_id": made_before(server)})
    worker.run("g.submit")
    first = worker.xcoms["g.submit", "submission"]
    worker.run("g.submit")
    assert worker.xcoms["g.submit", "submission"] == first


def test_what_is_known_of_the_job_may_be_given_too(server: FakeJobServer) -> None:
    with DAG("d", schedule=None) as dag:
        known = {"id": "job-1", "submitted_at": 1_700_000_000, "captures": {"token": "t"}}
        AsyncSubmitOperator(task_id="submit", job=JOB, submission_id=known)
    worker = Worker(dag)
    assert worker.run("submit") == "job-1"
    assert worker.xcoms["submit", "submission"] == {**known, "submitted_at": 1_700_000_000.0}
    assert server.ledger.accepted() == 0


def test_a_template_that_gives_none_is_told(server: FakeJobServer) -> None:
    with DAG("d", schedule=None) as dag:
        AsyncSubmitOperator(task_id="submit", job=JOB, submission_id="{{ params.submission_id }}")
    with pytest.raises(Exception, match=r"the text 'None'.*\{\{ params.submission_id or '' \}\}"):
        Worker(dag, params={"submission_id": None}).run("submit")
    assert server.ledger.accepted() == 0


def test_a_mapped_group_is_not_given_one_job() -> None:
    with DAG("d", schedule=None), pytest.raises(DefinitionError, match="submission_id names one job"):
        async_job.partial(job=JOB, submission_id="7").expand(inputs=[{}, {}])
