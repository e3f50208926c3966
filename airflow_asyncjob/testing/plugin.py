"""pytest plugin: the fixture ``fake_job_server``. Importing it loads nothing else of the package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_asyncjob.testing.clock import Clock
    from airflow_asyncjob.testing.server import FakeJobServer, Kind

__all__ = ["fake_job_server"]


@pytest.fixture
def fake_job_server() -> Iterator[Callable[..., FakeJobServer]]:
    """Start fake job servers that are stopped after the test.

    Call it with the arguments of :class:`~airflow_asyncjob.testing.FakeJobServer`::

        def test_export(fake_job_server):
            server = fake_job_server("sendgrid", contacts=10, seconds=0)
            ...
            assert server.ledger.accepted() == 1
    """
    from airflow_asyncjob.testing.server import FakeJobServer

    with ExitStack() as running:

        def start(
            kind: Kind = "generic", *, port: int = 0, clock: Clock | None = None, **options: Any
        ) -> FakeJobServer:
            return running.enter_context(FakeJobServer(kind, port=port, clock=clock, **options))

        yield start
