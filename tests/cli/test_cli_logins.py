"""Tokens over the command line: a whole job, a token that is refused on the way, and warnings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs

import pytest

from airflow_asyncjob.testing import FakeJobServer
from tests.cli.command import DEFINITION, Asyncjob
from tests.servers.scripted import running
from tests.transport.wires import Connection, Seen, Server, http

SECRET = "client-secret-4711"
TOKEN = "access-token-4711"


@pytest.fixture
def token_endpoint() -> Iterator[Callable[[bytes], Server]]:
    """Start a token endpoint that always gives the same answer."""
    servers: list[Server] = []

    def start(answer: bytes) -> Server:
        def always(seen: Seen, connection: Connection) -> bytes:
            return answer

        servers.append(Server(always))
        return servers[0]

    yield start
    for server in servers:
        server.stop()


def connection(**extra: str) -> str:
    return json.dumps(
        {"host": "https://x.example.com", "login": "client", "password": SECRET, "extra": extra}
    )


def test_a_job_goes_on_with_a_new_token_when_one_is_refused_on_the_way(
    asyncjob: Asyncjob, token_endpoint: Callable[[bytes], Server]
) -> None:
    endpoint = token_endpoint(http(body=json.dumps({"access_token": TOKEN, "expires_in": 3600}).encode()))
    with FakeJobServer("generic", auth="bearer", credential=TOKEN) as server:
        server.faults.add("poll", 401, body='{"error": "the token has expired"}', times=1)
        auth = {"type": "oauth2", "token_url": f"{endpoint.url}/token", "scope": "jobs"}
        ran = asyncjob.run(server, "--trace", "trace.json", connection=connection(), auth=auth)
        assert ran.code == 0, ran.stderr
        assert ran.last["state"] == "done"
        assert [parse_qs(seen.body.decode())["scope"] for seen in endpoint.seen] == [["jobs"]] * 2
        assert "Credentials fetched again: they have changed" in ran.stderr
        trace = (asyncjob.folder / "trace.json").read_text()
        for text in (ran.stdout, ran.stderr, trace):
            assert TOKEN not in text
            assert SECRET not in text


@pytest.mark.parametrize(
    ("answer", "code", "error", "says"),
    [
        (http(401, b'{"error": "invalid_client"}'), 1, "LoginError", "(invalid_client)"),
        (
            http(200, b"<html>Sign in</html>"),
            1,
            "UnreachableError",
            "not with a token: '<html>Sign in</html>'",
        ),
        (http(500, b"out of order"), 1, "UnreachableError", "answered 500: out of order"),
    ],
)
def test_a_token_endpoint_that_gives_none_submits_nothing(
    asyncjob: Asyncjob,
    server: FakeJobServer,
    token_endpoint: Callable[[bytes], Server],
    answer: bytes,
    code: int,
    error: str,
    says: str,
) -> None:
    auth = {"type": "oauth2", "token_url": f"{token_endpoint(answer).url}/token"}
    ran = asyncjob.run(server, connection=connection(), auth=auth, limits={"retries": 1})
    assert (ran.code, ran.last["error"]) == (code, error)
    assert says in ran.last["message"]
    assert "/token" in ran.last["message"]
    assert "?." not in ran.last["message"]
    assert server.ledger.count() == 0


def test_a_refresh_token_that_was_replaced_is_warned_of(
    asyncjob: Asyncjob, token_endpoint: Callable[[bytes], Server]
) -> None:
    answer = {"access_token": TOKEN, "refresh_token": "refresh-token-2"}
    endpoint = token_endpoint(http(body=json.dumps(answer).encode()))
    with FakeJobServer("generic", auth="bearer", credential=TOKEN) as server:
        auth = {"type": "oauth2", "token_url": f"{endpoint.url}/token", "grant": "refresh_token"}
        ran = asyncjob.run(server, connection=connection(refresh_token="refresh-token-1"), auth=auth)
        assert ran.code == 0, ran.stderr
        assert parse_qs(endpoint.last.body.decode())["refresh_token"] == ["refresh-token-1"]
        assert "a new refresh token, which is known to this process only" in ran.stderr
        assert "refresh-token-" not in ran.stdout + ran.stderr


def test_a_password_alone_is_told_with_how_to_send_it(asyncjob: Asyncjob) -> None:
    with FakeJobServer("generic", auth="bearer", credential=SECRET) as server:
        ran = asyncjob.run(server, connection=json.dumps({"host": server.url, "password": SECRET}))
        assert ran.code == 1
        assert "has a password and no login, and nothing says how it is sent" in ran.last["message"]
        assert "auth: {type: bearer}" in ran.last["message"]


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ({"a": 1}, "auth.headers.X-Session: the value is a mapping, which cannot stand inside text"),
        ("a\nb", "what the login gave cannot be sent in the header X-Session, as it would hold a line break"),
    ],
)
def test_a_session_that_no_header_can_carry_says_what_is_wrong(
    asyncjob: Asyncjob, token: object, said: str
) -> None:
    session = {
        "type": "session",
        "login": [
            {"name": "login", "request": {"method": "POST", "url": "/login"}, "capture": {"sid": "sid"}}
        ],
        "headers": {"X-Session": "{{ captures.sid }}"},
    }
    with running({"POST /login": {"sid": token}}) as api:
        name = asyncjob.write({**DEFINITION, "auth": session})
        ran = asyncjob("run", name, "--base-url", api.base, connection=connection())
    assert ran.code == 1
    assert said in ran.stderr
    assert [str(asked) for asked in api.asked] == ["POST /login"]
