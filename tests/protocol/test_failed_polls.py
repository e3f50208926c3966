"""Polls that fail, which is not a job that failed: the budget, final answers, credentials, error rules."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.errors import (
    JobVanishedError,
    PollBudgetError,
    RefusedError,
    UnreadableError,
)
from airflow_asyncjob.protocol import Wait
from tests.protocol.driving import (
    BUSY,
    CHANGED,
    DENIED,
    HTML,
    LOST,
    NOT_SENT,
    SORRY,
    TOO_LARGE,
    UNCHANGED,
    answer,
    error_of,
    goes_on,
    outcome_of,
    polling,
)

# Failed polls -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event", [NOT_SENT, LOST, SORRY, HTML, answer(429), answer(408), answer(404), answer(200, b"{")]
)
def test_a_failed_poll_is_not_a_failed_job(event: Any) -> None:
    drive = goes_on(event)
    assert drive.job.facts.errors == 1
    drive.until_send()
    assert drive.tell(BUSY).job.facts.errors == 0


def test_the_budget_counts_failures_in_a_row() -> None:
    drive = polling({"status": {"poll_error_budget": 2}})
    for event in (SORRY, NOT_SENT, BUSY, HTML, SORRY):
        drive.tell(event)
        drive.until_send()
    error = drive.tell(LOST).until_finish().error
    assert isinstance(error, PollBudgetError)
    assert error.retryable
    for text in ["3 polls in a row failed", "status.poll_error_budget (2)", "reset by peer", "the job '7'"]:
        assert text.lower() in error.message.lower()
    assert drive.stored[-1]["phase"] == "submitted"
    assert "errors" not in drive.stored[-1]


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (HTML, "HTML instead of JSON"),
        (answer(200, b"{"), "the answer is not JSON"),
        (answer(200, b'{"status": NaN}'), "NaN is not a JSON value"),
        (answer(200, b"[" * 100_000), "nested too deeply"),
        (answer(200, b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), "document type (DOCTYPE)"),
    ],
)
def test_the_budget_says_why_answers_could_not_be_read(event: Any, why: str) -> None:
    error = error_of(event, {"status": {"poll_error_budget": 0}})
    assert isinstance(error, PollBudgetError)
    assert "answered 200: " in error.message
    assert why in error.message


def test_a_path_that_never_matches_ends_as_what_it_is() -> None:
    drive = polling({"status": {"path": "state", "poll_error_budget": 1}})
    drive.tell(BUSY).until_send()
    error = drive.tell(BUSY).until_finish().error
    assert isinstance(error, UnreadableError)
    assert not error.retryable
    assert "status.path: path 'state' matches nothing; the body has 'status', 'progress'" in error.message


def test_a_mixture_of_failures_is_the_budget_s() -> None:
    drive = polling({"status": {"path": "state", "poll_error_budget": 1}})
    drive.tell(SORRY).until_send()
    assert isinstance(drive.tell(BUSY).until_finish().error, PollBudgetError)


def test_404_is_waited_out_until_the_first_good_poll_and_final_after_it() -> None:
    drive = polling().tell(answer(404))
    drive.until_send()
    drive.tell(BUSY)
    drive.until_send()
    error = drive.tell(answer(404, {"error": "no such job"})).until_finish().error
    assert isinstance(error, JobVanishedError)
    assert "does not know it any more" in error.message
    assert "no such job" in error.message


def test_404_from_the_start_ends_as_an_unknown_job() -> None:
    drive = polling({"status": {"poll_error_budget": 1}})
    drive.tell(answer(404)).until_send()
    error = drive.tell(answer(404)).until_finish().error
    assert isinstance(error, RefusedError)
    assert "The API does not know the job '7': 2 polls in a row failed" in error.message
    assert "status.request, or submit.id" in error.message


def test_410_is_final_at_once() -> None:
    assert isinstance(error_of(answer(410)), JobVanishedError)


@pytest.mark.parametrize("code", [400, 405, 422])
def test_a_poll_that_is_refused_is_final(code: int) -> None:
    error = error_of(answer(code, {"error": "bad"}))
    assert isinstance(error, RefusedError)
    assert f"answered {code}" in error.message
    assert "status.request" in error.message


def test_an_answer_that_is_too_large_is_final_and_says_the_limit() -> None:
    error = error_of(TOO_LARGE)
    assert isinstance(error, UnreadableError)
    assert "limits.response_bytes" in error.message


@pytest.mark.parametrize("code", [401, 403])
def test_refused_credentials_are_fetched_again_once(code: int) -> None:
    event = answer(code, {"error": "who?"})
    drive = polling().tell_all(event, CHANGED, event)
    error = drive.until_finish().error
    assert isinstance(error, RefusedError)
    assert f"answered {code}" in error.message
    assert "the connection" in error.message


def test_credentials_that_are_the_same_are_not_tried_again() -> None:
    drive = polling().tell_all(DENIED, UNCHANGED)
    assert isinstance(drive.until_finish().error, RefusedError)
    assert len(drive.sent) == 1


def test_after_a_good_poll_the_credentials_may_expire_again() -> None:
    drive = polling().tell_all(DENIED, CHANGED, BUSY)
    drive.until_send()
    drive.tell_all(DENIED, CHANGED, BUSY)
    assert isinstance(drive.command, Wait)


# Error rules --------------------------------------------------------------------------------------------


def rules(*listed: dict[str, Any]) -> dict[str, Any]:
    return {"errors": {"status": list(listed)}}


def test_a_rule_may_ask_for_another_poll_and_say_when() -> None:
    drive = goes_on(
        answer(400, {"error": "BUSY"}), rules({"when": "body.error == 'BUSY'", "then": "retry", "wait": 77})
    )
    assert drive.wait().until == drive.now + 77
    assert drive.job.facts.errors == 1


def test_a_rule_never_shortens_the_poll_wait() -> None:
    drive = goes_on(answer(400), rules({"when": "code == 400", "then": "retry", "wait": 1}))
    assert drive.wait().until == drive.now + 10


def test_a_rule_may_end_the_wait() -> None:
    changes = rules(
        {"when": "body.error is defined", "then": "fail", "message": "{{ body.error }} at {{ url }}"}
    )
    error = error_of(answer(200, {"status": "busy", "error": "E9"}), changes)
    assert isinstance(error, RefusedError)
    assert "E9" in error.message


def test_a_rule_may_read_an_error_answer_as_a_good_one() -> None:
    changes = rules({"when": "code == 418", "then": "accept"})
    assert outcome_of(answer(418, {"status": "broken"}), changes).state == "failed"


def test_a_rule_may_end_the_job_without_data() -> None:
    changes = rules({"when": "code == 404", "then": "no_data", "message": "no rows in {{ body.range }}"})
    outcome = outcome_of(answer(404, {"range": "May"}), changes)
    assert (outcome.state, outcome.target, outcome.message) == ("no_data", [], "no rows in May")
