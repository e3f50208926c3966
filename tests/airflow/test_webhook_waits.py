"""A wait whose API sends events: the address in the submit, a look at the start, and fewer polls after it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_asyncjob import AsyncSubmitOperator, async_job
from airflow_asyncjob.definition.callback import TaskName, task_of_token
from airflow_asyncjob.protocol import Goal
from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.transport import ConnectionSettings
from airflow_asyncjob.triggers.status import AsyncStatusTrigger
from tests.airflow.in_process import Worker

SECRET = "a-secret-of-events"
JOB: dict[str, Any] = {
    "name": "called",
    "submit": {"request": {"url": "/jobs", "json": {"notify": "{{ callback_url }}"}}, "id": "id"},
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {"running": ["queued", "running"], "done": ["succeeded"]},
        "initial_wait": "1h",
        "webhook": {},
    },
    "result": {"target": "urls", "format": "csv"},
}
EVENTS = {**JOB, "submit": {"request": {"url": "/jobs"}, "id": "id"}}
EVENTS["status"] = {**JOB["status"], "webhook": {"id": "job", "auth": {"type": "path"}}}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    with FakeJobServer("generic") as server:
        connect(monkeypatch, server, {"webhook_secret": SECRET})
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://127.0.0.1:1/airflow/")
        yield server


def connect(monkeypatch: pytest.MonkeyPatch, server: FakeJobServer, extra: Mapping[str, Any]) -> None:
    told = {"conn_type": "http", "host": server.url, "extra": dict(extra)}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(told))


def worker_of(job: Mapping[str, Any], **arguments: Any) -> Worker:
    with DAG("d") as dag:
        async_job(job=job, http_conn_id="shop", group_id="job", **arguments)
    return Worker(dag)


def sent(server: FakeJobServer) -> str:
    (entry,) = server.ledger.entries("submit")
    return str(json.loads(entry.body)["notify"])


def test_the_submit_sends_an_address_of_its_own_task(server: FakeJobServer) -> None:
    worker = worker_of(JOB)
    worker.run("job.submit")
    address = sent(server)
    start = "http://127.0.0.1:1/airflow/asyncjob/webhooks/shop/"
    assert address.startswith(start)
    token = address.removeprefix(start)
    assert task_of_token(token, "shop", [SECRET]) == TaskName("d", "run", "job.submit", -1)


def test_an_address_that_others_see_is_given_by_the_connection(
    server: FakeJobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"webhook_secret": [SECRET, "old"], "callback_base_url": "http://127.0.0.1:2"}
    connect(monkeypatch, server, extra)
    worker_of(JOB).run("job.submit")
    assert sent(server).startswith("http://127.0.0.1:2/asyncjob/webhooks/shop/")
    for header in server.ledger.entries("submit")[0].headers.values():
        assert SECRET not in header, "what a webhook needs is no header of a request"


def test_the_address_is_kept_nowhere(server: FakeJobServer, caplog: pytest.LogCaptureFixture) -> None:
    worker = worker_of(JOB)
    worker.run("job.submit")
    worker.run("job.wait")
    token = sent(server).rpartition("/")[2]
    kept = json.dumps([list(worker.xcoms.values()), worker.stores, worker.triggers], default=str)
    for text in (kept, caplog.text):
        assert token not in text
        assert SECRET not in text
    assert worker.triggers, "the task has deferred"


@pytest.mark.parametrize(
    ("extra", "base", "said"),
    [
        (
            {},
            "http://127.0.0.1:1",
            "signed with webhook_secret of the extra of connection 'shop', and there is none",
        ),
        ({"webhook_secret": SECRET}, "", "the address of Airflow's API server is ''. Set [api] base_url"),
        ({"webhook_secret": SECRET, "callback_base_url": "a.example"}, "", "API server is 'a.example'"),
    ],
)
def test_an_address_that_cannot_be_made_is_said_before_anything_is_sent(
    server: FakeJobServer, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], base: str, said: str
) -> None:
    connect(monkeypatch, server, extra)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
    with pytest.raises(AirflowFailException) as caught:
        worker_of(JOB).run("job.submit")
    assert said in str(caught.value)
    assert not server.ledger.entries()


def test_a_wait_in_the_submit_has_the_address_of_that_task(server: FakeJobServer) -> None:
    with DAG("d") as dag:
        AsyncSubmitOperator(task_id="job", job=JOB, http_conn_id="shop", wait_for_completion=True)
    Worker(dag).run("job")
    token = sent(server).rpartition("/")[2]
    assert task_of_token(token, "shop", [SECRET]) == TaskName("d", "run", "job", -1)


def test_an_event_that_came_before_the_wait_is_not_lost(server: FakeJobServer) -> None:
    worker = worker_of(EVENTS)
    job_id = worker.run("job.submit")
    begun = time.monotonic()
    assert worker.run("job.wait") == [f"/jobs/{job_id}/result/1"]
    assert len(server.ledger.entries("poll")) == 1, "the job had ended, and its first poll is due in an hour"
    assert time.monotonic() - begun < 600


def trigger(server: FakeJobServer, **checkpoint: Any) -> AsyncStatusTrigger:
    submission = {"id": "job-1", "submitted_at": time.time(), "captures": {}}
    return AsyncStatusTrigger(
        definition=EVENTS,
        http_conn_id="shop",
        inputs={},
        names={},
        checkpoint={
            "version": 1,
            "phase": "submitted",
            "submission": submission,
            "deadline": time.time() + 9000,
            **checkpoint,
        },
    )


def poll_wait(waiting: AsyncStatusTrigger, extra: dict[str, Any]) -> float:
    hears = waiting._hears(ConnectionSettings(extra=extra))
    job = waiting._job(Goal.ENDED, waiting.checkpoint, hears=hears)
    assert job.definition.status is not None
    return job.definition.status.poll_wait


def test_with_events_the_polls_are_the_net(server: FakeJobServer) -> None:
    assert poll_wait(trigger(server), {"webhook_secret": SECRET}) == 300.0, "ten times 30 s"
    assert poll_wait(trigger(server), {"webhook_public_key": "k"}) == 300.0
    assert poll_wait(trigger(server), {}) == 30.0, "no event can be verified, so none wakes this wait"


def test_a_wait_that_the_api_asked_for_is_not_cut_short(server: FakeJobServer) -> None:
    def looks_first(**checkpoint: Any) -> bool:
        woken = asyncio.Event()
        trigger(server, **checkpoint)._look_first(woken)
        return woken.is_set()

    assert looks_first()
    assert not looks_first(not_before=time.time() + 600)
    assert looks_first(not_before=time.time() - 1)
