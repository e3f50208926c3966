"""Credentials that a callable of the team's own makes."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable

import httpx
import pytest

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.errors import ConnectionSetupError
from airflow_asyncjob.protocol.messages import Fault, Purpose
from airflow_asyncjob.transport.auth import build_auth
from airflow_asyncjob.transport.client import Wire
from airflow_asyncjob.transport.settings import ConnectionSettings
from tests.transport.wires import Face, Seen, Server, asks, http

Serve = Callable[..., Server]
SECRET = "s3cr3t+pass/word"


def custom(name: str) -> Auth:
    return Auth.model_validate({"type": "callable", "callable": f"tests.transport.custom_auth:{name}"})


def settings(url: str) -> ConnectionSettings:
    return ConnectionSettings(base_url=url, login="ann", password=SECRET, conn_id="shop")


def test_a_callable_makes_the_credentials(serve: Serve, connect: Face) -> None:
    server = serve(lambda seen, _: http(404, seen.headers["x-signature"].encode()))
    wire = connect(settings(server.url), auth=custom("signed"))
    response = wire.answer(asks(Purpose.SUBMIT, method="POST", json={"a": 1}))
    right = hmac.new(SECRET.encode(), b'{"a":1}', hashlib.sha256).hexdigest()
    assert server.last.headers["x-signature"] == right
    assert "authorization" not in server.last.headers
    assert response.excerpt == "***"
    assert right not in wire.trace.to_json()


def test_it_is_for_the_own_origin_only(serve: Serve, connect: Face) -> None:
    own, other = serve(http()), serve(http())
    connect(settings(own.url), auth=custom("signed")).answer(asks(url=f"{other.url}/x"))
    assert "x-signature" not in other.last.headers


def test_it_may_send_requests_of_its_own_and_a_download_still_streams(serve: Serve, connect: Face) -> None:
    def answer(seen: Seen, connection: object) -> bytes:
        if seen.target == "/ticket":
            return http(body=json.dumps({"ticket": "ticket-4711"}).encode())
        return http(200 if seen.headers.get("x-ticket") == "ticket-4711" else 401, b"rows")

    server = serve(answer)
    wire = connect(settings(server.url), auth=custom("ticket"))
    assert wire.answer(asks()).body == b"rows"
    with wire.open(asks(Purpose.RESULT)) as opened:
        assert opened.read() == b"rows"
    assert "ticket-4711" not in wire.trace.to_json()


def test_an_auth_with_flows_for_both_worlds(serve: Serve, connect: Face) -> None:
    server = serve(http())
    connect(settings(server.url), auth=custom("own")).answer(asks())
    assert server.last.headers["x-world"] == f"{connect.kind}-world"


def test_one_that_breaks_is_told(serve: Serve, connect: Face) -> None:
    server = serve(http())
    failed = connect(settings(server.url), auth=custom("breaks")).fault(asks(Purpose.SUBMIT))
    assert failed.fault is Fault.REFUSED
    assert "auth.callable tests.transport.custom_auth:breaks failed on a request: KeyError" in failed.detail
    assert server.seen == []


def test_a_file_that_is_streamed_is_not_read_into_memory() -> None:
    credentials = build_auth(custom("signed"), settings("http://127.0.0.1:1"))
    assert credentials is not None
    request = httpx.Request("PUT", "http://127.0.0.1:1/", content=iter([b"rows"]))
    with pytest.raises(ConnectionSetupError, match=r"needs the whole body .* and this one streams a file"):
        next(credentials.sync_auth_flow(request))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("fails", "custom_auth:fails failed for the connection 'shop': ValueError: no key"),
        ("nothing", "returned a value of type dict; .* returns an httpx.Auth"),
        ("number", "is a value of type int, not a callable"),
        ("missing", "cannot be imported: AttributeError"),
    ],
)
def test_a_callable_that_gives_none_is_told_at_once(name: str, says: str) -> None:
    with pytest.raises(ConnectionSetupError, match=says):
        Wire(settings("http://127.0.0.1:1"), auth=custom(name))


def test_a_connection_cannot_name_one() -> None:
    extra = {"auth": {"type": "callable", "callable": "tests.transport.custom_auth:signed"}}
    with pytest.raises(ConnectionSetupError, match="callable, which is code; set it in the definition"):
        ConnectionSettings.from_parts(host="h", extra=extra)
