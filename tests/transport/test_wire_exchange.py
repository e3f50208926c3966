"""One exchange: what goes out, what comes back, and what a failure says about whether it arrived."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import uuid
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from airflow_asyncjob.definition.models.limits import Limits
from airflow_asyncjob.errors import ConnectionSetupError, TemplateError
from airflow_asyncjob.protocol.messages import Fault, Purpose
from airflow_asyncjob.transport.client import Wire
from airflow_asyncjob.transport.settings import ConnectionSettings
from tests.transport.wires import Connection, Face, Seen, Server, asks, http

Serve = Callable[..., Server]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


# What goes out -------------------------------------------------------------------------------------------


def test_a_request_arrives_as_the_definition_says_it(serve: Serve, connect: Face) -> None:
    server = serve(http())
    wire = connect(server.url + "/api/v1")
    wire.send(
        asks(
            Purpose.SUBMIT,
            "jobs?dry=no",
            method="POST",
            params={"tag": ["a b", "c&d"], "none": None},
            headers={"X-Trace": "{{ inputs.trace }}"},
            json={"segments": "{{ inputs.segments }}"},
            names={"inputs": {"segments": [1, "é"], "trace": "t-1"}},
        )
    )
    assert server.last.method == "POST"
    assert server.last.target == "/api/v1/jobs?dry=no&tag=a+b&tag=c%26d"
    assert server.last.headers["x-trace"] == "t-1"
    assert server.last.headers["content-type"] == "application/json"
    assert json.loads(server.last.body) == {"segments": [1, "é"]}
    assert server.last.headers["user-agent"].startswith("airflow-asyncjob")


def test_each_request_has_an_id_of_its_own(serve: Serve, connect: Face) -> None:
    server = serve(http())
    wire = connect(server.url)
    for _ in range(2):
        wire.send(asks(Purpose.POLL, "/jobs", headers={"X-Correlation": "{{ request_id }}"}))
    found = [seen.headers["x-correlation"] for seen in server.seen]
    assert len({uuid.UUID(text) for text in found}) == 2


@pytest.mark.parametrize(
    ("base", "url", "target"),
    [
        ("", "/jobs", "/jobs"),
        ("", "jobs", "/jobs"),
        ("/", "/jobs", "/jobs"),
        ("/api/v1", "/jobs", "/api/v1/jobs"),
        ("/api/v1", "jobs", "/api/v1/jobs"),
        ("/api/v1/", "/jobs", "/api/v1/jobs"),
        ("/api/v1", "", "/api/v1"),
        ("/api/v1", "/jobs?x=1", "/api/v1/jobs?x=1"),
        ("/api", "/to/http://elsewhere/", "/api/to/http://elsewhere/"),
        ("/api", "/a%2Fb?sig=%2B%2f+~'", "/api/a%2Fb?sig=%2B%2f+~'"),
    ],
)
def test_a_relative_url_is_put_behind_the_base(
    serve: Serve, connect: Face, base: str, url: str, target: str
) -> None:
    server = serve(http())
    connect(server.url + base).answer(asks(url=url))
    assert server.last.target == target


def test_an_absolute_url_is_asked_as_it_is(serve: Serve, connect: Face) -> None:
    server, other = serve(http()), serve(http())
    response = connect(server.url + "/api").answer(asks(url=f"{other.url}/status/7#part"))
    assert (server.seen, other.last.target) == ([], "/status/7")
    assert response.url == f"{other.url}/status/7"


def test_ipv6_addresses_work(serve: Serve, connect: Face) -> None:
    try:
        server = serve(http(), host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert connect(server.url).answer(asks()).code == 200


def test_a_poll_asks_for_a_fresh_answer_unless_the_definition_says_otherwise(
    serve: Serve, connect: Face
) -> None:
    server = serve(http())
    wire = connect(server.url)
    wire.answer(asks())
    wire.answer(asks(headers={"Cache-Control": "max-age=5"}))
    wire.answer(asks(Purpose.SUBMIT, method="POST"))
    assert [seen.headers.get("cache-control") for seen in server.seen] == ["no-cache", "max-age=5", None]


@pytest.mark.parametrize(
    ("connection", "definition", "sent"),
    [
        ({}, {}, "application/json"),
        ({"Content-Type": "application/vnd.api+json"}, {}, "application/vnd.api+json"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, {}, "application/json"),
        ({"Content-Type": "application/json"}, {"content-type": "text/x"}, "text/x"),
    ],
)
def test_the_content_type_is_that_of_the_body(
    serve: Serve, connect: Face, connection: dict[str, str], definition: dict[str, str], sent: str
) -> None:
    server = serve(http())
    wire = connect(ConnectionSettings(base_url=server.url, headers=connection))
    wire.send(asks(Purpose.SUBMIT, method="POST", json={}, headers=definition))
    assert server.last.headers["content-type"] == sent


def test_the_connection_is_there_in_templates_without_its_password(serve: Serve, connect: Face) -> None:
    server = serve(http())
    settings = ConnectionSettings.from_parts(
        host=server.url, login="ann", password="hunter22", extra={"tenant": "acme"}
    )
    wire = connect(settings)
    wire.answer(asks(url="/{{ connection.extra.tenant }}/{{ connection.login }}/{{ connection.host }}"))
    assert server.last.target == "/acme/ann/127.0.0.1"
    failed = wire.fault(asks(url="/{{ connection.password }}"))
    assert failed.fault is Fault.REFUSED
    assert isinstance(failed.error, TemplateError)
    assert "password" in failed.detail
    assert len(server.seen) == 1


@pytest.mark.parametrize("purpose", [Purpose.SUBMIT, Purpose.CANCEL, Purpose.RESULT])
def test_a_template_that_cannot_be_rendered_is_final_and_names_its_place(
    serve: Serve, connect: Face, purpose: Purpose
) -> None:
    server = serve(http())
    place = f"{purpose}.steps[1].request"
    failed = connect(server.url).fault(
        asks(purpose, "/x/{{ inputs.gone }}", names={"inputs": {}}, stream=False, where=place)
    )
    assert failed.fault is Fault.REFUSED
    assert isinstance(failed.error, TemplateError)
    assert failed.error.message.startswith(f"{place}.url: ")
    assert "gone" in failed.detail
    assert server.seen == []


# What comes back -----------------------------------------------------------------------------------------


def test_an_answer_is_handed_over_whole(serve: Serve, connect: Face) -> None:
    body = '{"status": "läuft"}'.encode("iso-8859-1")
    server = serve(http(202, body, {"Content-Type": 'application/json; charset="ISO-8859-1"', "X-A": "2"}))
    response = connect(server.url).answer(asks(url="/jobs/7?page=2"))
    assert response.code == 202
    assert response.headers["x-a"] == "2"
    assert response.body == body
    assert response.encoding == "iso-8859-1"
    assert response.url == f"{server.url}/jobs/7?page=2"
    assert response.sent == f"GET {server.url}/jobs/7?page=2"
    assert response.excerpt == '{"status": "läuft"}'
    assert response.elapsed > 0


def test_repeated_headers_are_joined(serve: Serve, connect: Face) -> None:
    server = serve(b"HTTP/1.1 200 OK\r\nLink: <a>\r\nlink: <b>\r\nContent-Length: 0\r\n\r\n")
    assert connect(server.url).answer(asks()).headers["link"] == "<a>, <b>"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308, 404, 500])
@pytest.mark.parametrize("purpose", [Purpose.SUBMIT, Purpose.POLL, Purpose.CANCEL])
def test_redirects_and_errors_are_answers(serve: Serve, connect: Face, code: int, purpose: Purpose) -> None:
    server = serve(http(code, headers={"Location": "/elsewhere"}))
    response = connect(server.url).answer(asks(purpose, "/jobs"))
    assert (response.code, response.headers["location"], len(server.seen)) == (code, "/elsewhere", 1)


def test_no_cookie_is_kept(serve: Serve, connect: Face) -> None:
    server = serve(http(headers={"Set-Cookie": "session=abc; Path=/"}))
    wire = connect(server.url)
    wire.answer(asks())
    wire.answer(asks())
    assert "cookie" not in server.last.headers


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        ("gzip", gzip.compress(b"hello" * 1000, mtime=0)),
        ("x-gzip", gzip.compress(b"hello" * 500, mtime=0) + gzip.compress(b"hello" * 500, mtime=0)),
        ("deflate", zlib.compress(b"hello" * 1000)),
        ("deflate", zlib.compress(b"hello" * 1000)[2:-4]),
        ("gzip, gzip", gzip.compress(gzip.compress(b"hello" * 1000, mtime=0), mtime=0)),
        ("identity", b"hello" * 1000),
    ],
    ids=["gzip", "members", "deflate", "raw-deflate", "twice", "identity"],
)
def test_content_encodings_are_undone(serve: Serve, connect: Face, encoding: str, encoded: bytes) -> None:
    server = serve(http(body=encoded, headers={"Content-Encoding": encoding}))
    assert connect(server.url).answer(asks()).body == b"hello" * 1000
    assert server.last.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("encoding", "encoded", "says"),
    [
        ("gzip", b"plain", "not valid gzip"),
        ("gzip", gzip.compress(b"x" * 5000, mtime=0)[:-9], "ends before its end"),
        ("gzip", gzip.compress(b"x", mtime=0) + b"trailing", "bytes after its end"),
        ("br", b"\x0b\x02\x80hello\x03", "'br'"),
        ("gzip, gzip, gzip, gzip", b"", "gzip, gzip, gzip, gzip"),
    ],
    ids=["plain", "short", "trailing", "unasked", "pile"],
)
def test_a_body_that_is_not_what_its_encoding_says_is_a_lost_answer(
    serve: Serve, connect: Face, encoding: str, encoded: bytes, says: str
) -> None:
    server = serve(http(body=encoded, headers={"Content-Encoding": encoding}))
    failed = connect(server.url).fault(asks())
    assert failed.fault is Fault.LOST
    assert says in failed.detail


# Bounds --------------------------------------------------------------------------------------------------

SMALL = Limits(response_bytes=10_000)


@pytest.mark.parametrize(
    "answer",
    [
        http(body=b"x" * 10_001),
        http(body=gzip.compress(b"x" * 10_001), headers={"Content-Encoding": "gzip"}),
        http(
            body=gzip.compress(gzip.compress(b"\0" * 50_000_000)), headers={"Content-Encoding": "gzip, gzip"}
        ),
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"y" * 100_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
    ],
    ids=["plain", "gzip", "bomb", "unannounced", "announced"],
)
def test_a_body_over_the_bound_is_refused_and_the_message_says_how_to_raise_it(
    serve: Serve, connect: Face, answer: bytes
) -> None:
    wire = connect(serve(answer).url, limits=SMALL)
    failed = wire.fault(asks())
    assert failed.fault is Fault.TOO_LARGE
    assert "answered 200" in failed.detail
    assert "10,000 bytes" in failed.detail
    assert "limits.response_bytes" in failed.detail


@pytest.mark.parametrize("code", [404, 500])
def test_of_a_large_error_the_code_and_the_start_are_enough(serve: Serve, connect: Face, code: int) -> None:
    response = connect(serve(http(code, b"Sorry. " * 10_000)).url, limits=SMALL).answer(asks())
    assert response.code == code
    assert response.body == (b"Sorry. " * 10_000)[:10_000]
    assert response.excerpt.startswith("Sorry. Sorry.")


def test_a_body_of_just_the_bound_is_fine(serve: Serve, connect: Face) -> None:
    server = serve(http(body=gzip.compress(b"x" * 10_000), headers={"Content-Encoding": "gzip"}))
    assert len(connect(server.url, limits=SMALL).answer(asks()).body) == 10_000


def test_the_whole_exchange_has_a_time(serve: Serve, connect: Face) -> None:
    def drip(seen: Seen, connection: Connection) -> None:
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not server.stopping.wait(0.05):
            connection.write(b".")

    server = serve(drip)
    failed = connect(server.url, limits=Limits(exchange_timeout=0.4)).fault(asks())
    assert failed.fault is Fault.LOST
    assert "within 0.4 s" in failed.detail
    assert "limits.exchange_timeout" in failed.detail


def test_headers_that_drip_for_ever_end_with_the_exchange(serve: Serve, connect: Face) -> None:
    def drip(seen: Seen, connection: Connection) -> None:
        connection.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not server.stopping.wait(0.05):
            connection.write(b".")

    server = serve(drip)
    failed = connect(server.url, limits=Limits(exchange_timeout=0.4)).fault(
        asks(Purpose.SUBMIT, method="POST")
    )
    assert failed.fault is Fault.LOST
    assert "limits.exchange_timeout" in failed.detail


def test_a_silent_server_runs_into_the_read_time_out(serve: Serve, connect: Face) -> None:
    def silent(seen: Seen, connection: Connection) -> None:
        server.stopping.wait(20)

    server = serve(silent)
    failed = connect(server.url, limits=Limits(read_timeout=0.2)).fault(asks())
    assert failed.fault is Fault.LOST
    assert "0.2 s" in failed.detail
    assert "limits.read_timeout" in failed.detail


def test_a_connection_s_time_out_counts_unless_the_definition_sets_its_own(
    serve: Serve, connect: Face
) -> None:
    def silent(seen: Seen, connection: Connection) -> None:
        server.stopping.wait(20)

    server = serve(silent)
    settings = ConnectionSettings(base_url=server.url, timeout=(5.0, 0.2))
    assert "0.2 s" in connect(settings).fault(asks()).detail
    assert "0.3 s" in connect(settings, limits=Limits(read_timeout=0.3)).fault(asks()).detail


# Faults: did it arrive? ----------------------------------------------------------------------------------


def test_a_refused_connection_certainly_sent_nothing(connect: Face) -> None:
    port = free_port()
    failed = connect(f"http://127.0.0.1:{port}").fault(asks(Purpose.SUBMIT, "/jobs", method="POST"))
    assert failed.fault is Fault.NOT_SENT
    assert failed.sent == f"POST http://127.0.0.1:{port}/jobs"
    assert f"127.0.0.1:{port}" in failed.detail
    assert "refused" in failed.detail.lower()


def test_a_name_that_does_not_resolve_certainly_sent_nothing(connect: Face) -> None:
    failed = connect("http://no-such-host.invalid").fault(asks())
    assert failed.fault is Fault.NOT_SENT
    assert "no-such-host.invalid cannot be resolved" in failed.detail


def test_a_host_that_does_not_answer_certainly_sent_nothing(connect: Face) -> None:
    # The queue of a listener that accepts nothing is full after a few connections: further ones wait.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(8)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        wire = connect(f"http://127.0.0.1:{listener.getsockname()[1]}", limits=Limits(connect_timeout=0.3))
        failed = wire.fault(asks(Purpose.SUBMIT, method="POST"))
        for sock in waiting:
            sock.close()
    assert failed.fault is Fault.NOT_SENT
    assert "0.3 s" in failed.detail
    assert "limits.connect_timeout" in failed.detail


@pytest.mark.parametrize("purpose", [Purpose.SUBMIT, Purpose.POLL])
def test_a_connection_that_ends_without_an_answer_is_lost(
    serve: Serve, connect: Face, purpose: Purpose
) -> None:
    server = serve(lambda seen, connection: None)
    failed = connect(server.url).fault(asks(purpose, method="POST"))
    assert failed.fault is Fault.LOST
    assert "without sending a response" in failed.detail
    assert len(server.seen) == 1


def test_a_reset_after_the_request_is_lost(serve: Serve, connect: Face) -> None:
    server = serve(lambda seen, connection: connection.reset())
    failed = connect(server.url).fault(asks(Purpose.SUBMIT, method="POST", json={"a": 1}))
    assert failed.fault is Fault.LOST
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "answer",
    [
        http(body=b"short", length=50) + b"",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
    ids=["length", "chunked"],
)
def test_a_short_body_is_lost(serve: Serve, connect: Face, answer: bytes) -> None:
    def short(seen: Seen, connection: Connection) -> None:
        connection.write(answer)

    failed = connect(serve(short).url).fault(asks())
    assert failed.fault is Fault.LOST
    assert "closed connection" in failed.detail


def test_what_is_not_http_is_lost(serve: Serve, connect: Face) -> None:
    def smtp(seen: Seen, connection: Connection) -> None:
        connection.write(b"220 mail.example.com ESMTP\r\n")

    assert connect(serve(smtp).url).fault(asks()).fault is Fault.LOST


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://127.0.0.1/x", "valid: http, https"),
        ("http://", "no host"),
        ("http://127.0.0.1:99999/", "no port 99999"),
        ("http://" + "a" * 70 + ".com/", "is no host name"),
        ("http://xn--/", "not a URL"),
        ("http://exa mple.com/", "is no host name"),
        ("http://[::1/", "not a URL"),
        ("http://ann:pw12345@127.0.0.1/", "user name"),
    ],
)
def test_a_url_that_cannot_be_asked_is_final(connect: Face, url: str, says: str) -> None:
    failed = connect("http://127.0.0.1:1").fault(asks(url=url))
    assert failed.fault is Fault.REFUSED
    assert says in failed.detail
    assert "pw12345" not in f"{failed.sent} {failed.detail}"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"headers": {"X-Name": "{{ captures.x }}"}}, "X-Name"),
        ({"url": "/jobs?q={{ captures.x }}"}, "surrogate"),
        ({"params": {"q": "{{ captures.x }}"}}, "surrogate"),
        ({"json": {"q": "{{ captures.x }}"}}, "surrogate"),
    ],
    ids=["header", "url", "params", "json"],
)
def test_text_that_cannot_be_encoded_is_final(connect: Face, fields: dict[str, Any], says: str) -> None:
    names = {"captures": {"x": "ann \ud800"}}
    failed = connect("http://127.0.0.1:1").fault(asks(method="POST", names=names, **fields))
    assert failed.fault is Fault.REFUSED
    assert says in failed.detail


def test_a_very_long_url_is_shortened_for_people_only(serve: Serve, connect: Face) -> None:
    server = serve(http())
    response = connect(server.url).answer(asks(url="/jobs?filter=" + "x" * 2000 + "&page=7"))
    assert len(response.url) > 2000
    assert len(response.sent) < 320
    assert response.sent.startswith(f"GET {server.url}/jobs?filter=xxx")
    assert response.sent.endswith("x&page=7")


def test_an_address_of_the_connection_that_is_none_is_an_error_of_the_connection() -> None:
    with pytest.raises(ConnectionSetupError, match="is no host name"):
        Wire(ConnectionSettings(base_url="http://exa mple.com"))


def test_a_relative_url_needs_a_host(connect: Face) -> None:
    failed = connect(ConnectionSettings()).fault(asks(url="/jobs"))
    assert failed.fault is Fault.REFUSED
    assert "the connection has no host" in failed.detail


def test_a_missing_ca_file_is_an_error_of_the_connection(connect: Face) -> None:
    settings = ConnectionSettings(base_url="https://127.0.0.1:1", verify="/no/such/ca.pem")
    failed = connect(settings).fault(asks())
    assert failed.fault is Fault.REFUSED
    assert isinstance(failed.error, ConnectionSetupError)
    assert "/no/such/ca.pem" in failed.detail
    assert "does not exist" in failed.detail


# Connections ---------------------------------------------------------------------------------------------


def test_polls_share_a_connection_and_closing_ends_it(serve: Serve, connect: Face) -> None:
    server = serve(http(body=b"{}"))
    wire = connect(server.url)
    for _ in range(5):
        wire.answer(asks())
    assert server.accepted == 1
    wire.close()
    assert server.closed.acquire(timeout=10)


def test_a_submit_never_meets_a_stale_connection(serve: Serve, connect: Face) -> None:
    # The server ends a connection in silence when a second request comes: a keep-alive that just ran out.
    def once(seen: Seen, connection: Connection) -> bytes | None:
        served.setdefault(seen.connection, 0)
        served[seen.connection] += 1
        return http() if served[seen.connection] == 1 else None

    served: dict[int, int] = {}
    server = serve(once)
    wire = connect(server.url)
    wire.answer(asks())
    assert wire.answer(asks(Purpose.SUBMIT, method="POST")).code == 200
    assert wire.answer(asks(Purpose.SUBMIT, method="POST")).code == 200
    assert wire.fault(asks()).fault is Fault.LOST


def test_an_exchange_that_failed_leaves_the_wire_usable(serve: Serve, connect: Face) -> None:
    answers = iter([None, http(body=b"x" * 20_000), http(body=b"ok")])
    server = serve(lambda seen, connection: next(answers))
    wire = connect(server.url, limits=SMALL)
    assert wire.fault(asks()).fault is Fault.LOST
    assert wire.fault(asks()).fault is Fault.TOO_LARGE
    assert wire.answer(asks()).body == b"ok"


def test_many_threads_may_share_a_wire(serve: Serve) -> None:
    server = serve(lambda seen, connection: http(body=seen.target.encode()))
    bodies: dict[int, bytes] = {}
    with Wire(ConnectionSettings(base_url=server.url)) as wire:

        def ask(number: int) -> None:
            event = wire.send(asks(url=f"/{number}"))
            bodies[number] = getattr(event, "response").body  # noqa: B009

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert bodies == {number: f"/{number}".encode() for number in range(20)}
