"""Certificates: who is trusted, who we are, and what the messages say."""

from __future__ import annotations

import os
import socketserver
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_asyncjob.protocol.messages import Fault, Purpose
from airflow_asyncjob.transport.settings import ConnectionSettings
from tests.transport.wires import Face, Server, asks, http

Serve = Callable[..., Server]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def context(authority: trustme.CA, host: str = "127.0.0.1", *, ask_client: bool = False) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(made)
    if ask_client:
        authority.configure_trust(made)
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def settings(server: Server, **fields: Any) -> ConnectionSettings:
    return ConnectionSettings(base_url=server.url, **fields)


def test_a_certificate_that_nobody_vouches_for_is_final(
    serve: Serve, connect: Face, authority: trustme.CA
) -> None:
    server = serve(http(), tls=context(authority))
    failed = connect(settings(server)).fault(asks(Purpose.SUBMIT, method="POST"))
    assert failed.fault is Fault.REFUSED
    assert f"the certificate of 127.0.0.1:{server.port} is not trusted" in failed.detail
    assert "verify" in failed.detail
    assert server.seen == []


def test_a_certificate_of_another_host_is_final(
    serve: Serve, connect: Face, authority: trustme.CA, ca_file: str
) -> None:
    server = serve(http(), tls=context(authority, "api.example.com"))
    failed = connect(settings(server, verify=ca_file)).fault(asks())
    assert failed.fault is Fault.REFUSED
    assert "mismatch" in failed.detail


def test_the_connection_s_authority_is_trusted(
    serve: Serve, connect: Face, authority: trustme.CA, ca_file: str
) -> None:
    server = serve(http(body=b"ok"), tls=context(authority))
    assert connect(settings(server, verify=ca_file)).answer(asks()).body == b"ok"


def test_a_ca_file_that_is_replaced_is_read_again(
    serve: Serve, connect: Face, authority: trustme.CA, tmp_path: Path
) -> None:
    server, path = serve(http(), tls=context(authority)), tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    os.utime(path, ns=(1, 1))
    assert connect(settings(server, verify=str(path))).fault(asks()).fault is Fault.REFUSED
    authority.cert_pem.write_to_path(path)
    assert connect(settings(server, verify=str(path))).answer(asks()).code == 200


def test_an_authority_of_the_environment_is_trusted_unless_it_is_not_wanted(
    serve: Serve, connect: Face, authority: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(http(), tls=context(authority))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_file)
    assert connect(settings(server)).answer(asks()).code == 200
    assert connect(settings(server, trust_env=False)).fault(asks()).fault is Fault.REFUSED


def test_checking_can_be_switched_off(serve: Serve, connect: Face, authority: trustme.CA) -> None:
    server = serve(http(), tls=context(authority, "elsewhere.example"))
    assert connect(settings(server, verify=False)).answer(asks()).code == 200


def test_a_client_certificate_is_shown(
    serve: Serve, connect: Face, authority: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    mine = authority.issue_cert("client@example.com")
    mine.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    mine.private_key_pem.write_to_path(tmp_path / "key.pem")
    mine.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    server = serve(http(), tls=context(authority, ask_client=True))
    both = settings(server, verify=ca_file, cert=str(tmp_path / "both.pem"))
    assert connect(both).answer(asks()).code == 200
    apart = settings(server, verify=ca_file, cert=(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")))
    assert connect(apart).answer(asks()).code == 200


def test_a_server_that_wants_a_client_certificate_says_so(
    serve: Serve, connect: Face, authority: trustme.CA, ca_file: str
) -> None:
    server = serve(http(), tls=context(authority, ask_client=True))
    failed = connect(settings(server, verify=ca_file)).fault(asks())
    assert server.seen == []
    # The server may be gone before its alert is read; then all that is known is that the answer was lost.
    assert failed.fault in (Fault.REFUSED, Fault.LOST)
    if failed.fault is Fault.REFUSED:
        assert "client certificate" in failed.detail


@pytest.mark.parametrize(
    ("cert", "says"),
    [("/no/such/cert.pem", "does not exist"), (__file__, "cannot be used")],
)
def test_a_client_certificate_that_cannot_be_read_is_an_error_of_the_connection(
    connect: Face, cert: str, says: str
) -> None:
    failed = connect(ConnectionSettings(base_url="https://127.0.0.1:1", cert=cert)).fault(asks())
    assert failed.fault is Fault.REFUSED
    assert says in failed.detail
    assert cert in failed.detail


def test_https_on_a_port_that_speaks_http_sent_nothing(connect: Face) -> None:
    class Plain(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(http(400))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Plain) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        failed = connect(f"https://127.0.0.1:{server.server_address[1]}").fault(
            asks(Purpose.SUBMIT, method="POST")
        )
        server.shutdown()
    assert failed.fault is Fault.NOT_SENT
    assert "TLS failed" in failed.detail
    assert "this port may speak http" in failed.detail


def test_a_download_loses_credentials_when_https_redirects_to_http(
    serve: Serve, connect: Face, authority: trustme.CA, ca_file: str
) -> None:
    plain = serve(http(body=b"x"))
    own = serve(http(302, headers={"Location": f"{plain.url}/"}), tls=context(authority))
    wire = connect(settings(own, verify=ca_file, login="ann", password="hunter22"))
    with wire.open(asks(Purpose.RESULT)) as opened:
        assert opened.read() == b"x"
    assert "authorization" in own.last.headers
    assert "authorization" not in plain.last.headers
