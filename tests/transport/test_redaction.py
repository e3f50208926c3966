"""Secrets: recognised by value and by place, and nothing else is hidden."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_asyncjob.transport.redact import Redactor, is_sensitive_name, parts_of_target

SECRET = "pa ss/wörd+\"<&>'\\x"


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        repr(SECRET)[1:-1],
        escape(SECRET, {'"': "&quot;", "'": "&#x27;"}),
        escape(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_value_is_recognised_in_every_spelling(spelled: str) -> None:
    redactor = Redactor([SECRET])
    assert redactor.holds_secret(f"before {spelled} after")
    assert redactor.text(f"before {spelled} after") == "before *** after"


@given(st.text(min_size=4, max_size=40), st.text(max_size=30), st.text(max_size=30))
def test_whatever_the_secret_is_it_is_gone(secret: str, before: str, after: str) -> None:
    cleaned = Redactor([secret]).text(before + secret + after)
    assert secret not in cleaned or secret in "***" or secret not in before + secret + after


def test_short_values_are_not_torn_out_of_words() -> None:
    assert Redactor(["a", "abc"]).text("a cab and an abc") == "a cab and an abc"
    assert Redactor(["abc"]).headers({"X-Api-Key": "abc"}) == {"X-Api-Key": "***"}


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("https://ann:pw@h/x", "https://***@h/x"),
        ("see https://token@h/x now", "see https://***@h/x now"),
        ("git+https://token@h/x", "git+https://***@h/x"),
        ("s3://key:pw@bucket/x", "s3://***@bucket/x"),
        ("redis://:pw@h/0", "redis://***@h/0"),
        ("/x?api_key=abc&page=2", "/x?api_key=***&page=2"),
        ("/x?a=1&amp;sig=abc%3D#f", "/x?a=1&amp;sig=***#f"),
        ('{"u": "https:\\/\\/h?a=1\\u0026Signature=abc"}', '{"u": "https:\\/\\/h?a=1\\u0026Signature=***"}'),
        (
            "?X-Amz-Credential=AK%2F1&X-Amz-Signature=ff&X-Amz-Date=1",
            "?X-Amz-Credential=***&X-Amz-Signature=***&X-Amz-Date=1",
        ),
        ('{"access_token": "abc", "state": "ok"}', '{"access_token": "***", "state": "ok"}'),
        ('{"password":"a\\"b","x":"y"}', '{"password":"***","x":"y"}'),
        (
            '"{\\"clientSecret\\": \\"abc\\", \\"x\\": \\"y\\"}"',
            '"{\\"clientSecret\\": \\"***\\", \\"x\\": \\"y\\"}"',
        ),
        ("{'Authorization': 'Basic abc'}", "{'Authorization': '***'}"),
        ("<a><sessionId>abc</sessionId><b>c</b></a>", "<a><sessionId>***</sessionId><b>c</b></a>"),
        ('<ns:Token type="x">abc</ns:Token>', '<ns:Token type="x">***</ns:Token>'),
        ("sent Authorization: Bearer abc, and more", "sent Authorization: ***"),
        ("X-Api-Key: abc\nX-Page: 2", "X-Api-Key: ***\nX-Page: 2"),
        ("curl -H 'Bearer eyJhbGciOi.J9'", "curl -H 'Bearer ***'"),
    ],
)
def test_a_secret_is_recognised_by_its_place(text: str, safe: str) -> None:
    assert Redactor().text(text) == safe


@pytest.mark.parametrize(
    "text",
    [
        "GET https://api.example.com/v3/exports/7f3a?page=2&status=ready 200",
        '{"status": "pending", "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "key": "reports/a.csv"}',
        '{"next_page_token": "abc", "nextToken": "def", "total_tokens": "3"}',
        "<Report><Status>DONE</Status><NextToken>abc</NextToken></Report>",
        "Invalid token: it has expired. Basic authentication required",
        "user@example.com wrote: see http://example.com/a@b",
        "s3://aws_lake@bucket/x.parquet cannot be written",
        "a password is needed; secret: none",
        "auth.headers.X-Session: the value is a mapping, which cannot stand inside text; use tojson",
    ],
)
def test_what_people_need_to_read_stays(text: str) -> None:
    assert Redactor().text(text) == text


@pytest.mark.parametrize(
    ("target", "text", "safe"),
    [
        ("https://a.example/f/1?x=open-sesame-4711", "GET https://a.example/f/1?x=open-sesame-4711 200",
         "GET https://a.example*** 200"),
        ("https://a.example/f/1?x=open-sesame-4711", "/f/1?page=2&x=open-sesame-4711", "/f/1?page=2&x=***"),
        ("https://a.example/f/open-sesame-4711/x", "/f/open-sesame-4711/y", "/f/***/y"),
        ("/f?x=open%2Fsesame%2F4711", "no open/sesame/4711 here", "no *** here"),
        ("open-sesame", "GET /files/open-sesame", "GET /files/***"),
        ("https://a.example/", "GET https://a.example/jobs", "GET https://a.example/jobs"),
    ],
)  # fmt: skip
def test_the_parts_of_a_secret_target_are_hidden(target: str, text: str, safe: str) -> None:
    assert Redactor(parts_of_target(target)).text(text) == safe


@pytest.mark.parametrize(
    ("name", "sensitive"),
    [
        ("Authorization", True),
        ("X-Api-Key", True),
        ("client_secret", True),
        ("sig", True),
        ("key", True),
        ("Set-Cookie", True),
        ("continuation_token", False),
        ("Content-Type", False),
        ("X-Tenant", False),
        ("monkey", False),
        ("author", False),
    ],
)
def test_names_that_say_what_they_carry(name: str, sensitive: bool) -> None:
    assert is_sensitive_name(name) is sensitive


def test_a_key_in_a_body_is_no_secret_and_one_in_a_url_is() -> None:
    assert Redactor().text('{"key": "a/b.csv"} /x?key=abc') == '{"key": "a/b.csv"} /x?key=***'


def test_the_place_of_an_api_key_is_known_by_its_own_name() -> None:
    redactor = Redactor([], ["X-Shop-Pass-Through", "k"])
    assert redactor.headers({"x-shop-pass-through": "abc", "X-B": "c"}) == {
        "x-shop-pass-through": "***",
        "X-B": "c",
    }
    assert redactor.url("https://h/?k=abc&l=d") == "https://h/?k=***&l=d"


def test_of_a_foreign_url_only_short_values_are_shown() -> None:
    url = "https://files.example.com/a?part=2&expires=1700000000&x=AbCdEfGhIjKlMnOp"
    assert Redactor().url(url) == url
    assert Redactor().url(url, foreign=True) == "https://files.example.com/a?part=2&expires=1700000000&x=***"


def test_the_scheme_of_an_authorization_is_kept() -> None:
    headers = {"authorization": "Bearer abc", "proxy-authorization": "abc", "x": "plain"}
    assert Redactor().headers(headers) == {
        "authorization": "Bearer ***",
        "proxy-authorization": "***",
        "x": "plain",
    }


# Excerpts ------------------------------------------------------------------------------------------------


def test_an_excerpt_is_cut_after_the_secrets_are_gone() -> None:
    secret = "S" * 50
    for start in range(60, 110):
        excerpt = Redactor([secret]).excerpt(b"x" * start + secret.encode() + b"y" * 100, 100)
        assert "SSSS" not in excerpt
        assert len(excerpt) <= 101


@pytest.mark.parametrize(
    ("body", "encoding", "excerpt"),
    [
        (b"", None, ""),
        ("ä€".encode(), None, "ä€"),
        ("ä".encode("latin-1"), "latin-1", "ä"),
        ("ä".encode("latin-1"), None, "\ufffd"),
        (b"a\x00\x1b[31m", None, "a\ufffd\ufffd[31m"),
        (b"abc", "no-such-charset", "abc"),
        (b"abc", "undefined", "abc"),  # what JavaScript servers send that set no charset
        (b"x" * 11, None, "x" * 10 + "…"),
    ],
)
def test_an_excerpt_is_text_that_a_terminal_can_show(body: bytes, encoding: str | None, excerpt: str) -> None:
    assert Redactor().excerpt(body, 10, encoding) == excerpt


# Arguments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ({"inputs": {"a": 1, "b": ["x", None, True]}}, []),
        ({"inputs": {"note": "uses planted-secret here"}}, ["inputs.note"]),
        ({"a": [{"b": "planted-secret"}, "planted-secret"]}, ["a[0].b", "a[1]"]),
        ({"headers": {"Authorization": "Bearer {{ inputs.t }}"}}, []),
        ({"headers": {"Authorization": "Bearer abc"}}, ["headers.Authorization"]),
        ({"headers": {"X-A": "{{ inputs.t }} planted-secret"}}, ["headers.X-A"]),
        ({"inputs": {"password": "abc", "access_token": "d"}}, ["inputs.password", "inputs.access_token"]),
        ({"inputs": {"password": "", "api_key": None}}, []),
        ({"captures": {"upload_token": "abc", "page_token": "d"}}, []),
        ({"url": "https://ann:pw@h/"}, ["url"]),
        ({"url": "https://h/?sig=abc"}, ["url"]),
        ({"planted-secret": 1}, ["planted-secret"]),
        ({"form": {"X-Key": "abc"}}, ["form.X-Key"]),
        ("planted-secret", ["value"]),
        ({"auth": {"type": "api_key", "header": "X-Key", "prefix": "Token "}}, []),
    ],
)
def test_arguments_that_may_not_be_stored_are_named(value: Any, paths: list[str]) -> None:
    assert Redactor(["planted-secret"], ["X-Key"]).would_change(value) == paths


def test_a_redactor_shows_nothing_of_what_it_knows() -> None:
    assert "planted" not in repr(Redactor(["planted-secret"]))
