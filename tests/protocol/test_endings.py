"""What an outcome means to a caller: an error, or none."""

from __future__ import annotations

import pytest

from airflow_asyncjob.errors import JobCancelledError, JobError, JobFailedError, JobTimeoutError
from airflow_asyncjob.protocol import Outcome, error_for

STATES = [
    ("failed", JobFailedError, "failed", "correct its inputs"),
    ("cancelled", JobCancelledError, "was cancelled", "Submit a new one"),
    ("timed_out", JobTimeoutError, "timed out", "status.timeout"),
]


@pytest.mark.parametrize("state", ["done", "no_data", "partial"])
def test_a_job_with_an_end_that_callers_can_use_is_no_error(state: str) -> None:
    assert error_for(Outcome(state, ["/x"])) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(("state", "kind", "word", "advice"), STATES)
def test_an_error_says_what_was_asked_what_came_and_what_to_do(
    state: str, kind: type[JobError], word: str, advice: str
) -> None:
    outcome = Outcome(
        state,  # type: ignore[arg-type]
        [],
        raw_status="FAILED_QUOTA",
        message="the quota of May is used up",
        polls=4,
        waited=61.4,
        sent="GET https://api.example.com/jobs/7",
    )
    error = error_for(outcome, submission_id="7", name="example/export")
    assert type(error) is kind
    assert not error.retryable
    assert error.message.startswith(
        f"The job 7 (example/export) {word}; the API's status is 'FAILED_QUOTA'; "
    )
    for text in [
        "asked with GET https://api.example.com/jobs/7",
        "message: the quota of May is used up",
        advice,
    ]:
        assert text in error.message
    assert "After 61 s and 4 polls" in error.message


def test_an_error_with_little_to_say_is_still_a_sentence() -> None:
    error = error_for(Outcome("failed", []))
    assert error is not None
    assert error.message.startswith("The job failed. After 0 s and 0 polls.")
