"""An API that makes an import in three steps, with a store of another origin; and its definition."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DEFINITION: dict[str, Any] = {
    "inputs": {"parts": {"type": "list"}},
    "submit": {
        "steps": [
            {
                "name": "create",
                "request": {"url": "/imports", "headers": {"Idempotency-Key": "{{ idempotency_key }}"}},
                "capture": {"import": "id", "link": "upload.url"},
            },
            {
                "name": "upload",
                "each": "{{ inputs.parts }}",
                "request": {"method": "PUT", "url": "{{ captures.link }}", "text": "{{ item }}"},
                "capture": {"tags": {"header": "etag"}},
            },
            {
                "name": "start",
                "request": {
                    "url": "/imports/{{ captures.import }}/start",
                    "headers": {"Idempotency-Key": "{{ idempotency_key }}-start"},
                    "json": {"tags": "{{ captures.tags }}"},
                },
            },
        ],
        "id": "{{ captures.import }}",
    },
    "status": {
        "request": {"url": "/imports/{{ submission_id }}"},
        "path": "state",
        "values": {"running": ["RUNNING"], "done": ["DONE"], "failed": ["FAILED"]},
        "poll_wait": 0.1,
        "initial_wait": 0,
    },
}


@dataclass
class Asked:
    """One request that came."""

    port: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Imports:
    """An API that makes an import in three steps, and a store at another port that takes the parts.

    :param answers: method and path: the code that it is answered with instead, with an error.
    :param meanwhile: is called with method and path of each request, before it is answered.
    """

    asked: list[Asked] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    meanwhile: Callable[[str], object] = lambda line: None
    store: str = ""

    @property
    def lines(self) -> list[str]:
        """Method and path of each request, in their order."""
        return [f"{asked.method} {asked.path.split('?')[0]}" for asked in self.asked]

    def answer(self, asked: Asked) -> tuple[int, dict[str, str], Any]:
        self.asked.append(asked)
        path = asked.path.split("?")[0]
        self.meanwhile(f"{asked.method} {path}")
        if f"{asked.method} {path}" in self.answers:
            return self.answers[f"{asked.method} {path}"], {}, {"error": "not now"}
        match asked.method, path:
            case "POST", "/imports":
                link = f"{self.store}/bucket/7?X-Signature=abcdef0123456789"
                return 201, {}, {"id": 7, "upload": {"url": link}}
            case "PUT", "/bucket/7":
                return 200, {"ETag": f"tag-{asked.body.decode()}"}, None
            case "POST", "/imports/7/start":
                return 202, {}, {"state": "RUNNING"}
            case "GET", "/imports/7":
                return 200, {}, {"state": "DONE", "rows": [{"a": 1}]}
        return 404, {}, {"error": "no such thing"}


def _handler(imports: Imports) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            port = self.server.server_port  # type: ignore[attr-defined]
            code, more, said = imports.answer(Asked(port, self.command, self.path, headers, body))
            content = b"" if said is None else json.dumps(said).encode()
            self.send_response(code)
            for name, value in {**more, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _any

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextmanager
def running_imports() -> Iterator[tuple[Imports, str]]:
    """Give the API's ledger and its address; its store has another port."""
    known = Imports()
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(known)) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    known.store = f"http://127.0.0.1:{servers[1].server_port}"
    try:
        yield known, f"http://127.0.0.1:{servers[0].server_port}"
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
