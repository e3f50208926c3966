"""The trace: what of an exchange is kept, and what is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_asyncjob.protocol.messages import Purpose
from airflow_asyncjob.transport.trace import Exchange, Trace, shape_of
from tests.transport.wires import Face, Server, asks, http

Serve = Callable[..., Server]


def exchange(number: int) -> Exchange:
    return Exchange("poll", "GET", f"https://h/{number}", 1_800_000_000.25 + number, 0.123456)


def test_the_first_and_the_last_are_kept_and_the_rest_is_counted() -> None:
    trace = Trace(limit=5)
    for number in range(10):
        trace.add(exchange(number))
    assert [e.url[-1] for e in trace.exchanges] == ["0", "1", "2", "8", "9"]
    assert (len(trace), trace.to_dict()["left_out"]) == (10, 5)


def test_it_is_json_with_times_that_people_can_read() -> None:
    trace = Trace()
    trace.add(exchange(0))
    (noted,) = json.loads(trace.to_json())["exchanges"]
    assert noted["started"] == "2027-01-15T08:00:00.250+00:00"
    assert noted["elapsed"] == 0.1235
    assert noted["code"] is None


def test_an_exchange_is_noted_with_sizes_and_headers(serve: Serve, connect: Face) -> None:
    wire = connect(serve(http(202, b'{"id": 7}', {"X-Request-Id": "r-1"})).url)
    wire.answer(asks(Purpose.SUBMIT, "/jobs", method="POST", json={"list": "people"}))
    (noted,) = wire.trace.exchanges
    assert (noted.purpose, noted.method, noted.code, noted.fault) == ("submit", "POST", 202, None)
    assert (noted.request_bytes, noted.response_bytes) == (len(b'{"list":"people"}'), 9)
    assert noted.request_headers["content-type"] == "application/json"
    assert noted.response_headers["x-request-id"] == "r-1"
    assert noted.response == '{"id": 7}'
    assert noted.request_shape == {"list": "string of 6"}
    assert noted.elapsed > 0


@pytest.mark.parametrize(
    ("purpose", "code", "kept"),
    [
        (Purpose.SUBMIT, 200, True),
        (Purpose.POLL, 200, True),
        (Purpose.CANCEL, 200, False),
        (Purpose.DELETE, 200, False),
        (Purpose.RESULT, 200, False),
        (Purpose.RESULT, 404, True),
        (Purpose.CANCEL, 409, True),
    ],
)
def test_a_kilobyte_of_an_answer_is_kept_where_it_is_no_result(
    serve: Serve, connect: Face, purpose: Purpose, code: int, kept: bool
) -> None:
    wire = connect(serve(http(code, b"x" * 5000)).url)
    wire.send(asks(purpose, stream=False))
    assert wire.trace.exchanges[0].response == ("x" * 1024 + "…" if kept else "")


def test_faults_and_refusals_are_noted(serve: Serve, connect: Face) -> None:
    wire = connect("http://127.0.0.1:1")
    wire.fault(asks())
    wire.fault(asks(url="ftp://h/x"))
    assert [(e.method, e.fault, e.code) for e in wire.trace.exchanges] == [
        ("GET", "not_sent", None),
        ("GET", "refused", None),
    ]
    assert "ftp" in wire.trace.exchanges[1].url


def test_every_hop_of_a_redirect_is_noted(serve: Serve, connect: Face) -> None:
    other = serve(http(body=b"rows"))
    own = serve(http(302, headers={"Location": f"{other.url}/f?X-Amz-Signature=planted&part=2"}))
    wire = connect(own.url)
    with wire.open(asks(Purpose.RESULT)) as opened:
        opened.read()
    first, second = wire.trace.exchanges
    assert (first.code, first.response_headers["location"]) == (
        302,
        f"{other.url}/f?X-Amz-Signature=***&part=2",
    )
    assert (second.code, second.url, second.response_bytes) == (
        200,
        f"{other.url}/f?X-Amz-Signature=***&part=2",
        4,
    )


def test_a_trace_of_many_polls_stays_small(serve: Serve, connect: Face) -> None:
    wire = connect(serve(http(body=b"x" * 100_000)).url, trace=Trace(limit=4))
    for _ in range(20):
        wire.answer(asks())
    assert len(wire.trace.to_json()) < 20_000


# Shapes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (
            {"email": "ann@example.com", "age": 7, "score": 1.5, "ok": True, "none": None},
            {"email": "string of 15", "age": "integer", "score": "number", "ok": "boolean", "none": "null"},
        ),
        ([{"a": 1}, {"a": 2}, {"a": 3}], [{"a": "integer"}, "3 in all"]),
        ([], "list of 0"),
        ({"ann@example.com": {"x": 1}}, {"…": {"x": "integer"}}),
        ({"a": {"b": {"c": {"d": {"e": 1}}}}}, {"a": {"b": {"c": {"d": "object of 1"}}}}),
        ("text", "string of 4"),
        (None, "null"),
    ],
)
def test_of_a_body_names_and_types_are_kept(value: Any, shape: Any) -> None:
    assert shape_of(json.dumps(value).encode(), "application/json; charset=utf-8") == shape


def test_a_wide_object_is_cut() -> None:
    shape = shape_of(json.dumps({f"field_{n}": n for n in range(50)}).encode(), "application/json")
    assert (len(shape), shape["…"]) == (31, "20 more")


@pytest.mark.parametrize(
    ("body", "kind", "shape"),
    [
        (b"a=ann&b=", "application/x-www-form-urlencoded", {"a": "string of 3", "b": "string of 0"}),
        (b"<a>ann</a>", "application/xml; charset=utf-8", "application/xml of 10 bytes"),
        (b"ann", None, "body of 3 bytes"),
        (b"{broken", "application/json", "application/json of 7 bytes"),
        (b"", "application/json", None),
        (None, None, None),
    ],
)
def test_of_other_bodies_the_kind_and_the_size_are_kept(
    body: bytes | None, kind: str | None, shape: Any
) -> None:
    assert shape_of(body, kind) == shape
