"""What the histories of the simulation are like: definitions of every kind, weather, crashes, habits."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from airflow_asyncjob.definition.job import AsyncJob
from tests.protocol.fake_api import QUEUED, FakeApi, Weather

MOVING = (2, 3, 8, 9, 14, 15, 20, 21)
"""Numbers of the definitions whose answers name the next status URL."""
UPLOADING = range(36, 48)
"""Numbers of the definitions that upload records, cut into parts."""
LISTED = range(48, 60)
"""Numbers of the definitions of APIs that heed no key, and list the name that the submit gives."""
SETTLE = 45.0
"""Seconds that the list lags behind at most."""


def _definitions() -> list[AsyncJob]:
    """Return definitions of every kind that the protocol tells apart."""
    made = []
    for number in range(60):
        keyed, fail, cancel = number % 2 == 0 and number not in LISTED, number % 3 == 0, number % 4 != 3
        url = "/jobs/{{ submission_id }}"
        data: dict[str, Any] = {
            "submit": {
                "request": {
                    "url": "/jobs",
                    "headers": {"Idempotency-Key": "{{ idempotency_key }}"} if keyed else {},
                },
                "id": "id",
                "capture": {"token": "token"},
                "on_uncertain": "fail" if fail else "resubmit",
            },
            "status": {
                "request": {"url": url},
                **({"from": "submit"} if number % 3 == 1 else {}),
                "path": "status",
                "values": {
                    "running": ["busy", QUEUED],
                    "done": ["ready"],
                    "partial": ["some"],
                    "failed": ["broken"],
                    "timed_out": ["expired"],
                    "cancelled": ["stopped"],
                },
                "message": "message",
                "progress": "progress",
                "unknown": "running" if number % 5 else "fail",
                "unknown_times": 3,
                "initial_wait": (0, 5, 60, 0)[number % 4],
                "poll_wait": (10, 30, 2)[number % 3],
                "growth": (1, 1.5)[number % 2],
                "longest_wait": (60, None)[number % 2],
                "timeout": (200, 600, 3600, 90)[number % 4],
                **({"queued": QUEUED, "queue_timeout": 70} if number % 5 == 2 else {}),
                "poll_error_budget": (10, 3, 0, 5)[number % 4],
            },
            "result": {"target": "urls"},
            "limits": {"retries": (5, 2, 0)[number % 3]},
        }
        if number % 4 == 1:
            data["status"]["log"] = {"request": {"url": f"{url}/log"}}
        if number in LISTED:
            data["submit"]["request"]["json"] = {"name": "export {{ idempotency_key }}"}
            data["list"] = _list(paged=number % 3 == 0)
        if 24 <= number < 48 or number >= 54:
            again = (None, True, False)[number // 2 % 3] if number in UPLOADING else None
            steps = _by_steps(keyed=keyed, put=number % 3 == 0, uploads=number in UPLOADING, again=again)
            if number in LISTED:
                steps["steps"][0]["request"]["json"] = data["submit"]["request"]["json"]
            data["submit"] = {**data["submit"], **steps}
            del data["submit"]["request"]
        if number in UPLOADING:
            data["inputs"] = {"records": {"type": "records"}}
        if number in MOVING:
            data["submit"]["capture"]["at"] = "at"
            data["status"]["capture"] = {"at": "at"}
            data["status"]["request"]["url"] = f"{url}?at={{{{ captures.at }}}}"
        if cancel:
            data["cancel"] = {"method": "DELETE", "url": url}
        made.append(AsyncJob.load(data))
    return made


def _list(*, paged: bool) -> dict[str, Any]:
    """Return how to ask for the list, at once or page by page."""
    request: dict[str, Any] = {"url": "/jobs"}
    more: dict[str, Any] = {}
    if paged:
        request["params"] = {"after": "{{ next }}"}
        more = {"paginate": {"next": "next"}}
    read = {"records": "jobs", "id": "id", "submitted_at": "created", "marker": "name"}
    return {"request": request, **read, "settle": SETTLE, **more}


def _by_steps(*, keyed: bool, put: bool, uploads: bool, again: bool | None) -> dict[str, Any]:
    """Return a submit in steps: create, upload each part, start.

    :param uploads: the parts are those of an upload; else a list that the first answer gives.
    :param again: what the definition says of a part that is sent again.
    """

    def headers(more: str) -> dict[str, str]:
        return {"Idempotency-Key": f"{{{{ idempotency_key }}}}-{more}"} if keyed else {}

    draft = "/drafts/{{ captures.draft }}"
    part = "{{ part.number }}" if uploads else "{{ item }}"
    upload: dict[str, Any] = {"method": "PUT" if put else "POST", "url": f"{draft}/{part}"}
    if not put:
        upload["headers"] = headers(part)
    if uploads:
        upload["part"] = True
    steps = [
        {
            "name": "create",
            "request": {"url": "/drafts", "headers": headers("draft")},
            "capture": {"draft": "draft", "parts": "parts"},
        },
        {
            "name": "upload",
            "each": "{{ parts }}" if uploads else "{{ captures.parts }}",
            "again": again,
            "request": upload,
            "capture": {"tags": "tag"},
        },
        {"name": "start", "request": {"url": f"{draft}/start", "headers": headers("start")}},
    ]
    more = {"upload": {"source": "{{ inputs.records }}", "part_records": 10}} if uploads else {}
    return {"steps": steps, "id": "id", **more}


DEFINITIONS = _definitions()


@dataclass
class Plan:
    """What one history is like; probabilities are for each command or exchange.

    :param crash: that a process dies.
    :param orphans: that what dies is its supervisor, while it runs on.
    :param hand_over: that a wait is carried on by another process, on purpose.
    :param wake: that a wait is cut short on purpose, as by a webhook.
    :param stop_at: after so many commands somebody wishes the job to stop; None: nobody does.
    :param retries: new processes after an error that may be retried.
    :param two_steps: one process submits, another waits.
    :param trigger: what waits cannot store anything.
    :param twins: two processes from the start, that know nothing of each other.
    :param jumps: that the clock is set back.
    :param leaps: that it is set forward, and perhaps back again.
    :param events: that the API sends an event, perhaps twice, late, or about another job.
    :param sleeps_by_clock: a wait is over when the clock says so; else, when so much time has passed.
    :param listed: the API heeds no key, and its list shows what a submit has made.
    :param two_triggers: two processes wait for the job that another one submitted.
    :param moving: each answer names the next status URL.
    :param changes_at: true time at which the source of an upload changes; None: never, as with twins, which
        could not know of one another's parts.
    :param unreadable: that the source of an upload cannot be read just now.
    :param slow: seconds that a request or an answer takes at most.
    :param fresh: whether a job that ended well is looked at once more, for its target as it is then.
    """

    definition: AsyncJob
    keyed: bool
    weather: Weather
    crash: float
    orphans: float
    hand_over: float
    wake: float
    stop_at: int | None
    retries: int
    two_steps: bool
    trigger: bool
    twins: bool
    jumps: float
    leaps: float
    events: float
    sleeps_by_clock: bool
    moving: bool
    slow: float
    fresh: bool
    listed: bool = False
    two_triggers: bool = False
    changes_at: float | None = None
    unreadable: float = 0.0


def _weather(rng: random.Random) -> Weather:
    kind = rng.random()
    if kind < 0.25:
        return Weather()
    scale = 0.03 if kind < 0.6 else 0.12 if kind < 0.9 else 0.3
    shares = {
        name: rng.random() * scale if rng.random() < 0.6 else 0.0
        for name in (
            "not_sent",
            "lost_before",
            "lost_after",
            "error_before",
            "error_after",
            "busy",
            "html",
            "empty",
        )
    }
    down = None
    if rng.random() < 0.15:
        start = rng.random() * 600
        down = (start, start + rng.choice((20, 200, 5000)))
    return Weather(
        **shares,
        denied=rng.choice((0, 0, 0, 0.02, 0.2)),
        strange=rng.choice((0, 0, 0.05, 0.5)),
        refused=rng.choice((0, 0, 0, 0, 0.02)),
        down=down,
    )


def make_plan(rng: random.Random) -> Plan:
    number = rng.randrange(len(DEFINITIONS))
    listed = number in LISTED
    keyed = number % 2 == 0 and not listed
    two_steps = rng.random() < 0.3
    moving = number in MOVING
    twins = keyed and rng.random() < 0.1 and not moving
    return Plan(
        definition=DEFINITIONS[number],
        keyed=keyed,
        weather=_weather(rng),
        crash=rng.choice((0, 0, 0.02, 0.1, 0.3)),
        orphans=0 if moving else rng.choice((0, 0, 0.5)),
        hand_over=rng.choice((0, 0, 0.1, 1.0)),
        wake=rng.choice((0, 0, 0, 0.05)),
        stop_at=rng.randrange(25) if not twins and rng.random() < 0.2 else None,
        retries=rng.choice((0, 1, 3)),
        two_steps=two_steps,
        trigger=two_steps and rng.random() < 0.5,
        twins=twins,
        jumps=rng.choice((0, 0, 0, 0.1)),
        leaps=rng.choice((0, 0, 0, 0.05)),
        events=0 if twins else rng.choice((0, 0, 0.1)),
        sleeps_by_clock=rng.random() < 0.5,
        moving=moving,
        slow=rng.choice((0.1, 0.1, 3.0, 40.0)),
        fresh=rng.random() < 0.4,
        listed=listed,
        two_triggers=two_steps and rng.random() < 0.2 and not moving,
        changes_at=rng.random() * 60 if rng.random() < 0.2 and not twins else None,
        unreadable=rng.choice((0, 0, 0.2)),
    )


def make_api(rng: random.Random, plan: Plan) -> FakeApi:
    assert plan.definition.status is not None
    assert plan.definition.submit is not None
    timeout = plan.definition.status.timeout
    return FakeApi(
        rng,
        plan.weather,
        keyed=plan.keyed,
        duration=rng.choice((0.0, 3.0, timeout * rng.random(), timeout * 0.99, timeout * 2)),
        end=rng.choice(("done", "done", "done", "partial", "failed", "timed_out", "cancelled")),
        empty=rng.random() < 0.2,
        invisible=rng.choice((0, 0, 0, 4, 80)),
        kept=rng.choice((1e9, 1e9, 1e9, 50)),
        parts=rng.choice((0, 1, 3)) if plan.definition.submit.upload is None else rng.choice((1, 2, 4)),
        skew=rng.choice((0, 0, 5000, -5000)),
        queued=rng.choice((0, 0, 40, 1e9)),
        moves=plan.moving,
        lags=rng.choice((0, 0, 3, SETTLE - 1)),
    )


def described(plan: Plan, api: FakeApi) -> str:
    """Return what a history is like, for its story."""
    definition = f"definition {DEFINITIONS.index(plan.definition)}"
    hidden = ("definition", "weather")
    like = {name: value for name, value in vars(plan).items() if value and name not in hidden}
    troubles = {
        name: round(value, 3)
        for name, value in vars(plan.weather).items()
        if isinstance(value, float) and value
    }
    ending = f"{api.end} after {api.duration:.1f} s"
    return f"{definition}, {like}, {troubles}, down {plan.weather.down}, {ending}"
