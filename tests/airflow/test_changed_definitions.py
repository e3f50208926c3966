"""A definition that is changed while its job runs: who uses the old one, and who the new one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_asyncjob import async_job
from airflow_asyncjob.testing import FakeJobServer
from tests.airflow.in_process import Worker
from tests.cli.command import DEFINITION


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    with FakeJobServer("generic") as running:
        monkeypatch.setenv("AIRFLOW_CONN_API", running.url)
        yield running


def dag(**status: Any) -> DAG:
    job = {**DEFINITION, "status": {**DEFINITION["status"], **status}}
    with DAG("d", schedule=None) as made:
        async_job(job=job, http_conn_id="api", group_id="g", inputs={"plan": {"run_for": 0.5}})
    return made


class ChangedMeanwhile(Worker):
    """A worker whose DAG file is changed while its task is deferred."""

    later: DAG

    async def _event(self, *given: Any) -> Any:
        event = await super()._event(*given)
        self.dag = self.later
        return event


def test_a_wait_that_is_going_on_keeps_the_definition_that_it_began_with(server: FakeJobServer) -> None:
    worker = ChangedMeanwhile(dag())
    worker.later = dag(request={"url": "/elsewhere/{{ submission_id }}"})
    worker.run("g.submit")
    target = worker.run("g.wait")
    assert worker.deferrals == 1
    assert target == ["/jobs/job-1/result/1"]
    assert not [entry for entry in server.ledger.entries() if entry.path.startswith("/elsewhere")]


def test_a_retry_of_the_wait_attaches_to_the_same_job_with_the_definition_as_it_is_now(
    server: FakeJobServer,
) -> None:
    wrong = {**DEFINITION["status"]["values"], "done": ["finished"]}
    worker = Worker(dag(values=wrong))
    worker.run("g.submit")
    with pytest.raises(Exception, match="succeeded"):
        worker.run("g.wait")
    worker.dag = dag()
    assert worker.run("g.wait") == ["/jobs/job-1/result/1"]
    assert server.ledger.accepted() == 1
    assert server.ledger.count("cancel") == 0


def test_a_retry_of_the_submit_carries_the_job_on_whatever_the_definition_says_now(
    server: FakeJobServer,
) -> None:
    worker = Worker(dag())
    first = worker.run("g.submit")
    worker.dag = dag(request={"url": "/elsewhere/{{ submission_id }}"})
    assert worker.run("g.submit") == first
    assert server.ledger.accepted() == 1


def test_a_clear_after_an_uncertain_submit_says_that_a_job_may_run_beside_the_new_one(
    server: FakeJobServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The state is that of a worker that died in its request."""
    worker = Worker(dag())
    intent = {"checkpoint": {"version": 1, "phase": "intent", "key": "the-old-key"}}
    task, context = worker.prepared("g.submit")
    context["task_state_store"].set(
        "asyncjob.submit", {"version": 1, "max_tries": 0, "retries": 0, "data": intent}
    )
    context["ti"].max_tries = 1  # as a clear sets it
    assert task.execute(context) == "job-1"
    log = capsys.readouterr().out
    assert "it was not known whether its submit (key the-old-key) was accepted: a job may run" in log
