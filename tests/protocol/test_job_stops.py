"""Stopping a job: from outside, at any moment."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.errors import DefinitionError, RefusedError, UncertainError, UnreachableError
from airflow_asyncjob.protocol import Finish, Goal, Submission
from tests.protocol.driving import (
    ACCEPTED,
    BUSY,
    CHANGED,
    DENIED,
    LOST,
    NO_CANCEL,
    NO_KEY,
    NO_KEY_FAIL,
    NOT_SENT,
    NOW,
    READY,
    SLOW_DOWN,
    SORRY,
    SUBMISSION,
    Drive,
    S,
    answer,
    cancelled,
    polling,
    purposes,
)

# Before and during the submit ---------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before the start", "before the store", "after the store"])
def test_before_the_submit_is_sent_nothing_is_sent_at_all(when: str) -> None:
    drive = Drive()
    if when != "before the start":
        _ = drive.command
    drive.job.cancel(NOW)
    if when == "after the store":
        drive.job.tell(S, NOW)
    outcome = drive.until_finish().outcome
    assert outcome is not None
    assert (outcome.state, outcome.target) == ("cancelled", [])
    assert outcome.message == "stopped on request; no job was submitted"
    assert drive.sent == []
    assert not drive.stored or drive.stored[-1]["phase"] == "idle"


def test_a_submit_that_is_given_up_is_reported() -> None:
    drive = Drive().tell(S).stop()
    error = drive.until_finish().error
    assert isinstance(error, UncertainError)
    assert "A job may run at the API; without its ID it cannot be cancelled from here" in error.message
    assert drive.stored[-1]["phase"] == "intent"


def test_a_submit_whose_answer_is_awaited_is_cancelled_by_its_id() -> None:
    drive = Drive().tell(S)
    drive.job.cancel(NOW)
    drive.job.tell(ACCEPTED, NOW)
    _ = drive.command
    assert drive.stored[-1]["phase"] == "submitted"
    cancelled(drive)
    assert [phase["phase"] for phase in drive.stored] == ["intent", "submitted", "cancelling", "ended"]
    assert purposes(drive) == ["submit", "cancel"]
    assert drive.sent[-1][1].names["submission_id"] == "7"


@pytest.mark.parametrize("changes", [NO_KEY, NO_KEY_FAIL])
def test_an_uncertain_submit_is_reported_also_when_the_answer_was_awaited(changes: dict[str, Any]) -> None:
    drive = Drive(changes).tell(S)
    drive.job.cancel(NOW)
    drive.job.tell(LOST, NOW)
    error = drive.until_finish().error
    assert isinstance(error, UncertainError)
    assert error.may_resubmit is (changes is NO_KEY)


def test_a_submit_that_may_be_repeated_is_not_once_somebody_stops() -> None:
    drive = Drive().tell_all(S, SORRY, S).stop()
    error = drive.until_finish().error
    assert isinstance(error, UncertainError)
    assert "answered 503" in error.message
    assert purposes(drive) == ["submit"]


def test_while_waiting_to_submit_again_nothing_was_accepted() -> None:
    drive = Drive(NO_KEY).tell_all(S, NOT_SENT, S).stop()
    outcome = drive.until_finish().outcome
    assert outcome is not None
    assert outcome.message == "stopped on request; no job was submitted"


def test_a_refused_submit_stays_a_refusal() -> None:
    drive = Drive().tell(S)
    drive.job.cancel(NOW)
    drive.job.tell(answer(400), NOW)
    assert isinstance(drive.until_finish().error, RefusedError)


# During the wait ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["waiting", "polling", "refreshing", "storing"])
def test_a_known_job_is_cancelled_at_once(moment: str) -> None:
    drive = polling()
    if moment == "waiting":
        drive.tell(BUSY)
    elif moment == "refreshing":
        drive.tell(DENIED)
    elif moment == "storing":
        drive.tell(SLOW_DOWN)
    before = drive.now
    cancelled(drive.stop())
    assert drive.now == before
    finish = drive.command
    assert isinstance(finish, Finish)
    assert finish.outcome is not None
    assert finish.outcome.state == "cancelled"
    assert finish.outcome.message == "stopped on request; cancelled at the API"
    assert purposes(drive)[-1] == "cancel"


def test_a_job_that_turns_out_to_have_ended_has_ended() -> None:
    drive = polling()
    drive.job.cancel(NOW)
    drive.job.tell(READY, NOW)
    outcome = drive.until_finish().outcome
    assert outcome is not None
    assert (outcome.state, outcome.target) == ("done", ["/files/1"])
    assert purposes(drive) == ["poll"]


def test_an_awaited_poll_that_fails_does_not_keep_the_job_alive() -> None:
    drive = polling()
    drive.job.cancel(NOW)
    drive.job.tell(answer(400), NOW)
    cancelled(drive)
    assert purposes(drive) == ["poll", "cancel"]


@pytest.mark.parametrize("code", [404, 409, 410])
def test_a_job_that_is_gone_needs_no_cancel(code: int) -> None:
    drive = cancelled(polling().stop(), answer(code))
    finish = drive.command
    assert isinstance(finish, Finish)
    assert finish.outcome is not None
    assert f"answered {code}" in finish.outcome.message


def test_a_job_that_cannot_be_cancelled_is_an_error_that_says_so() -> None:
    error = polling(NO_CANCEL).stop().until_finish().error
    assert isinstance(error, DefinitionError)
    assert (
        "The job '7' cannot be stopped: the definition example/export has no cancel request" in error.message
    )


def test_a_refused_cancel_is_an_error() -> None:
    drive = cancelled(polling().stop(), answer(400, {"error": "not cancellable"}))
    finish = drive.command
    assert isinstance(finish, Finish)
    assert isinstance(finish.error, RefusedError)
    for text in [
        "The job '7' could not be stopped",
        "not cancellable",
        "It may run on at the API: cancel it there.",
    ]:
        assert text in finish.error.message


def test_a_cancel_is_repeated_and_then_given_up() -> None:
    drive = Drive({"limits": {"retries": 2}}, goal=Goal.CANCELLED, submission=SUBMISSION)
    times = []
    for event in (SORRY, NOT_SENT, LOST):
        drive.until_send()
        times.append(round(drive.now - NOW))
        drive.tell(event)
    error = drive.until_finish().error
    assert isinstance(error, UnreachableError)
    assert error.retryable
    assert times == [0, 1, 3]


def test_a_cancel_that_never_works_is_given_up_after_half_a_minute() -> None:
    drive = Drive(goal=Goal.CANCELLED, submission=SUBMISSION)
    for _ in range(6):
        drive.until_send()
        drive.tell(SORRY)
    assert isinstance(drive.until_finish().error, UnreachableError)
    assert 31 <= drive.now - NOW <= 31 * 1.1


def test_a_cancel_does_not_wait_for_hours() -> None:
    drive = Drive(goal=Goal.CANCELLED, submission=SUBMISSION)
    drive.tell(answer(429, None, {"retry-after": "4000"}))
    assert isinstance(drive.until_finish().error, UnreachableError)


def test_a_cancel_obeys_a_short_retry_after() -> None:
    drive = Drive(goal=Goal.CANCELLED, submission=SUBMISSION)
    drive.tell(answer(429, None, {"retry-after": "300"}))
    assert drive.wait().until == NOW + 300
    assert drive.wait().reason == "the next try of the cancel"


def test_a_cancel_with_refused_credentials_fetches_them_once() -> None:
    drive = Drive(goal=Goal.CANCELLED, submission=SUBMISSION).tell_all(DENIED, CHANGED)
    cancelled(drive)
    denied = Drive(goal=Goal.CANCELLED, submission=SUBMISSION).tell_all(DENIED, CHANGED, DENIED)
    assert isinstance(denied.until_finish().error, RefusedError)


def test_rules_of_a_cancel_come_first() -> None:
    rules = {
        "errors": {
            "cancel": [
                {"when": "body.error == 'TOO_LATE'", "then": "accept"},
                {"when": "body.error == 'LOCKED'", "then": "retry", "wait": 9},
                {"when": "code == 202", "then": "fail", "message": "asked a person"},
            ]
        }
    }
    drive = Drive(rules, goal=Goal.CANCELLED, submission=SUBMISSION).tell(answer(400, {"error": "LOCKED"}))
    assert drive.wait().until == NOW + 9
    drive.until_send()
    outcome = drive.tell(answer(400, {"error": "TOO_LATE"})).until_finish().outcome
    assert outcome is not None
    failed = Drive(rules, goal=Goal.CANCELLED, submission=SUBMISSION).tell(answer(202))
    assert isinstance(failed.until_finish().error, RefusedError)


def test_asking_twice_to_stop_sends_one_cancel() -> None:
    drive = polling().stop().stop()
    drive.job.cancel(drive.now)
    cancelled(drive)
    assert purposes(drive) == ["poll", "cancel"]


def test_a_stop_during_the_last_store_changes_nothing() -> None:
    drive = polling().tell(READY)
    drive.job.cancel(NOW)
    outcome = drive.until_finish().outcome
    assert outcome is not None
    assert outcome.state == "done"


def test_a_stop_goes_on_from_a_crash() -> None:
    drive = polling().tell(BUSY).stop()
    assert drive.stored[-1]["phase"] == "cancelling"
    again = Drive(now=drive.now + 5, checkpoint=drive.stored[-1])
    outcome = cancelled(again).command
    assert isinstance(outcome, Finish)
    assert outcome.outcome is not None
    assert outcome.outcome.state == "cancelled"


def test_nothing_to_wait_for_is_nothing_to_stop() -> None:
    drive = Drive(goal=Goal.CANCELLED, submission=Submission("", NOW, no_data=True))
    outcome = drive.until_finish().outcome
    assert outcome is not None
    assert outcome.state == "no_data"
