"""Rendering: a request of a definition becomes method, URL, headers and bytes."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.definition.problems import kind_of, shown
from airflow_asyncjob.definition.templates import (
    Inspection,
    inspect,
    is_template,
    render,
    render_url,
    render_xml,
    text_of,
    texts_in,
)
from airflow_asyncjob.errors import TemplateError

if TYPE_CHECKING:
    from mimetypes import MimeTypes

__all__ = [
    "HEADER_NAME",
    "RenderedPart",
    "RenderedRequest",
    "members_used",
    "render_request",
    "uses_name",
    "xml_of_tree",
]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_IN_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OF_THE_CLIENT = frozenset(
    {"connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that say how a request is sent (RFC 9110, 7 and 8.6), which pre-signed URLs like to name too."""
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_XML_ENCODING = re.compile(r"""^<\?xml[^>]*\bencoding\s*=\s*["']([^"']+)["']""")


@dataclass(frozen=True)
class RenderedPart:
    """One field of a multipart body, or a file that is the whole body.

    :param name: of the field; empty: the whole body.
    :param text: its value; None: it is a file.
    :param file: path or URI; empty: it is a text.
    :param filename: that the API gets; None: none.
    :param content_type: None: none is said.
    """

    name: str = ""
    text: str | None = None
    file: str = ""
    filename: str | None = None
    content_type: str | None = None


@dataclass(frozen=True)
class RenderedRequest:
    """One request, ready to be sent.

    :param method: in upper case.
    :param url: relative to the connection's address, or absolute.
    :param params: query parameters in order, not encoded; they are added to the query that the URL has.
    :param headers: the definition's own headers.
    :param content: the body; None when there is none.
    :param content_type: what the body is; None when there is no body, or the headers say it.
    :param parts: a body that is multipart or a file; empty: it is ``content``.
    """

    method: str
    url: str
    params: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    content: bytes | None
    content_type: str | None
    parts: tuple[RenderedPart, ...] = ()


def render_request(request: Request, names: Mapping[str, Any], *, where: str = "request") -> RenderedRequest:
    """Return a request with every template rendered.

    :param names: the names that its templates see.
    :param where: the request's place in the definition, for messages, such as ``submit.request``.
    :raises TemplateError: an undefined value, or one that cannot stand where it is used.
    """
    headers = _headers(request.headers, names, f"{where}.headers")
    content, content_type = _body(request, names, where)
    parts = tuple(_parts(request, names, where))
    if request.file is not None:
        content_type = parts[0].content_type
    named = any(name.lower() == "content-type" for name in headers)
    return RenderedRequest(
        method=request.method,
        url=_url(request.url, names, f"{where}.url"),
        params=tuple(_pairs(render(request.params, names, where=f"{where}.params"), f"{where}.params")),
        headers=headers,
        content=content,
        content_type=None if named else content_type,
        parts=parts,
    )


def uses_name(request: Request, name: str) -> bool:
    """Return whether a template of this request uses a top-level name, such as ``idempotency_key``."""
    return any(name in used.names for used in _inspected(request))


def members_used(request: Request, name: str) -> frozenset[str] | None:
    """Return which members of a top-level name the templates of this request use, such as those of
    ``inputs``; None where the whole of it is used.
    """
    found: set[str] = set()
    for used in _inspected(request):
        members = {member for holder, member in used.members if holder == name}
        if name in used.names and not members:
            return None
        found |= members
    return frozenset(found)


def _inspected(request: Request) -> Iterator[Inspection]:
    fields = (
        request.url,
        request.params,
        request.headers,
        request.json_body,
        request.form,
        request.xml,
        request.text,
        {name: part.model_dump() for name, part in (request.multipart or {}).items()},
        request.file,
    )
    return (inspect(text) for value in fields if value for text in texts_in(value) if is_template(text))


def _url(template: str, names: Mapping[str, Any], where: str) -> str:
    url = render_url(template.strip(), names, where=where).strip()
    if _CONTROL.search(url):
        raise TemplateError(f"{where}: a URL cannot have line breaks or control characters: {shown(url)}")
    if not url and template.strip():
        raise TemplateError(f"{where}: {shown(template)} is empty once rendered")
    return url


def _headers(headers: str | Mapping[str, str], names: Mapping[str, Any], where: str) -> dict[str, str]:
    given = render(headers, names, where=where)
    if isinstance(headers, str):
        given = _named_by_an_answer(given, headers, where)
    rendered: dict[str, str] = {}
    for name, value in given.items():
        if value is None:
            continue
        text = _as_text(value, f"{where}.{name}").strip()
        if not HEADER_NAME.fullmatch(name):
            raise TemplateError(f"{where}: {shown(name)} is not the name of a header")
        if _CONTROL_IN_HEADER.search(text):
            raise TemplateError(f"{where}.{name}: a header cannot have line breaks or control characters")
        rendered[name] = text
    return rendered


def _named_by_an_answer(given: Any, template: str, where: str) -> dict[str, Any]:
    """Return headers that a template gave as a whole, but for those that the client makes for itself."""
    if not isinstance(given, Mapping):
        raise TemplateError(f"{where}: {shown(template)} gave {kind_of(given)}, and a mapping is expected")
    return {str(name): value for name, value in given.items() if str(name).lower() not in _OF_THE_CLIENT}


def _as_text(value: Any, where: str) -> str:
    try:
        return text_of(value)
    except TypeError as error:
        raise TemplateError(f"{where}: {error}") from None


def _pairs(fields: Mapping[str, Any], where: str) -> list[tuple[str, str]]:
    """Return parameters as pairs: a list repeats the name, null leaves it out."""
    pairs = []
    for name, value in fields.items():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if item is not None:
                pairs.append((name, _as_text(item, f"{where}.{name}")))
    return pairs


def _body(request: Request, names: Mapping[str, Any], where: str) -> tuple[bytes | None, str | None]:
    if request.has_body("json"):
        return _json(
            render(request.json_body, names, where=f"{where}.json"), f"{where}.json"
        ), "application/json"
    if request.form is not None:
        pairs = _pairs(render(request.form, names, where=f"{where}.form"), f"{where}.form")
        return _encoded(urlencode(pairs), f"{where}.form"), "application/x-www-form-urlencoded"
    if request.xml is not None:
        return _xml(request.xml, names, f"{where}.xml")
    if request.text is not None:
        text = _as_text(render(request.text, names, where=f"{where}.text"), f"{where}.text")
        return _encoded(text, f"{where}.text"), "text/plain; charset=utf-8"
    return None, None


def _parts(request: Request, names: Mapping[str, Any], where: str) -> Iterator[RenderedPart]:
    """Yield the fields of a multipart body, or the file that is the body."""
    if request.file is not None:
        path = _path(request.file, names, f"{where}.file")
        yield RenderedPart(file=path, content_type=_media_type(path))
    for key, part in (request.multipart or {}).items():
        place = f"{where}.multipart.{key}"
        given = {
            field: _as_text(render(value, names, where=f"{place}.{field}"), f"{place}.{field}")
            for field, value in part.model_dump(exclude={"file"}).items()
            if value is not None
        }
        path = "" if part.file is None else _path(part.file, names, f"{place}.file")
        if path:
            given = {"filename": _name_in(path), "content_type": _media_type(path), **given}
        for field in ("filename", "content_type"):
            if _CONTROL.search(given.get(field, "")):
                raise TemplateError(f"{place}.{field}: {shown(given[field])} has a line break or the like")
        name = _as_text(render(key, names, where=place), place)
        yield RenderedPart(name=name, file=path, **given)


def _path(template: str, names: Mapping[str, Any], where: str) -> str:
    path = _as_text(render(template, names, where=where), where).strip()
    if not path:
        raise TemplateError(f"{where}: {shown(template)} is empty once rendered")
    return path


def _name_in(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/"))[-1]


@functools.cache
def _media_types() -> MimeTypes:
    """Return the types that Python knows of itself: the same on every machine."""
    from mimetypes import MimeTypes

    return MimeTypes()


def _media_type(path: str) -> str:
    kind, packed = _media_types().guess_type(_name_in(path))
    if packed is not None:
        kind = "application/gzip" if packed == "gzip" else None
    return kind or "application/octet-stream"


def _json(value: Any, where: str) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=text_of)
    except (TypeError, ValueError, RecursionError) as error:
        raise TemplateError(f"{where}: the body cannot be written as JSON: {error}") from None
    return _encoded(text, where)


def _encoded(text: str, where: str, encoding: str = "utf-8") -> bytes:
    try:
        return text.encode(encoding)
    except (UnicodeEncodeError, LookupError) as error:
        raise TemplateError(f"{where}: the body cannot be encoded: {error}") from None


def _xml(xml: str | Mapping[str, Any], names: Mapping[str, Any], where: str) -> tuple[bytes, str]:
    value = render_xml(xml, names, where=where) if isinstance(xml, str) else render(xml, names, where=where)
    text = xml_of_tree(value, where) if isinstance(value, Mapping) else value
    if not isinstance(text, str):
        raise TemplateError(f"{where}: an XML body is text or a mapping with one root, not {kind_of(value)}")
    text = text.lstrip()
    bad = _NOT_IN_XML.search(text)
    if bad:
        raise TemplateError(f"{where}: the character U+{ord(bad.group()):04X} cannot stand in XML")
    declared = _XML_ENCODING.match(text)
    encoding = declared.group(1) if declared else "utf-8"
    return _encoded(text, where, encoding), f"application/xml; charset={encoding}"


def xml_of_tree(tree: Mapping[str, Any], where: str) -> str:
    """Return a tree without templates as an XML document.

    :raises TemplateError: it cannot be written so.
    """
    import xmltodict

    try:
        text: str = xmltodict.unparse(_xml_values(tree), attr_prefix="@", cdata_key="#text")
    except (ValueError, TypeError, AttributeError) as error:
        raise TemplateError(f"{where}: the tree cannot be written as XML: {error}") from None
    return text


def _xml_values(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _xml_values(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_xml_values(item) for item in value]
    return None if value is None else text_of(value)
