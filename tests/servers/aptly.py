"""A real aptly: Debian repositories, whose API does everything as tasks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from airflow_asyncjob.testing.processes import ProcessFamily, free_port
from tests.servers.environments import debian_program

RELEASE = b"""Origin: test
Suite: stable
Codename: slow
Architectures: amd64
Components: main
Date: Sun, 22 Nov 2026 00:00:00 UTC
"""


@dataclass(frozen=True)
class Aptly:
    """A running server.

    :param url: where it answers, without a path.
    """

    url: str

    def add_repository(self, name: str) -> None:
        """Make an empty repository."""
        httpx.post(f"{self.url}/api/repos", json={"Name": name}).raise_for_status()

    def add_mirror(self, name: str, archive: str) -> None:
        """Make a mirror of an archive, whose Release file is read now."""
        about = {"Name": name, "ArchiveURL": archive, "Distribution": "slow", "IgnoreSignatures": True}
        httpx.post(f"{self.url}/api/mirrors", json=about, timeout=30).raise_for_status()

    def state(self, task: str) -> int:
        """Tell the state of a task: 0 idle, 1 running, 2 succeeded, 3 failed."""
        state: int = httpx.get(f"{self.url}/api/tasks/{task}").raise_for_status().json()["State"]
        return state

    def tasks(self) -> set[str]:
        """Tell the IDs of the tasks that it knows."""
        known = httpx.get(f"{self.url}/api/tasks").raise_for_status().json()
        return {str(task["ID"]) for task in known or ()}  # it says null for none


@contextmanager
def running_aptly(folder: Path) -> Iterator[Aptly]:
    """Start aptly with ``AsyncAPI``.

    :param folder: for its configuration and repositories; made when it is missing.
    :raises CannotInstall: it is not installed.
    """
    program = debian_program("aptly")
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "aptly.json"
    config.write_text(
        json.dumps({"rootDir": str(folder / "root"), "AsyncAPI": True, "gpgDisableVerify": True})
    )
    port = free_port()
    family = ProcessFamily(folder)
    try:
        family.start(
            "aptly",
            [program, f"-config={config}", "api", "serve", f"-listen=127.0.0.1:{port}", "-no-lock"],
        )
        url = f"http://127.0.0.1:{port}"
        family.wait_ready("aptly", lambda: httpx.get(f"{url}/api/version").is_success, timeout=180)
        yield Aptly(url)
    finally:
        family.stop()


class SlowArchive(BaseHTTPRequestHandler):
    """A Debian archive whose Release file comes once at once, and later when it is let go."""

    asked = 0
    go: threading.Event

    def do_GET(self) -> None:
        if not self.path.endswith("/Release"):
            self.send_error(404)
            return
        type(self).asked += 1
        if self.asked > 1:
            self.go.wait(60)
        self.send_response(200)
        self.send_header("Content-Length", str(len(RELEASE)))
        self.end_headers()
        self.wfile.write(RELEASE)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def slow_archive() -> Iterator[tuple[str, threading.Event]]:
    """Serve an archive; yield its address, and the event that ends a mirror's update."""
    go = threading.Event()
    handler = type("Handler", (SlowArchive,), {"go": go})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", go
    finally:
        go.set()
        server.shutdown()
        server.server_close()
