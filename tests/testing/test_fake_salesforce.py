"""The fake of Salesforce's Bulk API 2.0 behaves as documented, and refuses what the real one refuses."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_asyncjob.testing import FakeClock, FakeJobServer, Refused

JOBS = "/services/data/v66.0/jobs"
UPSERT = {"object": "Contact", "operation": "upsert", "externalIdFieldName": "External_Id__c"}
DATA = (
    b"External_Id__c,LastName,Email\n"
    b'7,"Lovelace, Ada",ada@example.com\n'
    b"8,,li@example.com\n"
    b"9,Wei,nobody\n"
    b"7,Again,\n"
    b",Nobody,\n"
)
DONE = {"state": "UploadComplete"}


@pytest.fixture
def server() -> Iterator[FakeJobServer]:
    with FakeJobServer("salesforce", clock=FakeClock(), seconds=10, contacts=25) as running:
        yield running


@pytest.fixture
def client(server: FakeJobServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as one:
        form = {"grant_type": "client_credentials"}
        auth = (server.connection["login"], server.connection["password"])
        token = one.post("/services/oauth2/token", data=form, auth=auth).json()["access_token"]
        one.headers["Authorization"] = f"Bearer {token}"
        yield one


def wait(server: FakeJobServer) -> None:
    assert isinstance(server.clock, FakeClock)
    server.clock.advance(10)


def opened(client: httpx.Client, **changed: Any) -> str:
    answer = client.post(f"{JOBS}/ingest", json={**UPSERT, **changed})
    assert answer.status_code == 200, answer.text
    return f"{JOBS}/ingest/{answer.json()['id']}"


def put(client: httpx.Client, job: str, data: bytes, kind: str = "text/csv") -> httpx.Response:
    return client.put(f"{job}/batches", content=data, headers={"Content-Type": kind})


def rows(client: httpx.Client, path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(client.get(path).text, newline="")))


def test_an_ingest_job_takes_data_is_closed_and_tells_each_record(
    server: FakeJobServer, client: httpx.Client
) -> None:
    job = opened(client)
    described = client.get(job).json()
    assert described["state"] == "Open"
    assert f"/{described['contentUrl']}" == f"{job}/batches"
    assert put(client, job, DATA).status_code == 201
    assert client.patch(job, json=DONE).json()["state"] == "UploadComplete"
    assert client.get(f"{job}/failedResults").status_code == 400
    assert server.ledger.running() == 1
    wait(server)
    described = client.get(job).json()
    assert (described["state"], described["numberRecordsProcessed"], described["numberRecordsFailed"]) == (
        "JobComplete",
        5,
        4,
    )
    assert [row["LastName"] for row in rows(client, f"{job}/successfulResults")] == ["Lovelace, Ada"]
    failed = rows(client, f"{job}/failedResults")
    assert [row["sf__Error"].partition(":")[0] for row in failed] == [
        "REQUIRED_FIELD_MISSING",
        "INVALID_EMAIL_ADDRESS",
        "DUPLICATE_VALUE",
        "MISSING_ARGUMENT",
    ]
    assert list(failed[0]) == ["sf__Id", "sf__Error", "External_Id__c", "LastName", "Email"]
    assert rows(client, f"{job}/unprocessedrecords") == []
    assert server.ledger.records.accepted() == ["7"]
    assert server.ledger.records.refused()[0] == Refused(described["id"], 2, "8", failed[0]["sf__Error"])
    assert client.delete(job).status_code == 204
    assert client.get(job).status_code == 404


def test_a_job_that_fails_on_its_way_leaves_records_unprocessed(
    server: FakeJobServer, client: httpx.Client
) -> None:
    server.options.fails, server.options.processed = True, 2
    job = opened(client)
    put(client, job, DATA)
    client.patch(job, json=DONE)
    wait(server)
    described = client.get(job).json()
    assert (described["state"], described["numberRecordsFailed"]) == ("Failed", 1)
    assert "retried too often" in described["errorMessage"]
    assert [row["External_Id__c"] for row in rows(client, f"{job}/unprocessedrecords")] == ["9", "7", ""]
    assert server.ledger.records.counts()["reasons"]["not processed"] == 3


@pytest.mark.parametrize(
    ("data", "changed", "said"),
    [
        (b"External_Id__c,Name\n1,a\n", {}, "Field name not found : Name"),
        (b"LastName\na\n", {}, "Field name not found : External_Id__c"),
        (DATA.replace(b"\n", b"\r\n"), {}, "LineEnding is invalid on user data"),
        (DATA, {"lineEnding": "CRLF"}, "LineEnding is invalid on user data"),
        (b"External_Id__c,LastName\n1,\xff\n", {}, "no CSV in UTF-8"),
    ],
)
def test_data_that_do_not_fit_fail_the_job(
    server: FakeJobServer, client: httpx.Client, data: bytes, changed: dict[str, str], said: str
) -> None:
    job = opened(client, **changed)
    assert put(client, job, data).status_code == 201
    client.patch(job, json=DONE)
    wait(server)
    described = client.get(job).json()
    assert described["state"] == "Failed"
    assert said in described["errorMessage"]
    assert server.ledger.records.counts()["accepted"] == 0


def test_what_comes_in_a_wrong_order_or_size_is_refused(server: FakeJobServer, client: httpx.Client) -> None:
    server.options.upload_bytes = len(DATA)
    job = opened(client)
    assert client.patch(job, json=DONE).status_code == 400
    assert put(client, job, DATA, "application/json").status_code == 400
    assert put(client, job, DATA + b"\n").status_code == 413
    assert put(client, job, DATA).status_code == 201
    again = put(client, job, DATA)
    assert again.status_code == 400
    assert "only one PUT is allowed" in again.json()[0]["message"]
    assert client.delete(job).status_code == 400
    assert client.patch(job, json=DONE).status_code == 200
    assert client.patch(job, json=DONE).status_code == 400
    assert put(client, job, DATA).status_code == 400
    assert client.patch(job, json={"state": "Aborted"}).json()["state"] == "Aborted"
    assert len(rows(client, f"{job}/unprocessedrecords")) == 5
    assert server.ledger.running() == 0


@pytest.mark.parametrize(
    ("kind", "body", "name"),
    [
        ("ingest", {**UPSERT, "operation": "merge"}, "INVALIDOPERATION"),
        ("ingest", {**UPSERT, "object": "Lead"}, "INVALIDENTITY"),
        ("ingest", {**UPSERT, "operation": "insert"}, "INVALIDJOB"),
        ("ingest", {"object": "Contact", "operation": "upsert"}, "INVALIDJOB"),
        ("ingest", {**UPSERT, "lineEnding": "CR"}, "INVALIDJOB"),
        ("ingest", {**UPSERT, "contentType": "JSON"}, "INVALIDCONTENTTYPE"),
        ("ingest", {**UPSERT, "query": "x"}, "JSON_PARSER_ERROR"),
        ("query", {"operation": "query"}, "MALFORMED_QUERY"),
        ("query", {"operation": "query", "query": "SELECT Id FROM Lead"}, "MALFORMED_QUERY"),
        ("query", {"operation": "insert", "query": "SELECT Id FROM Contact"}, "INVALIDOPERATION"),
    ],
)
def test_a_wrong_job_is_refused(client: httpx.Client, kind: str, body: Any, name: str) -> None:
    answer = client.post(f"{JOBS}/{kind}", json=body)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, name)


def test_pages_of_a_query_have_locators(server: FakeJobServer, client: httpx.Client) -> None:
    query = {"operation": "query", "query": "SELECT Id FROM Contact LIMIT 12"}
    job = f"{JOBS}/query/{client.post(f'{JOBS}/query', json=query).json()['id']}"
    assert client.get(f"{job}/results").status_code == 400
    wait(server)
    assert client.get(job).json()["numberRecordsProcessed"] == 12
    first = client.get(f"{job}/results", params={"maxRecords": 10})
    assert (first.headers["Sforce-NumberOfRecords"], first.headers["Sforce-Locator"]) == ("10", "MTA10")
    last = client.get(f"{job}/results", params={"maxRecords": 10, "locator": "MTA10"})
    assert (last.headers["Sforce-NumberOfRecords"], last.headers["Sforce-Locator"]) == ("2", "null")
    assert client.get(f"{job}/results", params={"locator": "x"}).status_code == 400
    assert client.get(f"{job}/results".replace("v66.0", "v65.0")).status_code == 409


def test_every_request_needs_a_token(server: FakeJobServer) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}):
        answer = httpx.post(f"{server.url}{JOBS}/query", json={}, headers=headers)
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (401, "INVALID_SESSION_ID")
    wrong = {"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"}
    refused = httpx.post(f"{server.url}/services/oauth2/token", data=wrong)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client")
    other = httpx.post(f"{server.url}/services/oauth2/token", data={"grant_type": "password"})
    assert other.json()["error"] == "unsupported_grant_type"
