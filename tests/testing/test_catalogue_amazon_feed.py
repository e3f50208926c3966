"""amazon/feed, from the command to the rejects, against the fake of Amazon's Selling Partner API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_asyncjob.testing import FakeJobServer
from tests.cli.command import Asyncjob
from tests.testing.vendors import Vendor, driven

WHO = {"seller_id": "A1", "marketplace_ids": ["ATVPDKIKX0DER"]}
TYPE = "application/json; charset=UTF-8"


def listing(number: int, **other: Any) -> dict[str, Any]:
    made = {"sku": f"SKU-{number}", "operationType": "UPDATE", "productType": "LUGGAGE"}
    return {**made, "attributes": {"item_name": [{"value": "Koffer, groß"}]}, **other}


@pytest.fixture
def amazon(asyncjob: Asyncjob) -> Iterator[Vendor]:
    with FakeJobServer("amazon", queue_seconds=0.1, seconds=0.1) as server:
        yield Vendor("amazon/feed", server, asyncjob)


def sent(server: FakeJobServer) -> dict[str, Any]:
    (upload,) = server.ledger.entries("upload")
    found: dict[str, Any] = json.loads(upload.body)
    return found


def test_listings_are_sent_in_the_order_that_amazon_wants(amazon: Vendor) -> None:
    ran = amazon.run("--destination", "out/", **WHO, listings=[listing(1), listing(2)])
    assert ran.code == 0, ran.stderr
    assert (ran.last["state"], ran.last["uris"], ran.last["rejects"]["records"]) == ("done", [], 0)
    ledger = amazon.server.ledger
    paths = [(entry.method, entry.path.split("/")[-1]) for entry in ledger.entries() if entry.host == "api"]
    assert paths[:3] == [("POST", "token"), ("POST", "documents"), ("POST", "feeds")]
    document = sent(amazon.server)
    assert document["header"] == {"sellerId": "A1", "version": "2.0", "issueLocale": "en_US"}
    assert document["messages"] == [{"messageId": 1, **listing(1)}, {"messageId": 2, **listing(2)}]
    assert ledger.entries("upload")[0].headers["content-type"] == TYPE
    assert "x-amz-access-token" not in ledger.entries("upload")[0].headers
    assert ledger.records.accepted() == ["SKU-1", "SKU-2"]


def test_what_amazon_refuses_is_written_with_its_reasons(amazon: Vendor) -> None:
    amazon.server.options.refuse_every = 4
    wrong = listing(2, operationType="PATCH")
    given = [listing(1), wrong, listing(3), {"sku": "", "operationType": "DELETE"}, listing(5)]
    ran = amazon.run("--destination", "out/", **WHO, listings=given)
    assert ran.code == 3
    manifest = ran.last["rejects"]
    assert (manifest["sent"], manifest["accepted"], manifest["unmatched"]) == (4, 2, 0)
    found = amazon.lines("out/rejects.jsonl")
    told = [
        (one["stage"], one["number"], one["key"]["sku"], (one["answer"] or {}).get("code")) for one in found
    ]
    assert told == [
        ("local", 4, "", None),
        ("job", 2, "SKU-2", "4002008"),
        ("job", 5, "SKU-5", "90220"),
        ("job", 5, "SKU-5", "90220"),
    ]
    assert found[1]["record"] == wrong
    assert found[1]["reason"].startswith("The provided message did not meet the schema")
    records = amazon.server.ledger.records
    assert [(one.number, one.key) for one in records.refused()] == [(2, "SKU-2"), (4, "SKU-5")]
    assert records.accepted() == ["SKU-1", "SKU-3"], "the fourth of the caller was not sent"


def test_every_listing_is_accepted_or_rejected_as_the_server_has_it(amazon: Vendor) -> None:
    amazon.server.options.refuse_every = 7
    given = [
        listing(number, **({"operationType": "NOPE"} if number % 11 == 0 else {}))
        for number in range(1, 2001)
    ]
    for number in range(0, 2000, 13):
        del given[number]["sku"]
    (amazon.folder / "listings.jsonl").write_text("".join(json.dumps(one) + "\n" for one in given))
    ran = amazon.run("--destination", "out/", **WHO, listings="listings.jsonl")
    found = amazon.lines("out/rejects.jsonl")
    records = amazon.server.ledger.records
    counts = records.counts()
    manifest = ran.last["rejects"]
    assert (manifest["sent"], manifest["accepted"]) == (counts["received"], counts["accepted"])
    local = {one["number"] for one in found if one["stage"] == "local"}
    assert local == {number + 1 for number in range(0, 2000, 13)}
    refused = {one["key"]["sku"] for one in found if one["stage"] == "job"}
    assert refused == {one.key for one in records.refused()}
    skus = {one["sku"] for one in given if "sku" in one}
    assert skus == refused | set(records.accepted())
    assert not refused & set(records.accepted())


def test_a_field_that_the_feed_numbers_itself_is_refused_by_name(amazon: Vendor) -> None:
    ran = amazon.run("--destination", "out/", **WHO, listings=[listing(1, messageId=7), listing(2)])
    assert ran.code == 3
    (reject,) = amazon.lines("out/rejects.jsonl")
    assert (reject["stage"], reject["number"]) == ("local", 1)
    assert reject["reason"] == "field messageId: submit.upload.wrap has a field of that name already"
    assert [message["sku"] for message in sent(amazon.server)["messages"]] == ["SKU-2"]


def test_more_listings_than_a_feed_takes_are_sent_as_several(amazon: Vendor) -> None:
    file = amazon.folder / "listings.jsonl"
    file.write_text("".join(f'{{"sku": "S-{n}", "operationType": "DELETE"}}\n' for n in range(10_003)))
    ran = amazon.run("--destination", "out/", **WHO, listings="listings.jsonl")
    assert ran.code == 0, ran.stderr
    ledger = amazon.server.ledger
    assert [len(ledger.records.accepted(job)) for job in ledger.job_ids()] == [10_000, 3]
    assert ledger.records.counts()["refused"] == 0


def test_a_listing_over_the_limit_is_never_sent(amazon: Vendor) -> None:
    large = listing(1, attributes={"text": "x" * 10_485_760})
    (amazon.folder / "listings.json").write_text(json.dumps([large, listing(2)]))
    ran = amazon.run("--destination", "out/", **WHO, listings="listings.json")
    assert ran.code == 3, ran.stderr
    (reject,) = amazon.lines("out/rejects.jsonl")
    assert (reject["stage"], reject["key"]) == ("local", {"sku": "SKU-1"})
    assert "part_bytes allows 10,485,760" in reject["reason"]
    assert amazon.server.ledger.records.accepted() == ["SKU-2"]
    assert all(entry.size <= 10_485_760 for entry in amazon.server.ledger.entries("upload"))


def test_a_fatal_feed_fails(amazon: Vendor) -> None:
    amazon.server.options.ends = "FATAL"
    ran = amazon.run("--destination", "out/", **WHO, listings=[listing(1)])
    assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (4, "failed", "FATAL")


def test_a_wrong_token_and_an_empty_list_end_it_before_a_feed_is_made(amazon: Vendor) -> None:
    wrong = amazon.run(**WHO, listings=[listing(1)], connection={"password": "wrong"})
    assert wrong.code == 1
    assert "Client authentication failed" in wrong.stderr
    empty = amazon.run(**WHO, listings=[])
    assert empty.code != 0
    assert amazon.server.ledger.count("upload") == 0


@pytest.mark.parametrize("fault", ["reset", "lost", 503, "truncate"])
def test_an_upload_that_breaks_is_sent_again_and_the_feed_is_made_once(fault: Any) -> None:
    options = {"queue_seconds": 60, "seconds": 600}
    with driven("amazon", "amazon/feed", options, **WHO, listings=[listing(1)]) as (client, server):
        server.faults.add("upload", fault)
        assert client.outcome().state == "done"
        assert (server.ledger.count("upload"), server.ledger.accepted()) == (2, 1)
        assert server.ledger.records.accepted() == ["SKU-1"]
        assert [entry for entry in server.ledger.entries() if entry.code == 429] == []


def test_an_upload_address_that_expired_makes_the_next_try_begin_anew() -> None:
    options = {"queue_seconds": 60, "seconds": 60}
    with driven("amazon", "amazon/feed", options, **WHO, listings=[listing(1)]) as (client, server):
        server.faults.add("upload", 403, body="<Error><Message>Request has expired</Message></Error>")
        finish = client.drive()
        assert finish.error is not None
        assert "has expired" in finish.error.message
        again = client.drive(checkpoint=client.hands.stored[-1])
        assert again.outcome is not None
        assert again.outcome.state == "done"
        documents = [entry for entry in server.ledger.entries() if entry.path.endswith("/documents")]
        assert (len(documents), server.ledger.accepted()) == (2, 1)
