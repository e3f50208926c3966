"""What several folders of tests share: their order, the command line, real servers, a home for Airflow."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

import pytest

from tests.cli.command import Asyncjob
from tests.servers.aptly import Aptly, running_aptly
from tests.servers.environments import CannotInstall
from tests.servers.flower import Flower, running_flower
from tests.servers.moto import Moto, running_moto
from tests.servers.pygeoapi import Pygeoapi, running_pygeoapi
from tests.servers.pywps import Pywps, running_pywps
from tests.servers.rclone import Rclone, running_rclone

# Airflow makes its configuration where this points, as soon as something imports it; never in ~/airflow.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-home-of-tests-")
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

Server = TypeVar("Server")
SERVERS = {"aptly", "aws", "flower", "moto", "pygeoapi", "pywps", "rclone"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use the real Airflow or a real server; run those with Airflow last.

    So a mistake in a lower layer shows within seconds, and Airflow runs only while it is needed.
    """
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if "airflow" in fixtures:
            item.add_marker(pytest.mark.airflow)
        if fixtures & SERVERS:
            item.add_marker(pytest.mark.server)
    # One that has an engine of its own ends it before the one that all others share begins.
    items.sort(
        key=lambda item: (
            item.get_closest_marker("airflow") is not None,
            "airflow" in getattr(item, "fixturenames", ()),
        )
    )


@pytest.fixture
def asyncjob(tmp_path: Path) -> Iterator[Asyncjob]:
    """Give the command line in an empty folder."""
    command = Asyncjob(tmp_path)
    try:
        yield command
    finally:
        command.stop()


@pytest.fixture(scope="session")
def pygeoapi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pygeoapi]:
    """Give a running pygeoapi: skipped where it cannot be installed, but in CI that is an error."""
    yield from _or_skip(running_pygeoapi(tmp_path_factory.mktemp("pygeoapi")))


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """Give a running moto: skipped where it cannot be installed, but in CI that is an error."""
    yield from _or_skip(running_moto(tmp_path_factory.mktemp("moto")))


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """Give a running moto that verifies signatures: skipped where it cannot be had, but in CI an error."""
    yield from _or_skip(running_moto(tmp_path_factory.mktemp("aws"), verifies=True))


@pytest.fixture(scope="session")
def pywps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pywps]:
    """Give a running PyWPS: skipped where it cannot be installed, but in CI that is an error."""
    yield from _or_skip(running_pywps(tmp_path_factory.mktemp("pywps")))


@pytest.fixture(scope="session")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flower]:
    """Give a running Flower with a Celery worker: skipped where it cannot be had, but in CI an error."""
    yield from _or_skip(running_flower(tmp_path_factory.mktemp("flower")))


@pytest.fixture(scope="session")
def aptly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aptly]:
    """Give a running aptly: skipped where it is not installed, but in CI that is an error."""
    yield from _or_skip(running_aptly(tmp_path_factory.mktemp("aptly")))


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rclone]:
    """Give a running rclone: skipped where it is not installed, but in CI that is an error."""
    yield from _or_skip(running_rclone(tmp_path_factory.mktemp("rclone")))


def _or_skip(starting: AbstractContextManager[Server]) -> Iterator[Server]:
    try:
        with starting as server:
            yield server
    except CannotInstall as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the server cannot be installed here: {problem}")
