"""The goals that only stop: a job that is cancelled or replaced, and letting the API forget one."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.errors import DefinitionError, RefusedError, UncertainError
from airflow_asyncjob.protocol import Finish, Goal, Send, Submission
from tests.protocol.driving import (
    ACCEPTED,
    BUSY,
    CHANGED,
    DENIED,
    NOT_SENT,
    NOW,
    READY,
    SORRY,
    SUBMISSION,
    Drive,
    S,
    W,
    answer,
    cancelled,
    polling,
    purposes,
    waiting,
)

# The goals that only stop -------------------------------------------------------------------------------


def test_cancelled_sends_the_cancel_and_nothing_else() -> None:
    drive = Drive(goal=Goal.CANCELLED, submission=SUBMISSION)
    send = drive.command
    assert isinstance(send, Send)
    assert send.names["captures"] == {"token": "t"}
    cancelled(drive)
    assert purposes(drive) == ["cancel"]


def test_cancelled_needs_no_status_section() -> None:
    bare = {"status": None, "result": None}
    cancelled(Drive(bare, goal=Goal.CANCELLED, submission=SUBMISSION))


def test_cancelled_of_a_job_that_ended_ends_as_it_did() -> None:
    stored = polling().tell(READY).stored[-1]
    outcome = Drive(goal=Goal.CANCELLED, checkpoint=stored).until_finish().outcome
    assert outcome is not None
    assert outcome.state == "done"


def test_cancelled_without_a_job_says_so() -> None:
    outcome = Drive(goal=Goal.CANCELLED).until_finish().outcome
    assert outcome is not None
    assert outcome.message == "stopped on request; no job was submitted"
    lost = Drive(goal=Goal.CANCELLED, checkpoint={"phase": "intent"}).until_finish().error
    assert isinstance(lost, UncertainError)


def test_replaced_looks_once_and_cancels_what_still_runs() -> None:
    drive = waiting(goal=Goal.REPLACED).tell(BUSY)
    outcome = cancelled(drive).command
    assert isinstance(outcome, Finish)
    assert outcome.outcome is not None
    assert outcome.outcome.message == "replaced by a new submission; cancelled at the API"
    assert purposes(drive) == ["poll", "cancel"]


@pytest.mark.parametrize("event", [SORRY, NOT_SENT, answer(200, {"status": "odd"}), answer(400)])
def test_replaced_cancels_also_what_it_cannot_see(event: Any) -> None:
    drive = waiting(goal=Goal.REPLACED).tell(event)
    cancelled(drive)
    assert purposes(drive) == ["poll", "cancel"]


@pytest.mark.parametrize(("event", "state"), [(READY, "done"), (answer(200, {"status": "broken"}), "failed")])
def test_replaced_leaves_alone_what_has_ended(event: Any, state: str) -> None:
    drive = waiting(goal=Goal.REPLACED).tell(event)
    outcome = drive.until_finish().outcome
    assert outcome is not None
    assert outcome.state == state
    assert purposes(drive) == ["poll"]


@pytest.mark.parametrize("code", [404, 410])
def test_replaced_leaves_alone_what_is_gone(code: int) -> None:
    outcome = waiting(goal=Goal.REPLACED).tell(answer(code)).until_finish().outcome
    assert outcome is not None
    assert "the API has no such job" in outcome.message


def test_replaced_does_not_look_before_the_initial_wait_is_over() -> None:
    drive = Drive(goal=Goal.REPLACED, submission=Submission("7", NOW - 1))
    cancelled(drive)
    assert purposes(drive) == ["cancel"]


def test_replaced_without_a_status_section_cancels_at_once() -> None:
    drive = Drive({"status": None, "result": None}, goal=Goal.REPLACED, submission=SUBMISSION)
    cancelled(drive)
    assert purposes(drive) == ["cancel"]


def test_replaced_with_refused_credentials_is_an_error() -> None:
    drive = waiting(goal=Goal.REPLACED).tell_all(DENIED, CHANGED, DENIED)
    assert isinstance(drive.until_finish().error, RefusedError)


def test_replaced_without_a_submission() -> None:
    outcome = Drive(goal=Goal.REPLACED).until_finish().outcome
    assert outcome is not None
    lost = Drive(goal=Goal.REPLACED, checkpoint={"phase": "intent"}).until_finish().error
    assert isinstance(lost, UncertainError)


def test_replaced_of_a_job_whose_end_is_stored_sends_nothing() -> None:
    stored = polling().tell(READY).stored[-1]
    drive = Drive(goal=Goal.REPLACED, checkpoint=stored)
    assert drive.until_finish().outcome is not None
    assert drive.sent == []


# Delete -------------------------------------------------------------------------------------------------


def test_deleted_finishes_with_the_submission() -> None:
    drive = Drive(goal=Goal.DELETED, submission=SUBMISSION).tell(answer(204))
    assert drive.command == Finish(submission=SUBMISSION)
    assert purposes(drive) == ["delete"]


def test_a_delete_is_repeated_and_waits_its_backoff() -> None:
    drive = Drive(goal=Goal.DELETED, submission=SUBMISSION).tell(NOT_SENT)
    assert drive.wait().reason == "the next try of the delete"
    assert 1 <= drive.wait().until - NOW < 1.1
    assert drive.tell_all(W, answer(204)).command == Finish(submission=SUBMISSION)


def test_a_delete_that_is_refused_says_what_came() -> None:
    error = (
        Drive(goal=Goal.DELETED, submission=SUBMISSION)
        .tell(answer(423, {"e": "locked"}))
        .until_finish()
        .error
    )
    assert isinstance(error, RefusedError)
    assert "Could not carry out the delete" in error.message
    assert "locked" in error.message


def test_rules_of_a_delete_come_first() -> None:
    rules = {
        "errors": {
            "delete": [
                {"when": "body.error == 'IN_USE'", "then": "retry", "wait": 9},
                {"when": "body.error == 'KEPT'", "then": "accept"},
                {"when": "code == 202", "then": "fail", "message": "asked a person, {{ code }}"},
            ]
        }
    }
    drive = Drive(rules, goal=Goal.DELETED, submission=SUBMISSION).tell(answer(409, {"error": "IN_USE"}))
    assert drive.wait().until == NOW + 9
    kept = drive.tell_all(W, answer(423, {"error": "KEPT"}))
    assert kept.command == Finish(submission=SUBMISSION)
    error = Drive(rules, goal=Goal.DELETED, submission=SUBMISSION).tell(answer(202)).until_finish().error
    assert isinstance(error, RefusedError)
    assert (
        "A rule of the definition ends the delete (when: code == 202). asked a person, 202. " in error.message
    )


def test_a_delete_needs_its_section() -> None:
    with pytest.raises(DefinitionError, match="has no section 'delete', which the goal deleted needs"):
        Drive({"delete": None}, goal=Goal.DELETED, submission=SUBMISSION)


def test_a_stop_that_was_begun_while_submitting_is_finished_by_the_next_process() -> None:
    drive = Drive(goal=Goal.SUBMITTED).tell(S)
    drive.job.cancel(NOW)
    drive.job.tell(ACCEPTED, NOW)
    drive.store_all()
    assert drive.stored[-1]["phase"] == "cancelling"
    again = cancelled(Drive(goal=Goal.SUBMITTED, checkpoint=drive.stored[-1]))
    finish = again.command
    assert isinstance(finish, Finish)
    assert finish.outcome is not None
    assert finish.outcome.state == "cancelled"
