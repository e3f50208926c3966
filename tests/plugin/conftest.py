"""The API servers that the tests of the plugin share. No task runs in them: their rows are written."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.plugin.api import ApiServer, with_fab, with_simple_roles
from tests.servers.environments import CannotInstall

JOBS = 60
DAGS = 3


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Give an API server of two processes, with 60 jobs of 3 DAGs, and a user for each simple role."""
    with with_simple_roles(tmp_path_factory.mktemp("api")) as server:
        server.run("tests.plugin.rows", str(JOBS), str(DAGS))
        yield server


@pytest.fixture(scope="session")
def fab_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Give one whose users may see different DAGs: skipped where FAB cannot be had, but in CI an error."""
    try:
        with with_fab(tmp_path_factory.mktemp("fab")) as server:
            server.run("tests.plugin.rows", str(JOBS), str(DAGS))
            server.run("tests.plugin.fab_users")
            yield server
    except CannotInstall as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the FAB provider cannot be installed here: {problem}")
