"""The connection: where the API is, with which credentials, and how it is reached.

Plain connections (type ``http``) are read as Airflow's HTTP provider reads them. The address is
``SCHEMA://HOST:PORT``, or the host alone when it holds a scheme; no schema means ``http`` (``https`` for a
connection of type ``https``, other than with the provider). Of Extra,
``verify`` (or ``verify_ssl``), ``cert``, ``proxies`` (or ``proxy``), ``timeout``, ``allow_redirects``,
``max_redirects`` and ``trust_env`` are settings, ``stream`` and ``check_response`` have no meaning here
(answers are judged by the definition), and every other key with a plain value is a header of every request.
Beyond the provider, Extra may hold ``headers`` (an object) and ``auth`` (an object, as in a definition).

Connections of type ``asyncjob`` have the same settings, ``headers``, ``auth`` or ``auth_type``,
``auth_header`` and so on (the fields of ``auth``, as the form has them); every other key is free for
templates, as ``{{ connection.extra.NAME }}``, and is sent nowhere by itself.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.errors import ConnectionSetupError
from airflow_asyncjob.transport.connection_text import (
    ConnectionParts,
    parse_extra,
    parse_json,
    parse_text,
    parse_uri,
)
from airflow_asyncjob.transport.extra import (
    AUTH_FIELDS,
    auth_of,
    cert_of,
    flag,
    headers_of,
    max_redirects_of,
    proxies_of,
    timeout_of,
    verify_of,
)
from airflow_asyncjob.transport.redact import is_sensitive_name

__all__ = ["ConnectionSettings"]

_SCHEMES = ("http", "https")
_EXAMPLE = (
    "give the host as https://api.example.com/v1 (percent-encoded in a connection URI: "
    "http://https%3A%2F%2Fapi.example.com%2Fv1)"
)
# They say how credentials are sent, and hold none.
_NO_SECRETS = frozenset({"auth", *AUTH_FIELDS})


@dataclass(frozen=True, repr=False)
class ConnectionSettings:
    """One connection, resolved. Its text form shows no secret.

    :param base_url: address that relative URLs are joined to, such as ``https://api.example.com/v1``; empty:
        only absolute URLs can be asked, and no origin gets credentials.
    :param headers: sent to the connection's own origin with every request.
    :param verify: check certificates; a text is the path of a CA file or folder.
    :param cert: client certificate: a PEM file with its key, or (certificate, key), or (certificate, key,
        passphrase).
    :param proxies: proxy URL by ``http``, ``https``, ``all`` or ``https://host``; empty: those of the
        environment.
    :param timeout: seconds to connect, and between two pieces of an answer; None: as the definition's
        ``limits`` say.
    :param allow_redirects: whether a download follows redirects.
    :param max_redirects: how many a download follows.
    :param trust_env: whether proxies and CA files of the environment are used.
    :param auth: how credentials are sent; None: basic when there is a login, otherwise none. The definition's
        ``auth`` wins.
    :param extra: everything in Extra, for templates.
    :param conn_id: Airflow's ID of the connection, for messages; empty when it has none.
    """

    base_url: str = ""
    login: str | None = None
    password: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    verify: bool | str = True
    cert: str | tuple[str, ...] | None = None
    proxies: Mapping[str, str] = field(default_factory=dict)
    timeout: float | tuple[float, float] | None = None
    allow_redirects: bool = True
    max_redirects: int = 30
    trust_env: bool = True
    auth: Auth | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    conn_id: str = ""

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read an Airflow connection URI or JSON, such as the value of ``ASYNCJOB_CONN``.

        :raises ConnectionSetupError: it cannot be read; the message holds none of its text.
        """
        return cls._from(parse_text(text))

    @classmethod
    def from_uri(cls, text: str) -> Self:
        """Read an Airflow connection URI, such as ``http://login:password@api.example.com/https``."""
        return cls._from(parse_uri(text))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the JSON form of an Airflow connection."""
        return cls._from(parse_json(text))

    @classmethod
    def from_parts(
        cls,
        *,
        conn_type: str | None = "http",
        host: str | None = None,
        schema: str | None = None,
        port: int | None = None,
        login: str | None = None,
        password: str | None = None,
        extra: Mapping[str, Any] | str | None = None,
        conn_id: str = "",
    ) -> Self:
        """Take the fields of an Airflow connection; ``extra`` as its JSON text or as an object.

        :raises ConnectionSetupError: a field cannot be used; the message names it.
        """
        try:
            parts = ConnectionParts(
                conn_type=conn_type or "http",
                host=host,
                schema=schema,
                port=port,
                login=login,
                password=password,
                extra=parse_extra(dict(extra) if isinstance(extra, Mapping) else extra),
            )
            return replace(cls._from(parts), conn_id=conn_id)
        except ConnectionSetupError as error:
            named = f"connection {conn_id!r}: " if conn_id else ""
            raise ConnectionSetupError(f"{named}{error.message}") from None

    @classmethod
    def _from(cls, parts: ConnectionParts) -> Self:
        extra = {key: value for key, value in parts.extra.items() if value is not None and value != ""}
        if flag(extra, "srv_lookup", False):
            raise ConnectionSetupError("srv_lookup is not supported: give the host that the SRV record names")
        return cls(
            base_url=_base_url(parts),
            login=parts.login or None,
            password=parts.password or None,
            headers=headers_of(extra, parts.conn_type),
            verify=verify_of(extra),
            cert=cert_of(extra),
            proxies=proxies_of(extra),
            timeout=timeout_of(extra),
            allow_redirects=flag(extra, "allow_redirects", True),
            max_redirects=max_redirects_of(extra),
            trust_env=flag(extra, "trust_env", True),
            auth=auth_of(extra, parts.conn_type),
            extra=extra,
        )

    def with_base_url(self, url: str) -> Self:
        """Return the same connection at another address.

        That is then the origin that the credentials belong to.

        :raises ConnectionSetupError: not an http or https address, or one with a user name in it.
        """
        return replace(self, base_url=_checked_address(url))

    def view(self) -> dict[str, Any]:
        """Return what templates see as ``connection``: login, host, port, schema, base_url and extra.

        ``host`` is the bare host name and ``schema`` the scheme, however the connection spells them; ``port``
        is None when the address names none. A key of Extra is also reachable directly, as
        ``connection.tenant``, unless one of the fields above has its name. The password is never among them,
        ``auth`` sends it; a secret that a request needs in another place belongs into Extra.
        """
        address = urlsplit(self.base_url)
        own = {
            "login": self.login or "",
            "host": address.hostname or "",
            "port": address.port,
            "schema": address.scheme,
            "base_url": self.base_url,
            "extra": dict(self.extra),
        }
        return {**{k: v for k, v in self.extra.items() if k != "password"}, **own}

    def secrets(self) -> frozenset[str]:
        """Return every value that must not be seen.

        That is passwords, and what Extra, headers and proxies hold under a name that says so.
        """
        found: set[str] = set()
        if self.password:
            found |= {self.password, _basic(self.login or "", self.password)}
        elif self.login:
            # Basic without a password: the login is an API key.
            found |= {self.login, _basic(self.login, "")}
        _collect({key: value for key, value in self.extra.items() if key not in _NO_SECRETS}, found)
        for name, value in self.headers.items():
            if is_sensitive_name(name):
                found |= {value, value.rsplit(" ", 1)[-1]}
        for proxy in self.proxies.values():
            parts = urlsplit(proxy)
            if parts.password:
                password = unquote(parts.password)
                found |= {password, _basic(unquote(parts.username or ""), password)}
        if isinstance(self.cert, tuple) and len(self.cert) == 3:
            found.add(self.cert[2])
        return frozenset(found)

    def __repr__(self) -> str:
        named = f"{self.conn_id!r} " if self.conn_id else ""
        return f"<ConnectionSettings {named}{self.base_url or 'without address'}>"


def _basic(login: str, password: str) -> str:
    return base64.b64encode(f"{login}:{password}".encode()).decode()


def _collect(value: Any, found: set[str], named: bool = False) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            _collect(item, found, named or is_sensitive_name(str(key)))
    elif isinstance(value, (list, tuple)):
        for item in value:
            _collect(item, found, named)
    elif named and isinstance(value, str) and value:
        found |= {value, value.rsplit(" ", 1)[-1]}


def _base_url(parts: ConnectionParts) -> str:
    host = (parts.host or "").strip()
    if not host:
        return ""
    if "://" not in host:
        # The provider takes https://host for http, and a credential would go out in the clear.
        schema = (parts.schema or ("https" if parts.conn_type == "https" else "http")).lower()
        if schema not in _SCHEMES:
            raise ConnectionSetupError(
                f"the schema of the connection is {schema!r}; it is the scheme, http or https (in a "
                "connection URI the path is the schema). When it is meant as the start of every path, "
                f"{_EXAMPLE}"
            )
        bare_ipv6 = host.count(":") > 1 and not host.startswith("[")
        host = f"{schema}://[{host}]" if bare_ipv6 else f"{schema}://{host}"
    return _with_port(_checked_address(host), parts.port)


def _checked_address(url: str) -> str:
    try:
        address = urlsplit(url)
        _ = address.port
    except ValueError:
        raise ConnectionSetupError(f"the address of the connection cannot be read; {_EXAMPLE}") from None
    if address.scheme.lower() not in _SCHEMES or not address.hostname:
        raise ConnectionSetupError(
            f"the address of the connection is no http or https address with a host; {_EXAMPLE}"
        )
    if "@" in address.netloc:
        raise ConnectionSetupError(
            "the address of the connection holds a user name; login and password are fields of their own"
        )
    if address.query or address.fragment:
        raise ConnectionSetupError(
            "the address of the connection holds ? or #; parameters belong into the definition's requests"
        )
    return url


def _with_port(url: str, port: int | None) -> str:
    address = urlsplit(url)
    if port is None or address.port == port:
        return url
    if address.port is not None:
        raise ConnectionSetupError(
            f"the host of the connection names port {address.port}, and the field port {port}; remove one of "
            "them"
        )
    return address._replace(netloc=f"{address.netloc}:{port}").geturl()
