"""Connections: read as Airflow and its HTTP provider read them, and what goes beyond."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_asyncjob.errors import ConnectionSetupError
from airflow_asyncjob.transport.connection_text import parse_json, parse_uri
from airflow_asyncjob.transport.settings import ConnectionSettings

URIS = [
    "http://api.example.com",
    "http://ann:p%40ss%2Fword@api.example.com:8080/https",
    "http://ann@api.example.com/",
    "http://:token@api.example.com/https",
    "http://https%3A%2F%2FApi.example.com%2Fv1",
    "http://ann:pw@https%3A%2F%2Fapi.example.com%2Fv1/?x-tenant=acme",
    "http://https://api.example.com",
    "http://https://ann:pw@api.example.com:8443",
    "https://api.example.com",
    "asyncjob://ann:pw@https%3A%2F%2Fapi.example.com?auth_type=bearer",
    "my-api://api.example.com/https?verify=false&timeout=30&x-flag=a%20b",
    "http://api.example.com/https?__extra__=%7B%22verify%22%3A+false%2C+%22cert%22%3A+%5B%22a%22%2C+%22b%22%5D%7D",
    "http://api.example.com/https?empty=",
    "http://[::1]:8080/http",
]
JSONS: list[dict[str, Any]] = [
    {"conn_type": "http", "host": "api.example.com", "schema": "https", "port": 8443},
    {"conn_type": "http", "host": "https://api.example.com/v1", "login": "ann", "password": "p@ss"},
    {"conn_type": "http", "host": "h", "port": "8080", "extra": {"verify": False, "x-tenant": "a"}},
    {"conn_type": "http", "host": "h", "extra": '{"timeout": 5}'},
    {"conn_type": "my-type", "host": "h", "description": "d"},
]
SAME = ("conn_type", "host", "schema", "port", "login", "password")


# As Airflow reads them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", URIS)
def test_a_uri_is_read_as_airflow_reads_it(uri: str) -> None:
    sdk = pytest.importorskip("airflow.sdk")
    expected, found = sdk.Connection.from_uri(uri, conn_id="c"), parse_uri(uri)
    assert {name: getattr(found, name) or None for name in SAME} == {
        name: getattr(expected, name) or None for name in SAME
    }
    assert found.extra == json.loads(expected.extra or "{}")


@pytest.mark.parametrize("fields", JSONS)
def test_json_is_read_as_airflow_reads_it(fields: dict[str, Any]) -> None:
    sdk = pytest.importorskip("airflow.sdk")
    text = json.dumps(fields)
    expected, found = sdk.Connection.from_json(text, conn_id="c"), parse_json(text)
    assert {name: getattr(found, name) for name in SAME} == {name: getattr(expected, name) for name in SAME}
    assert found.extra == json.loads(expected.extra or "{}")


PROVIDER = [
    {"host": "api.example.com"},
    {"host": "api.example.com", "schema": "https"},
    {"host": "api.example.com", "schema": "https", "port": 8443},
    {"host": "https://api.example.com"},
    {"host": "https://api.example.com", "schema": "http"},
    {"host": "https://api.example.com/v1"},
    {"host": "http://api.example.com", "port": 8080},
    {"host": "api.example.com/v1", "schema": "https"},
]


@pytest.mark.parametrize("fields", PROVIDER)
@pytest.mark.parametrize("endpoint", ["jobs", "/jobs", "jobs?x=1"])
def test_the_address_is_the_http_provider_s(fields: dict[str, Any], endpoint: str) -> None:
    provider = pytest.importorskip("airflow.providers.http.hooks.http")
    sdk = pytest.importorskip("airflow.sdk")
    from airflow_asyncjob.transport.address import join_url

    hook = provider.HttpHook()
    hook._set_base_url(sdk.Connection(conn_id="c", conn_type="http", **fields))
    settings = ConnectionSettings.from_parts(**fields)
    assert settings.base_url == hook.base_url
    assert join_url(settings.base_url, endpoint) == hook.url_from_endpoint(endpoint)


@pytest.mark.parametrize(
    "extra",
    [
        {"X-Tenant": "acme", "Accept": "application/json"},
        {"verify": False, "cert": "/c.pem", "proxies": {"https": "http://p:1"}, "timeout": 7, "X-A": "1"},
        {"verify_ssl": False, "proxy": {"https": "http://p:1"}, "max_redirects": 4, "trust_env": False},
        {"check_response": False, "stream": True, "allow_redirects": False, "X-A": "1"},
    ],
)
def test_extra_means_what_it_means_to_the_http_provider(extra: dict[str, Any]) -> None:
    provider = pytest.importorskip("airflow.providers.http.hooks.http")
    sdk = pytest.importorskip("airflow.sdk")
    import requests

    hook, session = provider.HttpHook(), requests.Session()
    session.headers.clear()
    connection = sdk.Connection(conn_id="c", conn_type="http", host="h", extra=json.dumps(extra))
    hook._configure_session_from_extra(session, connection, {})
    settings = ConnectionSettings.from_parts(host="h", extra=extra)
    assert dict(settings.headers) == dict(session.headers)
    assert settings.verify == session.verify
    assert settings.cert == session.cert
    assert dict(settings.proxies) == session.proxies
    assert settings.max_redirects == session.max_redirects
    assert settings.trust_env == session.trust_env
    assert settings.timeout == hook.merged_extra.get("timeout")
    assert settings.allow_redirects == hook.merged_extra.get("allow_redirects", True)


# Beyond the provider -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({"conn_type": "https", "host": "api.example.com"}, "https://api.example.com"),
        ({"host": "https://api.example.com/v1", "port": 8443}, "https://api.example.com:8443/v1"),
        ({"host": "https://api.example.com:8443", "port": 8443}, "https://api.example.com:8443"),
        ({"host": "api.example.com", "schema": "HTTPS"}, "https://api.example.com"),
        ({"host": "::1", "port": 8080}, "http://[::1]:8080"),
        ({"host": " api.example.com "}, "http://api.example.com"),
        ({}, ""),
    ],
)
def test_addresses_that_the_provider_makes_nothing_of(fields: dict[str, Any], address: str) -> None:
    assert ConnectionSettings.from_parts(**fields).base_url == address


def test_settings_of_a_uri_are_texts() -> None:
    proxies = "%7B%22all%22%3A%22http%3A%2F%2Fp%22%7D"
    query = f"verify=false&timeout=2.5&max_redirects=3&allow_redirects=False&x-a=1&proxies={proxies}"
    settings = ConnectionSettings.from_uri(f"http://h/?{query}")
    assert (settings.verify, settings.timeout, settings.max_redirects) == (False, 2.5, 3)
    assert (settings.allow_redirects, dict(settings.headers)) == (False, {"x-a": "1"})
    assert dict(settings.proxies) == {"all": "http://p"}


@pytest.mark.parametrize("text", ['{"host": "h", "login": "ann"}', "http://ann@h"])
def test_the_text_of_a_connection_is_json_or_a_uri(text: str) -> None:
    settings = ConnectionSettings.from_text(f"  {text}\n")
    assert (settings.base_url, settings.login) == ("http://h", "ann")


def test_a_connection_of_our_type_sends_only_what_is_meant_as_a_header() -> None:
    settings = ConnectionSettings.from_parts(
        conn_type="asyncjob",
        host="h",
        password="pw",
        extra={
            "auth_type": "api_key",
            "auth_header": "X-Key",
            "auth_prefix": "Token ",
            "auth_query": "",
            "headers": '{"X-Team": "b"}',
            "tenant": "acme",
            "verify": None,
        },
    )
    assert dict(settings.headers) == {"X-Team": "b"}
    assert settings.auth is not None
    assert (settings.auth.type, settings.auth.header, settings.auth.prefix) == ("api_key", "X-Key", "Token ")
    assert settings.view()["tenant"] == "acme"
    assert settings.secrets() == {"pw", "OnB3"}


@pytest.mark.parametrize("conn_type", ["http", "asyncjob"])
def test_extra_may_say_how_credentials_are_sent(conn_type: str) -> None:
    settings = ConnectionSettings.from_parts(
        conn_type=conn_type, host="h", extra={"auth": {"type": "bearer"}}
    )
    assert settings.auth is not None
    assert settings.auth.type == "bearer"
    assert dict(settings.headers) == {}


def test_a_plain_connection_s_auth_text_is_a_header_as_with_the_provider() -> None:
    settings = ConnectionSettings.from_parts(host="h", extra={"auth": "abc", "auth_type": "x"})
    assert settings.auth is None
    assert dict(settings.headers) == {"auth": "abc", "auth_type": "x"}


def test_another_address_is_another_origin() -> None:
    settings = ConnectionSettings.from_uri("http://ann:pw@h/https").with_base_url("http://127.0.0.1:8000/api")
    assert (settings.base_url, settings.login, settings.password) == (
        "http://127.0.0.1:8000/api",
        "ann",
        "pw",
    )


def test_templates_see_the_host_however_it_is_spelled() -> None:
    spelled = [
        {"host": "api.example.com", "schema": "https", "port": 8443},
        {"host": "https://api.example.com:8443"},
        {"host": "https://api.example.com", "port": 8443},
    ]
    for fields in spelled:
        view = ConnectionSettings.from_parts(**fields, login="ann", password="pw").view()
        assert {k: view[k] for k in ("host", "port", "schema", "login")} == {
            "host": "api.example.com",
            "port": 8443,
            "schema": "https",
            "login": "ann",
        }
        assert "password" not in view


# Secrets -------------------------------------------------------------------------------------------------


def test_secrets_are_those_of_every_field() -> None:
    settings = ConnectionSettings.from_parts(
        host="h",
        login="ann",
        password="pass-word",
        extra={
            "X-Api-Key": "header-key",
            "Authorization": "Bearer bearer-token",
            "Accept": "application/json",
            "oauth": {"client_secret": "client-one", "scopes": ["read"]},
            "credentials": ["one-of-them", {"name": "nested"}],
            "proxies": {"all": "http://pat:proxy%2Fpw@p"},
            "cert": ["c.pem", "k.pem", "key-phrase"],
        },
    )
    found = settings.secrets()
    assert found >= {"pass-word", "header-key", "Bearer bearer-token", "bearer-token", "client-one"}
    assert found >= {"one-of-them", "nested", "proxy/pw", "key-phrase", "YW5uOnBhc3Mtd29yZA=="}
    assert not found & {"ann", "application/json", "read", "h"}
    shown = repr(settings) + str(settings) + f"{settings}"
    assert not any(secret in shown for secret in found)


# Errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("api.example.com", "TYPE://LOGIN:PASSWORD@HOST"),
        ("a://b://c://d", "TYPE://LOGIN:PASSWORD@HOST"),
        ("http://ann:hush-hush@https://h", "follow the second one"),
        ("http://ann:hush-hush@h:port/", "bad host or port"),
        ("http://ann:hush-hush@[::1/", "bad host or port"),
        ("http://ann:hush-hush@h/v1", "schema of the connection is 'v1'"),
        ('{"host": "h", "password": "hush-hush"', "not valid JSON"),
        ('{"host": "h", "pass": "hush-hush"}', "unknown field of the connection: pass"),
        ('{"host": "h", "password": ["hush-hush"]}', "password of the connection is not text"),
        ('{"host": "h", "port": "hush-hush"}', "port of the connection is not a whole number"),
        ('{"host": "h", "extra": "{hush-hush"}', "extra of the connection is not valid JSON"),
        ('{"host": "h", "extra": "[1]"}', "not a JSON object"),
        ('["hush-hush"]', "TYPE://LOGIN:PASSWORD@HOST"),
        ('{"host": "https://ann:hush-hush@h"}', "holds a user name"),
        ('{"host": "ftp://h"}', "no http or https address"),
        ('{"host": "https://h?a=hush-hush"}', "holds ? or #"),
        ('{"host": "https://h:99999999"}', "cannot be read"),
        ('{"host": "https://h:1", "port": 2}', "names port 1, and the field port 2"),
        ('{"host": "h", "extra": {"srv_lookup": true}}', "srv_lookup is not supported"),
        ('{"host": "h", "extra": {"timeout": 0}}', "timeout"),
        ('{"host": "h", "extra": {"timeout": true}}', "timeout"),
        ('{"host": "h", "extra": {"timeout": [1, 2, 3]}}', "to connect, to read"),
        ('{"host": "h", "extra": {"verify": 3}}', "verify"),
        ('{"host": "h", "extra": {"cert": {}}}', "cert"),
        ('{"host": "h", "extra": {"proxies": 1}}', "proxies"),
        ('{"host": "h", "extra": {"proxies": {"all": 1}}}', "http://proxy:3128"),
        ('{"host": "h", "extra": {"max_redirects": -1}}', "max_redirects"),
        ('{"host": "h", "extra": {"allow_redirects": "maybe"}}', "valid: true, false"),
        ('{"host": "h", "extra": {"X-A": "hush-hush\\n"}}', "header 'X-A'"),
        ('{"host": "h", "extra": {"headers": "{"}}', "headers"),
        ('{"host": "h", "extra": {"auth": {"type": "oauth"}}}', "none, basic, bearer, api_key"),
        ('{"host": "h", "extra": {"auth": {"type": "api_key"}}}', "header or query"),
    ],
)
def test_a_wrong_connection_says_what_is_wrong_and_no_secret(text: str, says: str) -> None:
    with pytest.raises(ConnectionSetupError) as caught:
        ConnectionSettings.from_text(text)
    assert says in caught.value.message
    assert "hush-hush" not in caught.value.message


def test_the_connection_s_id_is_in_the_message() -> None:
    with pytest.raises(ConnectionSetupError, match="connection 'my_api': timeout"):
        ConnectionSettings.from_parts(host="h", extra={"timeout": -1}, conn_id="my_api")


@pytest.mark.parametrize("url", ["api.example.com", "ftp://h", "https://ann:pw@h", "https://h/?x=1"])
def test_another_address_is_checked(url: str) -> None:
    with pytest.raises(ConnectionSetupError):
        ConnectionSettings(base_url="http://h").with_base_url(url)
