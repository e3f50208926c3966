"""Token buckets: so many at once, so many a second for good, each name for itself."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from airflow_asyncjob.plugin import routes_webhooks
from airflow_asyncjob.plugin.floods import Floods


def test_a_burst_and_then_the_rate() -> None:
    floods = Floods(rate=2.0, burst=3)
    assert [floods.wait("a", 100.0) for _ in range(4)] == [0, 0, 0, 1]
    assert [floods.wait("a", 100.6) for _ in range(2)] == [0, 1]
    assert [floods.wait("a", 1000.0) for _ in range(4)] == [0, 0, 0, 1]


def test_it_is_said_when_to_come_again() -> None:
    floods = Floods(rate=0.1, burst=1)
    assert [floods.wait("a", 0.0), floods.wait("a", 0.0), floods.wait("a", 4.0)] == [0, 10, 6]
    assert floods.wait("a", 10.1) == 0


def test_one_name_does_not_limit_another_and_names_are_bounded() -> None:
    floods = Floods(rate=1.0, burst=1, most_names=2)
    assert [floods.wait(name, 0.0) for name in "abc"] == [0, 0, 0]
    assert floods.wait("c", 0.0) == 1
    assert floods.wait("a", 0.0) == 0, "forgotten, so full again"


def test_a_clock_that_stands_still_or_goes_back_gives_nothing() -> None:
    floods = Floods(rate=1.0, burst=1)
    assert [floods.wait("a", 10.0), floods.wait("a", 5.0)] == [0, 1]


def test_a_flood_is_told_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes_webhooks, "_strangers", Floods(rate=0.1, burst=0))
    app = FastAPI()
    app.include_router(routes_webhooks.router)

    async def sent() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://airflow") as client:
            return await client.post("/shop", content=b"{}")

    answer = asyncio.run(sent())
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "10")
    assert answer.json() == {"error": "too many events"}
