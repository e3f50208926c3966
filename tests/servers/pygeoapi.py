"""A real pygeoapi: OGC API Processes, asynchronous execution, job list."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from airflow_asyncjob.testing.processes import ProcessFamily, StartError, free_port
from tests.servers.environments import environment

START_TIMEOUT = 180


@dataclass(frozen=True)
class Pygeoapi:
    """A running server.

    :param url: where it answers, without a path.
    """

    url: str

    def jobs(self) -> list[dict[str, Any]]:
        """List all jobs that it knows: ``jobID, processID, status, progress, created, finished``..."""
        answer = httpx.get(f"{self.url}/jobs", params={"f": "json", "limit": 1000}).raise_for_status().json()
        jobs: list[dict[str, Any]] = answer["jobs"]
        return jobs

    def job_ids(self) -> set[str]:
        """Tell the IDs of all jobs that it knows: the difference of two looks is what a test submitted."""
        return {job["jobID"] for job in self.jobs()}


@contextmanager
def running_pygeoapi(folder: Path) -> Iterator[Pygeoapi]:
    """Start pygeoapi with the processes ``echo`` (input ``pause`` makes it slow) and ``hello-world``.

    :param folder: for its configuration, jobs and results; made when it is missing.
    :raises CannotInstall: its packages cannot be had here.
    """
    programs = environment("pygeoapi")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "out").mkdir(exist_ok=True)
    url = f"http://127.0.0.1:{free_port()}"
    config, openapi = folder / "config.yml", folder / "openapi.yml"
    config.write_text(json.dumps(_configuration(url, folder)))  # JSON is YAML
    env = {**os.environ, "PYGEOAPI_CONFIG": str(config), "PYGEOAPI_OPENAPI": str(openapi)}
    made = subprocess.run(
        [programs / "pygeoapi", "openapi", "generate", config, "--output-file", openapi],
        env=env,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT,
        check=False,
    )
    if made.returncode != 0:
        raise StartError(f"pygeoapi openapi generate ended with {made.returncode}: {made.stderr[-2000:]}")
    family = ProcessFamily(folder)
    listen = f"--listen={url.removeprefix('http://')}"
    try:
        family.start(
            "pygeoapi",
            [programs / "waitress-serve", listen, "--threads=16", "pygeoapi.flask_app:APP"],
            env=env,
        )
        family.wait_ready(
            "pygeoapi",
            lambda: httpx.get(f"{url}/processes", params={"f": "json"}).is_success,
            timeout=START_TIMEOUT,
        )
        yield Pygeoapi(url)
    finally:
        family.stop()


def _configuration(url: str, folder: Path) -> dict[str, Any]:
    return {
        "server": {
            "bind": {"host": "127.0.0.1", "port": int(url.rpartition(":")[2])},
            "url": url,
            "mimetype": "application/json; charset=UTF-8",
            "encoding": "utf-8",
            "languages": ["en-US"],
            "limits": {"default_items": 1000, "max_items": 1000},
            "map": {"url": f"{url}/no-map", "attribution": "none"},
            "manager": {
                "name": "TinyDB",
                "connection": str(folder / "jobs.db"),
                "output_dir": str(folder / "out"),
            },
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {
                "title": "Test server",
                "description": "Processes for tests",
                "keywords": ["test"],
                "keywords_type": "theme",
                "terms_of_service": "none",
                "url": url,
            },
            "license": {"name": "none", "url": url},
            "provider": {"name": "tests", "url": url},
            "contact": {"name": "tests"},
        },
        "resources": {
            "hello-world": {"type": "process", "processor": {"name": "HelloWorld"}},
            "echo": {"type": "process", "processor": {"name": "Echo"}},
        },
    }
