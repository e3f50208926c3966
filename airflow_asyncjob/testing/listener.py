"""The HTTP side of a fake server: one port, a thread a connection, every thread and socket accounted for."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, Any, BinaryIO, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from airflow_asyncjob.testing.api import Host, Received, Reply

__all__ = ["Connection", "Listener"]

_LOG = logging.getLogger(__name__)
_PIECE = 64 * 1024
_IN_MEMORY = 1024 * 1024
"""Bytes of a request's body that are kept in memory; a larger one lies in a file."""
_BACKLOG = 1024
_JOIN_SECONDS = 5.0
_POLL_SECONDS = 0.01


class Connection:
    """One client's connection, as the code that answers a request sees it."""

    def __init__(self, handler: _Handler) -> None:
        self._handler = handler

    def send(self, reply: Reply, *, truncate: bool = False, reset: bool = False) -> None:
        """Send an answer.

        :param truncate: announce all of it, send half, and cut the connection.
        :param reset: it is cut with a TCP reset.
        """
        handler = self._handler
        length = reply.size
        shown = length // 2 if truncate else length
        own = {"Server": "asyncjob-fake", "Date": handler.date_time_string()}
        given = {name.lower() for name in reply.headers}
        handler.send_response_only(reply.code)
        for name, value in {
            **{n: v for n, v in own.items() if n.lower() not in given},
            **reply.headers,
        }.items():
            handler.send_header(name, value)
        if reply.code != 204:
            handler.send_header("Content-Length", str(max(length, 1) if truncate else length))
        if handler.server.stopping.is_set():
            handler.send_header("Connection", "close")
        handler.end_headers()
        if handler.command != "HEAD" and reply.code not in (204, 304):
            for piece in _pieces(reply, shown):
                handler.wfile.write(piece)
        handler.wfile.flush()
        if truncate:
            self.cut(reset=reset)

    def cut(self, *, reset: bool = False) -> None:
        """End the connection now.

        :param reset: with a TCP reset; else with an ordinary end.
        """
        handler = self._handler
        handler.close_connection = True
        if reset:
            # With a linger time of 0, close() discards what is unsent and sends RST, not FIN: socket(7).
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.server.reset.add(handler.connection)
        else:
            with contextlib.suppress(OSError):
                handler.connection.shutdown(socket.SHUT_RDWR)

    def wait(self, seconds: float) -> None:
        """Hold the answer back, or less long when the server stops."""
        self._handler.server.stopping.wait(seconds)


Answer = Callable[[Received, str, Connection], None]
"""Called with the request, its raw query, and the connection on which to answer."""


class Listener:
    """A port on 127.0.0.1 that can be closed and opened again under the same number.

    :param port: 0 takes a free one.
    :param host: what requests that come here are marked with.
    :param answer: called in the connection's own thread for each request.
    """

    def __init__(self, port: int, host: Host, answer: Answer) -> None:
        self._host = host
        self._answer = answer
        self._socket = _bound(port)
        self.port: int = self._socket.getsockname()[1]
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Accept connections."""
        self._server = _Server(self._socket, self._host, self._answer)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(_POLL_SECONDS,),
            name=f"fake-server-{self.port}",
            daemon=True,
        )
        self._thread.start()

    def close(self, *, keep_port: bool = False) -> None:
        """Accept no more connections, cut the open ones, and wait for their threads.

        :param keep_port: keep the number, so that connections are refused and nobody else gets it.
        """
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.cut_all()
            self._server = self._thread = None
        self._socket.close()
        if keep_port:
            self._socket = _bound(self.port)


def _bound(port: int) -> socket.socket:
    # Bound and not listening: the number is ours, and the kernel refuses connections to it.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        raise
    return bound


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, bound: socket.socket, host: Host, answer: Answer) -> None:
        # Not bound by HTTPServer, which would look up the machine's name; that may take seconds.
        super().__init__(bound.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = bound
        self.socket.listen(_BACKLOG)
        self.host = host
        self.answer = answer
        self.stopping = threading.Event()
        self.reset: set[socket.socket] = set()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._open_lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(
            target=self._serve,
            args=(request, client_address),
            name=f"fake-server-client-{client_address[1]}",
            daemon=True,
        )
        with self._open_lock:
            self._open[thread] = request
        thread.start()

    def _serve(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            with self._open_lock:
                del self._open[threading.current_thread()]

    def shutdown_request(self, request: Any) -> None:
        if request in self.reset:
            # shutdown() would send a FIN first, and the client would see an end instead of a reset.
            self.reset.discard(request)
            request.close()
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that went away is its own business; anything else is a fault of ours and must be seen.
        _LOG.exception("the fake server failed on a request from %s", client_address)

    def cut_all(self) -> None:
        self.stopping.set()
        with self._open_lock:
            left = dict(self._open)
        # A request that closes its own server is still answered.
        left.pop(threading.current_thread(), None)
        for connection in left.values():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in left:
            thread.join(_JOIN_SECONDS)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = _PIECE

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet: the ledger is the record."""

    def _serve(self) -> None:
        target = urlsplit(self.path)
        if self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            Connection(self).send(_problem(411, "send a Content-Length; chunked requests are not read here"))
            return
        length = int(self.headers.get("Content-Length") or 0)
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
            received = self._receive(length, file)
            if received < length:
                # The client went away while it was still sending: there is no request to execute.
                self.close_connection = True
                return
            file.seek(0)
            self._execute(target, length, file.read() if length <= _IN_MEMORY else file)

    def _receive(self, length: int, file: IO[bytes]) -> int:
        left = length
        while left and (piece := self.rfile.read(min(left, _PIECE))):
            file.write(piece)
            left -= len(piece)
        return length - left

    def _execute(self, target: SplitResult, length: int, content: bytes | IO[bytes]) -> None:
        request = Received(
            self.server.host,
            self.command,
            unquote(target.path),
            dict(reversed(parse_qsl(target.query, keep_blank_values=True))),
            {name.lower(): value for name, value in self.headers.items()},
            length,
            content if isinstance(content, bytes) else cast(BinaryIO, content),
        )
        self.server.answer(request, target.query, Connection(self))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve


def _problem(code: int, message: str) -> Reply:
    return Reply(code, json.dumps({"error": message}).encode(), {"Content-Type": "application/json"})


def _pieces(reply: Reply, length: int) -> Iterator[bytes]:
    start = reply.part[0] if reply.part else 0
    if isinstance(reply.body, bytes):
        yield reply.body[start : start + length]
        return
    with reply.body.open("rb") as file:
        file.seek(start)
        while length > 0 and (piece := file.read(min(_PIECE, length))):
            length -= len(piece)
            yield piece
