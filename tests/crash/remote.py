"""The remote server of the crash suite: a job API in a process of its own, whose ledger outlives it.

``python -m tests.crash.remote --port PORT --journal FILE`` serves until it is killed. What it has done is in
the journal before anybody can see it, one line of JSON a request; started again with the same journal it has
the same jobs. So the journal is the truth about what was accepted, polled, cancelled and fetched, whatever
died.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_asyncjob.testing.api import Received, Reply
from airflow_asyncjob.testing.generic import GenericApi
from airflow_asyncjob.testing.plan import Job, Plan
from airflow_asyncjob.testing.rows import expected_rows, write_rows
from airflow_asyncjob.testing.server import FakeJobServer

MARK = "x-job-mark"
"""Header of a submit: the mark that the list of jobs shows. It has no other effect."""

_LONGEST_SUBMIT = 20.0
_SHORTEST_DOWNLOAD = 1.5
"""Seconds: of those, an answer to a submit and a download are on their way."""


@dataclass
class Accepted:
    """One job that the server accepted.

    :param tag: of its plan: whose it is.
    :param polls: times at which it was asked for; ``cancels``, ``fetches``: the same.
    """

    id: str
    at: float
    plan: Plan
    tag: str
    key: str | None
    polls: list[float] = field(default_factory=list)
    cancels: list[float] = field(default_factory=list)
    fetches: list[float] = field(default_factory=list)
    cancelled_at: float | None = None

    def running(self, now: float) -> bool:
        """Whether it runs at this time."""
        return not Job(self.id, self.plan, self.at, self.cancelled_at).ended(now)

    def sha256(self) -> str:
        """The hash of its result, made from the plan as the server makes it."""
        out = io.BytesIO()
        rows = expected_rows(self.plan.rows, self.plan.tag, start=0)
        write_rows(out, rows, self.plan.format, zipped=self.plan.gzip)
        return hashlib.sha256(out.getvalue()).hexdigest()


def read_journal(path: Path) -> dict[str, Accepted]:
    """Return what the journal says of each job, by its ID."""
    jobs: dict[str, Accepted] = {}
    for line in _lines(path):
        job_id = line.get("job")
        if line["purpose"] == "submit" and line["created"]:
            plan = Plan.parse(line["body"].encode())
            jobs[job_id] = Accepted(job_id, line["at"], plan, plan.tag, line["key"] or line["mark"])
        elif job_id in jobs:
            kept = {
                "poll": jobs[job_id].polls,
                "cancel": jobs[job_id].cancels,
                "result": jobs[job_id].fetches,
            }
            kept.get(line["purpose"], []).append(line["at"])
            if line["purpose"] == "cancel" and line["code"] == 200:
                jobs[job_id].cancelled_at = line["at"]
    return jobs


def exchanging(path: Path, now: float) -> set[tuple[str, str]]:
    """Return the phase and the tag of the jobs whose submit or download is on its way now, by the journal.

    A submit is from its arrival to its answer, and a download for some seconds after it began.
    """
    found: set[tuple[str, str]] = set()
    tags: dict[str, str] = {}
    for line in _lines(path):
        if line.get("body"):
            tag = json.loads(line["body"]).get("tag", "")
            tags[line.get("job") or ""] = tag
            recent = line["purpose"] == "arrived" and line["at"] > now - _LONGEST_SUBMIT
            (found.add if recent else found.discard)(("submit", tag))
        elif line["purpose"] == "result" and line["at"] > now - _SHORTEST_DOWNLOAD:
            found.add(("download", tags.get(line["job"], "")))
    return found


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):  # one that a SIGKILL cut short was never answered
                yield json.loads(line)


class LedgerApi(GenericApi):
    """The generic API, slow, with a mark in its list, and a journal.

    One request at a time is executed and noted, so that none sees what is not in the journal yet.
    """

    journal: Path
    slowness: float = 0.0
    _one_at_a_time: threading.Lock
    _marks: dict[str, str]

    def open_journal(self, path: Path, slowness: float) -> None:
        """Read what an earlier process left, and write on.

        :param slowness: seconds, at most, by which the answer to a submit is late: half of it before the job
            is made, half of it after.
        """
        self.slowness = slowness
        self._one_at_a_time = threading.Lock()
        self._marks = {}
        for line in _lines(path):
            if line["purpose"] == "submit" and line["created"]:
                job = Job(line["job"], Plan.parse(line["body"].encode()), line["at"])
                self._jobs[job.id] = job
                self._made += 1
                if line["key"]:
                    self._keys[line["key"]] = (hashlib.sha256(line["body"].encode()).digest(), job)
                if line["mark"]:
                    self._marks[job.id] = line["mark"]
            elif line["purpose"] == "cancel" and line["code"] == 200:
                self._jobs[line["job"]].cancelled_at = line["at"]
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def answer(self, request: Received) -> Reply:
        """Execute a request and write it down."""
        route = self.route(request)
        pause = 0.0
        if route.purpose == "submit":
            pause = self._pause(request)
            self._write({"at": self.clock.time(), "purpose": "arrived", "body": request.body.decode()})
        time.sleep(pause / 2)
        with self._one_at_a_time:
            reply = super().answer(request)
            job_id = reply.job_id or route.job_id
            mark = request.headers.get(MARK)
            if reply.created and mark and job_id:
                self._marks[job_id] = mark
            self._note(request, route.purpose, job_id, reply, mark)
        time.sleep(pause / 2)
        return reply

    def _pause(self, request: Received) -> float:
        # From the body alone, so that it is the same whenever the job is submitted.
        return self.slowness * hashlib.sha256(request.body).digest()[0] / 255

    def _note(
        self, request: Received, purpose: str, job_id: str | None, reply: Reply, mark: str | None
    ) -> None:
        submit = purpose == "submit"
        line = {
            "at": self._jobs[job_id].created_at if submit and job_id in self._jobs else self.clock.time(),
            "purpose": purpose,
            "job": job_id,
            "created": reply.created,
            "code": reply.code,
            "key": request.headers.get("idempotency-key") if self.options.idempotency else None,
            "mark": mark,
            "body": request.body.decode() if submit else "",
        }
        self._write(line)

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def _described(self, job: Job, now: float) -> dict[str, Any]:
        return {**super()._described(job, now), "mark": self._marks.get(job.id)}


def serve(port: int, journal: Path, slowness: float) -> FakeJobServer:
    """Start the server in this process; the caller stops it."""
    server = FakeJobServer("generic", port=port)
    server._api.__class__ = LedgerApi
    api: Any = server._api
    api.open_journal(journal, slowness)
    return server.start()


def main(arguments: Mapping[str, Any]) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    server = serve(arguments["port"], arguments["journal"], arguments["slowness"])
    stop.wait()
    server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--slowness", type=float, default=0.0, help="seconds")
    main(vars(parser.parse_args()))
