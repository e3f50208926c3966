"""amazon/mws_feed, from the command to the rejects, against the fake of what Amazon has switched off."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from itertools import pairwise

import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.testing.amazon_mws import AmazonMwsOptions
from tests.cli.command import Asyncjob
from tests.testing.vendors import Vendor, driven

WHO = {"seller_id": AmazonMwsOptions.seller_id}
PRODUCTS = [
    {"SKU": "A", "DescriptionData": {"Title": "Socken & <Söhne>", "BulletPoint": ["warm", "rot"]}},
    {"SKU": "B"},
    {"SKU": "C"},
]


@pytest.fixture
def mws(asyncjob: Asyncjob) -> Iterator[Vendor]:
    with FakeJobServer("amazon_mws", queue_seconds=0.1, seconds=0.1) as server:
        yield Vendor("amazon/mws_feed", server, asyncjob)


def test_products_are_sent_as_xml_with_their_checksum(mws: Vendor) -> None:
    ran = mws.run("--destination", "out/", **WHO, products=PRODUCTS)
    assert ran.code == 0, ran.stderr
    assert (ran.last["state"], ran.last["rejects"]["records"]) == ("done", 0)
    (sent,) = mws.server.ledger.entries("submit")
    assert sent.headers["content-type"] == "text/xml"
    digest = hashlib.md5(sent.body.encode(), usedforsecurity=False).digest()
    assert sent.headers["content-md5"] == base64.b64encode(digest).decode()
    assert (
        "<Message><MessageID>1</MessageID><OperationType>Update</OperationType><Product><SKU>A</SKU>"
        "<DescriptionData><Title>Socken &amp; &lt;Söhne&gt;</Title><BulletPoint>warm</BulletPoint>"
        "<BulletPoint>rot</BulletPoint></DescriptionData></Product></Message>"
    ) in sent.body
    assert mws.server.ledger.records.accepted() == ["A", "B", "C"]


def test_what_is_refused_is_written_with_its_reasons(mws: Vendor) -> None:
    mws.server.options.refuse_every = 2
    ran = mws.run("--destination", "out/", **WHO, products=[{"Title": "no SKU"}, *PRODUCTS])
    assert ran.code == 3
    found = mws.lines("out/rejects.jsonl")
    assert [(one["stage"], one["number"], one["key"]["SKU"], one["reason"]) for one in found] == [
        ("local", 1, None, "field SKU is required, and is not there"),
        ("job", 3, "B", "SKU B, Missing Attributes product_type."),
    ]
    assert found[1]["record"] == {"SKU": "B"}
    assert found[1]["answer"]["MessageID"] == "2", "the first of the caller was not sent"
    assert ran.last["rejects"]["accepted"] == 2
    assert mws.server.ledger.records.accepted() == ["A", "C"]


def test_a_cancelled_feed_fails(mws: Vendor) -> None:
    mws.server.options.ends = "_CANCELLED_"
    ran = mws.run("--destination", "out/", **WHO, products=PRODUCTS)
    assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (4, "cancelled", "_CANCELLED_")


def test_a_feed_that_takes_too_long_is_cancelled_while_it_waits(mws: Vendor) -> None:
    mws.server.options.queue_seconds = 60
    ran = mws.run(**WHO, products=PRODUCTS, changed={"status": {"timeout": 1, "poll_wait": 0.5}})
    assert (ran.code, ran.last["state"]) == (5, "timed_out")
    assert mws.server.ledger.running() == 0


def test_a_wrong_key_and_a_wrong_seller_are_refused_in_amazons_words(mws: Vendor) -> None:
    wrong = mws.run(**WHO, products=PRODUCTS, connection={"password": "AKIAOTHER"})
    assert wrong.code == 1
    assert "The AWS Access Key Id you provided does not exist" in wrong.stderr
    assert "AKIAOTHER" not in wrong.stderr
    assert mws.run(seller_id="other", products=PRODUCTS).code == 1
    assert mws.server.ledger.accepted() == 0


def test_the_limits_of_mws_are_kept_by_the_definitions_own_waits() -> None:
    options = {"queue_seconds": 600, "seconds": 3600}
    with driven("amazon_mws", "amazon/mws_feed", options, **WHO, products=PRODUCTS) as (client, server):
        server.faults.add("poll", 503, times=2)
        assert client.outcome().state == "done"
        polls = server.ledger.entries("poll")
        assert [entry.code for entry in polls if entry.code != 200] == [503, 503], "none was throttled"
        assert all(later.at - earlier.at >= 45 for earlier, later in pairwise(polls[2:]))


def test_the_entry_says_that_mws_is_retired() -> None:
    job = AsyncJob.load("amazon/mws_feed")
    assert "retired" in job.description


def test_a_feed_that_was_surely_not_taken_is_sent_again() -> None:
    with driven("amazon_mws", "amazon/mws_feed", {}, **WHO, products=PRODUCTS) as (client, server):
        server.faults.add("submit", 429, headers={"Retry-After": "60"})
        assert client.outcome().state == "done"
        assert server.ledger.accepted() == 1
