"""The connection of the command line: ASYNCJOB_CONN and --base-url."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.models.auth_kinds import RequestAuth
from airflow_asyncjob.errors import ConnectionSetupError
from airflow_asyncjob.transport.settings import ConnectionSettings

__all__ = [
    "VARIABLE",
    "check_address",
    "check_others",
    "check_url",
    "connection_settings",
    "other_connection",
]

VARIABLE = "ASYNCJOB_CONN"
_HOW = (
    "There is no connection. Give the address of the API with --base-url https://api.example.com, and "
    f"credentials, where the API wants them, in the environment variable {VARIABLE} as an Airflow "
    'connection: JSON such as {"host": "https://api.example.com", "login": "me", "password": "..."}, or a '
    "URI such as https://me:PASSWORD@api.example.com"
)


def connection_settings(
    base_url: str | None, environment: Mapping[str, str] | None = None
) -> ConnectionSettings:
    """Return the connection that the environment variable and the option give.

    :param base_url: overrides the variable's address, and is then the origin that the credentials belong to.
    :param environment: None: that of the process.
    :raises ConnectionSetupError: neither is given, or one of them cannot be read.
    """
    text = (os.environ if environment is None else environment).get(VARIABLE, "").strip()
    if not text and base_url is None:
        raise ConnectionSetupError(_HOW)
    try:
        settings = ConnectionSettings.from_text(text) if text else ConnectionSettings()
    except ConnectionSetupError as error:
        raise ConnectionSetupError(f"{VARIABLE}: {error.message}") from None
    if base_url is None:
        return settings
    try:
        return settings.with_base_url(base_url)
    except ConnectionSetupError as error:
        raise ConnectionSetupError(f"--base-url: {error.message}") from None


def other_connection(conn_id: str, environment: Mapping[str, str] | None = None) -> ConnectionSettings:
    """Return the connection that a request names (``auth: {connection: my_store}``).

    It is in the environment variable ``ASYNCJOB_CONN_<ID>``, with the ID in upper case and every character
    that a variable cannot have as _, such as ``ASYNCJOB_CONN_MY_STORE``.

    :param environment: None: that of the process.
    :raises ConnectionSetupError: there is none, or it cannot be read.
    """
    variable = f"{VARIABLE}_{re.sub(r'[^A-Z0-9]', '_', conn_id.upper())}"
    text = (os.environ if environment is None else environment).get(variable, "").strip()
    if not text:
        raise ConnectionSetupError(
            f"A request has the credentials of the connection {conn_id!r}, and there is none: set the "
            f"environment variable {variable}, in the forms of {VARIABLE}, such as "
            '{"host": "https://store.example.com", "login": "me", "password": "..."}'
        )
    try:
        return replace(ConnectionSettings.from_text(text), conn_id=conn_id)
    except ConnectionSetupError as error:
        raise ConnectionSetupError(f"{variable}: {error.message}") from None


def check_others(definition: AsyncJob, *, download: bool) -> None:
    """Refuse, before anything is sent, a definition that names another connection that is not there.

    :param download: whether the result is downloaded; else its requests do not count.
    :raises ConnectionSetupError: see :func:`other_connection`.
    """
    used = [definition.submit, definition.status, definition.cancel]
    for conn_id in _named([*used, definition.result, definition.delete] if download else used):
        other_connection(conn_id)


def _named(value: Any) -> Iterator[str]:
    """Yield the connections that the requests in a part of a definition name."""
    if isinstance(value, RequestAuth):
        yield from () if value.connection is None else (value.connection,)
    elif isinstance(value, BaseModel):
        yield from _named([getattr(value, name) for name in type(value).model_fields])
    elif isinstance(value, Mapping):
        yield from _named(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _named(item)


def check_address(settings: ConnectionSettings, definition: AsyncJob) -> None:
    """Refuse a connection without a host where the definition's submit needs one; see :func:`check_url`."""
    for request in definition.submit.requests if definition.submit is not None else ():
        check_url(settings, request.url)


def check_url(settings: ConnectionSettings, url: str) -> None:
    """Refuse a connection without a host where a request of the definition needs one.

    :param url: of the request, before it is rendered.
    :raises ConnectionSetupError: it is relative to an address that nobody gave.
    """
    if not settings.base_url and "://" not in url and not url.startswith("{{"):
        raise ConnectionSetupError(
            f"{VARIABLE} names no host, and the definition's URLs are relative ({url}): add the address of "
            "the API with --base-url https://api.example.com"
        )
