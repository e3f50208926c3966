"""The generic fake API takes uploads: created, fed part by part, started; every record is accounted for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_asyncjob.testing import FakeJobServer

PEOPLE = [{"email": "a@example.com"}, {"email": "b@example.com"}]
CSV = b"email,name\r\na@example.com,Ann\r\nb@example.com,Bob\r\n"
XML = b"<people><p><email>a@example.com</email></p><p><email>b@example.com</email></p></people>"


class Client:
    """An import at a fake server."""

    def __init__(self, server: FakeJobServer, **given: Any) -> None:
        self.server = server
        self.base = f"{server.url}{httpx.post(f'{server.url}/imports', json=given).json()['data']}"

    def post(self, body: bytes, kind: str = "application/json") -> httpx.Response:
        return httpx.post(self.base, content=body, headers={"Content-Type": kind})

    def put(self, number: int, records: Any) -> httpx.Response:
        return httpx.put(f"{self.base}/{number}", json=records)

    def start(self) -> httpx.Response:
        return httpx.post(self.base.removesuffix("data") + "start")


@pytest.fixture
def server() -> Iterator[FakeJobServer]:
    with FakeJobServer("generic") as server:
        yield server


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", json.dumps(PEOPLE).encode()),
        ("application/json; charset=utf-8", json.dumps({"records": PEOPLE}).encode()),
        ("application/x-ndjson", b"\n".join(json.dumps(one).encode() for one in PEOPLE)),
        ("text/csv", CSV),
        ("application/xml", XML),
        ("application/xml", XML.replace(b"<p><email>b@example.com</email></p>", b"")),
    ],
)
def test_records_come_in_any_format(server: FakeJobServer, kind: str, body: bytes) -> None:
    answer = Client(server).post(body, kind)
    accepted = server.ledger.records.accepted("import-1")
    assert (answer.status_code, answer.json()["received"]) == (200, len(accepted))
    assert accepted == ["a@example.com", "b@example.com"][: body.count(b"@")]


def test_refused_records_are_told_and_accounted_for(server: FakeJobServer) -> None:
    client = Client(server, refuse={"b@example.com": "no such person"})
    told = client.post(json.dumps(PEOPLE).encode()).json()
    assert told["errors"] == [{"row": 1, "email": "b@example.com", "message": "no such person"}]
    counts = server.ledger.records.counts()
    assert (counts["received"], counts["accepted"], counts["reasons"]) == (2, 1, {"no such person": 1})


def test_a_part_that_is_put_again_changes_nothing_and_one_that_is_posted_again_does(
    server: FakeJobServer,
) -> None:
    client = Client(server)
    assert [client.put(1, PEOPLE).status_code for _ in range(2)] == [200, 200]
    assert len(server.ledger.records.accepted()) == 2
    for _ in range(2):
        client.post(json.dumps(PEOPLE).encode())
    assert len(server.ledger.records.accepted()) == 6


@pytest.mark.parametrize(
    ("given", "body", "kind", "code"),
    [
        ({"part_bytes": 10}, json.dumps(PEOPLE).encode(), "application/json", 413),
        ({"part_records": 1}, json.dumps(PEOPLE).encode(), "application/json", 413),
        ({}, b"{}", "application/json", 400),
        ({}, b"[1]", "application/json", 400),
        ({}, b"<people>", "application/xml", 400),
        ({}, b"x", "text/plain", 415),
    ],
)
def test_what_is_not_taken_is_refused_whole(
    server: FakeJobServer, given: dict[str, Any], body: bytes, kind: str, code: int
) -> None:
    answer = Client(server, **given).post(body, kind)
    assert answer.status_code == code
    assert answer.json()["error"]
    assert server.ledger.records.counts()["received"] == 0


def test_an_import_is_started_once_and_then_takes_no_more(server: FakeJobServer) -> None:
    client = Client(server, job={"ends": "failed"})
    first, again = client.start(), client.start()
    assert first.json()["id"] == again.json()["id"] == "job-1"
    assert (first.status_code, server.ledger.accepted()) == (202, 1)
    assert client.post(b"[]").status_code == 409
    assert httpx.get(f"{server.url}/jobs/job-1").json()["status"] == "failed"


def test_a_key_makes_one_import_and_what_is_unknown_is_refused(server: FakeJobServer) -> None:
    key = {"Idempotency-Key": "k"}
    made = [httpx.post(f"{server.url}/imports", json={}, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 200]
    assert made[0].json() == made[1].json() == {"id": "import-1", "data": "/imports/import-1/data"}
    assert httpx.post(f"{server.url}/imports", json={"part_size": 1}).status_code == 400
    assert httpx.post(f"{server.url}/imports", json={"job": {"ends": "oops"}}).status_code == 400
    assert httpx.post(f"{server.url}/imports/import-9/start").status_code == 404
