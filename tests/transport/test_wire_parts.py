"""Parts of an upload on the wire: whole, with their type, signed, repeated, and as a shape in the trace."""

from __future__ import annotations

import gc
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.definition.models.limits import Limits
from airflow_asyncjob.errors import UploadError
from airflow_asyncjob.protocol.messages import Fault, Purpose
from airflow_asyncjob.transport.settings import ConnectionSettings
from airflow_asyncjob.transport.sockets import Underway, underway
from airflow_asyncjob.transport.upload import PartBody, StreamedPart, upload_of_part
from tests.transport.wires import Face, Server, asks, http

Serve = Callable[..., Server]
ROWS = json.dumps([{"email": "ann@example.com", "note": "x" * 700}] * 1000).encode()
PART = {"number": 2, "records": 1000, "bytes": len(ROWS), "md5": "Q2hlY2sgSW50ZWdyaXR5IQ=="}


def part(url: str = "/x", **fields: Any) -> Any:
    names = {"part": PART, **fields.pop("names", {})}
    return asks(Purpose.SUBMIT, url, method="POST", part=True, names=names, **fields)


def sending(face: Face, body: bytes = ROWS, kind: str = "application/json") -> Face:
    face.wire.find_part = lambda number: PartBody(body, kind)
    return face


def test_a_part_is_sent_whole_with_its_length_and_type(serve: Serve, connect: Face) -> None:
    server = serve(http(201))
    wire = sending(connect(server.url))
    send = part("/data?n={{ part.number }}", headers={"Content-MD5": "{{ part.md5 }}"})
    assert wire.answer(send).code == 201
    assert server.last.body == ROWS
    assert server.last.target == "/data?n=2"
    assert server.last.headers["content-length"] == str(len(ROWS))
    assert server.last.headers["content-type"] == "application/json"
    assert server.last.headers["content-md5"] == PART["md5"]
    assert "transfer-encoding" not in server.last.headers


@pytest.mark.parametrize(
    ("given", "of_connection", "kind"),
    [
        ({}, {}, "text/csv; charset=utf-8"),
        ({"Content-Type": "text/csv"}, {}, "text/csv"),
        ({}, {"Content-Type": "application/json"}, "text/csv; charset=utf-8"),
    ],
)
def test_the_type_is_as_the_format_says_unless_the_definition_says_it(
    serve: Serve, connect: Face, given: dict[str, str], of_connection: dict[str, str], kind: str
) -> None:
    server = serve(http())
    settings = ConnectionSettings(base_url=server.url, headers=of_connection)
    sending(connect(settings), b"a\r\n1\r\n", "text/csv; charset=utf-8").answer(part(headers=given))
    assert server.last.headers["content-type"] == kind


def test_json_of_a_kind_that_the_connection_names_stays(serve: Serve, connect: Face) -> None:
    server = serve(http())
    settings = ConnectionSettings(base_url=server.url, headers={"Content-Type": "application/vnd.api+json"})
    sending(connect(settings)).answer(part())
    assert server.last.headers["content-type"] == "application/vnd.api+json"


def test_a_part_is_sent_again_as_it_was(serve: Serve, connect: Face) -> None:
    server = serve(http(503))
    wire = sending(connect(server.url))
    assert [wire.answer(part()).code for _ in range(2)] == [503, 503]
    assert [seen.body for seen in server.seen] == [ROWS, ROWS]


def test_the_trace_has_the_shape_of_a_part_and_nobody_in_it(serve: Serve, connect: Face) -> None:
    server = serve(http(200, b'{"errors": []}'))
    wire = sending(connect(server.url))
    wire.answer(part())
    trace = wire.trace.to_dict()
    (one,) = trace["exchanges"]
    assert one["request_bytes"] == len(ROWS)
    assert one["request_shape"] == f"application/json of {len(ROWS):,} bytes, 1,000 records"
    assert "ann@example.com" not in json.dumps(trace)


def test_a_part_goes_to_another_origin_without_credentials(serve: Serve, connect: Face) -> None:
    home, away = serve(http()), serve(http())
    settings = ConnectionSettings.from_parts(host=home.url, login="ann", password="hunter2hunter2")
    names = {"captures": {"link": f"{away.url}/bucket/7?sig=abc"}}
    wire = sending(connect(settings))
    assert wire.answer(part("{{ captures.link }}", names=names)).code == 200
    assert away.last.body == ROWS
    assert "authorization" not in away.last.headers


def test_a_part_has_the_wire_beside_send_it_too(serve: Serve, connect: Face) -> None:
    server = serve(http())
    wire = connect(
        ConnectionSettings(base_url=server.url),
        others=lambda name: ConnectionSettings(base_url=server.url, login="bob", password="pass-of-bob"),
    )
    wire.answer(asks(auth={"connection": "other"}))
    assert sending(wire).answer(part(auth={"connection": "other"})).code == 200
    assert server.last.body == ROWS
    assert server.last.headers["authorization"].startswith("Basic ")


def test_a_signature_covers_the_part(serve: Serve, connect: Face) -> None:
    server = serve(http())
    settings = ConnectionSettings(base_url=server.url, login="AKIA", password="secret-key-of-aws")
    auth = Auth(type="aws_sigv4", service="s3", region="eu-central-1")
    sending(connect(settings, auth=auth)).answer(part())
    assert server.last.headers["x-amz-content-sha256"] == hashlib.sha256(ROWS).hexdigest()
    assert server.last.body == ROWS


def test_a_source_that_changed_is_never_sent(serve: Serve, connect: Face) -> None:
    server = serve(http())
    wire = connect(server.url)

    def changed(number: int) -> PartBody:
        raise UploadError(f"Part {number} is not what it was.")

    wire.wire.find_part = changed
    failed = wire.fault(part())
    assert failed.fault is Fault.REFUSED
    assert isinstance(failed.error, UploadError)
    assert failed.detail == "Part 2 is not what it was."
    assert server.seen == []


def test_a_part_that_is_too_large_for_memory_is_read_while_it_is_sent(serve: Serve, connect: Face) -> None:
    server = serve(http())
    wire = connect(server.url)
    wire.wire.find_part = lambda number: StreamedPart(
        len(ROWS), lambda: iter([ROWS[:5], ROWS[5:]]), "text/csv"
    )
    wire.answer(part())
    assert (server.last.body, server.last.headers["content-length"]) == (ROWS, str(len(ROWS)))
    assert server.last.headers["content-type"] == "text/csv"


def test_a_source_that_changes_while_it_is_sent_never_becomes_a_whole_body(
    serve: Serve, connect: Face
) -> None:
    server = serve(http())
    wire = connect(server.url)

    def pieces() -> Iterator[bytes]:
        yield ROWS[:5]
        raise UploadError("the file is not what it was")

    wire.wire.find_part = lambda number: StreamedPart(len(ROWS), pieces, "text/csv")
    failed = wire.fault(part())
    assert isinstance(failed.error, UploadError)
    assert "the file is not what it was" in failed.detail


def test_a_part_that_nobody_has_cut_is_refused_by_name(serve: Serve, connect: Face) -> None:
    failed = connect(serve(http()).url).fault(part())
    assert failed.detail == (
        "Part 2 of the upload cannot be sent: nothing was cut into parts. An upload is sent by the submit of "
        "a job, by its request or in its steps."
    )


def test_each_piece_of_a_part_gives_the_exchange_its_whole_time_again() -> None:
    body = upload_of_part(PartBody(b"x" * 600_000, "text/csv"), seconds=Limits().exchange_timeout, records=1)
    assert isinstance(body.stream, httpx.SyncByteStream)
    exchange = Underway(deadline=time.monotonic() + 1, guard=None)
    with underway(exchange):
        sizes = [len(piece) for piece in body.stream]
    assert sum(sizes) == 600_000
    assert max(sizes) <= 256 * 1024
    assert exchange.deadline is not None
    assert exchange.deadline > time.monotonic() + 60


class Tracked(bytes):
    """Bytes that say when nobody holds them any more."""

    gone = False

    def __del__(self) -> None:
        Tracked.gone = True


@pytest.mark.parametrize("signed", [False, True])
def test_a_part_is_let_go_of_once_it_was_sent(serve: Serve, connect: Face, signed: bool) -> None:
    server = serve(http(201))
    settings = ConnectionSettings(base_url=server.url, login="AKIA", password="secret-key-of-aws")
    auth = Auth(type="aws_sigv4", service="s3", region="eu-central-1") if signed else None
    wire = connect(settings, auth=auth)
    bodies = [Tracked(ROWS)]
    wire.wire.find_part = lambda number: PartBody(bodies.pop(), "application/json")
    Tracked.gone = False
    gc.disable()  # what is held in a circle stays
    try:
        assert wire.answer(part()).code == 201
        assert Tracked.gone
    finally:
        gc.enable()
    assert server.last.body == ROWS
