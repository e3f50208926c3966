"""The fake of SendGrid's contacts export behaves as documented, file host included."""

from __future__ import annotations

import csv
import gzip
import io
import tracemalloc
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_asyncjob.testing import (
    SENDGRID_KEY,
    FakeClock,
    FakeJobServer,
    check_contacts,
    contact,
    expected_contacts,
    records_digest,
)
from airflow_asyncjob.testing.contacts import COLUMNS, write_contacts

EXPORTS = "/v3/marketing/contacts/exports"
KEY = {"Authorization": f"Bearer {SENDGRID_KEY}"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_000_000_000.0)


@pytest.fixture
def server(clock: FakeClock) -> Iterator[FakeJobServer]:
    with FakeJobServer("sendgrid", clock=clock, contacts=50, files=3, seconds=5) as running:
        yield running


@pytest.fixture
def client(server: FakeJobServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers=KEY) as one:
        yield one


def test_an_export_is_pending_and_then_ready(
    clock: FakeClock, client: httpx.Client, server: FakeJobServer
) -> None:
    answer = client.post(EXPORTS, json={"file_type": "csv", "segment_ids": []})
    export = answer.json()["id"]
    this = {"self": f"{server.url}{EXPORTS}/{export}"}
    assert (answer.status_code, answer.json()) == (202, {"_metadata": this, "id": export})
    clock.advance(4.9)
    assert client.get(f"{EXPORTS}/{export}").json() == {
        "id": export,
        "status": "pending",
        "created_at": "2001-09-09T01:46:40Z",
        "updated_at": "2001-09-09T01:46:44Z",
        "expires_at": "2001-09-12T01:46:40Z",
        "_metadata": this,
    }
    assert server.ledger.running_ids() == [export]
    clock.advance(0.2)
    ready = client.get(f"{EXPORTS}/{export}").json()
    assert (ready["status"], ready["contact_count"], len(ready["urls"])) == ("ready", 50, 3)
    assert ready["updated_at"] == ready["completed_at"] == "2001-09-09T01:46:45Z"
    assert server.ledger.running() == 0
    listed = client.get(EXPORTS).json()
    assert listed["_metadata"]["count"] == 1
    assert listed["result"] == [{**ready, "export_type": "contacts_export"}]


def test_a_failing_export_has_a_message(
    clock: FakeClock, client: httpx.Client, server: FakeJobServer
) -> None:
    server.options.fails = True
    export = client.post(EXPORTS, json={}).json()["id"]
    clock.advance(5)
    failed = client.get(f"{EXPORTS}/{export}").json()
    assert (failed["status"], failed["message"]) == ("failure", "the export could not be completed")
    assert "urls" not in failed


def test_keys_are_refused_in_sendgrids_words(server: FakeJobServer) -> None:
    without = httpx.post(server.url + EXPORTS, json={})
    assert without.status_code == 401
    assert without.json() == {"errors": [{"field": None, "message": "authorization required"}]}
    wrong = httpx.get(server.url + EXPORTS, headers={"Authorization": "Bearer SG.other"})
    message = "The provided authorization grant is invalid, expired, or revoked"
    assert (wrong.status_code, wrong.json()["errors"][0]["message"]) == (401, message)
    assert httpx.get(server.url + EXPORTS, auth=("apikey", SENDGRID_KEY)).status_code == 401
    assert server.ledger.accepted() == 0


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (b"nonsense", None, "the request body is not a JSON object"),
        (b"[]", None, "the request body is not a JSON object"),
        (b'{"file_typ": "csv"}', "file_typ", "unknown field; valid: list_ids, segment_ids"),
        (b'{"file_type": "xml"}', "file_type", "must be csv or json"),
        (b'{"file_type": "json"}', "file_type", "only csv is offered by this fake"),
        (b'{"segment_ids": "a"}', "segment_ids", "must be a list of strings"),
        (b'{"list_ids": [1]}', "list_ids", "must be a list of strings"),
        (b'{"max_file_size": "5"}', "max_file_size", "must be a positive integer"),
        (b'{"notifications": true}', "notifications", "must be an object"),
    ],
)
def test_a_wrong_body_is_a_400(
    client: httpx.Client, server: FakeJobServer, body: bytes, field: str | None, message: str
) -> None:
    answer = client.post(EXPORTS, content=body)
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["field"]) == (400, field)
    assert message in error["message"]
    assert server.ledger.accepted() == 0


def test_an_unknown_export_is_a_404(client: httpx.Client) -> None:
    for method, path in (
        ("GET", f"{EXPORTS}/nothing"),
        ("DELETE", f"{EXPORTS}/nothing"),
        ("GET", "/v3/else"),
    ):
        answer = client.request(method, path)
        assert (answer.status_code, answer.json()["errors"][0]["message"]) == (404, "resource not found")


def urls_of(client: httpx.Client, clock: FakeClock) -> list[str]:
    export = client.post(EXPORTS, json={}).json()["id"]
    clock.advance(5)
    urls: list[str] = client.get(f"{EXPORTS}/{export}").json()["urls"]
    return urls


def test_the_files_together_are_the_expected_contacts(
    clock: FakeClock, client: httpx.Client, server: FakeJobServer
) -> None:
    got: list[dict[str, Any]] = []
    for url in urls_of(client, clock):
        assert url.startswith(f"{server.files_url}/exports/")
        answer = httpx.get(url)
        assert (answer.status_code, "content-encoding" in answer.headers) == (200, False)
        got += csv.DictReader(io.StringIO(gzip.decompress(answer.content).decode(), newline=""))
    assert got == list(expected_contacts(50))
    assert server.ledger.count("result") == 3
    assert {entry.host for entry in server.ledger.entries("result")} == {"files"}


def test_the_file_host_is_another_origin_and_refuses_credentials_as_s3_does(
    clock: FakeClock, client: httpx.Client, server: FakeJobServer
) -> None:
    assert server.files_url != server.url
    answer = httpx.get(urls_of(client, clock)[0], headers=KEY)
    assert answer.status_code == 400
    assert "<Code>InvalidArgument</Code><Message>Only one auth mechanism allowed" in answer.text


def test_the_file_host_wants_its_signature_and_forgets_files(
    clock: FakeClock, client: httpx.Client, server: FakeJobServer
) -> None:
    first, second = urls_of(client, clock)[:2]
    bare, _, query = first.partition("?")
    unsigned = httpx.get(bare)
    assert (unsigned.status_code, "<Code>AccessDenied</Code>" in unsigned.text) == (403, True)
    swapped = httpx.get(f"{bare}?{second.partition('?')[2]}")
    assert (swapped.status_code, "<Code>SignatureDoesNotMatch</Code>" in swapped.text) == (403, True)
    server.options.files = 1
    gone = httpx.get(second)
    assert (gone.status_code, "<Code>NoSuchKey</Code>" in gone.text) == (404, True)
    assert httpx.get(f"{bare}?{query}").status_code == 200
    clock.advance(server.options.kept_for)
    late = httpx.get(first)
    assert (late.status_code, "Request has expired" in late.text) == (403, True)


def test_options_of_a_wrong_value_are_an_error() -> None:
    with pytest.raises(ValueError, match="files=0"):
        FakeJobServer("sendgrid", files=0)


def test_contacts_hold_what_careless_readers_get_wrong() -> None:
    contacts = list(expected_contacts(200))
    assert all(tuple(one) == COLUMNS for one in contacts)
    assert len({one["CONTACT_ID"] for one in contacts}) == 200
    assert contact(7)["EXTERNAL_ID"] == "0000000007"
    assert contact(7)["POSTAL_CODE"] == "00007"
    assert contact(7)["CONTACT_ID"].startswith("00000007-")
    values = [value for one in contacts for value in one.values()]
    for piece in (",", '"', "\n", "ö", "山"):
        assert any(piece in value for value in values)
    assert {"007", "nan", "NO", ""} <= set(values)


def test_writing_contacts_needs_no_memory_for_them() -> None:
    class Counter(io.BytesIO):
        size = 0

        def write(self, data: Any) -> int:
            self.size += len(data)
            return len(data)

    out = Counter()
    tracemalloc.start()
    write_contacts(out, 20_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert out.size > 500_000
    assert peak < 2_000_000


def test_the_checker_finds_every_kind_of_difference() -> None:
    good = list(expected_contacts(12))
    assert check_contacts(good, 12) == []
    nulls = [{name: value or None for name, value in one.items()} for one in good]
    assert check_contacts(nulls, 12) == []
    assert check_contacts(good[:-1], 12) == ["expected 12 records, got 11"]
    assert check_contacts([*good, good[0]], 12) == ["expected 12 records, got 13"]
    wrong: list[dict[str, Any]] = [{**good[0], "POSTAL_CODE": 0}, *good[1:]]
    assert check_contacts(wrong, 12) == ["record 0: POSTAL_CODE: expected '00000', got 0"]
    less = [{name: value for name, value in one.items() if name != "EMAIL"} for one in good]
    problems = check_contacts(less, 12)
    assert (len(problems), problems[0]) == (10, "record 0: EMAIL: expected 'contact.0@example.com', got None")
    assert check_contacts([good[1], good[0], *good[2:]], 12)[0].startswith(
        "record 0: EMAIL: expected 'contact.0@"
    )


def test_the_digest_tells_records_apart() -> None:
    good = list(expected_contacts(5))
    digest = records_digest(expected_contacts(5))
    assert records_digest(good) == digest
    assert records_digest({name: value or None for name, value in one.items()} for one in good) == digest
    changed = [
        good[::-1],
        good[:-1],
        [{**good[0], "EMAIL": "x"}, *good[1:]],
        [{"E": ""} | good[0], *good[1:]],
    ]
    assert len({records_digest(records) for records in changed} | {digest}) == 5
    assert records_digest([{"a": "b", "c": "d"}]) != records_digest([{"a": "b"}, {"c": "d"}])
