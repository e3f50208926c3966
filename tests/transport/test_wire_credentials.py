"""Who gets credentials: the connection's own origin, and nobody else."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import pytest

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.errors import ConnectionSetupError
from airflow_asyncjob.protocol.messages import Fault, Purpose, Responded
from airflow_asyncjob.transport.client import AsyncWire, Wire
from airflow_asyncjob.transport.settings import ConnectionSettings
from tests.transport.wires import Face, Server, asks, http

Serve = Callable[..., Server]
SECRET = "s3cr3t+pass/word"


def settings(url: str, **fields: Any) -> ConnectionSettings:
    given = {"login": "ann", "password": SECRET, **fields}
    return ConnectionSettings(base_url=url, **given)


def basic(login: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()


# The kinds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        (None, "authorization", basic("ann", SECRET)),
        ({"type": "basic"}, "authorization", basic("ann", SECRET)),
        ({"type": "bearer"}, "authorization", f"Bearer {SECRET}"),
        ({"type": "api_key", "header": "X-Api-Key"}, "x-api-key", SECRET),
        (
            {"type": "api_key", "header": "Authorization", "prefix": "Token "},
            "authorization",
            f"Token {SECRET}",
        ),
    ],
)
def test_a_header_carries_the_credentials(
    serve: Serve, connect: Face, auth: dict[str, str] | None, name: str, value: str
) -> None:
    server = serve(http())
    wire = connect(settings(server.url), auth=Auth.model_validate(auth) if auth else None)
    wire.answer(asks())
    assert server.last.headers[name] == value


def test_a_query_parameter_carries_the_key_and_nothing_else_of_the_url_changes(
    serve: Serve, connect: Face
) -> None:
    server = serve(http())
    auth = Auth.model_validate({"type": "api_key", "query": "key"})
    response = connect(settings(server.url), auth=auth).answer(asks(url="/jobs?sig=a%2Fb"))
    assert server.last.target == "/jobs?sig=a%2Fb&key=s3cr3t%2Bpass%2Fword"
    assert "authorization" not in server.last.headers
    assert "s3cr3t" not in response.sent


def test_a_key_as_login_without_a_password_is_basic(serve: Serve, connect: Face) -> None:
    server = serve(http(404, b"no key sk_live_abcdef here"))
    response = connect(settings(server.url, login="sk_live_abcdef", password=None)).answer(asks())
    assert server.last.headers["authorization"] == basic("sk_live_abcdef", "")
    assert response.excerpt == "no key *** here"


def test_without_a_login_nothing_is_sent(serve: Serve, connect: Face) -> None:
    server = serve(http())
    connect(settings(server.url, login=None)).answer(asks())
    assert "authorization" not in server.last.headers


def test_the_definition_s_auth_wins_over_the_connection_s(serve: Serve, connect: Face) -> None:
    server = serve(http())
    given = settings(server.url, auth=Auth.model_validate({"type": "basic"}))
    connect(given, auth=Auth.model_validate({"type": "bearer"})).answer(asks())
    assert server.last.headers["authorization"] == f"Bearer {SECRET}"
    connect(given, auth=Auth.model_validate({"type": "none"})).answer(asks())
    assert "authorization" not in server.last.headers


def test_a_header_of_the_definition_wins_over_the_auth_and_the_connection(
    serve: Serve, connect: Face
) -> None:
    server = serve(http())
    wire = connect(settings(server.url, headers={"X-Tenant": "a", "X-Team": "b"}))
    wire.answer(asks(headers={"authorization": "Custom abc", "x-tenant": "mine"}))
    sent = server.last.headers
    assert (sent["authorization"], sent["x-tenant"], sent["x-team"]) == ("Custom abc", "mine", "b")


def test_a_request_with_auth_none_carries_no_secret_of_the_connection(serve: Serve, connect: Face) -> None:
    server = serve(http())
    wire = connect(settings(server.url, headers={"X-Auth-Token": "hidden-token", "X-Team": "b"}))
    wire.answer(asks(auth="none"))
    sent = server.last.headers
    assert ("authorization" in sent, "x-auth-token" in sent, sent["x-team"]) == (False, False, "b")


@pytest.mark.parametrize(
    ("auth", "fields", "says"),
    [
        ("basic", {"login": None}, "needs a login"),
        ("basic", {"login": "a:b"}, "colon"),
        ("bearer", {"password": None}, "the password is empty"),
        ("bearer", {"password": "token\n"}, "line break"),
        ("bearer", {"password": "tokeñ"}, "outside ASCII"),
    ],
)
def test_what_the_auth_lacks_is_said_before_anything_is_sent(
    auth: str, fields: dict[str, Any], says: str
) -> None:
    given = settings("http://127.0.0.1:1", conn_id="my_api", **fields)
    with pytest.raises(ConnectionSetupError, match=says) as caught:
        Wire(given, auth=Auth.model_validate({"type": auth}))
    assert "'my_api'" in str(caught.value)
    assert "token" not in str(caught.value).replace("the token", "")


# Other origins -------------------------------------------------------------------------------------------

LEAKS = ("authorization", "x-api-key", "x-team", "cookie")


def test_an_absolute_url_to_another_origin_gets_nothing(serve: Serve, connect: Face) -> None:
    own, other = serve(http()), serve(http())
    wire = connect(settings(own.url, headers={"X-Team": "b", "X-Api-Key": "planted-key"}))
    wire.answer(asks(url=f"{other.url}/status"))
    assert not set(LEAKS) & set(other.last.headers)
    wire.answer(asks(url=f"{own.url.upper().replace('HTTP', 'http')}/status"))
    assert set(own.last.headers) >= {"authorization", "x-team", "x-api-key"}


def test_a_key_in_the_query_does_not_reach_another_origin(serve: Serve, connect: Face) -> None:
    own, other = serve(http()), serve(http())
    auth = Auth.model_validate({"type": "api_key", "query": "key"})
    connect(settings(own.url), auth=auth).answer(asks(url=f"{other.url}/status?a=1"))
    assert other.last.target == "/status?a=1"


@pytest.mark.parametrize("place", ["url", "headers", "json"])
def test_a_template_cannot_send_a_secret_to_another_origin(serve: Serve, connect: Face, place: str) -> None:
    own, other = serve(http()), serve(http())
    given = ConnectionSettings.from_parts(host=own.url, extra={"api_secret": "planted/secret"})
    fields: dict[str, Any] = {"url": f"{other.url}/x", "method": "POST"}
    secret = "{{ connection.extra.api_secret }}"
    fields |= {
        "url": {"url": f"{other.url}/x?s={secret}"},
        "headers": {"headers": {"X-Any": secret}},
        "json": {"json": {"s": secret}},
    }[place]
    wire = connect(given)
    failed = wire.fault(asks(Purpose.SUBMIT, **fields))
    assert failed.fault is Fault.REFUSED
    assert "not the connection's own origin" in failed.detail
    assert own.url in failed.detail
    assert "planted" not in f"{failed.sent} {failed.detail}"
    assert other.seen == []
    own_fields = {**fields, "url": fields["url"].replace(other.url, "")}
    assert wire.answer(asks(Purpose.SUBMIT, **own_fields)).code == 200


def redirecting(to: str, code: int = 302) -> Callable[..., bytes]:
    return lambda seen, connection: http(code, headers={"Location": to, "Set-Cookie": "a=b"})


def test_a_download_follows_redirects_and_other_origins_get_no_credentials(
    serve: Serve, connect: Face
) -> None:
    other = serve(http(body=b"rows"))
    own = serve(redirecting(f"{other.url}/file?X-Amz-Signature=0123456789abcdef"))
    wire = connect(settings(own.url, headers={"X-Team": "b", "X-Api-Key": "planted-key"}))
    with wire.open(asks(Purpose.RESULT, "/result", headers={"Accept": "text/csv", "X-Mine": "1"})) as opened:
        assert isinstance(opened.event, Responded)
        assert opened.read() == b"rows"
    assert set(own.last.headers) >= {"authorization", "x-team", "x-mine"}
    assert set(other.last.headers) == {"host", "accept", "accept-encoding", "user-agent"}
    assert other.last.headers["accept"] == "text/csv"
    response = opened.event.response
    assert response.url == f"{other.url}/file?X-Amz-Signature=0123456789abcdef"
    assert response.sent == f"GET {own.url}/result, redirected to {other.url}/file?X-Amz-Signature=***"


def test_a_redirect_within_the_origin_keeps_credentials(serve: Serve, connect: Face) -> None:
    own = serve(
        lambda s, c: http(302, headers={"Location": "../b"}) if "/x/a" in s.target else http(body=b"!")
    )
    auth = Auth.model_validate({"type": "api_key", "query": "key"})
    with connect(settings(own.url), auth=auth).open(asks(Purpose.RESULT, "/x/a")) as opened:
        assert opened.read() == b"!"
    key = "key=s3cr3t%2Bpass%2Fword"
    assert [seen.target for seen in own.seen] == [f"/x/a?{key}", f"/b?{key}"]


def test_a_way_back_to_the_own_origin_gets_no_credentials(serve: Serve, connect: Face) -> None:
    own = serve(lambda s, c: http(302, headers={"Location": f"{other.url}/"}) if s.target == "/a" else http())
    other = serve(lambda s, c: http(302, headers={"Location": f"{own.url}/admin?delete=all"}))
    with connect(settings(own.url)).open(asks(Purpose.RESULT, "/a")) as opened:
        assert isinstance(opened.event, Responded)
    assert [("authorization" in seen.headers) for seen in own.seen] == [True, False]


@pytest.mark.parametrize(("code", "method", "body"), [(303, "GET", b""), (307, "POST", b'{"a":1}')])
def test_a_redirect_of_a_post_keeps_the_body_only_where_the_code_says_so(
    serve: Serve, connect: Face, code: int, method: str, body: bytes
) -> None:
    own = serve(lambda s, c: http(code, headers={"Location": "/b"}) if s.target == "/a" else http())
    with connect(settings(own.url)).open(asks(Purpose.RESULT, "/a", method="POST", json={"a": 1})) as opened:
        assert isinstance(opened.event, Responded)
    assert (own.last.method, own.last.body) == (method, body)


def test_redirects_have_a_limit(serve: Serve, connect: Face) -> None:
    own = serve(lambda s, c: http(302, headers={"Location": f"/{len(own.seen)}"}))
    with connect(settings(own.url, max_redirects=3)).open(asks(Purpose.RESULT)) as opened:
        assert opened.event.fault is Fault.REFUSED
        assert "more than 3 redirects" in opened.event.detail
        assert "max_redirects" in opened.event.detail
    assert len(own.seen) == 4


def test_a_connection_may_forbid_redirects(serve: Serve, connect: Face) -> None:
    own = serve(redirecting("/b"))
    with connect(settings(own.url, allow_redirects=False)).open(asks(Purpose.RESULT)) as opened:
        assert opened.event.response.code == 302


@pytest.mark.parametrize(
    "to", ["ftp://example.com/x", "file:///etc/passwd", "http://u:p@example.com/", "http://["]
)
def test_a_redirect_to_what_cannot_be_asked_is_final(serve: Serve, connect: Face, to: str) -> None:
    own = serve(redirecting(to))
    with connect(settings(own.url)).open(asks(Purpose.RESULT)) as opened:
        assert opened.event.fault is Fault.REFUSED
        assert "redirects to what cannot be asked" in opened.event.detail


# Private networks ----------------------------------------------------------------------------------------

PUBLIC = "http://93.184.215.14"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_an_api_of_the_internet_cannot_name_a_private_address(serve: Serve, connect: Face, host: str) -> None:
    inside = serve(http(body=b"internal"))
    send = asks(url="{{ captures.link }}", names={"captures": {"link": f"http://{host}:{inside.port}/"}})
    failed = connect(settings(PUBLIC)).fault(send)
    assert failed.fault is Fault.REFUSED
    assert "private network" in failed.detail
    assert "absolute URL" in failed.detail
    assert inside.seen == []


def test_an_address_that_the_definition_s_author_wrote_is_trusted(serve: Serve, connect: Face) -> None:
    inside = serve(http())
    assert (
        connect(settings(PUBLIC))
        .answer(asks(url=f"{inside.url}/{{{{ captures.x }}}}", names={"captures": {"x": 1}}))
        .code
        == 200
    )


def test_what_a_trusted_address_redirects_to_is_not_trusted(serve: Serve, connect: Face) -> None:
    inside = serve(http())
    first = serve(redirecting(f"http://localhost:{inside.port}/"))
    with connect(settings(PUBLIC)).open(asks(Purpose.RESULT, first.url)) as opened:
        assert opened.event.fault is Fault.REFUSED
    assert (len(first.seen), inside.seen) == (1, [])


def test_the_metadata_service_of_a_cloud_is_never_asked(serve: Serve, connect: Face) -> None:
    own = serve(redirecting("http://169.254.169.254/latest/meta-data/"))
    with connect(settings(own.url)).open(asks(Purpose.RESULT)) as opened:
        assert opened.event.fault is Fault.REFUSED
        assert "169.254.169.254" in opened.event.detail


# Refresh -------------------------------------------------------------------------------------------------


def test_refreshed_credentials_are_used_and_only_a_change_counts(serve: Serve, connect: Face) -> None:
    own = serve(lambda s, c: http(200 if s.headers["authorization"] == basic("ann", "new-one") else 401))
    stored = {"password": SECRET}
    wire = connect(settings(own.url), reload=lambda: settings(own.url, **stored))
    assert wire.answer(asks()).code == 401
    assert not wire.refresh().changed
    stored["password"] = "new-one"
    assert wire.refresh().changed
    assert wire.answer(asks()).code == 200
    assert not wire.refresh().changed
    assert own.accepted == 1
    assert wire.wire.redactor.text(f"new-one, before {SECRET}") == "***, before ***"


def test_without_a_reload_nothing_can_have_changed(serve: Serve, connect: Face) -> None:
    assert not connect(settings("http://127.0.0.1:1")).refresh().changed


def test_a_refresh_that_finds_a_connection_that_cannot_be_used_says_so(serve: Serve, connect: Face) -> None:
    own = serve(http())
    auth = Auth.model_validate({"type": "bearer"})
    wire = connect(settings(own.url), auth=auth, reload=lambda: settings(own.url, password=None))
    with pytest.raises(ConnectionSetupError, match="the password is empty"):
        wire.refresh()
    assert wire.answer(asks()).code == 200
    assert own.last.headers["authorization"] == f"Bearer {SECRET}"


def test_a_refresh_may_change_the_network_too(serve: Serve, connect: Face) -> None:
    own, proxy = serve(http(body=b"direct")), serve(http(body=b"by proxy"))
    wire = connect(settings(own.url), reload=lambda: settings(own.url, proxies={"http": proxy.url}))
    assert wire.answer(asks()).body == b"direct"
    assert wire.refresh().changed
    assert wire.answer(asks()).body == b"by proxy"


def test_tasks_that_were_refused_together_share_one_refresh(serve: Serve) -> None:
    own = serve(lambda s, c: http(200 if s.headers["authorization"] == basic("ann", "new-one") else 401))
    fetched: list[int] = []

    async def reload() -> ConnectionSettings:
        fetched.append(1)
        await asyncio.sleep(0)
        return settings(own.url, password="new-one")

    async def one(wire: AsyncWire, refused: asyncio.Barrier) -> tuple[bool, int]:
        await wire.send(asks())
        await refused.wait()
        changed = (await wire.refresh()).changed
        event = await wire.send(asks())
        assert isinstance(event, Responded)
        return changed, event.response.code

    async def all_of_them() -> list[tuple[bool, int]]:
        refused = asyncio.Barrier(10)
        async with AsyncWire(settings(own.url), reload=reload) as wire:
            return await asyncio.gather(*(one(wire, refused) for _ in range(10)))

    assert asyncio.run(all_of_them()) == [(True, 200)] * 10
    assert len(fetched) == 1
