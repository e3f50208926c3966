"""A submit by steps: what is stored between them, where a later process carries on, and what it says."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.errors import (
    AsyncJobError,
    CheckpointError,
    RefusedError,
    TemplateError,
    UncertainError,
    UnreachableError,
    UnreadableError,
)
from airflow_asyncjob.protocol import Checkpoint, Finish, Goal, Purpose, Send, Store, Submission, Wait
from airflow_asyncjob.protocol.transitions import Phase
from tests.protocol.driving import (
    BAD_URL,
    DENIED,
    HTML,
    KEY,
    LOST,
    NOT_SENT,
    NOW,
    SORRY,
    UNCHANGED,
    Drive,
    S,
    W,
    answer,
)

CREATE = {
    "name": "create",
    "request": {"url": "/jobs", "headers": {"Idempotency-Key": "{{ idempotency_key }}"}},
    "capture": {"job": "id", "parts": "parts", "link": "upload.url"},
}
UPLOAD = {
    "name": "upload",
    "each": "{{ captures.parts }}",
    "request": {"method": "PUT", "url": "{{ captures.link }}?part={{ item }}", "text": "part {{ item }}"},
    "capture": {"tags": {"header": "etag"}},
}
START = {
    "name": "start",
    "request": {
        "url": "/jobs/{{ captures.job }}/start",
        "headers": {"Idempotency-Key": "{{ idempotency_key }}-start"},
        "json": {"tags": "{{ captures.tags }}"},
    },
}
START_BLINDLY = {**START, "request": {"url": "/jobs/{{ captures.job }}/start"}}
GO = {"name": "go", "request": {"url": "/y"}}


def by_steps(*steps: dict[str, Any], **submit: Any) -> dict[str, Any]:
    given = {"request": None, "steps": list(steps), "id": "{{ captures.job }}", **submit}
    return {"submit": given}


THREE = by_steps(CREATE, UPLOAD, START)
BLIND = by_steps(CREATE, UPLOAD, START_BLINDLY)
CREATED = answer(201, {"id": 7, "parts": ["a", "b"], "upload": {"url": "https://store.example.com/x"}})
STARTED = answer(202, {"state": "started"})


def uploaded(tag: str) -> Any:
    return answer(200, None, {"etag": tag})


def submitting(*changes: dict[str, Any], **kwargs: Any) -> Drive:
    return Drive(*(changes or (THREE,)), **{"goal": Goal.SUBMITTED, **kwargs})


def after(drive: Drive, *changes: dict[str, Any], **kwargs: Any) -> Drive:
    """Return the drive of the process that comes after, from what was stored last."""
    stored = Checkpoint.from_dict(drive.stored[-1])
    return submitting(*changes, now=drive.now + 5, checkpoint=stored, **kwargs)


def at_start(*changes: dict[str, Any]) -> Drive:
    """Return a drive that is about to send the last step."""
    return submitting(*changes).tell_all(S, CREATED, S, uploaded("t1"), S, uploaded("t2"), S)


def wheres(drive: Drive) -> list[tuple[str, str]]:
    return [(send.where, send.step) for _, send in drive.sent]


def error_of(drive: Drive) -> AsyncJobError:
    error = drive.until_finish().error
    assert error is not None
    return error


# The way through ----------------------------------------------------------------------------------------


def test_the_steps_are_sent_in_order_and_each_sees_what_the_ones_before_it_captured() -> None:
    drive = at_start().tell_all(STARTED, S)
    assert drive.command == Finish(submission=Submission("7", NOW, {}))
    assert wheres(drive) == [
        ("submit.steps[0].request", "create"),
        ("submit.steps[1].request", "upload 1 of 2"),
        ("submit.steps[1].request", "upload 2 of 2"),
        ("submit.steps[2].request", "start"),
    ]
    names = [send.names for _, send in drive.sent]
    created = {"job": 7, "parts": ["a", "b"], "link": "https://store.example.com/x"}
    assert names[0]["captures"] == {}
    assert (names[1]["captures"], names[1]["item"]) == (created, "a")
    assert (names[2]["captures"], names[2]["item"]) == ({**created, "tags": ["t1"]}, "b")
    assert names[3]["captures"] == {**created, "tags": ["t1", "t2"]}
    assert "item" not in names[3]
    assert {send.purpose for _, send in drive.sent} == {Purpose.SUBMIT}
    assert {send.names["idempotency_key"] for _, send in drive.sent} == {KEY}


def test_what_is_done_is_stored_before_the_next_is_sent() -> None:
    drive = submitting()
    assert isinstance(drive.command, Store)
    drive.tell_all(S, CREATED)
    assert isinstance(drive.command, Store)
    created = {"job": 7, "parts": ["a", "b"], "link": "https://store.example.com/x"}
    common = {"version": 1, "phase": "intent", "at": NOW, "key": KEY, "since": NOW}
    assert drive.stored == [common, {**common, "step": "upload", "step_captures": created}]
    assert len(drive.sent) == 1
    drive.tell_all(S, uploaded("t1"))
    one = {**created, "tags": ["t1"]}
    assert drive.stored[-1] == {**common, "step": "upload", "item": 1, "step_captures": one}
    drive.tell_all(S, uploaded("t2"))
    assert drive.stored[-1]["step"] == "start"
    assert "item" not in drive.stored[-1]
    drive.tell_all(S, STARTED)
    assert drive.stored[-1] == {
        "version": 1,
        "phase": "submitted",
        "at": NOW,
        "key": KEY,
        "submission": {"id": "7", "submitted_at": NOW},
    }


def test_the_id_and_the_captures_are_read_from_the_last_answer_or_from_what_the_steps_captured() -> None:
    change = by_steps(CREATE, START_BLINDLY, id="job.id", capture={"job": "{{ captures.job }}", "run": "run"})
    drive = submitting(change).tell_all(S, CREATED, S, answer(202, {"job": {"id": "j-7"}, "run": 3}), S)
    assert drive.command == Finish(submission=Submission("j-7", NOW, {"job": 7, "run": 3}))


def test_an_id_may_be_made_of_both_kinds_of_captures() -> None:
    change = by_steps(
        CREATE, START_BLINDLY, id="{{ captures.job }}/{{ captures.run }}", capture={"run": "run"}
    )
    drive = submitting(change).tell_all(S, CREATED, S, answer(202, {"run": 3}), S)
    assert drive.command == Finish(submission=Submission("7/3", NOW, {"run": 3}))


def test_an_empty_list_skips_its_step_and_its_captures_are_empty_lists() -> None:
    created = answer(201, {"id": 7, "parts": [], "upload": {"url": "https://store.example.com/x"}})
    drive = submitting().tell_all(S, created, S, S)
    assert wheres(drive)[-1] == ("submit.steps[2].request", "start")
    assert drive.sent[-1][1].names["captures"]["tags"] == []


def test_the_job_is_waited_for_as_after_any_submit() -> None:
    drive = Drive(THREE, now=NOW).tell_all(S, CREATED, S, uploaded("1"), S, uploaded("2"), S, STARTED, S)
    assert drive.wait().until == NOW + 60
    assert drive.until_send().names["submission_id"] == "7"


def test_a_retry_after_of_a_step_is_waited_out_before_the_next_and_is_stored() -> None:
    slow = answer(201, {"id": 7, "parts": [], "upload": {"url": "x"}}, {"retry-after": "120"})
    drive = submitting().tell_all(S, slow)
    assert drive.stored[-1]["phase"] == "idle"
    assert drive.stored[-1]["not_before"] == NOW + 120
    drive.tell(S)
    assert drive.wait() == Wait(NOW + 120, "the next step of the submit")
    later = after(drive)
    assert later.wait().until == NOW + 120


def test_a_step_that_sends_nothing_keeps_the_retry_after_of_the_one_before_it() -> None:
    slow = answer(201, {"id": 7, "parts": [], "upload": {"url": "x"}}, {"retry-after": "120"})
    drive = submitting().tell_all(S, slow, S, W, S)
    skipped = next(stored for stored in drive.stored if stored.get("step") == "start")
    assert skipped["not_before"] == NOW + 120


def test_a_retry_after_that_is_longer_than_the_job_may_wait_ends_it_after_the_step() -> None:
    never = answer(201, {"id": 7, "parts": [], "upload": {"url": "x"}}, {"retry-after": "99999"})
    drive = submitting().tell_all(S, never, S)
    error = error_of(drive)
    assert isinstance(error, RefusedError)
    assert "The API wants no submit before" in error.message
    assert "Done before: create; a retry carries on after that." in error.message
    assert drive.stored[-1]["step"] == "upload"


def test_a_rule_may_end_the_submit_with_no_data_at_any_step() -> None:
    nothing = {"errors": {"submit": [{"when": "body.parts == []", "then": "no_data"}]}}
    drive = submitting(THREE, nothing).tell_all(S, answer(200, {"id": 7, "parts": []}), S)
    assert drive.command == Finish(submission=Submission("", NOW, {}, no_data=True))


# What a later process does ------------------------------------------------------------------------------


def test_a_retry_carries_on_with_the_step_that_was_not_done() -> None:
    drive = submitting().tell_all(S, CREATED, S, uploaded("t1"))
    later = after(drive)
    assert later.until_send().step == "upload 2 of 2"
    later.tell_all(uploaded("t2"), S, STARTED, S)
    assert later.sent[-1][1].names["captures"]["tags"] == ["t1", "t2"]
    assert isinstance(later.command, Finish)


def test_a_step_whose_request_has_the_key_is_sent_again() -> None:
    later = after(at_start().tell(LOST))
    assert later.until_send().step == "start"
    assert later.sent[-1][1].names["idempotency_key"] == KEY
    assert later.job.notes == [
        "The step 'start' of the submit may have been done already. It is sent again, which does no harm: it "
        f"has the same key ({KEY}), or a method that may be repeated."
    ]


def test_a_step_by_put_is_sent_again_without_a_key() -> None:
    drive = submitting(BLIND).tell_all(S, CREATED, S, LOST)
    assert drive.job.phase is Phase.RECORD_PAUSE
    assert drive.until_send().step == "upload 1 of 2"
    crashed = after(drive, BLIND)
    assert crashed.until_send().step == "upload 1 of 2"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_a_step_is_repeated_where_its_method_says_that_this_does_no_harm(method: str) -> None:
    ask = {"name": "ask", "request": {"method": method, "url": "/x"}}
    assert submitting(by_steps(ask, GO, id="id")).tell_all(S, LOST).job.phase is Phase.RECORD_PAUSE


def test_a_single_submit_is_not_repeated_for_its_method_since_some_apis_begin_a_job_by_get() -> None:
    drive = submitting({"submit": {"request": {"headers": None, "method": "GET"}}}).tell_all(S, LOST)
    assert isinstance(error_of(drive), UncertainError)


def test_a_lost_step_without_a_key_is_an_uncertain_submit() -> None:
    drive = at_start(BLIND).tell(LOST)
    error = error_of(drive)
    assert isinstance(error, UncertainError)
    assert error.may_resubmit
    assert error.message == (
        "It is not known whether the step 'start' of the submit was done: POST https://api.example.com/jobs "
        "had no usable answer: reset by peer after 3 s. Expected a code of 2xx. A retry sends this step "
        "again (on_uncertain: resubmit), so that what it makes may then exist twice."
    )
    later = after(drive, BLIND)
    assert later.until_send().step == "start"
    assert later.job.notes == [
        "The step 'start' of the submit may have been done already, and this API has no idempotency key. It "
        "is sent again (on_uncertain: resubmit): what it makes may now exist twice."
    ]


def test_a_lost_step_without_a_key_is_not_sent_again_where_the_definition_says_fail() -> None:
    strict = by_steps(CREATE, UPLOAD, START_BLINDLY, on_uncertain="fail")
    drive = at_start(strict).tell(LOST)
    error = error_of(drive)
    assert isinstance(error, UncertainError)
    assert not error.may_resubmit
    assert "Nothing is sent again (on_uncertain: fail)" in error.message
    barred = error_of(after(drive, strict))
    assert isinstance(barred, UncertainError)
    assert barred.message.startswith(
        "The step 'start' of the submit of this job example/export was sent, or was about to be, and nobody "
        "knows whether the API accepted it. Nothing is sent again (on_uncertain: fail)"
    )


def test_a_refused_step_starts_from_the_first_again_next_time() -> None:
    drive = at_start().tell(answer(403, {"error": "link expired"})).tell(UNCHANGED)
    assert drive.stored[-1] == {"version": 1, "phase": "idle", "at": NOW, "key": KEY}
    assert isinstance(error_of(drive), RefusedError)
    assert drive.job.notes == [
        "The step 'start' of the submit was refused: the next try begins with the first step again. What was "
        "done before (create, upload) is left at the API."
    ]
    assert after(drive).until_send().step == "create"


def test_a_refusal_says_which_step_it_was_and_where_it_stands() -> None:
    error = error_of(at_start().tell(answer(404, {"error": "no such job"})))
    assert error.message.startswith("The API refused the step 'start' of the submit: GET https://")
    assert "Correct the URL or the method of submit.steps[2].request" in error.message


def test_a_step_that_could_not_be_sent_at_all_is_not_a_refusal() -> None:
    drive = at_start().tell(BAD_URL)
    assert drive.stored[-1]["step"] == "start"
    assert drive.job.notes == []


def test_a_step_that_fails_too_often_is_where_a_retry_carries_on() -> None:
    drive = submitting(THREE, {"limits": {"retries": 1}}).tell_all(S, CREATED, S, NOT_SENT, S, W, S, SORRY, S)
    error = error_of(drive)
    assert isinstance(error, UncertainError)
    assert error.message.startswith(
        "2 tries of the step 'upload' of the submit in a row did not work, and it is not known whether one "
        "was done; the last: "
    )
    assert after(drive).until_send().step == "upload 1 of 2"


def test_a_step_that_was_never_sent_says_what_is_done() -> None:
    drive = submitting(THREE, {"limits": {"retries": 0}})
    error = error_of(drive.tell_all(S, CREATED, S, uploaded("t1"), S, NOT_SENT))
    assert isinstance(error, UnreachableError)
    assert "The step 'upload' of the submit did not work; the last: " in error.message
    assert "Done before: create, 1 item of upload; a retry carries on after that." in error.message
    assert "Nothing was accepted" not in error.message


def test_each_step_has_tries_of_its_own() -> None:
    drive = submitting(THREE, {"limits": {"retries": 1}})
    drive.tell_all(S, NOT_SENT, S, W, S, CREATED, S, NOT_SENT)
    assert drive.until_send().step == "upload 1 of 2"


def test_credentials_are_fetched_again_once_in_each_step() -> None:
    drive = submitting().tell_all(S, DENIED)
    from tests.protocol.driving import CHANGED

    drive.tell_all(CHANGED, CREATED, S, DENIED, CHANGED)
    assert drive.until_send().step == "upload 1 of 2"


def test_a_checkpoint_of_a_step_that_does_not_exist_any_more_is_refused() -> None:
    drive = at_start()
    with pytest.raises(CheckpointError) as caught:
        after(drive, by_steps(CREATE, {**START_BLINDLY, "name": "begin"}))
    assert caught.value.message == (
        "The stored checkpoint was written before the step 'start' of the submit, and the definition has no "
        "such step (it has: create, begin). Give the definition its steps back, or start a new job (clear "
        "the submit task); look at the API first, since a job may have been begun there."
    )
    with pytest.raises(CheckpointError, match=r"it has: none"):
        after(drive, {})


def test_a_checkpoint_that_was_written_before_there_were_steps_begins_with_the_first() -> None:
    assert submitting(checkpoint={"phase": "idle"}).until_send().step == "create"
    later = submitting(checkpoint={"phase": "intent"})
    assert later.until_send().step == "create"
    assert "The step 'create' of the submit may have been done already" in later.job.notes[0]


# Answers that do not fit --------------------------------------------------------------------------------


def test_a_capture_that_is_absent_stops_at_its_step() -> None:
    drive = submitting().tell_all(S, answer(201, {"id": 7, "parts": []}))
    error = error_of(drive)
    assert isinstance(error, UnreadableError)
    assert error.message.startswith(
        "The step 'create' of the submit was answered, and it cannot be read: submit.steps[0].capture.link: "
        "path 'upload.url' matches nothing; the body has 'id', 'parts'."
    )
    assert "correct submit.steps[0].capture (or submit.steps[0].request.response)" in error.message
    assert drive.stored[-1]["phase"] == "intent"


def test_html_is_repeated_where_that_does_no_harm() -> None:
    assert submitting().tell_all(S, HTML).job.phase is Phase.RECORD_PAUSE
    assert isinstance(error_of(at_start(BLIND).tell(HTML)), UnreadableError)


@pytest.mark.parametrize(
    ("first", "event", "says"),
    [
        ({}, answer(302, None, {"location": "/login"}), "Redirects of a submit are not followed"),
        (
            {"capture": {"job": {"header": "x-job"}}},
            answer(302, None, {"location": "/login"}),
            "Redirects of a submit are not followed",
        ),
        ({}, answer(301, None, {"location": "/jobs/"}), "Redirects of a submit are not followed"),
    ],
)
def test_a_redirect_that_says_nothing_is_a_refusal(first: dict[str, Any], event: Any, says: str) -> None:
    begin = {"name": "begin", "request": {"url": "/x"}, **first}
    error = error_of(submitting(by_steps(begin, GO, id="id")).tell_all(S, event))
    assert isinstance(error, RefusedError)
    assert says in error.message


@pytest.mark.parametrize(
    ("first", "event"),
    [
        ({}, answer(303, None, {"location": "/next"})),
        ({"capture": {"link": {"header": "location"}}}, answer(302, None, {"location": "/next"})),
    ],
)
def test_a_redirect_that_says_where_to_go_on_is_an_answer(first: dict[str, Any], event: Any) -> None:
    begin = {"name": "begin", "request": {"url": "/x"}, **first}
    drive = submitting(by_steps(begin, GO, id="id")).tell_all(S, event)
    assert drive.until_send().step == "go"


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ("a,b", "submit.steps[1].each: '{{ captures.parts }}' gave text, and a list is expected"),
        ({"a": 1}, "submit.steps[1].each: '{{ captures.parts }}' gave a mapping, and a list is expected"),
    ],
)
def test_each_wants_a_list(parts: Any, says: str) -> None:
    created = answer(201, {"id": 7, "parts": parts, "upload": {"url": "x"}})
    drive = submitting().tell_all(S, created, S)
    error = error_of(drive)
    assert isinstance(error, TemplateError)
    assert error.message == says
    assert drive.stored[-1]["step"] == "upload"


def test_the_last_step_sends_something() -> None:
    created = answer(201, {"id": 7, "parts": [], "upload": {"url": "x"}})
    error = error_of(submitting(by_steps(CREATE, UPLOAD)).tell_all(S, created, S))
    assert error.message == (
        "submit.steps[1].each: '{{ captures.parts }}' gave a list of 0: the last step sends nothing, and so "
        "nothing submits the job"
    )


def test_a_list_that_has_shrunk_does_not_start_the_submit_again() -> None:
    change = by_steps(CREATE, UPLOAD)
    captures = {"job": 7, "parts": ["a"], "link": "x", "tags": ["1", "2"]}
    stored = {"phase": "intent", "step": "upload", "item": 2, "step_captures": captures}
    error = error_of(submitting(change, checkpoint=stored))
    assert "gave a list of 1, of which 2 were sent before" in error.message


def test_what_all_steps_capture_is_bounded() -> None:
    created = answer(201, {"id": "x" * 33_000, "parts": [], "upload": {"url": "x"}})
    error = error_of(submitting().tell_all(S, created))
    assert "the captures of the steps are not JSON, or more than 32,768 characters" in error.message


# Stopping -----------------------------------------------------------------------------------------------


def test_nothing_is_left_where_it_is_stopped_before_the_first_step() -> None:
    outcome = submitting().stop().until_finish().outcome
    assert outcome is not None
    assert outcome.message == "stopped on request; no job was submitted"


def test_a_stop_between_steps_says_what_is_left_at_the_api() -> None:
    drive = submitting().tell_all(S, CREATED).stop()
    error = error_of(drive)
    assert isinstance(error, UncertainError)
    assert error.message.startswith(
        "Stopped between the steps of the submit: done are create. What they made"
    )
    assert drive.stored[-1]["phase"] == "idle"
    assert drive.stored[-1]["step"] == "upload"


def test_a_stop_while_a_step_is_under_way_says_which() -> None:
    drive = submitting().tell_all(S, CREATED, S, uploaded("t1"), S).stop()
    error = error_of(drive)
    assert (
        "done are create, 1 item of upload, and it is not known whether the step 'upload' of the submit was."
        in (error.message)
    )
    assert drive.stored[-1]["phase"] == "intent"


def test_the_answer_of_a_step_is_heard_although_somebody_wishes_to_stop() -> None:
    drive = submitting().tell_all(S)
    assert isinstance(drive.command, Send)
    drive.job.cancel(drive.now)
    drive.job.tell(CREATED, drive.now)
    assert "done are create." in error_of(drive).message


def test_a_wait_between_steps_is_told_apart_from_a_repeat() -> None:
    drive = submitting().tell_all(S, CREATED, S, NOT_SENT, S)
    assert drive.wait().reason == "the next try of the submit"
