"""Sockets for httpcore, with a deadline for the whole exchange and a look at the peer.

- A blocking exchange ends with its deadline, also when the server sends a byte a second.
- The peer's address is checked before a byte is sent: what an API answers must not lead a worker into the
network
  around it. It is the address of the open socket, so a name that changes its address in between gains
  nothing.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import httpcore

from airflow_asyncjob.transport.address import is_link_local, is_private

__all__ = [
    "PRIVATE_ADDRESS",
    "AsyncBackend",
    "Backend",
    "ForbiddenAddressError",
    "Stream",
    "Underway",
    "current",
    "underway",
]

PRIVATE_ADDRESS = (
    "{host} is in a private network, and the connection's own API is not. What an API answers must not lead "
    "a worker there; if it is right, write the address into the definition as an absolute URL"
)
_PIECE = 64 * 1024
_LARGE_READ = 256 * 1024
# A socket's time-out that was cut to the deadline may fire a little before it.
_EARLY_SECONDS = 0.005


class ForbiddenAddressError(Exception):
    """The URL leads to an address that the connection's API has no business to name. Nothing was sent."""


@dataclass
class Underway:
    """One exchange while it runs.

    :param deadline: of the whole exchange, on the monotonic clock; None: none, as for the body of a download.
    :param guard: host of the connection: the peer has to be a public address, or as private as this host is;
        empty: it has to be public; None: any peer.
    :param sent: whether a byte of the request may have left.
    """

    deadline: float | None = None
    guard: str | None = None
    sent: bool = False

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() >= self.deadline - _EARLY_SECONDS

    def left(self, timeout: float | None) -> float | None:
        """Return the seconds that one step may take, 0 or less after the deadline; None: any number."""
        if self.deadline is None:
            return timeout
        left = self.deadline - time.monotonic()
        return left if timeout is None else min(timeout, left)


current: ContextVar[Underway | None] = ContextVar("asyncjob_underway", default=None)
"""The exchange that what happens on sockets here and now belongs to; None: not one of ours."""


@contextmanager
def underway(exchange: Underway) -> Iterator[Underway]:
    """Make this the exchange that the sockets used inside belong to."""
    token = current.set(exchange)
    try:
        yield exchange
    finally:
        current.reset(token)


class Backend(httpcore.SyncBackend):
    """Opens blocking sockets.

    :param guarded: whether the peer's address is checked; behind a proxy the peer is the proxy.
    """

    def __init__(self, guarded: bool) -> None:
        super().__init__()
        self._guarded = guarded

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Open a connection, or close it again when its peer is not allowed."""
        left = _left(timeout, httpcore.ConnectTimeout)
        stream = super().connect_tcp(host, port, left, local_address, socket_options)
        private = _private_peer(stream) if self._guarded else None
        if private is not None and not _allowed(private, _addresses(_own_host())):
            stream.close()
            raise ForbiddenAddressError(private)
        return Stream(stream)


class AsyncBackend(httpcore.AnyIOBackend):
    """Opens sockets without blocking; the deadline is the caller's, by ``asyncio.timeout``.

    :param guarded: as of :class:`Backend`.
    """

    def __init__(self, guarded: bool) -> None:
        super().__init__()
        self._guarded = guarded

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Open a connection, or close it again when its peer is not allowed."""
        stream = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        private = _private_peer(stream) if self._guarded else None
        if private is not None and not _allowed(private, await asyncio.to_thread(_addresses, _own_host())):
            await stream.aclose()
            raise ForbiddenAddressError(private)
        return stream


class Stream(httpcore.NetworkStream):
    """A socket whose every step ends with the exchange's deadline."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._flows = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what is there; once more came than httpcore asks for, more than that."""
        most = max(max_bytes, _LARGE_READ) if self._flows else max_bytes
        data = self._stream.read(most, _left(timeout, httpcore.ReadTimeout))
        self._flows = len(data) >= max_bytes
        return data

    def take(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what is there, never more than so many bytes."""
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it, the time left being that of each piece."""
        for start in range(0, len(buffer), _PIECE):
            self._stream.write(buffer[start : start + _PIECE], _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        """Close the socket."""
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Return the same socket with TLS on it."""
        left = _left(timeout, httpcore.ConnectTimeout)
        return Stream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore knows of the socket."""
        return self._stream.get_extra_info(info)


def _left(timeout: float | None, error: type[Exception]) -> float | None:
    exchange = current.get()
    left = timeout if exchange is None else exchange.left(timeout)
    if left is not None and left <= 0:
        raise error("the exchange's deadline has passed")
    return left


def _private_peer(stream: Any) -> str | None:
    """Return the peer's address when it is private and the exchange has a guard."""
    exchange = current.get()
    peer = str(stream.get_extra_info("server_addr")[0])
    return peer if exchange and exchange.guard is not None and is_private(peer) else None


def _own_host() -> str:
    exchange = current.get()
    return (exchange.guard if exchange else None) or ""


def _addresses(host: str) -> list[str]:
    """Return the addresses of a host; none when it has none, or no name."""
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(host, None)] if host else []
    except OSError:
        return []


def _allowed(peer: str, own: list[str]) -> bool:
    return not is_link_local(peer) and any(is_private(address) for address in own)
