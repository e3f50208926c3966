"""Documents: the body of an answer, read by its content."""

from __future__ import annotations

import contextlib
import json
import math
import re
from typing import Any, NoReturn

from airflow_asyncjob.definition.models.request import ResponseKind
from airflow_asyncjob.definition.problems import shown
from airflow_asyncjob.errors import UnreadableError

__all__ = ["excerpt", "parse_body"]

DEEPEST_XML = 200
"""Nested elements; a document of an API has some ten."""

_EXCERPT_CHARS = 200
_XML_PROLOG = re.compile(r"\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*", re.DOTALL | re.IGNORECASE)
_HTML = re.compile(r"<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_JSON_SCALAR = re.compile(r'"[^\n]*"|true|false|null|-?(0|[1-9]\d*)(\.\d+)?')
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_WRITES_UNSTORABLE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_NAMES_ENCODING = re.compile(rb"""^\s*<\?xml[^>]*encoding\s*=""")


def parse_body(body: bytes, kind: ResponseKind = "auto", encoding: str | None = None) -> Any:
    """Return the body of an answer as a value that extractors and expressions read.

    JSON gives its value. XML gives the tree of xmltodict: elements by name with their prefix, attributes as
    ``@name``, text beside attributes as ``#text``, repeated elements as a list. An empty body gives None.
    Half a surrogate pair (an API that cuts a message cuts an emoji in two) and NUL become U+FFFD: neither
    UTF-8 nor PostgreSQL holds them.

    :param body: the bytes, after Content-Encoding was decoded.
    :param kind: what the definition expects; ``auto`` tells JSON, XML and text apart by content, whatever
        the content type says; ``none`` gives None without looking.
    :param encoding: the charset that the content type names; None when it names none. JSON is UTF-8, UTF-16
        or UTF-32 by its first bytes (RFC 8259, section 8.1), XML says its encoding itself, and both fall
        back to this.
    :raises UnreadableError: HTML instead of data, or not what ``kind`` says, or too deeply nested.
    """
    if kind == "none" or not body.strip(b" \t\r\n\xef\xbb\xbf"):
        return None
    if kind == "text":
        return _storable(_decoded(body, encoding).strip())
    text = _text(body, encoding)
    if _HTML.match(text, _XML_PROLOG.match(text).end()):  # type: ignore[union-attr]  # it matches emptiness
        expected = {"json": "JSON", "xml": "XML"}.get(kind, "JSON, XML or text")
        raise UnreadableError(
            f"the answer is HTML instead of {expected}: {excerpt(text)}; it is usually the page of a proxy, "
            "a login or an error; check the address and the credentials (response: text reads it as text)"
        )
    first = text.lstrip()[:1]
    if kind == "xml" or (kind == "auto" and first == "<"):
        return _xml(body, text, encoding)
    if kind == "json" or first in "{[":
        return _json(text)
    return _scalar(text.strip())


def excerpt(text: str) -> str:
    """Return the beginning of a text for a message."""
    line = " ".join(text[: _EXCERPT_CHARS * 2].split())
    return repr(line[:_EXCERPT_CHARS]) + ("..." if len(line) > _EXCERPT_CHARS else "")


def _text(body: bytes, encoding: str | None) -> str:
    detected = json.detect_encoding(body)
    if detected == "utf-8":
        detected = "utf-8-sig"
    try:
        return body.decode(detected)
    except UnicodeDecodeError:
        return _decoded(body, encoding)


def _decoded(body: bytes, encoding: str | None) -> str:
    try:
        return body.decode(encoding or "utf-8-sig", "replace")
    except (LookupError, ValueError):  # a charset that nobody knows, or that is none: undefined, idna
        return body.decode("utf-8-sig", "replace")


def _scalar(text: str) -> Any:
    """Return a body of one word: a JSON value where it is one; 12e45 is rather an ID than a number."""
    if _JSON_SCALAR.fullmatch(text):
        with contextlib.suppress(ValueError):
            return _storable(json.loads(text))
    return _storable(text)


def _json(text: str) -> Any:
    try:
        value = _JSON.decode(text)
        return _storable(value) if _WRITES_UNSTORABLE.search(text) else value
    except RecursionError:
        raise UnreadableError(f"the answer is JSON nested too deeply to be read: {excerpt(text)}") from None
    except ValueError as error:
        raise UnreadableError(f"the answer is not JSON ({error}): {excerpt(text)}") from None


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list) else value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{shown(digits)} is too large for a number")
    return number


_JSON = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def _xml(body: bytes, text: str, encoding: str | None) -> Any:
    import xmltodict

    # A document that names its encoding, or is Unicode, is right about itself; else the content type is.
    source: bytes | str = body if _NAMES_ENCODING.match(body) else text
    try:
        _check_xml(source)
        return xmltodict.parse(source, attr_prefix="@", cdata_key="#text", disable_entities=True)
    except UnreadableError:
        raise
    except Exception as error:  # expat and xmltodict raise several kinds
        raise UnreadableError(f"the answer is not XML ({error}): {excerpt(text)}") from None


def _check_xml(source: bytes | str) -> None:
    """Refuse what XML is attacked with, before a tree is built: document types (and so entities), depth."""
    from xml.parsers import expat

    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST_XML:
            raise UnreadableError(f"the answer is XML nested more than {DEEPEST_XML} elements deep")

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    def doctype(*_: Any) -> None:
        raise UnreadableError(
            "the answer is XML with a document type (DOCTYPE), which is refused: it can hold entities"
        )

    parser = expat.ParserCreate("utf-8" if isinstance(source, str) else None)
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = doctype
    parser.Parse(source, True)
