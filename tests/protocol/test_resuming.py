"""Which bodies go on where they broke off, and which answers are their rest."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.protocol import (
    BodyBroken,
    BodyEnded,
    Finish,
    Receive,
    Responded,
    Response,
    Resume,
    Wait,
)
from airflow_asyncjob.protocol.resuming import resume_of
from tests.protocol.driving import DENIED, SORRY, W, answer
from tests.protocol.test_download_machine import Fetch

TAG = '"a1b2"'
DATE, LATER = "Sun, 22 Nov 2026 10:00:00 GMT", "Sun, 22 Nov 2026 10:00:01 GMT"
FIRST = {"etag": TAG, "content-length": "5000"}
URL = "https://api.example.com/x?k=secret"
BROKEN = BodyBroken("GET https://files.example.com/1", "1000 of 5000 bytes", 1000)


def first(**headers: str) -> Response:
    return Response(200, {name.replace("_", "-"): value for name, value in headers.items()}, b"", URL)


def rest(of: str = "bytes 1000-4999/5000", url: str = URL, **headers: str) -> Responded:
    told = {"content-range": of, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Responded(Response(206, told, b"", url, "GET https://files.example.com/1"))


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"etag": TAG}, TAG),
        ({"etag": '""'}, '""'),
        ({"etag": TAG, "accept_ranges": "bytes"}, TAG),
        ({"etag": TAG, "last_modified": DATE, "date": DATE}, TAG),
        ({"last_modified": DATE, "date": LATER}, DATE),
        ({"etag": TAG, "accept_ranges": "none"}, None),
        ({"etag": "W/" + TAG}, None),
        ({"etag": "W/" + TAG, "last_modified": DATE, "date": LATER}, None),
        ({"etag": "a1b2"}, None),
        ({"etag": '"a", "b"'}, None),
        ({"etag": ""}, None),
        ({"last_modified": DATE, "date": DATE}, None),
        ({"last_modified": LATER, "date": DATE}, None),
        ({"last_modified": DATE}, None),
        ({"last_modified": "yesterday", "date": LATER}, None),
        ({}, None),
    ],
)
def test_only_a_strong_validator_says_that_a_body_is_the_same(
    headers: dict[str, str], validator: str | None
) -> None:
    resume = resume_of(first(**headers), 7)
    assert resume == (None if validator is None else Resume(7, validator))


@pytest.mark.parametrize("received", [None, 0])
def test_bytes_that_did_not_come_whole_are_nothing_to_go_on_from(received: int | None) -> None:
    assert resume_of(first(etag=TAG), received) is None


def test_what_is_a_part_itself_does_not_go_on() -> None:
    assert resume_of(Response(206, {"etag": TAG}, b"", URL), 7) is None


def test_a_post_has_no_ranges() -> None:
    fetch = Fetch({"result": {"request": {"url": "/files", "method": "POST"}}})
    assert fetch.tell(answer(200, None, FIRST), BROKEN, W).send.resume is None


def broken(headers: dict[str, str] | None = None) -> Fetch:
    return Fetch().tell(answer(200, None, FIRST if headers is None else headers), BROKEN)


def test_a_broken_body_goes_on_where_it_broke_off() -> None:
    fetch = broken()
    assert isinstance(fetch.command, Wait)
    assert fetch.tell(W).send.resume == Resume(1000, TAG)
    assert fetch.tell(rest()).command == Receive(again=True, goes_on=True)
    assert fetch.machine.notes == [
        "GET https://files.example.com/1: the download goes on from byte 1,000 of 5,000"
    ]
    fetch.tell(BodyBroken("GET x", "again", 3000), W)
    assert fetch.send.resume == Resume(3000, TAG)
    assert isinstance(fetch.tell(rest("bytes 3000-4999/5000"), BodyEnded(5000)).command, Finish)


def test_an_error_in_between_keeps_the_place() -> None:
    fetch = broken().tell(W, SORRY, W)
    assert fetch.send.resume == Resume(1000, TAG)
    assert fetch.tell(DENIED).machine.phase == "fetch_refresh"


@pytest.mark.parametrize(
    ("headers", "event"),
    [
        (FIRST, rest(etag=TAG, content_length="4000")),
        ({"etag": TAG}, rest()),  # sent in chunks: its length is heard of now
        (FIRST, rest("bytes 1000-4999/*")),
        (FIRST, rest("Bytes 1000-4999/5000")),
        ({**FIRST, "content-encoding": "gzip"}, rest(content_encoding="GZIP")),
        ({**FIRST, "content-encoding": "gzip"}, rest()),
        (FIRST, rest(content_encoding="identity")),
        ({"last-modified": DATE, "date": LATER}, rest(last_modified=DATE)),
        (FIRST, rest(url="https://api.example.com/x?k=another-signature")),
    ],
)
def test_what_fits_is_taken(headers: dict[str, str], event: Responded) -> None:
    assert broken(headers).tell(W, event).command == Receive(again=True, goes_on=True)


BY_DATE = {"last-modified": DATE, "date": LATER, "content-encoding": "gzip"}


@pytest.mark.parametrize(
    ("headers", "event", "says"),
    [
        (FIRST, rest(""), "its Content-Range is ''"),
        (FIRST, rest("bytes 999-4999/5000"), "its Content-Range is 'bytes 999-4999/5000'"),
        (FIRST, rest("bytes 1000-999/5000"), "its Content-Range is"),
        (FIRST, rest("items 1000-4999/5000"), "its Content-Range is 'items"),
        (FIRST, rest("bytes 1000-4998/5000"), "the first answer had 5000 Content-Length"),
        (FIRST, rest("bytes 1000-5999/6000"), "the first answer had 5000 Content-Length"),
        ({"etag": TAG}, rest("bytes 1000-4999/*"), "the first answer had no Content-Length"),
        (FIRST, rest(content_length="3999"), "its Content-Length is 3999, not 4000"),
        (FIRST, rest(etag='"c3"'), "its etag is '\"c3\"', and was '\"a1b2\"'"),
        (FIRST, rest(etag="W/" + TAG), "its etag is 'W/"),
        ({"last-modified": DATE, "date": LATER}, rest(last_modified=LATER), "its last-modified is"),
        (FIRST, rest(content_encoding="gzip"), "its Content-Encoding is 'gzip', and was ''"),
        (BY_DATE, rest(), "its Content-Encoding is '', and was 'gzip'"),
        (FIRST, rest(url="https://mirror.example.com/y"), "a redirect led to another address"),
    ],
)
def test_what_does_not_fit_is_fetched_from_the_start(
    headers: dict[str, str], event: Responded, says: str
) -> None:
    fetch = broken(headers).tell(W, event)
    assert isinstance(fetch.command, Wait)
    (note,) = fetch.machine.notes
    assert note.startswith(
        "GET https://files.example.com/1 answered 206 to bytes=1000-, which does not fit: "
    )
    assert says in note
    assert note.endswith("; it is fetched from its start")
    assert fetch.tell(W).send.resume is None
    assert fetch.tell(answer(200, None, FIRST)).command == Receive(again=True)


def test_a_range_that_is_not_there_is_no_refusal() -> None:
    fetch = broken().tell(W, answer(416, None, {"content-range": "bytes */1000"}), W)
    assert fetch.send.resume is None
    assert "answered 416 to bytes=1000-; it is fetched from its start" in fetch.machine.notes[0]


def test_a_whole_body_in_place_of_its_rest_is_compared_from_its_start() -> None:
    other: dict[str, Any] = {"etag": '"new"', "content-length": "6000"}
    fetch = broken().tell(W, answer(200, None, other))
    assert fetch.command == Receive(again=True, goes_on=False)
    assert (
        "from byte 1,000 on, was not to be had alone, and it comes from its start" in fetch.machine.notes[0]
    )
    fetch.tell(BodyBroken("GET x", "again", 500), W)
    assert fetch.send.resume == Resume(500, '"new"')


@pytest.mark.parametrize("received", [4999, 5001, None])
def test_a_rest_that_is_not_as_long_as_it_said_is_no_end(received: int | None) -> None:
    fetch = broken().tell(W, rest(), BodyEnded(received))
    assert isinstance(fetch.command, Wait)
    assert fetch.tell(W).send.resume is None


def test_the_tries_are_counted_whether_it_goes_on_or_not() -> None:
    fetch = Fetch({"limits": {"retries": 1}}).tell(answer(200, None, FIRST), BROKEN, W, rest(), BROKEN)
    assert "2 tries of the download did not work" in fetch.error.message
