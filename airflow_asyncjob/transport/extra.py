"""What the field Extra of a connection says, key by key; an error names the key."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.errors import ConnectionSetupError

__all__ = [
    "AUTH_FIELDS",
    "auth_of",
    "cert_of",
    "flag",
    "headers_of",
    "max_redirects_of",
    "proxies_of",
    "timeout_of",
    "verify_of",
]

_IN = "in the extra of the connection"
_TIMEOUT = f"timeout {_IN} is a number of seconds above 0, or a list of two: to connect, to read"
_SETTINGS = frozenset(
    [
        *("verify", "verify_ssl", "cert", "proxies", "proxy", "timeout", "allow_redirects", "max_redirects"),
        *("trust_env", "stream", "check_response", "srv_lookup"),
    ]
)
AUTH_FIELDS = tuple(f"auth_{name}" for name in Auth.model_fields)
"""What the form of a connection of type asyncjob calls the fields of ``auth``."""
_OURS = frozenset(
    [
        *("headers", "test_path", "region_name", "aws_session_token", "refresh_token"),
        *("webhook_secret", "webhook_public_key", "callback_base_url"),
    ]
)
"""Keys of a plain connection that the HTTP provider would send as headers, and that mean something here."""
_JSON = re.compile(r"\s*[\[{]")
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # a token, RFC 9110 5.6.2


def headers_of(extra: Mapping[str, Any], conn_type: str) -> dict[str, str]:
    """Return the headers of every request.

    They are ``headers``, and for plain connections every key that is no setting.
    """
    headers: dict[str, str] = {}
    if conn_type != "asyncjob":
        headers = {
            key: _plain(value)
            for key, value in extra.items()
            if key not in _SETTINGS and key not in _OURS and isinstance(value, (str, int, float))
        }
    headers |= {
        str(name): _plain(value) for name, value in _object(extra, "headers").items() if value is not None
    }
    for name, value in headers.items():
        if not value.isprintable() or not value.isascii() or not _HEADER_NAME.fullmatch(name):
            raise ConnectionSetupError(
                f"the header {name!r} {_IN} cannot be sent: its name or its value holds characters that a "
                "header may not have, such as a line break or a letter outside ASCII"
            )
    return headers


def flag(extra: Mapping[str, Any], key: str, default: bool) -> bool:
    """Return a setting that is true or false, also as text, as in a connection URI."""
    value = _truth(extra.get(key, default))
    if value is None:
        raise ConnectionSetupError(f"{key} {_IN} is {extra[key]!r}; valid: true, false")
    return value


def verify_of(extra: Mapping[str, Any]) -> bool | str:
    """Return whether certificates are checked, or the path of the authorities."""
    value = extra.get("verify", extra.get("verify_ssl", True))
    truth = _truth(value)
    if truth is None and not isinstance(value, str):
        raise ConnectionSetupError(f"verify {_IN} is true, false, or the path of a CA file or folder")
    return value if truth is None else truth


def cert_of(extra: Mapping[str, Any]) -> str | tuple[str, ...] | None:
    """Return the paths of the client certificate; None: there is none."""
    value = _unpacked(extra, "cert", "[")
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and 2 <= len(value) <= 3 and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ConnectionSetupError(
        f"cert {_IN} is the path of a PEM file, or a list: certificate, key and, when the key has one, its "
        "passphrase"
    )


def proxies_of(extra: Mapping[str, Any]) -> dict[str, str]:
    """Return proxy URLs by ``http``, ``https``, ``all`` or ``https://host``; a single URL is for all."""
    key = "proxies" if "proxies" in extra else "proxy"
    value = _unpacked(extra, key, "{")
    if isinstance(value, str):
        return {"all": value}
    proxies = _object(extra, key)
    if not all(isinstance(url, str) for url in proxies.values()):
        raise ConnectionSetupError(
            f'{key} {_IN} is a URL, or an object such as {{"https": "http://proxy:3128"}}'
        )
    return proxies


def timeout_of(extra: Mapping[str, Any]) -> float | tuple[float, float] | None:
    """Return seconds, or those to connect and to read; None: the connection says nothing."""
    value = _unpacked(extra, "timeout", "[")
    if value is None:
        return None
    items = value if isinstance(value, list) else [value]
    try:
        seconds = [float(item) for item in items if not isinstance(item, bool)]
    except (TypeError, ValueError):
        seconds = []
    if len(seconds) != len(items) or len(items) > 2 or not all(0 < item < float("inf") for item in seconds):
        raise ConnectionSetupError(_TIMEOUT)
    return (seconds[0], seconds[1]) if len(seconds) == 2 else seconds[0]


def max_redirects_of(extra: Mapping[str, Any]) -> int:
    """Return how many redirects a download follows; 30 when nothing is said, as requests does it."""
    text = str(extra.get("max_redirects", 30))
    if not text.isascii() or not text.isdigit():
        raise ConnectionSetupError(f"max_redirects {_IN} is a whole number, 0 or more")
    return int(text)


def auth_of(extra: Mapping[str, Any], conn_type: str) -> Auth | None:
    """Return how credentials are sent; None: the connection says nothing."""
    own = conn_type == "asyncjob"
    # A plain connection's ``auth`` that is a text is a header, as with the provider.
    fields = _object(extra, "auth") if own or isinstance(extra.get("auth"), Mapping) else {}
    if own and not fields:
        fields = {name.removeprefix("auth_"): _of_form(extra, name) for name in AUTH_FIELDS if name in extra}
    return _checked_auth(fields) if fields else None


def _of_form(extra: Mapping[str, Any], name: str) -> Any:
    """Return a field of the form, where an object or a list is written as JSON."""
    value = extra[name]
    return _unpacked(extra, name, value.lstrip()[:1]) if _JSON.match(str(value)) else value


def _checked_auth(fields: dict[str, Any]) -> Auth:
    from pydantic import ValidationError

    from airflow_asyncjob.definition.check import check
    from airflow_asyncjob.definition.explain import explain
    from airflow_asyncjob.definition.problems import InvalidDefinition, Problem

    if fields.get("type") == "callable":
        raise ConnectionSetupError(
            f"the authentication {_IN} has type callable, which is code; set it in the definition"
        )
    problems, auth = check({"auth": fields}), None
    try:
        auth = Auth.model_validate(fields)
    except ValidationError as error:
        problems = [Problem(("auth", *found.path), found.message) for found in explain(error, Auth, fields)]
    if problems or auth is None:
        said = InvalidDefinition(problems).message.replace("\n", "; ")
        raise ConnectionSetupError(
            f"the authentication {_IN} is wrong: {said}. The secret itself is the connection's password"
        )
    return auth


def _plain(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _truth(value: Any) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower())


def _unpacked(extra: Mapping[str, Any], key: str, opening: str) -> Any:
    """Return a value; JSON in a text, as a connection URI and a form hold it, is read."""
    value = extra.get(key)
    if not isinstance(value, str) or not value.lstrip().startswith(opening):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ConnectionSetupError(f"{key} {_IN} is not valid JSON") from None


def _object(extra: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = _unpacked(extra, key, "{")
    if value is not None and not isinstance(value, Mapping):
        raise ConnectionSetupError(f"{key} {_IN} is not a JSON object")
    return dict(value or {})
