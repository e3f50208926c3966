"""Fixtures of the command line's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_asyncjob.testing import FakeJobServer


@pytest.fixture
def server() -> Iterator[FakeJobServer]:
    """Give a fake job server of the generic kind."""
    with FakeJobServer("generic") as running:
        yield running
