"""Faults happen to the requests that they were added for, and to no others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_asyncjob.testing import FakeJobServer

POLL = "/jobs/job-1"


@pytest.fixture
def server() -> Iterator[FakeJobServer]:
    with FakeJobServer() as running:
        httpx.post(f"{running.url}/jobs", json={"rows": 2})
        yield running


@pytest.fixture
def client(server: FakeJobServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as one:
        yield one


def codes(client: httpx.Client, times: int) -> list[int]:
    return [client.get(POLL).status_code for _ in range(times)]


def test_a_code_comes_with_its_headers_and_body_for_k_requests(
    server: FakeJobServer, client: httpx.Client
) -> None:
    server.faults.add("poll", 429, times=2, headers={"Retry-After": "7"}, body='{"slow": "down"}')
    first = client.get(POLL)
    assert (first.status_code, first.headers["retry-after"], first.json()) == (429, "7", {"slow": "down"})
    assert client.get("/jobs/job-1/result/1").status_code == 200
    assert codes(client, 2) == [429, 200]
    assert server.faults.active() == []


def test_the_nth_request_is_hit(server: FakeJobServer, client: httpx.Client) -> None:
    server.faults.add("poll", 503, nth=3)
    assert codes(client, 4) == [200, 200, 503, 200]


def test_faults_of_one_purpose_are_a_queue(server: FakeJobServer, client: httpx.Client) -> None:
    server.faults.add("poll", 500, nth=2, times=2)
    server.faults.add("poll", 502)
    assert codes(client, 4) == [502, 500, 500, 200]
    server.faults.add("poll", 500, times=2)
    server.faults.add("poll", 429)
    assert codes(client, 4) == [500, 500, 429, 200]


def test_a_fault_without_end_lasts_until_it_is_cleared(server: FakeJobServer, client: httpx.Client) -> None:
    server.faults.add("any", 500, times=None)
    assert codes(client, 5) == [500] * 5
    assert client.post("/jobs").status_code == 500
    server.faults.add("poll", 404)
    server.faults.clear("any")
    assert codes(client, 2) == [404, 200]
    server.faults.add("poll", 404)
    server.faults.clear()
    assert codes(client, 1) == [200]


@pytest.mark.parametrize(
    ("kind", "content_type", "start"),
    [
        ("html", "text/html", b"<!DOCTYPE html>"),
        ("empty", None, b""),
        ("garbage", "application/json", b"\x00\xff"),
    ],
)
def test_bodies_that_are_no_document(
    server: FakeJobServer, client: httpx.Client, kind: Any, content_type: str | None, start: bytes
) -> None:
    server.faults.add("poll", kind, times=2)
    answer = client.get(POLL)
    assert answer.status_code == 200
    assert answer.content.startswith(start)
    assert bool(answer.content) == bool(start)
    assert (answer.headers.get("content-type") or "").startswith(content_type or "")
    with pytest.raises(ValueError, match=r"Expecting value|decode"):
        client.get(POLL).json()


def test_a_fault_that_answers_does_not_execute(server: FakeJobServer, client: httpx.Client) -> None:
    server.faults.add("submit", 500)
    assert client.post("/jobs").status_code == 500
    assert server.ledger.accepted() == 1
    entry = server.ledger.entries("submit")[-1]
    assert (entry.code, entry.fault, entry.created) == (500, "answer", False)


def test_reset_sends_no_answer_and_does_not_execute(server: FakeJobServer, client: httpx.Client) -> None:
    server.faults.add("submit", "reset")
    with pytest.raises(httpx.ReadError, match="reset by peer"):
        client.post("/jobs")
    assert server.ledger.accepted() == 1
    entry = server.ledger.entries("submit")[-1]
    assert (entry.code, entry.fault, entry.created) == (None, "reset", False)


def test_lost_executes_and_sends_no_answer(server: FakeJobServer, client: httpx.Client) -> None:
    server.faults.add("submit", "lost")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        client.post("/jobs")
    assert server.ledger.job_ids() == ["job-1", "job-2"]
    entry = server.ledger.entries("submit")[-1]
    assert (entry.code, entry.fault, entry.created) == (None, "lost", True)
    assert client.get("/jobs/job-2").status_code == 200


def test_slow_executes_and_holds_the_answer_back(server: FakeJobServer, client: httpx.Client) -> None:
    server.faults.add("submit", "slow", seconds=3600)
    with pytest.raises(httpx.ReadTimeout):
        client.post("/jobs", timeout=0.2)
    assert server.ledger.job_ids() == ["job-1", "job-2"]
    server.faults.add("poll", "slow", seconds=0.01)
    assert client.get(POLL).json()["id"] == "job-1"


@pytest.mark.parametrize("path", ["/jobs/job-1/result/1", POLL])
def test_truncate_sends_less_than_it_announces(
    server: FakeJobServer, client: httpx.Client, path: str
) -> None:
    whole = client.get(path).content
    server.faults.add("any", "truncate")
    pieces: list[bytes] = []
    with client.stream("GET", path) as answer:
        assert int(answer.headers["content-length"]) == len(whole)
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
            pieces.extend(answer.iter_raw())
    assert whole.startswith(b"".join(pieces))
    assert len(b"".join(pieces)) == len(whole) // 2
    assert client.get(path).content == whole


def test_break_resets_in_mid_body(server: FakeJobServer, client: httpx.Client) -> None:
    path = "/jobs/job-1/result/1"
    whole = client.get(path).content
    assert server.ledger.entries("result")[-1].sent == len(whole)
    server.faults.add("result", "break")
    with pytest.raises(httpx.ReadError):
        client.get(path)
    assert server.ledger.entries("result")[-1].sent == len(whole) // 2
    assert client.get(path).content == whole


def test_truncate_of_an_empty_body_announces_a_byte(server: FakeJobServer, client: httpx.Client) -> None:
    server.options.status_habit = "header"
    server.faults.add("poll", "truncate")
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(POLL)


def test_refuse_cuts_and_refuses_until_cleared_and_keeps_port_and_jobs(
    server: FakeJobServer, client: httpx.Client
) -> None:
    assert codes(client, 1) == [200]
    server.faults.add("any", "refuse")
    for _ in range(2):
        with pytest.raises(httpx.ConnectError, match="refused"):
            client.get(POLL)
    assert server.ledger.count("poll") == 1
    assert [fault.kind for fault in server.faults.active()] == ["refuse"]
    server.faults.clear()
    assert codes(client, 1) == [200]
    assert server.faults.active() == []


def test_refuse_for_some_seconds_ends_by_itself(server: FakeJobServer, client: httpx.Client) -> None:
    server.faults.add("any", "refuse", seconds=0.2)
    refused = 0
    patience = threading.Event()
    while server.faults.active():
        try:
            client.get("/_faults")
        except httpx.TransportError:
            refused += 1
        patience.wait(0.01)
    assert refused > 0
    assert codes(client, 1) == [200]


def test_refuse_goes_on_when_it_was_extended(server: FakeJobServer, client: httpx.Client) -> None:
    server.faults.add("any", "refuse", seconds=3600)
    server.faults.add("any", "refuse")
    with pytest.raises(httpx.ConnectError):
        client.get(POLL)
    server.faults.clear()
    assert codes(client, 1) == [200]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"purpose": "polls", "kind": 500}, "unknown purpose 'polls'; valid: submit, upload"),
        ({"purpose": "poll", "kind": "resett"}, "unknown kind 'resett'; valid: a status code, answer, html"),
        ({"purpose": "poll", "kind": "answer"}, "answer needs a code"),
        ({"purpose": "poll", "kind": 101}, "200 to 599; got 101"),
        ({"purpose": "poll", "kind": 500, "nth": 0}, "nth counts from 1"),
        ({"purpose": "poll", "kind": 500, "times": 0}, "times is 1 or more"),
        ({"purpose": "poll", "kind": "slow"}, "slow needs seconds"),
        ({"purpose": "poll", "kind": "lost", "seconds": 1}, "seconds goes with the kinds slow and refuse"),
        ({"purpose": "poll", "kind": "refuse", "seconds": 1}, "refuse goes with purpose any"),
    ],
)
def test_a_wrong_fault_is_an_error(server: FakeJobServer, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        server.faults.add(**arguments)
    answer = httpx.post(f"{server.url}/_faults", json=arguments)
    assert answer.status_code == 400
    assert message.split(";")[0] in answer.json()["error"]
    assert server.faults.active() == []


def test_another_process_steers_it_over_http(server: FakeJobServer, client: httpx.Client) -> None:
    faults = [
        {"purpose": "poll", "kind": "answer", "code": 500, "times": 2},
        {"purpose": "poll", "kind": 403, "body": "no"},
    ]
    shown = client.post("/_faults", json=faults).json()
    assert [(f["purpose"], f["kind"], f["code"], f["times"]) for f in shown] == [
        ("poll", "answer", 500, 2),
        ("poll", "answer", 403, 1),
    ]
    assert codes(client, 3) == [500, 500, 403]
    client.post("/_faults", json={"purpose": "any", "kind": 500, "times": None})
    assert len(client.get("/_faults").json()) == 1
    assert client.delete("/_faults").json() == []
    assert codes(client, 1) == [200]
    refuse = {"purpose": "any", "kind": "refuse"}
    assert "needs seconds here" in client.post("/_faults", json=refuse).json()["error"]
    assert client.post("/_faults", json={**refuse, "seconds": 3600}).json()[0]["kind"] == "refuse"
    with pytest.raises(httpx.ConnectError):
        client.get(POLL)


def test_what_is_no_fault_at_all_is_refused_over_http(server: FakeJobServer, client: httpx.Client) -> None:
    for body in (b"", b"nonsense", b"[1]", b'{"purpos": "poll"}'):
        answer = client.post("/_faults", content=body)
        assert answer.status_code == 400
        assert "arguments of Faults.add" in answer.json()["error"]
