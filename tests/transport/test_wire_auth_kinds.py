"""Kinds of credentials beyond one header, credentials of one request, and requests that carry none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.errors import ConnectionSetupError
from airflow_asyncjob.protocol.answers import denied
from airflow_asyncjob.protocol.messages import Failed, Fault, Purpose, Responded
from airflow_asyncjob.transport.client import AsyncWire, Wire
from airflow_asyncjob.transport.settings import ConnectionSettings
from tests.transport.wires import Face, Server, asks, http

Serve = Callable[..., Server]
SECRET = "s3cr3t+pass/word"


def settings(url: str, **fields: Any) -> ConnectionSettings:
    return ConnectionSettings.from_parts(
        conn_type="asyncjob", host=url, **{"login": "ann", "password": SECRET, **fields}
    )


def headers(**values: str) -> Auth:
    named = {name.replace("_", "-"): value for name, value in values.items()}
    return Auth.model_validate({"type": "headers", "headers": named})


# Several headers -----------------------------------------------------------------------------------------


def test_each_header_is_made_of_the_connection(serve: Serve, connect: Face) -> None:
    server = serve(lambda seen, _: http(404, seen.headers["x-both"].encode()))
    auth = headers(
        X_Key="{{ connection.password }}",
        X_Tenant="{{ connection.extra.tenant }}",
        X_Both="{{ (connection.login ~ ':' ~ connection.password) | upper }}",
    )
    wire = connect(settings(server.url, extra={"tenant": "north"}), auth=auth)
    response = wire.answer(asks())
    sent = server.last.headers
    assert (sent["x-key"], sent["x-tenant"], sent["x-both"]) == (SECRET, "north", f"ANN:{SECRET.upper()}")
    assert "authorization" not in sent
    assert response.excerpt == "***"
    assert SECRET not in wire.trace.to_json()
    assert SECRET.upper() not in wire.trace.to_json()


def test_a_header_of_the_request_wins_and_the_others_stay(serve: Serve, connect: Face) -> None:
    server = serve(http())
    auth = headers(X_Key="{{ connection.password }}", X_Tenant="north")
    connect(settings(server.url), auth=auth).answer(asks(headers={"x-tenant": "south"}))
    assert (server.last.headers["x-key"], server.last.headers["x-tenant"]) == (SECRET, "south")


def test_several_headers_stay_at_home(serve: Serve, connect: Face) -> None:
    own, other = serve(http()), serve(http())
    connect(settings(own.url), auth=headers(X_Tenant="north")).answer(asks(url=f"{other.url}/x"))
    assert "x-tenant" not in other.last.headers


@pytest.mark.parametrize(
    ("value", "fields", "says"),
    [
        ("{{ connection.extra.tenant }}", {}, r"auth\.headers\.X-A.*tenant"),
        ("{{ connection.password }}", {"password": ""}, r"auth\.headers\.X-A is empty.*connection\.password"),
        ("{{ connection.password }}", {"password": "a\nb"}, "line break"),
        ("{{ connection.extra }}", {}, r"auth\.headers\.X-A"),
    ],
)
def test_a_header_that_cannot_be_made_is_told_at_once(value: str, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ConnectionSetupError, match=says) as caught:
        Wire(settings("http://127.0.0.1:1", conn_id="my_api", **fields), auth=headers(X_A=value))
    assert "'my_api'" in caught.value.message
    assert SECRET not in caught.value.message


def test_the_extra_of_either_type_takes_them(serve: Serve) -> None:
    server = serve(http())
    auth = {"type": "headers", "headers": {"X-Key": "{{ connection.password }}"}}
    for conn_type, extra in [
        ("http", {"auth": auth}),
        ("asyncjob", {"auth": auth}),
        ("asyncjob", {"auth_type": "headers", "auth_headers": '{"X-Key": "{{ connection.password }}"}'}),
    ]:
        given = ConnectionSettings.from_parts(
            conn_type=conn_type, host=server.url, password="pw-4711", extra=extra
        )
        with Wire(given) as wire:
            wire.send(asks())
        assert server.last.headers["x-key"] == "pw-4711"


def test_a_wrong_extra_says_which_field_is_wrong() -> None:
    auth = {"type": "headers", "headers": {"X-Key": "{{ inputs.key }}"}, "pasword": "x"}
    with pytest.raises(ConnectionSetupError) as caught:
        ConnectionSettings.from_parts(host="h", extra={"auth": auth}, conn_id="my_api")
    assert "connection 'my_api': the authentication in the extra" in caught.value.message
    assert "auth.pasword: unknown field; did you mean" not in caught.value.message
    assert "auth.pasword: unknown field; Valid: type" in caught.value.message


# Credentials of one request ------------------------------------------------------------------------------


def test_a_request_may_have_another_connection(serve: Serve, connect: Face) -> None:
    own, other = serve(http()), serve(http(403, b"no bob and no other-secret"))
    store = settings(other.url, login="bob", password="other-secret", extra={"headers": {"X-Team": "b"}})
    wire = connect(settings(own.url), others={"my_store": store}.__getitem__)
    auth = {"connection": "my_store", "type": "bearer"}
    answers = [wire.answer(asks(url="/file", auth=auth)), wire.answer(asks(url=f"{other.url}/f", auth=auth))]
    assert [seen.headers["authorization"] for seen in other.seen] == ["Bearer other-secret"] * 2
    assert other.last.headers["x-team"] == "b"
    assert {response.excerpt for response in answers} == {"no bob and no ***"}
    assert "other-secret" not in wire.trace.to_json()
    wire.answer(asks(url=f"{own.url}/x", auth=auth))
    assert not {"authorization", "x-team"} & set(own.last.headers)
    wire.answer(asks())
    assert own.last.headers["authorization"].startswith("Basic ")


def test_a_download_may_have_another_connection(serve: Serve, connect: Face) -> None:
    own, other = serve(http()), serve(http(body=b"rows"))
    store = settings(other.url, login="bob", password="other-secret")
    wire = connect(settings(own.url), others={"my_store": store}.__getitem__)
    send = asks(
        Purpose.RESULT,
        "{{ download_target }}",
        auth={"connection": "my_store"},
        names={"download_target": f"{other.url}/file"},
    )
    with wire.open(send) as opened:
        assert opened.read() == b"rows"
    assert other.last.headers["authorization"].startswith("Basic ")
    assert [exchange.url for exchange in wire.trace.exchanges] == [f"{other.url}/file"]


def test_templates_of_that_request_see_its_connection(serve: Serve, connect: Face) -> None:
    own, other = serve(http()), serve(http())
    store = settings(other.url, extra={"bucket": "lake"})
    wire = connect(settings(own.url, extra={"bucket": "mine"}), others={"my_store": store}.__getitem__)
    url = "/{{ connection.extra.bucket }}"
    wire.answer(asks(url=url, auth={"connection": "my_store"}))
    wire.answer(asks(url=url))
    assert (other.last.target, own.last.target) == ("/lake", "/mine")


def test_a_request_may_have_another_kind(serve: Serve, connect: Face) -> None:
    own = serve(http())
    wire = connect(settings(own.url))
    wire.answer(asks(auth={"type": "api_key", "header": "X-Admin"}))
    assert own.last.headers["x-admin"] == SECRET
    assert "authorization" not in own.last.headers


def test_a_refused_request_refreshes_its_own_connection(serve: Serve, connect: Face) -> None:
    own = serve(http())
    other = serve(lambda s, c: http(200 if s.headers["authorization"] == "Bearer fresh-token" else 401))
    fetched: list[str] = []

    def fetch(conn_id: str) -> ConnectionSettings:
        fetched.append(conn_id)
        return settings(other.url, password="stale-token" if len(fetched) == 1 else "fresh-token")

    wire = connect(settings(own.url), others=fetch, reload=lambda: settings(own.url))
    send = asks(url="/file", auth={"connection": "my_store", "type": "bearer"})
    assert wire.answer(send).code == 401
    assert wire.refresh().changed
    assert wire.answer(send).code == 200
    assert fetched == ["my_store", "my_store"]
    wire.answer(asks())
    assert not wire.refresh().changed


def test_a_connection_that_is_not_there_ends_the_request(serve: Serve, connect: Face) -> None:
    own = serve(http())

    def fetch(conn_id: str) -> ConnectionSettings:
        raise ConnectionSetupError(f"there is no {conn_id}")

    wire = connect(settings(own.url), others=fetch)
    failed = wire.fault(asks(auth={"connection": "my_store"}))
    assert failed.fault is Fault.REFUSED
    assert isinstance(failed.error, ConnectionSetupError)
    assert failed.error.message == "there is no my_store"
    with wire.open(asks(Purpose.RESULT, auth={"connection": "my_store"})) as opened:
        assert isinstance(opened.event, Failed)
        assert opened.event.error.message == "there is no my_store"
    assert own.seen == []


def test_without_a_way_to_find_connections_that_is_said(serve: Serve, connect: Face) -> None:
    failed = connect(settings(serve(http()).url)).fault(asks(auth={"connection": "my_store"}))
    assert "the connection 'my_store' (auth.connection)" in failed.detail


def test_tasks_that_share_a_wire_share_the_other_connection(serve: Serve) -> None:
    own, other = serve(http()), serve(http())
    fetched: list[str] = []

    async def fetch(conn_id: str) -> ConnectionSettings:
        fetched.append(conn_id)
        await asyncio.sleep(0)
        return settings(other.url)

    async def all_of_them() -> list[Responded | Failed]:
        async with AsyncWire(settings(own.url), others=fetch) as wire:
            send = asks(auth={"connection": "my_store"})
            return await asyncio.gather(*(wire.send(send) for _ in range(10)))

    assert all(isinstance(event, Responded) for event in asyncio.run(all_of_them()))
    assert fetched == ["my_store"]


# No credentials ------------------------------------------------------------------------------------------


def refusal(wire: Face, **fields: Any) -> str:
    response = wire.answer(asks(**fields))
    assert response.code == 401
    error = denied(Responded(response), "the poll").error
    assert error is not None
    return error.message


def test_a_password_that_nothing_sends_is_told_with_how_to_send_it(serve: Serve, connect: Face) -> None:
    server = serve(http(401, b"who are you?"))
    said = refusal(connect(settings(server.url, login=None, conn_id="my_api")))
    assert "The API wants credentials, for the poll" in said
    assert "No credentials were sent: the connection 'my_api' has a password and no login" in said
    assert "auth: {type: bearer}" in said
    assert '{"auth": {"type": "bearer"}}' in said
    assert "form of a connection of type asyncjob" in said
    assert "fetched again" not in said


@pytest.mark.parametrize(
    ("given", "auth", "request_auth", "says"),
    [
        ({"login": None, "password": None}, None, "connection", "has neither login nor password"),
        ({}, {"type": "none"}, "connection", "auth is none"),
        ({}, None, "none", "the request has auth none"),
        ({}, None, "connection", ""),
        ({"login": None, "extra": {"headers": {"X-Api-Key": "abcdef"}}}, None, "connection", ""),
        ({}, {"type": "api_key", "query": "k"}, "connection", ""),
    ],
)
def test_why_no_credentials_were_sent(
    serve: Serve,
    connect: Face,
    given: dict[str, Any],
    auth: dict[str, str] | None,
    request_auth: str,
    says: str,
) -> None:
    server = serve(http(401))
    wire = connect(settings(server.url, **given), auth=Auth.model_validate(auth) if auth else None)
    said = refusal(wire, auth=request_auth)
    assert (says or "They were fetched again, to no avail") in said
    assert ("No credentials were sent" in said) is bool(says)


def test_another_origin_is_named_with_the_way_to_give_it_credentials(serve: Serve, connect: Face) -> None:
    own, other = serve(http()), serve(http(401))
    wire = connect(settings(own.url))
    said = refusal(wire, url=f"{other.url}/x")
    assert f"127.0.0.1:{other.port} is not the address of the connection ({own.url})" in said
    assert "auth: {connection: ITS_ID}" in said
    assert "No credentials" not in refusal(wire, url=f"{other.url}/x?X-Amz-Signature=abc")
