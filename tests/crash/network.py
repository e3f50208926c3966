"""The network between Airflow and the remote server: a TCP proxy that can be cut in the ways networks are."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, Literal

Mode = Literal["open", "refuse", "blackhole", "reset"]

_PIECE = 16 * 1024


class Network:
    """Forwards every connection to its port, in a thread of its own; a context manager.

    In mode ``refuse`` nobody listens on the port and open connections are cut; ``blackhole`` takes
    connections and bytes and delivers none, also later; ``reset`` ends every connection with a TCP reset
    before ``reset_after`` bytes of its answer, so in the middle of a body.

    :param target: port of the server.
    :param bytes_per_second: of the answers of one connection.
    """

    def __init__(self, port: int, target: int, *, bytes_per_second: int, reset_after: int = 20_000) -> None:
        self.port = port
        self.target = target
        self.reset_after = reset_after
        self._rate = bytes_per_second
        self._mode: Mode = "open"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._listener: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Network:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def be(self, mode: Mode) -> None:
        """Behave like this from now on."""
        self._do(self._be(mode))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _be(self, mode: Mode) -> None:
        before, self._mode = self._mode, mode
        if mode == "refuse":
            await self._close()
        elif before == "refuse":
            await self._listen()
        if before == "blackhole":  # what was swallowed never comes
            self._cut_all()

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", self.port, backlog=200)

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._cut_all()

    async def _end(self) -> None:
        await self._close()
        carrying = asyncio.all_tasks() - {asyncio.current_task()}
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)

    def _cut_all(self) -> None:
        for writer in list(self._open):
            _reset(writer)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            there = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _reset(writer)
            self._open.discard(writer)
            return
        self._open.add(there[1])
        ways = [
            asyncio.ensure_future(self._carry(reader, there[1], answer=False)),
            asyncio.ensure_future(self._carry(there[0], writer, answer=True)),
        ]
        try:
            await asyncio.gather(*ways)
        except (OSError, asyncio.CancelledError):  # the latter at the end: asyncio would print it
            pass
        finally:
            for way in ways:
                way.cancel()
            for one in (writer, there[1]):
                self._open.discard(one)
                with contextlib.suppress(OSError):
                    one.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answer: bool
    ) -> None:
        carried = 0
        while piece := await reader.read(_PIECE):
            while self._mode == "blackhole":
                await asyncio.sleep(0.1)
            if answer and self._mode == "reset" and carried + len(piece) > self.reset_after:
                writer.write(piece[: self.reset_after // 2])
                _reset(writer)
                return
            writer.write(piece)
            await writer.drain()
            carried += len(piece)
            if answer:
                await asyncio.sleep(len(piece) / self._rate)
        with contextlib.suppress(OSError):
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
