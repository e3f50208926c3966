"""Driving a machine by hand in tests: definitions, answers, and a drive that records its way through the
table."""

from __future__ import annotations

import json
from typing import Any

from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.errors import AsyncJobError
from airflow_asyncjob.protocol import (
    Checkpoint,
    Command,
    Event,
    Failed,
    Fault,
    Finish,
    Goal,
    Job,
    Outcome,
    Purpose,
    Refreshed,
    Responded,
    Response,
    Send,
    Store,
    Stored,
    Submission,
    Wait,
    Woken,
)
from airflow_asyncjob.protocol.transitions import Phase, Verdict

NOW = 1_700_000_000.0
KEY = "dag/run/task/0/1"
SUBMISSION = Submission("7", NOW - 1000, {"token": "t"})
S, W = Stored(), Woken()
CHANGED, UNCHANGED = Refreshed(True), Refreshed(False)
NOT_SENT = Failed(Fault.NOT_SENT, "POST https://api.example.com/jobs", "connection refused")
LOST = Failed(Fault.LOST, "POST https://api.example.com/jobs", "reset by peer after 3 s")
TOO_LARGE = Failed(
    Fault.TOO_LARGE, "GET https://api.example.com/jobs/7", "more than 8388608 bytes (limits.response_bytes)"
)
BAD_URL = Failed(Fault.REFUSED, "GET nowhere", "the URL has no host")


def deep(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a copy with nested changes; a value of None takes the key away."""
    merged = dict(base)
    for name, value in changes.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = deep(merged[name], value)
        else:
            merged[name] = value
    return merged


BASE: dict[str, Any] = {
    "name": "example/export",
    "submit": {
        "request": {"url": "/jobs", "headers": {"Idempotency-Key": "{{ idempotency_key }}"}},
        "id": "id",
    },
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {
            "running": ["busy"],
            "done": ["ready"],
            "no_data": ["nothing"],
            "partial": ["some"],
            "failed": ["broken"],
            "timed_out": ["expired"],
            "cancelled": ["stopped"],
        },
        "message": "message",
        "progress": "progress",
        "initial_wait": 60,
        "poll_wait": 10,
        "jitter": 0,
        "timeout": 3600,
    },
    "result": {"target": "urls"},
    "cancel": {"method": "DELETE", "url": "/jobs/{{ submission_id }}"},
    "delete": {"method": "DELETE", "url": "/jobs/{{ submission_id }}/files"},
}
NO_KEY: dict[str, Any] = {"submit": {"request": {"headers": None}}}
NO_KEY_FAIL: dict[str, Any] = {"submit": {"request": {"headers": None}, "on_uncertain": "fail"}}
LISTED: dict[str, Any] = {
    "submit": {"request": {"headers": None, "json": {"name": "export {{ idempotency_key }}"}}},
    "list": {
        "request": {"url": "/jobs"},
        "records": "jobs",
        "id": "id",
        "submitted_at": "created",
        "marker": "name",
        "settle": 20,
    },
}
"""An API that heeds no key, and shows in its list the name that the submit gives a job."""
LISTED_STEPS: dict[str, Any] = {
    "submit": {
        "request": None,
        "steps": [
            {
                "name": "create",
                "request": {"url": "/jobs", "json": {"name": "{{ idempotency_key }}"}},
                "capture": {"job": "id"},
            },
            {"name": "start", "request": {"url": "/jobs/{{ captures.job }}/start"}},
        ],
        "id": "{{ captures.job }}",
    },
    "list": LISTED["list"],
}
"""The same, with a submit by steps."""
OURS: dict[str, Any] = {"id": 7, "name": f"export {KEY}", "token": "t"}
NO_CANCEL: dict[str, Any] = {"cancel": None}


def definition(*changes: dict[str, Any]) -> AsyncJob:
    """Return the definition of an API with a key, with changes."""
    data = BASE
    for change in changes:
        data = deep(data, change)
    return AsyncJob.load(data, partial=True)


def answer(code: int = 200, body: Any = None, headers: dict[str, str] | None = None) -> Responded:
    """Return an answer; a body that is neither bytes nor None is written as JSON."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    sent = "GET https://api.example.com/jobs/7"
    return Responded(
        Response(
            code, headers or {}, content, "https://api.example.com/x?k=secret", sent, content.decode()[:200]
        )
    )


ACCEPTED = answer(202, {"id": 7})
BUSY = answer(200, {"status": "busy", "progress": 50})
READY = answer(200, {"status": "ready", "urls": ["/files/1"]})
HTML = answer(200, b"<!DOCTYPE html><html><body>Log in</body></html>")
DENIED = answer(401, {"error": "token expired"})
SLOW_DOWN = answer(429, {"error": "slow down"}, {"retry-after": "120"})
SORRY = answer(503, {"error": "overloaded"})


class Recorded(Job):
    """A job that remembers its way through the table."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.trail: list[tuple[Phase, Verdict]] = []

    def _heeded(self, verdict: Verdict) -> Verdict:
        heeded = super()._heeded(verdict)
        self.trail.append((self.phase, heeded))
        return heeded


class Drive:
    """A job with a clock that jumps over every wait."""

    def __init__(
        self,
        *changes: dict[str, Any],
        goal: Goal = Goal.ENDED,
        now: float = NOW,
        key: str = KEY,
        checkpoint: Checkpoint | dict[str, Any] | None = None,
        submission: Submission | None = None,
        deadline: float | None = None,
        attempt: int = 1,
        inputs: dict[str, Any] | None = None,
    ) -> None:
        self.definition = definition(*changes)
        self.now = now
        if isinstance(checkpoint, dict):
            checkpoint = Checkpoint.from_dict({"version": 1, "key": key, **checkpoint})
        self.job = Recorded(
            self.definition,
            goal,
            inputs=inputs or {},
            names={"ds": "2026-01-01"},
            key=key,
            checkpoint=checkpoint,
            submission=submission,
            deadline=deadline,
            attempt=attempt,
        )
        self.stored: list[dict[str, Any]] = []
        self.sent: list[tuple[float, Send]] = []
        self._last: Command | None = None

    @property
    def command(self) -> Command:
        """The outstanding command."""
        command = self.job.next(self.now)
        if command is not self._last:
            self._last = command
            if isinstance(command, Store):
                self.stored.append(json.loads(json.dumps(command.checkpoint)))
            if isinstance(command, Send):
                self.sent.append((self.now, command))
        return command

    def tell(self, event: Event, took: float = 0.0) -> Drive:
        """Tell what came of the outstanding command, which took some seconds; a wait takes as long as it
        says."""
        command = self.command
        if isinstance(command, Wait) and isinstance(event, Woken):
            self.now = max(self.now, command.until)
        self.now += took
        self.job.tell(event, self.now)
        _ = self.command
        return self

    def tell_all(self, *events: Event) -> Drive:
        """Tell one event after the other."""
        for event in events:
            self.tell(event)
        return self

    def store_all(self) -> Drive:
        """Answer every store until another command is outstanding."""
        while isinstance(self.command, Store):
            self.tell(S)
        return self

    def until_send(self) -> Send:
        """Answer stores and waits until a request is to be sent; return it."""
        while isinstance(self.command, (Store, Wait)):
            self.tell(S if isinstance(self.command, Store) else W)
        assert isinstance(self.command, Send), self.command
        return self.command

    def until_finish(self) -> Finish:
        """Answer stores and waits until the end; return it."""
        while isinstance(self.command, (Store, Wait)):
            self.tell(S if isinstance(self.command, Store) else W)
        assert isinstance(self.command, Finish), self.command
        return self.command

    def wait(self) -> Wait:
        """Return the outstanding wait."""
        assert isinstance(self.command, Wait), self.command
        return self.command

    def stop(self) -> Drive:
        """Wish that the job stops, and give up what is outstanding."""
        _ = self.command
        self.job.cancel(self.now)
        _ = self.command
        return self


def waiting(*changes: dict[str, Any], **kwargs: Any) -> Drive:
    """Return a drive that attached to the job 7, whose first poll is due."""
    return Drive(*changes, submission=kwargs.pop("submission", SUBMISSION), **kwargs)


def polling(*changes: dict[str, Any], **kwargs: Any) -> Drive:
    """Return a drive with a poll outstanding."""
    drive = waiting(*changes, **kwargs)
    drive.until_send()
    return drive


def purposes(drive: Drive) -> list[str]:
    return [send.purpose for _, send in drive.sent]


ACCEPTED_CANCEL = answer(204)


def cancelled(drive: Drive, event: Any = ACCEPTED_CANCEL) -> Drive:
    """Answer the cancel and go to the end."""
    assert drive.until_send().purpose is Purpose.CANCEL
    drive.tell(event).until_finish()
    return drive


def outcome_of(event: Any, *changes: dict[str, Any]) -> Outcome:
    """Return the outcome that the answer to a poll gives."""
    finish = polling(*changes).tell(event).until_finish()
    assert finish.outcome is not None, finish
    return finish.outcome


def error_of(event: Any, *changes: dict[str, Any]) -> AsyncJobError:
    """Return the error that the answer to a poll gives."""
    finish = polling(*changes).tell(event).until_finish()
    assert finish.error is not None, finish
    return finish.error


def goes_on(event: Any, *changes: dict[str, Any]) -> Drive:
    """Return a drive that waits for the next poll after this answer."""
    drive = polling(*changes).tell(event).store_all()
    assert isinstance(drive.command, Wait), drive.command
    return drive
