"""AWS Signature Version 4: every request is checked by a server that computes the signature itself.

The server follows "Create a signed AWS API request" of the IAM user guide, from the bytes that came, and
shares no code with what signs.
"""

from __future__ import annotations

import hashlib
import hmac
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import httpx
import pytest

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.definition.models.limits import Limits
from airflow_asyncjob.errors import ConnectionSetupError
from airflow_asyncjob.protocol.messages import Purpose, Responded
from airflow_asyncjob.transport.auth import build_auth
from airflow_asyncjob.transport.client import Wire
from airflow_asyncjob.transport.outbound import Outbound
from airflow_asyncjob.transport.redact import Redactor
from airflow_asyncjob.transport.settings import ConnectionSettings
from tests.transport.wires import Connection, Face, Seen, Server, asks, http

Serve = Callable[..., Server]
KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session+token/4711=="


def sign(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def problem(seen: Seen) -> str:
    """Return what is wrong with a request's signature; empty: nothing."""
    scheme, _, rest = seen.headers.get("authorization", "").partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
    if scheme != "AWS4-HMAC-SHA256":
        return "not signed"
    key, day, region, service, _ = parts["Credential"].split("/")
    path, _, query = seen.target.partition("?")
    encoded = "/".join(quote(unquote(segment), safe="-_.~") for segment in path.split("/"))
    canonical_path = encoded if service == "s3" else quote(encoded, safe="/-_.~")
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(query, keep_blank_values=True)
    )
    names = parts["SignedHeaders"].split(";")
    digest = hashlib.sha256(seen.body).hexdigest()
    if seen.headers.get("x-amz-content-sha256") == "UNSIGNED-PAYLOAD":
        digest = "UNSIGNED-PAYLOAD"
    if service == "s3" and seen.headers.get("x-amz-content-sha256") != digest:
        return "the body has another hash"
    canonical = "\n".join(
        [
            seen.method,
            canonical_path,
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{' '.join(seen.headers[name].split())}" for name in names),
            "",
            ";".join(names),
            digest,
        ]
    )
    stamp = seen.headers["x-amz-date"]
    scope = f"{day}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signing = f"AWS4{SECRET}".encode()
    for part in (day, region, service, "aws4_request"):
        signing = sign(signing, part)
    right = hmac.new(signing, text.encode(), hashlib.sha256).hexdigest()
    if key != KEY or not stamp.startswith(day) or "host" not in names:
        return "not what was to be signed"
    return "" if right == parts["Signature"] else f"wrong signature for {canonical!r}"


def verified(seen: Seen, connection: Connection) -> bytes:
    wrong = problem(seen)
    return http(403, wrong.encode()) if wrong else http(body=b"fine")


def signing(service: str, **fields: Any) -> Auth:
    return Auth.model_validate({"type": "aws_sigv4", "service": service, "region": "eu-central-1", **fields})


def settings(url: str, **fields: Any) -> ConnectionSettings:
    given = {"login": KEY, "password": SECRET, "conn_type": "asyncjob", **fields}
    return ConnectionSettings.from_parts(host=url, **given)


REQUESTS: list[dict[str, Any]] = [
    {"url": "/"},
    {"url": "/jobs/7", "params": {"z": "last", "a": "first", "b": ["2", "1"], "empty": ""}},
    {"url": "/a b/c+d/(e)/é/%2F", "params": {"q": "a b+c/d=e&f~*'é"}},
    {"url": "/", "method": "POST", "json": {"QueryString": "SELECT 'é'"}},
    {
        "url": "/",
        "method": "POST",
        "json": {},
        "headers": {"X-Amz-Target": "AmazonAthena.StartQuery", "Content-Type": "application/x-amz-json-1.1"},
    },
    {"url": "/jobs?a=b%20c&d", "method": "PUT", "text": "héllo"},
]


@pytest.mark.parametrize("service", ["athena", "s3"])
@pytest.mark.parametrize("fields", REQUESTS)
def test_every_kind_of_request_is_signed_as_the_service_wants_it(
    serve: Serve, connect: Face, fields: dict[str, Any], service: str
) -> None:
    server = serve(verified)
    response = connect(settings(server.url), auth=signing(service)).answer(asks(Purpose.SUBMIT, **fields))
    assert (response.code, response.body) == (200, b"fine")


def test_a_download_from_a_store_is_signed_over_its_redirects(serve: Serve, connect: Face) -> None:
    def redirects(seen: Seen, connection: Connection) -> bytes:
        wrong = problem(seen)
        if wrong:
            return http(403, wrong.encode())
        return http(307, headers={"Location": "/b c?x=1"}) if seen.target == "/a" else http(body=b"rows")

    server = serve(redirects)
    with connect(settings(server.url), auth=signing("s3")).open(asks(Purpose.RESULT, "/a")) as opened:
        assert isinstance(opened.event, Responded), opened.event
        assert opened.read() == b"rows"


def test_a_body_that_is_streamed_is_not_read_for_its_signature() -> None:
    read: list[bytes] = []

    def rows() -> Iterator[bytes]:
        read.append(b"rows")
        yield b"rows"

    request = httpx.Request("PUT", "http://127.0.0.1:9000/lake/a b", content=rows())
    credentials = build_auth(signing("s3"), settings("http://127.0.0.1:9000"))
    assert credentials is not None
    signed = next(credentials.auth_flow(request))
    target = signed.url.raw_path.decode()
    assert problem(Seen(signed.method, target, dict(signed.headers), b"rows", 1)) == ""
    assert signed.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert read == []


def test_a_file_is_streamed_to_a_store(serve: Serve, connect: Face, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(b"a,b\r\n1,2\r\n")
    server = serve(verified)
    send = asks(Purpose.SUBMIT, "/lake/rows.csv", method="PUT", file=str(tmp_path / "rows.csv"))
    response = connect(settings(server.url), auth=signing("s3")).answer(send)
    assert (response.code, response.body) == (200, b"fine")
    assert server.last.body == b"a,b\r\n1,2\r\n"
    assert server.last.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"


def test_a_session_token_travels_and_is_hidden(serve: Serve, connect: Face) -> None:
    server = serve(lambda seen, connection: http(403, f"{problem(seen)}{TOKEN} {SECRET}".encode()))
    extra = {"aws_session_token": TOKEN, "region_name": "eu-central-1"}
    wire = connect(settings(server.url, extra=extra), auth=Auth(type="aws_sigv4", service="sts"))
    response = wire.answer(asks())
    assert server.last.headers["x-amz-security-token"] == TOKEN
    assert response.excerpt == "*** ***"
    trace = wire.trace.to_json()
    assert TOKEN not in trace
    assert SECRET not in trace
    assert "x-amz-date" in trace


def test_a_plain_connection_keeps_region_and_token_to_itself(serve: Serve) -> None:
    server = serve(verified)
    auth = {"type": "aws_sigv4", "service": "states"}
    extra = {"aws_session_token": TOKEN, "region_name": "us-east-1", "X-Team": "b", "auth": auth}
    with Wire(settings(server.url, conn_type="http", extra=extra)) as wire:
        event = wire.send(asks())
    assert isinstance(event, Responded)
    assert event.response.code == 200
    assert "/us-east-1/states/" in server.last.headers["authorization"]
    assert server.last.headers["x-team"] == "b"
    assert not {"aws_session_token", "region_name"} & set(server.last.headers)


def test_the_region_may_be_a_template(serve: Serve) -> None:
    server = serve(verified)
    auth = signing("athena", region="{{ connection.extra.zone }}")
    with Wire(settings(server.url, extra={"zone": "ap-south-1"}), auth=auth) as wire:
        wire.send(asks())
    assert "/ap-south-1/athena/" in server.last.headers["authorization"]


S3_TARGET = {"url": "{{ download_target }}", "names": {"download_target": "s3://results/a b/c+d%/é.csv"}}


def test_an_s3_uri_is_signed_for_s3_whatever_the_service_is(serve: Serve, connect: Face) -> None:
    server = serve(verified)
    with connect(settings(server.url), auth=signing("athena")).open(
        asks(Purpose.RESULT, **S3_TARGET)
    ) as opened:
        assert isinstance(opened.event, Responded), opened.event
        assert opened.read() == b"fine"
    assert "/eu-central-1/s3/" in server.last.headers["authorization"]
    assert server.last.target == "/results/a%20b/c%2Bd%25/%C3%A9.csv"


def outbound(auth: dict[str, Any] | None) -> Outbound:
    headers = {"X-Tenant": "b"}
    aws = settings("https://athena.eu-central-1.amazonaws.com", conn_type="http", extra=headers)
    return Outbound(aws, Limits(), Auth.model_validate(auth) if auth else None, Redactor())


def test_at_amazon_an_s3_uri_is_signed_and_nothing_else_of_the_connection_follows() -> None:
    signs = {"type": "aws_sigv4", "service": "athena", "region": "eu-central-1"}
    prepared = outbound(signs).prepare(asks(Purpose.RESULT, **S3_TARGET))
    assert str(prepared.request.url.host) == "results.s3.eu-central-1.amazonaws.com"
    assert prepared.auth is not None
    (sent,) = prepared.auth.auth_flow(prepared.request)
    assert f"Credential={KEY}/" in sent.headers["authorization"]
    assert "/eu-central-1/s3/aws4_request" in sent.headers["authorization"]
    assert "x-tenant" not in sent.headers


@pytest.mark.parametrize("auth", [None, {"type": "bearer"}, {"type": "api_key", "header": "X-Key"}])
def test_a_secret_that_is_sent_as_it_is_does_not_go_to_a_bucket(auth: dict[str, Any] | None) -> None:
    prepared = outbound(auth).prepare(asks(Purpose.RESULT, **S3_TARGET))
    assert prepared.auth is None
    assert set(prepared.request.headers) == {"accept", "accept-encoding", "host", "user-agent"}


def test_a_request_without_credentials_is_not_signed_for_s3_either() -> None:
    signs = {"type": "aws_sigv4", "service": "athena", "region": "eu-central-1"}
    assert outbound(signs).prepare(asks(Purpose.RESULT, **S3_TARGET, auth="none")).auth is None


def test_no_signature_goes_to_another_origin(serve: Serve, connect: Face) -> None:
    own, other = serve(verified), serve(http())
    connect(settings(own.url), auth=signing("s3")).answer(asks(url=f"{other.url}/x"))
    assert not {name for name in other.last.headers if name.startswith(("x-amz", "authorization"))}


@pytest.mark.parametrize(
    ("fields", "auth", "says"),
    [
        ({"login": None}, {}, "access key ID as the login, and the connection 'aws' has none"),
        ({"password": None}, {}, "the secret access key, and the password is empty"),
        ({}, {"region": None}, "neither auth.region nor region_name in the extra of the connection 'aws'"),
        ({}, {"region": "{{ connection.extra.zone }}"}, "auth.region: .*zone"),
    ],
)
def test_what_is_missing_is_told_at_once(fields: dict[str, Any], auth: dict[str, Any], says: str) -> None:
    with pytest.raises(ConnectionSetupError, match=says):
        Wire(settings("http://127.0.0.1:1", conn_id="aws", **fields), auth=signing("athena", **auth))


def output(program: str) -> str:
    words = [sys.executable, "-c", program]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout


def test_without_botocore_the_extra_is_named() -> None:
    program = (
        "import sys; sys.modules['botocore'] = None\n"
        "from airflow_asyncjob.transport import ConnectionSettings, Wire\n"
        "from airflow_asyncjob.definition.models.auth import Auth\n"
        "try: Wire(ConnectionSettings(), auth=Auth(type='aws_sigv4', service='s3'))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    said = output(program)
    assert said.startswith("ConnectionSetupError ")
    assert "pip install 'airflow-asyncjob[aws]'" in said


def test_botocore_is_loaded_for_this_kind_only() -> None:
    program = (
        "import sys\n"
        "from airflow_asyncjob.transport import ConnectionSettings, Wire\n"
        "Wire(ConnectionSettings(login='a'))\n"
        "print('botocore' in sys.modules)\n"
    )
    assert output(program) == "False\n"
