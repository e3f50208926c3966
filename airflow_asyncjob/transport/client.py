"""The wire: sends one request at a time and returns what happened as an event.

Nothing is repeated and nothing is waited for here; the protocol decides on that. Redirects of everything but
a download are answers. Credentials, the connection's headers and its secrets go to the connection's own
origin only (scheme, host and port), no cookie is kept, and every text that leaves for people has been through
the redactor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.definition.models.auth_kinds import RequestAuth
from airflow_asyncjob.definition.models.limits import Limits
from airflow_asyncjob.errors import ConnectionSetupError
from airflow_asyncjob.protocol.messages import Failed, Refreshed, Responded, Send
from airflow_asyncjob.transport.async_client import AsyncStreamed, AsyncWire
from airflow_asyncjob.transport.auth import auth_of_request
from airflow_asyncjob.transport.auth.login import Keep, Recall
from airflow_asyncjob.transport.faults import NETWORK_ERRORS
from airflow_asyncjob.transport.flow import Ask, Obtain, Opened, Pause, Read, Step, ask, open_download
from airflow_asyncjob.transport.network import Network
from airflow_asyncjob.transport.obtain import log_in
from airflow_asyncjob.transport.redact import Redactor
from airflow_asyncjob.transport.settings import ConnectionSettings
from airflow_asyncjob.transport.shared import (
    RefreshTokens,
    Shared,
    no_cookies,
    no_such_way,
    without_side,
)
from airflow_asyncjob.transport.sockets import underway
from airflow_asyncjob.transport.streamed import Streamed
from airflow_asyncjob.transport.trace import Trace

__all__ = ["AsyncStreamed", "AsyncWire", "Streamed", "Wire"]

T = TypeVar("T")


class Wire(Shared):
    """Sends requests of one connection, blocking. To be closed, best with ``with``.

    :param settings: the connection.
    :param limits: of the definition; None: their defaults.
    :param auth: of the definition; None: as the connection says.
    :param trace: notes every exchange; None: a new one, see ``wire.trace``.
    :param reload: fetches the connection again, for :meth:`refresh`; None: it cannot have changed.
    :param others: fetches another connection by its ID, for a request that names one; None: there is none.
    :param tokens: keeps refresh tokens that were replaced; None: they are lost with this process.
    :param redactor: hides secrets that are known already; None: there are none.
    :raises ConnectionSetupError: the connection lacks what its auth needs.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        *,
        limits: Limits | None = None,
        auth: Auth | None = None,
        trace: Trace | None = None,
        reload: Callable[[], ConnectionSettings] | None = None,
        others: Callable[[str], ConnectionSettings] | None = None,
        tokens: RefreshTokens | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        super().__init__(settings, limits, auth, trace, redactor)
        self._reload = reload
        self._others = others
        self._tokens = tokens
        self._sides: dict[str, Wire] = {}
        self._clients = [self._connect()]

    def send(self, send: Send) -> Responded | Failed:
        """Send one request and read its answer.

        The answer is bounded by ``limits.response_bytes``, the exchange by ``limits.exchange_timeout``.
        Every fault is a ``Failed``, also a template that cannot be rendered; its ``error`` is then the
        definition's.
        """
        if isinstance(send.request.auth, RequestAuth):
            try:
                side = self._side(send.request.auth)
            except ConnectionSetupError as error:
                return self._desk.refused(self._desk.out.refusal(send, error), send)
            return side.send(without_side(send))
        result, head = self._turn(ask(self._taken(), send))
        if head is not None:
            head.close()
        return result

    @contextmanager
    def open(self, send: Send, before: Streamed | None = None) -> Iterator[Streamed]:
        """Send the request of a download, follow its redirects, and hand over its body as it comes.

        A download has no limit as a whole; its head has ``limits.exchange_timeout``, each piece
        ``limits.read_timeout``.

        :param before: what broke off, where ``send.resume`` asks for the rest of it.
        """
        desk = self._taken()
        if isinstance(send.request.auth, RequestAuth):
            try:
                side = self._side(send.request.auth)
            except ConnectionSetupError as error:
                refused = desk.refused(desk.out.refusal(send, error), send)
                yield Streamed(Opened(refused), None, desk)
                return
            with side.open(without_side(send), before) as streamed:
                yield streamed
            return
        opened, head = self._turn(open_download(desk, send, before.reader if before else None))
        streamed = Streamed(opened, head, desk)
        try:
            yield streamed
        finally:
            streamed.note()
            if head is not None:
                head.close()

    def refresh(self) -> Refreshed:
        """Fetch the connection again, and say whether it differs from the one last used.

        :raises ConnectionSetupError: the connection lacks now what its auth needs.
        """
        for side in self._sides.values():
            if side._was_used:
                return side.refresh()
        if not self._news():
            settings = self.settings if self._reload is None else self._reload()
            if settings == self.settings:
                return Refreshed(changed=self._may_log_in())
            if self._renew(settings):
                self._clients.append(self._connect())
        return Refreshed(changed=True)

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients:
            client.close()
        for side in self._sides.values():
            side.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _side(self, wanted: RequestAuth) -> Wire:
        """Return the wire for requests with credentials of their own.

        :raises ConnectionSetupError: their connection is not there, or lacks what the auth needs.
        """
        key = wanted.model_dump_json()
        if key not in self._sides:
            reload = self._reload if wanted.connection is None else self._reload_of(wanted.connection)
            self._sides[key] = Wire(
                self.settings if wanted.connection is None or reload is None else reload(),
                limits=self._limits,
                auth=auth_of_request(wanted),
                trace=self.trace,
                reload=reload,
                tokens=self._tokens,
                redactor=self.redactor,
            )
            self._sides[key].lend(self)
        return self._sides[key]

    def _reload_of(self, conn_id: str) -> Callable[[], ConnectionSettings]:
        if self._others is None:
            raise no_such_way(conn_id)
        return partial(self._others, conn_id)

    def _connect(self) -> httpx.Client:
        return httpx.Client(transport=Network(self.settings), cookies=no_cookies(), trust_env=False)

    def _turn(self, flow: Generator[Step, Any, T]) -> tuple[T, httpx.Response | None]:
        """Do the steps of a flow; return what it returns, and the answer that it leaves open."""
        client = self._clients[-1]
        head: httpx.Response | None = None
        raw: Iterator[bytes] = iter(())
        try:
            step = next(flow)
            while True:
                if isinstance(step, (Pause, Recall, Keep)):
                    step = flow.send(self._beside(step))
                    continue
                try:
                    with underway(step.exchange):
                        outcome: Any = None
                        if isinstance(step, Read):
                            outcome = next(raw, None)
                        elif isinstance(step, Obtain):
                            outcome = self._obtain(step)
                        elif head is not None:
                            head.close()
                            head = None
                        if isinstance(step, Ask):
                            sent = step.prepared
                            try:
                                outcome = head = client.send(
                                    sent.request, auth=sent.auth, stream=True, follow_redirects=False
                                )
                            finally:
                                sent.release()
                            raw = head.iter_raw()
                except NETWORK_ERRORS as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(outcome)
        except StopIteration as end:
            return end.value, head
        except BaseException:
            if head is not None:
                head.close()
            raise

    def _beside(self, step: Pause | Recall | Keep) -> str | None:
        """Do what is no exchange; return what was recalled."""
        if isinstance(step, Pause):
            time.sleep(self._told(step))
        elif self._tokens is not None:
            if isinstance(step, Recall):
                return self._tokens.recall(step.name)
            self._tokens.keep(step.name, step.value)
        elif isinstance(step, Keep):
            self._warn_lost()
        return None

    def _obtain(self, step: Obtain) -> Failed | None:
        """Log in, unless another thread does."""
        held = step.login.held
        if not held.lock.acquire(timeout=max(0.0, step.exchange.left(None) or 0.0)):
            raise TimeoutError
        try:
            trouble, head = self._turn(log_in(self._desk, step.login))
        finally:
            held.lock.release()
        if head is not None:
            head.close()
        self._note_use()
        return trouble
