"""Bodies with files in them: streamed, announced, begun anew with each try, and never in the trace."""

from __future__ import annotations

import email
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from airflow_asyncjob.definition.models.limits import Limits
from airflow_asyncjob.definition.render import RenderedPart
from airflow_asyncjob.errors import UploadError
from airflow_asyncjob.protocol.messages import Failed, Fault, Purpose, Responded
from airflow_asyncjob.transport.client import Wire
from airflow_asyncjob.transport.settings import ConnectionSettings
from airflow_asyncjob.transport.sockets import Underway, underway
from airflow_asyncjob.transport.trace import Trace
from airflow_asyncjob.transport.upload import Source, local_source, upload_of
from tests.transport.wires import Face, Seen, Server, asks, http

Serve = Callable[..., Server]
CSV = b"a,b\r\n1,2\r\n" * 100_000


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "rows of today.csv"
    path.write_bytes(CSV)
    return path


def upload(path: Any, **fields: Any) -> Any:
    names = {"inputs": {"path": str(path)}}
    return asks(Purpose.SUBMIT, "/x", method="PUT", file="{{ inputs.path }}", names=names, **fields)


def parts_of(seen: Seen) -> list[tuple[str | None, str | None, str, bytes]]:
    """Return name, file name, content type and content of each field, read by Python's own parser."""
    head = f"Content-Type: {seen.headers['content-type']}\r\n\r\n".encode()
    return [
        (
            part.get_param("name", header="content-disposition"),  # type: ignore[misc]
            part.get_filename(),
            part.get_content_type() if part["content-type"] else "",
            part.get_payload(decode=True),
        )
        for part in email.message_from_bytes(head + seen.body).get_payload()  # type: ignore[union-attr]
    ]


# What is sent -------------------------------------------------------------------------------------------


def test_a_file_is_sent_with_its_length_and_its_type(serve: Serve, connect: Face, table: Path) -> None:
    server = serve(http(201))
    assert connect(server.url).answer(upload(table)).code == 201
    assert server.last.body == CSV
    assert server.last.headers["content-length"] == str(len(CSV))
    assert server.last.headers["content-type"] == "text/csv"
    assert "transfer-encoding" not in server.last.headers


@pytest.mark.parametrize(
    ("name", "given", "kind"),
    [
        ("a.json", {}, "application/json"),
        ("a.csv.gz", {}, "application/gzip"),
        ("a.parquet", {}, "application/octet-stream"),
        ("a", {}, "application/octet-stream"),
        ("a.json", {"content-type": "application/x-ndjson"}, "application/x-ndjson"),
    ],
)
def test_the_type_is_as_the_name_says_unless_the_definition_says_it(
    serve: Serve, connect: Face, tmp_path: Path, name: str, given: dict[str, str], kind: str
) -> None:
    (tmp_path / name).write_bytes(b"x")
    server = serve(http())
    connect(server.url).answer(upload(tmp_path / name, headers=given))
    assert server.last.headers["content-type"] == kind


def test_an_empty_file_is_an_empty_body(serve: Serve, connect: Face, tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_bytes(b"")
    server = serve(http())
    connect(server.url).answer(upload(f"file://{tmp_path}/none.csv"))
    assert (server.last.body, server.last.headers["content-length"]) == (b"", "0")


def test_a_multipart_body_has_its_fields_in_their_order(serve: Serve, connect: Face, table: Path) -> None:
    server = serve(http())
    fields = {
        "policy": "{{ inputs.policy }}",
        "count": 3,
        "meta": {"text": '{"a": 1}', "content_type": "application/json"},
        "file": {"file": "{{ inputs.path }}"},
        "other": {"file": "{{ inputs.path }}", "filename": 'ünd "x".txt', "content_type": "text/plain"},
    }
    names = {"inputs": {"path": str(table), "policy": "läuft\r\n--"}}
    connect(server.url).answer(asks(Purpose.SUBMIT, "/x", method="POST", multipart=fields, names=names))
    seen = server.last
    assert seen.headers["content-length"] == str(len(seen.body))
    assert seen.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert [(name, kind, content) for name, _, kind, content in parts_of(seen)] == [
        ("policy", "", "läuft\r\n--".encode()),
        ("count", "", b"3"),
        ("meta", "application/json", b'{"a": 1}'),
        ("file", "text/csv", CSV),
        ("other", "text/plain", CSV),
    ]
    assert b'name="file"; filename="rows of today.csv"' in seen.body
    assert 'name="other"; filename="ünd %22x%22.txt"'.encode() in seen.body


def test_multipart_wins_over_the_content_type_of_the_connection(serve: Serve, connect: Face) -> None:
    server = serve(http())
    settings = ConnectionSettings.from_parts(
        host=server.url, extra={"headers": {"Content-Type": "application/json"}}
    )
    connect(settings).answer(asks(Purpose.SUBMIT, "/x", method="POST", multipart={"a": "b"}))
    assert server.last.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert parts_of(server.last) == [("a", None, "", b"b")]


def test_headers_that_an_answer_named_are_sent_but_for_those_of_the_client(
    serve: Serve, connect: Face, table: Path
) -> None:
    server = serve(http())
    named = {
        "X-Blob-Type": "Block",
        "Host": "elsewhere",
        "content-length": "1",
        "X-Number": 5,
        "X-None": None,
    }
    names = {"inputs": {"path": str(table)}, "captures": {"headers": named}}
    send = asks(
        Purpose.SUBMIT,
        "/x",
        method="PUT",
        file="{{ inputs.path }}",
        headers="{{ captures.headers }}",
        names=names,
    )
    connect(server.url).answer(send)
    assert server.last.headers["x-blob-type"] == "Block"
    assert server.last.headers["x-number"] == "5"
    assert "x-none" not in server.last.headers
    assert server.last.headers["host"].startswith("127.0.0.1")
    assert server.last.body == CSV


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ("text", "request.headers: '{{ captures.headers }}' gave text, and a mapping is expected"),
        ({"X A": "1"}, "request.headers: 'X A' is not the name of a header"),
        ({"X-A": "1\r\nX-B: 2"}, "request.headers.X-A: a header cannot have line breaks"),
    ],
)
def test_headers_of_an_answer_that_cannot_be_headers_are_refused(
    connect: Face, serve: Serve, headers: Any, says: str
) -> None:
    server = serve(http())
    names = {"captures": {"headers": headers}}
    failed = connect(server.url).fault(asks(headers="{{ captures.headers }}", names=names))
    assert failed.fault is Fault.REFUSED
    assert says in failed.detail
    assert server.seen == []


def test_each_try_begins_with_the_start_of_the_file(serve: Serve, connect: Face, table: Path) -> None:
    def answer(seen: Seen, connection: Any) -> bytes | None:
        return None if len(server.seen) == 1 else http()

    server = serve(answer)
    wire = connect(server.url)
    send = upload(table)
    assert wire.fault(send).fault is Fault.LOST
    assert wire.answer(send).code == 200
    assert [seen.body for seen in server.seen] == [CSV, CSV]


def test_a_large_file_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    listener = socket.create_server(("127.0.0.1", 0))
    received = []

    def drain() -> None:
        sock, _ = listener.accept()
        with sock:
            head = b""
            while b"\r\n\r\n" not in head:
                head += sock.recv(1024)
            left = 200 * 1024 * 1024 - len(head.partition(b"\r\n\r\n")[2])
            while left:
                left -= len(sock.recv(min(left, 65536)))
            received.append(left)
            sock.sendall(http())

    thread = threading.Thread(target=drain, daemon=True)
    thread.start()
    tracemalloc.start()
    with Wire(ConnectionSettings.from_parts(host=f"http://127.0.0.1:{listener.getsockname()[1]}")) as wire:
        event = wire.send(upload(large))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    thread.join(30)
    listener.close()
    assert isinstance(event, Responded)
    assert received == [0]
    assert peak < 8 * 1024 * 1024


# What cannot be sent ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (
            "gone.csv",
            "gone.csv cannot be read: No such file or directory. Expected a file that the",
        ),
        ("", "cannot be sent: it is a folder, a pipe or the like. Give the path of a file."),
        (
            "s3://bucket/a.csv",
            "s3:// is object storage, which is read in Airflow. Give the path of a local",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_said_before_anything_is_sent(
    serve: Serve, connect: Face, tmp_path: Path, path: str, says: str
) -> None:
    server = serve(http())
    failed = connect(server.url).fault(upload(path if "://" in path else tmp_path / path))
    assert failed.fault is Fault.REFUSED
    assert isinstance(failed.error, UploadError)
    assert not failed.error.retryable
    assert says in failed.error.message
    assert server.accepted == 0


def test_a_path_that_is_empty_once_rendered_is_said(serve: Serve, connect: Face) -> None:
    failed = connect(serve(http()).url).fault(upload(""))
    assert failed.detail == "request.file: '{{ inputs.path }}' is empty once rendered"


def changing(path: Path, change: Callable[[], Any]) -> Source:
    """Return a file that somebody writes to after it was looked at."""

    def opened() -> BinaryIO:
        change()
        return path.open("rb")

    return Source(str(path), path.stat().st_size, opened)


@pytest.mark.parametrize(
    ("new", "now"),
    [(CSV[:300_000], "300,000"), (CSV + b"more", "more"), (b"", "0")],
    ids=["less", "more", "none"],
)
def test_a_file_that_changes_while_it_is_sent_is_an_error_and_no_request(
    serve: Serve, connect: Face, table: Path, new: bytes, now: str
) -> None:
    server = serve(http())
    wire = connect(server.url)
    wire.wire.find = lambda path: changing(table, lambda: table.write_bytes(new))
    failed = wire.fault(upload(table))
    assert failed.fault is Fault.REFUSED
    assert isinstance(failed.error, UploadError)
    assert failed.error.retryable
    assert failed.error.message == (
        f"The file {table} changed while it was sent: it had {len(CSV):,} bytes, and now has {now}. The API "
        "did not get a whole body. Send it once it is written."
    )


def test_a_storage_that_breaks_off_is_named_with_how_far_it_came(
    serve: Serve, connect: Face, table: Path
) -> None:
    class Breaking:
        def read(self, size: int) -> bytes:
            raise ConnectionResetError("reset by the storage")

        def close(self) -> None:
            pass

    wire = connect(serve(http()).url)
    wire.wire.find = lambda path: Source("s3://bucket/a.csv", 10, Breaking)  # type: ignore[arg-type]
    failed = wire.fault(upload("s3://bucket/a.csv"))
    assert failed.error is not None
    assert failed.error.message == (
        "The file s3://bucket/a.csv cannot be read: reset by the storage. 0 of 10 bytes were read. Try again "
        "later."
    )
    assert failed.error.retryable


def test_an_exchange_has_its_whole_time_after_each_piece(table: Path) -> None:
    part = RenderedPart(file=str(table), content_type="text/csv")
    body = upload_of([part], local_source, seconds=60, content_type=None)
    exchange = Underway(deadline=time.monotonic() + 1)
    with underway(exchange):
        next(iter(body.stream))  # type: ignore[call-overload]
    body.close()
    assert exchange.deadline is not None
    assert exchange.deadline > time.monotonic() + 30


# What nobody may see ------------------------------------------------------------------------------------


def test_the_trace_has_shapes_and_sizes_only(serve: Serve, connect: Face, table: Path) -> None:
    trace = Trace()
    wire = connect(serve(http()).url, trace=trace)
    wire.answer(upload(table))
    fields = {"who": "Ann Droid", "rows": {"file": "{{ inputs.path }}"}}
    names = {"inputs": {"path": str(table)}}
    wire.answer(asks(Purpose.SUBMIT, "/x", method="POST", multipart=fields, names=names))
    one, two = trace.to_dict()["exchanges"]
    assert (one["request_bytes"], one["request_shape"]) == (len(CSV), f"text/csv of {len(CSV):,} bytes")
    assert two["request_shape"] == {"who": "string of 9", "rows": f"text/csv of {len(CSV):,} bytes"}
    assert two["request_bytes"] > len(CSV)
    assert "Ann" not in json.dumps(trace.to_dict())


def test_a_secret_in_a_field_does_not_go_to_another_origin(serve: Serve, connect: Face, table: Path) -> None:
    home, away = serve(http()), serve(http())
    settings = ConnectionSettings.from_parts(host=home.url, login="ann", password="hunter2hunter2")
    fields = {"token": "hunter2hunter2", "rows": {"file": "{{ inputs.path }}"}}
    names = {"inputs": {"path": str(table)}}
    send = asks(Purpose.SUBMIT, f"{away.url}/x", method="POST", multipart=fields, names=names)
    failed = connect(settings).fault(send)
    assert "the body holds a secret of the connection" in failed.detail
    assert away.seen == []


def test_a_file_goes_to_another_origin_without_credentials(serve: Serve, connect: Face, table: Path) -> None:
    home, away = serve(http()), serve(http())
    settings = ConnectionSettings.from_parts(host=home.url, login="ann", password="hunter2hunter2")
    names = {"inputs": {"path": str(table)}, "captures": {"link": f"{away.url}/bucket/7?sig=abc"}}
    send = asks(Purpose.SUBMIT, "{{ captures.link }}", method="PUT", file="{{ inputs.path }}", names=names)
    assert connect(settings).answer(send).code == 200
    assert away.last.body == CSV
    assert "authorization" not in away.last.headers


def test_a_redirect_that_keeps_the_body_does_not_get_the_file(
    serve: Serve, connect: Face, table: Path
) -> None:
    server = serve(http(307, headers={"Location": "/y"}))
    names = {"inputs": {"path": str(table)}}
    with connect(server.url).open(
        asks(Purpose.RESULT, "/x", method="POST", file="{{ inputs.path }}", names=names)
    ) as opened:
        assert isinstance(opened.event, Responded)
        assert opened.event.response.code == 307
    assert len(server.seen) == 1


def test_a_time_out_while_a_file_is_sent_is_a_lost_request(table: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    table.write_bytes(b"x" * 64 * 1024 * 1024)
    settings = ConnectionSettings.from_parts(host=f"http://127.0.0.1:{listener.getsockname()[1]}")
    with Wire(settings, limits=Limits(write_timeout=0.3)) as wire:
        event = wire.send(upload(table))
    listener.close()
    assert isinstance(event, Failed)
    assert event.fault is Fault.LOST
    assert "the request could not be written for 0.3 s (limits.write_timeout)" in event.detail
