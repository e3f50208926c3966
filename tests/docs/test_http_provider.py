"""What the documentation says about HttpOperator and HttpSensor, seen from their own classes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.providers.http.triggers.http import HttpSensorTrigger, HttpTrigger
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    TaskDeferred,
)
from airflow.triggers.base import BaseTrigger

from airflow_asyncjob.testing import FakeJobServer

SEVEN_DAYS = 7 * 24 * 3600


class Instance:
    """As much of a task instance as a sensor in reschedule mode asks for."""

    def get_first_reschedule_date(self, context: Any) -> None:
        return None


CONTEXT: Any = {"ti": Instance()}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    """Give a job API; in Airflow it is connection ``shop``."""
    with FakeJobServer("generic") as running:
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "http", "host": running.url}))
        yield running


def submit(**plan: Any) -> HttpOperator:
    return HttpOperator(
        task_id="submit",
        http_conn_id="shop",
        endpoint="/jobs",
        data=json.dumps(plan),
        response_filter=lambda response: response.json()["id"],
    )


def sensor(job_id: str, **arguments: Any) -> HttpSensor:
    given = {"response_check": lambda response: response.json()["status"] == "succeeded", **arguments}
    return HttpSensor(task_id="wait", http_conn_id="shop", endpoint=f"/jobs/{job_id}", **given)


def test_a_sensor_with_a_check_never_defers(server: FakeJobServer) -> None:
    waiting = sensor(submit(run_for=60).execute(CONTEXT), deferrable=True, mode="reschedule")
    with pytest.raises(AirflowRescheduleException):
        waiting.execute(CONTEXT)


@pytest.mark.parametrize("plan", [{"ends": "failed"}, {"words": {"done": "PAUSED"}}])
def test_a_job_that_failed_or_says_something_new_is_waited_for(
    server: FakeJobServer, plan: dict[str, Any]
) -> None:
    waiting = sensor(submit(**plan).execute(CONTEXT))
    assert waiting.poke(CONTEXT) is False
    assert waiting.timeout == SEVEN_DAYS
    assert server.ledger.running() == 0


@pytest.mark.parametrize("code", [401, 403, 429, 500, 502])
def test_one_poll_that_fails_fails_the_task_and_retries_apply(server: FakeJobServer, code: int) -> None:
    waiting = sensor(submit(run_for=60).execute(CONTEXT))
    server.faults.add("poll", code)
    with pytest.raises(AirflowException, match=f"^{code}:") as caught:
        waiting.execute(CONTEXT)
    assert not isinstance(caught.value, AirflowFailException)


def test_a_deferred_sensor_whose_credentials_are_refused_asks_on_without_a_pause(
    server: FakeJobServer,
) -> None:
    server.faults.add("any", 401, times=None)
    trigger = HttpSensorTrigger(endpoint="/jobs/job-1", http_conn_id="shop", poke_interval=SEVEN_DAYS)

    async def until_it_asked_often() -> None:
        asking = asyncio.create_task(anext(aiter(trigger.run())))
        while server.ledger.count() < 20:
            assert not asking.done()
            await asyncio.sleep(0.01)
        asking.cancel()

    asyncio.run(asyncio.wait_for(until_it_asked_often(), timeout=60))
    assert {entry.code for entry in server.ledger.entries()} == {401}


def test_a_retry_of_the_submit_is_a_second_job(server: FakeJobServer) -> None:
    server.faults.add("submit", "lost")
    with pytest.raises(requests.ConnectionError):
        submit().execute(CONTEXT)
    submit().execute(CONTEXT)
    assert server.ledger.accepted() == 2


def test_a_deferred_submit_is_sent_by_the_triggerer_once_for_each_run_of_it(server: FakeJobServer) -> None:
    deferred = HttpOperator(
        task_id="submit", http_conn_id="shop", endpoint="/jobs", data="{}", deferrable=True
    )
    with pytest.raises(TaskDeferred) as caught:
        deferred.execute(CONTEXT)
    trigger = caught.value.trigger
    assert isinstance(trigger, HttpTrigger)
    for _ in range(2):  # as after the restart of a triggerer
        assert asyncio.run(anext(aiter(trigger.run()))).payload["status"] == "success"
    assert server.ledger.accepted() == 2


def test_a_result_becomes_the_task_s_return_value(server: FakeJobServer) -> None:
    job = submit(rows=1000).execute(CONTEXT)
    fetch = HttpOperator(task_id="fetch", http_conn_id="shop", endpoint=f"/jobs/{job}/result/1", method="GET")
    assert len(fetch.execute(CONTEXT).splitlines()) > 1000


def test_a_request_waits_without_a_limit(server: FakeJobServer, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    send = requests.Session.send

    def watched(self: requests.Session, request: Any, **options: Any) -> Any:
        seen.append(options["timeout"])
        return send(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", watched)
    sensor(submit().execute(CONTEXT)).execute(CONTEXT)
    assert set(seen) == {None}


def test_nothing_is_sent_when_a_waiting_task_ends() -> None:
    assert HttpSensor.on_kill is BaseOperator.on_kill
    assert HttpSensorTrigger.on_kill is BaseTrigger.on_kill


def test_the_version_that_the_documentation_speaks_of() -> None:
    from importlib.metadata import version

    assert version("apache-airflow-providers-http").startswith("6.3.")
