"""What the last poll says of the result: targets, messages, progress, expiry, captures."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.errors import (
    UnreadableError,
)
from airflow_asyncjob.protocol import Submission
from tests.protocol.driving import (
    BUSY,
    NOW,
    READY,
    answer,
    error_of,
    goes_on,
    outcome_of,
    polling,
)

# Targets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "body", "expected"),
    [
        ("url", {"url": "https://x/1"}, "https://x/1"),
        ("url", {"url": 17}, "17"),
        ("urls", {"urls": [1, "b", 2.5]}, ["1", "b", "2.5"]),
        ("files[].url", {"files": [{"url": "/a"}, {"url": "/b"}]}, ["/a", "/b"]),
        ("files[].url", {"files": [{"url": "/a"}]}, ["/a"]),
        ("links[?rel=='r'].href | [0]", {"links": [{"rel": "r", "href": "/z"}]}, "/z"),
        ("/jobs/{{ submission_id }}/file", {}, "/jobs/7/file"),
        ({"expr": "'/f/' ~ body.file"}, {"file": 3}, "/f/3"),
    ],
)
def test_a_target_is_text_or_a_list_of_texts(target: Any, body: dict[str, Any], expected: Any) -> None:
    outcome = outcome_of(answer(200, {"status": "ready", **body}), {"result": {"target": target}})
    assert (outcome.state, outcome.target) == ("done", expected)


@pytest.mark.parametrize(("target", "body"), [("urls", {"urls": []}), ("files[].url", {"files": []})])
def test_done_with_an_empty_list_is_no_data(target: str, body: dict[str, Any]) -> None:
    outcome = outcome_of(answer(200, {"status": "ready", **body}), {"result": {"target": target}})
    assert (outcome.state, outcome.target, outcome.raw_status) == ("no_data", [], "ready")


def test_partial_with_an_empty_list_stays_partial() -> None:
    outcome = outcome_of(answer(200, {"status": "some", "urls": []}))
    assert (outcome.state, outcome.target) == ("partial", [])


@pytest.mark.parametrize(
    ("target", "body", "says"),
    [
        ("urls", {"files": 1}, "result.target: path 'urls' matches nothing; the body has 'status', 'files'"),
        ("urls", {"urls": None}, "result.target: path 'urls' is null"),
        (
            "urls",
            {"urls": ["/a", {"b": 1}]},
            "result.target[1]: expected text or a number, and there is a mapping",
        ),
        ("urls", {"urls": [["/a"]]}, "result.target[0]: expected text or a number, and there is a list"),
        ("urls", {"urls": [None]}, "result.target[0]: expected text or a number, and there is null"),
        ("urls", {"urls": True}, "result.target: expected text or a number, and there is a boolean"),
        ("urls", {"urls": ""}, "result.target: expected text or a number, and there is empty text"),
        ("files[].url", {"files": [{"uri": "/a"}]}, "path 'files[].url' matches nothing"),
        ("links[?rel=='r'].href", {"links": [{"rel": "s", "href": "/z"}]}, "matches nothing"),
    ],
)
def test_done_without_a_legible_target_is_an_error_that_shows_what_was_there(
    target: str, body: dict[str, Any], says: str
) -> None:
    error = error_of(answer(200, {"status": "ready", **body}), {"result": {"target": target}})
    assert isinstance(error, UnreadableError)
    assert says in error.message
    assert "The job ended as done" in error.message
    assert "left as it is" in error.message


def test_without_a_result_section_the_target_is_the_submission_id() -> None:
    assert outcome_of(answer(200, {"status": "ready"}), {"result": None}).target == "7"


def test_a_fixed_request_gives_its_url() -> None:
    fixed = {
        "result": {
            "target": None,
            "request": {"url": "/jobs/{{ submission_id }}/results", "params": {"f": "x"}},
        }
    }
    odd_id = Submission("a/b c", NOW - 1000)
    finish = polling(fixed, submission=odd_id).tell(answer(200, {"status": "ready"})).until_finish()
    assert finish.outcome is not None
    assert finish.outcome.target == "/jobs/a%2Fb%20c/results"


def test_a_fixed_request_that_needs_the_connection_gives_the_submission_id() -> None:
    fixed = {"result": {"target": None, "request": {"url": "https://{{ connection.host }}/r"}}}
    assert outcome_of(answer(200, {"status": "ready"}), fixed).target == "7"


def test_a_fixed_request_that_cannot_be_rendered_is_an_error() -> None:
    fixed = {
        "status": {"capture": {"file": "file"}},
        "result": {"target": None, "request": {"url": "/r/{{ captures.file }}"}},
    }
    assert outcome_of(answer(200, {"status": "ready", "file": "f1"}), fixed).target == "/r/f1"
    error = error_of(answer(200, {"status": "ready"}), fixed)
    assert "result.request.url" in error.message
    assert "'file' is not defined" in error.message


# Message, progress, time, captures ----------------------------------------------------------------------


def test_message_progress_and_expiry_that_match_nothing_are_none_and_no_error() -> None:
    changes = {"status": {"message": "a.b", "progress": "c", "expires_at": "d"}}
    outcome = outcome_of(answer(200, {"status": "ready", "urls": ["/x"]}), changes)
    assert (outcome.message, outcome.progress, outcome.expires_at) == ("", None, None)


def test_several_messages_become_one_text_and_other_values_are_written_as_json() -> None:
    several = {"status": {"message": "errors[].text"}}
    body = {"status": "broken", "errors": [{"text": "one"}, {"text": "two"}]}
    assert outcome_of(answer(200, body), several).message == "one; two"
    whole = {"status": {"message": "detail"}}
    assert (
        outcome_of(answer(200, {"status": "broken", "detail": {"code": 7}}), whole).message == '{"code": 7}'
    )


def test_a_message_is_cut_to_what_people_read() -> None:
    assert len(outcome_of(answer(200, {"status": "broken", "message": "x" * 99999})).message) == 2000


def test_a_huge_progress_is_cut_too() -> None:
    drive = goes_on(answer(200, {"status": "busy", "progress": ["x" * 100] * 100}))
    assert len(drive.job.progress) == 2000


def test_progress_is_kept_as_the_api_gave_it() -> None:
    drive = goes_on(answer(200, {"status": "busy", "progress": 12.5}))
    assert drive.job.progress == 12.5
    assert drive.until_send() is not None
    assert drive.tell(answer(200, {"status": "busy"})).job.progress == 12.5


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2026-01-31T12:00:00Z", 1769860800.0),
        ("2026-01-31T12:00:00", 1769860800.0),
        ("2026-01-31T13:00:00+01:00", 1769860800.0),
        ("Sat, 31 Jan 2026 12:00:00 GMT", 1769860800.0),
        (1769860800, 1769860800.0),
        (1769860800000, 1769860800.0),
        ("1769860800", 1769860800.0),
    ],
)
def test_the_expiry_is_read_in_every_usual_form(written: Any, seconds: float) -> None:
    changes = {"status": {"expires_at": "until"}}
    assert (
        outcome_of(answer(200, {"status": "ready", "urls": ["/x"], "until": written}), changes).expires_at
        == seconds
    )


@pytest.mark.parametrize("written", ["soon", "", -5, True, [1], "9999999999999999999", {"a": 1}])
def test_an_expiry_that_is_no_time_is_noted(written: Any) -> None:
    drive = polling({"status": {"expires_at": "until"}})
    finish = drive.tell(answer(200, {"status": "ready", "urls": ["/x"], "until": written})).until_finish()
    assert finish.outcome is not None
    assert finish.outcome.expires_at is None
    assert any("status.expires_at" in note for note in drive.job.notes)


def test_captures_of_polls_are_seen_by_later_requests_and_by_the_outcome() -> None:
    drive = polling({"status": {"capture": {"shard": "shard", "late": "late"}}})
    drive.tell(answer(200, {"status": "busy", "shard": 3}))
    assert drive.until_send().names["captures"] == {"token": "t", "shard": 3}
    finish = drive.tell(answer(200, {"status": "ready", "urls": ["/x"], "late": 1})).until_finish()
    assert finish.outcome is not None
    assert finish.outcome.captures == {"token": "t", "shard": 3, "late": 1}


def test_a_capture_that_the_end_lacks_is_noted_once_and_not_while_running() -> None:
    drive = polling({"status": {"capture": {"file": "file"}}}).tell(BUSY)
    assert drive.job.notes == []
    drive.until_send()
    drive.tell(answer(200, {"status": "ready", "urls": ["/x"]}))
    assert drive.job.notes == ["status.capture.file: path 'file' matches nothing"]


def test_a_progress_with_several_matches_is_none() -> None:
    several = {"status": {"progress": "steps[].done"}}
    body = {"status": "broken", "steps": [{"done": 1}, {"done": 2}]}
    assert outcome_of(answer(200, body), several).progress is None


def test_a_capture_that_is_no_json_is_not_kept() -> None:
    drive = polling({"status": {"capture": {"all": {"expr": "headers"}}}})
    finish = drive.tell(answer(200, {"status": "broken"}, {"x": "1"})).until_finish()
    assert finish.outcome is not None
    assert "all" not in finish.outcome.captures
    assert any("status.capture.all: not kept" in note for note in drive.job.notes)


def test_a_target_may_be_made_of_inputs_names_and_captures() -> None:
    target = "s3://{{ inputs.bucket }}/{{ ds }}/{{ submission_id }}/{{ captures.token }}"
    captured = {"submit": {"capture": {"token": "token"}}}
    drive = polling({"result": {"target": target}}, captured, inputs={"bucket": "lake"}).tell(READY)
    outcome = drive.until_finish().outcome
    assert outcome is not None
    assert outcome.target == "s3://lake/2026-01-01/7/t"
