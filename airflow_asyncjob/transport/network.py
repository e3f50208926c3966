"""The transports under httpx: what httpx's own do, and three things more.

- It is known whether a byte of the request has left, which decides whether a submit may be repeated.
- A request can ask for a fresh connection, so that it cannot meet one that the server is just closing.
- The sockets have a deadline and a guard, see :mod:`airflow_asyncjob.transport.sockets`.

No exchange is ever repeated here, and nothing of one reaches the log of httpx or httpcore.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from airflow_asyncjob.transport.proxies import proxy_for
from airflow_asyncjob.transport.settings import ConnectionSettings
from airflow_asyncjob.transport.sockets import AsyncBackend, Backend, current
from airflow_asyncjob.transport.straight import pieces_of
from airflow_asyncjob.transport.tls import ssl_context

__all__ = ["FRESH", "AsyncNetwork", "Network"]

FRESH = "asyncjob.fresh"
"""Extension of a request that wants a connection of its own."""

_KEEP_ALIVE_SECONDS = 60.0
_MOST_CONNECTIONS = 32
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy")
# As the HTTP provider sets them: probes after 120 s without traffic, every 30 s, 20 times.
_KEEP_ALIVE_PROBES = (("TCP_KEEPIDLE", 120), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 20))
_HTTPX_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


class Network(httpx.BaseTransport):
    """The blocking transport of one connection."""

    def __init__(self, settings: ConnectionSettings) -> None:
        self._pools = _Pools(settings, httpcore.ConnectionPool, Backend)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read the head of its answer."""
        with _httpx_errors():
            core = _core_request(request, _note_sent)
            answer = self._pools.find(request).handle_request(core)
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(core, answer), extensions=answer.extensions
        )

    def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.take_all():
            pool.close()


class AsyncNetwork(httpx.AsyncBaseTransport):
    """The asynchronous transport of one connection."""

    def __init__(self, settings: ConnectionSettings) -> None:
        self._pools = _Pools(settings, httpcore.AsyncConnectionPool, AsyncBackend)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read the head of its answer."""
        with _httpx_errors():
            core = _core_request(request, _note_sent_async)
            answer = await self._pools.find(request).handle_async_request(core)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_AsyncBody(answer.stream),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        for pool in self._pools.take_all():
            await pool.aclose()


class _Pools:
    """The pools of one connection: for each proxy one that keeps connections, and one for fresh ones."""

    def __init__(self, settings: ConnectionSettings, pool: Any, backend: Any) -> None:
        self._settings = settings
        self._pool = pool
        self._backend = backend
        self._pools: dict[tuple[str, str | None, bool], Any] = {}
        self._lock = threading.Lock()

    def find(self, request: httpx.Request) -> Any:
        """Return the pool for a request, made when it is first needed."""
        proxy = proxy_for(request.url, self._settings)
        key = request.url.scheme, proxy, bool(request.extensions.get(FRESH))
        with self._lock:
            if key not in self._pools:
                self._pools[key] = self._make(*key)
            return self._pools[key]

    def take_all(self) -> list[Any]:
        """Return the pools, and forget them."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        return pools

    def _make(self, scheme: str, proxy: str | None, fresh: bool) -> Any:
        secure = scheme == "https" or (proxy or "").startswith("https:")
        return self._pool(
            ssl_context=ssl_context(self._settings) if secure else None,
            proxy=_proxy(proxy) if proxy else None,
            max_connections=_MOST_CONNECTIONS,
            max_keepalive_connections=0 if fresh else _MOST_CONNECTIONS,
            keepalive_expiry=_KEEP_ALIVE_SECONDS,
            socket_options=_socket_options(),
            network_backend=self._backend(guarded=proxy is None),
        )


def _proxy(url: str) -> httpcore.Proxy:
    parsed = httpx.URL(url)
    auth = (parsed.username, parsed.password) if parsed.userinfo else None
    return httpcore.Proxy(url=str(parsed.copy_with(userinfo=b"")), auth=auth)


def _socket_options() -> list[tuple[int, int, int]]:
    probes = [
        (socket.IPPROTO_TCP, getattr(socket, n), value)
        for n, value in _KEEP_ALIVE_PROBES
        if hasattr(socket, n)
    ]
    return [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *probes]


def _core_request(request: httpx.Request, trace: Any) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions={**request.extensions, "trace": trace},
    )


def _note_sent(event: str, info: dict[str, Any]) -> None:
    """Note that a request begins to leave; one that only asks a proxy for a tunnel is not it."""
    exchange, request = current.get(), info.get("request")
    if (
        exchange
        and event.endswith("send_request_headers.started")
        and request
        and request.method != b"CONNECT"
    ):
        exchange.sent = True


async def _note_sent_async(event: str, info: dict[str, Any]) -> None:
    _note_sent(event, info)


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """Raise httpcore's errors as those of httpx, which have the same names."""
    try:
        yield
    except _HTTPX_ERRORS as error:
        kind: type[Exception] = getattr(httpx, type(error).__name__)
        raise kind(str(error)) from error


class _Body(httpx.SyncByteStream):
    def __init__(self, request: httpcore.Request, answer: httpcore.Response) -> None:
        self._request = request
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        with _httpx_errors():
            yield from pieces_of(self._request, self._answer)

    def close(self) -> None:
        self._answer.close()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx_errors():
            async for piece in self._stream:
                yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


def _not_ours(record: logging.LogRecord) -> bool:
    """Drop what httpx and httpcore say about our exchanges: they write URLs and headers as they are."""
    return current.get() is None


for _name in _LOGGERS:
    logging.getLogger(_name).addFilter(_not_ours)
