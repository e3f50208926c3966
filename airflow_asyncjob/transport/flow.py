"""The course of an exchange, written once: generators that say which step of I/O is next and get its outcome.

The blocking and the asynchronous wire turn them, as httpx does with its auth flows. An error of a step is
thrown into them.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import httpx

from airflow_asyncjob.protocol.messages import Failed, Responded, Send
from airflow_asyncjob.transport.auth.login import Keep, Login, Recall
from airflow_asyncjob.transport.body import BodyReader
from airflow_asyncjob.transport.exchange import Desk
from airflow_asyncjob.transport.faults import NETWORK_ERRORS
from airflow_asyncjob.transport.pace import pause_before
from airflow_asyncjob.transport.prepared import Prepared, RefusedHereError
from airflow_asyncjob.transport.sockets import Underway

__all__ = ["Ask", "Close", "Obtain", "Opened", "Pause", "Read", "Step", "ask", "open_download"]


@dataclass(frozen=True)
class Pause:
    """Do nothing for some seconds: it is not this request's turn (``limits.requests_per_second``).

    :param rate: requests a second.
    """

    seconds: float
    rate: float


@dataclass(frozen=True)
class Ask:
    """Send the request and read the head of its answer: an ``httpx.Response``.

    An answer that is open still is closed before.
    """

    prepared: Prepared
    exchange: Underway


@dataclass(frozen=True)
class Read:
    """Read a piece of the body of the open answer: bytes as they come from the network, None at the end."""

    exchange: Underway


@dataclass(frozen=True)
class Close:
    """Close the open answer; its connection stays when the body was read to its end."""

    exchange: Underway


@dataclass(frozen=True)
class Obtain:
    """Have what a request carries fetched, by one task for all that need it: ``Failed`` or None."""

    login: Login
    exchange: Underway


Step = Pause | Ask | Read | Close | Obtain | Recall | Keep


@dataclass(frozen=True)
class Opened:
    """An answered download.

    :param event: the head: ``Responded`` with an empty body when there is a result to read, with the error's
        body otherwise.
    :param prepared: the request that was answered, after redirects; None: none was sent.
    :param reader: takes the result's bytes; None: there is no result.
    :param cut: the error's body is larger than ``limits.response_bytes``, and only its start was read.
    """

    event: Responded | Failed
    prepared: Prepared | None = None
    reader: BodyReader | None = None
    cut: bool = False


def ask(desk: Desk, send: Send) -> Generator[Step, Any, Responded | Failed]:
    """Send a request and read its whole answer, within the bound and the time of the definition's limits."""
    try:
        prepared = desk.out.prepare(send)
    except RefusedHereError as error:
        return desk.refused(error, send)
    trouble = yield from _obtained(desk, prepared)
    if trouble is not None:
        return trouble
    prepared = yield from _paced(desk, prepared)
    exchange = _underway(desk, prepared)
    code: int | None = None
    try:
        head: httpx.Response = yield Ask(prepared, exchange)
        code = head.status_code
        reader = yield from _read(desk, head, exchange)
        yield Close(exchange)
        if reader.over and code < 400:
            return desk.too_large(prepared, code)
        if not reader.over:
            reader.finish()
    except NETWORK_ERRORS as error:
        return desk.broken(prepared, error, exchange, code)
    desk.learn(send, head, reader.body)
    event = desk.responded(prepared, head, reader.body)
    desk.note(prepared, event.response, reader.size)
    return event


def open_download(desk: Desk, send: Send, begun: BodyReader | None = None) -> Generator[Step, Any, Opened]:
    """Send the request of a download and follow its redirects; the body of a result is left to be read.

    :param begun: took the bytes before those that ``send.resume`` asks for; it takes the rest, too, because
        a Content-Encoding is one from the first byte to the last.
    """
    try:
        prepared = desk.out.prepare(send)
    except RefusedHereError as error:
        return Opened(desk.refused(error, send))
    trouble = yield from _obtained(desk, prepared)
    if trouble is not None:
        return Opened(trouble)
    prepared = yield from _paced(desk, prepared)
    exchange = _underway(desk, prepared)
    code: int | None = None
    try:
        while True:
            head: httpx.Response = yield Ask(prepared, exchange)
            code = head.status_code
            following = desk.out.redirected(prepared, code, head.headers.get("location"), send)
            if following is None:
                break
            desk.note(prepared, desk.responded(prepared, head, b"").response, 0)
            before = time.monotonic()
            prepared = yield from _paced(desk, following)
            assert exchange.deadline is not None
            exchange = _underway(desk, prepared, exchange.deadline + time.monotonic() - before)
        if 200 <= code <= 299:
            goes_on = begun if send.resume is not None and code == 206 else None
            reader = goes_on or BodyReader(head, desk.limits.response_bytes)
            return Opened(desk.responded(prepared, head, b""), prepared, reader)
        reader = yield from _read(desk, head, exchange)
        yield Close(exchange)
        if not reader.over:
            reader.finish()
    except RefusedHereError as error:
        return Opened(desk.refused(error, send))
    except NETWORK_ERRORS as error:
        return Opened(desk.broken(prepared, error, exchange, code))
    event = desk.responded(prepared, head, reader.body)
    desk.note(prepared, event.response, reader.size)
    return Opened(event, cut=reader.over)


def _obtained(desk: Desk, prepared: Prepared) -> Generator[Step, Any, Failed | None]:
    """Fetch a token or a session where the request carries one; return why there is none."""
    login = prepared.auth
    if not isinstance(login, Login):
        return None
    exchange = _underway(desk, prepared)
    try:
        trouble: Failed | None = yield Obtain(login, exchange)
    except NETWORK_ERRORS as error:
        return desk.broken(prepared, error, exchange)
    return trouble


def _paced(desk: Desk, prepared: Prepared) -> Generator[Step, Any, Prepared]:
    """Wait for the request's turn; its time begins with it."""
    rate, origin = desk.limits.requests_per_second, desk.out.paced_origin(prepared)
    seconds = 0.0 if rate is None or origin is None else pause_before(origin, rate)
    if rate is not None and seconds > 0:
        yield Pause(seconds, rate)
    return replace(prepared, wall=time.time(), started=time.monotonic())


def _underway(desk: Desk, prepared: Prepared, deadline: float | None = None) -> Underway:
    return Underway(
        deadline=deadline or time.monotonic() + desk.limits.exchange_timeout, guard=prepared.guard
    )


def _read(desk: Desk, head: httpx.Response, exchange: Underway) -> Generator[Step, Any, BodyReader]:
    reader = BodyReader(head, desk.limits.response_bytes)
    while not reader.over and (raw := (yield Read(exchange))) is not None:
        reader.feed(raw)
    return reader
