"""The log of a job that failed: fetched once, its end shown, and nothing hidden when there is none."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.protocol import Goal, Outcome, Purpose, Send, error_for
from tests.protocol.driving import (
    DENIED,
    LOST,
    NOW,
    SUBMISSION,
    TOO_LARGE,
    Drive,
    S,
    answer,
    polling,
    waiting,
)

BROKEN = answer(200, {"status": "broken", "message": "exit code 1"})
REQUEST = {"url": "/jobs/{{ submission_id }}/log"}


def fetched(event: Any, **log: Any) -> Outcome:
    """Return the outcome of a job that failed and whose log was answered like this."""
    drive = polling({"status": {"log": {"request": REQUEST, **log}}}).tell(BROKEN)
    send = drive.command
    assert isinstance(send, Send)
    assert (send.purpose, send.where) == (Purpose.LOG, "status.log.request")
    return end_of(drive.tell(event))


def end_of(drive: Drive) -> Outcome:
    outcome = drive.until_finish().outcome
    assert outcome is not None
    assert drive.stored[-1]["phase"] == "ended"
    return outcome


def test_the_whole_answer_is_the_log() -> None:
    outcome = fetched(answer(200, b"line 1\r\nline 2\n\n"))
    assert outcome.log == "line 1\nline 2"
    assert outcome.message == "exit code 1"
    error = error_for(outcome, submission_id="7")
    assert error is not None
    assert "message: exit code 1" in error.message
    assert error.message.endswith("\nThe end of the job's log:\nline 1\nline 2")


@pytest.mark.parametrize(
    ("body", "log", "told"),
    [
        (b'"a bare\\nJSON string"', {}, "a bare\nJSON string"),
        (b"[2026-01-01] not JSON", {}, "[2026-01-01] not JSON"),
        (b"<init> not XML", {}, "<init> not XML"),
        (b"\x1b[31mred\x1b[0m\x07 plain\ttab", {}, "red plain\ttab"),
        (b'{"log": "text"}', {"path": "log"}, "text"),
        (b'{"log": ["one", "two", {"level": "E"}]}', {"path": "log"}, 'one\ntwo\n{"level": "E"}'),
        (b'{"events": [{"m": "one"}, {"m": "two"}]}', {"path": "events[].m"}, "one\ntwo"),
        (b"<log><line>one</line><line>two</line></log>", {"path": "/log/line"}, "one\ntwo"),
        (b'{"log": 7}', {"path": "log"}, "7"),
        (b'{"a": 1}', {"request": {**REQUEST, "response": "text"}}, '{"a": 1}'),
    ],
)
def test_a_log_is_read_as_text(body: bytes, log: dict[str, Any], told: str) -> None:
    assert fetched(answer(200, body), **log).log == told


def test_of_a_long_log_the_end_is_kept_from_the_start_of_a_line() -> None:
    lines = [f"line {number}: {'x' * 40}" for number in range(1000)]
    log = fetched(answer(200, "\n".join(lines).encode())).log
    assert len(log) <= 2000
    assert log.startswith("…line 9")
    assert log.splitlines()[1:] == lines[-len(log.splitlines()) + 1 :]
    assert fetched(answer(200, b"y" * 9000 + b"!")).log == "…" + "y" * 1998 + "!"


@pytest.mark.parametrize(
    ("event", "log", "why"),
    [
        (answer(404, {"error": "no log yet"}), {}, 'answered 404: {"error": "no log yet"}'),
        (answer(302, b"", {"location": "/login"}), {}, "answered 302"),
        (DENIED, {}, "answered 401"),
        (LOST, {}, "had no usable answer: reset by peer after 3 s"),
        (TOO_LARGE, {}, "more than 8388608 bytes (limits.response_bytes)"),
        (answer(200, b" \n"), {}, "answered with an empty log"),
        (answer(200, {"log": ""}), {"path": "log"}, "answered with an empty log"),
        (answer(200, {"logs": "x"}), {"path": "log"}, "status.log.path: path 'log' matches nothing"),
        (answer(200, b"<html>Log in</html>"), {"path": "log"}, "the answer is HTML"),
    ],
)
def test_a_log_that_cannot_be_read_hides_nothing(event: Any, log: dict[str, Any], why: str) -> None:
    outcome = fetched(event, **log)
    assert (outcome.state, outcome.log) == ("failed", "")
    assert outcome.message.startswith("exit code 1; its log could not be read: ")
    assert why in outcome.message


def test_a_log_may_lie_in_the_status_answer() -> None:
    change = {"status": {"log": {"path": "steps[].error"}}}
    drive = polling(change).tell(answer(200, {"status": "broken", "steps": [{"error": "a"}, {"error": "b"}]}))
    assert end_of(drive).log == "a\nb"
    assert [send.purpose for _, send in drive.sent] == [Purpose.POLL]
    assert end_of(polling(change).tell(BROKEN)).log == "", "what is not there is no mistake"


@pytest.mark.parametrize("word", ["ready", "some", "nothing", "expired", "stopped"])
def test_only_a_job_that_failed_is_asked_for_its_log(word: str) -> None:
    drive = polling({"status": {"log": {"request": REQUEST}}})
    drive.tell(answer(200, {"status": word, "urls": ["/a"]}))
    assert end_of(drive).log == ""
    assert [send.purpose for _, send in drive.sent] == [Purpose.POLL]


def test_a_request_for_the_log_sees_what_the_last_status_answer_gave() -> None:
    change = {"status": {"log": {"request": {"url": "{{ captures.log }}"}}, "capture": {"log": "log_url"}}}
    drive = polling(change).tell(answer(200, {"status": "broken", "log_url": "/logs/9"}))
    send = drive.command
    assert isinstance(send, Send)
    assert send.names["captures"]["log"] == "/logs/9"


def test_a_job_that_failed_at_once_is_asked_for_its_log() -> None:
    change = {"status": {"from": "submit", "log": {"request": REQUEST}}}
    drive = Drive(change)
    drive.until_send()
    drive.tell(answer(200, {"id": 7, "status": "broken"}))
    assert drive.until_send().purpose is Purpose.LOG
    assert end_of(drive.tell(answer(200, b"oh"))).log == "oh"


def test_a_process_that_dies_over_the_log_leaves_a_job_to_be_asked() -> None:
    drive = polling({"status": {"log": {"request": REQUEST}}}).tell(BROKEN)
    left = drive.job.checkpoint
    assert (left.phase, left.outcome) == ("submitted", None)
    again = Drive({"status": {"log": {"request": REQUEST}}}, checkpoint=left, now=NOW + 60)
    assert again.until_send().purpose is Purpose.POLL


def test_a_stop_over_the_log_finds_the_end() -> None:
    drive = polling({"status": {"log": {"request": REQUEST}}}).tell(BROKEN)
    drive.job.cancel(NOW)
    drive.job.tell(answer(200, b"oh"), NOW)
    assert end_of(drive.tell(S)).log == "oh"


def test_a_job_that_is_replaced_is_not_asked_for_its_log() -> None:
    drive = waiting({"status": {"log": {"request": REQUEST}}}, goal=Goal.REPLACED, submission=SUBMISSION)
    drive.until_send()
    assert drive.tell(BROKEN).until_finish().outcome is not None
    assert [send.purpose for _, send in drive.sent] == [Purpose.POLL]
