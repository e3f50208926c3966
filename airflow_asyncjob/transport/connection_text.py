"""Airflow's text forms of a connection, a URI or JSON, read without Airflow."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from airflow_asyncjob.errors import ConnectionSetupError

__all__ = ["ConnectionParts", "parse_json", "parse_text", "parse_uri"]

_EXTRA_KEY = "__extra__"
_JSON_FIELDS = "conn_type, host, schema, port, login, password, extra, description"


@dataclass(frozen=True)
class ConnectionParts:
    """The fields of an Airflow connection, as Airflow names them.

    :param schema: for HTTP connections the scheme, ``http`` or ``https``; in a connection URI it is the path.
    :param extra: the JSON object of the field Extra.
    """

    conn_type: str = "http"
    host: str | None = None
    schema: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    extra: dict[str, Any] = field(default_factory=dict, repr=False)


def parse_text(text: str) -> ConnectionParts:
    """Read a connection URI, or a JSON object when the text starts with ``{``.

    :raises ConnectionSetupError: neither; the message shows an example and never the text, which holds a
        password.
    """
    text = text.strip()
    return parse_json(text) if text.startswith("{") else parse_uri(text)


def parse_json(text: str) -> ConnectionParts:
    """Read the JSON form, such as ``{"conn_type": "http", "host": "api.example.com", "schema": "https"}``.

    :raises ConnectionSetupError: not a JSON object, an unknown field, or a field of the wrong type.
    """
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise ConnectionSetupError(
            f"the connection is not valid JSON: {_where(error)}. Valid fields: {_JSON_FIELDS}"
        ) from None
    if not isinstance(fields, dict):
        raise ConnectionSetupError(
            f"the connection is JSON, and not an object with the fields {_JSON_FIELDS}"
        )
    unknown = sorted(set(fields) - {*_JSON_FIELDS.split(", "), "conn_id"})
    if unknown:
        raise ConnectionSetupError(
            f"unknown field of the connection: {', '.join(unknown)}. Valid fields: {_JSON_FIELDS}"
        )
    port = fields.get("port") or None
    try:
        port = int(port) if port is not None else None
    except (TypeError, ValueError):
        raise ConnectionSetupError("the port of the connection is not a whole number") from None
    return ConnectionParts(
        conn_type=_normal_type(fields.get("conn_type") or "http"),
        host=_text(fields, "host"),
        schema=_text(fields, "schema"),
        port=port,
        login=_text(fields, "login"),
        password=_text(fields, "password"),
        extra=parse_extra(fields.get("extra")),
    )


def parse_uri(uri: str) -> ConnectionParts:
    """Read the URI form, such as ``http://login:password@api.example.com:443/https?timeout=30``.

    As in Airflow: the scheme is the connection type, the path is the schema, the query is Extra (or
    ``__extra__`` holds it as JSON), each part is percent-encoded, and a second scheme belongs to the host
    (``http://https://api.example.com``).

    :raises ConnectionSetupError: not a connection URI.
    """
    count = uri.count("://")
    if not 1 <= count <= 2:
        raise ConnectionSetupError(
            "this is not a connection URI: it needs TYPE://LOGIN:PASSWORD@HOST:PORT/SCHEMA, each part "
            "percent-encoded, "
            "for example http://login:password@api.example.com/https; or give JSON, starting with {"
        )
    conn_type = uri.partition("://")[0].lower()
    rest = uri.replace(f"{conn_type}://", "" if count == 2 else "//")
    if count == 2 and ("@" in rest.split("://", 1)[0] or ":" in rest.split("://", 1)[0]):
        raise ConnectionSetupError(
            "in a connection URI with a second scheme, login and password follow the second one: "
            "http://https://login:password@api.example.com"
        )
    try:
        parts = urlsplit(rest)
        port = parts.port
    except ValueError as error:
        raise ConnectionSetupError(
            f"the connection URI has a bad host or port ({type(error).__name__})"
        ) from None
    host = _host(parts)
    path = parts.path[1:]
    return ConnectionParts(
        conn_type=_normal_type(conn_type),
        host=f"{parts.scheme}://{host}" if count == 2 and host else host,
        schema=unquote(path),
        port=port,
        login=_unquote(parts.username),
        password=_unquote(parts.password),
        extra=_query_extra(parts.query),
    )


def parse_extra(extra: Any) -> dict[str, Any]:
    """Return Extra as an object; it comes as one, or as its JSON text.

    :raises ConnectionSetupError: it is neither.
    """
    if not extra:
        return {}
    if isinstance(extra, str):
        try:
            extra = json.loads(extra)
        except ValueError as error:
            raise ConnectionSetupError(
                f"the extra of the connection is not valid JSON: {_where(error)}"
            ) from None
    if not isinstance(extra, dict):
        raise ConnectionSetupError("the extra of the connection is not a JSON object")
    return {str(key): value for key, value in extra.items()}


def _query_extra(query: str) -> dict[str, Any]:
    values = dict(parse_qsl(query, keep_blank_values=True))
    return parse_extra(values[_EXTRA_KEY]) if _EXTRA_KEY in values else dict(values)


def _host(parts: SplitResult) -> str:
    host = unquote(parts.hostname or "")
    if "/" not in host:
        return host
    # A percent-encoded address (https%3A%2F%2FApi.example.com%2Fv1): ``hostname`` would lower its case.
    netloc = parts.netloc.rsplit("@", 1)[-1]
    return unquote(netloc.split(":", 1)[0])


def _unquote(text: str | None) -> str | None:
    return unquote(text) if text else text


def _normal_type(conn_type: Any) -> str:
    return str(conn_type).replace("-", "_")


def _text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise ConnectionSetupError(f"the field {name} of the connection is not text")
    return value


def _where(error: ValueError) -> str:
    """Return what a JSON error says without the text itself, which holds secrets."""
    return (
        f"{error.msg} at character {error.pos}"
        if isinstance(error, json.JSONDecodeError)
        else type(error).__name__
    )
