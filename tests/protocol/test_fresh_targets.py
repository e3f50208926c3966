"""A look at a job that has ended, for its download target as it is now; and targets that are kept secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_asyncjob.errors import (
    AsyncJobError,
    DefinitionError,
    JobVanishedError,
    RefusedError,
    UnreachableError,
    UnreadableError,
)
from airflow_asyncjob.protocol import Finish, Goal, Outcome, Purpose, Submission
from tests.protocol.driving import (
    BUSY,
    DENIED,
    HTML,
    NOT_SENT,
    NOW,
    READY,
    SORRY,
    SUBMISSION,
    UNCHANGED,
    Drive,
    W,
    answer,
    polling,
)

SECRET = {"result": {"secret": True}}
SIGNED = answer(200, {"status": "ready", "urls": ["https://files/7?sig=s3cr3t"]})


def seeking(*changes: dict[str, Any], submission: Submission = SUBMISSION) -> Drive:
    drive = Drive(*changes, goal=Goal.TARGET, submission=submission, key="")
    assert drive.until_send().purpose is Purpose.POLL
    return drive


def outcome_of(drive: Drive) -> Outcome:
    finish = drive.until_finish()
    assert finish.outcome is not None, finish
    return finish.outcome


def error_of(drive: Drive) -> AsyncJobError:
    finish = drive.until_finish()
    assert finish.error is not None, finish
    return finish.error


# The look -----------------------------------------------------------------------------------------------


def test_it_is_one_poll_at_once_and_stores_nothing() -> None:
    drive = seeking({"status": {"capture": {"shard": "shard"}, "expires_at": "until"}})
    assert drive.now == NOW
    assert drive.sent[0][1].where == "status.request"
    drive.tell(answer(200, {"status": "ready", "urls": ["/files/1?v=2"], "shard": 4, "until": NOW + 60}))
    outcome = outcome_of(drive)
    assert (outcome.state, outcome.target, outcome.expires_at) == ("done", ["/files/1?v=2"], NOW + 60)
    assert outcome.captures == {"token": "t", "shard": 4}
    assert drive.stored == []


@pytest.mark.parametrize("event", [SORRY, NOT_SENT, HTML, answer(200, {"x": 1}), BUSY])
def test_a_look_that_finds_nothing_is_repeated_no_sooner_than_the_poll_wait(event: Any) -> None:
    drive = seeking().tell(event)
    assert drive.wait().until == NOW + 10
    assert drive.wait().reason == "the next try of the target"
    assert outcome_of(drive.tell_all(W, READY)).target == ["/files/1"]


def test_the_looks_end() -> None:
    drive = seeking({"limits": {"retries": 2}})
    error = error_of(drive.tell_all(SORRY, W, SORRY, W, BUSY))
    assert isinstance(error, UnreachableError)
    assert error.retryable
    assert error.message == (
        "The job '7' has ended, and 3 looks for its download target did not find it; the last: its status "
        "is 'busy' again. Try again later."
    )


def test_a_retry_after_of_days_is_left_to_a_later_process() -> None:
    error = error_of(seeking().tell(answer(503, {"error": "closed"}, {"retry-after": "100000"})))
    assert isinstance(error, UnreachableError)
    assert 'answered 503: {"error": "closed"}' in error.message


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (answer(404), JobVanishedError),
        (answer(410), JobVanishedError),
        (answer(400), RefusedError),
        (answer(200, {"status": "odd"}), AsyncJobError),
        (answer(200, {"status": "ready"}), UnreadableError),
    ],
)
def test_what_cannot_get_better_is_said_at_once(event: Any, kind: type[AsyncJobError]) -> None:
    error = error_of(seeking().tell(event))
    assert isinstance(error, kind)
    assert not error.retryable


def test_credentials_that_are_refused_are_fetched_once() -> None:
    assert isinstance(error_of(seeking().tell_all(DENIED, UNCHANGED)), RefusedError)


@pytest.mark.parametrize(("word", "state"), [("nothing", "no_data"), ("expired", "timed_out")])
def test_another_end_is_told_as_it_is(word: str, state: str) -> None:
    outcome = outcome_of(seeking().tell(answer(200, {"status": word})))
    assert (outcome.state, outcome.target) == (state, [])


def test_a_deadline_that_is_over_does_not_matter_and_nothing_is_cancelled() -> None:
    drive = seeking(submission=Submission("7", NOW - 1e6))
    drive.tell_all(BUSY, W, BUSY, W)
    assert outcome_of(drive.tell(READY)).state == "done"
    assert {send.purpose for _, send in drive.sent} == {Purpose.POLL}


def test_it_needs_a_section_that_asks() -> None:
    with pytest.raises(DefinitionError, match="no section 'status', which the goal target needs"):
        seeking({"status": None})


# Secret targets -----------------------------------------------------------------------------------------


def test_a_secret_target_is_neither_stored_nor_handed_on() -> None:
    drive = polling(SECRET).tell(SIGNED)
    outcome = outcome_of(drive)
    assert (outcome.state, outcome.target) == ("done", "7")
    assert "s3cr3t" not in json.dumps(drive.stored)
    assert drive.stored[-1]["phase"] == "ended"


def test_the_look_finds_the_secret_target() -> None:
    assert outcome_of(seeking(SECRET).tell(SIGNED)).target == ["https://files/7?sig=s3cr3t"]


def test_no_data_stay_no_data() -> None:
    outcome = outcome_of(polling(SECRET).tell(answer(200, {"status": "ready", "urls": []})))
    assert (outcome.state, outcome.target) == ("no_data", [])


def test_a_secret_target_in_the_answer_to_the_submit_is_not_kept_either() -> None:
    drive = Drive(SECRET, {"status": {"from": "submit"}}, goal=Goal.SUBMITTED)
    drive.until_send()
    drive.tell(answer(200, {"id": 7, "status": "ready", "urls": ["https://files/7?sig=s3cr3t"]}))
    finish = drive.until_finish()
    assert isinstance(finish, Finish)
    assert finish.submission is not None
    assert finish.submission.outcome is not None
    assert finish.submission.outcome.target == "7"
    assert "s3cr3t" not in json.dumps(drive.stored)
