"""Downloads: bodies that stream, and bodies that break."""

from __future__ import annotations

import gzip
import threading
import tracemalloc
from collections.abc import Callable

import pytest

from airflow_asyncjob.definition.models.limits import Limits
from airflow_asyncjob.errors import TruncatedError, UnreadableError
from airflow_asyncjob.protocol.messages import Failed, Fault, Purpose, Responded
from airflow_asyncjob.transport.client import Wire
from airflow_asyncjob.transport.settings import ConnectionSettings
from tests.transport.wires import Connection, Face, Seen, Server, asks, http

Serve = Callable[..., Server]
RESULT = asks(Purpose.RESULT, "/file.csv")


def test_a_result_comes_in_pieces_and_is_noted_with_its_size(serve: Serve, connect: Face) -> None:
    body = bytes(range(256)) * 4000
    wire = connect(serve(http(body=body, headers={"Content-Type": "text/csv"})).url)
    with wire.open(RESULT) as opened:
        assert isinstance(opened.event, Responded)
        assert (opened.event.response.code, opened.event.response.body) == (200, b"")
        pieces = list(opened.pieces())
    assert b"".join(pieces) == body
    assert max(map(len, pieces)) <= 256 * 1024
    (noted,) = wire.trace.exchanges
    assert (noted.purpose, noted.code, noted.response_bytes, noted.response) == ("result", 200, len(body), "")


def test_the_bound_and_the_time_of_other_answers_do_not_hold_for_a_result(
    serve: Serve, connect: Face
) -> None:
    def slowly(seen: Seen, connection: Connection) -> bytes:
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n")
        for _ in range(6):
            server.stopping.wait(0.1)
            connection.write(b"x" * 10)
        return b""

    server = serve(slowly)
    with connect(server.url, limits=Limits(response_bytes=5, exchange_timeout=0.3)).open(RESULT) as opened:
        assert opened.read() == b"x" * 60


def test_the_head_of_a_download_has_the_time_of_an_exchange(serve: Serve, connect: Face) -> None:
    def drip(seen: Seen, connection: Connection) -> None:
        connection.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not server.stopping.wait(0.05):
            connection.write(b".")

    server = serve(drip)
    with connect(server.url, limits=Limits(exchange_timeout=0.3)).open(RESULT) as opened:
        assert opened.event.fault is Fault.LOST
        assert "limits.exchange_timeout" in opened.event.detail


def test_a_result_that_unpacks_to_much_does_not_fill_the_memory(serve: Serve) -> None:
    packed = gzip.compress(b"\0" * 64_000_000)
    server = serve(http(body=packed, headers={"Content-Encoding": "gzip"}))
    with Wire(ConnectionSettings(base_url=server.url)) as wire, wire.open(RESULT) as opened:
        tracemalloc.start()
        total = sum(len(piece) for piece in opened.chunks())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert total == 64_000_000
    assert peak < 4_000_000


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (http(body=b"x" * 100, length=1000), "received 100 bytes, expected 1000"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + b"x" * 100 + b"\r\n",
            "incomplete chunked",
        ),
        (
            http(body=gzip.compress(b"x" * 100)[:-4], headers={"Content-Encoding": "gzip"}),
            "ends before its end",
        ),
    ],
    ids=["length", "chunked", "gzip"],
)
def test_a_body_that_breaks_off_is_an_error_with_what_came(
    serve: Serve, connect: Face, answer: bytes, says: str
) -> None:
    def part(seen: Seen, connection: Connection) -> None:
        connection.write(answer)

    wire = connect(serve(part).url)
    with wire.open(RESULT) as opened, pytest.raises(TruncatedError) as caught:
        opened.read()
    message = caught.value.message
    assert opened.event.response.sent in message
    assert says in message
    assert "broke off after 100 bytes" in message
    (noted,) = wire.trace.exchanges
    assert (noted.code, noted.fault, noted.response_bytes) == (200, "lost", 100)
    assert says in noted.detail


def test_a_reset_in_the_middle_is_an_error(serve: Serve, connect: Face) -> None:
    def reset(seen: Seen, connection: Connection) -> None:
        connection.write(http(body=b"x" * 10, length=1000))
        read.wait(10)
        connection.reset()

    read = threading.Event()
    with connect(serve(reset).url).open(RESULT) as opened:
        pieces = opened.pieces()
        assert next(pieces) == b"x" * 10
        read.set()
        with pytest.raises(TruncatedError, match="after 10 bytes"):
            next(pieces)


def test_a_body_that_stops_is_an_error_after_the_read_time_out(serve: Serve, connect: Face) -> None:
    def stop(seen: Seen, connection: Connection) -> None:
        connection.write(http(body=b"x" * 10, length=1000))
        server.stopping.wait(20)

    server = serve(stop)
    wire = connect(server.url, limits=Limits(read_timeout=0.2))
    with wire.open(RESULT) as opened, pytest.raises(TruncatedError, match=r"nothing came for 0\.2 s"):
        opened.read()


@pytest.mark.parametrize("code", [304, 400, 401, 403, 404, 410, 429, 500, 503])
def test_an_error_is_read_as_an_answer(serve: Serve, connect: Face, code: int) -> None:
    server = serve(http(code, b"" if code == 304 else b"<Error>expired</Error>"))
    wire = connect(server.url)
    with wire.open(RESULT) as opened:
        assert opened.event.response.code == code
        assert opened.event.response.body == (b"" if code == 304 else b"<Error>expired</Error>")
        assert opened.read() == opened.event.response.body, "which a rule may accept as the result"
    assert wire.answer(asks()).code == code
    assert server.accepted == 1


def test_the_start_of_a_large_error_is_enough(serve: Serve, connect: Face) -> None:
    server = serve(http(500, b"Sorry. " * 10_000))
    with connect(server.url, limits=Limits(response_bytes=1000)).open(RESULT) as opened:
        assert opened.event.response.code == 500
        assert opened.event.response.excerpt.startswith("Sorry. Sorry.")
        assert len(opened.event.response.body) <= 1000
        with pytest.raises(
            UnreadableError, match=r"500 with a body that is larger than limits\.response_bytes"
        ):
            opened.read()


def test_a_fault_before_the_head_is_an_event(connect: Face) -> None:
    with connect("http://127.0.0.1:1").open(RESULT) as opened:
        assert isinstance(opened.event, Failed)
        assert opened.event.fault is Fault.NOT_SENT
        with pytest.raises(ValueError, match="no result to read"):
            opened.read()


def test_a_download_that_is_left_early_closes_its_connection(serve: Serve, connect: Face) -> None:
    def endless(seen: Seen, connection: Connection) -> None:
        connection.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not server.stopping.is_set():
            connection.write(b"x" * 1000)

    server = serve(endless)
    with connect(server.url).open(RESULT) as opened:
        assert next(opened.pieces())
    assert server.closed.acquire(timeout=10)


def test_connections_are_reused_between_downloads(serve: Serve, connect: Face) -> None:
    server = serve(http(body=b"x" * 1000))
    wire = connect(server.url)
    for _ in range(3):
        with wire.open(RESULT) as opened:
            opened.read()
    assert server.accepted == 1
