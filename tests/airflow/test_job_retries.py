"""job_retries: a job that failed at the API is submitted again, by the task that submits and waits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, TaskDeferred

from airflow_asyncjob import AsyncSubmitOperator, async_job
from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.testing import FakeJobServer

JOB: dict[str, Any] = {
    "name": "plain",
    "inputs": {"plan": {"type": "object", "default": {}}},
    "submit": {
        "request": {
            "url": "/jobs",
            "json": "{{ inputs.plan }}",
            "headers": {"Idempotency-Key": "{{ idempotency_key }}"},
        },
        "id": "id",
    },
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {
            "running": ["queued", "running"],
            "done": ["succeeded"],
            "failed": ["failed"],
            "cancelled": ["cancelled"],
            "timed_out": ["expired"],
        },
        "message": "message",
        "poll_wait": 0.05,
    },
    "result": {"target": "urls"},
    "cancel": {"method": "DELETE", "url": "/jobs/{{ submission_id }}"},
}


class Store(dict[str, Any]):
    """The part of Airflow's task state store that is used, as a dict."""

    set = dict.__setitem__


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    with FakeJobServer("generic") as running:
        monkeypatch.setenv("AIRFLOW_CONN_JOBS", running.url)
        yield running


def operator(**arguments: Any) -> AsyncSubmitOperator:
    given = {"job_retry_wait": 0, "deferrable": False, **arguments}
    return AsyncSubmitOperator(
        task_id="job", job=JOB, http_conn_id="jobs", wait_for_completion=True, job_retries=2, **given
    )


def context_of(task: AsyncSubmitOperator, store: Store | None = None) -> dict[str, Any]:
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(
        dag_id="d",
        run_id="r",
        task_id="job",
        map_index=-1,
        max_tries=0,
        task=task,
        xcom_push=pushed.__setitem__,
        pushed=pushed,
    )
    return {"ti": ti, "task_state_store": Store() if store is None else store}


def submits(server: FakeJobServer) -> list[Any]:
    return server.ledger.entries("submit")


def fails(server: FakeJobServer, times: int, word: str = "failed") -> None:
    """Let the next polls say that the job ended like this."""
    body = f'{{"status": "{word}", "message": "worker died"}}'
    server.faults.add("poll", "answer", times=times, code=200, body=body)


def test_a_job_that_failed_is_submitted_again_in_the_same_try(
    server: FakeJobServer, capsys: pytest.CaptureFixture[str]
) -> None:
    fails(server, 2)
    task = operator()
    context = context_of(task)
    target = task.execute(context)
    jobs = [entry.job_id for entry in submits(server)]
    assert len(set(jobs)) == 3
    assert len({entry.headers["idempotency-key"] for entry in submits(server)}) == 3
    assert target == [f"/jobs/{jobs[-1]}/result/1"]
    assert context["ti"].pushed["submission"]["id"] == jobs[-1]
    assert context["ti"].pushed["status"]["state"] == "done"
    log = capsys.readouterr().out
    assert re.search(rf"Job {jobs[0]} is failed after [\d.]+ s, 1 poll: worker died", log)
    assert f"Job {jobs[1]} failed. It was job 2 of at most 3 (job_retries: 2): a new one is submitted." in log


def test_the_last_failure_fails_the_task_for_good(server: FakeJobServer) -> None:
    fails(server, 3)
    task = operator()
    with pytest.raises(AirflowFailException, match=r"worker died.*3 jobs were submitted \(job_retries: 2\)"):
        task.execute(context_of(task))
    assert len(submits(server)) == 3


def test_a_retry_of_the_task_counts_the_jobs_on(server: FakeJobServer) -> None:
    fails(server, 1)
    server.faults.add("submit", 400, nth=2)
    task, store = operator(), Store()
    with pytest.raises(AirflowFailException, match="refused the submit"):
        task.execute(context_of(task, store))
    fails(server, 2)
    with pytest.raises(AirflowFailException, match=r"3 jobs were submitted \(job_retries: 2\)"):
        task.execute(context_of(task, store))
    assert len([entry for entry in submits(server) if entry.created]) == 3


def test_a_clear_begins_the_count_again(server: FakeJobServer) -> None:
    fails(server, 1)
    task, store = operator(deferrable=True, job_retry_wait=3600), Store()
    with pytest.raises(TaskDeferred):
        task.execute(context_of(task, store))
    assert store["asyncjob.submit"]["data"]["checkpoint"]["attempt"] == 2
    cleared = context_of(task, store)
    cleared["ti"].max_tries = 1
    assert task.execute(cleared) == [f"/jobs/{submits(server)[-1].job_id}/result/1"]
    assert store["asyncjob.submit"]["data"]["checkpoint"].get("attempt", 1) == 1
    assert len(submits(server)) == 2
    assert not server.ledger.entries("cancel"), "nothing ran any more"


@pytest.mark.parametrize(
    ("word", "error"), [("cancelled", AirflowFailException), ("expired", AirflowSensorTimeout)]
)
def test_what_somebody_stopped_or_was_too_slow_is_not_submitted_again(
    server: FakeJobServer, word: str, error: type[Exception]
) -> None:
    fails(server, 1, word)
    task = operator()
    with pytest.raises(error, match="worker died"):
        task.execute(context_of(task))
    assert len(submits(server)) == 1


def test_a_job_that_vanished_is_submitted_again(server: FakeJobServer) -> None:
    server.faults.add("poll", "answer", code=200, body='{"status": "running"}')
    server.faults.add("poll", 404)
    task = operator()
    target = task.execute(context_of(task))
    assert len(submits(server)) == 2
    assert target == [f"/jobs/{submits(server)[-1].job_id}/result/1"]


def test_a_job_that_the_submit_itself_says_has_failed_is_submitted_again(server: FakeJobServer) -> None:
    early = {**JOB, "status": {**JOB["status"], "from": "submit"}}
    body = '{"id": "1", "status": "failed", "message": "worker died"}'
    server.faults.add("submit", "answer", code=201, body=body)
    task = AsyncSubmitOperator(
        task_id="job",
        job=early,
        http_conn_id="jobs",
        wait_for_completion=True,
        job_retries=1,
        job_retry_wait=0,
        deferrable=False,
    )
    target = task.execute(context_of(task))
    assert target == [f"/jobs/{submits(server)[-1].job_id}/result/1"]
    assert len(submits(server)) == 2


def test_an_api_may_give_the_next_job_the_same_id(server: FakeJobServer) -> None:
    body = '{"id": "same"}'
    server.faults.add("submit", "answer", times=2, code=201, body=body)
    fails(server, 1)
    server.faults.add("poll", "answer", code=200, body='{"status": "succeeded", "urls": ["/x"]}')
    task = operator()
    assert task.execute(context_of(task)) == ["/x"]
    assert len(server.ledger.entries("poll")) == 2


def test_a_long_wait_before_the_next_job_gives_the_worker_back(
    server: FakeJobServer, capsys: pytest.CaptureFixture[str]
) -> None:
    fails(server, 1)
    task, store = operator(deferrable=True, job_retry_wait=timedelta(hours=1)), Store()
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context_of(task, store))
    data = store["asyncjob.submit"]["data"]
    assert deferred.value.trigger.serialize()[1]["moment"].timestamp() == pytest.approx(data["submit_at"])
    assert deferred.value.method_name == "resume_submit"
    assert (data["checkpoint"]["phase"], data["checkpoint"]["attempt"]) == ("idle", 2)
    assert "Next job at" in capsys.readouterr().out
    assert len(submits(server)) == 1

    with pytest.raises(TaskDeferred):  # resumed too early, as by a clock that was set
        task.resume_submit(context_of(task, store))
    assert len(submits(server)) == 1
    store["asyncjob.submit"]["data"]["submit_at"] = 1.0  # the hour is over
    assert task.resume_submit(context_of(task, store)) == [f"/jobs/{submits(server)[-1].job_id}/result/1"]
    assert len(submits(server)) == 2


def test_what_the_trigger_saw_fail_is_submitted_again(server: FakeJobServer) -> None:
    server.faults.add("poll", "answer", code=200, body='{"status": "running"}')
    task, store = operator(deferrable=True), Store()
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context_of(task, store))
    event = {
        "version": 1,
        "submission": deferred.value.trigger.checkpoint["submission"],
        "outcome": {"state": "failed", "target": [], "raw_status": "failed"},
    }
    context = context_of(task, store)
    target = task.resume_execution(deferred.value.method_name, {"event": event}, context)
    first, second = (entry.job_id for entry in submits(server))
    assert event["submission"]["id"] == first
    assert target == [f"/jobs/{second}/result/1"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"job_retries": -1}, "job_retries is -1; expected a whole number, 0 or more"),
        ({"job_retries": True}, "job_retries is True; expected a whole number"),
        ({"job_retries": 1, "job_retry_wait": "soon"}, "job_retry_wait: 'soon' is not a duration"),
        ({"job_retry_wait": 5}, "job_retry_wait would be ignored: it goes with job_retries"),
        ({"job_retries": 1, "wait_for_completion": False}, "job_retries needs wait_for_completion=True"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        AsyncSubmitOperator(
            **{"task_id": "t", "job": JOB, "http_conn_id": "c", "wait_for_completion": True, **arguments}
        )


# The group ----------------------------------------------------------------------------------------------


def test_a_group_with_job_retries_submits_and_waits_in_one_task() -> None:
    with DAG("d") as dag:
        group = async_job(
            job=JOB,
            http_conn_id="c",
            destination="/tmp/x",
            job_retries=3,
            job_retry_wait="5m",
            timeout=timedelta(minutes=10),
            poll_wait=7,
            submit={"pool": "exports"},
        )
    assert {task.task_id: task.upstream_task_ids for task in dag.tasks} == {
        "plain.submit": set(),
        "plain.fetch": {"plain.submit"},
    }
    submit: Any = group["submit"]
    assert (submit.job_retries, submit.job_retry_wait, submit.wait_for_completion) == (3, 300.0, True)
    assert (submit.definition.status.timeout, submit.definition.status.poll_wait) == (600.0, 7.0)
    assert submit.pool == "exports"
    assert group["fetch"].target.operator is submit


def test_no_retries_at_all_is_one_task_too() -> None:
    with DAG("d") as dag:
        async_job(job=JOB, http_conn_id="c", job_retries=0)
    assert dag.task_ids == ["plain.submit"]


def test_a_group_with_job_retries_can_be_mapped() -> None:
    with DAG("d") as dag:
        async_job.partial(job=JOB, http_conn_id="c", job_retries=1).expand(inputs=[{"plan": {}}, {}])
    assert dag.task_ids == ["plain.submit"]


def test_what_a_wait_task_would_do_is_refused() -> None:
    with DAG("d"), pytest.raises(DefinitionError) as caught:
        async_job(
            job=JOB, http_conn_id="c", job_retries=1, wait={"pool": "p"}, mode="reschedule", soft_fail=True
        )
    message = caught.value.message
    assert message.startswith("a group with job_retries has no wait task, which these are for:")
    for name in ("wait: give", "mode: its task submit", "soft_fail: let"):
        assert name in message


def test_a_wait_without_retries_is_refused() -> None:
    with DAG("d"), pytest.raises(DefinitionError, match="job_retry_wait would be ignored"):
        async_job(job=JOB, http_conn_id="c", job_retry_wait=5)
