"""azure/long_running_operation, against a fake that has all four of Azure's habits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest

from airflow_asyncjob.testing import FakeJobServer
from tests.cli.command import Asyncjob
from tests.testing.vendors import Vendor, driven

SITE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Web/sites/a"
ACTION = {"path": f"{SITE}/restart", "api_version": "2024-11-01"}
HEADERS = ("Azure-AsyncOperation", "Operation-Location", "Location")


@pytest.fixture
def azure(asyncjob: Asyncjob) -> Iterator[Vendor]:
    with FakeJobServer("azure", seconds=0.2) as server:
        yield Vendor("azure/long_running_operation", server, asyncjob)


@pytest.mark.parametrize("habit", HEADERS)
def test_an_action_is_followed_where_the_answer_says(azure: Vendor, habit: str) -> None:
    azure.server.options.habit = habit
    ran = azure.run("--destination", "out.jsonl", **ACTION, body={"soft": True})
    assert ran.code == 0, ran.stderr
    assert ran.last["state"] == "done"
    ledger = azure.server.ledger
    assert (ledger.accepted(), ledger.running()) == (1, 0)
    assert all("/operations/operation-1" in entry.path for entry in ledger.entries("poll"))
    assert ledger.count("poll") >= 2
    assert len(azure.lines("out.jsonl")) == 1


@pytest.mark.parametrize("habit", [*HEADERS, "provisioningState"])
def test_a_resource_is_created(azure: Vendor, habit: str) -> None:
    azure.server.options.habit = habit
    given = {**ACTION, "path": SITE, "body": {"properties": {"size": 3}}}
    ran = azure.run(**given, changed={"submit": put()})
    assert ran.code == 0, ran.stderr
    assert (ran.last["state"], azure.server.ledger.running()) == ("done", 0)


@pytest.mark.parametrize("habit", [*HEADERS, "provisioningState"])
def test_a_failed_operation_is_failed_in_azures_words(azure: Vendor, habit: str) -> None:
    azure.server.options.habit, azure.server.options.ends = habit, "Failed"
    ran = azure.run(**{**ACTION, "path": SITE}, changed={"submit": put()})
    assert (ran.code, ran.last["state"]) == (4, "failed")
    if habit != "provisioningState":
        assert "Conflict: the disk is in use" in ran.stderr


@pytest.mark.parametrize("habit", ["Azure-AsyncOperation", "provisioningState"])
def test_a_cancelled_operation_is_cancelled(azure: Vendor, habit: str) -> None:
    azure.server.options.habit, azure.server.options.ends = habit, "Canceled"
    ran = azure.run(**{**ACTION, "path": SITE}, changed={"submit": put()})
    assert (ran.code, ran.last["state"]) == (4, "cancelled")


def test_what_is_there_already_is_done_at_once(azure: Vendor) -> None:
    azure.server.options.habit, azure.server.options.seconds = "provisioningState", 0
    ran = azure.run(**{**ACTION, "path": SITE}, changed={"submit": put()})
    assert (ran.code, ran.last["state"], azure.server.ledger.count("poll")) == (0, "done", 0)


def test_retry_after_is_kept() -> None:
    options = {"seconds": 300, "retry_after": 45}
    with driven("azure", "azure/long_running_operation", options, **ACTION) as (client, server):
        assert client.outcome().state == "done"
        polls = server.ledger.entries("poll")
        assert len(polls) >= 5
        assert all(later.at - earlier.at >= 45 for earlier, later in pairwise(polls))


def test_a_wrong_secret_and_a_missing_version_are_refused(azure: Vendor) -> None:
    wrong = azure.run(**ACTION, connection={"password": "other"})
    assert wrong.code == 1
    assert "The token endpoint refuses to give a token (invalid_client)" in wrong.stderr
    empty = azure.run(**{**ACTION, "api_version": ""})
    assert empty.code == 1
    assert "MissingApiVersionParameter" in empty.stderr
    bare = httpx.put(azure.server.url + SITE, json={}, headers={"Authorization": "Bearer eyJ0.x"})
    assert (bare.status_code, bare.json()["error"]["code"]) == (401, "AuthenticationFailed")
    assert azure.server.ledger.accepted() == 0


def test_options_of_a_wrong_value_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"habit is one of Azure-AsyncOperation, .*, not 'x'"):
        FakeJobServer("azure", habit="x")


def put() -> dict[str, Any]:
    """Return the request of the definition with PUT."""
    request = {
        "method": "PUT",
        "url": "{{ inputs.path }}",
        "params": {"api-version": "{{ inputs.api_version }}"},
        "json": "{{ inputs.body }}",
    }
    return {"request": request}
