"""Two processes at one submit: the later finds the earlier's intent while that one's request is on its way.

So it is when the supervisor of a task dies and the task itself runs on beside its own retry.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
KEY = "5b8b4b2e-9df4-5a3b-8f0e-0d6f1c2a9b11"
PROCESS = """
import json, os, sys
from pathlib import Path
from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.protocol import Checkpoint, Goal, Job, Stored
from airflow_asyncjob.transport import ConnectionSettings, Narrator, Wire, run
from airflow_asyncjob.hooks.worker import WorkerHands

url, key, path, definition = sys.argv[1:]
kept = Path(path)
stored = Checkpoint.from_dict(json.loads(kept.read_text())) if kept.exists() else None
fence = kept.with_suffix(".fence")
fence.write_text(str(os.getpid()))

def store(checkpoint):
    if fence.read_text() != str(os.getpid()):
        sys.exit("the supervisor is gone: nothing can be stored")
    kept.write_text(json.dumps(checkpoint))

loaded = AsyncJob.load(json.loads(definition), partial=True)
job = Job(loaded, Goal.SUBMITTED, inputs={}, names={}, key=key, checkpoint=stored)
with Wire(ConnectionSettings(base_url=url), limits=loaded.limits) as wire:
    hands = WorkerHands(wire, Narrator(lambda level, text: print(text, flush=True), job), store=store)
    finish = run(job, hands)
if finish.error is not None:
    sys.exit(finish.error.message)
print("submission", finish.submission.id)
"""


@dataclass
class Api:
    """Heeds no key; takes its time for the first submit; lists the names of its jobs."""

    names: list[str] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    looked: threading.Event = field(default_factory=threading.Event)


@contextmanager
def running() -> Iterator[tuple[Api, str]]:
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *ignored: Any) -> None:
            pass

        def answer(self, code: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["name"]
            api.arrived.set()
            api.go_on.wait(60)
            api.names.append(name)
            self.answer(201, {"id": f"job-{len(api.names)}"})

        def do_GET(self) -> None:
            jobs = [{"id": f"job-{place + 1}", "name": name} for place, name in enumerate(api.names)]
            self.answer(200, {"jobs": jobs})
            api.looked.set()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api, f"http://127.0.0.1:{server.server_port}"
    finally:
        api.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


DEFINITION: dict[str, Any] = {
    "submit": {"request": {"url": "/jobs", "json": {"name": "export {{ idempotency_key }}"}}, "id": "id"},
    "list": {"request": {"url": "/jobs"}, "records": "jobs", "id": "id", "marker": "name", "settle": 1},
    "limits": {"exchange_timeout": 15},
}


def start(url: str, path: Path, definition: dict[str, Any]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROCESS, url, KEY, str(path), json.dumps(definition)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def test_the_later_of_two_processes_waits_for_the_request_of_the_earlier(state: Path) -> None:
    with running() as (api, url):
        earlier = start(url, state, DEFINITION)
        assert api.arrived.wait(120)
        later = start(url, state, DEFINITION)
        assert api.looked.wait(120)  # and saw no job yet
        api.go_on.set()
        said, wrong = later.communicate(timeout=240)
        earlier.communicate(timeout=240)
    assert later.returncode == 0, wrong
    assert said.endswith("submission job-1\n")
    assert f"the job 'job-1', which is marked '{KEY}': the submit was accepted, and is not sent again" in said
    assert api.names == [f"export {KEY}"]


def test_a_process_that_was_killed_before_its_request_left_is_followed_by_one_submit(state: Path) -> None:
    """The state is that of a process killed between storing its intent and sending it."""
    with running() as (api, url):
        api.go_on.set()
        intent = {"version": 1, "phase": "intent", "at": 1.0, "key": KEY, "settled_at": 2.0}
        state.write_text(json.dumps(intent))
        one = start(url, state, DEFINITION)
        said, wrong = one.communicate(timeout=240)
    assert one.returncode == 0, wrong
    assert "the submit was not accepted, and is sent again" in said
    assert api.names == [f"export {KEY}"]
