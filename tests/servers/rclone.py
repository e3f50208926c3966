"""A real rclone: its remote control daemon, which copies files in jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from airflow_asyncjob.testing.processes import ProcessFamily, free_port
from tests.servers.environments import debian_program

LOGIN, PASSWORD = "rclone-user", "rclone-secret"
BYTES_PER_SECOND = 1_000_000
"""How fast it copies: a file of some kilobytes takes no time, one of megabytes seconds."""


@dataclass(frozen=True)
class Rclone:
    """A running server.

    :param url: where it answers, without a path.
    """

    url: str

    def call(self, command: str, **parameters: Any) -> dict[str, Any]:
        """Call a command of its remote control and return the answer."""
        answer = httpx.post(f"{self.url}/{command}", json=parameters, auth=(LOGIN, PASSWORD), timeout=30)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def job(self, job_id: str | int) -> dict[str, Any]:
        """Tell what it knows of a job: ``finished, success, error, output``..."""
        return self.call("job/status", jobid=int(job_id))

    def running(self) -> list[str]:
        """Tell the IDs of the jobs that copy a file now."""
        copied = self.call("core/stats").get("transferring", [])
        return [file["group"].removeprefix("job/") for file in copied]


@contextmanager
def running_rclone(folder: Path) -> Iterator[Rclone]:
    """Start rclone's remote control.

    :param folder: for its log and cache; made when it is missing.
    :raises CannotInstall: it is not installed.
    """
    program = debian_program("rclone")
    port = free_port()
    family = ProcessFamily(folder)
    try:
        family.start(
            "rclone",
            [
                *(
                    program,
                    "rcd",
                    "--rc-addr",
                    f"127.0.0.1:{port}",
                    "--rc-user",
                    LOGIN,
                    "--rc-pass",
                    PASSWORD,
                ),
                *("--config", folder / "none.conf", "--cache-dir", folder / "cache"),
                *("--bwlimit", f"{BYTES_PER_SECOND}B"),
            ],
        )
        server = Rclone(f"http://127.0.0.1:{port}")
        family.wait_ready("rclone", lambda: server.call("rc/noop") == {}, timeout=180)
        yield server
    finally:
        family.stop()
