"""The fake of Eloqua's Bulk API 2.0 behaves as documented, and refuses what the real one refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_asyncjob.testing import FakeClock, FakeJobServer, Refused, contact

FIELDS = {"email": "{{Contact.Field(C_EmailAddress)}}", "name": "{{Contact.Field(C_FirstName)}}"}
EXPORT = {"name": "an export", "fields": {"id": "{{Contact.Id}}", **FIELDS}}
IMPORT = {"name": "i", "fields": FIELDS, "identifierFieldName": "email", "isSyncTriggeredOnImport": False}
ADA, LI = {"email": "ada@example.com", "name": "Ada"}, {"email": "li@example.com", "name": "Li"}


@pytest.fixture
def server() -> Iterator[FakeJobServer]:
    with FakeJobServer("eloqua", clock=FakeClock(), contacts=2500, seconds=10) as running:
        yield running


@pytest.fixture
def client(server: FakeJobServer) -> Iterator[httpx.Client]:
    auth = (server.connection["login"], server.connection["password"])
    with httpx.Client(base_url=f"{server.url}/api/bulk/2.0", auth=auth) as one:
        yield one


def wait(server: FakeJobServer) -> None:
    assert isinstance(server.clock, FakeClock)
    server.clock.advance(10)


def defined(client: httpx.Client, kind: str, definition: dict[str, Any]) -> str:
    answer = client.post(f"/contacts/{kind}", json=definition)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["uri"])


def synced(client: httpx.Client, uri: str) -> str:
    answer = client.post("/syncs", json={"syncedInstanceUri": uri})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["uri"])


def test_an_export_goes_through_its_states_and_has_pages(server: FakeJobServer, client: httpx.Client) -> None:
    sync = synced(client, defined(client, "exports", EXPORT))
    assert client.get(sync).json() == {
        "syncedInstanceUri": "/contacts/exports/1",
        "status": "pending",
        "createdAt": "2026-01-01T00:00:00Z",
        "createdBy": "Company\\user.name",
        "uri": "/syncs/1",
    }
    assert client.get(f"{sync}/data").status_code == 404
    assert server.ledger.running_ids() == ["1"]
    assert isinstance(server.clock, FakeClock)
    server.clock.advance(5)
    assert client.get(sync).json()["status"] == "active"
    wait(server)
    assert client.get(sync).json()["status"] == "success"
    first = client.get(f"{sync}/data").json()
    shown = {name: first[name] for name in ("totalResults", "limit", "offset", "count", "hasMore")}
    assert shown == {"totalResults": 2500, "limit": 1000, "offset": 0, "count": 1000, "hasMore": True}
    last = client.get(f"{sync}/data", params={"limit": 50_000, "offset": 2499}).json()
    assert last["items"] == [
        {"id": "2500", "email": contact(2499)["EMAIL"], "name": contact(2499)["FIRST_NAME"]}
    ]
    assert last["hasMore"] is False
    assert server.ledger.running() == 0


def test_an_import_is_uploaded_in_parts_and_started_once(server: FakeJobServer, client: httpx.Client) -> None:
    uri = defined(client, "imports", IMPORT)
    assert client.post(f"{uri}/data", json=[ADA, {"email": "nobody", "name": None}]).status_code == 204
    assert client.post(f"{uri}/data", json=[LI, ADA, {"name": "x"}, "text"]).status_code == 204
    assert server.ledger.accepted() == 0
    sync = synced(client, uri)
    wait(server)
    assert client.get(sync).json()["status"] == "warning"
    page = client.get(f"{sync}/rejects", params={"limit": 1, "offset": 1}).json()
    assert (page["totalResults"], page["hasMore"]) == (4, True)
    assert page["items"] == [
        {
            "fieldValues": ADA,
            "invalidFields": ["email"],
            "message": "Duplicate identifier.",
            "statusCode": "ELQ-00026",
            "recordIndex": 4,
        }
    ]
    logs = client.get(f"{sync}/logs").json()["items"]
    assert [(line["statusCode"], line["count"]) for line in logs] == [
        ("ELQ-00001", 6),
        ("ELQ-00004", 2),
        ("ELQ-00060", 4),
    ]
    assert server.ledger.records.accepted("1") == ["ada@example.com", "li@example.com"]
    assert server.ledger.records.refused("1")[0] == Refused("1", 2, "nobody", "Invalid email address.")
    assert server.ledger.records.counts()["received"] == 6
    assert client.get(f"{sync}/data").status_code == 400


def test_without_the_flag_every_part_starts_a_sync(server: FakeJobServer, client: httpx.Client) -> None:
    usual = {name: value for name, value in IMPORT.items() if name != "isSyncTriggeredOnImport"}
    uri = defined(client, "imports", usual)
    for record in (ADA, LI):
        answer = client.post(f"{uri}/data", json=[record])
        assert (answer.status_code, answer.json()["status"]) == (201, "pending")
        wait(server)
    assert server.ledger.accepted() == 2
    refused = client.post("/syncs", json={"syncedInstanceUri": uri})
    assert refused.status_code == 400
    assert "no data were uploaded" in refused.text


def test_limits_of_an_upload(server: FakeJobServer, client: httpx.Client) -> None:
    server.options.request_bytes, server.options.staging_bytes = 100, 150
    uri = defined(client, "imports", IMPORT)
    assert client.post(f"{uri}/data", content=b"[" + b" " * 100 + b"]").status_code == 404
    most = b'[{"email": "a@example.com"}]'.ljust(100)
    kind = {"Content-Type": "application/json"}
    assert client.post(f"{uri}/data", content=most, headers=kind).status_code == 204
    full = client.post(f"{uri}/data", content=most, headers=kind)
    assert (full.status_code, full.json()) == (413, "Storage space exceeded.")
    synced(client, uri)
    busy = client.post(f"{uri}/data", content=most, headers=kind)
    assert (busy.status_code, busy.json()) == (409, "There was a conflict.")


def test_a_sync_has_at_most_500_uploads(client: httpx.Client) -> None:
    uri = defined(client, "imports", IMPORT)
    codes = [client.post(f"{uri}/data", json=[ADA]).status_code for _ in range(501)]
    assert (set(codes[:500]), codes[500]) == ({204}, 400)


@pytest.mark.parametrize(
    ("kind", "changed", "field"),
    [
        ("exports", {"name": "x" * 101}, "name"),
        ("exports", {"fields": {}}, "fields"),
        ("exports", {"fields": {f"f{n}": "{{Contact.Id}}" for n in range(251)}}, "fields"),
        ("exports", {"fields": {"a": "{{Contact.Field(C_Unknown)}}"}}, "fields.a"),
        ("exports", {"fields": {"a": "C_EmailAddress"}}, "fields.a"),
        ("exports", {"filter": "x" * 1001}, "filter"),
        ("exports", {"isSyncTriggeredOnImport": False}, "isSyncTriggeredOnImport"),
        ("exports", {"autoDeleteDuration": "7 days"}, "autoDeleteDuration"),
        ("imports", {"fields": {f"f{n}": "{{Contact.Id}}" for n in range(101)}}, "fields"),
        ("imports", {"identifierFieldName": "mail"}, "identifierFieldName"),
        ("imports", {"isSyncTriggeredOnImport": "false"}, "isSyncTriggeredOnImport"),
        ("imports", {"updateRule": "never"}, "updateRule"),
    ],
)
def test_a_wrong_definition_is_refused_by_field(
    client: httpx.Client, kind: str, changed: dict[str, Any], field: str
) -> None:
    base = EXPORT if kind == "exports" else IMPORT
    answer = client.post(f"/contacts/{kind}", json={**base, **changed})
    assert (answer.status_code, answer.json()["failures"][0]["field"]) == (400, field)


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (b"{}", "application/json", "JSON array"),
        (b"[]", "application/json", "one or more"),
        (b"nonsense", "application/json", "JSON array"),
        (b"[]", "text/csv", "Content-Type"),
        (b'[{"email": "a@example.com", "age": 3}]', "application/json", "age"),
    ],
)
def test_wrong_data_are_refused(client: httpx.Client, content: bytes, kind: str, said: str) -> None:
    uri = defined(client, "imports", IMPORT)
    answer = client.post(f"{uri}/data", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert said in answer.text


def test_what_is_not_there_or_not_in_its_range_is_refused(
    client: httpx.Client, server: FakeJobServer
) -> None:
    assert client.get("/syncs/7").status_code == 404
    assert client.post("/contacts/imports/7/data", json=[ADA]).status_code == 404
    assert client.get("/accounts/exports").status_code == 404
    assert client.post("/syncs", json={"syncedInstanceUri": "/contacts/exports/7"}).status_code == 400
    sync = synced(client, defined(client, "exports", EXPORT))
    wait(server)
    assert client.get(f"{sync}/data", params={"limit": 50_001}).status_code == 400
    assert client.get(f"{sync}/rejects", params={"limit": 1001}).status_code == 400
    assert client.get(f"{sync}/data", params={"offset": "x"}).status_code == 400


def test_every_request_needs_the_login(server: FakeJobServer) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic ???"}):
        answer = httpx.post(f"{server.url}/api/bulk/2.0/contacts/exports", json=EXPORT, headers=headers)
        assert (answer.status_code, answer.json()) == (401, "Login required")
    assert server.ledger.accepted() == 0
