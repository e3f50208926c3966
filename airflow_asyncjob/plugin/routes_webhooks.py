"""The route that APIs call when a job has changed. Nobody is logged in there: each event is verified."""

from __future__ import annotations

import logging
import re
import time

import anyio.to_thread
from airflow.utils.session import create_session
from anyio import CapacityLimiter
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError

from airflow_asyncjob.definition.signature import Keys, ReceivedEvent
from airflow_asyncjob.plugin.events import Connections, Events, Result
from airflow_asyncjob.plugin.floods import Floods

__all__ = ["MOST_BYTES", "router"]

log = logging.getLogger(__name__)
router = APIRouter()

MOST_BYTES = 64 * 1024
"""Of the body of one event."""
_CONN_ID = re.compile(r"[\w.\-]{1,250}")
_LONGEST_TOKEN = 2000
_UNKNOWN = "?"
_THREADS = 8
"""Of the pool that the rest of the API server answers from, a flood of events must not take all."""
_CODES: dict[Result, int] = {"unreadable": 400, "refused": 401}
_connections = Connections()
_events = Events()
_floods = Floods(rate=100.0, burst=1000)
_strangers = Floods(rate=5.0, burst=50)


@router.post("/{conn_id}")
async def take_event(conn_id: str, request: Request) -> JSONResponse:
    """Take an event that names its job."""
    return await _taken(conn_id, "", request)


@router.post("/{conn_id}/{token}")
async def take_event_of_task(conn_id: str, token: str, request: Request) -> JSONResponse:
    """Take an event whose address ends with a secret, or with the token of one task."""
    return await _taken(conn_id, token, request)


async def _taken(conn_id: str, token: str, request: Request) -> JSONResponse:
    wait = _flooded(conn_id)
    if wait:
        return _said(429, "too many events", {"Retry-After": str(wait)})
    body = await _body(request)
    if body is None:
        return _said(413, f"an event has at most {MOST_BYTES} bytes")
    if not _CONN_ID.fullmatch(conn_id) or len(token) > _LONGEST_TOKEN:
        return _refused()
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers.raw}
    event = ReceivedEvent(headers, body, token)
    return await anyio.to_thread.run_sync(_answer, conn_id, event, limiter=_limiter())


def _flooded(conn_id: str) -> int:
    """Return the seconds that a sender has to wait; 0: none. Names that are no connections share one turn."""
    if _connections.known(conn_id):
        return _floods.wait(conn_id, time.monotonic())
    return _strangers.wait(_UNKNOWN, time.monotonic())


async def _body(request: Request) -> bytes | None:
    """Return the body; None: it is larger than allowed, and the rest was not read."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > MOST_BYTES:
        return None
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > MOST_BYTES:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def _answer(conn_id: str, event: ReceivedEvent) -> JSONResponse:
    """Do what blocks, in a thread."""
    try:
        keys = _connections.keys_of(conn_id)
        if keys is None:  # as long as for a connection that is there, as far as that goes
            keys = Keys()
        with create_session() as session:
            result = _events.take(session, conn_id, event, keys, time.time())
    except OperationalError as error:
        log.warning("An event for connection %s: the database does not answer: %s", conn_id, error.orig)
        return _said(503, "try again", {"Retry-After": "5"})
    if result == "refused":
        log.warning("An event for connection %s was refused: it is not known who sent it", conn_id)
        return _refused()
    code = _CODES.get(result, 202)
    return JSONResponse({"result": result}, code)


def _refused() -> JSONResponse:
    """Answer a sender whom nobody knows; the same, whatever is wrong, and whatever is there."""
    return _said(401, "not authenticated", {"WWW-Authenticate": 'Basic realm="webhooks"'})


def _said(code: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": text}, code, headers)


_limiters: list[CapacityLimiter] = []


def _limiter() -> CapacityLimiter:
    """Return the limit on threads; it belongs to the event loop, so it is made when there is one."""
    if not _limiters:
        _limiters.append(CapacityLimiter(_THREADS))
    return _limiters[0]
