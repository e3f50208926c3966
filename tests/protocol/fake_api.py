"""A strict fake API for the simulation: what it did is in its ledger, whatever the client was told."""

from __future__ import annotations

import collections
import json
import random
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from airflow_asyncjob.protocol import Event, Failed, Fault, Purpose, Responded, Response, Send

WORDS = {
    "running": "busy",
    "done": "ready",
    "no_data": "nothing",
    "partial": "some",
    "failed": "broken",
    "timed_out": "expired",
    "cancelled": "stopped",
}
QUEUED = "waiting"
HTML = b"<!doctype html><html><body>Please log in</body></html>"


@dataclass
class RemoteJob:
    """One accepted job, as it really is. Times are true times."""

    id: int
    key: str
    accepted_at: float
    ends_at: float
    end: str
    visible_at: float
    vanishes_at: float
    empty: bool = False
    cancelled_at: float | None = None
    starts_at: float = 0.0
    draft: bool = False
    """It was made of a draft, which bears the name."""
    turn: int = 0
    """Names the status URL that is asked next; the one before still works, for an answer that was lost."""

    def state(self, now: float) -> str:
        if self.cancelled_at is not None and self.cancelled_at < self.ends_at:
            return "cancelled"
        if now < self.ends_at:
            return "running"
        return "no_data" if self.end == "done" and self.empty else self.end

    def targets(self) -> list[str]:
        return [f"/files/{self.id}/{n}" for n in range(2)]


@dataclass
class Draft:
    """One created job that was not started yet.

    :param uploads: how often each part was uploaded, repeats under the same key aside.
    :param marks: of the sources that they were cut from.
    """

    id: int
    key: str
    parts: list[str]
    made_at: float = 0.0
    uploads: collections.Counter[str] = field(default_factory=collections.Counter)
    marks: set[str] = field(default_factory=set)


@dataclass
class Weather:
    """How badly it goes: the probability of each kind of trouble, for one exchange."""

    not_sent: float = 0.0
    lost_before: float = 0.0
    lost_after: float = 0.0
    error_before: float = 0.0
    error_after: float = 0.0
    busy: float = 0.0
    html: float = 0.0
    empty: float = 0.0
    denied: float = 0.0
    strange: float = 0.0
    refused: float = 0.0
    retry_after: float = 0.3
    down: tuple[float, float] | None = None


@dataclass
class FakeApi:
    """Answers requests; knows nothing of the protocol but its messages."""

    rng: random.Random
    weather: Weather
    keyed: bool
    duration: float
    end: str
    empty: bool
    invisible: float
    kept: float
    skew: float = 0.0
    queued: float = 0.0
    parts: int = 0
    drafts: list[Draft] = field(default_factory=list)
    moves: bool = False
    lags: float = 0.0
    """Seconds until the list shows what was made."""
    looks: int = 0
    stale: bool = False
    """A status URL was asked that has not been valid for long."""
    jobs: list[RemoteJob] = field(default_factory=list)
    creds_ok: bool = True
    submits: int = 0
    polls: int = 0
    cancels: int = 0
    wall: float = 0.0
    mark: str = ""
    """Of the source that the part of this request was cut from."""

    def exchange(self, command: Send, now: float) -> Event:
        """Do what a request asks for, and return what reaches the client.

        :param now: true time at which the request arrives.
        """
        weather, roll = self.weather, self.rng.random()
        if command.purpose is Purpose.SUBMIT:
            self.submits += 1
        elif command.purpose is Purpose.POLL:
            self.polls += 1
        elif command.purpose is Purpose.CANCEL:
            self.cancels += 1
        elif command.purpose is Purpose.LIST:
            self.looks += 1
        if weather.down and weather.down[0] <= now < weather.down[1]:
            return Failed(Fault.NOT_SENT, "POST /x", "no connection")
        trouble = self._before(roll)
        if trouble is not None:
            return trouble
        if not self.creds_ok or self.rng.random() < weather.denied:
            self.creds_ok = False
            return self._answer(401, {"error": "who are you?"})
        event = self._do(command, now)
        if self.rng.random() < weather.lost_after:
            return Failed(Fault.LOST, "POST /x", "reset after the request was sent")
        if self.rng.random() < weather.error_after:
            return self._answer(self.rng.choice((500, 502, 504)), {"error": "sorry"})
        return event

    def _before(self, roll: float) -> Event | None:
        """Return a trouble that comes before anything is done."""
        weather = self.weather
        if (roll := roll - weather.not_sent) < 0:
            return Failed(Fault.NOT_SENT, "POST /x", "connection refused")
        if (roll := roll - weather.lost_before) < 0:
            return Failed(Fault.LOST, "POST /x", "timed out")
        if (roll := roll - weather.error_before) < 0:
            return self._answer(503, {"error": "overloaded"}, self._hint())
        if (roll := roll - weather.busy) < 0:
            return self._answer(429, {"error": "slow down"}, self._hint())
        if roll - weather.refused < 0:
            return self._answer(400, {"error": "bad request"})
        return None

    def _hint(self) -> dict[str, str]:
        if self.rng.random() >= self.weather.retry_after:
            return {}
        seconds = self.rng.choice((0, 1, 7, 45, 400, 4000, 40 * 365 * 86400, 10**22))
        if self.rng.random() < 0.5 or seconds > 10**12:
            return {"retry-after": str(seconds)}
        sent = self.wall + self.skew
        return {"retry-after": formatdate(sent + seconds, usegmt=True), "date": formatdate(sent, usegmt=True)}

    def _do(self, command: Send, now: float) -> Event:
        if command.purpose is Purpose.SUBMIT:
            step = command.step.partition(" ")[0]
            return {"create": self._create, "upload": self._upload}.get(step, self._submit)(command, now)
        if command.purpose is Purpose.LIST:
            return self._list(command, now)
        job = self.find(command.names["submission_id"])
        assert job is not None, "a request for an ID that was never given"
        if command.purpose is Purpose.POLL:
            return self._poll(command, job, now)
        if command.purpose is Purpose.LOG:
            return self._answer(200, f"log of {job.id}, which {job.state(now)}".encode())
        return self._cancel(job, now)

    def find(self, job_id: str) -> RemoteJob | None:
        return next((job for job in self.jobs if str(job.id) == job_id), None)

    def draft_of(self, command: Send) -> Draft:
        """Return the draft that a later step is about."""
        return self.drafts[command.names["captures"]["draft"] - 1]

    def _list(self, command: Send, now: float) -> Event:
        """Answer with what was made, one a page where pages are asked for; others have jobs there too."""
        made: list[dict[str, Any]] = [{"id": "theirs", "name": "of somebody else", "created": None}]
        for job in self.jobs:
            if not job.draft and now >= job.accepted_at + self.lags:
                created = job.accepted_at + self.wall - now
                made.append(
                    {"id": job.id, "name": f"export {job.key}", "created": created, "token": f"t{job.id}"}
                )
        for draft in self.drafts:
            if now >= draft.made_at + self.lags:
                made.append(
                    {
                        "id": f"d{draft.id}",
                        "name": draft.key,
                        "created": draft.made_at + self.wall - now,
                        "draft": draft.id,
                        "parts": draft.parts,
                    }
                )
        if self.rng.random() < self.weather.html:
            return self._answer(200, HTML)
        if "next" not in command.names:
            return self._answer(200, {"jobs": made})
        place = command.names["next"] or 0
        follows = place + 1 if place + 1 < len(made) else None
        return self._answer(200, {"jobs": made[place : place + 1], "next": follows})

    def _create(self, command: Send, now: float) -> Event:
        key = command.names["idempotency_key"]
        known = next((draft for draft in self.drafts if draft.key == key), None) if self.keyed else None
        if known is None:
            known = Draft(len(self.drafts) + 1, key, [f"p{n}" for n in range(self.parts)], made_at=now)
            self.drafts.append(known)
        return self._done({"draft": known.id, "parts": known.parts})

    def _upload(self, command: Send, now: float) -> Event:
        draft, names = self.draft_of(command), command.names
        uploads, part = draft.uploads, names["item"] if "item" in names else f"p{names['part']['number'] - 1}"
        draft.marks.add(self.mark)
        if not (self.keyed and uploads[part]):
            uploads[part] += 1
        return self._done({"tag": f"tag of {part}"})

    def _done(self, body: dict[str, Any]) -> Event:
        if self.rng.random() < self.weather.html:
            return self._answer(200, HTML)
        return self._answer(202, body, self._hint() if self.rng.random() < 0.1 else {})

    def _submit(self, command: Send, now: float) -> Event:
        key = command.names["idempotency_key"]
        known = next((job for job in self.jobs if job.key == key), None) if self.keyed else None
        if known is None:
            ends_at = now + self.duration
            known = RemoteJob(
                len(self.jobs) + 1,
                key,
                now,
                ends_at,
                self.end,
                now + self.invisible,
                ends_at + self.kept,
                self.empty,
                starts_at=now + self.queued,
                draft=command.step != "",
            )
            self.jobs.append(known)
        if self.rng.random() < self.weather.html:
            return self._answer(200, HTML)
        hint = self._hint() if self.rng.random() < 0.3 else {}
        told = {"id": known.id, "token": f"t{known.id}"}
        return self._answer(202, told | self._described(known, now), hint)

    def _poll(self, command: Send, job: RemoteJob, now: float) -> Event:
        if now < job.visible_at:
            return self._answer(404, {"error": "no such job"})
        if now >= job.vanishes_at:
            return self._answer(self.rng.choice((404, 410)), {"error": "expired"})
        if "at" in command.names["captures"] and self.moves:
            asked = int(command.names["captures"]["at"])
            self.stale = self.stale or asked < job.turn - 1
            job.turn += asked == job.turn
        roll = self.rng.random()
        if roll < self.weather.html:
            return self._answer(200, HTML)
        if roll < self.weather.html + self.weather.empty:
            return self._answer(200, b"")
        state = job.state(now)
        if state == "running" and self.rng.random() < self.weather.strange:
            return self._answer(200, {"status": "puzzled", "at": str(job.turn)})
        body = self._described(job, now)
        return self._answer(200, body, self._hint() if self.rng.random() < 0.2 else {})

    def _described(self, job: RemoteJob, now: float) -> dict[str, Any]:
        state = job.state(now)
        word = QUEUED if state == "running" and now < job.starts_at else WORDS[state]
        body: dict[str, Any] = {
            "status": word,
            "at": str(job.turn),
            "progress": 50,
            "message": f"it is {state}",
        }
        if state in ("done", "partial"):
            body["urls"] = job.targets()
        elif state == "no_data":
            body["status"], body["urls"] = WORDS["done"], []
        return body

    def _cancel(self, job: RemoteJob, now: float) -> Event:
        if now >= job.vanishes_at:
            return self._answer(404, {"error": "no such job"})
        if job.state(now) != "running":
            return self._answer(409, {"error": "over already"})
        job.cancelled_at = now
        return self._answer(204, b"")

    def _answer(
        self, code: int, body: bytes | dict[str, Any], headers: dict[str, str] | None = None
    ) -> Responded:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Responded(Response(code, headers or {}, content, "/x", "POST /x", content.decode()))
