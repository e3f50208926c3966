"""Initial wait, poll wait, deadline, Retry-After, and clocks that jump."""

from __future__ import annotations

from email.utils import formatdate
from itertools import pairwise
from typing import Any

import pytest

from airflow_asyncjob.errors import RefusedError, UncertainError
from airflow_asyncjob.protocol import Checkpoint, Finish, Goal, Purpose, Send, Submission
from tests.protocol.driving import (
    ACCEPTED,
    BUSY,
    LOST,
    NO_CANCEL,
    NO_KEY,
    NOT_SENT,
    NOW,
    READY,
    SORRY,
    SUBMISSION,
    Drive,
    S,
    W,
    answer,
    polling,
    waiting,
)


def hold(seconds: int | str, code: int = 429) -> Any:
    return answer(code, {"status": "busy"}, {"retry-after": str(seconds)})


# Waits --------------------------------------------------------------------------------------------------


def test_the_initial_wait_counts_from_the_submission() -> None:
    assert Drive(submission=Submission("7", NOW - 20)).wait().until == NOW + 40
    assert isinstance(Drive(submission=Submission("7", NOW - 60)).command, Send)


def test_the_poll_wait_counts_from_the_answer() -> None:
    drive = polling()
    drive.tell(BUSY, took=4)
    assert drive.wait().until == NOW + 4 + 10


def test_waits_grow_up_to_the_longest() -> None:
    drive = polling({"status": {"growth": 3, "longest_wait": 50}})
    waits = []
    for _ in range(4):
        drive.tell(BUSY)
        waits.append(drive.wait().until - drive.now)
        drive.until_send()
    assert waits == [10, 30, 50, 50]


def test_jitter_only_adds_and_differs_by_job() -> None:
    waits = set()
    for key in ("a", "b", "c", "d"):
        drive = polling({"status": {"jitter": 0.5}}, key=key).tell(BUSY)
        waits.add(drive.wait().until - drive.now)
    assert all(10 <= wait < 15 for wait in waits)
    assert len(waits) == 4


def test_failed_polls_wait_at_least_the_backoff() -> None:
    drive = polling({"status": {"poll_wait": 1, "poll_error_budget": 10}})
    waits = []
    for _ in range(6):
        drive.tell(SORRY)
        waits.append(drive.wait().until - drive.now)
        drive.until_send()
    assert [int(wait) for wait in waits[:2]] == [1, 2]
    assert all(first < second for first, second in pairwise(waits))


def test_a_wait_that_is_cut_short_leads_to_a_look() -> None:
    drive = polling().tell(BUSY)
    drive.job.tell(W, NOW + 1)
    assert isinstance(drive.command, Send)


def woken(drive: Drive) -> Drive:
    """Return another process that carries the wait on, since an event of the API came."""
    return Drive(checkpoint=drive.job.checkpoint.due(drive.now), now=drive.now)


def test_an_event_makes_the_wait_look_once_now() -> None:
    drive = polling().tell(BUSY)
    drive.now += 4
    drive = woken(drive)
    assert drive.until_send().purpose is Purpose.POLL
    assert drive.now == NOW + 4
    drive.tell(BUSY)
    assert drive.wait().until == NOW + 14
    assert drive.job.deadline == SUBMISSION.submitted_at + 3600


def test_an_event_after_the_deadline_makes_the_wait_look_now_too() -> None:
    drive = polling(now=SUBMISSION.submitted_at + 3601).tell(SORRY)
    assert drive.wait().reason == "the last look, at the deadline"
    assert drive.wait().until == drive.now + 10
    begun = drive.now
    drive = woken(drive)
    assert drive.until_send().purpose is Purpose.POLL
    assert drive.now == begun


# Retry-After --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [429, 503, 200])
def test_a_retry_after_is_obeyed_with_every_answer(code: int) -> None:
    drive = polling().tell(hold(100, code)).store_all()
    assert drive.wait().until == NOW + 100


@pytest.mark.parametrize("text", ["0", "3", formatdate(NOW - 5000, usegmt=True), "yesterday", "-4", ""])
def test_a_retry_after_below_the_poll_wait_or_without_sense_changes_nothing(text: str) -> None:
    drive = polling().tell(answer(200, {"status": "busy"}, {"retry-after": text}))
    assert drive.wait().until == NOW + 10


def test_a_date_is_counted_from_the_answer_s_own_clock() -> None:
    api_now = NOW + 86_400
    headers = {"retry-after": formatdate(api_now + 90, usegmt=True), "date": formatdate(api_now, usegmt=True)}
    drive = polling().tell(answer(503, None, headers)).store_all()
    assert drive.wait().until == NOW + 90


@pytest.mark.parametrize("seconds", [4000, 10**9, 10**30])
def test_a_retry_after_beyond_the_deadline_ends_the_wait_at_the_deadline_without_a_look(seconds: int) -> None:
    drive = polling().tell(hold(seconds)).store_all()
    deadline = SUBMISSION.submitted_at + 3600
    assert drive.wait().until == deadline
    assert drive.wait().reason == "the deadline"
    assert drive.tell(W).until_send().purpose is Purpose.CANCEL
    outcome = drive.tell(answer(204)).until_finish().outcome
    assert outcome is not None
    assert outcome.state == "timed_out"
    assert [send.purpose for _, send in drive.sent] == [Purpose.POLL, Purpose.CANCEL]


def test_a_retry_after_just_beyond_the_deadline_but_within_the_poll_wait_is_waited_out() -> None:
    drive = waiting({"status": {"timeout": 1005}})
    drive.until_send()
    drive.tell(hold(8)).store_all()
    assert drive.wait().until == NOW + 10
    assert drive.tell(W).until_send().purpose is Purpose.POLL


def test_a_retry_after_of_the_submit_that_is_longer_than_the_job_may_wait_is_an_error() -> None:
    drive = Drive(NO_KEY).tell_all(S, hold(5000))
    assert drive.stored[-1]["phase"] == "idle"
    error = drive.until_finish().error
    assert isinstance(error, RefusedError)
    assert not error.retryable
    for text in [
        "The API wants no submit before 2023-11-14 23:36:40 UTC",
        "Nothing was accepted",
        "status.timeout",
    ]:
        assert text in error.message
    again = Drive(NO_KEY, now=NOW + 1, checkpoint=drive.stored[-1])
    assert isinstance(again.command, Finish)
    assert again.sent == []


def test_the_same_is_uncertain_where_an_earlier_submit_is() -> None:
    error = Drive().tell_all(S, LOST, S, W, hold(10**9, 503)).until_finish().error
    assert isinstance(error, UncertainError)
    assert "not known whether an earlier submit was accepted" in error.message


def test_a_submit_waits_out_what_it_may() -> None:
    drive = Drive(NO_KEY).tell_all(S, hold(3600), S)
    assert drive.wait().until == NOW + 3600
    assert drive.wait().reason == "the next try of the submit"


def test_without_a_status_section_a_submit_waits_a_day_at_most() -> None:
    only_submit = {"status": None, "result": None, "cancel": None, "delete": None}
    may = Drive(NO_KEY, only_submit, goal=Goal.SUBMITTED).tell_all(S, hold(86_000), S)
    assert may.wait().until == NOW + 86_000
    may_not = Drive(NO_KEY, only_submit, goal=Goal.SUBMITTED).tell_all(S, hold(87_000))
    assert isinstance(may_not.until_finish().error, RefusedError)


# The deadline -------------------------------------------------------------------------------------------


def test_the_last_look_is_at_the_deadline() -> None:
    drive = waiting({"status": {"timeout": 1007, "initial_wait": 0}})
    drive.until_send()
    drive.tell(BUSY)
    assert drive.wait().until == NOW + 10
    drive = waiting({"status": {"timeout": 1017, "initial_wait": 0, "poll_wait": 15, "growth": 4}})
    drive.until_send()
    drive.tell(BUSY)
    drive.until_send()
    drive.tell(BUSY)
    assert drive.now == NOW + 15
    assert drive.wait().until == NOW + 30
    assert drive.wait().reason == "the last look, at the deadline"


def test_the_last_look_comes_before_a_grown_wait_is_over() -> None:
    drive = waiting({"status": {"timeout": 1100, "growth": 10, "longest_wait": 1000}})
    drive.until_send()
    drive.tell(BUSY)
    drive.until_send()
    drive.tell(BUSY)
    assert drive.now == NOW + 10
    assert drive.wait().until == NOW + 100


def test_a_job_seen_done_late_is_done() -> None:
    drive = waiting(now=NOW + 500_000)
    drive.until_send()
    outcome = drive.tell(READY).until_finish().outcome
    assert outcome is not None
    assert outcome.state == "done"


def test_a_job_still_running_after_the_deadline_is_cancelled_and_timed_out() -> None:
    drive = polling()
    drive.now = NOW + 500_000
    drive.tell(answer(200, {"status": "busy", "message": "row 3 of 9"}))
    assert drive.until_send().purpose is Purpose.CANCEL
    outcome = drive.tell(answer(204)).until_finish().outcome
    assert outcome is not None
    assert (outcome.state, outcome.target, outcome.raw_status) == ("timed_out", [], "busy")
    for text in [
        "not ended before the deadline, 2023-11-14",
        "last status was 'busy'",
        "row 3 of 9",
        "cancelled at",
    ]:
        assert text in outcome.message


def test_a_timeout_without_a_cancel_says_that_the_job_runs_on() -> None:
    drive = polling(NO_CANCEL)
    drive.now = NOW + 500_000
    outcome = drive.tell(BUSY).until_finish().outcome
    assert outcome is not None
    assert outcome.state == "timed_out"
    assert "no cancel request. It may run on at the API" in outcome.message
    assert [send.purpose for _, send in drive.sent] == [Purpose.POLL]


def test_a_cancel_that_fails_does_not_hide_the_timeout() -> None:
    drive = polling({"limits": {"retries": 1}})
    drive.now = NOW + 500_000
    drive.tell(BUSY)
    drive.until_send()
    drive.tell(NOT_SENT)
    drive.until_send()
    outcome = drive.tell(NOT_SENT).until_finish().outcome
    assert outcome is not None
    assert outcome.state == "timed_out"
    assert "The job '7' could not be stopped" in outcome.message
    assert "connection refused" in outcome.message


def test_a_last_look_that_fails_is_tried_three_times() -> None:
    drive = waiting(now=NOW + 500_000)
    times = []
    for _ in range(3):
        drive.until_send()
        times.append(drive.now - NOW - 500_000)
        drive.tell(NOT_SENT)
    assert drive.until_send().purpose is Purpose.CANCEL
    assert times == [0, 10, 20]
    outcome = drive.tell(answer(204)).until_finish().outcome
    assert outcome is not None
    assert "the last look failed: POST https://api.example.com/jobs had no usable answer" in outcome.message


def test_a_last_look_is_not_repeated_where_no_poll_may_fail() -> None:
    drive = waiting({"status": {"poll_error_budget": 0}}, now=NOW + 500_000)
    drive.until_send()
    assert drive.tell(NOT_SENT).until_send().purpose is Purpose.CANCEL


def test_a_last_look_that_fails_can_still_find_the_job_done() -> None:
    drive = waiting(now=NOW + 500_000)
    drive.until_send()
    drive.tell(NOT_SENT)
    drive.until_send()
    outcome = drive.tell(READY).until_finish().outcome
    assert outcome is not None
    assert outcome.state == "done"


def test_a_deadline_that_is_given_wins() -> None:
    drive = waiting(deadline=NOW + 5)
    drive.until_send()
    drive.tell(BUSY)
    assert drive.job.deadline == NOW + 5
    assert drive.wait().until == NOW + 10
    assert drive.wait().reason == "the last look, at the deadline"


def test_a_deadline_before_the_initial_wait_is_over_still_gets_its_look() -> None:
    drive = Drive(submission=Submission("7", NOW), deadline=NOW + 20)
    assert drive.wait().until == NOW + 60
    drive.until_send()
    assert drive.tell(BUSY).until_send().purpose is Purpose.CANCEL


def test_a_restart_does_not_move_the_deadline() -> None:
    drive = polling(deadline=NOW + 77).tell(hold(50))
    again = Drive(now=NOW + 60, checkpoint=drive.stored[-1])
    again.until_send()
    assert again.job.deadline == NOW + 77


def test_a_new_deadline_wins_over_the_stored_one() -> None:
    drive = polling(deadline=NOW + 77).tell(hold(50))
    again = Drive(now=NOW + 60, checkpoint=drive.stored[-1], deadline=NOW + 999)
    again.until_send()
    assert again.job.deadline == NOW + 999


# Clocks -------------------------------------------------------------------------------------------------


def test_a_submission_from_the_future_waits_its_initial_wait_and_no_longer() -> None:
    drive = Drive(submission=Submission("7", NOW + 7200))
    assert drive.wait().until == NOW + 60
    assert drive.job.deadline == NOW + 3600


def test_a_retry_after_of_a_submission_from_the_future_is_moved_with_it() -> None:
    drive = Drive(submission=Submission("7", NOW + 7200, not_before=NOW + 7200 + 90))
    assert drive.wait().until == NOW + 90


def test_waits_of_a_checkpoint_from_the_future_are_moved_back() -> None:
    drive = polling().tell(hold(500))
    again = Drive(now=NOW - 86_400, checkpoint=drive.stored[-1])
    assert again.wait().until == NOW - 86_400 + 500


def test_the_wait_for_a_submit_is_moved_back_too() -> None:
    drive = Drive(NO_KEY).tell_all(S, hold(500), S)
    again = Drive(NO_KEY, now=NOW - 86_400, checkpoint=Checkpoint.from_dict(drive.stored[-1]))
    assert again.wait().until == NOW - 86_400 + 500


def test_a_clock_that_jumps_back_never_gives_a_negative_wait() -> None:
    drive = polling()
    drive.job.tell(READY, NOW - 10_000)
    drive.now = NOW - 10_000
    outcome = drive.until_finish().outcome
    assert outcome is not None
    assert outcome.waited == 0.0


def test_a_clock_that_jumps_back_while_waiting_only_leads_to_an_earlier_look() -> None:
    drive = polling().tell(BUSY)
    drive.job.tell(W, NOW - 3600)
    drive.now = NOW - 3600
    assert isinstance(drive.command, Send)
    assert drive.tell(BUSY).wait().until == NOW - 3600 + 10


def test_submitted_and_waited_for_in_one_go() -> None:
    drive = Drive().tell_all(S, ACCEPTED, S)
    assert drive.wait().until == NOW + 60
