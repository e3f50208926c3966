"""amazon/report, from the command to the file, against the fake of Amazon's Selling Partner API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.testing.amazon_reports import expected_listings
from tests.cli.command import Asyncjob
from tests.testing.driving import Client
from tests.testing.vendors import Vendor, driven

MARKETS = ["ATVPDKIKX0DER"]


@pytest.fixture
def amazon(asyncjob: Asyncjob) -> Iterator[Vendor]:
    with FakeJobServer("amazon", rows=20, queue_seconds=0.1, seconds=0.2) as server:
        yield Vendor("amazon/report", server, asyncjob)


def test_a_report_becomes_a_file(amazon: Vendor) -> None:
    ran = amazon.run(
        "--destination",
        "out.jsonl",
        report_type="GET_FLAT_FILE_OPEN_LISTINGS_DATA",
        marketplace_ids=MARKETS,
        start="2026-01-01T00:00:00Z",
        options={"custom": "true"},
    )
    assert ran.code == 0, ran.stderr
    assert (ran.last["state"], ran.last["records"]) == ("done", 20)
    assert amazon.lines("out.jsonl") == list(expected_listings(20))
    ledger = amazon.server.ledger
    sent = ledger.entries("submit")
    assert json.loads(sent[0].body) == {
        "reportType": "GET_FLAT_FILE_OPEN_LISTINGS_DATA",
        "marketplaceIds": MARKETS,
        "dataStartTime": "2026-01-01T00:00:00+00:00",
        "reportOptions": {"custom": "true"},
    }
    assert (ledger.accepted(), ledger.running(), ledger.count("result")) == (1, 0, 1)
    assert "x-amz-access-token" not in ledger.entries("result")[0].headers
    assert "authorization" not in sent[0].headers


def test_what_amazon_makes_optional_is_left_out(amazon: Vendor) -> None:
    assert amazon.run(marketplace_ids=MARKETS).code == 0
    assert set(json.loads(amazon.server.ledger.entries("submit")[0].body)) == {"reportType", "marketplaceIds"}


def test_a_report_without_data_is_no_failure(amazon: Vendor) -> None:
    amazon.server.options.ends = "CANCELLED"
    ran = amazon.run("--destination", "out.jsonl", marketplace_ids=MARKETS)
    assert (ran.code, ran.last["state"], ran.last["records"]) == (0, "no_data", 0)


def test_a_fatal_report_says_where_the_reason_may_be(amazon: Vendor) -> None:
    amazon.server.options.ends = "FATAL"
    ran = amazon.run("--destination", "out.jsonl", marketplace_ids=MARKETS)
    assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (4, "failed", "FATAL")
    assert "Amazon stopped the report. The document (none) may say why." in ran.stderr


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"password": "wrong"}, "Client authentication failed"),
        ({"extra": {"refresh_token": "Atzr|other"}}, "The request has an invalid grant parameter"),
    ],
)
def test_wrong_credentials_end_it_at_the_login(amazon: Vendor, other: dict[str, Any], said: str) -> None:
    extra = amazon.server.connection["extra"] | other.get("extra", {})
    ran = amazon.run(marketplace_ids=MARKETS, connection={**other, "extra": extra})
    assert ran.code == 1
    assert said in ran.stderr
    assert "login is refused at token" in ran.stderr
    assert "Atzr|other" not in ran.stderr
    assert amazon.server.ledger.count("submit") == 0


def test_a_refused_body_comes_with_amazons_words(amazon: Vendor) -> None:
    ran = amazon.run(marketplace_ids=[])
    assert ran.code == 1
    assert "400" in ran.stderr
    assert "marketplaceIds must have 1 to 25 entries" in ran.stderr


def test_a_report_that_takes_too_long_is_cancelled_while_it_waits(amazon: Vendor) -> None:
    amazon.server.options.queue_seconds = 60
    ran = amazon.run(marketplace_ids=MARKETS, changed={"status": {"timeout": 1}})
    assert (ran.code, ran.last["state"]) == (5, "timed_out")
    assert [entry.code for entry in amazon.server.ledger.entries("cancel")] == [200]
    assert amazon.server.ledger.running() == 0


@pytest.fixture
def hours() -> Iterator[tuple[Client, FakeJobServer]]:
    options = {"rows": 5, "queue_seconds": 60, "seconds": 2 * 3600}
    with driven("amazon", "amazon/report", options, marketplace_ids=MARKETS) as found:
        yield found


def test_an_access_token_that_expires_in_the_wait_is_fetched_again(
    hours: tuple[Client, FakeJobServer],
) -> None:
    client, server = hours
    assert client.outcome().state == "done"
    refused = [entry.at for entry in server.ledger.entries("poll") if entry.code == 403]
    assert len(refused) == 2, "an hour each"
    assert len([entry for entry in server.ledger.entries() if entry.path == "/auth/o2/token"]) == 3


def test_amazons_limits_are_kept_by_the_definitions_own_waits(
    hours: tuple[Client, FakeJobServer],
) -> None:
    client, server = hours
    client.outcome()
    assert [entry for entry in server.ledger.entries() if entry.code == 429] == []


def test_a_request_too_many_is_sent_again_later(
    hours: tuple[Client, FakeJobServer],
) -> None:
    client, server = hours
    body = json.dumps({"errors": [{"code": "QuotaExceeded", "message": "You exceeded your quota"}]})
    server.faults.add("submit", 429, body=body)
    server.faults.add("poll", 429, headers={"Retry-After": "300"}, times=2)
    assert client.outcome().state == "done"
    assert server.faults.active() == []
    assert (server.ledger.accepted(), server.ledger.count("submit")) == (1, 2)


@pytest.mark.parametrize("fault", ["truncate", "reset", "slow", 503])
def test_a_document_that_does_not_come_whole_is_fetched_again(amazon: Vendor, fault: Any) -> None:
    amazon.server.faults.add("result", fault, **({"seconds": 0.2} if fault == "slow" else {}))
    ran = amazon.run("--destination", "out.jsonl", marketplace_ids=MARKETS)
    assert ran.code == 0, ran.stderr
    assert amazon.lines("out.jsonl") == list(expected_listings(20))
    assert amazon.server.ledger.count("result") == (1 if fault == "slow" else 2)


@pytest.mark.parametrize("fault", ["garbage", "html"])
def test_a_document_that_is_none_is_an_error_and_no_file(amazon: Vendor, fault: Any) -> None:
    amazon.server.faults.add("result", fault, times=None)
    ran = amazon.run("--destination", "out.jsonl", marketplace_ids=MARKETS)
    assert ran.code == 1
    assert not (amazon.folder / "out.jsonl").exists()


def test_an_address_that_expired_is_a_refusal_that_shows_no_signature(amazon: Vendor) -> None:
    said = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
    amazon.server.faults.add("result", 403, body=said, times=2)
    ran = amazon.run("--destination", "out.jsonl", marketplace_ids=MARKETS)
    assert ran.code == 1
    assert "answered 403" in ran.stderr
    assert "Request has expired" in ran.stderr
    assert "X-Amz-Signature=***" in ran.stderr
    assert not (amazon.folder / "out.jsonl").exists()
