"""The fake of Amazon's Selling Partner API refuses what its documentation says is refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_asyncjob.testing import FakeClock, FakeJobServer, Refused
from airflow_asyncjob.testing.amazon import AMAZON_CLIENT_ID, AMAZON_CLIENT_SECRET, AMAZON_REFRESH_TOKEN
from airflow_asyncjob.testing.amazon_reports import expected_listings

REPORTS, FEEDS = "/reports/2021-06-30", "/feeds/2021-06-30"
MARKETS = ["ATVPDKIKX0DER"]
GRANT = {
    "grant_type": "refresh_token",
    "refresh_token": AMAZON_REFRESH_TOKEN,
    "client_id": AMAZON_CLIENT_ID,
    "client_secret": AMAZON_CLIENT_SECRET,
}
WANTED = {"reportType": "GET_FLAT_FILE_OPEN_LISTINGS_DATA", "marketplaceIds": MARKETS}
TYPE = "application/json; charset=UTF-8"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def server(clock: FakeClock) -> Iterator[FakeJobServer]:
    with FakeJobServer("amazon", clock=clock, rows=30, queue_seconds=10, seconds=50) as running:
        yield running


@pytest.fixture
def client(server: FakeJobServer) -> Iterator[httpx.Client]:
    token = httpx.post(f"{server.url}/auth/o2/token", data=GRANT).json()["access_token"]
    with httpx.Client(base_url=server.url, headers={"x-amz-access-token": token}) as one:
        yield one


def error(answer: httpx.Response) -> tuple[int, str, str]:
    found = answer.json()["errors"][0]
    return answer.status_code, found["code"], found["details"]


# Tokens and limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code", "name"),
    [
        ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
        ({"client_secret": "x"}, 401, "invalid_client"),
        ({"client_id": "x"}, 401, "invalid_client"),
        ({"refresh_token": "x"}, 400, "invalid_grant"),
    ],
)
def test_a_token_is_for_those_who_may(
    server: FakeJobServer, change: dict[str, str], code: int, name: str
) -> None:
    answer = httpx.post(f"{server.url}/auth/o2/token", data={**GRANT, **change})
    assert (answer.status_code, answer.json()["error"]) == (code, name)
    assert httpx.post(f"{server.url}/auth/o2/token", json=GRANT).json()["error"] == "invalid_request"


def test_every_operation_wants_a_token_that_is_good(
    server: FakeJobServer, clock: FakeClock, client: httpx.Client
) -> None:
    none = httpx.post(f"{server.url}{REPORTS}/reports", json=WANTED)
    assert error(none) == (403, "Unauthorized", "Access token is missing in the request header.")
    bearer = {"Authorization": client.headers["x-amz-access-token"], "x-amz-access-token": "Atza|x"}
    wrong = httpx.post(f"{server.url}{REPORTS}/reports", json=WANTED, headers=bearer)
    revoked = "The access token you provided is revoked, malformed or invalid."
    assert error(wrong) == (403, "Unauthorized", revoked)
    clock.advance(3600)
    late = client.post(f"{REPORTS}/reports", json=WANTED)
    assert error(late) == (403, "Unauthorized", "The access token you provided has expired.")
    assert server.ledger.accepted() == 0


def test_more_requests_than_the_usage_plan_are_a_429(client: httpx.Client, clock: FakeClock) -> None:
    first = [client.post(f"{REPORTS}/reports", json=WANTED) for _ in range(15)]
    assert {answer.status_code for answer in first} == {202}
    assert first[0].headers["x-amzn-RateLimit-Limit"] == "0.0167"
    assert client.post(f"{REPORTS}/reports", json=WANTED).json()["errors"][0]["code"] == "QuotaExceeded"
    clock.advance(60)
    assert client.post(f"{REPORTS}/reports", json=WANTED).status_code == 202
    assert client.post(f"{REPORTS}/reports", json=WANTED).status_code == 429


# Reports --------------------------------------------------------------------------------------------


def test_a_report_waits_runs_and_is_done(
    client: httpx.Client, clock: FakeClock, server: FakeJobServer
) -> None:
    answer = client.post(f"{REPORTS}/reports", json=WANTED)
    report = answer.json()["reportId"]
    path = f"{REPORTS}/reports/{report}"
    queued = client.get(path).json()
    assert queued == {
        "reportId": report,
        **WANTED,
        "createdTime": "2026-01-01T00:00:00+00:00",
        "processingStatus": "IN_QUEUE",
    }
    clock.advance(10)
    assert client.get(path).json() == {
        **queued,
        "processingStatus": "IN_PROGRESS",
        "processingStartTime": "2026-01-01T00:00:10+00:00",
    }
    assert server.ledger.running_ids() == [report]
    clock.advance(50)
    done = client.get(path).json()
    assert (done["processingStatus"], done["processingEndTime"]) == ("DONE", "2026-01-01T00:01:00+00:00")
    assert server.ledger.running() == 0
    document = client.get(f"{REPORTS}/documents/{done['reportDocumentId']}").json()
    assert document["compressionAlgorithm"] == "GZIP"
    lines = gzip.decompress(httpx.get(document["url"]).content).decode().splitlines()
    assert [line.split("\t") for line in lines[1:]] == [list(row.values()) for row in expected_listings(30)]
    clock.advance(300)
    assert "Request has expired" in httpx.get(document["url"]).text


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ({"marketplaceIds": MARKETS}, "reportType is required"),
        ({"reportType": "A"}, "marketplaceIds must be a list of strings"),
        ({"reportType": "A", "marketplaceIds": []}, "marketplaceIds must have 1 to 25 entries"),
        ({"reportType": "A", "marketplaceIds": ["x"] * 26}, "marketplaceIds must have 1 to 25 entries"),
        ({**WANTED, "reportOptions": {"a": 1}}, "reportOptions must be an object of strings"),
        ({**WANTED, "dataStartTime": "today"}, "dataStartTime must be a date and time in ISO 8601"),
        ({**WANTED, "dataEndTime": "2026-01-02T00:00:00Z"}, "dataEndTime must be prior to or equal to now"),
        ({**WANTED, "startTime": "x"}, "unknown: startTime"),
    ],
)
def test_a_wrong_report_is_a_400(client: httpx.Client, body: Any, details: str) -> None:
    assert error(client.post(f"{REPORTS}/reports", json=body)) == (400, "InvalidInput", details)


def test_other_mistakes_are_refused_too(client: httpx.Client) -> None:
    assert client.post(f"{REPORTS}/reports", content=b"{}").status_code == 415
    broken = client.post(f"{REPORTS}/reports", content=b"{", headers={"Content-Type": "application/json"})
    assert broken.status_code == 400
    assert client.get(f"{REPORTS}/reports/1").status_code == 404
    assert client.get(f"{REPORTS}/schedules").status_code == 404


def test_only_what_waits_can_be_cancelled(client: httpx.Client, clock: FakeClock) -> None:
    path = f"{REPORTS}/reports/{client.post(f'{REPORTS}/reports', json=WANTED).json()['reportId']}"
    assert client.delete(path).status_code == 200
    gone = client.get(path).json()
    assert (gone["processingStatus"], "processingStartTime" in gone) == ("CANCELLED", False)
    other = f"{REPORTS}/reports/{client.post(f'{REPORTS}/reports', json=WANTED).json()['reportId']}"
    clock.advance(11)
    assert error(client.delete(other)) == (400, "InvalidInput", "it is not IN_QUEUE any more")


# Feeds ----------------------------------------------------------------------------------------------


def message(number: int, **other: Any) -> dict[str, Any]:
    made = {"messageId": number, "sku": f"SKU-{number}", "operationType": "UPDATE", "productType": "LUGGAGE"}
    return {**made, "attributes": {"item_name": [{"value": "A suitcase"}]}, **other}


def uploaded(client: httpx.Client, document: Any, content_type: str = TYPE) -> str:
    """Return the ID of a feed document with this content."""
    made = client.post(f"{FEEDS}/documents", json={"contentType": TYPE})
    assert made.status_code == 201
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    answer = httpx.put(made.json()["url"], content=content, headers={"Content-Type": content_type})
    assert answer.status_code == 200, answer.text
    found: str = made.json()["feedDocumentId"]
    return found


def created(client: httpx.Client, document_id: str, **other: Any) -> httpx.Response:
    body = {"feedType": "JSON_LISTINGS_FEED", "marketplaceIds": MARKETS, "inputFeedDocumentId": document_id}
    return client.post(f"{FEEDS}/feeds", json={**body, **other})


def listing(*messages: Any, version: str = "2.0") -> dict[str, Any]:
    return {"header": {"sellerId": "A1", "version": version}, "messages": list(messages)}


def test_a_feed_is_processed_and_says_of_each_message_what_is_wrong(
    client: httpx.Client, clock: FakeClock, server: FakeJobServer
) -> None:
    server.options.refuse_every = 3
    messages = [message(1), message(2, operationType="PATCH"), message(3), message(1), message(5)]
    feed = created(client, uploaded(client, listing(*messages))).json()["feedId"]
    assert client.get(f"{FEEDS}/feeds/{feed}").json()["processingStatus"] == "IN_QUEUE"
    clock.advance(60)
    done = client.get(f"{FEEDS}/feeds/{feed}").json()
    assert done["processingStatus"] == "DONE"
    document = client.get(f"{FEEDS}/documents/{done['resultFeedDocumentId']}").json()
    report = json.loads(gzip.decompress(httpx.get(document["url"]).content))
    assert report["header"] == {"sellerId": "A1", "version": "2.0", "feedId": feed}
    codes = [(issue["messageId"], issue.get("sku"), issue["code"]) for issue in report["issues"]]
    missing = [(3, "SKU-3", "90220")] * 2
    assert codes == [(2, None, "4002008"), *missing, (1, None, "4002008")]
    assert report["summary"] == {
        "errors": 4,
        "warnings": 0,
        "messagesProcessed": 5,
        "messagesAccepted": 2,
        "messagesInvalid": 3,
    }
    records = server.ledger.records
    assert records.accepted(feed) == ["SKU-1", "SKU-5"]
    assert [(one.number, one.key) for one in records.refused(feed)] == [
        (2, "SKU-2"),
        (3, "SKU-3"),
        (4, "SKU-1"),
    ]
    assert records.refused(feed)[1] == Refused(
        feed, 3, "SKU-3", "'[batteries_required]' is required but not supplied."
    )


def test_an_upload_has_the_content_type_that_was_announced_and_is_in_time(
    client: httpx.Client, clock: FakeClock
) -> None:
    url = client.post(f"{FEEDS}/documents", json={"contentType": TYPE}).json()["url"]
    wrong = httpx.put(url, content=b"{}", headers={"Content-Type": "application/json"})
    assert (wrong.status_code, "SignatureDoesNotMatch" in wrong.text) == (403, True)
    token = {"Content-Type": TYPE, "Authorization": "Bearer x"}
    assert httpx.put(url, content=b"{}", headers=token).status_code == 400
    assert httpx.get(url, headers={"Content-Type": TYPE}).status_code == 403
    clock.advance(300)
    late = httpx.put(url, content=b"{}", headers={"Content-Type": TYPE})
    assert (late.status_code, "Request has expired" in late.text) == (403, True)


def test_a_feed_wants_its_document_uploaded_first_and_only_once(client: httpx.Client) -> None:
    empty = client.post(f"{FEEDS}/documents", json={"contentType": TYPE}).json()["feedDocumentId"]
    assert error(created(client, empty))[2] == "the contents of the feed document have not been uploaded"
    assert error(created(client, "nothing"))[2] == "inputFeedDocumentId is not that of a feed document"
    full = uploaded(client, listing(message(1)))
    other = "feedType is not one that this fake offers: JSON_LISTINGS_FEED"
    assert error(created(client, full, feedType="POST_PRODUCT_DATA"))[2] == other
    assert error(created(client, full, marketplaceIds=[]))[0] == 400
    assert created(client, full).status_code == 202
    assert error(created(client, full))[2] == "the feed document belongs to another feed"
    assert error(client.post(f"{FEEDS}/documents", json={}))[2] == "contentType is required"


@pytest.mark.parametrize(
    "document",
    [
        b"nonsense",
        b"[]",
        listing(),
        listing(*[message(1)] * 10_001),
        listing(message(1, attributes={"text": "x" * 10_485_760})),
    ],
    ids=["no JSON", "no object", "no message", "too many messages", "over 10 MiB"],
)
def test_a_document_of_no_use_is_fatal(
    client: httpx.Client, clock: FakeClock, server: FakeJobServer, document: Any
) -> None:
    feed = created(client, uploaded(client, document)).json()["feedId"]
    clock.advance(60)
    ended = client.get(f"{FEEDS}/feeds/{feed}").json()
    assert (ended["processingStatus"], "resultFeedDocumentId" in ended) == ("FATAL", False)
    assert server.ledger.records.counts()["received"] == 0


def test_a_header_of_another_version_refuses_every_message(
    client: httpx.Client, clock: FakeClock, server: FakeJobServer
) -> None:
    zipped = gzip.compress(json.dumps(listing(message(1), message(2), version="1.0")).encode())
    feed = created(client, uploaded(client, zipped)).json()["feedId"]
    clock.advance(60)
    assert client.get(f"{FEEDS}/feeds/{feed}").json()["processingStatus"] == "DONE"
    assert server.ledger.records.counts()["refused"] == 2


def test_a_feed_that_waits_can_be_cancelled_and_then_has_no_report(client: httpx.Client) -> None:
    feed = created(client, uploaded(client, listing(message(1)))).json()["feedId"]
    assert client.delete(f"{FEEDS}/feeds/{feed}").status_code == 200
    assert client.get(f"{FEEDS}/feeds/{feed}").json()["processingStatus"] == "CANCELLED"
    assert client.get(f"{FEEDS}/documents/amzn1.fake.feeds.{feed}").status_code == 404


def test_options_of_a_wrong_value_are_an_error() -> None:
    with pytest.raises(ValueError, match="seconds=-1"):
        FakeJobServer("amazon", seconds=-1)
    with pytest.raises(ValueError, match="ends is one of DONE, CANCELLED, FATAL, not 'done'"):
        FakeJobServer("amazon", ends="done")
