"""The real Airflow and the fake job server that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.airflow.statsd import StatsdServer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def job_server() -> Iterator[FakeJobServer]:
    """Give one fake job server of the generic kind; in Airflow it is connection ``jobs``."""
    with FakeJobServer("generic") as server:
        yield server


@pytest.fixture(scope="session")
def reported() -> Iterator[StatsdServer]:
    """Give the server to which the running Airflow reports its metrics."""
    with StatsdServer() as server:
        yield server


@pytest.fixture(scope="session")
def airflow(
    job_server: FakeJobServer, reported: StatsdServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalAirflow]:
    """Give one running Airflow 3.3 for the whole test run, with ``dags/`` and ``tests/airflow/dags/``.

    A test that kills a component starts it again before it ends.
    """
    with LocalAirflow(
        tmp_path_factory.mktemp("airflow"),
        [ROOT / "dags", ROOT / "tests" / "airflow" / "dags"],
        connections={"jobs": job_server.url},
        env={"AIRFLOW__CORE__TEST_CONNECTION": "Enabled", **reported.env},
    ) as running:
        yield running
