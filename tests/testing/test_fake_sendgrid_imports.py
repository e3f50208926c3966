"""The fake of SendGrid's import of contacts behaves as documented, and refuses what the real one refuses."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_asyncjob.testing import SENDGRID_KEY, FakeClock, FakeJobServer, Refused

CONTACTS = "/v3/marketing/contacts"
IMPORTS = f"{CONTACTS}/imports"
CSV = b"mail,ignored,name\nada@example.com,x,Ada\nnobody,,Li\n,,Wei\n"
MAPPING = ["_rf2_T", None, "_rf3_T"]


@pytest.fixture
def server() -> Iterator[FakeJobServer]:
    with FakeJobServer("sendgrid", clock=FakeClock(), seconds=10) as running:
        yield running


@pytest.fixture
def client(server: FakeJobServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {SENDGRID_KEY}"}) as one:
        yield one


def wait(server: FakeJobServer, seconds: float = 10) -> None:
    assert isinstance(server.clock, FakeClock)
    server.clock.advance(seconds)


def asked(client: httpx.Client, **changed: Any) -> dict[str, Any]:
    answer = client.put(IMPORTS, json={"file_type": "csv", "field_mappings": MAPPING, **changed})
    assert answer.status_code == 200, answer.text
    described: dict[str, Any] = answer.json()
    return described


def put(given: dict[str, Any], data: bytes, **changed: str) -> httpx.Response:
    headers = {one["header"]: one["value"] for one in given["upload_headers"]} | changed
    return httpx.put(given["upload_uri"], content=data, headers=headers)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_is_put_where_the_answer_says(
    server: FakeJobServer, client: httpx.Client, zipped: bool
) -> None:
    given = asked(client)
    status = f"{IMPORTS}/{given['job_id']}"
    assert client.get(status).json()["status"] == "pending"
    assert put(given, gzip.compress(CSV) if zipped else CSV).status_code == 200
    assert client.get(status).json()["status"] == "pending"
    wait(server)
    described = client.get(status).json()
    assert (described["status"], described["job_type"]) == ("errored", "upsert")
    results = described["results"]
    assert (results["requested_count"], results["created_count"], results["errored_count"]) == (3, 1, 2)
    errors = list(csv.DictReader(io.StringIO(httpx.get(results["errors_url"]).text)))
    assert errors == [
        {"email": "nobody", "row": "2", "error": "email is not a valid address"},
        {"email": "", "row": "3", "error": "at least one identifier is required"},
    ]
    assert server.ledger.records.accepted() == ["ada@example.com"]
    assert server.ledger.records.refused()[0] == Refused(
        given["job_id"], 2, "nobody", "email is not a valid address"
    )
    assert server.ledger.running() == 0


def test_the_upload_address_is_good_for_what_it_was_signed_for(
    server: FakeJobServer, client: httpx.Client
) -> None:
    server.options.file_bytes = len(CSV)
    given = asked(client)
    assert put(given, CSV, Authorization=f"Bearer {SENDGRID_KEY}").status_code == 400
    assert httpx.put(given["upload_uri"], content=CSV).status_code == 403
    assert put(given, CSV, **{"x-amz-server-side-encryption": "AES256"}).status_code == 403
    assert httpx.get(given["upload_uri"]).status_code == 403
    large = put(given, CSV + b"\n")
    assert (large.status_code, "EntityTooLarge" in large.text) == (400, True)
    wait(server, 3600)
    assert "Request has expired" in put(given, CSV).text
    assert server.ledger.records.counts()["received"] == 0
    assert server.ledger.running_ids() == [given["job_id"]]


def test_a_file_that_does_not_fit_the_mapping_fails_the_import(
    server: FakeJobServer, client: httpx.Client
) -> None:
    for mapping, data in ((["_rf2_T"], CSV), (MAPPING, b"mail,x,name\n\xff,,\n")):
        given = asked(client, field_mappings=mapping)
        assert put(given, data).status_code == 200
        wait(server)
        assert client.get(f"{IMPORTS}/{given['job_id']}").json()["status"] == "failed"
    assert server.ledger.records.counts()["accepted"] == 0


def test_contacts_come_as_json_too(server: FakeJobServer, client: httpx.Client) -> None:
    contacts = [{"email": "ada@example.com", "custom_fields": {"e1_T": "gold"}}, {"external_id": "7"}]
    answer = client.put(CONTACTS, json={"list_ids": ["l-1"], "contacts": contacts})
    assert answer.status_code == 202
    wait(server)
    described = client.get(f"{IMPORTS}/{answer.json()['job_id']}").json()
    assert described["status"] == "completed"
    assert "errors_url" not in described["results"]
    assert server.ledger.records.accepted() == ["ada@example.com", "7"]
    server.options.fails = True
    failed = client.put(CONTACTS, json={"contacts": contacts}).json()["job_id"]
    wait(server)
    assert client.get(f"{IMPORTS}/{failed}").json()["status"] == "failed"
    assert server.ledger.records.counts(failed)["reasons"] == {"the import could not be processed": 2}


def test_limits_of_json(server: FakeJobServer, client: httpx.Client) -> None:
    server.options.request_contacts = 2
    three = client.put(CONTACTS, json={"contacts": [{"email": "a@example.com"}] * 3})
    assert (three.status_code, "1 to 2 contacts" in three.text) == (400, True)
    server.options.request_bytes = 20
    large = client.put(CONTACTS, json={"contacts": [{"email": "a@example.com"}]})
    assert (large.status_code, "20 at most" in large.text) == (400, True)
    assert server.ledger.accepted() == 0


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (IMPORTS, {"field_mappings": MAPPING}, "file_type"),
        (IMPORTS, {"file_type": "csv"}, "field_mappings"),
        (IMPORTS, {"file_type": "csv", "field_mappings": ["email"]}, "field_mappings"),
        (IMPORTS, {"file_type": "csv", "field_mappings": ["_rf3_T"]}, "field_mappings"),
        (IMPORTS, {"file_type": "csv", "field_mappings": MAPPING, "list_ids": "l"}, "list_ids"),
        (IMPORTS, {"file_type": "csv", "field_mappings": MAPPING, "lists": []}, "lists"),
        (IMPORTS, [], None),
        (CONTACTS, {"contacts": []}, "contacts"),
        (CONTACTS, {"contacts": ["x"]}, "contacts.0"),
        (CONTACTS, {"contacts": [{"mail": "x"}]}, "contacts.0.mail"),
        (CONTACTS, {"contacts": [{"email": "x"}], "lists": []}, "lists"),
        (CONTACTS, [], None),
    ],
)
def test_a_wrong_request_is_refused_by_field(
    client: httpx.Client, path: str, body: Any, field: str | None
) -> None:
    answer = client.put(path, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


def test_fields_are_listed_and_the_key_is_needed(server: FakeJobServer, client: httpx.Client) -> None:
    fields = client.get("/v3/marketing/field_definitions").json()
    assert fields["reserved_fields"][0] == {"id": "_rf2_T", "name": "email", "field_type": "Text"}
    assert fields["custom_fields"][0]["name"] == "loyalty"
    assert httpx.get(f"{server.url}/v3/marketing/field_definitions").status_code == 401
    assert client.get(f"{IMPORTS}/none").status_code == 404
