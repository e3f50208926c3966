"""The fake shop refuses what the documentation of its jobs says is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_asyncjob.testing import FakeClock, FakeJobServer

IMAGES = "/api/products/g-1/images/shop"


@pytest.fixture
def server() -> Iterator[FakeJobServer]:
    with FakeJobServer("upgates", clock=FakeClock(), seconds=10) as running:
        yield running


@pytest.fixture
def client(server: FakeJobServer) -> Iterator[httpx.Client]:
    auth = (server.connection["login"], server.connection["password"])
    with httpx.Client(base_url=server.url, auth=auth) as one:
        yield one


def job_of(client: httpx.Client) -> str:
    answer = client.post(IMAGES, json={"data": {"images": [{"sourceUrl": "https://example.com/a.jpg"}]}})
    assert answer.status_code == 202
    return str(answer.json()["data"]["jobId"])


def test_a_job_is_described_as_documented(server: FakeJobServer, client: httpx.Client) -> None:
    job = job_of(client)
    assert client.get(f"/api/system/jobs/{job}").json()["data"]["job"]["status"] == "pending"
    assert isinstance(server.clock, FakeClock)
    server.clock.advance(10)
    described = client.get(f"/api/system/jobs/{job}").json()["data"]["job"]
    url = described.pop("resultUrl")
    assert url.startswith(f"{server.files_url}/api-results/{job}-")
    assert described == {
        "jobId": job,
        "endpoint": IMAGES,
        "creationTime": "2026-01-01T00:00:00+0000",
        "completionTime": "2026-01-01T00:00:10+0000",
        "duration": "10.000",
        "status": "completed",
        "validUntil": "2026-01-02T00:00:10+0000",
        "log": None,
        "language": "cs",
    }
    assert httpx.get(url).status_code == 200
    assert httpx.get(url).status_code == 200
    assert server.ledger.records.counts(job)["received"] == 1
    assert httpx.get(url.replace(f"{job}-", f"{job}-0")).status_code == 404
    server.clock.advance(24 * 3600)
    assert httpx.get(url).status_code == 404


def test_the_eleventh_look_at_a_job_in_work_is_forbidden(server: FakeJobServer, client: httpx.Client) -> None:
    job = job_of(client)
    codes = [client.get(f"/api/system/jobs/{job}").status_code for _ in range(11)]
    assert codes == [*[200] * 10, 403]
    assert isinstance(server.clock, FakeClock)
    server.clock.advance(10)
    assert client.get(f"/api/system/jobs/{job}").status_code == 200


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([], "one image or more"),
        ([{"priority": 1}], "data.images.0.sourceUrl is required"),
        ([{"sourceUrl": "https://x/a.jpg", "priority": "1"}], "data.images.0.priority"),
        ([{"sourceUrl": "https://x/a.jpg", "name": "a"}], "data.images.0.name"),
        ([{"sourceUrl": "https://x/a.jpg"}] * 101, "at most 100"),
    ],
)
def test_wrong_images_are_refused(client: httpx.Client, images: list[Any], said: str) -> None:
    answer = client.post(IMAGES, json={"data": {"images": images}})
    assert answer.status_code == 400
    assert said in answer.json()["errors"][0]["message"]


def test_what_is_not_there_or_not_allowed_is_refused(server: FakeJobServer, client: httpx.Client) -> None:
    assert client.get("/api/system/jobs/none").status_code == 404
    assert client.get("/api/else").status_code == 404
    assert client.post(IMAGES, content=b"{}").status_code == 400
    assert httpx.post(server.url + IMAGES, json={}).status_code == 401
    overridden = client.post("/api/products/snapshot", headers={"X-HTTP-Method-Override": "GET"})
    assert overridden.status_code == 202
    assert client.post("/api/products/snapshot").status_code == 404
    assert server.ledger.accepted() == 1
