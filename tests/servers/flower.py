"""A real Flower: the REST API of Celery, with a worker, over a broker of files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from airflow_asyncjob.testing.processes import ProcessFamily, free_port
from tests.servers.environments import environment

LOGIN, PASSWORD = "flower-user", "flower-secret"


@dataclass(frozen=True)
class Flower:
    """A running server; its worker has the tasks ``rows`` and ``fail``, and does one at a time.

    :param url: where it answers, without a path.
    """

    url: str

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request and return the JSON of its answer."""
        answer = httpx.request(method, f"{self.url}{path}", json=body, auth=(LOGIN, PASSWORD), timeout=30)
        return answer.raise_for_status().json()

    def state(self, task: str) -> str:
        """Tell the state of a task: PENDING, STARTED, SUCCESS, FAILURE, REVOKED."""
        state: str = self.call("GET", f"/api/task/result/{task}")["state"]
        return state

    def started(self) -> set[str]:
        """Tell the IDs of the tasks that run now."""
        return set(self.call("GET", "/api/tasks?state=STARTED"))


@contextmanager
def running_flower(folder: Path) -> Iterator[Flower]:
    """Start a Celery worker and Flower.

    :param folder: for messages, results and logs; made when it is missing.
    :raises CannotInstall: its packages cannot be had here.
    """
    celery = environment("flower") / "celery"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).parent / "flower_tasks.py", folder)
    env = {**os.environ, "CELERY_FOLDER": str(folder), "PYTHONPATH": str(folder)}
    port = free_port()
    server = Flower(f"http://127.0.0.1:{port}")
    family = ProcessFamily(folder)
    try:
        family.start(
            "worker",
            [celery, "-A", "flower_tasks", "worker", "--concurrency=1", "--task-events"],
            env=env,
            cwd=folder,
        )
        family.start(
            "flower",
            [
                *(celery, "-A", "flower_tasks", "flower", "--address=127.0.0.1", f"--port={port}"),
                f"--basic-auth={LOGIN}:{PASSWORD}",
            ],
            env=env,
            cwd=folder,
        )
        family.wait_ready("flower", lambda: server.call("GET", "/api/workers") is not None, timeout=180)
        yield server
    finally:
        family.stop()
