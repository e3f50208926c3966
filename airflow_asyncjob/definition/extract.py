"""Extraction: one value out of an answer, as an extractor says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_asyncjob.definition.document import excerpt
from airflow_asyncjob.definition.models.extractor import Extractor
from airflow_asyncjob.definition.problems import shown
from airflow_asyncjob.definition.templates import evaluate, render
from airflow_asyncjob.definition.values import MISSING
from airflow_asyncjob.errors import UnreadableError

__all__ = ["MISSING", "Headers", "View", "describe_body", "extract", "find"]


class Headers(Mapping[str, str]):
    """Headers of an answer; names in any case."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._by_lower = {name.lower(): value for name, value in headers.items()}

    def __getitem__(self, name: str) -> str:
        return self._by_lower[name.lower()] if isinstance(name, str) else self._by_lower[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_lower)

    def __len__(self) -> int:
        return len(self._by_lower)


@dataclass(frozen=True)
class View:
    """An answer as extractors and expressions see it.

    :param code: HTTP status code.
    :param headers: headers; any mapping, names in any case.
    :param body: the body as :func:`~airflow_asyncjob.definition.document.parse_body` gave it.
    :param url: the URL that was asked.
    :param captures: what earlier answers left.
    """

    code: int
    headers: Mapping[str, str]
    body: Any
    url: str = ""
    captures: Mapping[str, Any] = field(default_factory=dict)

    def names(self) -> dict[str, Any]:
        """Return the names that expressions see."""
        return {
            "code": self.code,
            "headers": self.headers if isinstance(self.headers, Headers) else Headers(self.headers),
            "body": self.body,
            "captures": self.captures,
            "url": self.url,
        }


def extract(
    extractor: Extractor,
    view: View,
    *,
    names: Mapping[str, Any] | None = None,
    single: bool = True,
    where: str = "",
) -> Any:
    """Return the value that an extractor finds; it is never None.

    :param names: template names, for an extractor that is a template.
    :param single: one value is wanted: more than one match is an error. A JSON list at a plain path is one
        value. With False the matches of a path that can match several are returned as a list.
    :param where: the field, for messages, such as ``submit.id``; empty: not named.
    :raises UnreadableError: nothing or null is there, or more than one match; the message says what was
        there.
    :raises TemplateError: the template of the extractor cannot be rendered.
    """
    value = find(extractor, view, names=names, single=single, where=where)
    if value is MISSING or value is None:
        found = "is null" if value is None else "matches nothing"
        raise UnreadableError(f"{_prefix(where)}{extractor.describe()} {found}; {_there(extractor, view)}")
    return value


def find(
    extractor: Extractor,
    view: View,
    *,
    names: Mapping[str, Any] | None = None,
    single: bool = True,
    where: str = "",
) -> Any:
    """Return what :func:`extract` returns, or None where null is, or :data:`MISSING` where nothing is.

    :raises UnreadableError: more than one match for a single value, or an expression that fails on this
        answer.
    :raises TemplateError: the template of the extractor cannot be rendered.
    """
    value = _source(extractor, view, names, single, where)
    if extractor.regex is None or value is MISSING or value is None:
        return value
    if isinstance(value, list) and not single:
        matched = [_matched(extractor.regex, item) for item in value]
        return [item for item in matched if item is not MISSING] or MISSING
    return _matched(extractor.regex, value)


def _source(
    extractor: Extractor, view: View, names: Mapping[str, Any] | None, single: bool, where: str
) -> Any:
    field_name = where or "extractor"
    if extractor.code:
        return view.code
    if extractor.header is not None:
        return Headers(view.headers).get(extractor.header, MISSING)
    if extractor.template is not None:
        return render(extractor.template, names or {}, where=field_name)
    if extractor.expr is not None:
        value = evaluate(extractor.expr, view.names(), where=field_name)
        return MISSING if value is None else value
    from airflow_asyncjob.definition.paths import Matches, path_value

    assert extractor.path is not None
    try:
        matches = path_value(extractor.path, view.body)
    except UnreadableError as error:
        raise UnreadableError(f"{_prefix(where)}{error.message}") from None
    if not isinstance(matches, Matches):
        return matches
    if not matches:
        return MISSING
    if not single:
        return list(matches)
    if len(matches) > 1:
        whole = " (a list is captured whole, by the path to the list itself)" if ".capture." in where else ""
        raise UnreadableError(
            f"{_prefix(where)}{extractor.describe()} matches {len(matches)} values where one is wanted, such "
            f"as {shown(matches[0])} and {shown(matches[1])}; make the path match one, for example with | "
            f"[0]{whole}"
        )
    return matches[0]


def _prefix(where: str) -> str:
    return f"{where}: " if where else ""


def _matched(regex: str, value: Any) -> Any:
    if isinstance(value, (Mapping, list)):
        return MISSING
    match = re.search(regex, value if isinstance(value, str) else _as_text(value))
    if match is None:
        return MISSING
    found = match.group(1) if match.re.groups else match.group(0)
    return MISSING if found is None else found


def _as_text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


# What was there -----------------------------------------------------------------------------------


def _there(extractor: Extractor, view: View) -> str:
    if extractor.header is not None:
        value = Headers(view.headers).get(extractor.header)
        if value is not None:
            return f"the header is {shown(value)}"
        return f"the answer has the headers {', '.join(sorted(Headers(view.headers))) or '(none)'}"
    if extractor.code or extractor.template is not None:
        return f"the HTTP status code is {view.code}"
    if extractor.regex is not None and extractor.path is not None:
        from airflow_asyncjob.definition.paths import Matches, path_value

        value = path_value(extractor.path, view.body)
        if not isinstance(value, Matches) and value is not MISSING:
            return f"the text there is {excerpt(_as_text(value))}"
    return describe_body(view.body)


def describe_body(body: Any) -> str:
    """Return what a body is, for a message: its top-level names, or its beginning."""
    if body is None:
        return "the body is empty or null"
    if isinstance(body, str):
        return f"the body is text: {excerpt(body)}"
    if isinstance(body, list):
        inside = f", the first with {_keys(body[0])}" if body and isinstance(body[0], Mapping) else ""
        return f"the body is a list of {len(body)}{inside}"
    if isinstance(body, Mapping):
        if len(body) == 1:
            ((name, inner),) = body.items()
            if isinstance(inner, Mapping):
                return f"the body has {name!r} with {_keys(inner)}"
        return f"the body has {_keys(body)}"
    return f"the body is {shown(body)}"


def _keys(mapping: Mapping[str, Any]) -> str:
    names = [repr(key) for key in list(mapping)[:20]]
    more = f" and {len(mapping) - 20} more" if len(mapping) > 20 else ""
    return (", ".join(names) or "no fields") + more
