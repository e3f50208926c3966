"""What the answer to a submit means."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.errors import AsyncJobError, RefusedError, UncertainError, UnreadableError
from airflow_asyncjob.protocol import Goal, Submission, Wait
from airflow_asyncjob.protocol.transitions import Phase
from tests.protocol.driving import (
    BAD_URL,
    HTML,
    LOST,
    NO_KEY,
    NO_KEY_FAIL,
    NOT_SENT,
    NOW,
    TOO_LARGE,
    Drive,
    S,
    W,
    answer,
)


def submitted(event: Any, *changes: dict[str, Any]) -> Submission:
    """Return the submission that an answer gives."""
    finish = Drive(*changes, goal=Goal.SUBMITTED).tell_all(S, event).until_finish()
    assert finish.submission is not None, finish
    return finish.submission


def refused(event: Any, *changes: dict[str, Any]) -> AsyncJobError:
    """Return the error that an answer gives."""
    finish = Drive(*changes, goal=Goal.SUBMITTED).tell_all(S, event).until_finish()
    assert finish.error is not None, finish
    return finish.error


def with_id(extractor: Any, **more: Any) -> dict[str, Any]:
    return {"submit": {"id": extractor, **more}}


@pytest.mark.parametrize(
    ("event", "extractor", "expected"),
    [
        (answer(202, {"id": "ab-1"}), "id", "ab-1"),
        (answer(200, {"id": 7}), "id", "7"),
        (answer(200, {"id": 12345678901234567890123}), "id", "12345678901234567890123"),
        (answer(200, {"data": {"job": {"id": 1.5}}}), "data.job.id", "1.5"),
        (
            answer(201, None, {"location": "https://x/jobs/42"}),
            {"header": "Location", "regex": "jobs/(.+)$"},
            "42",
        ),
        (answer(303, None, {"location": "/jobs/42"}), {"header": "location", "regex": "jobs/(.+)$"}, "42"),
        (answer(200, b"<r xmlns='u'><Job id='9'/></r>"), "/r/Job/@id", "9"),
        (answer(202, {"ok": True}), "{{ idempotency_key }}-x", "dag/run/task/0/1-x"),
        (answer(200, b'"  spaced  "'), "@", "spaced"),
    ],
)
def test_the_submission_id_is_read_as_text(event: Any, extractor: Any, expected: str) -> None:
    assert submitted(event, with_id(extractor)).id == expected


def test_submitted_at_is_when_the_answer_was_read() -> None:
    drive = Drive(goal=Goal.SUBMITTED).tell(S)
    drive.tell(answer(202, {"id": 1}), took=2.5)
    submission = drive.until_finish().submission
    assert submission == Submission("1", NOW + 2.5)


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (answer(202, {"job": 7}), ["submit.id: path 'id' matches nothing", "the body has 'job'"]),
        (answer(202, {"id": None}), ["path 'id' is null"]),
        (answer(202, {"id": {"a": 1}}), ["submit.id: expected text or a number, and there is a mapping"]),
        (answer(202, {"id": True}), ["there is a boolean"]),
        (answer(202, {"id": " "}), ["there is empty text"]),
        (answer(202, {"id": "7\nSubmitted: 8"}), ["expected an ID", "a line break or another control"]),
        (answer(202, {"id": "x" * 9000}), ["expected an ID or an address", "a text of 9,000 characters"]),
        (answer(202), ["path 'id' matches nothing; the body is empty", "answered 202, without a body"]),
        (answer(202, b"{broken"), ["not JSON", "{broken"]),
        (HTML, ["HTML instead of"]),
        (TOO_LARGE, ["too large", "limits.response_bytes"]),
    ],
)
def test_an_answer_without_a_legible_id_is_final_since_a_job_may_run(event: Any, says: list[str]) -> None:
    drive = Drive(NO_KEY).tell_all(S, event)
    assert drive.stored[-1]["phase"] == "intent"
    error = drive.until_finish().error
    assert isinstance(error, UnreadableError)
    assert not error.retryable
    for text in [
        *says,
        "the submission ID cannot be read",
        "A job may run at the API",
        "GET https://api.example.com",
    ]:
        assert text in error.message
    assert "secret" not in error.message


def test_html_is_asked_again_where_the_request_carries_a_key() -> None:
    drive = Drive().tell_all(S, HTML, S, W)
    assert drive.job.phase is Phase.SUBMIT
    assert drive.tell(answer(202, {"id": 1})).job.submission == Submission("1", drive.now)


@pytest.mark.parametrize("code", [400, 404, 405, 409, 410, 422, 301, 307, 304])
def test_other_codes_are_refusals_and_leave_nothing_behind(code: int) -> None:
    drive = Drive(NO_KEY).tell_all(
        S, answer(code, {"error": "no such report"}, {"location": "https://x/?sig=secret"})
    )
    assert drive.stored[-1]["phase"] == "idle"
    error = drive.until_finish().error
    assert isinstance(error, RefusedError)
    assert f"answered {code}" in error.message
    assert "no such report" in error.message
    assert "Correct" in error.message or "correct" in error.message
    assert "secret" not in error.message


def test_a_see_other_that_tells_no_id_may_be_of_a_job() -> None:
    error = refused(
        answer(303, None, {"location": "/x"}), with_id({"header": "location", "regex": "jobs/(.+)"})
    )
    assert isinstance(error, UnreadableError)
    assert "header 'location' with regex 'jobs/(.+)' matches nothing; the header is '/x'" in error.message


def test_a_redirect_that_tells_no_id_is_a_refusal_that_says_where_to_look() -> None:
    error = refused(
        answer(302, None, {"location": "/login"}), with_id({"header": "location", "regex": "jobs/(.+)"})
    )
    assert isinstance(error, RefusedError)
    assert "Redirects of a submit are not followed" in error.message


@pytest.mark.parametrize("event", [LOST, answer(500), answer(502), answer(503), answer(408)])
def test_an_uncertain_submit_without_a_key_ends_the_try(event: Any) -> None:
    drive = Drive(NO_KEY).tell_all(S, event)
    assert drive.stored[-1]["phase"] == "intent"
    error = drive.until_finish().error
    assert isinstance(error, UncertainError)
    assert error.may_resubmit
    assert error.retryable
    assert "not known whether the submit was accepted" in error.message
    assert "A retry submits again (on_uncertain: resubmit)" in error.message


def test_with_on_uncertain_fail_a_person_has_to_look() -> None:
    error = refused(LOST, NO_KEY_FAIL)
    assert isinstance(error, UncertainError)
    assert not error.may_resubmit
    assert not error.retryable
    assert "Nothing is sent again (on_uncertain: fail): look at the API" in error.message
    assert "reset by peer after 3 s" in error.message


@pytest.mark.parametrize("event", [LOST, NOT_SENT, answer(500), answer(408), answer(409), answer(429), HTML])
def test_with_a_key_everything_transient_is_sent_again_with_the_same_key(event: Any) -> None:
    drive = Drive().tell(S)
    for _ in range(3):
        assert drive.until_send().names["idempotency_key"] == "dag/run/task/0/1"
        drive.tell(event)
    drive.until_send()
    drive.tell(answer(202, {"id": 1}))
    assert drive.job.submission is not None


@pytest.mark.parametrize("event", [NOT_SENT, answer(429)])
def test_without_a_key_only_what_certainly_was_not_done_is_repeated(event: Any) -> None:
    drive = Drive(NO_KEY).tell_all(S, event)
    assert drive.stored[-1]["phase"] == "idle"
    assert isinstance(drive.tell(S).command, Wait)


def test_a_request_that_can_never_be_sent_ends_with_its_own_error() -> None:
    error = refused(BAD_URL)
    assert isinstance(error, RefusedError)
    assert "Cannot send the submit" in error.message
    assert "the URL has no host" in error.message


def test_the_error_of_a_template_is_handed_on() -> None:
    from airflow_asyncjob.errors import TemplateError
    from airflow_asyncjob.protocol import Failed, Fault

    own = TemplateError("submit.request.url: 'connection.port' is not defined")
    assert refused(Failed(Fault.REFUSED, "POST", "cannot be rendered", own)) is own


def test_repeats_stop_after_the_limit_and_say_how_many_there_were() -> None:
    drive = Drive({"limits": {"retries": 2}}, NO_KEY).tell(S)
    waits = []
    for _ in range(3):
        drive.until_send()
        drive.tell(NOT_SENT).store_all()
        if isinstance(drive.command, Wait):
            waits.append(drive.command.until - drive.now)
    finish = drive.until_finish()
    assert finish.error is not None
    assert finish.error.retryable
    assert "3 submits in a row did not work" in finish.error.message
    assert "Nothing was accepted" in finish.error.message
    assert "limits.retries (2)" in finish.error.message
    assert [round(wait) for wait in waits] == [1, 2]
    assert drive.stored[-1] == {"version": 1, "phase": "idle", "at": drive.now, "key": "dag/run/task/0/1"}


def test_repeats_with_a_key_end_uncertain_and_a_later_process_may_go_on() -> None:
    drive = Drive({"limits": {"retries": 1}}).tell_all(S, LOST, S, W, NOT_SENT)
    assert drive.stored[-1]["phase"] == "intent"
    error = drive.until_finish().error
    assert isinstance(error, UncertainError)
    assert error.may_resubmit
    assert "2 submits in a row did not work" in error.message
    assert "same idempotency key" in error.message


# Rules --------------------------------------------------------------------------------------------------


def rules(*listed: dict[str, Any]) -> dict[str, Any]:
    return {"errors": {"submit": list(listed)}}


def test_rules_come_before_codes() -> None:
    busy = rules({"when": "code == 400 and body.error == 'BUSY'", "then": "retry", "wait": "5s"})
    drive = Drive(NO_KEY, busy).tell_all(S, answer(400, {"error": "BUSY"}), S)
    assert drive.wait().until == drive.now + 5
    assert drive.stored[-1]["phase"] == "idle"


def test_a_rule_never_shortens_a_retry_after() -> None:
    drive = Drive(NO_KEY, rules({"when": "code == 429", "then": "retry", "wait": 5}))
    drive.tell_all(S, answer(429, None, {"retry-after": "50"}), S)
    assert drive.wait().until == drive.now + 50


def test_a_rule_may_call_a_good_code_a_failure() -> None:
    error = refused(
        answer(200, {"id": 1, "error": "quota"}),
        rules({"when": "body.error is defined", "then": "fail", "message": "The API said {{ body.error }}."}),
    )
    assert isinstance(error, RefusedError)
    assert "The API said quota." in error.message
    assert "when: body.error is defined" in error.message


def test_a_rule_may_call_a_bad_code_good() -> None:
    exists = rules({"when": "code == 409", "then": "accept"})
    assert submitted(answer(409, {"id": 8}), exists, NO_KEY).id == "8"


def test_a_rule_that_does_not_fit_the_answer_is_not_true_and_is_noted() -> None:
    drive = Drive(rules({"when": "body.count + 1 > 2", "then": "fail"})).tell_all(
        S, answer(202, {"id": 1, "count": "x"})
    )
    assert drive.job.submission is not None
    assert any("errors.submit[0].when" in note for note in drive.job.notes)


def test_a_rule_may_say_that_there_is_nothing_to_wait_for() -> None:
    nothing = rules({"when": "code == 204", "then": "no_data"})
    submission = submitted(answer(204), nothing)
    assert submission == Submission("", NOW, no_data=True)
    finish = Drive(nothing, submission=submission).until_finish()
    assert finish.outcome is not None
    assert (finish.outcome.state, finish.outcome.target) == ("no_data", [])


def test_nothing_to_wait_for_keeps_an_id_where_there_is_one() -> None:
    nothing = rules({"when": "body.rows == 0", "then": "no_data"})
    assert submitted(answer(200, {"id": 5, "rows": 0}), nothing).id == "5"


# Captures -----------------------------------------------------------------------------------------------


def test_captures_are_kept_and_a_missing_one_is_noted_not_fatal() -> None:
    changes = {
        "submit": {"capture": {"token": "auth.token", "shard": {"header": "x-shard"}, "none": "nowhere"}}
    }
    drive = Drive(changes).tell_all(S, answer(202, {"id": 1, "auth": {"token": "t"}}, {"x-shard": "3"}))
    assert drive.job.submission is not None
    assert drive.job.submission.captures == {"token": "t", "shard": "3"}
    assert drive.stored[-1]["submission"]["captures"] == {"token": "t", "shard": "3"}
    assert "submit.capture.none: path 'nowhere' matches nothing" in drive.job.notes


def test_a_capture_that_is_too_large_for_a_checkpoint_is_not_kept() -> None:
    drive = Drive({"submit": {"capture": {"all": "rows", "some": "id"}}})
    drive.tell_all(S, answer(202, {"id": 1, "rows": ["x" * 50] * 500}))
    assert drive.job.submission is not None
    assert drive.job.submission.captures == {"some": 1}
    assert any("submit.capture.all: not kept" in note for note in drive.job.notes)


def test_a_capture_with_several_matches_is_noted() -> None:
    drive = Drive({"submit": {"capture": {"link": "links[].href"}}})
    drive.tell_all(S, answer(202, {"id": 1, "links": [{"href": "a"}, {"href": "b"}]}))
    assert drive.job.submission is not None
    assert any("matches 2 values where one is wanted" in note for note in drive.job.notes)


def test_the_id_may_be_made_of_captures() -> None:
    changes = {"submit": {"capture": {"region": "region"}, "id": "{{ captures.region }}-1"}}
    assert submitted(answer(202, {"region": "eu"}), changes).id == "eu-1"


def test_the_retry_after_of_an_accepted_submit_holds_back_the_first_poll() -> None:
    submission = submitted(answer(202, {"id": 1}, {"retry-after": "300"}))
    assert submission.not_before == NOW + 300
    assert Drive(submission=submission).wait().until == NOW + 300
