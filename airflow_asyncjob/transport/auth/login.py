"""Credentials that an exchange of their own fetches: a token, a session.

What is fetched is held for the whole process, for as long as there is a wire with these credentials:
hundreds of triggers of one triggerer fetch one token. The course of a login is a generator, which says
what is to be sent and gets the answer; the wires turn it, blocking or not.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import httpx

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.protocol.answers import said
from airflow_asyncjob.protocol.messages import Responded, Response, Send
from airflow_asyncjob.transport.address import with_params
from airflow_asyncjob.transport.auth.base import Credentials
from airflow_asyncjob.transport.settings import ConnectionSettings

__all__ = ["Course", "Grant", "Held", "Keep", "Login", "NotNowError", "Recall", "not_now"]


class NotNowError(Exception):
    """The login did not work, and the same may work later.

    :param sent: method and URL for people, secrets removed.
    :param detail: what came back.
    """

    def __init__(self, sent: str, detail: str) -> None:
        super().__init__(detail)
        self.sent = sent
        self.detail = detail


@dataclass(frozen=True)
class Recall:
    """Read a refresh token that was kept, by its name; the answer is its text, or None."""

    name: str


@dataclass(frozen=True)
class Keep:
    """Keep a refresh token, that a later process needs, under a name."""

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True)
class Grant:
    """What a login gave.

    :param headers: to be set on every request.
    :param params: query parameters, likewise.
    :param secrets: values to be hidden.
    :param renew_at: seconds since the epoch at which it is fetched anew; None: when it is refused.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    renew_at: float | None = None


Course = Generator[Send | Recall | Keep, Any, Grant]
"""Yields what is to be done; a ``Send`` is answered with its ``Response``, whatever the code is."""


class Held:
    """What is held of one login in this process.

    :ivar version: rises with each login.
    :ivar kept: the newest refresh token, in the form of ``Keep``; None: there was none.
    """

    def __init__(self) -> None:
        self.grant: Grant | None = None
        self.version = 0
        self.kept: str | None = None
        self.lock = threading.Lock()
        self._stale = True
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    @property
    def loop_lock(self) -> asyncio.Lock:
        """The lock for the event loop that runs here."""
        return self._by_loop.setdefault(asyncio.get_running_loop(), asyncio.Lock())

    def is_fresh(self, now: float) -> bool:
        """Return whether the grant can be used.

        :param now: seconds since the epoch.
        """
        grant = self.grant
        return not self._stale and grant is not None and (grant.renew_at is None or now < grant.renew_at)

    def take(self, grant: Grant) -> None:
        """Hold what a login gave."""
        self.grant, self._stale = grant, False
        self.version += 1

    def expire(self) -> None:
        """Use the grant no more: it was refused."""
        self._stale = True


_held: WeakValueDictionary[tuple[str, ...], Held] = WeakValueDictionary()
_holding = threading.Lock()


class Login(Credentials):
    """Puts on a request what a login gave; the login itself is :meth:`course`.

    :param auth: how it is done.
    :param settings: the connection whose credentials it takes.
    """

    def __init__(self, auth: Auth, settings: ConnectionSettings) -> None:
        self.auth = auth
        self.settings = settings
        key = (
            auth.model_dump_json(),
            settings.base_url,
            settings.conn_id,
            settings.login or "",
            settings.password or "",
            json.dumps(settings.extra, default=str, sort_keys=True),
        )
        with _holding:
            self.held = _held.setdefault(key, Held())

    def course(self) -> Course:
        """Say what is to be sent, and return what it gave.

        :raises LoginError: the credentials are refused, or the answer is not one of a login.
        :raises NotNowError: it may work later.
        """
        raise NotImplementedError

    @property
    def is_fresh(self) -> bool:
        """Whether no login is needed now."""
        return self.held.is_fresh(time.time())

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Set what the last login gave."""
        grant = self.held.grant or Grant()
        request.headers.update(grant.headers)
        request.url = with_params(request.url, grant.params.items())
        yield request


def not_now(response: Response) -> NotNowError:
    """Return that an answer may be another one later."""
    return NotNowError(response.sent, said(Responded(response)).removeprefix(f"{response.sent} "))
