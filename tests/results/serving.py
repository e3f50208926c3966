"""A server that answers as a test says, and a fetch from it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.protocol import Submission, Wait, Woken
from airflow_asyncjob.results.fetch import fetch_result
from airflow_asyncjob.results.manifest import Manifest
from airflow_asyncjob.transport import ConnectionSettings, Wire

__all__ = ["Fetching", "Reply", "serving"]

Reply = tuple[int, dict[str, str], bytes]


@contextmanager
def serving(reply: Callable[[str, int], Reply]) -> Iterator[str]:
    """Serve what a function of path and number of the request (from 1) answers."""
    count = 0

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal count
            count += 1
            code, headers, body = reply(self.path, count)
            self.send_response(code)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Fetching:
    """Fetches from one server into a folder, without waiting."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.sizes: list[tuple[int, int]] = []
        self.waits: list[str] = []
        self.said: list[str] = []

    def __call__(
        self, definition: AsyncJob, targets: Any = "job-1", to: str = "out.jsonl", **more: Any
    ) -> Manifest:
        with Wire(ConnectionSettings(base_url=self.url), limits=definition.limits) as wire:
            wire.say = lambda level, text: self.said.append(text)
            return fetch_result(
                definition,
                targets,
                wire=wire,
                inputs={},
                names={},
                submission=Submission("job-1", 0.0),
                destination=to if "://" in to else str(self.folder / to) + ("/" if to.endswith("/") else ""),
                wait=self._wait,
                received=lambda number, size: self.sizes.append((number, size)),
                **more,
            )

    def _wait(self, command: Wait) -> Woken:
        self.waits.append(command.reason)
        return Woken()

    def rows(self, name: str = "out.jsonl") -> list[Any]:
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]

    def left(self) -> list[str]:
        return [path.name for path in self.folder.iterdir()]
