"""Bodies of answers, read by their content."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.definition.document import DEEPEST_XML, parse_body
from airflow_asyncjob.errors import UnreadableError

E = "\N{LATIN SMALL LETTER E WITH ACUTE}"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"id": 7, "x": [1, null, true, 1.5]}', {"id": 7, "x": [1, None, True, 1.5]}),
        (b" \n[1, 2]\n", [1, 2]),
        (b'"job-7"', "job-7"),
        (b"7\n", 7),
        (b"1.5", 1.5),
        (b"true", True),
        (b"null", None),
        (b'{"id": 123456789012345678901234567890}', {"id": 123456789012345678901234567890}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (f'{{"a": "{E}"}}'.encode("utf-16"), {"a": E}),
        (f'{{"a": "{E}"}}'.encode("utf-32-be"), {"a": E}),
        (b"READY\r\n", "READY"),
        (b"job 7 is running", "job 7 is running"),
        (b"12e45", "12e45"),
        (b"007", "007"),
        (b"1.2.3", "1.2.3"),
        (b"nullable", "nullable"),
        (b'"open', '"open'),
        (b"", None),
        (b" \r\n", None),
        (b"\xef\xbb\xbf", None),
        (b"<a/>", {"a": None}),
        (b"<a>x</a>", {"a": "x"}),
        (b'<a b="1">x</a>', {"a": {"@b": "1", "#text": "x"}}),
        (b"<a><b>1</b><b>2</b></a>", {"a": {"b": ["1", "2"]}}),
        (b'<n:a xmlns:n="urn:x"><n:b/></n:a>', {"n:a": {"@xmlns:n": "urn:x", "n:b": None}}),
        (f"<?xml version='1.0' encoding='iso-8859-1'?><a>{E}</a>".encode("latin-1"), {"a": E}),
        (f"\ufeff<?xml version='1.0' encoding='utf-8'?><a>{E}</a>".encode(), {"a": E}),
        (f"<a>{E}</a>".encode("utf-16"), {"a": E}),
        (b"<a><![CDATA[<b>]]></a>", {"a": "<b>"}),
    ],
)
def test_the_content_says_what_a_body_is(body: bytes, value: Any) -> None:
    parsed = parse_body(body)
    assert parsed == value
    assert type(parsed) is type(value)


def test_the_charset_of_the_content_type_helps_where_the_body_does_not_say_it() -> None:
    assert parse_body(f"<a>{E}</a>".encode("latin-1"), "xml", "iso-8859-1") == {"a": E}
    assert parse_body(f'{{"a": "{E}"}}'.encode("latin-1"), "json", "iso-8859-1") == {"a": E}
    assert parse_body(E.encode("latin-1"), "text", "iso-8859-1") == E


@pytest.mark.parametrize("charset", ["klingon", "undefined", "idna", "punycode", "base64", "x\0"])
def test_a_charset_that_is_none_is_passed_over(charset: str) -> None:
    assert parse_body("é".encode(), "text", charset) == "é"
    assert parse_body(b'{"a": "\xe9"}', "json", charset) == {"a": "\N{REPLACEMENT CHARACTER}"}


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (rb'{"m": "cut \ud83d", "\uDE00": ["a\u0000b"]}', {"m": "cut \ufffd", "\ufffd": ["a\ufffdb"]}),
        (rb'{"m": "whole \ud83d\ude00"}', {"m": "whole \U0001f600"}),
        (rb'"\ud83d"', "\ufffd"),
        (b"job\0 7", "job\ufffd 7"),
    ],
)
def test_what_no_database_holds_is_replaced(body: bytes, value: object) -> None:
    assert parse_body(body) == value
    assert parse_body(body, "text") == body.decode().replace("\0", "\ufffd")


def test_the_kind_can_be_said() -> None:
    assert parse_body(b'{"a": 1}', "text") == '{"a": 1}'
    assert parse_body(b"<html><body>down</body></html>", "text") == "<html><body>down</body></html>"
    assert parse_body(b"<html>", "none") is None
    assert parse_body(b"{", "none") is None
    assert parse_body(b" ", "json") is None


@pytest.mark.parametrize(
    "page",
    [
        b"<!DOCTYPE html><p>",
        b"<html><body>Log in</body></html>",
        b"  <HTML>",
        b"<?xml version='1.0'?>\n<!-- x --><!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0//EN' 'x'><html/>",
        b"<!-- a page --><html lang='en'>",
    ],
)
@pytest.mark.parametrize(
    ("kind", "expected"), [("auto", "JSON, XML or text"), ("json", "JSON"), ("xml", "XML")]
)
def test_html_is_never_data(page: bytes, kind: Any, expected: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        parse_body(page, kind)
    message = str(caught.value)
    assert message.startswith(f"the answer is HTML instead of {expected}: ")
    assert "check the address and the credentials" in message


def test_a_page_is_shown_by_its_beginning() -> None:
    with pytest.raises(UnreadableError) as caught:
        parse_body(b"<html>\n<h1>Bad   gateway</h1>" + b"x" * 10_000)
    assert "'<html> <h1>Bad gateway</h1>xxx" in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b'{"id": "a', "auto", "the answer is not JSON (Unterminated string"),
        (b"[INFO] started", "auto", "the answer is not JSON"),
        (b'{"a": NaN}', "auto", "the answer is not JSON (NaN is not a JSON value)"),
        (b'{"a": -Infinity}', "auto", "-Infinity is not a JSON value"),
        (b'{"a": 1e999}', "auto", "'1e999' is too large for a number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "auto", "the answer is not JSON"),
        (b"[" * 100_000, "auto", "the answer is JSON nested too deeply to be read"),
        (b"ready", "json", "the answer is not JSON (Expecting value: line 1 column 1 (char 0)): 'ready'"),
        (b"<a/>", "json", "the answer is not JSON"),
        (b'{"a": 1}', "xml", "the answer is not XML"),
        (b"<a><b></a>", "auto", "the answer is not XML (mismatched tag"),
        (b"<a>", "auto", "the answer is not XML (no element found"),
        (b"<a/><b/>", "auto", "the answer is not XML (junk after document element"),
        (
            b"<a>" * (DEEPEST_XML + 1) + b"</a>" * (DEEPEST_XML + 1),
            "auto",
            "nested more than 200 elements deep",
        ),
        (
            b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
            "auto",
            "with a document type (DOCTYPE), which is refused",
        ),
        (
            b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
            "auto",
            "with a document type (DOCTYPE), which is refused",
        ),
        (b"<a>&undefined;</a>", "auto", "the answer is not XML (undefined entity"),
    ],
)
def test_what_cannot_be_read_says_what_came(body: bytes, kind: Any, message: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        parse_body(body, kind)
    assert message in str(caught.value)


def test_a_bomb_of_entities_never_grows() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "lol">{levels}]><x>&e9;</x>'
    with pytest.raises(UnreadableError, match="DOCTYPE"):
        parse_body(bomb.encode())
