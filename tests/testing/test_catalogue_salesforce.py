"""salesforce/bulk_query over the command line against the fake of Salesforce's Bulk API 2.0."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from airflow_asyncjob.protocol import Goal
from airflow_asyncjob.testing import FakeJobServer, contact
from tests.cli.command import Asyncjob
from tests.testing.vendors import Vendor, driven

QUERY = "SELECT Id, Email, MailingPostalCode FROM Contact WHERE Email != null"


@pytest.fixture
def query(asyncjob: Asyncjob, fake_job_server: Callable[..., FakeJobServer]) -> Vendor:
    server = fake_job_server("salesforce", contacts=25, seconds=0.1)
    return Vendor("salesforce/bulk_query", server, asyncjob)


def test_a_query_is_run_and_its_rows_are_read_page_by_page(query: Vendor) -> None:
    ran = query.run("--destination", "c.jsonl", query=QUERY, page_size=10)
    assert ran.code == 0, ran.stderr
    assert query.lines("c.jsonl") == [
        {"Id": one["CONTACT_ID"], "Email": one["EMAIL"], "MailingPostalCode": one["POSTAL_CODE"]}
        for one in map(contact, range(25))
    ]
    ledger = query.server.ledger
    assert json.loads(ledger.entries("submit")[0].body) == {"operation": "query", "query": QUERY}
    assert [dict(parse_qsl(entry.query)) for entry in ledger.entries("result")] == [
        {"maxRecords": "10"},
        {"maxRecords": "10", "locator": "MTA10"},
        {"maxRecords": "10", "locator": "MTA20"},
    ]
    assert len([entry for entry in ledger.entries() if entry.path == "/services/oauth2/token"]) == 1


def test_a_query_without_rows_is_an_empty_file(query: Vendor) -> None:
    ran = query.run("--destination", "c.csv", query="SELECT Id FROM Contact LIMIT 0")
    assert (ran.code, ran.last["records"]) == (0, 0)


def test_a_query_that_is_none_is_told_in_salesforces_words(query: Vendor) -> None:
    ran = query.run(query="SELECT Id, Mail FROM Contact")
    assert ran.code == 1
    assert "No such column 'Mail' on entity 'Contact'" in ran.stderr
    assert query.server.ledger.accepted() == 0


def test_a_job_that_failed_has_its_message(query: Vendor) -> None:
    query.server.options.fails = True
    ran = query.run("--destination", "c.csv", query=QUERY)
    assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (4, "failed", "Failed")
    assert "the query was retried too often" in ran.stderr


def test_a_wrong_secret_ends_it_at_once(query: Vendor) -> None:
    ran = query.run(query=QUERY, connection={"password": "another-secret"})
    assert ran.code == 1
    assert "invalid client credentials" in ran.stderr
    assert "another-secret" not in ran.stderr
    assert query.server.ledger.accepted() == 0


def test_a_query_that_takes_too_long_is_aborted() -> None:
    with driven("salesforce", "salesforce/bulk_query", {"seconds": 13 * 3600}, query=QUERY) as (
        client,
        server,
    ):
        assert client.outcome().state == "timed_out"
        assert (server.ledger.count("cancel"), server.ledger.running()) == (1, 0)


def test_aborting_a_job_that_has_ended_does_no_harm() -> None:
    with driven("salesforce", "salesforce/bulk_query", {"seconds": 1}, query=QUERY) as (client, server):
        client.outcome()
        finish = client.drive(goal=Goal.CANCELLED, submission=client.submission())
        assert finish.error is None
        assert server.ledger.entries("cancel")[0].code == 400


def test_faults_on_the_way_change_nothing(tmp_path: Path) -> None:
    options = {"seconds": 60, "contacts": 25}
    with driven("salesforce", "salesforce/bulk_query", options, query=QUERY, page_size=10) as (
        client,
        server,
    ):
        server.faults.add("submit", 429, headers={"Retry-After": "5"})
        server.faults.add("poll", "garbage")
        server.faults.add("poll", 401)
        server.faults.add("poll", 429, headers={"Retry-After": "100"})
        server.faults.add("result", "reset", nth=2)
        manifest = client.fetch(client.outcome(), tmp_path / "c.csv")
        assert manifest.records == 25
        assert server.faults.active() == []
        assert server.ledger.accepted() == 1
