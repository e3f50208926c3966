"""The wire that does not block; what it does is said with the other one, see ``client``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.definition.models.auth_kinds import RequestAuth
from airflow_asyncjob.definition.models.limits import Limits
from airflow_asyncjob.errors import ConnectionSetupError
from airflow_asyncjob.protocol.messages import Failed, Refreshed, Responded, Send
from airflow_asyncjob.transport.auth import auth_of_request
from airflow_asyncjob.transport.auth.login import Keep, Recall
from airflow_asyncjob.transport.faults import NETWORK_ERRORS
from airflow_asyncjob.transport.flow import Ask, Obtain, Opened, Pause, Read, Step, ask, open_download
from airflow_asyncjob.transport.network import AsyncNetwork
from airflow_asyncjob.transport.obtain import log_in
from airflow_asyncjob.transport.redact import Redactor
from airflow_asyncjob.transport.settings import ConnectionSettings
from airflow_asyncjob.transport.shared import (
    AsyncRefreshTokens,
    Shared,
    no_cookies,
    no_such_way,
    without_side,
)
from airflow_asyncjob.transport.sockets import underway
from airflow_asyncjob.transport.streamed import AsyncStreamed
from airflow_asyncjob.transport.trace import Trace

__all__ = ["AsyncStreamed", "AsyncWire"]

T = TypeVar("T")


class AsyncWire(Shared):
    """Sends requests of one connection without blocking. To be closed, best with ``async with``.

    Tasks may share it; it has up to 32 connections then. A wire for each job is cheap, though (0.3 ms), and
    with hundreds of requests at once much cheaper: httpcore's pool looks at every connection each time.

    :param reload: as of :class:`Wire`; awaited.
    :param others: as of :class:`Wire`; awaited.
    :param tokens: as of :class:`Wire`; awaited.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        *,
        limits: Limits | None = None,
        auth: Auth | None = None,
        trace: Trace | None = None,
        reload: Callable[[], Awaitable[ConnectionSettings]] | None = None,
        others: Callable[[str], Awaitable[ConnectionSettings]] | None = None,
        tokens: AsyncRefreshTokens | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        super().__init__(settings, limits, auth, trace, redactor)
        self._reload = reload
        self._others = others
        self._tokens = tokens
        self._sides: dict[str, AsyncWire] = {}
        self._opening = asyncio.Lock()
        self._clients = [self._connect()]
        self._refreshing = asyncio.Lock()

    async def send(self, send: Send) -> Responded | Failed:
        """Send one request and read its answer; see :meth:`Wire.send`."""
        if isinstance(send.request.auth, RequestAuth):
            try:
                side = await self._side(send.request.auth)
            except ConnectionSetupError as error:
                return self._desk.refused(self._desk.out.refusal(send, error), send)
            return await side.send(without_side(send))
        result, head = await self._turn(ask(self._taken(), send))
        if head is not None:
            await head.aclose()
        return result

    @asynccontextmanager
    async def open(self, send: Send) -> AsyncIterator[AsyncStreamed]:
        """Send the request of a download; see :meth:`Wire.open`."""
        desk = self._taken()
        if isinstance(send.request.auth, RequestAuth):
            try:
                side = await self._side(send.request.auth)
            except ConnectionSetupError as error:
                refused = desk.refused(desk.out.refusal(send, error), send)
                yield AsyncStreamed(Opened(refused), None, desk)
                return
            async with side.open(without_side(send)) as streamed:
                yield streamed
            return
        opened, head = await self._turn(open_download(desk, send))
        streamed = AsyncStreamed(opened, head, desk)
        try:
            yield streamed
        finally:
            streamed.note()
            if head is not None:
                await head.aclose()

    async def refresh(self) -> Refreshed:
        """Fetch the connection again; see :meth:`Wire.refresh`. Tasks that ask at once share one fetch."""
        for side in self._sides.values():
            if side._was_used:
                return await side.refresh()
        async with self._refreshing:
            if not self._news():
                settings = self.settings if self._reload is None else await self._reload()
                if settings == self.settings:
                    return Refreshed(changed=self._may_log_in())
                if self._renew(settings):
                    self._clients.append(self._connect())
            return Refreshed(changed=True)

    async def close(self) -> None:
        """Close every connection."""
        for client in self._clients:
            await client.aclose()
        for side in self._sides.values():
            await side.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _side(self, wanted: RequestAuth) -> AsyncWire:
        """Return the wire for requests with credentials of their own; see :meth:`Wire._side`."""
        key = wanted.model_dump_json()
        async with self._opening:
            if key not in self._sides:
                reload = self._reload if wanted.connection is None else self._reload_of(wanted.connection)
                self._sides[key] = AsyncWire(
                    self.settings if wanted.connection is None or reload is None else await reload(),
                    limits=self._limits,
                    auth=auth_of_request(wanted),
                    trace=self.trace,
                    reload=reload,
                    tokens=self._tokens,
                    redactor=self.redactor,
                )
                self._sides[key].lend(self)
        return self._sides[key]

    def _reload_of(self, conn_id: str) -> Callable[[], Awaitable[ConnectionSettings]]:
        if self._others is None:
            raise no_such_way(conn_id)
        return partial(self._others, conn_id)

    def _connect(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=AsyncNetwork(self.settings), cookies=no_cookies(), trust_env=False)

    async def _turn(self, flow: Generator[Step, Any, T]) -> tuple[T, httpx.Response | None]:
        """Do the steps of a flow; return what it returns, and the answer that it leaves open."""
        client = self._clients[-1]
        head: httpx.Response | None = None
        raw: AsyncIterator[bytes] | None = None
        try:
            step = next(flow)
            while True:
                if isinstance(step, (Pause, Recall, Keep)):
                    step = flow.send(await self._beside(step))
                    continue
                try:
                    with underway(step.exchange):
                        # A login has times of its own, and waits for its turn no longer than this.
                        left = None if isinstance(step, Obtain) else step.exchange.left(None)
                        async with asyncio.timeout(left):
                            outcome: Any = None
                            if isinstance(step, Read):
                                outcome = await anext(raw, None) if raw else None
                            elif isinstance(step, Obtain):
                                outcome = await self._obtain(step)
                            elif head is not None:
                                await head.aclose()
                                head = None
                            if isinstance(step, Ask):
                                sent = step.prepared
                                try:
                                    outcome = head = await client.send(
                                        sent.request, auth=sent.auth, stream=True, follow_redirects=False
                                    )
                                finally:
                                    sent.release()
                                raw = head.aiter_raw()
                except NETWORK_ERRORS as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(outcome)
        except StopIteration as end:
            return end.value, head
        except BaseException:
            if head is not None:
                await head.aclose()
            raise

    async def _beside(self, step: Pause | Recall | Keep) -> str | None:
        """Do what is no exchange; see :meth:`Wire._beside`."""
        if isinstance(step, Pause):
            await asyncio.sleep(self._told(step))
        elif self._tokens is not None:
            if isinstance(step, Recall):
                return await self._tokens.recall(step.name)
            await self._tokens.keep(step.name, step.value)
        elif isinstance(step, Keep):
            self._warn_lost()
        return None

    async def _obtain(self, step: Obtain) -> Failed | None:
        """Log in, unless another task does."""
        lock = step.login.held.loop_lock
        async with asyncio.timeout(step.exchange.left(None)):
            await lock.acquire()
        try:
            trouble, head = await self._turn(log_in(self._desk, step.login))
        finally:
            lock.release()
        if head is not None:
            await head.aclose()
        self._note_use()
        return trouble
