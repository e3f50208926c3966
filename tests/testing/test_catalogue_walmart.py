"""walmart/item_feed, from the command to the rejects, against the fake of Walmart's marketplace."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_asyncjob.testing import FakeJobServer
from tests.cli.command import Asyncjob
from tests.testing.vendors import Vendor, driven

VERSION = {"version": "5.0.20240517-04_08_27-api"}


def item(number: int, **orderable: Any) -> dict[str, Any]:
    product = {"productIdType": "GTIN", "productId": f"{number:014d}"}
    return {
        "Orderable": {"sku": f"SKU-{number}", "productIdentifiers": product, "price": 9.99, **orderable},
        "Visible": {"Socks": {"productName": "Warme Söckchen"}},
    }


@pytest.fixture
def walmart(asyncjob: Asyncjob) -> Iterator[Vendor]:
    with FakeJobServer("walmart", queue_seconds=0.1, seconds=0.1) as server:
        yield Vendor("walmart/item_feed", server, asyncjob)


def test_items_are_sent_as_one_feed_with_walmarts_headers(walmart: Vendor) -> None:
    ran = walmart.run("--destination", "out/", **VERSION, items=[item(1), item(2)])
    assert ran.code == 0, ran.stderr
    assert (ran.last["state"], ran.last["uris"], ran.last["rejects"]["records"]) == ("done", [], 0)
    ledger = walmart.server.ledger
    (sent,) = ledger.entries("submit")
    assert json.loads(sent.body) == {
        "MPItemFeedHeader": {"businessUnit": "WALMART_US", "locale": "en", **VERSION},
        "MPItem": [item(1), item(2)],
    }
    entries = ledger.entries()
    ids = [uuid.UUID(entry.headers["wm_qos.correlation_id"]) for entry in entries]
    assert len(set(ids)) == len(entries), "each call has one of its own"
    assert {entry.headers["wm_svc.name"] for entry in entries} == {"Walmart Marketplace"}
    assert [entry for entry in entries[1:] if "authorization" in entry.headers] == []
    assert ledger.records.accepted() == ["SKU-1", "SKU-2"]


def test_refused_items_come_from_all_pages_each_with_all_its_errors(walmart: Vendor) -> None:
    walmart.server.options.refuse_every = 600
    given = [item(number) for number in range(1, 1201)]
    del given[0]["Orderable"]["price"], given[0]["Visible"]["Socks"]["productName"]
    (walmart.folder / "items.jsonl").write_text("".join(json.dumps(one) + "\n" for one in given))
    ran = walmart.run("--destination", "out/", **VERSION, items="items.jsonl")
    assert ran.code == 3
    found = walmart.lines("out/rejects.jsonl")
    assert [one["answer"]["sku"] for one in found] == ["SKU-1", "SKU-600", "SKU-1200"]
    assert [(one["number"], one["record"]) for one in found] == [(n, given[n - 1]) for n in (1, 600, 1200)]
    assert (ran.last["rejects"]["sent"], ran.last["rejects"]["accepted"]) == (1200, 1197)
    assert found[0]["reason"] == (
        "ERR_PDI_0001 'price' is a number greater than 0.; "
        "ERR_PDI_0001 'productName' is required but not supplied."
    )
    pages = walmart.server.ledger.entries("rejects")
    assert [page.query.partition("offset=")[2] for page in pages] == ["0", "1000", "1200"]
    assert walmart.server.ledger.records.counts()["accepted"] == 1197


def test_a_feed_that_failed_as_a_whole_says_why(walmart: Vendor) -> None:
    walmart.server.options.fails = True
    ran = walmart.run("--destination", "out/", **VERSION, items=[item(1)])
    assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (4, "failed", "ERROR")
    assert "the feed could not be processed" in ran.stderr


def test_a_wrong_secret_ends_it_at_the_login(walmart: Vendor) -> None:
    ran = walmart.run(**VERSION, items=[item(1)], connection={"password": "wrong"})
    assert ran.code == 1
    assert "login is refused at token" in ran.stderr
    assert walmart.server.ledger.count("submit") == 0


def test_more_items_than_a_feed_takes_are_sent_as_several(walmart: Vendor) -> None:
    with (walmart.folder / "items.jsonl").open("w") as file:
        file.writelines(json.dumps(item(number)) + "\n" for number in range(10_002))
    ran = walmart.run("--destination", "out/", **VERSION, items="items.jsonl")
    assert ran.code == 0, ran.stderr
    ledger = walmart.server.ledger
    assert [len(ledger.records.accepted(job)) for job in ledger.job_ids()] == [10_000, 2]
    assert all(entry.size < 25_000_000 for entry in ledger.entries("submit"))


def test_a_token_that_expires_and_a_feed_too_many_are_waited_out() -> None:
    options = {"queue_seconds": 600, "seconds": 3600}
    inputs = {**VERSION, "items": [item(1)]}
    with driven("walmart", "walmart/item_feed", options, **inputs) as (client, server):
        server.faults.add("submit", 429, headers={"Retry-After": "120"})
        assert client.outcome().state == "done"
        assert server.ledger.accepted() == 1
        tokens = [entry for entry in server.ledger.entries() if entry.path == "/v3/token"]
        assert len(tokens) >= 4, "15 minutes each"
