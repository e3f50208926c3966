"""Jobs that never start: status.queued and status.queue_timeout."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.protocol import Checkpoint, Outcome, Purpose, error_for
from tests.protocol.driving import BUSY, NOW, READY, SORRY, SUBMISSION, Drive, S, W, answer, waiting

QUEUED = answer(200, {"status": "queued", "message": "behind 12 others"})
LIMIT = {
    "status": {"queued": ["queued"], "queue_timeout": 1100, "values": {"running": ["queued", "busy"]}},
}
START = SUBMISSION.submitted_at
"""A thousand seconds before the first poll here."""


def polling(*changes: dict[str, Any], **more: Any) -> Drive:
    drive = waiting(LIMIT, *changes, **more)
    drive.until_send()
    return drive


def timed_out(drive: Drive) -> Outcome:
    """Let the cancel work, and return what the job ended as."""
    assert drive.until_send().purpose is Purpose.CANCEL
    outcome = drive.tell(answer(204)).until_finish().outcome
    assert outcome is not None
    assert outcome.state == "timed_out"
    return outcome


def test_a_job_that_is_queued_for_too_long_is_cancelled_and_says_why() -> None:
    drive = polling()
    while drive.until_send().purpose is Purpose.POLL:
        drive.tell(QUEUED)
    assert drive.now == START + 1100
    assert drive.stored[-1]["phase"] == "cancelling"
    outcome = timed_out(drive)
    assert outcome.raw_status == "queued"
    assert outcome.message == (
        "not started before 2023-11-14 22:15:00 UTC (status.queue_timeout); the last status was 'queued'; "
        "behind 12 others; cancelled at the API"
    )
    error = error_for(outcome)
    assert error is not None
    assert "Give it more time (status.timeout, status.queue_timeout)" in error.message


def test_a_job_that_has_started_has_until_the_deadline() -> None:
    drive = polling()
    while drive.now < START + 3000:
        drive.tell(BUSY)
        assert drive.until_send().purpose is Purpose.POLL
    assert drive.tell(READY).until_finish().outcome is not None


def test_a_job_that_is_queued_again_after_its_time_is_given_up() -> None:
    drive = polling()
    drive.now = START + 2000
    assert timed_out(drive.tell(QUEUED)).raw_status == "queued"


def test_an_end_that_is_seen_late_is_an_end() -> None:
    drive = polling()
    drive.now = START + 2000
    outcome = drive.tell(READY).until_finish().outcome
    assert outcome is not None
    assert outcome.state == "done"


def test_a_poll_that_fails_says_nothing_of_the_queue() -> None:
    drive = polling()
    drive.now = START + 2000
    assert drive.tell(SORRY).until_send().purpose is Purpose.POLL


def test_a_wait_that_has_grown_ends_when_the_time_in_the_queue_does() -> None:
    drive = polling({"status": {"poll_wait": 40, "growth": 10, "longest_wait": 3000}})
    drive.tell(QUEUED)
    assert drive.wait().until == NOW + 40
    drive.tell_all(W, QUEUED)
    assert drive.wait().until == START + 1100, "and not 400 s later"


def test_the_last_look_at_a_queued_job_comes_no_sooner_than_the_poll_wait_and_retry_after() -> None:
    drive = polling({"status": {"poll_wait": 300}})
    assert drive.tell(QUEUED).wait().until == NOW + 300
    held = polling()
    held.tell(answer(200, {"status": "queued"}, {"retry-after": "500"})).tell(S)
    assert held.wait().until == NOW + 500


def test_a_clear_gives_a_job_its_time_in_the_queue_anew() -> None:
    cleared = Checkpoint(phase="submitted", submission=SUBMISSION, deadline=NOW + 3600)
    drive = polling(checkpoint=cleared)
    drive.now = NOW + 1090
    drive.tell(QUEUED)
    assert drive.wait().until == NOW + 1100
    assert timed_out(drive.tell_all(W, QUEUED)).raw_status == "queued"


@pytest.mark.parametrize("word", [1, True, "1"])
def test_a_queued_word_is_compared_as_a_status_is(word: Any) -> None:
    one = {"status": {"queued": [1], "values": {"running": [1, "1", True]}}}
    drive = polling(one)
    drive.now = START + 2000
    drive.tell(answer(200, {"status": word}))
    assert drive.until_send().purpose is (Purpose.CANCEL if word is not True and word == 1 else Purpose.POLL)
