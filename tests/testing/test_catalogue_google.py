"""google/long_running_operation, against a fake that behaves as Google's operations do."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from airflow_asyncjob.testing import FakeJobServer
from tests.cli.command import Asyncjob
from tests.testing.vendors import Vendor, driven

START = "/v1/projects/p/locations/europe-west1/datasets:import"
NAME = "projects/p/locations/europe-west1/operations/operation-1"
TYPE = {"@type": "type.googleapis.com/example.v1.Response"}


@pytest.fixture
def google(asyncjob: Asyncjob) -> Iterator[Vendor]:
    with FakeJobServer("google", seconds=0.2) as server:
        yield Vendor("google/long_running_operation", server, asyncjob)


def test_the_response_of_an_operation_is_the_result(google: Vendor) -> None:
    ran = google.run("--destination", "out.jsonl", path=START, body={"count": 3, "é": ["ö"]})
    assert ran.code == 0, ran.stderr
    assert (ran.last["state"], ran.last["submission_id"]) == ("done", NAME)
    assert google.lines("out.jsonl") == [{**TYPE, "count": 3, "é": ["ö"]}]
    ledger = google.server.ledger
    assert (ledger.accepted(), ledger.running()) == (1, 0)
    assert {entry.path for entry in ledger.entries("poll")} == {f"/v1/{NAME}"}


def test_what_is_done_at_once_is_not_asked_for(google: Vendor) -> None:
    google.server.options.seconds = 0
    ran = google.run(path=START)
    assert (ran.code, ran.last["state"]) == (0, "done")
    assert google.server.ledger.count("poll") == 0


def test_an_error_comes_with_its_code_and_words(google: Vendor) -> None:
    google.server.options.error = "8 quota is used up"
    ran = google.run(path=START)
    assert (ran.code, ran.last["state"]) == (4, "failed")
    assert f"the job {NAME} ended as failed: code 8: quota is used up" in ran.stderr


def test_an_operation_that_takes_too_long_is_cancelled_with_an_empty_body(google: Vendor) -> None:
    google.server.options.seconds = 60
    ran = google.run(path=START, changed={"status": {"timeout": 1}})
    assert (ran.code, ran.last["state"]) == (5, "timed_out")
    cancels = google.server.ledger.entries("cancel")
    assert [(entry.code, entry.size) for entry in cancels] == [(200, 0)]
    assert google.server.ledger.running() == 0


def test_an_operation_that_somebody_cancelled_is_cancelled() -> None:
    options = {"seconds": 60, "error": "1 stopped by somebody"}
    with driven("google", "google/long_running_operation", options, path=START) as (client, _):
        assert client.outcome().state == "cancelled"


def test_wrong_credentials_and_a_wrong_body_are_refused(google: Vendor) -> None:
    extra = {**google.server.connection["extra"], "refresh_token": "1//other"}
    wrong = google.run(path=START, connection={"extra": extra})
    assert wrong.code == 1
    assert "The token endpoint refuses to give a token (invalid_grant)" in wrong.stderr
    bearer = {"Authorization": "Bearer ya29.x"}
    answer = httpx.post(google.server.url + START, json={}, headers=bearer)
    assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    missing = google.run(path="/v1/nothing")
    assert missing.code == 1
    assert "there is no such resource" in missing.stderr
    assert google.server.ledger.accepted() == 0


@pytest.mark.parametrize("fault", [503, "html", "garbage", "reset"])
def test_a_poll_that_fails_is_asked_again(fault: int) -> None:
    with driven("google", "google/long_running_operation", {"seconds": 60}, path=START) as (client, server):
        server.faults.add("poll", fault)
        server.faults.add("poll", 429, headers={"Retry-After": "90"}, body=json.dumps({}))
        assert client.outcome().state == "done"
        polls = server.ledger.entries("poll")
        limited = next(number for number, entry in enumerate(polls) if entry.code == 429)
        assert polls[limited + 1].at - polls[limited].at >= 90
        assert server.faults.active() == []


def test_a_token_that_expires_is_fetched_again() -> None:
    with driven("google", "google/long_running_operation", {"seconds": 9000}, path=START) as (client, server):
        assert client.outcome().state == "done"
        assert len([entry for entry in server.ledger.entries() if entry.path == "/token"]) >= 3
