"""Secrets planted everywhere, and looked for in everything that people and databases get to see."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from collections.abc import Callable
from urllib.parse import quote

import pytest

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.errors import TruncatedError
from airflow_asyncjob.protocol.messages import Failed, Purpose, Responded, Send
from airflow_asyncjob.transport.narrate import Narrator
from airflow_asyncjob.transport.settings import ConnectionSettings
from tests.transport.wires import Connection, Face, Seen, Server, asks, http

Serve = Callable[..., Server]

PASSWORD = 'Pl4nted pass/w"ord&'
KEY = "planted-header-key"
EXTRA = "planted-client-secret"
PROXY = "planted-proxy-pw"
PLANTED = {
    PASSWORD,
    quote(PASSWORD, safe=""),
    base64.b64encode(f"ann:{PASSWORD}".encode()).decode(),
    json.dumps(PASSWORD)[1:-1],
    KEY,
    EXTRA,
    PROXY,
    "planted-signature-0123",
}


def settings(url: str) -> ConnectionSettings:
    return ConnectionSettings.from_parts(
        host=url,
        login="ann",
        password=PASSWORD,
        extra={"X-Api-Key": KEY, "client_secret": EXTRA, "proxies": {"ftp": f"http://pat:{PROXY}@proxy:1"}},
    )


def echo(seen: Seen, connection: Connection) -> bytes:
    """Answer with everything that came, as careless APIs do in their errors."""
    told = {"target": seen.target, "headers": seen.headers, "body": seen.body.decode(), "password": PASSWORD}
    told["link"] = "https://files.example.com/a?X-Amz-Signature=planted-signature-0123"
    code = 200 if seen.target.startswith("/ok") else 422
    headers = {"X-Echo-Key": KEY, "Set-Cookie": f"s={EXTRA}", "Location": f"/x?api_key={EXTRA}"}
    return http(code, json.dumps(told).encode() + PASSWORD.encode(), headers)


def requests() -> list[Send]:
    secret = "{{ connection.extra.client_secret }}"
    return [
        asks(Purpose.SUBMIT, "/ok", method="POST", json={"secret": secret}, params={"token": secret}),
        asks(Purpose.SUBMIT, "/fails", method="POST", form={"secret": secret}),
        asks(url=f"/ok/{secret}"),
        asks(url="/fails", headers={"X-Own": secret}),
        asks(Purpose.CANCEL, "/fails", method="DELETE", text=secret),
        asks(Purpose.RESULT, "/ok"),
        asks(Purpose.RESULT, "/fails"),
        asks(url=f"https://ann:{EXTRA}@example.com/"),
        asks(url=f"http://no-such-host.invalid/?sig={secret}"),
        asks(url=f"http://no-such-host.invalid/{secret}"),
        asks(url=f"ftp://h/{secret}?k=planted-signature-0123"),
        asks(url=f"/{secret}/{{{{ nothing.here }}}}"),
        asks(url=f"http://[{secret}]/"),
    ]


AUTHS = [
    None,
    Auth.model_validate({"type": "api_key", "query": "shop"}),
    Auth.model_validate({"type": "api_key", "header": "X-Shop-Pass-Through", "prefix": "Key "}),
]


@pytest.mark.parametrize("auth", AUTHS, ids=["basic", "query", "header"])
def test_no_secret_is_seen_anywhere(
    serve: Serve, connect: Face, auth: Auth | None, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(echo)
    lines: list[str] = []
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "httpx"):
        wire = connect(settings(server.url), auth=auth)
        narrator = Narrator(lambda level, line: lines.append(line))
        for send in requests():
            narrator.observe(send, None)
            if send.stream:
                with wire.open(send) as opened:
                    event = opened.event
            else:
                event = wire.send(send)
            narrator.observe(send, event)
            narrator.flush()
            lines += shown(event)
    everything = "\n".join(
        [*lines, wire.trace.to_json(), caplog.text, repr(wire.wire), repr(wire.wire.settings)]
    )
    assert len(wire.trace) == len(requests())
    assert len(server.seen) == 7
    assert any(EXTRA in f"{seen.target} {seen.headers} {seen.body!r}" for seen in server.seen)
    assert [secret for secret in PLANTED if secret in everything] == []


def shown(event: Responded | Failed) -> list[str]:
    """Return what of an event may reach people."""
    if isinstance(event, Responded):
        return [event.response.sent, event.response.excerpt]
    return [event.sent, event.detail, str(event.error or ""), repr(event.error or "")]


def test_no_secret_is_in_what_a_broken_download_raises(serve: Serve, connect: Face) -> None:
    def breaks(seen: Seen, connection: Connection) -> None:
        connection.write(http(body=PASSWORD.encode(), length=1000))

    server = serve(breaks)
    wire = connect(settings(server.url))
    signed = asks(Purpose.RESULT, f"/f?X-Amz-Signature={EXTRA}")
    with wire.open(signed) as opened, pytest.raises(TruncatedError) as caught:
        opened.read()
    text = "".join(traceback.format_exception(caught.value)) + caught.value.message
    assert f"GET {server.url}/f?X-Amz-Signature=***" in text
    assert [secret for secret in PLANTED if secret in text.replace("tests/transport", "")] == []


def test_httpx_itself_logs_nothing_of_our_exchanges_and_goes_on_logging_others(
    serve: Serve, connect: Face, caplog: pytest.LogCaptureFixture
) -> None:
    import httpx

    server = serve(http(body=b"{}"))
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "httpx"):
        connect(server.url).answer(asks(url="/ours"))
        assert not [record for record in caplog.records if record.name.startswith(("httpx", "httpcore"))]
        httpx.get(f"{server.url}/theirs", trust_env=False)
    assert "/theirs" in caplog.text
    assert "/ours" not in caplog.text


def test_an_excerpt_of_an_answer_hides_the_links_it_signs(serve: Serve, connect: Face) -> None:
    response = connect(settings(serve(echo).url)).answer(asks(url="/ok"))
    assert "X-Amz-Signature=***" in response.excerpt or len(response.excerpt) >= 300
    assert b"planted-signature-0123" in response.body
