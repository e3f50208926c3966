"""Airflow's API server alone, in two processes, with users of several roles, and what they ask it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.servers.environments import ROOT, environment

ROLES = ("admin", "op", "user", "viewer")
_FAB = "airflow.providers.fab.auth_manager"


class ApiServer(LocalAirflow):
    """The API server of an Airflow of which nothing else runs: it answers from the database only."""

    def __init__(
        self, home: Path, env: Mapping[str, str], workers: int = 2, users: Mapping[str, str] | None = None
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        super().__init__(home, home, env=env, users=users)
        self.components = {
            "api-server": ("api-server", "--host", "127.0.0.1", "--workers", str(workers)),
        }

    def run(self, module: str, *arguments: str, given: str = "") -> str:
        """Run a module of the tests with this Airflow's settings, and return the last line that it prints.

        :param given: its standard input.
        """
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=self.env | {"PYTHONPATH": _path(str(ROOT), self.env.get("PYTHONPATH", ""))},
            cwd=ROOT,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout.strip().rpartition("\n")[2]

    @contextmanager
    def user(self, name: str | None) -> Iterator[httpx.Client]:
        """Give a client that is logged in; the password of each user is the name. None: nobody is."""
        with httpx.Client(base_url=self.url, timeout=120) as client:
            if name is not None:
                answer = client.post("/auth/token", json={"username": name, "password": name})
                assert answer.status_code == 201, answer.text
                client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            yield client


@contextmanager
def with_simple_roles(home: Path, env: Mapping[str, str] | None = None) -> Iterator[ApiServer]:
    """Run one whose users have the roles of Airflow's simple auth manager."""
    with ApiServer(home, env or {}, users={role: role for role in ROLES}) as server:
        yield server


@contextmanager
def with_fab(home: Path) -> Iterator[ApiServer]:
    """Run one whose roles are for single DAGs, with the FAB provider; tests/plugin/fab_users.py makes them.

    :raises CannotInstall: the provider cannot be had here.
    """
    packages = next((environment("fab").parent / "lib").iterdir()) / "site-packages"
    settings = {
        "AIRFLOW__CORE__AUTH_MANAGER": f"{_FAB}.fab_auth_manager.FabAuthManager",
        "AIRFLOW__DATABASE__EXTERNAL_DB_MANAGERS": f"{_FAB}.models.db.FABDBManager",
        "PYTHONPATH": _path(os.environ.get("PYTHONPATH", ""), str(packages)),
    }
    with ApiServer(home, settings, workers=1) as server:
        yield server


def jobs(client: httpx.Client, **asked: Any) -> dict[str, Any]:
    """Ask for the page of all jobs."""
    answer = client.get("/asyncjob/api/jobs", params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _path(*folders: str) -> str:
    return os.pathsep.join(folder for folder in folders if folder)
