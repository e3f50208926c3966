"""A server whose every byte a test decides, and both wires behind one blocking face."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.protocol.messages import Failed, Purpose, Refreshed, Responded, Response, Send
from airflow_asyncjob.transport.client import AsyncWire, Wire
from airflow_asyncjob.transport.settings import ConnectionSettings
from airflow_asyncjob.transport.trace import Trace


@dataclass(frozen=True)
class Seen:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class Connection:
    """An accepted connection; an answer may write to it as it likes."""

    sock: socket.socket
    number: int

    def write(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reset(self) -> None:
        """Close with a RST instead of a FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Answer = Callable[[Seen, Connection], bytes | None]
"""Returns the bytes to send, or None to end the connection."""


class Server:
    """A threaded server on 127.0.0.1. ``seen`` has every request, ``accepted`` counts connections."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.answer = answer
        self.seen: list[Seen] = []
        self.accepted = 0
        self.closed = threading.Semaphore(0)
        self.stopping = threading.Event()
        self._tls = tls
        self._open: set[socket.socket] = set()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def last(self) -> Seen:
        return self.seen[-1]

    def stop(self) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(sock, self.accepted), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        self._open.add(sock)
        try:
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            file = sock.makefile("rb")
            while (seen := _read_request(file, number)) is not None:
                self.seen.append(seen)
                data = self.answer(seen, Connection(sock, number))
                if data is None:
                    break
                sock.sendall(data)
        except (OSError, ValueError):
            pass
        finally:
            self._open.discard(sock)
            with contextlib.suppress(OSError):
                sock.close()
            self.closed.release()


def _read_request(file: Any, number: int) -> Seen | None:
    line = file.readline().decode("latin-1").strip()
    if not line:
        return None
    method, target, _ = line.split(" ", 2)
    headers: dict[str, str] = {}
    while raw := file.readline().decode("latin-1").strip():
        name, _, value = raw.partition(":")
        headers[name.lower()] = value.strip()
    body = file.read(int(headers.get("content-length", 0)))
    return Seen(method, target, headers, body, number)


def http(
    code: int = 200, body: bytes = b"", headers: dict[str, str] | None = None, *, length: int | None = None
) -> bytes:
    """Return an answer; ``length`` overrides the announced one."""
    given = {"content-length": str(len(body) if length is None else length), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {code} Reason\r\n{head}\r\n".encode() + body


def asks(purpose: Purpose = Purpose.POLL, url: str = "/jobs/7", **fields: Any) -> Send:
    """Return a Send; ``names``, ``stream`` and ``where`` apart, fields are those of a request."""
    names, stream = fields.pop("names", {}), fields.pop("stream", purpose is Purpose.RESULT)
    where = fields.pop("where", "request")
    return Send(purpose, Request(url=url, **fields), names, stream=stream, where=where)


@dataclass
class Opened:
    event: Responded | Failed
    read: Callable[[], bytes]
    pieces: Callable[[], Iterator[bytes]]


@dataclass
class Face:
    """Either wire, called as if it blocked."""

    kind: str
    wires: list[Any] = field(default_factory=list)
    runner: asyncio.Runner | None = None

    def __call__(self, settings: ConnectionSettings | str, **options: Any) -> Face:
        given = (
            settings if isinstance(settings, ConnectionSettings) else ConnectionSettings(base_url=settings)
        )
        if self.runner is None:
            self.wires.append(Wire(given, **options))
        else:
            for name in ("reload", "others"):
                if name in options:
                    options[name] = _awaited(options[name])
            if "tokens" in options:
                options["tokens"] = AwaitedTokens(options["tokens"])
            self.wires.append(self.runner.run(_made(given, options)))
        return self

    @property
    def wire(self) -> Any:
        return self.wires[-1]

    @property
    def trace(self) -> Trace:
        return self.wire.trace

    def send(self, send: Send) -> Responded | Failed:
        return self.runner.run(self.wire.send(send)) if self.runner else self.wire.send(send)

    def answer(self, send: Send) -> Response:
        event = self.send(send)
        assert isinstance(event, Responded), event
        return event.response

    def fault(self, send: Send) -> Failed:
        event = self.send(send)
        assert isinstance(event, Failed), event
        return event

    def refresh(self) -> Refreshed:
        return self.runner.run(self.wire.refresh()) if self.runner else self.wire.refresh()

    @contextmanager
    def open(self, send: Send) -> Iterator[Opened]:
        if self.runner is None:
            with self.wire.open(send) as opened:
                yield Opened(opened.event, lambda: b"".join(opened.chunks()), opened.chunks)
            return
        manager = self.wire.open(send)
        opened = self.runner.run(manager.__aenter__())
        try:
            yield Opened(
                opened.event,
                lambda: b"".join(self._stepped(opened.chunks())),
                lambda: self._stepped(opened.chunks()),
            )
        finally:
            self.runner.run(manager.__aexit__(None, None, None))

    def _stepped(self, chunks: AsyncIterator[bytes]) -> Iterator[bytes]:
        assert self.runner is not None

        async def step() -> bytes | None:
            return await anext(chunks, None)

        while (piece := self.runner.run(step())) is not None:
            yield piece

    def close(self) -> None:
        for wire in self.wires:
            self.runner.run(wire.close()) if self.runner else wire.close()
        self.wires.clear()


def _awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    async def awaited(*arguments: Any) -> Any:
        return function(*arguments)

    return awaited


class AwaitedTokens:
    """Keeps refresh tokens where another does that blocks."""

    def __init__(self, tokens: Any) -> None:
        self.recall = _awaited(tokens.recall)
        self.keep = _awaited(tokens.keep)


async def _made(settings: ConnectionSettings, options: dict[str, Any]) -> AsyncWire:
    return AsyncWire(settings, **options)
