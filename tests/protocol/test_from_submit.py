"""status.from: submit. The submit's own answer may say how the job ended; then nobody waits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.protocol import Finish, Goal, Outcome, Purpose, Submission
from tests.protocol.driving import (
    ACCEPTED,
    NOW,
    READY,
    Drive,
    S,
    answer,
    waiting,
)

ALSO = {"status": {"from": "submit"}}
ONLY = {"status": {"from": "submit", "request": None}}
AT_ONCE = answer(200, {"id": 7, "status": "ready", "urls": ["/files/1"], "message": "m", "progress": 100})


def submitted(event: Any, *changes: dict[str, Any], goal: Goal = Goal.ENDED) -> Drive:
    """Return a drive whose submit was answered with this."""
    drive = Drive(*changes, goal=goal)
    drive.until_send()
    return drive.tell(event)


def outcome_of(drive: Drive) -> Outcome:
    finish = drive.until_finish()
    assert finish.outcome is not None, finish
    return finish.outcome


@pytest.mark.parametrize("changes", [ALSO, ONLY])
def test_a_job_that_ended_at_once_is_not_waited_for(changes: dict[str, Any]) -> None:
    drive = submitted(AT_ONCE, changes)
    assert outcome_of(drive) == Outcome(
        "done",
        ["/files/1"],
        raw_status="ready",
        message="m",
        progress=100,
        sent="GET https://api.example.com/jobs/7",
    )
    assert [send.purpose for _, send in drive.sent] == [Purpose.SUBMIT]
    assert drive.now == NOW


def test_without_from_the_answer_to_the_submit_says_nothing_of_the_end() -> None:
    assert submitted(AT_ONCE).until_send().purpose is Purpose.POLL


@pytest.mark.parametrize(
    ("word", "state"),
    [("nothing", "no_data"), ("broken", "failed"), ("expired", "timed_out"), ("stopped", "cancelled")],
)
def test_every_end_counts(word: str, state: str) -> None:
    outcome = outcome_of(submitted(answer(200, {"id": 7, "status": word, "message": "why"}), ONLY))
    assert (outcome.state, outcome.target, outcome.message) == (state, [], "why")


@pytest.mark.parametrize("body", [{"id": 7}, {"id": 7, "status": "busy"}, {"id": 7, "status": "odd"}])
def test_a_job_that_goes_on_is_polled_as_usual(body: dict[str, Any]) -> None:
    drive = submitted(answer(202, body), ALSO)
    assert drive.until_send().purpose is Purpose.POLL
    assert drive.now == NOW + 60, "after the initial wait"
    assert drive.job.notes == []
    assert outcome_of(drive.tell(READY)).state == "done"


def test_rules_and_captures_read_the_answer_to_the_submit_too() -> None:
    rules = {
        "submit": {"capture": {"shard": "shard"}},
        "status": {
            "from": "submit",
            "request": None,
            "path": None,
            "values": None,
            "rules": [{"when": "code == 200 and captures.shard == 3", "state": "done"}],
            "capture": {"file": "file"},
        },
        "result": {"target": None, "request": {"url": "/{{ captures.shard }}/{{ captures.file }}"}},
    }
    outcome = outcome_of(submitted(answer(200, {"id": 7, "shard": 3, "file": "f 1"}), rules))
    assert outcome.target == "/3/f%201"
    assert outcome.captures == {"shard": 3, "file": "f 1"}


def test_a_target_that_cannot_be_read_is_asked_for_by_a_poll() -> None:
    drive = submitted(answer(200, {"id": 7, "status": "ready"}), ALSO)
    (note,) = drive.job.notes
    assert "does not tell how the job ended (status.from: submit): result.target: path 'urls'" in note
    assert outcome_of(drive.until_send() and drive.tell(READY)).target == ["/files/1"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"id": 7, "status": "busy"}, "it says 'busy'"),
        ({"id": 7, "status": "odd"}, "'odd' is not mapped"),
        ({"id": 7}, "null is not mapped"),
        ({"id": 7, "status": "ready"}, "result.target"),
        (
            {"id": 7, "status": "ready", "urls": ["/" + "x" * 99] * 300},
            "more download targets than are stored",
        ),
    ],
)
def test_where_nothing_else_can_be_asked_the_error_says_so_and_keeps_the_job(
    body: dict[str, Any], why: str
) -> None:
    drive = submitted(answer(200, body), ONLY)
    error = drive.until_finish().error
    assert isinstance(error, DefinitionError)
    assert "did not tell how the job '7' ended" in error.message
    assert "there is no status.request to ask with. Map what it said in status.values" in error.message
    assert why in drive.job.notes[0]
    assert drive.stored[-1]["phase"] == "submitted"


def test_the_end_travels_with_the_submission_to_the_task_that_waits() -> None:
    finish = submitted(AT_ONCE, ALSO, goal=Goal.SUBMITTED).store_all().command
    assert isinstance(finish, Finish)
    assert finish.submission is not None
    given = Submission.from_dict(json.loads(json.dumps(finish.submission.to_dict())))
    assert given == finish.submission
    wait = waiting(ALSO, submission=given, now=NOW + 99)
    assert outcome_of(wait).target == ["/files/1"]
    assert wait.sent == []
    assert wait.stored[-1]["phase"] == "ended"


def test_a_submit_that_is_answered_with_no_data_stays_that() -> None:
    nothing = {"errors": {"submit": [{"when": "code == 204", "then": "no_data"}]}}
    outcome = outcome_of(submitted(answer(204), ONLY, nothing))
    assert (outcome.state, outcome.message) == ("no_data", "the API said so when the job was submitted")


@pytest.mark.parametrize("goal", [Goal.CANCELLED, Goal.REPLACED])
def test_a_job_that_ended_at_once_is_not_cancelled(goal: Goal) -> None:
    ended = Submission("7", NOW, outcome=Outcome("done", "/f"))
    drive = waiting(ALSO, submission=ended, goal=goal)
    assert outcome_of(drive).state == "done"
    assert drive.sent == []


def test_a_job_that_nobody_can_look_at_is_cancelled_when_it_is_replaced() -> None:
    drive = waiting(ONLY, goal=Goal.REPLACED)
    assert drive.until_send().purpose is Purpose.CANCEL
    assert drive.tell(answer(204)).until_finish().outcome is not None


def test_a_stop_before_the_submission_is_stored_finds_the_end() -> None:
    drive = submitted(AT_ONCE, ONLY)
    drive.job.cancel(NOW)
    drive.job.tell(S, NOW)
    assert outcome_of(drive).state == "done"
    assert submitted(ACCEPTED, ONLY).stop().until_send().purpose is Purpose.CANCEL
