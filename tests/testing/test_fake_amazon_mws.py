"""The fake of Amazon MWS refuses what its documentation says is refused."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_asyncjob.testing import FakeClock, FakeJobServer, Refused
from airflow_asyncjob.testing.amazon_mws import AmazonMwsOptions

WHO = {"AWSAccessKeyId": AmazonMwsOptions.access_key_id, "SellerId": AmazonMwsOptions.seller_id}
SUBMIT = {"Action": "SubmitFeed", "FeedType": "_POST_PRODUCT_DATA_"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def server(clock: FakeClock) -> Iterator[FakeJobServer]:
    with FakeJobServer("amazon_mws", clock=clock, queue_seconds=10, seconds=50) as running:
        yield running


def called(
    server: FakeJobServer, query: dict[str, str], content: bytes = b"", **headers: str
) -> httpx.Response:
    params = {**WHO, "Version": "2009-01-01", **query}
    return httpx.post(f"{server.url}/", params=params, content=content, headers=headers)


def submitted(server: FakeJobServer, content: bytes, **changed: Any) -> httpx.Response:
    digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
    headers = {"Content-MD5": digest, "Content-Type": "text/xml", **changed.pop("headers", {})}
    return called(server, {**SUBMIT, **changed}, content, **headers)


def envelope(*messages: str) -> bytes:
    inner = "".join(
        f"<Message><MessageID>{number}</MessageID><OperationType>Update</OperationType>{one}</Message>"
        for number, one in enumerate(messages, 1)
    )
    return f"<AmazonEnvelope><MessageType>Product</MessageType>{inner}</AmazonEnvelope>".encode()


def product(sku: str) -> str:
    return f"<Product><SKU>{sku}</SKU></Product>"


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.text.partition("<Code>")[2].partition("</Code>")[0]


def test_a_feed_is_processed_and_its_report_names_what_is_wrong(
    server: FakeJobServer, clock: FakeClock
) -> None:
    server.options.refuse_every = 3
    sent = submitted(server, envelope(product("A"), "<Product/>", product("C &amp; D"), product("E")))
    assert "<SubmitFeedResponse" in sent.text
    feed = sent.text.partition("<FeedSubmissionId>")[2].partition("<")[0]
    chosen = {"Action": "GetFeedSubmissionList", "FeedSubmissionIdList.Id.1": feed}
    result = {"Action": "GetFeedSubmissionResult", "FeedSubmissionId": feed}
    for status in ("_SUBMITTED_", "_IN_PROGRESS_"):
        listed = called(server, chosen).text
        assert f"<FeedProcessingStatus>{status}</FeedProcessingStatus>" in listed
        assert error(called(server, result)) == (404, "FeedProcessingResultNotReady")
        clock.advance(30)
    assert "_DONE_" in called(server, chosen).text
    report = called(server, result)
    digest = base64.b64encode(hashlib.md5(report.content, usedforsecurity=False).digest()).decode()
    assert report.headers["Content-MD5"] == digest
    for words in (
        "<MessagesProcessed>4</MessagesProcessed><MessagesSuccessful>2</MessagesSuccessful>",
        "<MessageID>2</MessageID><ResultCode>Error</ResultCode>",
        "<AdditionalInfo><SKU>C &amp; D</SKU></AdditionalInfo>",
    ):
        assert words in report.text
    assert server.ledger.records.accepted(feed) == ["A", "E"]
    assert server.ledger.records.refused(feed) == [
        Refused(feed, 2, None, "The SKU is missing."),
        Refused(feed, 3, "C & D", "SKU C & D, Missing Attributes product_type."),
    ]


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"AWSAccessKeyId": "other"}, (403, "InvalidAccessKeyId")),
        ({"SellerId": "other"}, (401, "AccessDenied")),
        ({"Version": "2010-01-01"}, (400, "InvalidParameterValue")),
        ({"Action": "Nothing"}, (404, "InvalidAddress")),
        ({"FeedType": "POST_PRODUCT_DATA"}, (400, "InvalidParameterValue")),
        ({"headers": {"Content-Type": "application/json"}}, (400, "InvalidParameterValue")),
        ({"headers": {"Content-MD5": ""}}, (400, "ContentMD5DoesNotMatch")),
    ],
    ids=str,
)
def test_a_wrong_request_is_refused(
    server: FakeJobServer, changed: dict[str, Any], wanted: tuple[int, str]
) -> None:
    assert error(submitted(server, envelope(product("A")), **changed)) == wanted
    assert server.ledger.accepted() == 0


def test_a_feed_over_the_limit_is_refused(server: FakeJobServer) -> None:
    server.options.most_bytes = 50
    assert error(submitted(server, envelope(product("A")))) == (400, "InvalidParameterValue")


def test_who_asks_too_often_is_throttled(server: FakeJobServer, clock: FakeClock) -> None:
    query = {"Action": "GetFeedSubmissionList"}
    assert {called(server, query).status_code for _ in range(10)} == {200}
    assert error(called(server, query)) == (503, "RequestThrottled")
    clock.advance(45)
    assert called(server, query).status_code == 200


def test_only_what_waits_can_be_cancelled(server: FakeJobServer, clock: FakeClock) -> None:
    feed = submitted(server, envelope(product("A"))).text.partition("<FeedSubmissionId>")[2].partition("<")[0]
    cancel = {"Action": "CancelFeedSubmissions", "FeedSubmissionIdList.Id.1": feed}
    assert "<Count>1</Count>" in called(server, cancel).text
    assert "<Count>0</Count>" in called(server, cancel).text
    assert server.ledger.running() == 0


@pytest.mark.parametrize("content", [b"nonsense", b"<Other/>"])
def test_a_feed_that_is_no_envelope_is_in_the_report(
    server: FakeJobServer, clock: FakeClock, content: bytes
) -> None:
    feed = submitted(server, content).text.partition("<FeedSubmissionId>")[2].partition("<")[0]
    clock.advance(60)
    report = called(server, {"Action": "GetFeedSubmissionResult", "FeedSubmissionId": feed}).text
    assert "<MessagesProcessed>0</MessagesProcessed>" in report
    assert "<MessageID>0</MessageID><ResultCode>Error</ResultCode>" in report


def test_options_of_a_wrong_value_are_an_error() -> None:
    with pytest.raises(ValueError, match="ends is one of _DONE_, _CANCELLED_, not 'DONE'"):
        FakeJobServer("amazon_mws", ends="DONE")
