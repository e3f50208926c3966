"""OAuth 2 and session logins: fetched when needed, held, renewed, hidden, told plainly when refused."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote_plus

import pytest

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.errors import ConnectionSetupError, LoginError
from airflow_asyncjob.protocol.messages import Failed, Fault, Purpose, Responded
from airflow_asyncjob.transport.client import AsyncWire, Wire
from airflow_asyncjob.transport.settings import ConnectionSettings
from tests.transport.wires import Connection, Face, Seen, Server, asks, http

Serve = Callable[..., Server]
SECRET = "s3cr3t+pass/word"


class Api:
    """An API with a token endpoint: ``/token`` gives tokens, everything else wants the newest one.

    :param answer: gives the answer of the token endpoint; None: a new token, with these further fields.
    """

    def __init__(self, answer: Callable[[Seen, int], bytes] | None = None, **fields: Any) -> None:
        self.answer = answer
        self.fields = fields
        self.tokens: list[Seen] = []
        self.jobs: list[Seen] = []
        self.good = ""

    def __call__(self, seen: Seen, connection: Connection) -> bytes:
        if seen.target != "/token":
            self.jobs.append(seen)
            good = seen.headers.get("authorization") == f"Bearer {self.good}"
            return http(200 if good else 401, f"{seen.headers.get('authorization')}".encode())
        self.tokens.append(seen)
        if self.answer is not None:
            return self.answer(seen, len(self.tokens))
        self.good = f"access-token-{len(self.tokens)}"
        return http(
            body=json.dumps({"access_token": self.good, "token_type": "bearer", **self.fields}).encode()
        )

    @property
    def asked(self) -> dict[str, list[str]]:
        """The fields of the last token request."""
        return parse_qs(self.tokens[-1].body.decode())


def settings(url: str, **fields: Any) -> ConnectionSettings:
    given = {"conn_type": "asyncjob", "login": "ann", "password": SECRET, "conn_id": "shop", **fields}
    return ConnectionSettings.from_parts(host=url, **given)


def oauth2(**fields: Any) -> Auth:
    return Auth.model_validate({"type": "oauth2", "token_url": "/token", **fields})


# Client credentials --------------------------------------------------------------------------------------


def test_a_token_is_fetched_once_and_carried_by_every_request(serve: Serve, connect: Face) -> None:
    api = Api(expires_in=3600)
    server = serve(api)
    wire = connect(settings(server.url), auth=oauth2(scope="read write", params={"audience": "https://a/"}))
    assert [wire.answer(asks(purpose)).code for purpose in (Purpose.SUBMIT, Purpose.POLL)] == [200, 200]
    (asked,) = api.tokens
    pair = f"ann:{quote_plus(SECRET)}".encode()
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(pair).decode()
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    fields = {"grant_type": ["client_credentials"], "scope": ["read write"], "audience": ["https://a/"]}
    assert api.asked == fields
    assert [exchange.purpose for exchange in wire.trace.exchanges] == ["auth", "submit", "poll"]


def test_the_secret_may_go_into_the_body(serve: Serve, connect: Face) -> None:
    api = Api()
    connect(settings(serve(api).url), auth=oauth2(client_auth="body")).answer(asks())
    assert "authorization" not in api.tokens[0].headers
    assert (api.asked["client_id"], api.asked["client_secret"]) == (["ann"], [SECRET])


@pytest.mark.parametrize("body", [False, True])
def test_the_token_endpoint_may_be_elsewhere_and_then_gets_nothing_else(
    serve: Serve, connect: Face, body: bool
) -> None:
    api = Api()
    own, other = serve(api), serve(api)
    auth = oauth2(token_url="{{ connection.extra.idp }}/token", client_auth="body" if body else "basic")
    extra = {"idp": other.url, "headers": {"X-Team": "b"}}
    wire = connect(settings(own.url, extra=extra), auth=auth)
    assert wire.answer(asks()).code == 200
    assert [seen.target for seen in other.seen] == ["/token"]
    assert "x-team" not in other.last.headers
    assert own.last.headers["x-team"] == "b"


def test_token_and_secret_are_seen_nowhere(serve: Serve, connect: Face) -> None:
    server = serve(api := Api(answer=None, refresh_token="refresh-token-4711"))
    wire = connect(settings(server.url), auth=oauth2(client_auth="body"))
    response = wire.answer(asks(url="/x"))
    assert response.code == 200
    assert response.excerpt == "Bearer ***"
    shown = wire.trace.to_json() + response.excerpt
    for secret in (SECRET, quote_plus(SECRET), api.good, "refresh-token-4711"):
        assert secret not in shown
    assert wire.wire.redactor.text(f"the token {api.good}") == "the token ***"


def test_a_token_stays_at_home(serve: Serve, connect: Face) -> None:
    api = Api()
    own, other = serve(api), serve(http())
    wire = connect(settings(own.url), auth=oauth2())
    wire.answer(asks(url=f"{other.url}/x"))
    assert "authorization" not in other.last.headers
    assert api.tokens == []
    wire.answer(asks())
    link = {"captures": {"link": f"{other.url}/?t={api.good}"}}
    failed = wire.fault(asks(url="{{ captures.link }}", names=link))
    assert "holds a secret" in failed.detail


def test_a_token_is_fetched_anew_before_it_expires(serve: Serve, connect: Face) -> None:
    api = Api(expires_in=0)
    wire = connect(settings(serve(api).url), auth=oauth2())
    assert [wire.answer(asks()).code for _ in range(3)] == [200, 200, 200]
    assert len(api.tokens) == 3


def test_a_refused_token_is_fetched_anew_once(serve: Serve, connect: Face) -> None:
    api = Api(expires_in=3600)
    wire = connect(settings(serve(api).url), auth=oauth2())
    assert wire.answer(asks()).code == 200
    api.good = "revoked by somebody"
    assert wire.answer(asks()).code == 401
    assert wire.refresh().changed
    assert wire.answer(asks()).code == 200
    assert len(api.tokens) == 2


def test_a_connection_that_has_changed_logs_in_with_what_it_says_now(serve: Serve, connect: Face) -> None:
    api = Api()
    url = serve(api).url
    wire = connect(
        settings(url), auth=oauth2(client_auth="body"), reload=lambda: settings(url, password="new-secret")
    )
    wire.answer(asks())
    assert wire.refresh().changed
    wire.answer(asks())
    assert api.asked["client_secret"] == ["new-secret"]


def test_many_tasks_that_share_a_wire_fetch_one_token(serve: Serve) -> None:
    api = Api(expires_in=3600)
    url = serve(api).url

    async def one(wire: AsyncWire, refused: asyncio.Barrier) -> list[int]:
        codes = []
        for _ in range(2):
            event = await wire.send(asks())
            assert isinstance(event, Responded)
            codes.append(event.response.code)
            if not codes[1:]:
                await refused.wait()
                api.good = "revoked"
                await refused.wait()
        changed = (await wire.refresh()).changed
        event = await wire.send(asks())
        assert isinstance(event, Responded)
        return [*codes, changed, event.response.code]

    async def all_of_them() -> list[list[int]]:
        refused = asyncio.Barrier(20)
        async with AsyncWire(settings(url), auth=oauth2()) as wire:
            return await asyncio.gather(*(one(wire, refused) for _ in range(20)))

    assert asyncio.run(all_of_them()) == [[200, 401, True, 200]] * 20
    assert len(api.tokens) == 2


def test_wires_of_one_process_share_a_token(serve: Serve) -> None:
    api = Api(expires_in=3600)
    url = serve(api).url

    async def both() -> None:
        async with (
            AsyncWire(settings(url), auth=oauth2()) as one,
            AsyncWire(settings(url), auth=oauth2()) as two,
        ):
            await asyncio.gather(one.send(asks()), two.send(asks()), one.send(asks()))
            assert two.redactor.text(api.good) == "***"

    asyncio.run(both())
    assert len(api.tokens) == 1


def test_nothing_is_held_of_wires_that_are_gone(serve: Serve) -> None:
    api = Api(expires_in=3600)
    url = serve(api).url
    for count in (1, 2):
        with Wire(settings(url), auth=oauth2()) as wire:
            wire.send(asks())
        del wire
        gc.collect()
        assert len(api.tokens) == count


def test_threads_that_share_a_wire_fetch_one_token(serve: Serve) -> None:
    api = Api(expires_in=3600)
    together = threading.Barrier(4)
    with Wire(settings(serve(api).url), auth=oauth2()) as wire:

        def one() -> None:
            together.wait(20)
            wire.send(asks())

        threads = [threading.Thread(target=one) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert (len(api.tokens), len(api.jobs)) == (1, 4)


def test_a_login_that_takes_too_long_leaves_the_request_unsent(serve: Serve, connect: Face) -> None:
    from airflow_asyncjob.definition.models.limits import Limits

    stopping = threading.Event()
    api = Api(answer=lambda seen, count: (stopping.wait(20), http())[1])
    try:
        wire = connect(settings(serve(api).url), auth=oauth2(), limits=Limits(exchange_timeout=0.3))
        failed = wire.fault(asks(Purpose.SUBMIT))
    finally:
        stopping.set()
    assert failed.fault is Fault.NOT_SENT
    assert failed.sent.endswith("/token")
    assert "limits.exchange_timeout" in failed.detail
    assert api.jobs == []


# A token endpoint that gives none ------------------------------------------------------------------------

HTML = b"<!DOCTYPE html><html><body>Sign in</body></html>"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (http(500, b"out of order"), "answered 500: out of order"),
        (http(429, b""), "429"),
        (http(200, HTML), "not with a token: '<!DOCTYPE html>"),
        (http(200, b""), "not with a token"),
        (http(200, b"[]"), "not with a token"),
        (None, "server disconnected without"),
    ],
)
def test_what_may_pass_leaves_the_request_unsent_and_is_tried_again(
    serve: Serve, connect: Face, answer: bytes, says: str
) -> None:
    api = Api(answer=lambda seen, count: answer)
    wire = connect(settings(serve(api).url), auth=oauth2())
    failed = wire.fault(asks(Purpose.SUBMIT))
    assert failed.fault is Fault.NOT_SENT
    assert says in f"{failed.sent} {failed.detail}".lower().replace("<!doctype", "<!DOCTYPE")
    assert "/token" in failed.sent
    assert api.jobs == []
    api.answer = None
    assert wire.answer(asks(Purpose.SUBMIT)).code == 200


@pytest.mark.parametrize(
    ("code", "body", "says"),
    [
        (
            401,
            {"error": "invalid_client"},
            r"\(invalid_client\).*the client ID.*'shop', or auth\.client_auth",
        ),
        (
            400,
            {"error": "invalid_scope", "error_description": "no such scope"},
            r"no such scope.*auth\.scope",
        ),
        (400, {"error": "unauthorized_client"}, r"auth\.token_url, auth\.params or the credentials"),
        (200, {"error": "invalid_request"}, r"\(invalid_request\)"),
        (200, {"token": "abc"}, "no access_token in it; its fields are: token"),
        (200, {"access_token": None}, "no access_token in it that is text; its fields are: access_token"),
        (200, {"access_token": "a\nb"}, "no header can hold"),
        (404, None, r"answered 404.*Correct auth\.token_url"),
        (302, None, r"answered 302.*Correct auth\.token_url"),
    ],
)
def test_what_will_not_pass_is_named(
    serve: Serve, connect: Face, code: int, body: dict[str, Any] | None, says: str
) -> None:
    content = HTML if body is None else json.dumps(body).encode()
    api = Api(answer=lambda seen, count: http(code, content))
    failed = connect(settings(serve(api).url), auth=oauth2()).fault(asks())
    assert failed.fault is Fault.REFUSED
    assert isinstance(failed.error, LoginError)
    assert not failed.error.retryable
    assert failed.error.message.startswith("The token endpoint")
    with pytest.raises(LoginError, match=says):
        raise failed.error
    assert SECRET not in failed.error.message
    assert api.jobs == []


def test_a_download_says_so_too(serve: Serve, connect: Face) -> None:
    api = Api(answer=lambda seen, count: http(401, b'{"error": "invalid_client"}'))
    with connect(settings(serve(api).url), auth=oauth2()).open(asks(Purpose.RESULT)) as opened:
        assert isinstance(opened.event, Failed)
        assert isinstance(opened.event.error, LoginError)


@pytest.mark.parametrize(
    ("fields", "auth", "says"),
    [
        ({"login": None}, {}, "needs the client ID as the login, and the connection 'shop' has none"),
        ({"password": None}, {}, "as the client secret, and the password is empty"),
        ({}, {"grant": "refresh_token"}, "needs refresh_token in the extra of the connection 'shop'"),
        ({}, {"token_url": "{{ connection.extra.idp }}"}, r"auth\.token_url.*idp"),
    ],
)
def test_what_a_login_lacks_is_told_at_once(fields: dict[str, Any], auth: dict[str, str], says: str) -> None:
    with pytest.raises(ConnectionSetupError, match=says):
        Wire(settings("http://127.0.0.1:1", **fields), auth=oauth2(**auth))


# Refresh tokens ------------------------------------------------------------------------------------------


class Kept:
    """Keeps refresh tokens in memory, as Airflow's variables do in its database."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def recall(self, name: str) -> str | None:
        return self.values.get(name)

    def keep(self, name: str, value: str) -> None:
        self.values[name] = value


class Rotating(Api):
    """Takes each refresh token once, and gives the next one."""

    def __init__(self) -> None:
        super().__init__(answer=self._refresh)
        self.next = "refresh-0"

    def _refresh(self, seen: Seen, count: int) -> bytes:
        if parse_qs(seen.body.decode())["refresh_token"] != [self.next]:
            return http(400, b'{"error": "invalid_grant"}')
        self.next, self.good = f"refresh-{count}", f"access-token-{count}"
        fields = {"access_token": self.good, "refresh_token": self.next, "expires_in": 0}
        return http(body=json.dumps(fields).encode())


def by_refresh_token(url: str, token: str = "refresh-0", **fields: Any) -> ConnectionSettings:
    extra = {"refresh_token": token, "auth": oauth2(grant="refresh_token").model_dump(exclude_unset=True)}
    return settings(url, extra=extra, **fields)


@pytest.mark.parametrize("conn_type", ["http", "asyncjob"])
def test_a_rotated_refresh_token_is_kept_for_the_next_process(
    serve: Serve, connect: Face, conn_type: str
) -> None:
    api, kept = Rotating(), Kept()
    given = by_refresh_token(serve(api).url, conn_type=conn_type)
    for _ in range(2):
        wire = connect(given, tokens=kept)
        assert [wire.answer(asks()).code for _ in range(2)] == [200, 200]
        assert "refresh-" not in wire.trace.to_json()
        wire.close()
    assert len(api.tokens) == 4
    assert "refresh_token" not in api.jobs[-1].headers
    (name,) = kept.values
    assert name == "asyncjob_refresh_token_shop"
    assert json.loads(kept.values[name])["refresh_token"] == api.next == "refresh-4"


def test_a_new_token_in_the_connection_wins_over_the_one_that_was_kept(serve: Serve, connect: Face) -> None:
    api, kept = Rotating(), Kept()
    url = serve(api).url
    connect(by_refresh_token(url), tokens=kept).answer(asks())
    api.next = "authorised-again"
    assert connect(by_refresh_token(url, "authorised-again"), tokens=kept).answer(asks()).code == 200


def test_what_another_process_kept_in_between_is_used(serve: Serve, connect: Face) -> None:
    api, kept = Rotating(), Kept()
    given = by_refresh_token(serve(api).url)
    connect(given, tokens=kept).answer(asks())
    newest = dict(kept.values)

    class Late(Kept):
        """Knows what the other process kept only at the second look."""

        def recall(self, name: str) -> str | None:
            found = self.values.get(name)
            self.values |= newest
            return found

    wire = connect(by_refresh_token(given.base_url, login="ann2"), tokens=Late())
    assert wire.answer(asks()).code == 200
    assert [parse_qs(seen.body.decode())["refresh_token"] for seen in api.tokens] == [
        ["refresh-0"],
        ["refresh-0"],
        ["refresh-1"],
    ]


def test_where_nothing_keeps_it_that_is_said(serve: Serve, connect: Face) -> None:
    api = Rotating()
    wire = connect(by_refresh_token(serve(api).url))
    said: list[str] = []
    wire.wire.say = lambda level, text: said.append(text)
    assert [wire.answer(asks()).code for _ in range(2)] == [200, 200]
    assert "gave the connection 'shop' a new refresh token" in said[0]
    assert "refresh-" not in said[0]


def test_a_dead_refresh_token_says_what_to_do(serve: Serve, connect: Face) -> None:
    api = Rotating()
    failed = connect(by_refresh_token(serve(api).url, "stolen"), tokens=Kept()).fault(asks())
    assert isinstance(failed.error, LoginError)
    assert "Authorise again, and put the new refresh_token into the extra" in failed.error.message


# Sessions ------------------------------------------------------------------------------------------------


def session(**fields: Any) -> Auth:
    login = {
        "name": "login",
        "request": {
            "method": "POST",
            "url": "/login",
            "json": {"user": "{{ connection.login }}", "password": "{{ connection.password }}"},
        },
        "capture": {"token": "token"},
    }
    given = {"type": "session", "login": [login], "headers": {"X-Session": "{{ captures.token }}"}, **fields}
    return Auth.model_validate(given)


class Sessions:
    """An API that wants a session, which ``/login`` opens."""

    def __init__(self) -> None:
        self.logins: list[Seen] = []
        self.jobs: list[Seen] = []
        self.good = ""
        self.answer: bytes | None = None

    def __call__(self, seen: Seen, connection: Connection) -> bytes:
        if seen.target != "/login":
            self.jobs.append(seen)
            return http(200 if seen.headers.get("x-session") == self.good else 401, self.good.encode())
        self.logins.append(seen)
        if self.answer is not None:
            return self.answer
        self.good = f"session-token-{len(self.logins)}"
        return http(body=json.dumps({"token": self.good}).encode())


def test_a_session_is_opened_and_renewed_when_it_is_refused(serve: Serve, connect: Face) -> None:
    api = Sessions()
    wire = connect(settings(serve(api).url), auth=session())
    assert [wire.answer(asks()).code for _ in range(2)] == [200, 200]
    assert json.loads(api.logins[0].body) == {"user": "ann", "password": SECRET}
    assert len(api.logins) == 1
    first, api.good = api.good, "closed by the API"
    assert wire.answer(asks()).code == 401
    assert wire.refresh().changed
    response = wire.answer(asks())
    assert (response.code, len(api.logins)) == (200, 2)
    assert response.excerpt == "***"
    trace = wire.trace.to_json()
    assert not any(secret in trace for secret in (SECRET, first, api.good))
    assert [e.purpose for e in wire.trace.exchanges] == ["auth", "poll", "poll", "poll", "auth", "poll"]


def test_a_login_of_several_steps_with_a_cookie_and_a_query(serve: Serve, connect: Face) -> None:
    def answer(seen: Seen, connection: Connection) -> bytes:
        if seen.target == "/challenge":
            return http(body=b'{"challenge": "abc"}')
        if seen.target == "/login":
            assert json.loads(seen.body) == {"answer": "abc", "by": "ann"}
            assert seen.headers["authorization"].startswith("Basic ")
            return http(303, headers={"Set-Cookie": "sid=cookie-4711; Path=/", "Location": "/home"})
        return http(body=f"{seen.target} {seen.headers.get('cookie')}".encode())

    server = serve(answer)
    auth = session(
        login=[
            {"name": "ask", "request": {"url": "/challenge"}, "capture": {"challenge": "challenge"}},
            {
                "name": "login",
                "request": {
                    "method": "POST",
                    "url": "/login",
                    "auth": {"type": "basic"},
                    "json": {"answer": "{{ captures.challenge }}", "by": "{{ connection.login }}"},
                },
                "capture": {"sid": {"header": "set-cookie", "regex": "sid=([^;]+)"}},
            },
        ],
        headers={"Cookie": "sid={{ captures.sid }}"},
        query={"session": "{{ captures.sid }}"},
    )
    response = connect(settings(server.url), auth=auth).answer(asks(url="/jobs?a=1"))
    assert response.body == b"/jobs?a=1&session=cookie-4711 sid=cookie-4711"
    assert "cookie-4711" not in f"{response.sent} {response.excerpt}"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            http(401, b"who?"),
            r"refused at login: POST .*/login answered 401: who\?.*password of .*'shop'",
        ),
        (http(200, HTML), r"cannot be read at login.*Does this answer say that login or password are wrong"),
        (http(200, b"{}"), r"auth\.login\[0\]\.capture\.token: path 'token' matches nothing"),
        (http(200, b'{"token": "a\\nb"}'), "gave nothing to send.*line break"),
        (http(200, b'{"token": ""}'), r"gave nothing to send.*auth\.headers\.X-Session is empty"),
    ],
)
def test_a_login_that_is_refused_is_named(serve: Serve, connect: Face, answer: bytes, says: str) -> None:
    api = Sessions()
    api.answer = answer
    failed = connect(settings(serve(api).url), auth=session()).fault(asks(Purpose.SUBMIT))
    assert failed.fault is Fault.REFUSED
    assert isinstance(failed.error, LoginError)
    with pytest.raises(LoginError, match=says):
        raise failed.error
    assert SECRET not in failed.error.message
    assert api.jobs == []


def test_a_login_that_may_pass_is_tried_again(serve: Serve, connect: Face) -> None:
    api = Sessions()
    api.answer = http(503, b"later")
    wire = connect(settings(serve(api).url), auth=session())
    failed = wire.fault(asks(Purpose.SUBMIT))
    assert failed.fault is Fault.NOT_SENT
    assert "the login answered" not in failed.sent
    assert "503: later" in failed.detail
    api.answer = None
    assert wire.answer(asks(Purpose.SUBMIT)).code == 200


def test_the_password_of_a_login_goes_to_no_address_that_an_answer_names(serve: Serve, connect: Face) -> None:
    other = serve(http(body=b'{"token": "abcdefgh"}'))
    own = serve(http(body=json.dumps({"url": other.url}).encode()))
    auth = session(
        login=[
            {"name": "find", "request": {"url": "/where"}, "capture": {"url": "url"}},
            {
                "name": "login",
                "request": {
                    "url": "{{ captures.url }}",
                    "method": "POST",
                    "text": "{{ connection.password }}",
                },
                "capture": {"token": "token"},
            },
        ]
    )
    failed = connect(settings(own.url), auth=auth).fault(asks())
    assert failed.fault is Fault.REFUSED
    assert "holds a secret of the connection" in failed.detail
    assert other.seen == []


def test_a_session_in_the_extra_of_either_type(serve: Serve) -> None:
    fields = session().model_dump(mode="json", by_alias=True, exclude_unset=True)
    for conn_type, extra in [
        ("http", {"auth": fields}),
        ("asyncjob", {f"auth_{k}": v if isinstance(v, str) else json.dumps(v) for k, v in fields.items()}),
    ]:
        api = Sessions()
        with Wire(settings(serve(api).url, conn_type=conn_type, extra=extra)) as wire:
            event = wire.send(asks())
        assert isinstance(event, Responded)
        assert event.response.code == 200
        assert not {name for name in api.jobs[0].headers if name.startswith("auth")}
