"""A submit that uploads: cut before anything is sent, then part by part, each acknowledged part once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_asyncjob.errors import RefusedError, UncertainError, UnreadableError, UploadError
from airflow_asyncjob.protocol import (
    Checkpoint,
    Failed,
    Fault,
    Finish,
    Goal,
    Plan,
    Responded,
    Response,
    Send,
    Store,
)
from airflow_asyncjob.protocol.transitions import Phase
from tests.protocol.driving import LOST, NOT_SENT, UNCHANGED, Drive, S, W, answer
from tests.protocol.parts import plan_of

UPLOAD = {"source": "{{ inputs.contacts }}", "key": "email", "part_records": 10}
CREATE = {
    "name": "create",
    "request": {
        "url": "/imports",
        "headers": {"Idempotency-Key": "{{ idempotency_key }}"},
        "json": {"parts": "{{ upload.parts }}", "records": "{{ upload.records }}"},
    },
    "capture": {"job": "id"},
}
SEND = {
    "name": "send",
    "each": "{{ parts }}",
    "request": {"url": "/imports/{{ captures.job }}/data?part={{ part.number }}", "part": True},
    "rejects": {"records": "errors", "key": "email", "index": "row", "reason": "why"},
}
START = {
    "name": "start",
    "request": {"url": "/imports/{{ captures.job }}/start", "headers": {"Key": "{{ idempotency_key }}-s"}},
}


def submit(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {"request": None, "upload": UPLOAD, "steps": list(steps), "id": "{{ captures.job }}", **more}
    return {"inputs": {"contacts": {"type": "records"}}, "submit": given}


ONCE = submit(CREATE, SEND, START)
STRICT = submit(CREATE, SEND, START, on_uncertain="fail")
AGAIN = submit(CREATE, {**SEND, "again": True}, START)
ONE_REQUEST = {
    "inputs": {"contacts": {"type": "records"}},
    "submit": {"request": {"url": "/imports", "part": True, "headers": None}, "upload": UPLOAD},
}
CREATED, TAKEN = answer(201, {"id": 7}), answer(200, {"errors": []})
STARTED = answer(202, {"state": "started"})


PLANNED = plan_of(10, 10, 3)


def uploading(*changes: dict[str, Any], **kwargs: Any) -> Drive:
    return Drive(*(changes or (ONCE,)), **{"goal": Goal.SUBMITTED, **kwargs})


def sending(*changes: dict[str, Any], parts: int = 0, **kwargs: Any) -> Drive:
    """Return a drive that is about to send a part, so many of which were taken before."""
    drive = uploading(*changes, **kwargs).tell_all(PLANNED, S, CREATED, S)
    for _ in range(parts):
        drive.tell_all(TAKEN, S)
    return drive


def after(drive: Drive, *changes: dict[str, Any], **kwargs: Any) -> Drive:
    """Return the drive of the process that comes after, from what was stored last."""
    return uploading(*(changes or (ONCE,)), checkpoint=Checkpoint.from_dict(drive.stored[-1]), **kwargs)


def sent(drive: Drive) -> Send:
    assert isinstance(drive.command, Send), drive.command
    return drive.command


def error_of(drive: Drive) -> Any:
    finish = drive.store_all().command
    assert isinstance(finish, Finish)
    assert finish.error is not None
    return finish.error


# The way through ----------------------------------------------------------------------------------------


def test_an_upload_is_cut_before_anything_is_stored_or_sent() -> None:
    drive = uploading()
    assert isinstance(drive.command, Plan)
    assert drive.command.upload.part_records == 10
    assert drive.command.names["ds"] == "2026-01-01"
    assert drive.command.anew
    assert not drive.stored


def test_every_part_is_sent_once_and_in_order_and_then_the_job_is_started() -> None:
    drive = uploading().tell_all(PLANNED, S)
    assert sent(drive).names["upload"] == {"parts": 3, "records": 23, "bytes": 161}
    drive.tell_all(CREATED, S)
    seen = []
    for _ in range(3):
        seen.append((sent(drive).step, dict(sent(drive).names["part"])))
        drive.tell_all(TAKEN, S)
    assert [step for step, _ in seen] == ["send 1 of 3", "send 2 of 3", "send 3 of 3"]
    assert [(part["first"], part["records"], part["last"]) for _, part in seen] == [
        (1, 10, False),
        (11, 10, False),
        (21, 3, True),
    ]
    assert set(seen[0][1]) == {"number", "records", "bytes", "first", "last", "count", "md5", "sha256"}
    assert sent(drive).step == "start"
    assert sent(drive).names["upload"]["parts"] == 3
    finish = drive.tell_all(STARTED, S).command
    assert isinstance(finish, Finish)
    assert finish.submission is not None
    assert finish.submission.id == "7"
    assert drive.stored[-1]["submission"]["mark"] == finish.submission.mark == "m1"
    assert "upload" not in drive.stored[-1]


def test_a_checkpoint_has_how_the_upload_was_cut_and_no_record_and_no_source() -> None:
    drive = sending(parts=1)
    kept = drive.stored[-1]
    assert kept["upload"] == {"mark": "m1", "parts": 3, "records": 23, "rejected": 0}
    assert (kept["phase"], kept["step"], kept["item"]) == ("intent", "send", 1)
    assert "contacts" not in json.dumps(kept)


def test_the_next_process_cuts_again_and_goes_on_after_the_last_acknowledged_part() -> None:
    drive = after(sending(AGAIN, parts=2), AGAIN)
    assert isinstance(drive.command, Plan)
    assert not drive.command.anew
    drive.tell(PLANNED).store_all()
    assert sent(drive).step == "send 3 of 3"
    assert sent(drive).names["captures"] == {"job": 7}


def test_a_source_that_cannot_be_cut_ends_the_submit_before_anything_is_sent() -> None:
    error = UploadError("The source is empty.")
    drive = uploading().tell(Failed(Fault.REFUSED, "", error.message, error))
    assert error_of(drive) is error
    assert not drive.sent
    assert not drive.stored


def test_a_stop_while_the_upload_is_cut_sends_nothing() -> None:
    drive = uploading().stop()
    finish = drive.store_all().command
    assert isinstance(finish, Finish)
    assert finish.outcome is not None
    assert finish.outcome.state == "cancelled"
    assert not drive.sent


# Lost answers -------------------------------------------------------------------------------------------


def test_a_part_whose_answer_was_lost_is_sent_again_at_once_where_the_definition_says_so() -> None:
    drive = sending(AGAIN, parts=1).tell(LOST)
    assert drive.until_send().step == "send 2 of 3"


def test_a_part_without_it_is_not_sent_again_by_the_same_process() -> None:
    error = error_of(sending(parts=1).tell(LOST))
    assert isinstance(error, UncertainError)
    assert error.may_resubmit
    assert "'send 2 of 3' of the submit (records 11 to 20) was done" in error.message


def test_again_false_wins_over_the_method() -> None:
    put = {**SEND, "request": {**SEND["request"], "method": "PUT"}, "again": False}
    assert isinstance(error_of(sending(submit(CREATE, put, START)).tell(LOST)), UncertainError)
    put_again = {key: value for key, value in put.items() if key != "again"}
    assert sending(submit(CREATE, put_again, START)).tell(LOST).until_send().step == "send 1 of 3"


def test_the_next_process_takes_the_risk_and_says_so_or_does_not() -> None:
    risky = after(sending(parts=1)).tell(PLANNED).store_all()
    assert sent(risky).step == "send 2 of 3"
    assert "may now exist twice" in risky.job.notes[0]
    strict = after(sending(STRICT, parts=1), STRICT)
    assert "nobody knows whether the API accepted it" in error_of(strict).message
    sure = after(sending(AGAIN, parts=1), AGAIN).tell(PLANNED).store_all()
    assert sent(sure).step == "send 2 of 3"
    assert "again: true" in sure.job.notes[0]


def test_a_part_that_was_certainly_not_sent_is_no_doubt() -> None:
    drive = sending(STRICT, parts=1).tell(NOT_SENT)
    assert isinstance(drive.command, Store)
    assert drive.stored[-1]["phase"] == "idle"
    assert after(drive, STRICT).tell_all(W, PLANNED).until_send().step == "send 2 of 3"


# A source that changed ----------------------------------------------------------------------------------


def test_a_source_that_changed_between_two_tries_is_named_and_nothing_more_is_sent() -> None:
    drive = after(sending(AGAIN, parts=2), AGAIN).tell(plan_of(10, 10, 4, mark="m2"))
    error = error_of(drive)
    assert isinstance(error, UploadError)
    assert not error.retryable
    assert error.message == (
        "The source of the upload changed between two tries of the submit: it gave 3 parts with 23 records, "
        "and now gives 3 parts with 24 records (or other records, or they are written in another way). What "
        "was sent and what would be sent do not belong together, so that nothing more is sent. Done are: "
        "create, 2 parts of send. Let the source be as it was, or start a new job (clear the submit task), "
        "which sends all of it; what was done is left at the API."
    )
    assert not drive.sent
    again = after(drive, AGAIN).tell(plan_of(10, 10, 4, mark="m2")) if drive.stored else drive
    assert isinstance(error_of(again), UploadError)


def test_a_source_that_changed_before_anything_was_sent_is_simply_sent() -> None:
    first = uploading().tell_all(PLANNED, S, NOT_SENT)
    assert first.stored[-1]["upload"]["mark"] == "m1"
    drive = after(first).tell_all(W, plan_of(4, mark="m2"))
    assert drive.until_send().names["upload"]["records"] == 4
    assert drive.stored[-1]["upload"]["mark"] == "m2"


def test_a_refused_part_begins_anew_with_whatever_the_source_then_is() -> None:
    drive = sending(parts=1).tell(answer(422, {"error": "no"}))
    assert isinstance(error_of(drive), RefusedError)
    assert "upload" not in drive.stored[-1]
    assert after(drive).tell(plan_of(4, mark="m2")).until_send().step == "create"


# What the API refuses -----------------------------------------------------------------------------------


def test_a_part_refused_in_the_middle_is_named_with_its_records_and_what_came_before() -> None:
    error = error_of(sending(parts=2).tell(answer(413, {"error": "too large"})))
    assert isinstance(error, RefusedError)
    assert error.message == (
        "The API refused the step 'send 3 of 3' of the submit (records 21 to 23): GET "
        'https://api.example.com/jobs/7 answered 413: {"error": "too large"}. Expected a code of 2xx. '
        "Correct the request or the inputs. 2 parts were acknowledged before it (the records up to 20)."
    )
    first = error_of(sending().tell(answer(422, {})))
    assert first.message.endswith("No part was acknowledged before it.")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://b.s3.example.com/x?X-Amz-Expires=60&X-Amz-Signature=abc", 403),
        ("https://storage.example.com/x?X-Goog-Signature=abc", 400),
        ("https://a.blob.example.com/x?se=2026&sig=abc", 403),
    ],
)
def test_an_upload_url_that_expired_is_named_so_and_no_credentials_are_fetched(url: str, code: int) -> None:
    said = "<Error><Message>Request has expired</Message></Error>"
    refused = Responded(Response(code, {}, said.encode(), url, "PUT https://b.example.com/x", said))
    error = error_of(sending(parts=1).tell(refused))
    assert isinstance(error, RefusedError)
    assert error.message == (
        "The URL of the step 'send 2 of 3' of the submit (records 11 to 20) has expired, or does not allow "
        f"this: PUT https://b.example.com/x answered {code}: {said}. It is pre-signed: whoever gave it "
        "decides until when it can be used, and the connection's credentials change nothing. Begin again "
        "for a new one (clear the submit task). Where all parts take longer than it can be used, let a job "
        "have fewer of them (job_bytes or job_records of submit.upload). 1 part was acknowledged before it "
        "(the records up to 10)."
    )


def test_a_signature_that_no_answer_gave_is_the_connections_own() -> None:
    fixed = {**SEND, "request": {"url": "/imports/data", "part": True}}
    url = "https://api.example.com/imports/data?Signature=of-the-connection"
    refused = Responded(Response(403, {}, b"", url, "POST https://api.example.com/imports/data"))
    error = error_of(sending(submit(CREATE, fixed, START)).tell(refused).tell(UNCHANGED))
    assert "does not allow this with the credentials of the connection" in error.message


def test_a_403_of_the_api_itself_is_about_the_credentials() -> None:
    error = error_of(sending().tell(answer(403, {})).tell(UNCHANGED))
    assert "does not allow this with the credentials of the connection" in error.message


# Refused records ----------------------------------------------------------------------------------------


def test_refused_records_are_stored_before_their_part_counts_as_acknowledged() -> None:
    drive = sending(parts=1)
    entries = [{"email": "a@x", "row": 0, "why": "bad"}, {"row": 9}, {"row": 10, "why": {"code": 3}}]
    drive.tell(answer(200, {"errors": entries}))
    assert isinstance(drive.command, Store)
    assert drive.command.checkpoint["item"] == 2
    kept = drive.command.refusals
    assert kept is not None
    assert kept.part == 2
    assert list(kept.entries) == [
        {
            "key": {"email": "a@x"},
            "number": 11,
            "stage": "upload",
            "reason": "bad",
            "record": None,
            "answer": entries[0],
        },
        {"key": None, "number": 20, "stage": "upload", "reason": None, "record": None, "answer": entries[1]},
        {
            "key": None,
            "number": None,
            "stage": "upload",
            "reason": '{"code": 3}',
            "record": None,
            "answer": entries[2],
        },
    ]
    assert drive.job.notes == ["send 2 of 3: the API refused 3 of its 10 records"]
    drive.tell(S)
    assert sent(drive).step == "send 3 of 3"
    drive.tell(answer(200, {}))
    assert isinstance(drive.command, Store)
    assert drive.command.refusals is not None
    assert drive.command.refusals.entries == ()


def test_the_last_step_may_be_the_one_that_sends() -> None:
    drive = uploading(submit(CREATE, SEND)).tell_all(plan_of(2), S, CREATED, S)
    drive.tell(answer(200, {"errors": [{"row": 1}]}))
    assert isinstance(drive.command, Store)
    assert drive.command.checkpoint["phase"] == "submitted"
    assert drive.command.refusals is not None
    assert drive.command.refusals.entries[0]["number"] == 2


@pytest.mark.parametrize(
    ("rejects", "body", "numbers"),
    [
        ({"index": "n", "index_base": 1}, [{"n": 1}, {"n": "10"}, {"n": 0}, {"n": 11}], [1, 10, None, None]),
        ({"index": "n", "when": "!ok"}, [{"n": 0, "ok": True}, {"n": 1}], [2]),
        ({"records": "a.b", "index": "n"}, {"a": {"b": {"n": 3}}}, [4]),
        ({"records": "a.b", "index": "n"}, {"a": {}}, []),
        ({"records": "items[?!ok]", "index": "n"}, {"items": [{"n": 0, "ok": 1}, {"n": 5}]}, [6]),
    ],
)
def test_where_refused_records_lie(rejects: dict[str, Any], body: Any, numbers: list[int | None]) -> None:
    drive = sending(submit(CREATE, {**SEND, "rejects": rejects}, START)).tell(answer(200, body))
    assert isinstance(drive.command, Store)
    assert drive.command.refusals is not None
    assert [entry["number"] for entry in drive.command.refusals.entries] == numbers


def test_several_fields_make_a_key() -> None:
    upload = {**UPLOAD, "key": ["country", "code"]}
    for path, found in (("[c, k]", {"country": "DE", "code": 7}), ("c", None)):
        steps = (CREATE, {**SEND, "rejects": {"key": path}}, START)
        drive = sending(submit(*steps, upload=upload)).tell(answer(200, [{"c": "DE", "k": 7}]))
        assert isinstance(drive.command, Store)
        assert drive.command.refusals is not None
        assert drive.command.refusals.entries[0]["key"] == found


def test_refused_records_that_are_no_list_are_an_error_and_nothing_is_sent_again() -> None:
    error = error_of(sending().tell(answer(200, {"errors": "none"})))
    assert isinstance(error, UnreadableError)
    assert (
        "submit.steps[1].rejects.records: path 'errors' is text, and a list of refused records is expected"
        in (error.message)
    )


# One request --------------------------------------------------------------------------------------------


def test_one_request_sends_the_one_part() -> None:
    drive = uploading(ONE_REQUEST).tell_all(plan_of(5), S)
    assert sent(drive).names["part"]["records"] == 5
    assert isinstance(drive.tell_all(answer(202, {"id": 9}), S).command, Finish)


def test_more_than_one_part_for_one_request_is_refused_before_it_is_sent() -> None:
    drive = uploading(ONE_REQUEST).tell(PLANNED)
    error = error_of(drive)
    assert isinstance(error, UploadError)
    assert error.message.startswith(
        "The upload takes 3 requests with 23 records, and submit.request sends one."
    )
    assert "UploadPlanOperator" in error.message
    assert not drive.sent
    assert drive.job.phase is Phase.FINISHED
