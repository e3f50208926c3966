"""The fake of Walmart's Marketplace API refuses what its documentation says is refused."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_asyncjob.testing import FakeClock, FakeJobServer, Refused

NAMES = {"WM_SVC.NAME": "Walmart Marketplace", "WM_QOS.CORRELATION_ID": str(uuid.UUID(int=1))}
HEADER = {"businessUnit": "WALMART_US", "locale": "en", "version": "5.0.20240517-04_08_27-api"}
FEEDS = "/v3/feeds?feedType=MP_ITEM"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def server(clock: FakeClock) -> Iterator[FakeJobServer]:
    with FakeJobServer("walmart", clock=clock, queue_seconds=10, seconds=50) as running:
        yield running


def token_of(server: FakeJobServer, **headers: str) -> httpx.Response:
    auth = (server.connection["login"], server.connection["password"])
    grant = {"grant_type": "client_credentials"}
    given = {**NAMES, "Accept": "application/json", **headers}
    return httpx.post(f"{server.url}/v3/token", data=grant, auth=auth, headers=given)


@pytest.fixture
def client(server: FakeJobServer) -> Iterator[httpx.Client]:
    token = token_of(server).json()["access_token"]
    with httpx.Client(base_url=server.url, headers={**NAMES, "WM_SEC.ACCESS_TOKEN": token}) as one:
        yield one


def item(number: int, **orderable: Any) -> dict[str, Any]:
    product = {"productIdType": "GTIN", "productId": f"{number:014d}"}
    return {
        "Orderable": {"sku": f"SKU-{number}", "productIdentifiers": product, "price": 9.99, **orderable},
        "Visible": {"Socks": {"productName": "Warm socks"}},
    }


def feed(*items: Any, **header: Any) -> dict[str, Any]:
    return {"MPItemFeedHeader": {**HEADER, **header}, "MPItem": list(items)}


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"][0]["code"]


def test_a_token_is_for_those_who_may(server: FakeJobServer) -> None:
    granted = token_of(server).json()
    assert (granted["token_type"], granted["expires_in"]) == ("bearer", 900)
    assert token_of(server, Accept="*/*").headers["content-type"] == "application/xml"
    wrong = httpx.post(
        f"{server.url}/v3/token", data={"grant_type": "client_credentials"}, auth=("a", "b"), headers=NAMES
    )
    assert code(wrong) == (401, "UNAUTHORIZED.GMP_GATEWAY_API")


def test_each_call_has_its_headers_and_a_token_that_is_good(
    server: FakeJobServer, client: httpx.Client, clock: FakeClock
) -> None:
    for name in NAMES:
        bare = httpx.get(f"{server.url}/v3/feeds/x", headers={k: v for k, v in NAMES.items() if k != name})
        assert code(bare) == (400, "INVALID_REQUEST_HEADER.GMP_GATEWAY_API")
        assert bare.json()["error"][0]["field"] == name
    bearer = {**NAMES, "Authorization": f"Bearer {client.headers['wm_sec.access_token']}"}
    in_the_wrong_place = httpx.get(f"{server.url}/v3/feeds/x", headers=bearer)
    assert code(in_the_wrong_place) == (401, "UNAUTHORIZED.GMP_GATEWAY_API")
    assert code(client.get("/v3/feeds/x")) == (404, "CONTENT_NOT_FOUND.GMP_FEED_API")
    clock.advance(900)
    assert code(client.get("/v3/feeds/x")) == (401, "UNAUTHORIZED.GMP_GATEWAY_API")


def test_a_feed_tells_of_each_item_in_pages(
    client: httpx.Client, clock: FakeClock, server: FakeJobServer
) -> None:
    server.options.refuse_every = 4
    sent = feed(item(1), item(2, price=0), item(3), item(4), {"Orderable": {"sku": "SKU-5"}})
    feed_id = client.post(FEEDS, json=sent).json()["feedId"]
    assert feed_id.endswith("@AU8BAQA")
    path = f"/v3/feeds/{feed_id.replace('@', '%40')}"
    assert client.get(path).json()["feedStatus"] == "RECEIVED"
    clock.advance(10)
    running = client.get(path).json()
    assert (running["feedStatus"], running["itemsProcessing"]) == ("INPROGRESS", 5)
    assert server.ledger.running_ids() == [feed_id]
    clock.advance(50)
    ended = client.get(path).json()
    counts = [ended[name] for name in ("itemsReceived", "itemsSucceeded", "itemsFailed", "itemsProcessing")]
    assert (ended["feedStatus"], counts) == ("PROCESSED", [5, 2, 3, 0])
    assert ended["itemDetails"] == {"itemIngestionStatus": []}
    found: list[dict[str, Any]] = []
    for offset in (0, 2, 4):
        page = client.get(path, params={"includeDetails": "true", "offset": offset, "limit": 2}).json()
        found += page["itemDetails"]["itemIngestionStatus"]
    assert [(one["index"], one["sku"], one["ingestionStatus"]) for one in found] == [
        (0, "SKU-1", "SUCCESS"),
        (1, "SKU-2", "DATA_ERROR"),
        (2, "SKU-3", "SUCCESS"),
        (3, "SKU-4", "DATA_ERROR"),
        (4, "SKU-5", "DATA_ERROR"),
    ]
    assert len(found[4]["ingestionErrors"]["ingestionError"]) == 3
    assert client.get(path, params={"includeDetails": "true", "limit": 1001}).status_code == 400
    records = server.ledger.records
    assert records.accepted() == ["SKU-1", "SKU-3"]
    assert records.refused()[0] == Refused(feed_id, 2, "SKU-2", "'price' is a number greater than 0.")
    assert records.counts()["received"] == 5


def test_a_feed_may_be_a_file_of_a_form(client: httpx.Client, clock: FakeClock) -> None:
    files = {"file": ("item.json", json.dumps(feed(item(1))), "application/json")}
    feed_id = client.post(FEEDS, files=files).json()["feedId"]
    clock.advance(60)
    assert client.get(f"/v3/feeds/{feed_id}").json()["itemsSucceeded"] == 1


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"MPItem": [item(1)]}, "not a feed with MPItemFeedHeader and MPItem"),
        (feed(), "not a feed with MPItemFeedHeader and MPItem"),
        (feed(item(1), subset="EXTERNAL"), "MPItemFeedHeader has exactly businessUnit, locale, version"),
        (feed(item(1), version=""), "MPItemFeedHeader has exactly"),
        (feed(*[item(1)] * 10_001), "a feed has at most 10000 items"),
    ],
    ids=["no header", "no items", "another header", "no version", "too many items"],
)
def test_a_feed_that_is_none_fails_as_a_whole(
    client: httpx.Client, clock: FakeClock, server: FakeJobServer, document: Any, why: str
) -> None:
    feed_id = client.post(FEEDS, json=document).json()["feedId"]
    clock.advance(60)
    ended = client.get(f"/v3/feeds/{feed_id}").json()
    assert ended["feedStatus"] == "ERROR"
    assert why in ended["ingestionErrors"]["ingestionError"][0]["description"]
    assert server.ledger.records.accepted() == []
    assert len(server.ledger.records.refused()) == len(document["MPItem"]) * (
        "exactly" in why or "most" in why
    )


def test_other_feeds_and_too_much_are_refused(client: httpx.Client, server: FakeJobServer) -> None:
    parameter = (400, "INVALID_REQUEST_PARAM.GMP_DATA_STATUS_API")
    assert code(client.post("/v3/feeds", json=feed(item(1)))) == parameter
    assert code(client.post("/v3/feeds?feedType=PRICE", json=feed(item(1)))) == parameter
    text = client.post(FEEDS, content=b"x", headers={"Content-Type": "text/plain"})
    assert code(text) == (400, "INVALID_REQUEST_HEADER.GMP_GATEWAY_API")
    server.options.most_bytes = 100
    assert code(client.post(FEEDS, json=feed(item(1)))) == (400, "INVALID_REQUEST_CONTENT.GMP_FEED_API")
    assert server.ledger.accepted() == 0


def test_more_feeds_than_an_hour_takes_are_a_429(client: httpx.Client, clock: FakeClock) -> None:
    for _ in range(30):
        assert client.post(FEEDS, json=feed(item(1))).status_code == 200
    limited = client.post(FEEDS, json=feed(item(1)))
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "121")
    clock.advance(121)
    assert client.post(FEEDS, json=feed(item(1))).status_code == 200
