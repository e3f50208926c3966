"""A submit without an answer is looked for in the API's list, by our own mark."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_asyncjob.errors import UncertainError, UnreachableError
from airflow_asyncjob.protocol import Goal, Purpose, Send, Wait
from airflow_asyncjob.protocol.seeking import is_marked
from airflow_asyncjob.protocol.times import moment
from tests.protocol.driving import (
    ACCEPTED,
    DENIED,
    HTML,
    KEY,
    LISTED,
    LISTED_STEPS,
    LOST,
    NOT_SENT,
    NOW,
    OURS,
    SLOW_DOWN,
    SORRY,
    UNCHANGED,
    Drive,
    S,
    W,
    answer,
    purposes,
)

NOBODY = answer(200, {"jobs": [{"id": 3, "name": "another"}]})
FOUND = answer(200, {"jobs": [{"id": 3, "name": "another"}, OURS]})
FAIL: dict[str, Any] = {"submit": {"on_uncertain": "fail"}}
PAGES = {"list": {"paginate": {"next": "next"}, "request": {"params": {"after": "{{ next }}"}}}}
INTENT = {"phase": "intent", "at": NOW - 100, "since": NOW - 100, "settled_at": NOW + 220}


def listed(*changes: dict[str, Any], **given: Any) -> Drive:
    return Drive(LISTED, *changes, **given)


def lost(*changes: dict[str, Any], event: Any = LOST) -> Drive:
    """Return a drive that looks at the list, since its submit had no answer."""
    drive = listed(*changes).tell_all(S, event)
    assert drive.until_send().purpose is Purpose.LIST
    return drive


def restarted(*changes: dict[str, Any], **stored: Any) -> Drive:
    """Return a drive that finds an intent of an earlier process."""
    drive = listed(*changes, checkpoint={**INTENT, **stored})
    assert drive.until_send().purpose is Purpose.LIST
    return drive


def notes(drive: Drive) -> str:
    return "\n".join(drive.job.notes)


# Found ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [LOST, SORRY, HTML], ids=["lost", "503", "html"])
def test_a_job_that_is_in_the_list_is_adopted_within_the_try(event: Any) -> None:
    drive = lost(event=event).tell(FOUND)
    assert drive.job.submission is not None
    assert drive.job.submission.id == "7"
    assert drive.stored[-1]["phase"] == "submitted"
    assert "settled_at" not in drive.stored[-1]
    assert purposes(drive) == ["submit", "list"]
    assert f"the job '7', which is marked '{KEY}': the submit was accepted, and is not sent again" in notes(
        drive
    )


@pytest.mark.parametrize("changes", [(), (FAIL,)], ids=["resubmit", "fail"])
def test_a_restart_asks_the_list_first_whatever_on_uncertain_says(changes: Any) -> None:
    drive = restarted(*changes).tell(FOUND)
    assert drive.stored[-1]["submission"]["id"] == "7"
    assert purposes(drive) == ["list"]


def test_what_the_list_tells_of_the_job_is_kept() -> None:
    created = datetime.fromtimestamp(NOW - 40, UTC).isoformat()
    job = {**OURS, "created": created}
    drive = restarted({"submit": {"capture": {"token": "token"}}}).tell(answer(200, {"jobs": [job]}))
    submission = drive.job.submission
    assert submission is not None
    assert submission.submitted_at == NOW - 40
    assert submission.captures == {"token": "t"}


@pytest.mark.parametrize(
    ("created", "expected"),
    [(NOW - 90000, NOW - 100), (NOW + 500, NOW), ("soon", NOW - 100), (None, NOW - 100)],
    ids=["long before", "to come", "unreadable", "none"],
)
def test_a_time_that_cannot_be_is_not_believed(created: Any, expected: float) -> None:
    drive = restarted().tell(answer(200, {"jobs": [{**OURS, "created": created}]}))
    assert drive.job.submission is not None
    assert drive.job.submission.submitted_at == expected


def test_a_capture_that_the_list_does_not_have_is_told_and_the_job_is_adopted_all_the_same() -> None:
    drive = restarted({"submit": {"capture": {"secret": "secret"}}}).tell(FOUND)
    assert drive.job.submission is not None
    assert drive.job.submission.captures == {}
    assert "submit.capture.secret: path 'secret' matches nothing" in notes(drive)


def test_of_two_jobs_with_one_mark_the_oldest_is_carried_on_and_both_are_told() -> None:
    twice = [{**OURS, "id": 9, "created": NOW - 10}, {**OURS, "id": 8, "created": NOW - 20}]
    drive = restarted().tell(answer(200, {"jobs": twice}))
    assert drive.job.submission is not None
    assert drive.job.submission.id == "8"
    assert f"2 jobs that are marked '{KEY}': the oldest, '8', is carried on. Look at '9'" in notes(drive)


def test_of_two_jobs_without_times_the_first_of_the_list_is_carried_on() -> None:
    drive = restarted().tell(answer(200, {"jobs": [{**OURS, "id": 9}, {**OURS, "id": 8}]}))
    assert drive.job.submission is not None
    assert drive.job.submission.id == "9"


def test_the_pages_are_read_until_the_job_is_found() -> None:
    drive = restarted(PAGES).tell(answer(200, {"jobs": [{"id": 1, "name": "x"}], "next": "b"}))
    assert drive.until_send().names["next"] == "b"
    drive.tell(answer(200, {"jobs": [OURS], "next": "c"}))
    assert drive.stored[-1]["submission"]["id"] == "7"
    assert purposes(drive) == ["list", "list"]


# Not found --------------------------------------------------------------------------------------------------


def test_a_job_that_is_not_there_yet_may_still_come() -> None:
    drive = lost().tell(NOBODY)
    wait = drive.wait()
    assert wait.until == drive.now + 20  # list.settle, after the list has answered
    assert wait.reason == "the next look for the job in the list"
    drive.tell(W).tell(FOUND)
    assert drive.stored[-1]["submission"]["id"] == "7"


def test_a_server_that_hung_may_answer_the_list_before_it_turns_to_the_submit() -> None:
    drive = restarted(settled_at=NOW - 1)
    drive.tell(NOBODY)
    assert drive.wait().until == drive.now + 20, "the list is not believed at once"
    drive.tell(W).tell(FOUND)
    assert purposes(drive) == ["list", "list"]
    assert drive.stored[-1]["submission"]["id"] == "7"


def test_a_job_that_is_never_there_is_submitted_again_with_the_same_key() -> None:
    drive = lost().tell_all(NOBODY, W, NOBODY).store_all()
    assert purposes(drive) == ["submit", "list", "list", "submit"]
    first, again = drive.sent[0][1], drive.sent[-1][1]
    assert first.names["idempotency_key"] == again.names["idempotency_key"] == KEY
    assert f"None of the 1 jobs of the API's list is marked '{KEY}': the submit was not accepted" in notes(
        drive
    )
    drive.tell(ACCEPTED)
    assert drive.stored[-1]["submission"]["id"] == "7"


def test_the_request_of_a_process_that_may_run_on_unseen_is_waited_for() -> None:
    drive = listed()
    assert drive.command
    assert drive.stored[-1]["settled_at"] == NOW + 300 + 20  # limits.exchange_timeout
    again = Drive(LISTED, checkpoint=drive.stored[-1], now=NOW + 30)
    again.until_send()
    again.tell(NOBODY)
    assert again.wait().until == NOW + 320
    assert not [send for _, send in again.sent if send.purpose is Purpose.SUBMIT]
    again.tell_all(W, NOBODY).store_all()
    assert again.sent[-1][1].purpose is Purpose.SUBMIT
    assert again.now == NOW + 320


def test_a_hand_over_in_the_wait_does_not_begin_it_anew() -> None:
    drive = restarted().tell(NOBODY)
    handed = drive.job.checkpoint.to_dict()
    assert handed["settled_at"] == INTENT["settled_at"]
    assert handed["phase"] == "intent"
    other = Drive(LISTED, checkpoint=handed, now=NOW + 221)
    other.until_send()
    other.tell(NOBODY).store_all()
    assert other.sent[-1][1].purpose is Purpose.SUBMIT


def test_an_intent_of_a_version_that_did_not_look_is_looked_for() -> None:
    drive = restarted(settled_at=None).tell(NOBODY)
    assert drive.wait().until == NOW + 320


def test_no_submit_is_left_after_the_last_look() -> None:
    drive = lost({"limits": {"retries": 0}}).tell_all(NOBODY, W, NOBODY)
    error = drive.until_finish().error
    assert isinstance(error, UnreachableError)
    assert "The submit did not work; the last: POST https://api.example.com/jobs" in error.message
    assert "Nothing was accepted." in error.message
    assert drive.stored[-1]["phase"] == "idle"


def test_no_submit_is_left_to_a_later_process_that_looks() -> None:
    drive = restarted({"limits": {"retries": 0}}, tries=1, settled_at=NOW - 1).tell_all(NOBODY, W, NOBODY)
    error = drive.until_finish().error
    assert isinstance(error, UnreachableError)
    assert "The submit did not work; the last: an earlier submit had no answer. Nothing was accepted." in (
        error.message
    )


def test_a_submit_that_certainly_did_not_arrive_is_not_looked_for() -> None:
    drive = listed().tell_all(S, NOT_SENT, S)
    assert drive.until_send().purpose is Purpose.SUBMIT


# The list cannot be read ------------------------------------------------------------------------------------


def test_a_list_that_does_not_answer_is_asked_again() -> None:
    drive = lost().tell(SORRY)
    assert isinstance(drive.command, Wait)
    drive.tell(W).tell(FOUND)
    assert drive.stored[-1]["submission"]["id"] == "7"


@pytest.mark.parametrize("changes", [(), (FAIL,)], ids=["resubmit", "fail"])
def test_a_list_that_never_answers_is_an_error_and_nothing_is_submitted(changes: Any) -> None:
    drive = lost({"limits": {"retries": 1}}, *changes).tell_all(SORRY, W, SORRY)
    error = drive.until_finish().error
    assert isinstance(error, UncertainError)
    assert error.may_resubmit
    assert error.message == (
        "It is not known whether the submit was accepted, and the API's list of jobs, which could tell, "
        "cannot be read: 2 tries of the list of jobs did not work; the last: "
        'GET https://api.example.com/jobs/7 answered 503: {"error": "overloaded"}. Expected a code of 2xx. '
        "Try again later, or raise "
        "limits.retries. Nothing is sent again (as it would be where there is no list). A retry of the task "
        "asks the list again."
    )
    assert purposes(drive).count("submit") == 1
    assert drive.stored[-1]["phase"] == "intent"


@pytest.mark.parametrize("changes", [(), (FAIL,)], ids=["resubmit", "fail"])
def test_a_list_that_puts_off_for_ever_is_asked_until_the_job_may_not_wait_longer(changes: Any) -> None:
    """Each wait is so long that the worker hands the job over: no process spends its tries."""
    drive = lost({"status": {"timeout": 600}}, *changes)
    submits, looks = 1, 1
    while isinstance(drive.tell(SLOW_DOWN).store_all().command, Wait):
        again, handed = drive.wait().until, drive.job.checkpoint.to_dict()
        assert (handed["phase"], handed["not_before"]) == ("intent", again)
        drive = listed({"status": {"timeout": 600}}, *changes, checkpoint=handed, now=again - 100)
        assert drive.until_send().purpose is Purpose.LIST
        assert drive.now == again, "it is not asked again before the API allows it"
        submits, looks = submits + purposes(drive).count("submit"), looks + 1
        assert looks < 20
    error = drive.until_finish().error
    assert isinstance(error, UncertainError)
    assert error.may_resubmit
    assert error.message == (
        "It is not known whether the submit was accepted, and the API's list of jobs, which could tell, "
        'cannot be read: GET https://api.example.com/jobs/7 answered 429: {"error": "slow down"}. Expected a '
        f"code of 2xx. The next look could be at {moment(drive.now + 120)}, and this job may wait to be "
        f"accepted until {moment(NOW + 600)} (status.timeout after its first submit). Nothing is sent again "
        "(as it would be where there is no list). A retry of the task asks the list again."
    )
    assert (submits, looks) == (1, 5)
    assert drive.stored[-1]["phase"] == "intent"


def test_a_retry_after_a_list_that_put_off_too_long_asks_it_again() -> None:
    drive = restarted({"status": {"timeout": 100}}, since=NOW - 50).tell(SLOW_DOWN)
    assert isinstance(drive.until_finish().error, UncertainError)
    retry = listed({"status": {"timeout": 100}}, checkpoint=drive.stored[-1], now=drive.now + 1)
    assert retry.until_send().purpose is Purpose.LIST
    assert retry.tell(FOUND).stored[-1]["submission"]["id"] == "7"
    assert purposes(retry) == ["list"]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (answer(200, {"jobs": "none"}), "list.records: expected a list"),
        (answer(200, {"jobs": [{"name": "x"}]}), "list.id (job 1 of the list)"),
        (answer(404), "The API refused the list of jobs"),
    ],
    ids=["no list", "no id", "404"],
)
def test_a_list_that_cannot_be_understood_is_final(event: Any, said: str) -> None:
    error = lost().tell(event).until_finish().error
    assert isinstance(error, UncertainError)
    assert not error.may_resubmit
    assert said in error.message
    assert error.message.endswith("Correct list, and clear the task.")


def test_credentials_are_fetched_anew_for_the_list() -> None:
    drive = lost().tell_all(DENIED, UNCHANGED)
    assert isinstance(drive.until_finish().error, UncertainError)


def test_pages_without_end_are_no_proof_that_the_job_is_not_there() -> None:
    pages = {
        "list": {"paginate": {"next": "next"}, "request": {"params": {"after": "{{ next }}"}}},
        "limits": {"pages": 2},
    }
    drive = restarted(pages, settled_at=NOW - 1)
    for name in "bc":
        drive.tell(answer(200, {"jobs": [{"id": 1, "name": name}], "next": name}))
    error = drive.until_finish().error
    assert isinstance(error, UncertainError)
    assert "limits.pages allows no more" in error.message


# Who is looked for ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"submit": {"idempotency": True}},
        {"list": None},
        {"list": {"marker": None}},
    ],
    ids=["declared", "no list", "no marker"],
)
def test_a_key_that_the_api_heeds_is_sent_again_without_a_look(changes: dict[str, Any]) -> None:
    drive = listed(changes, checkpoint=INTENT)
    assert drive.until_send().purpose is Purpose.SUBMIT
    assert "sent again with the same key" in notes(drive)


@pytest.mark.parametrize("answered", ["resubmit", "fail"])
def test_a_key_that_the_api_does_not_heed_is_a_risk_where_no_list_tells(answered: str) -> None:
    changes = {"submit": {"idempotency": False, "on_uncertain": answered}, "list": None}
    drive = listed(changes, checkpoint=INTENT)
    if answered == "fail":
        assert isinstance(drive.until_finish().error, UncertainError)
        assert purposes(drive) == []
    else:
        assert drive.until_send().purpose is Purpose.SUBMIT
        assert "the job may now exist twice" in notes(drive)
    within = listed(changes).tell_all(S, LOST)
    assert isinstance(within.until_finish().error, UncertainError)
    assert purposes(within) == ["submit"]


def test_a_submit_without_the_key_is_not_looked_for() -> None:
    drive = listed({"submit": {"request": {"json": {"name": "x"}}}}, checkpoint=INTENT)
    assert drive.until_send().purpose is Purpose.SUBMIT
    assert "the job may now exist twice" in notes(drive)


@pytest.mark.parametrize(
    ("marker", "ours"),
    [
        (KEY, True),
        (f"asyncjob {KEY}", True),
        (f"[{KEY}]", True),
        (["a", KEY], True),
        ({"tag": KEY}, True),
        (f"{KEY}2", False),
        (f"x{KEY}", False),
        ("another", False),
        (None, False),
        (7, False),
        ([], False),
    ],
)
def test_a_mark_is_the_whole_key(marker: Any, ours: bool) -> None:
    assert is_marked(marker, KEY) is ours


def test_an_empty_key_marks_nothing() -> None:
    assert not is_marked("", "")


# Steps ------------------------------------------------------------------------------------------------------


def step_lost(**stored: Any) -> Drive:
    drive = Drive(LISTED_STEPS, checkpoint={**INTENT, **stored})
    drive.until_send()
    return drive


def test_a_step_that_is_found_is_done_and_the_next_one_follows() -> None:
    drive = step_lost().tell(FOUND).store_all()
    sent = drive.until_send()
    assert (sent.purpose, sent.step) == (Purpose.SUBMIT, "start")
    assert sent.names["captures"] == {"job": 7}
    assert "the step 'create' of the submit was done, and is not sent again" in notes(drive)
    assert drive.stored[-1]["step"] == "start"


def test_what_a_refused_submit_left_behind_is_not_carried_on() -> None:
    drive = Drive(LISTED_STEPS).tell_all(S, answer(200, {"id": 3})).store_all().tell(answer(403, {}))
    drive.tell(UNCHANGED)
    assert drive.stored[-1] == {"version": 1, "phase": "idle", "at": NOW, "key": KEY, "left_at": NOW}

    old, new = {**OURS, "id": 3, "created": NOW - 400}, {**OURS, "created": NOW - 90}
    drive = Drive(LISTED_STEPS, PAGES, checkpoint={**INTENT, "left_at": NOW - 300})
    drive.until_send()
    drive.tell(answer(200, {"jobs": [old], "next": "b"}))
    drive.tell(answer(200, {"jobs": [new]})).store_all()
    assert drive.until_send().names["captures"] == {"job": 7}
    assert drive.stored[-1]["step"] == "start"
    assert f"The API's list has '3' with the mark '{KEY}', from before the submit was refused" in notes(drive)


def test_where_only_what_was_left_behind_is_there_the_submit_was_not_accepted() -> None:
    old = answer(200, {"jobs": [{**OURS, "id": 3, "created": NOW - 400}]})
    drive = step_lost(left_at=NOW - 300).tell_all(old, W, old).store_all()
    assert drive.until_send().step == "create"
    assert drive.stored[-1]["left_at"] == NOW - 300


def test_a_step_without_the_mark_is_not_looked_for() -> None:
    drive = step_lost(step="start", step_captures={"job": 7})
    assert drive.sent[-1][1].purpose is Purpose.SUBMIT
    assert "what it makes may now exist twice" in notes(drive)


def test_only_the_first_step_with_the_key_makes_the_job_that_the_list_shows() -> None:
    steps = [*LISTED_STEPS["submit"]["steps"]]  # type: ignore[call-overload]
    steps[1] = {
        "name": "start",
        "request": {"url": "/start", "headers": {"Idempotency-Key": "{{ idempotency_key }}"}},
    }
    drive = Drive(
        LISTED_STEPS,
        {"submit": {"steps": steps}},
        checkpoint={**INTENT, "step": "start", "step_captures": {"job": 7}},
    )
    assert drive.until_send().purpose is Purpose.SUBMIT
    assert "has the same key" in notes(drive)


def test_a_step_that_is_found_without_what_the_next_ones_need_is_an_error() -> None:
    drive = Drive(
        LISTED_STEPS,
        {
            "submit": {
                "steps": [
                    {**LISTED_STEPS["submit"]["steps"][0], "capture": {"job": "upload.id"}},
                    *LISTED_STEPS["submit"]["steps"][1:],
                ]
            }
        },  # type: ignore[index]
        checkpoint=INTENT,
    )
    drive.until_send()
    error = drive.tell(FOUND).until_finish().error
    assert isinstance(error, UncertainError)
    assert not error.may_resubmit
    assert "has the job '7'" in error.message
    assert "submit.steps[0].capture.job" in error.message


# Stopping ---------------------------------------------------------------------------------------------------


def test_a_stop_while_the_list_answers_cancels_the_job_that_it_finds() -> None:
    drive = lost()
    drive.job.cancel(drive.now)
    drive.job.tell(FOUND, drive.now)
    sent = drive.until_send()
    assert sent.purpose is Purpose.CANCEL
    assert sent.names["submission_id"] == "7"


def test_a_submission_is_the_end_where_that_is_the_goal() -> None:
    drive = Drive(LISTED, goal=Goal.SUBMITTED, checkpoint=INTENT)
    assert isinstance(drive.until_send(), Send)
    finish = drive.tell(FOUND).until_finish()
    assert finish.submission is not None
    assert finish.submission.id == "7"
