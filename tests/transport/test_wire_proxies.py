"""Proxies, of the connection and of the environment."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from collections.abc import Callable

import pytest

from airflow_asyncjob.protocol.messages import Fault, Purpose
from airflow_asyncjob.transport.settings import ConnectionSettings
from tests.transport.wires import Connection, Face, Seen, Server, asks, http

Serve = Callable[..., Server]


def tunnel(seen: Seen, connection: Connection) -> None:
    """Connect to where CONNECT says, and carry bytes both ways."""
    assert seen.method == "CONNECT"
    host, _, port = seen.target.rpartition(":")
    with socket.create_connection((host, int(port))) as there:
        connection.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        def back() -> None:
            with contextlib.suppress(OSError):
                while data := there.recv(65536):
                    connection.write(data)
                connection.sock.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=back, daemon=True).start()
        while data := connection.sock.recv(65536):
            there.sendall(data)


def test_http_goes_through_the_connection_s_proxy_with_its_credentials(serve: Serve, connect: Face) -> None:
    proxy = serve(http(body=b"by proxy"))
    address = proxy.url.replace("http://", "http://pat:pr0xy%2Fpw@")
    wire = connect(ConnectionSettings(base_url="http://api.example.com", proxies={"http": address}))
    assert wire.answer(asks()).body == b"by proxy"
    assert proxy.last.target == "http://api.example.com/jobs/7"
    sent = proxy.last.headers["proxy-authorization"]
    assert sent == "Basic " + base64.b64encode(b"pat:pr0xy/pw").decode()
    assert "pr0xy" not in wire.trace.to_json()
    assert wire.wire.redactor.text(f"{address} {sent}").count("***") == 2


def test_https_goes_through_a_tunnel(serve: Serve, connect: Face) -> None:
    # The tunnel ends at a server that speaks no TLS: what matters is where it leads, and what is made of it.
    there, proxy = serve(http()), serve(tunnel)
    wire = connect(ConnectionSettings(base_url=f"https://127.0.0.1:{there.port}", proxies={"all": proxy.url}))
    failed = wire.fault(asks(Purpose.SUBMIT, method="POST"))
    assert failed.fault is Fault.NOT_SENT
    assert proxy.last.target == f"127.0.0.1:{there.port}"
    assert there.seen == []


@pytest.mark.parametrize(("code", "fault"), [(407, Fault.REFUSED), (502, Fault.NOT_SENT)])
def test_a_proxy_that_opens_no_tunnel_sent_nothing(
    serve: Serve, connect: Face, code: int, fault: Fault
) -> None:
    proxy = serve(http(code))
    wire = connect(ConnectionSettings(base_url="https://api.example.com", proxies={"https": proxy.url}))
    failed = wire.fault(asks(Purpose.SUBMIT, method="POST"))
    assert failed.fault is fault
    assert "proxy" in failed.detail
    assert str(code) in failed.detail


def test_a_proxy_that_hangs_up_sent_nothing(serve: Serve, connect: Face) -> None:
    proxy = serve(lambda seen, connection: None)
    wire = connect(ConnectionSettings(base_url="https://api.example.com", proxies={"https": proxy.url}))
    assert wire.fault(asks(Purpose.SUBMIT, method="POST")).fault is Fault.NOT_SENT


def test_the_environment_s_proxy_counts_unless_the_host_is_excepted(
    serve: Serve, connect: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, own = serve(http(body=b"by proxy")), serve(http(body=b"direct"))
    for name in ("HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy.url)
    assert connect(own.url).answer(asks()).body == b"by proxy"
    assert connect(ConnectionSettings(base_url=own.url, trust_env=False)).answer(asks()).body == b"direct"
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
    assert connect(own.url).answer(asks()).body == b"direct"


@pytest.mark.parametrize("key", ["http://127.0.0.1", "http", "all://127.0.0.1", "all"])
def test_proxies_are_looked_up_as_requests_does(serve: Serve, connect: Face, key: str) -> None:
    proxy, own = serve(http(body=b"by proxy")), serve(http(body=b"direct"))
    proxies = {"https": "http://127.0.0.1:1", key: proxy.url}
    assert connect(ConnectionSettings(base_url=own.url, proxies=proxies)).answer(asks()).body == b"by proxy"


def test_an_unsupported_proxy_is_an_error_of_the_connection(connect: Face) -> None:
    settings = ConnectionSettings(
        base_url="http://api.example.com", proxies={"all": "socks5://ann:pw12345@p:1080"}
    )
    failed = connect(settings).fault(asks())
    assert failed.fault is Fault.REFUSED
    assert failed.error is not None
    assert "'socks5'" in failed.detail
    assert "valid: http, https" in failed.detail
    assert "pw12345" not in failed.detail
