"""The log of a job, as a person reads it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.errors import RefusedError
from airflow_asyncjob.protocol import Goal, Job
from airflow_asyncjob.protocol.messages import (
    BodyBroken,
    BodyEnded,
    Failed,
    Fault,
    Finish,
    Outcome,
    Purpose,
    Receive,
    Refresh,
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
from airflow_asyncjob.transport.driver import run
from airflow_asyncjob.transport.narrate import Narrator, clock_time, duration
from tests.transport.wires import asks

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
API = "https://api.example.com"


def definition(**status: Any) -> AsyncJob:
    return AsyncJob.load(
        {
            "submit": {"request": {"url": "/jobs", "json": {}}, "id": "id"},
            "status": {
                "request": {"url": "/jobs/{{ submission_id }}"},
                "path": "status",
                "values": {"running": ["pending", "working"], "done": ["ready"], "failed": ["failure"]},
                "progress": "percent",
                "message": "message",
                "initial_wait": 30,
                "poll_wait": 10,
                "jitter": 0,
                **status,
            },
            "cancel": {"method": "DELETE", "url": "/jobs/{{ submission_id }}"},
        }
    )


class Played:
    """Hands that play answers, and tell them to a narrator."""

    def __init__(self, machine: Job, *answers: Response | Failed) -> None:
        self.now = NOW
        self.lines: list[str] = []
        self.levels: list[int] = []
        self.answers = iter(answers)
        self.narrator = Narrator(self.say, machine, clock=lambda: self.now)

    def say(self, level: int, line: str) -> None:
        self.levels.append(level)
        self.lines.append(line)

    def send(self, command: Send) -> Responded | Failed:
        answer = next(self.answers)
        return answer if isinstance(answer, Failed) else Responded(answer)

    def wait(self, command: Wait) -> Woken:
        self.now = command.until
        return Woken()

    def store(self, command: Store) -> Stored:
        return Stored()

    def refresh(self, command: Refresh) -> Refreshed:
        return Refreshed(changed=False)

    def receive(self, command: Receive) -> BodyEnded:
        raise AssertionError("a job has no body")

    def observe(self, command: Any, event: Any) -> None:
        self.narrator.observe(command, event)


def answer(body: str, code: int = 200, sent: str = f"GET {API}/jobs/7f3a", **headers: str) -> Response:
    raw = body.encode()
    return Response(
        code, {"content-type": "application/json", **headers}, raw, f"{API}/jobs", sent, body, 0.084
    )


SUBMITTED = answer('{"id": "7f3a"}', 201, f"POST {API}/jobs")


def told(*answers: Response | Failed, goal: Goal = Goal.ENDED, **status: Any) -> Played:
    machine = Job(definition(**status), goal, inputs={}, names={}, key="k")
    hands = Played(machine, *answers)
    run(machine, hands, clock=lambda: hands.now)
    return hands


def test_the_log_of_a_job_that_goes_well() -> None:
    hands = told(
        SUBMITTED,
        answer('{"status": "pending"}'),
        answer('{"status": "pending"}'),
        answer('{"status": "working", "percent": 40}'),
        answer('{"status": "working", "percent": 40}'),
        answer('{"status": "ready", "percent": 100, "message": "7 rows"}'),
    )
    assert hands.lines == [
        f"POST {API}/jobs 201 in 0.08 s",
        "Submitted: job 7f3a",
        "Next poll at 08:00:30 UTC, in 30 s",
        f"GET {API}/jobs/7f3a 200 in 0.08 s: pending. Next poll at 08:00:40 UTC, in 10 s",
        f"GET {API}/jobs/7f3a 200 in 0.08 s: pending. Next poll at 08:00:50 UTC, in 10 s",
        f"GET {API}/jobs/7f3a 200 in 0.08 s: pending -> working, progress 40. "
        "Next poll at 08:01:00 UTC, in 10 s",
        f"GET {API}/jobs/7f3a 200 in 0.08 s: working. Next poll at 08:01:10 UTC, in 10 s",
        f"GET {API}/jobs/7f3a 200 in 0.08 s: working -> ready, progress 100. "
        "Job 7f3a is done after 1 min 10 s, 5 polls: 7 rows",
    ]
    assert set(hands.levels) == {logging.INFO}


def test_polls_that_fail_say_why_and_how_many_may() -> None:
    hands = told(
        SUBMITTED,
        answer("", 503),
        Failed(
            Fault.NOT_SENT, f"GET {API}/jobs/7f3a", "no connection to api.example.com:443: Connection refused"
        ),
        answer("<html>\n Sign   in</html>"),
        answer('{"status": "ready"}'),
        initial_wait=0,
        poll_error_budget=4,
    )
    polls = [line for line in hands.lines if line.startswith("GET")]
    assert polls[0].startswith(
        f"GET {API}/jobs/7f3a 503 in 0.08 s (poll error 1 of 4). Next poll at 08:00:10 UTC"
    )
    refused = "no connection to api.example.com:443: Connection refused"
    assert polls[1].startswith(f"GET {API}/jobs/7f3a failed: {refused} (poll error 2 of 4). ")
    assert (
        "200 in 0.08 s: the status cannot be read from '<html> Sign in</html>' (poll error 3 of 4). "
        in polls[2]
    )
    assert polls[3] == f"GET {API}/jobs/7f3a 200 in 0.08 s: ready. Job 7f3a is done after 30 s, 1 poll"
    assert hands.levels[-4:] == [logging.WARNING] * 3 + [logging.INFO]


def test_the_poll_that_exhausts_the_budget_says_why_too() -> None:
    page = answer("<html>\n Sign   in</html>")
    hands = told(SUBMITTED, answer("", 503), page, initial_wait=0, poll_error_budget=1)
    assert hands.lines[-1] == (
        f"GET {API}/jobs/7f3a 200 in 0.08 s: the status cannot be read from '<html> Sign in</html>' "
        "(poll error 2, and 1 in a row are allowed)"
    )
    assert hands.levels[-1] == logging.WARNING


def test_a_poll_that_is_final_is_not_counted() -> None:
    hands = told(SUBMITTED, answer('{"status": "pending"}'), answer('{"error": "gone"}', 404))
    assert hands.lines[-1] == f'GET {API}/jobs/7f3a 404 in 0.08 s: {{"error": "gone"}}'
    assert hands.levels[-1] == logging.WARNING


def test_a_job_that_fails_is_a_warning_with_its_message() -> None:
    hands = told(SUBMITTED, answer('{"status": "failure", "message": "no\\nsuch segment"}'))
    assert hands.lines[-1].endswith(": failure. Job 7f3a is failed after 30 s, 1 poll: no such segment")
    assert hands.levels[-1] == logging.WARNING


def test_a_deadline_is_told_with_the_last_look_and_the_cancel() -> None:
    pending = answer('{"status": "pending"}')
    cancelled = answer("", 204, f"DELETE {API}/jobs/7f3a")
    hands = told(SUBMITTED, pending, pending, cancelled, timeout=35)
    assert hands.lines[-4].endswith(": pending. Last look, at the deadline: 08:00:40 UTC, in 10 s")
    assert hands.lines[-3] == f"GET {API}/jobs/7f3a 200 in 0.08 s: pending"
    assert hands.lines[-2] == f"DELETE {API}/jobs/7f3a 204 in 0.08 s"
    assert hands.lines[-1].startswith(
        "Job 7f3a is timed_out after 40 s, 2 polls: not ended before the deadline"
    )


def test_a_submit_is_told_once() -> None:
    hands = told(SUBMITTED, goal=Goal.SUBMITTED)
    assert hands.lines == [f"POST {API}/jobs 201 in 0.08 s", "Submitted: job 7f3a"]


def test_a_job_that_is_attached_to_is_not_said_to_be_submitted() -> None:
    submission = Submission("7f3a", NOW - 100)
    machine = Job(definition(), Goal.ENDED, inputs={}, names={}, key="", submission=submission)
    hands = Played(machine, answer('{"status": "ready"}'))
    run(machine, hands, clock=lambda: hands.now)
    assert hands.lines == [
        f"GET {API}/jobs/7f3a 200 in 0.08 s: ready. Job 7f3a is done after 1 min 40 s, 1 poll"
    ]


def test_a_refused_submit_says_what_the_api_said() -> None:
    hands = told(answer('{"error": "no such list"}', 422, f"POST {API}/jobs"), goal=Goal.SUBMITTED)
    assert hands.lines == [f'POST {API}/jobs 422 in 0.08 s: {{"error": "no such list"}}']
    assert hands.levels == [logging.WARNING]


def test_refused_credentials_are_fetched_again_and_told() -> None:
    hands = told(SUBMITTED, answer("", 401))
    assert f"GET {API}/jobs/7f3a 401 in 0.08 s. Credentials fetched again: they are the same" in [
        line.replace(" (poll error 1 of 10)", "") for line in hands.lines
    ]


def test_a_risk_that_is_taken_is_told() -> None:
    machine = Job(definition(), Goal.SUBMITTED, inputs={}, names={}, key="k")
    hands = Played(machine, Failed(Fault.LOST, f"POST {API}/jobs", "the server closed the connection"))
    run(machine, hands, clock=lambda: hands.now)
    again = Job(definition(), Goal.SUBMITTED, inputs={}, names={}, key="k", checkpoint=machine.checkpoint)
    hands = Played(again, SUBMITTED)
    run(again, hands, clock=lambda: hands.now)
    assert again.notes
    assert set(again.notes) <= set(hands.lines)
    assert hands.levels[hands.lines.index(again.notes[0])] == logging.WARNING


def test_without_a_machine_exchanges_and_waits_are_told() -> None:
    lines: list[str] = []
    narrator = Narrator(lambda level, line: lines.append(line), clock=lambda: NOW)
    poll = asks(Purpose.POLL)
    narrator.observe(poll, None)
    narrator.observe(poll, Responded(answer("{}")))
    narrator.observe(Wait(NOW + 10, "the next poll"), None)
    narrator.observe(Wait(NOW - 10, "the next poll"), None)
    download = asks(Purpose.RESULT)
    narrator.observe(download, Responded(answer("", sent=f"GET {API}/f")))
    narrator.observe(Receive(again=False), BodyBroken(f"GET {API}/f", "the body broke off after 7 bytes"))
    narrator.observe(Wait(NOW + 2, "the next try of the download"), None)
    narrator.observe(Finish(outcome=Outcome("done", "x", waited=2.0, polls=1)), None)
    narrator.observe(Finish(error=RefusedError("no")), None)
    assert lines == [
        f"GET {API}/jobs/7f3a 200 in 0.08 s. Next poll at 08:00:10 UTC, in 10 s",
        f"GET {API}/f 200 in 0.08 s",
        f"GET {API}/f: the body broke off after 7 bytes",
        "Next try of the download at 08:00:02 UTC, in 2 s",
        "The job is done after 2 s, 1 poll",
    ]


def test_what_is_held_back_can_be_said_when_a_drive_is_left() -> None:
    lines: list[str] = []
    narrator = Narrator(lambda level, line: lines.append(line))
    narrator.observe(asks(), Responded(answer("{}")))
    assert lines == []
    narrator.flush()
    narrator.flush()
    assert lines == [f"GET {API}/jobs/7f3a 200 in 0.08 s"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (30, "30 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (12_000, "3 h 20 min"),
        (187_300, "2 d 4 h"),
    ],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_times_of_another_day_have_the_date() -> None:
    assert clock_time(NOW + 60, NOW) == "08:01:00 UTC"
    assert clock_time(NOW + 86_400, NOW) == "2027-01-16 08:00:00 UTC"
