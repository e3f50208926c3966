"""Many tasks at once on one asynchronous wire, and tasks that are cancelled."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable

import pytest

from airflow_asyncjob.definition.models.limits import Limits
from airflow_asyncjob.protocol.messages import Failed, Fault, Purpose, Responded
from airflow_asyncjob.transport.client import AsyncWire, Wire
from airflow_asyncjob.transport.settings import ConnectionSettings
from tests.transport.wires import Connection, Seen, Server, asks, http

Serve = Callable[..., Server]


def test_two_hundred_polls_at_once_get_their_own_answers(serve: Serve) -> None:
    server = serve(lambda seen, connection: http(body=seen.target.encode()))

    async def all_of_them() -> list[bytes]:
        async with AsyncWire(ConnectionSettings(base_url=server.url)) as wire:

            async def one(number: int) -> bytes:
                event = await wire.send(asks(url=f"/{number}"))
                assert isinstance(event, Responded), event
                return event.response.body

            return await asyncio.gather(*(one(number) for number in range(200)))

    assert asyncio.run(all_of_them()) == [f"/{number}".encode() for number in range(200)]
    assert server.accepted <= 32


def test_requests_overlap(serve: Serve) -> None:
    together = threading.Barrier(10)

    def wait_for_the_others(seen: Seen, connection: Connection) -> bytes:
        together.wait(20)
        return http()

    server = serve(wait_for_the_others)

    async def all_of_them() -> list[Responded | Failed]:
        async with AsyncWire(ConnectionSettings(base_url=server.url)) as wire:
            return await asyncio.gather(*(wire.send(asks()) for _ in range(10)))

    assert all(isinstance(event, Responded) for event in asyncio.run(all_of_them()))


def test_each_exchange_has_its_own_deadline(serve: Serve) -> None:
    def slow_or_not(seen: Seen, connection: Connection) -> bytes | None:
        if seen.target == "/slow":
            server.stopping.wait(20)
        return http()

    server = serve(slow_or_not)

    async def both() -> list[Responded | Failed]:
        limits = Limits(exchange_timeout=0.5)
        async with AsyncWire(ConnectionSettings(base_url=server.url), limits=limits) as wire:
            return await asyncio.gather(wire.send(asks(url="/slow")), wire.send(asks(url="/quick")))

    slow, quick = asyncio.run(both())
    assert isinstance(slow, Failed)
    assert slow.fault is Fault.LOST
    assert isinstance(quick, Responded)


@pytest.mark.parametrize("purpose", [Purpose.POLL, Purpose.RESULT])
def test_a_cancelled_task_leaves_the_wire_usable_and_nothing_open(serve: Serve, purpose: Purpose) -> None:
    asked = threading.Event()

    def first_hangs(seen: Seen, connection: Connection) -> bytes | None:
        if seen.target == "/hang":
            connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            asked.set()
            server.stopping.wait(20)
            return None
        return http(body=b"fine")

    server = serve(first_hangs)

    async def read(wire: AsyncWire) -> None:
        if purpose is Purpose.POLL:
            await wire.send(asks(url="/hang"))
            return
        async with wire.open(asks(purpose, "/hang")) as opened:
            async for _ in opened.chunks():
                pass

    async def cancelled() -> Responded | Failed:
        async with AsyncWire(ConnectionSettings(base_url=server.url)) as wire:
            task = asyncio.create_task(read(wire))
            await asyncio.to_thread(asked.wait, 20)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await wire.send(asks(url="/next"))

    event = asyncio.run(cancelled())
    assert isinstance(event, Responded)
    assert event.response.body == b"fine"


def test_ctrl_c_in_the_middle_of_an_answer_closes_the_connection(serve: Serve) -> None:
    def interrupts(seen: Seen, connection: Connection) -> bytes | None:
        if seen.target != "/hang":
            return http(body=b"fine")
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        os.kill(os.getpid(), signal.SIGINT)
        connection.sock.settimeout(20)
        assert connection.sock.recv(1) == b""
        return None

    server = serve(interrupts)
    # A shell's background job ignores Ctrl-C, and so would what it starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Wire(ConnectionSettings(base_url=server.url)) as wire:
            with pytest.raises(KeyboardInterrupt):
                wire.send(asks(url="/hang"))
            assert server.closed.acquire(timeout=20)
            assert isinstance(wire.send(asks(url="/next")), Responded)
    finally:
        signal.signal(signal.SIGINT, before)
