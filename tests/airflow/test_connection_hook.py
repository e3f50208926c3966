"""AsyncJobHook: Airflow connections as the transport takes them, and the connection test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk import BaseHook

from airflow_asyncjob import AsyncJobHook
from airflow_asyncjob.errors import ConnectionSetupError
from airflow_asyncjob.provider_info import get_provider_info
from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.transport import ConnectionSettings
from tests.transport.wires import Server, http

SECRET = "open-sesame-4711"


@pytest.fixture
def api() -> Iterator[Server]:
    """Give an API that takes anything, and gives a token at /token."""
    body = b'{"access_token": "token-4711"}'
    server = Server(lambda seen, connection: http(body=body if seen.target == "/token" else b"{}"))
    yield server
    server.stop()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that makes a connection known and reads it."""

    def connect(**fields: Any) -> AsyncJobHook:
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "http", **fields}))
        return AsyncJobHook("shop")

    return connect


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "api.example.com"},
        {"host": "api.example.com", "schema": "https"},
        {"host": "https://api.example.com", "port": 8443},
        {"host": "https://api.example.com/v1"},
        {"host": "localhost", "port": 8080, "login": "me", "password": "open sesame"},
    ],
)
def test_the_address_is_the_one_of_the_http_provider(connect: Any, fields: dict[str, Any]) -> None:
    settings = connect(**fields).get_settings()
    theirs = HttpHook(http_conn_id="shop")
    session = theirs.get_conn()
    assert settings.base_url == theirs.base_url
    if session.auth:
        assert (settings.login, settings.password) == (session.auth.username, session.auth.password)


def test_extra_is_read_as_the_http_provider_reads_it(connect: Any) -> None:
    extra = {
        "verify": False,
        "timeout": 7,
        "allow_redirects": False,
        "max_redirects": 2,
        "proxies": {"https": "http://proxy:3128"},
        "X-Tenant": "north",
    }
    settings: ConnectionSettings = connect(
        host="https://api.example.com", extra=json.dumps(extra)
    ).get_settings()
    session = HttpHook(http_conn_id="shop").get_conn()
    assert settings.verify is session.verify is False
    assert settings.proxies == session.proxies
    assert settings.max_redirects == session.max_redirects == 2
    assert settings.headers["X-Tenant"] == session.headers["X-Tenant"] == "north"
    assert settings.timeout == 7
    assert settings.allow_redirects is False


def test_the_own_connection_type_says_how_credentials_are_sent(connect: Any) -> None:
    extra = {"auth_type": "api_key", "auth_header": "X-Api-Key", "auth_prefix": "Key "}
    settings = connect(
        conn_type="asyncjob", host="https://api.example.com", password="k", extra=extra
    ).get_settings()
    assert settings.auth is not None
    assert (settings.auth.type, settings.auth.header, settings.auth.prefix) == (
        "api_key",
        "X-Api-Key",
        "Key ",
    )


def test_a_missing_connection_says_what_to_do() -> None:
    with pytest.raises(ConnectionSetupError) as caught:
        AsyncJobHook("no_such").get_settings()
    said = caught.value.message
    assert "connection 'no_such' does not exist" in said
    assert "Admin, Connections" in said
    assert "AIRFLOW_CONN_NO_SUCH" in said
    assert not caught.value.retryable


def test_a_field_that_cannot_be_used_is_named(connect: Any) -> None:
    with pytest.raises(ConnectionSetupError, match=r"connection 'shop'.*timeout"):
        connect(host="https://api.example.com", extra={"timeout": "soon"}).get_settings()


class TestConnectionTest:
    """``test_connection``, as the button in the UI calls it."""

    @pytest.mark.parametrize("path", ["/jobs", ""])
    def test_it_succeeds(self, connect: Any, path: str) -> None:
        with FakeJobServer("generic", auth="basic") as server:
            login, _, password = "user:open-sesame".partition(":")
            fields = {"host": server.url, "login": login, "password": password}
            hook = connect(conn_type="asyncjob", **fields, extra={"test_path": path})
            good, said = hook.test_connection()
            assert server.url in said
        assert good, said
        assert ("whether it takes the credentials is not known" in said) is (path == "")

    @pytest.mark.parametrize("conn_type", ["asyncjob", "http"])
    @pytest.mark.parametrize(
        ("fields", "carried"),
        [
            ({"type": "none"}, {"authorization": None}),
            ({"type": "bearer"}, {"authorization": f"Bearer {SECRET}"}),
            ({"type": "api_key", "header": "X-Key", "prefix": "Key "}, {"x-key": f"Key {SECRET}"}),
            (
                {
                    "type": "headers",
                    "headers": {"X-A": "{{ connection.login }}", "X-B": "{{ connection.password }}"},
                },
                {"x-a": "me", "x-b": SECRET},
            ),
            (
                {"type": "oauth2", "token_url": "/token", "scope": "a b", "params": {"audience": "c"}},
                {"authorization": "Bearer token-4711"},
            ),
            (
                {"type": "oauth2", "token_url": "/token", "client_auth": "body", "grant": "refresh_token"},
                {"authorization": "Bearer token-4711"},
            ),
            (
                {
                    "type": "session",
                    "login": [{"name": "in", "request": {"url": "/token"}, "capture": {"t": "access_token"}}],
                    "headers": {"X-Session": "{{ captures.t }}"},
                    "query": {"s": "{{ captures.t }}"},
                },
                {"x-session": "token-4711"},
            ),
            (
                {"type": "aws_sigv4", "service": "athena", "region": "eu-central-1"},
                {"authorization": "AWS4-HMAC-SHA256 Credential=me/"},
            ),
        ],
    )
    def test_each_kind_is_tested_with_its_credentials(
        self,
        connect: Any,
        conn_type: str,
        fields: dict[str, Any],
        carried: dict[str, str | None],
        api: Server,
    ) -> None:
        if conn_type == "asyncjob":
            extra = {f"auth_{k}": v if isinstance(v, str) else json.dumps(v) for k, v in fields.items()}
            assert set(extra) <= set(get_provider_info()["connection-types"][0]["conn-fields"])
        else:
            extra = {"auth": fields}
        extra |= {"test_path": "/me", "refresh_token": "refresh-4711", "aws_session_token": ""}
        hook = connect(conn_type=conn_type, host=api.url, login="me", password=SECRET, extra=extra)
        good, said = hook.test_connection()
        assert good, said
        assert "4711" not in said.replace(api.url, "")
        sent = api.last.headers
        for name, value in carried.items():
            assert (sent.get(name) or "").startswith(value or "")
            assert (name in sent) is (value is not None)
        assert not {"test_path", "refresh_token", "auth_type"} & set(sent)

    def test_wrong_credentials_are_told(self, connect: Any) -> None:
        with FakeJobServer("generic", auth="bearer") as server:
            hook = connect(
                conn_type="asyncjob",
                host=server.url,
                password="wrong-token",
                extra={"auth_type": "bearer", "test_path": "/jobs"},
            )
            good, said = hook.test_connection()
        assert not good
        assert "401" in said
        assert "credentials are missing or refused" in said
        assert "wrong-token" not in said

    def test_a_path_that_is_not_there_is_told(self, connect: Any) -> None:
        with FakeJobServer("generic") as server:
            good, said = connect(host=server.url, extra={"test_path": "/nothing"}).test_connection()
        assert not good
        assert "404; expected 2xx" in said

    def test_nobody_there_is_told(self, connect: Any) -> None:
        with FakeJobServer("generic") as server:
            url = server.url
        good, said = connect(host=url).test_connection()
        assert not good
        assert "was not answered" in said
        assert url.removeprefix("http://") in said

    def test_a_connection_that_is_not_there_is_told(self) -> None:
        good, said = AsyncJobHook("no_such").test_connection()
        assert not good
        assert "does not exist" in said


def test_airflow_finds_the_hook_by_its_conventions() -> None:
    assert issubclass(AsyncJobHook, BaseHook)
    assert AsyncJobHook.conn_name_attr == "http_conn_id"
    assert AsyncJobHook().http_conn_id == AsyncJobHook.default_conn_name
