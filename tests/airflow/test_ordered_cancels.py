"""Orders to cancel a job, as a triggerer carries them out. No Airflow runs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine, Iterator
from typing import Any

import httpx
import pytest

from airflow_asyncjob.errors import AsyncJobError
from airflow_asyncjob.hooks.orders import ORDER, order
from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.triggers import ordered
from airflow_asyncjob.triggers.ordered import cancel_ordered
from tests.airflow.channel import Channel
from tests.airflow.test_status_trigger import DEFINITION, checkpoint

WAIT = {"dag_id": "d", "run_id": "run", "task_id": "wait", "map_index": -1}
KEY = ("wait", ORDER)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    with FakeJobServer("generic") as server:
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "http", "host": server.url}))
        yield server


def ordered_for(
    server: FakeJobServer, *, wait: float = 0.0, state: str = "failed", run: str = "running"
) -> Channel:
    """Return the channel of a triggerer that finds an order for a job that runs."""
    job_id = httpx.post(f"{server.url}/jobs", json={"run_for": 600}).json()["id"]
    arguments = {
        "definition": DEFINITION,
        "http_conn_id": "shop",
        "inputs": {},
        "names": {},
        "checkpoint": checkpoint(job_id),
        "deferral": "mine",
    }
    return Channel({KEY: order(arguments, not_before=time.time() + wait)}, state=state, run=run)


def carried_out(channel: Channel, work: Coroutine[Any, Any, Any] | None = None) -> Any:
    with channel.open():
        return asyncio.run(work or cancel_ordered(**WAIT, deferral="mine"))


def cancels(server: FakeJobServer) -> int:
    return len(server.ledger.entries("cancel"))


def test_an_order_is_carried_out_once(server: FakeJobServer) -> None:
    channel = ordered_for(server)
    assert carried_out(channel) == "decided"
    assert channel.xcoms[KEY] == {"version": 1, "deferral": "mine", "settled": True}
    assert server.ledger.running() == 0
    assert carried_out(channel) == "nothing to do"
    assert cancels(server) == 1


@pytest.mark.parametrize("state", ["deferred", "success", "up_for_retry"])
def test_a_task_that_is_not_failed_any_more_keeps_its_job(server: FakeJobServer, state: str) -> None:
    assert carried_out(ordered_for(server, state=state)) == "decided"
    assert cancels(server) == 0


@pytest.mark.parametrize(("run", "cancelled"), [("failed", 1), ("running", 0), ("success", 0)])
def test_a_task_that_is_skipped_keeps_its_job_unless_its_run_failed(
    server: FakeJobServer, run: str, cancelled: int
) -> None:
    assert carried_out(ordered_for(server, state="skipped", run=run)) == "decided"
    assert cancels(server) == cancelled


@pytest.mark.parametrize("left", [None, {"deferral": "another", "trigger": {}, "not_before": 0.0}])
def test_an_order_that_is_gone_or_of_another_wait_is_passed_over(server: FakeJobServer, left: Any) -> None:
    channel = ordered_for(server)
    channel.xcoms[KEY] = left
    assert carried_out(channel) == "nothing to do"
    assert cancels(server) == 0


def test_a_job_that_its_own_trigger_cancels_meanwhile_is_not_cancelled_again(server: FakeJobServer) -> None:
    channel = ordered_for(server, wait=0.2)

    async def settled_meanwhile() -> str:
        work = asyncio.create_task(cancel_ordered(**WAIT, deferral="mine"))
        await asyncio.sleep(0)
        channel.xcoms[KEY] = {"version": 1, "deferral": "mine", "settled": True}
        return await work

    assert carried_out(channel, settled_meanwhile()) == "nothing to do"
    assert cancels(server) == 0


def test_airflow_may_move_the_trigger_and_the_cancel_is_sent_once(
    server: FakeJobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow gives a callback's trigger to one triggerer after the other while it runs."""
    server.faults.add("cancel", "slow", seconds=1)
    channel = ordered_for(server)

    async def moved() -> str:
        first = asyncio.create_task(cancel_ordered(**WAIT, deferral="mine"))
        while server.faults.active():
            await asyncio.sleep(0.01)
        first.cancel()
        begun = dict(ordered._UNDER_WAY)
        assert channel.xcoms[KEY]["not_before"] > time.time() + 30, "another process leaves it alone so long"
        assert await cancel_ordered(**WAIT, deferral="mine") == "decided", "the same work, in its process"
        assert begun
        return await cancel_ordered(**WAIT, deferral="mine")

    assert carried_out(channel, moved()) == "nothing to do"
    assert cancels(server) == 1


def test_a_cancel_that_is_refused_leaves_the_order_open(
    server: FakeJobServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults.add("cancel", 403, times=None)
    channel = ordered_for(server)
    with pytest.raises(
        AsyncJobError, match=r"The job of task 'wait' could not be cancelled: it may run on\."
    ):
        carried_out(channel)
    assert "settled" not in channel.xcoms[KEY]


def test_a_job_that_was_cancelled_before_is_harmless_to_cancel_again(server: FakeJobServer) -> None:
    channel = ordered_for(server)
    first = dict(channel.xcoms[KEY])
    carried_out(channel)
    channel.xcoms[KEY] = first
    assert carried_out(channel) == "decided", "the API answers that it is gone"
    assert cancels(server) == 2
    assert channel.xcoms[KEY]["settled"]
