"""What a team would write: an httpx.Auth of its own, and some that are wrong."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx

Flow = Generator[httpx.Request, httpx.Response, None]


class Signed(httpx.Auth):
    """Signs the body with the connection's password."""

    requires_request_body = True

    def __init__(self, key: str) -> None:
        self.key = key.encode()

    def auth_flow(self, request: httpx.Request) -> Flow:
        request.headers["X-Signature"] = hmac.new(self.key, request.content, hashlib.sha256).hexdigest()
        yield request


class Ticket(httpx.Auth):
    """Fetches a ticket before each request."""

    requires_response_body = True

    def auth_flow(self, request: httpx.Request) -> Flow:
        response = yield httpx.Request("POST", request.url.join("/ticket"))
        request.headers["X-Ticket"] = response.json()["ticket"]
        yield request


class Own(httpx.Auth):
    """Has flows of its own for both worlds."""

    def sync_auth_flow(self, request: httpx.Request) -> Flow:
        request.headers["X-World"] = "sync-world"
        yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        request.headers["X-World"] = "async-world"
        yield request


class Breaks(httpx.Auth):
    """Breaks when it is used."""

    def auth_flow(self, request: httpx.Request) -> Flow:
        raise KeyError("no such key")
        yield request


def signed(connection: Any) -> httpx.Auth:
    return Signed(connection.password)


def ticket(connection: Any) -> httpx.Auth:
    return Ticket()


def own(connection: Any) -> httpx.Auth:
    return Own()


def breaks(connection: Any) -> httpx.Auth:
    return Breaks()


def fails(connection: Any) -> httpx.Auth:
    raise ValueError("no key")


def nothing(connection: Any) -> dict[str, str]:
    return {}


number = 3
