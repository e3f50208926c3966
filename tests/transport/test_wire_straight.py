"""Large bodies, which are read straight from the socket after their first bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_asyncjob.errors import TruncatedError
from airflow_asyncjob.protocol.messages import Purpose
from airflow_asyncjob.transport import straight
from tests.transport.wires import Connection, Face, Seen, Server, asks, http

Serve = Callable[..., Server]
RESULT = asks(Purpose.RESULT, "/file.csv")
BODY = bytes(range(256)) * 8000


@pytest.fixture(autouse=True)
def all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(straight, "LARGE", 1)


def once(answer: bytes) -> Callable[[Seen, Connection], None]:
    def part(seen: Seen, connection: Connection) -> None:
        connection.write(answer)

    return part


@pytest.mark.parametrize(
    "answer",
    [
        http(body=BODY),
        http(body=BODY, length=len(BODY)) + b"what nobody asked for",
        b"HTTP/1.1 200 OK\r\n\r\n" + BODY,
        b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n",
    ],
    ids=["length", "more than its length", "until the end", "HTTP/1.0", "chunked"],
)
def test_the_whole_body_comes_and_the_next_one_too(serve: Serve, connect: Face, answer: bytes) -> None:
    wire = connect(serve(once(answer)).url)
    for _ in range(2):
        with wire.open(RESULT) as opened:
            assert opened.read() == BODY
    assert [noted.response_bytes for noted in wire.trace.exchanges] == [len(BODY)] * 2


def test_a_kept_connection_is_not_used_again_after_a_body_that_passed_it_by(
    serve: Serve, connect: Face
) -> None:
    server = serve(http(body=BODY))
    wire = connect(server.url)
    for _ in range(3):
        with wire.open(RESULT) as opened:
            assert opened.read() == BODY


@pytest.mark.parametrize("left", [1, 100_000_000])
def test_a_body_that_ends_before_its_length(serve: Serve, connect: Face, left: int) -> None:
    wire = connect(serve(once(http(body=BODY, length=len(BODY) + left))).url)
    with wire.open(RESULT) as opened, pytest.raises(TruncatedError) as caught:
        opened.read()
    assert f"received {len(BODY)} bytes, expected {len(BODY) + left}" in caught.value.message
    assert f"broke off after {len(BODY):,} bytes" in caught.value.message


def test_an_empty_body_until_the_end_of_the_connection(serve: Serve, connect: Face) -> None:
    with connect(serve(once(b"HTTP/1.1 200 OK\r\n\r\n")).url).open(RESULT) as opened:
        assert opened.read() == b""
