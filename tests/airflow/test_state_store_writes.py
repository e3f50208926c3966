"""What the promise costs: how often a task writes to Airflow's task state store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_asyncjob import AsyncSubmitOperator, async_job
from airflow_asyncjob.testing import FakeJobServer
from tests.airflow.in_process import Store, Worker
from tests.cli.imports_api import DEFINITION, running_imports


class Counting(Store):
    """A store that counts the writes of each name."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: Counter[str] = Counter()

    def set(self, key: str, value: Any, **_: Any) -> None:  # type: ignore[override]
        self.writes[key] += 1
        self[key] = value


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
    with FakeJobServer("generic") as server:
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(server.connection))
        yield server


def job(run_for: float, *, wakes: int = 0, poll_wait: float = 0.1, **sections: Any) -> Worker:
    definition = {
        "name": "plain",
        "submit": {"request": {"url": "/jobs", "json": {"run_for": run_for}}, "id": "id"},
        "status": {
            "request": {"url": "/jobs/{{ submission_id }}"},
            "path": "status",
            "values": {"running": ["queued", "running"], "done": ["succeeded"], "cancelled": ["cancelled"]},
            "poll_wait": poll_wait,
            "jitter": 0.0,
        },
        **sections,
    }
    with DAG("d") as dag:
        async_job(job=definition, http_conn_id="shop", group_id="job", deferrable=wakes > 0)
    return Worker(dag, wakes=wakes)


def test_a_submission_is_two_writes(server: FakeJobServer) -> None:
    worker = job(run_for=0)
    store = worker.stores["job.submit"] = Counting()
    worker.run("job.submit")
    assert store.writes["asyncjob.submit"] == 2, "the intent before the request, the submission after it"


def test_a_poll_is_none(server: FakeJobServer) -> None:
    writes = {}
    for run_for in (0.0, 2.0):
        worker = job(run_for=run_for)
        worker.run("job.submit")
        before = server.ledger.count("poll")
        store = worker.stores["job.wait"] = Counting()
        worker.run("job.wait")
        writes[server.ledger.count("poll") - before] = store.writes["asyncjob.wait"]
    few, many = sorted(writes)
    assert many > few + 5
    assert writes[few] == writes[many]


@pytest.mark.parametrize("cancel", [None, {"method": "DELETE", "url": "/jobs/{{ submission_id }}"}])
def test_what_a_mark_needs_is_one_more_where_there_is_a_cancel(
    server: FakeJobServer, cancel: dict[str, Any] | None
) -> None:
    worker = job(run_for=3600, wakes=2, poll_wait=3600.0, **({} if cancel is None else {"cancel": cancel}))
    worker.run("job.submit")
    store = worker.stores["job.wait"] = Counting()
    server.faults.add("poll", 503)
    server.faults.add("poll", 503)
    httpx.delete(f"{server.url}/jobs/job-1")
    with pytest.raises(AirflowFailException, match="cancelled"):
        worker.run("job.wait")
    assert worker.deferrals == 2
    assert store.writes["asyncjob.mark"] == (0 if cancel is None else 1), "however often it defers"
    if cancel is not None:
        kept = store["asyncjob.mark"]["data"]
        assert kept == {name: worker.triggers[0][name] for name in kept}
        assert sorted(kept) == ["definition", "http_conn_id", "inputs", "names"]


def test_a_step_and_a_part_are_one_each(monkeypatch: pytest.MonkeyPatch) -> None:
    writes = {}
    for parts in (["one"], ["one", "two", "three"]):
        with running_imports() as (_, url), DAG("d", schedule=None) as dag:
            monkeypatch.setenv("AIRFLOW_CONN_IMPORTS", url.replace("//", "//ann:open-sesame@"))
            AsyncSubmitOperator(
                task_id="submit", job=DEFINITION, http_conn_id="imports", inputs={"parts": parts}
            )
            worker = Worker(dag)
            store = worker.stores["submit"] = Counting()
            worker.run("submit")
        writes[len(parts)] = store.writes["asyncjob.submit"]
    # The intent; each step that is not the last, once for each of its parts; the submission.
    assert writes == {1: 4, 3: 6}
