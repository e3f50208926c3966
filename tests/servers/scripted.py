"""A server that answers from a script: the API of one habit."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Asked", "Reply", "Scripted", "Turns", "running", "turns"]


@dataclass(frozen=True)
class Reply:
    """One answer.

    :param body: text or bytes as they are, anything else as JSON. ``BASE`` in a text or a header is the
        server's address.
    """

    code: int = 200
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


Answer = Any
"""A Reply, a body, a function of the request that gives either, or a list of them, the last for ever."""
Routes = Mapping[str, Answer]


@dataclass
class Scripted:
    """Answers ``"METHOD /path?query"`` (a regular expression for all of it) as the routes say.

    :ivar asked: every request, in order.
    """

    routes: Routes
    base: str = ""
    asked: list[Asked] = field(default_factory=list)
    _turns: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, asked: Asked) -> Reply:
        with self._lock:
            self.asked.append(asked)
            for pattern, answer in self.routes.items():
                if re.fullmatch(pattern, str(asked)):
                    return self._reply(pattern, answer, asked)
        return Reply(404, {"error": f"no route for {asked}"})

    def _reply(self, pattern: str, answer: Answer, asked: Asked) -> Reply:
        if isinstance(answer, Turns):
            turn = self._turns.get(pattern, 0)
            self._turns[pattern] = turn + 1
            answer = answer.answers[min(turn, len(answer.answers) - 1)]
        if callable(answer):
            answer = answer(asked)
        return answer if isinstance(answer, Reply) else Reply(200, answer)

    def of(self, pattern: str) -> list[Asked]:
        """Return the requests that match."""
        return [asked for asked in self.asked if re.fullmatch(pattern, str(asked))]


@dataclass(frozen=True)
class Turns:
    """One answer after the other; the last for ever."""

    answers: Sequence[Answer]


def turns(*answers: Answer) -> Turns:
    return Turns(answers)


@contextmanager
def running(routes: Routes) -> Iterator[Scripted]:
    """Run a scripted server on a free port of 127.0.0.1."""
    script = Scripted(routes)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = script.answer(Asked(self.command, self.path, headers, self.rfile.read(length)))
            body, kind = _bytes(reply.body, script.base)
            self.send_response(reply.code)
            given = {
                name.lower(): value.replace("BASE", script.base) for name, value in reply.headers.items()
            }
            for name, value in ({"content-type": kind} | given).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _bytes(body: Any, base: str) -> tuple[bytes, str]:
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    if isinstance(body, str):
        return body.replace("BASE", base).encode(), "text/plain"
    return json.dumps(body).replace("BASE", base).encode(), "application/json"


Check = Callable[[Scripted], None]
