"""What the blocking and the asynchronous wire share: the connection as it is now, and who used it."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Protocol

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.definition.models.limits import Limits
from airflow_asyncjob.errors import ConnectionSetupError
from airflow_asyncjob.protocol.messages import Send
from airflow_asyncjob.transport.auth.base import name_of
from airflow_asyncjob.transport.exchange import Desk
from airflow_asyncjob.transport.flow import Pause
from airflow_asyncjob.transport.pace import LONG_PAUSE
from airflow_asyncjob.transport.redact import Redactor
from airflow_asyncjob.transport.settings import ConnectionSettings
from airflow_asyncjob.transport.trace import Trace
from airflow_asyncjob.transport.upload import (
    Find,
    FindPart,
    PartBody,
    Source,
    StreamedPart,
    local_source,
    no_parts,
)

__all__ = ["AsyncRefreshTokens", "RefreshTokens", "Shared", "no_cookies", "no_such_way", "without_side"]

Say = Callable[[int, str], object]
_serials = itertools.count()
# Which wire a task used last, with which generation of its credentials, and after which login.
_used: ContextVar[tuple[int, int, int]] = ContextVar("asyncjob_used", default=(-1, -1, -1))


class RefreshTokens(Protocol):
    """Keeps refresh tokens that a token endpoint replaced, for the next process."""

    def recall(self, name: str) -> str | None:
        """Return what was kept last under a name; None: nothing."""

    def keep(self, name: str, value: str) -> None:
        """Keep a text, which is a secret, under a name."""


class AsyncRefreshTokens(Protocol):
    """As :class:`RefreshTokens`, without blocking."""

    async def recall(self, name: str) -> str | None:
        """Return what was kept last under a name; None: nothing."""

    async def keep(self, name: str, value: str) -> None:
        """Keep a text, which is a secret, under a name."""


class Shared:
    """The desk for the connection as it is now, and the wires beside it.

    A request with credentials of its own (``auth: {connection: ..., type: ...}``) goes over a wire of its
    own, which this one opens when it is first needed. They share trace and redactor.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        limits: Limits | None,
        auth: Auth | None,
        trace: Trace | None,
        redactor: Redactor | None,
    ) -> None:
        self._limits = limits or Limits()
        self._auth = auth
        self.trace = trace if trace is not None else Trace()
        self.redactor = redactor or Redactor()
        """Removes the secrets of this connection, and of those beside it."""
        self.find: Find = local_source
        """Finds the files that requests send."""
        self.find_part: FindPart = no_parts
        """Gives the parts of an upload."""
        self._desk = self._desk_of(settings)
        self._serial = next(_serials)
        self._generation = 0
        self.say: Say | None = None
        """Takes what people should know before an exchange: a level of :mod:`logging` and a line."""

    @property
    def settings(self) -> ConnectionSettings:
        """The connection as it is now."""
        return self._desk.settings

    def lend(self, main: Shared) -> None:
        """Do as the wire does that opened this one beside it."""
        self.say, self.find, self.find_part = main.say, main._found, main._found_part

    def _desk_of(self, settings: ConnectionSettings) -> Desk:
        return Desk(
            settings, self._limits, self._auth, self.trace, self.redactor, self._found, self._found_part
        )

    def _found(self, path: str) -> Source:
        return self.find(path)

    def _found_part(self, number: int) -> PartBody | StreamedPart:
        return self.find_part(number)

    def _taken(self) -> Desk:
        self._note_use()
        return self._desk

    def _note_use(self) -> None:
        login = self._desk.out.login
        _used.set((self._serial, self._generation, login.held.version if login else 0))

    @property
    def _was_used(self) -> bool:
        """Whether this is the wire that the task asked last."""
        return _used.get()[0] == self._serial

    def _told(self, pause: Pause) -> float:
        """Say that a request has to wait, where it is long, and return its seconds."""
        if self.say is not None and pause.seconds >= LONG_PAUSE:
            self.say(
                logging.INFO,
                f"Waiting {pause.seconds:.0f} s for the turn of the next request: {pause.rate:g} a second "
                "over all jobs of this process (limits.requests_per_second)",
            )
        return pause.seconds

    def _news(self) -> bool:
        """Return whether another task has refreshed since this one last asked, with old credentials."""
        return self._was_used and _used.get()[1] != self._generation

    def _may_log_in(self) -> bool:
        """Have the next request log in anew, unless another task's did meanwhile; False: there is none."""
        login = self._desk.out.login
        if login is None:
            return False
        if not self._was_used or _used.get()[2] == login.held.version:
            login.held.expire()
        return True

    def _warn_lost(self) -> None:
        """Say that a refresh token is not kept."""
        if self.say is not None:
            self.say(
                logging.WARNING,
                f"The token endpoint gave {name_of(self.settings)} a new refresh token, which is known "
                "to this process only: nothing here keeps it. If the endpoint takes the old one no more, "
                "authorise again, and put the new one into the connection",
            )

    def _renew(self, settings: ConnectionSettings) -> bool:
        """Take new settings; return whether the network has to be set up anew for them."""
        old = self.settings
        self._desk = self._desk_of(settings)
        self._generation += 1
        return _network_part(old) != _network_part(settings)


def _network_part(settings: ConnectionSettings) -> tuple[Any, ...]:
    return settings.verify, settings.cert, dict(settings.proxies), settings.trust_env


def without_side(send: Send) -> Send:
    """Return the request as the wire beside takes it, whose own credentials are the right ones."""
    return replace(send, request=send.request.model_copy(update={"auth": "connection"}))


def no_such_way(conn_id: str) -> ConnectionSetupError:
    """Return the error for a request that names another connection where none can be looked up."""
    return ConnectionSetupError(
        f"a request has the credentials of the connection {conn_id!r} (auth.connection), and nobody said "
        "here how to find a connection: give the wire `others`"
    )


def no_cookies() -> CookieJar:
    """Return a jar that takes nothing: a cookie is a credential that nobody gave."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))
