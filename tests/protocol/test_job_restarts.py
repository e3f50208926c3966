"""What every crash leaves behind, and what the next process does with it; adoption; ends that are known."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.errors import CheckpointError, DefinitionError, UncertainError
from airflow_asyncjob.protocol import Checkpoint, Finish, Goal, Purpose, Send, Store, Submission, Wait
from airflow_asyncjob.protocol.transitions import Phase
from tests.protocol.driving import (
    ACCEPTED,
    BUSY,
    KEY,
    LOST,
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
    W,
    answer,
    polling,
    waiting,
)


def after(drive: Drive, *changes: dict[str, Any], later: float = 5.0, **kwargs: Any) -> Drive:
    """Return the drive of the process that comes after, from what was stored last."""
    stored = Checkpoint.from_dict(drive.stored[-1]) if drive.stored else None
    return Drive(*changes, now=drive.now + later, checkpoint=stored, **kwargs)


def purposes(drive: Drive) -> list[Purpose]:
    return [send.purpose for _, send in drive.sent]


# The submit ---------------------------------------------------------------------------------------------


def test_the_intent_is_stored_before_the_submit_and_the_submission_after_it() -> None:
    drive = Drive()
    assert isinstance(drive.command, Store)
    assert drive.stored == [{"version": 1, "phase": "intent", "at": NOW, "key": KEY, "since": NOW}]
    assert drive.sent == []
    drive.tell_all(S, ACCEPTED)
    assert drive.stored[-1]["phase"] == "submitted"
    assert drive.stored[-1]["submission"] == {"id": "7", "submitted_at": NOW}
    assert purposes(drive) == [Purpose.SUBMIT]


def test_each_request_says_where_it_stands_in_the_definition() -> None:
    drive = Drive().tell_all(S, ACCEPTED, S, W).stop().tell(S)
    assert [send.where for _, send in drive.sent] == ["submit.request", "status.request", "cancel"]
    assert Drive(goal=Goal.DELETED, submission=SUBMISSION).until_send().where == "delete"


def test_after_a_crash_before_the_first_store_the_job_is_submitted() -> None:
    assert after(Drive()).until_send().purpose is Purpose.SUBMIT


def test_a_lost_submit_is_sent_again_with_the_same_key() -> None:
    drive = Drive().tell(S)
    again = after(drive)
    assert again.until_send().names["idempotency_key"] == KEY
    assert any("sent again with the same key (dag/run/task/0/1)" in note for note in again.job.notes)


def test_a_lost_submit_without_a_key_is_sent_again_and_the_risk_is_noted() -> None:
    again = after(Drive(NO_KEY).tell(S), NO_KEY)
    assert any("the job may now exist twice" in note for note in again.job.notes) is False
    again.until_send()
    assert any("the job may now exist twice" in note for note in again.job.notes)


def test_the_risk_is_taken_and_noted_anew_each_time() -> None:
    first = after(Drive(NO_KEY).tell_all(S, LOST), NO_KEY)
    first.until_send()
    second = after(first, NO_KEY)
    second.until_send()
    assert any("may now exist twice" in note for note in second.job.notes)


def test_a_lost_submit_is_not_sent_again_where_the_definition_says_fail() -> None:
    again = after(Drive(NO_KEY_FAIL).tell(S), NO_KEY_FAIL)
    error = again.until_finish().error
    assert isinstance(error, UncertainError)
    assert not error.retryable
    assert again.sent == []
    assert "nobody knows whether the API accepted it" in error.message
    assert "clear the submit task" in error.message


def test_a_refusal_leaves_nothing_to_doubt() -> None:
    refused = Drive(NO_KEY_FAIL).tell_all(S, answer(400))
    assert isinstance(refused.tell(S).command, Finish)
    again = after(refused, NO_KEY_FAIL)
    assert again.until_send().purpose is Purpose.SUBMIT
    assert again.job.notes == []


def test_a_wait_before_the_next_try_is_kept_over_a_restart_and_is_no_doubt() -> None:
    waits = Drive(NO_KEY_FAIL).tell_all(S, SLOW_DOWN, S)
    until = waits.wait().until
    assert until == NOW + 120
    again = after(waits, NO_KEY_FAIL, later=10)
    assert again.wait().until == until
    assert again.until_send().purpose is Purpose.SUBMIT


def test_the_tries_are_counted_over_restarts_so_that_no_refusal_lasts_for_ever() -> None:
    drive = Drive(NO_KEY, {"limits": {"retries": 2}})
    for _ in range(2):
        drive.until_send()
        drive.tell_all(SLOW_DOWN, S)
        drive = after(drive, NO_KEY, {"limits": {"retries": 2}})
    drive.until_send()
    error = drive.tell(SLOW_DOWN).until_finish().error
    assert error is not None
    assert "3 submits in a row did not work" in error.message


def test_a_later_try_of_the_task_has_tries_of_its_own_and_obeys_the_retry_after() -> None:
    drive = Drive(NO_KEY, {"limits": {"retries": 0}}).tell_all(S, SLOW_DOWN, S)
    again = after(drive, NO_KEY, later=1)
    assert again.wait().until == NOW + 120
    again.until_send()
    assert isinstance(again.tell_all(NOT_SENT, S).command, Wait)


def test_an_uncertain_submit_stays_uncertain_when_the_repeat_did_not_leave() -> None:
    drive = Drive().tell_all(S, LOST, S, W, NOT_SENT)
    assert drive.stored[-1]["phase"] == "intent"


def test_nothing_is_submitted_after_a_deadline_that_was_given() -> None:
    drive = Drive(deadline=NOW - 1)
    outcome = drive.until_finish().outcome
    assert outcome is not None
    assert (outcome.state, outcome.target) == ("timed_out", [])
    assert "not submitted before the deadline" in outcome.message
    assert drive.sent == []
    assert drive.stored == []


# A known submission -------------------------------------------------------------------------------------


def test_a_stored_submission_is_never_submitted_again() -> None:
    drive = Drive(goal=Goal.SUBMITTED).tell_all(S, ACCEPTED)
    again = after(drive, goal=Goal.SUBMITTED)
    assert again.command == Finish(submission=Submission("7", NOW))
    assert again.stored == []


def test_the_wait_goes_on_from_the_stored_submission() -> None:
    drive = Drive().tell_all(S, ACCEPTED)
    again = after(drive, later=20)
    assert again.wait().until == NOW + 60


def test_a_job_is_adopted_by_its_submission_alone() -> None:
    drive = Drive(submission=Submission("x1", NOW - 30), key="", goal=Goal.ENDED)
    assert drive.wait().until == NOW + 30
    send = drive.until_send()
    assert send.purpose is Purpose.POLL
    assert send.names["submission_id"] == "x1"
    assert "idempotency_key" not in send.names
    finish = drive.tell(READY).until_finish()
    assert finish.outcome is not None
    assert finish.outcome.state == "done"


def test_an_adopted_job_needs_no_submit_section() -> None:
    assert Drive({"submit": None}, submission=SUBMISSION).until_send().purpose is Purpose.POLL
    with pytest.raises(
        DefinitionError, match="example/export has no section 'submit', which the goal ended needs"
    ):
        Drive({"submit": None})


def test_a_checkpoint_of_another_job_is_left_aside() -> None:
    stored = polling().tell(READY).stored[-1]
    drive = Drive(checkpoint=stored, submission=Submission("8", NOW - 1000))
    assert drive.until_send().names["submission_id"] == "8"
    assert drive.job.notes == ["The stored checkpoint is not of the job '8', and is left aside."]


def test_a_checkpoint_of_the_same_job_wins_over_the_bare_submission() -> None:
    stored = polling().tell(READY).stored[-1]
    drive = Drive(checkpoint=stored, submission=SUBMISSION)
    assert isinstance(drive.command, Finish)


def test_a_checkpoint_made_with_another_key_is_refused() -> None:
    with pytest.raises(CheckpointError, match="belongs to the key 'a', and this job has 'b'"):
        Drive(checkpoint=Checkpoint(phase="intent", key="a"), key="b")


def test_without_a_key_of_its_own_a_process_takes_the_checkpoint_s() -> None:
    drive = Drive(checkpoint=Checkpoint(phase="intent", key="a"), key="")
    assert drive.until_send().names["idempotency_key"] == "a"


def test_the_attempt_is_stored() -> None:
    drive = Drive(attempt=3)
    _ = drive.command
    assert drive.stored[-1]["attempt"] == 3
    assert after(drive).job.checkpoint.attempt == 3


# The end ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["ready", "some", "nothing", "broken", "expired", "stopped"])
def test_an_end_that_was_stored_is_the_end_without_a_request(word: str) -> None:
    drive = polling().tell(answer(200, {"status": word, "urls": ["/a"], "message": "m", "progress": 9}))
    assert drive.stored[-1]["phase"] == "ended"
    first = drive.tell(S).command
    again = after(drive, later=1e7)
    assert again.command == first
    assert again.sent == []
    assert again.stored == []


def test_an_end_that_was_not_stored_is_asked_for_again() -> None:
    drive = waiting()
    drive.until_send()
    again = Drive(submission=SUBMISSION, now=drive.now + 5)
    finish = again.tell(READY).until_finish()
    assert finish.outcome is not None
    assert finish.outcome.state == "done"


def test_an_end_with_very_many_targets_is_not_stored_but_asked_for_again() -> None:
    many = answer(200, {"status": "ready", "urls": [f"https://x/{n}?{'s' * 100}" for n in range(400)]})
    drive = polling().tell(many)
    assert isinstance(drive.command, Finish)
    assert drive.stored == []


def test_a_timeout_that_was_begun_is_finished_as_one() -> None:
    drive = polling()
    drive.now = NOW + 9999
    drive.tell(BUSY)
    assert drive.stored[-1]["phase"] == "cancelling"
    again = after(drive)
    assert again.until_send().purpose is Purpose.CANCEL
    finish = again.tell(answer(409, {"error": "cancelled already"})).until_finish()
    assert finish.outcome is not None
    assert finish.outcome.state == "timed_out"
    assert purposes(again) == [Purpose.CANCEL]


def test_the_tries_of_a_cancel_are_counted_over_a_handover() -> None:
    drive = polling({"limits": {"retries": 2}})
    drive.now = NOW + 9999
    drive.tell_all(BUSY, S)
    for _ in range(2):
        drive.tell(SORRY)
        drive = Drive({"limits": {"retries": 2}}, now=drive.now, checkpoint=drive.job.checkpoint)
        assert isinstance(drive.command, Wait)
        drive.until_send()
    finish = drive.tell(SORRY).until_finish()
    assert finish.outcome is not None
    assert "could not be stopped" in finish.outcome.message


# Between polls ------------------------------------------------------------------------------------------


def test_a_job_is_handed_over_between_two_polls_with_all_it_counted() -> None:
    drive = polling({"status": {"growth": 2}}).tell(BUSY)
    drive.until_send()
    drive.tell(SORRY)
    handed = drive.job.checkpoint
    assert (handed.phase, handed.looks, handed.polls, handed.errors) == ("submitted", 2, 1, 1)
    again = Drive(
        {"status": {"growth": 2}}, now=drive.now + 3, checkpoint=Checkpoint.from_dict(handed.to_dict())
    )
    assert again.wait().until == drive.wait().until
    again.until_send()
    assert again.tell(BUSY).wait().until == again.now + 40


def test_the_checkpoint_of_a_job_that_did_not_begin_is_the_one_given() -> None:
    given = Checkpoint(phase="intent", key=KEY)
    assert Drive(checkpoint=given).job.checkpoint is given
    assert Drive().job.checkpoint.phase == "idle"


def test_nothing_is_stored_between_polls() -> None:
    drive = polling()
    for event in (BUSY, SORRY, BUSY):
        drive.tell(event)
        drive.until_send()
    assert drive.stored == []


def test_a_retry_after_that_outlasts_the_poll_wait_is_stored() -> None:
    drive = polling().tell(SLOW_DOWN)
    assert drive.stored[-1]["not_before"] == NOW + 120
    again = after(drive, later=1)
    assert again.wait().until == NOW + 120


def test_what_failed_polls_counted_is_forgotten_when_the_process_gives_up() -> None:
    drive = polling({"status": {"poll_error_budget": 1}}).tell(SORRY)
    drive.until_send()
    drive.tell(SORRY)
    assert isinstance(drive.tell(S).command, Finish)
    again = after(drive, later=0)
    assert again.wait().until >= drive.now + 10
    again.until_send()
    assert again.tell(SORRY).job.facts.errors == 1


def test_only_the_goals_that_wait_store_anything() -> None:
    for goal in (Goal.CANCELLED, Goal.REPLACED, Goal.DELETED):
        drive = Drive(goal=goal, submission=SUBMISSION)
        while isinstance(drive.command, Send):
            drive.tell(BUSY if drive.command.purpose is Purpose.POLL else answer(204))
        assert isinstance(drive.command, Finish)
        assert drive.stored == []


def test_a_job_has_what_people_want_to_know() -> None:
    job = Drive(submission=SUBMISSION).job
    assert (job.submission, job.raw_status, job.progress, job.polls, job.message) == (
        SUBMISSION,
        None,
        None,
        0,
        "",
    )
    drive = polling().tell(answer(200, {"status": "busy", "progress": 50, "message": "queued behind 3"}))
    job = drive.job
    assert (job.raw_status, job.progress, job.polls, job.message) == ("busy", 50, 1, "queued behind 3")
    assert job.next_poll_at == NOW + 10
    assert job.deadline == SUBMISSION.submitted_at + 3600
    assert job.phase is Phase.POLL_PAUSE
    assert drive.wait().reason == "the next poll"
