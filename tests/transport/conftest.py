"""Fixtures: servers to answer, and wires to ask with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.transport.wires import Answer, Face, Server


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers: ``serve(lambda seen, connection: bytes)``, or ``serve(bytes)``."""
    servers: list[Server] = []

    def start(answer: Answer | bytes, **options: Any) -> Server:
        made = Server((lambda seen, connection: answer) if isinstance(answer, bytes) else answer, **options)
        servers.append(made)
        return made

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Face]:
    """Open a wire, once blocking and once not: ``wire = connect(settings or url, limits=...)``."""
    if request.param == "sync":
        face = Face("sync")
        yield face
        face.close()
        return
    with asyncio.Runner() as runner:
        face = Face("async", runner=runner)
        yield face
        face.close()
