"""What all kinds of auth share."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping

import httpx

from airflow_asyncjob.errors import ConnectionSetupError
from airflow_asyncjob.transport.redact import Redactor
from airflow_asyncjob.transport.settings import ConnectionSettings

__all__ = ["Credentials", "HeaderCredentials", "name_of", "need_password"]


class Credentials(httpx.Auth):
    """Puts credentials on a request.

    :ivar headers: names of the headers it sets, so that a definition that gives one itself wins.
    :ivar queries: names of the query parameters it sets.
    :ivar names: those of them whose values are credentials, to be hidden.
    :ivar secrets: values made of the connection's secrets, to be hidden as they are.
    """

    headers: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    secrets: frozenset[str] = frozenset()

    def watch(self, redactor: Redactor) -> None:
        """Have secrets hidden that come to be while requests are sent; most kinds know theirs before."""

    def without(self, given: Collection[str]) -> Credentials | None:
        """Return what is left for a request that has headers of its own; None: nothing is.

        :param given: names of headers, in lower case.
        """
        return None if any(name.lower() in given for name in self.headers) else self


class HeaderCredentials(Credentials):
    """Sets headers; one that the request has itself is left to it, without the others.

    :param made_of: what the values are made of, for messages; empty: of the connection's password.
    :raises ConnectionSetupError: a value cannot be a header; the usual cause is a line break at its end.
    """

    def __init__(self, values: Mapping[str, str], settings: ConnectionSettings, made_of: str = "") -> None:
        for name, value in values.items():
            if not value.isascii() or not value.isprintable() or value != value.strip():
                advice = "" if made_of else ". Store it again without it"
                raise ConnectionSetupError(
                    f"{made_of or f'the password of {name_of(settings)}'} cannot be sent in the header "
                    f"{name}, as it would hold a line break, a space at an end, or a character outside "
                    f"ASCII{advice}"
                )
        self.headers = self.names = tuple(values)
        self._settings = settings
        self._values = dict(values)

    def without(self, given: Collection[str]) -> Credentials | None:
        """Return the headers that the request does not give itself."""
        left = {name: value for name, value in self._values.items() if name.lower() not in given}
        return HeaderCredentials(left, self._settings) if left else None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Set the headers; one exchange, no look at the answer."""
        request.headers.update(self._values)
        yield request


def name_of(settings: ConnectionSettings) -> str:
    """Return the connection as messages call it."""
    return f"the connection {settings.conn_id!r}" if settings.conn_id else "the connection"


def need_password(settings: ConnectionSettings, kind: str, use: str) -> str:
    """Return the password.

    :raises ConnectionSetupError: there is none.
    """
    if not settings.password:
        raise ConnectionSetupError(
            f"auth {kind} sends the password of {name_of(settings)} as {use}, and the password is empty"
        )
    return settings.password
