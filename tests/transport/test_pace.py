"""limits.requests_per_second: one pace for everything that a process sends to one origin."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable

import pytest

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.definition.models.limits import Limits
from airflow_asyncjob.protocol.messages import Purpose, Responded
from airflow_asyncjob.transport.client import AsyncWire, Wire
from airflow_asyncjob.transport.pace import Pace, pause_before
from airflow_asyncjob.transport.settings import ConnectionSettings
from tests.transport.wires import Face, Seen, Server, asks, http

Serve = Callable[..., Server]
Connect = Callable[..., Face]

RATE = 40.0


def test_each_request_takes_the_next_moment() -> None:
    pace = Pace()
    assert [pace.take(4.0, now) for now in (100.0, 100.0, 100.0, 100.5)] == [0, 0.25, 0.5, 0.25]


def test_a_moment_that_nobody_took_is_not_saved_up() -> None:
    pace = Pace()
    assert [pace.take(2.0, now) for now in (100.0, 200.0, 200.0)] == [0, 0, 0.5]


def test_a_lower_rate_keeps_a_greater_distance() -> None:
    pace = Pace()
    assert [pace.take(rate, 100.0) for rate in (10.0, 1.0, 10.0)] == pytest.approx([0, 1, 1.1])


def test_an_origin_has_one_pace() -> None:
    def frozen() -> float:
        return 5.0

    here, there = ("https", "pace.example", 443), ("https", "pace.example", 8443)
    assert [pause_before(origin, 2.0, clock=frozen) for origin in (here, there, here)] == [0, 0, 0.5]


def test_threads_get_moments_of_their_own() -> None:
    pace, taken = Pace(), []

    def take() -> None:
        taken.extend(pace.take(1.0, 0.0) for _ in range(50))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [float(number) for number in range(200)]


# On the wire --------------------------------------------------------------------------------------------


def settings(server: Server) -> ConnectionSettings:
    return ConnectionSettings(base_url=server.url)


def limited(rate: float = RATE) -> Limits:
    return Limits(requests_per_second=rate)


def test_requests_of_one_wire_keep_the_pace(serve: Serve, connect: Connect) -> None:
    wire = connect(settings(serve(http())), limits=limited())
    begin = time.monotonic()
    for _ in range(5):
        assert isinstance(wire.send(asks()), Responded)
    assert time.monotonic() - begin >= 4 / RATE - 0.001


def test_wires_of_both_kinds_share_the_pace(serve: Serve) -> None:
    server = serve(http())

    def blocking() -> None:
        with Wire(settings(server), limits=limited()) as wire:
            for _ in range(4):
                wire.send(asks())

    async def asynchronous() -> None:
        async with (
            AsyncWire(settings(server), limits=limited()) as one,
            AsyncWire(settings(server), limits=limited()) as other,
        ):
            await asyncio.gather(*(wire.send(asks()) for wire in (one, other) for _ in range(4)))

    begin = time.monotonic()
    thread = threading.Thread(target=blocking)
    thread.start()
    asyncio.run(asynchronous())
    thread.join()
    assert len(server.seen) == 12
    assert time.monotonic() - begin >= 11 / RATE - 0.001


def test_the_turn_is_no_part_of_the_exchange(serve: Serve, connect: Connect) -> None:
    wire = connect(settings(serve(http())), limits=limited(2.0))
    begin = time.monotonic()
    wire.send(asks())
    event = wire.answer(asks())
    assert time.monotonic() - begin >= event.elapsed + 0.5 - 0.001
    assert time.monotonic() - begin >= wire.trace.exchanges[-1].elapsed + 0.5 - 0.001


def test_a_redirect_of_a_download_keeps_the_pace_too(serve: Serve, connect: Connect) -> None:
    def answer(seen: object, connection: object) -> bytes:
        target = getattr(seen, "target", "")
        return http() if target == "/there" else http(code=302, headers={"Location": "/there"})

    wire = connect(settings(serve(answer)), limits=limited())
    begin = time.monotonic()
    with wire.open(asks(purpose=Purpose.RESULT)) as opened:
        assert isinstance(opened.event, Responded)
    assert time.monotonic() - begin >= 1 / RATE - 0.001


def token_or_answer(seen: Seen, connection: object) -> bytes:
    return http(body=b'{"access_token": "t0", "expires_in": 3600}' if seen.target == "/token" else b"{}")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_login_keeps_the_pace_of_its_origin(serve: Serve, connect: Connect, elsewhere: bool) -> None:
    server, other = serve(token_or_answer), serve(token_or_answer)
    url = f"{other.url}/token" if elsewhere else "/token"
    auth = Auth.model_validate({"type": "oauth2", "token_url": url})
    given = ConnectionSettings(base_url=server.url, login="pace", password=f"of-{server.url}")
    wire = connect(given, auth=auth, limits=limited())
    begin = time.monotonic()
    for _ in range(3):
        assert isinstance(wire.send(asks()), Responded)
    assert len(server.seen) == (3 if elsewhere else 4)
    assert time.monotonic() - begin >= (len(server.seen) - 1) / RATE - 0.001


def test_the_turn_of_a_login_is_no_part_of_the_exchange(serve: Serve, connect: Connect) -> None:
    server = serve(token_or_answer)
    auth = Auth.model_validate({"type": "oauth2", "token_url": "/token"})
    given = ConnectionSettings(base_url=server.url, login="pace", password=f"of-{server.url}")
    slow = Limits(requests_per_second=2.0, exchange_timeout=0.45)
    begin = time.monotonic()
    connect(ConnectionSettings(base_url=server.url), limits=slow).answer(asks())
    assert connect(given, auth=auth, limits=slow).answer(asks()).code == 200
    assert time.monotonic() - begin >= 1.0 - 0.001


def test_another_origin_is_not_held_back(serve: Serve, connect: Connect) -> None:
    own, other = serve(http()), serve(http())
    wire = connect(settings(own), limits=limited(0.001))
    wire.send(asks())
    for _ in range(3):
        assert isinstance(wire.send(asks(url=f"{other.url}/file", purpose=Purpose.RESULT)), Responded)


def test_a_connection_without_a_host_keeps_the_pace_of_each_origin(serve: Serve, connect: Connect) -> None:
    server = serve(http())
    wire = connect(ConnectionSettings(), limits=limited())
    begin = time.monotonic()
    for _ in range(3):
        assert isinstance(wire.send(asks(url=f"{server.url}/jobs")), Responded)
    assert time.monotonic() - begin >= 2 / RATE - 0.001


def test_without_a_limit_nothing_waits(serve: Serve) -> None:
    server = serve(http())
    with Wire(settings(server), limits=limited(0.001)) as slow, Wire(settings(server)) as quick:
        slow.send(asks())
        for _ in range(3):
            assert isinstance(quick.send(asks()), Responded)


def test_a_short_wait_is_not_told(serve: Serve, connect: Connect) -> None:
    wire = connect(settings(serve(http())), limits=limited())
    lines: list[str] = []
    wire.wire.say = lambda level, text: lines.append(text)
    for _ in range(3):
        wire.send(asks())
    assert lines == []


def test_a_long_wait_is_told_and_a_task_cancelled_in_it_sends_nothing(serve: Serve) -> None:
    server = serve(http())
    lines: list[tuple[int, str]] = []

    async def one_of_two() -> None:
        told = asyncio.Event()

        def say(level: int, text: str) -> None:
            lines.append((level, text))
            told.set()

        async with AsyncWire(settings(server), limits=limited(0.0005)) as wire:
            wire.say = say
            await wire.send(asks())
            second = asyncio.create_task(wire.send(asks()))
            await told.wait()
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second

    asyncio.run(one_of_two())
    assert len(server.seen) == 1
    ((level, text),) = lines
    assert level == logging.INFO
    assert re.fullmatch(
        r"Waiting \d{4} s for the turn of the next request: 0\.0005 a second over all jobs of this process "
        r"\(limits\.requests_per_second\)",
        text,
    )
