"""What an event says, which task a callback names, and how a job with a webhook is polled."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.callback import TaskName, callback_token, task_of_token, wants_callback
from airflow_asyncjob.definition.models.webhook import Webhook
from airflow_asyncjob.definition.signature import ReceivedEvent
from airflow_asyncjob.definition.webhook import counts, ids_of, polled_as_net, view_of
from airflow_asyncjob.errors import UnreadableError
from airflow_asyncjob.protocol.waits import poll_wait

PATH = {"type": "path"}
FINISHED = b'{"eshopId":1,"event":"job:finished","eventInstance":"ax1844"}'


def read(body: bytes, headers: dict[str, str] | None = None, **fields: Any) -> tuple[bool, frozenset[str]]:
    webhook, view = Webhook(auth=PATH, **fields), view_of(ReceivedEvent(headers or {}, body))
    return counts(webhook, view), ids_of(webhook, view)


def test_the_event_of_a_shop() -> None:
    rule = {"id": "eventInstance", "when": "body.event == 'job:finished'"}
    assert read(FINISHED, **rule) == (True, {"ax1844"})
    assert read(FINISHED.replace(b"job:f", b"order:f"), **rule) == (False, {"ax1844"})
    assert read(b"{}", **rule) == (False, frozenset())


def test_an_event_of_many_jobs_names_each() -> None:
    body = b'[{"id": 7, "e": "done"}, {"id": "8", "e": "done"}, {"id": 9, "e": "begun"}, {"e": "done"}]'
    assert read(body, id="[?e=='done'].id") == (True, {"7", "8"})


def test_where_an_id_may_lie() -> None:
    assert read(b"<e><job>5</job></e>", id="/e/job") == (True, {"5"})
    assert read(b"job=5&x=", {"Content-Type": "application/x-www-form-urlencoded"}, id="job") == (True, {"5"})
    assert read(b"", {"X-Job": "jobs/5"}, id={"header": "x-job", "regex": "jobs/(.+)"}) == (True, {"5"})
    assert read(b'{"a": {"b": 1}}', id={"expr": "body.a.b"}) == (True, {"1"})


def test_what_is_no_id_names_no_job() -> None:
    assert read(b'{"id": null}', id="id") == (True, frozenset())
    assert read(b'{"id": {"a": 1}}', id="id") == (True, frozenset())


@pytest.mark.parametrize("body", [b"{", b"<html></html>", b"[" * 60_000, b"<a>" * 9_000])
def test_a_body_that_cannot_be_read_is_an_error_of_the_sender(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(body, id="id")


def test_an_event_of_too_many_jobs_is_refused() -> None:
    with pytest.raises(UnreadableError, match="names 1001 jobs; at most 1000 do"):
        read(b"[" + b",".join(b"%d" % n for n in range(1001)) + b"]", id="[*]")


TASK = TaskName("exports", "manual__2026-11-22T21:00:00+00:00", "job.submit", 3)


def test_a_token_names_its_task() -> None:
    token = callback_token(TASK, "shop", "s3cret")
    assert task_of_token(token, "shop", ["other", "s3cret"]) == TASK
    assert callback_token(TASK, "shop", "s3cret") == token, "a repeated submit has the same body"
    assert len(token) < 150


def test_a_token_that_we_did_not_make_is_none() -> None:
    token = callback_token(TASK, "shop", "s3cret")
    told, _, signature = token.partition(".")
    other = callback_token(TaskName("exports", "r", "t", -1), "shop", "s3cret")
    assert task_of_token(token, "shop", ["other"]) is None
    assert task_of_token(token, "shop", []) is None
    assert task_of_token(token, "bakery", ["s3cret"]) is None, "of another connection"
    assert task_of_token(f"{other.partition('.')[0]}.{signature}", "shop", ["s3cret"]) is None
    for wrong in ("", ".", told, f"{told}.", f".{signature}", f"{told}.{signature[:-4]}", "é.ü", "x" * 9999):
        assert task_of_token(wrong, "shop", ["s3cret"]) is None


def definition(**status: Any) -> AsyncJob:
    return AsyncJob(
        submit={"request": {"url": "/jobs", "json": {"notify": ["{{ callback_url }}"]}}, "id": "id"},
        status={
            "request": {"url": "/jobs/{{ submission_id }}"},
            "path": "s",
            "values": {"done": "d"},
            **status,
        },
    )


def waits(job: AsyncJob, looks: int = 4) -> list[float]:
    status = polled_as_net(job).status
    assert status is not None
    return [poll_wait(status, look, "") for look in range(1, looks + 1)]


def test_a_job_with_a_webhook_is_polled_less_often() -> None:
    usual = {"poll_wait": 15, "growth": 2.0, "longest_wait": 100, "jitter": 0.0}
    assert waits(definition(**usual, webhook={})) == [150, 150, 150, 150]
    assert waits(definition(**{**usual, "longest_wait": "1h"}, webhook={})) == [150, 300, 600, 1200]
    assert waits(definition(**usual, webhook={"poll_wait": "20m"})) == [1200] * 4
    assert waits(definition(poll_wait=15, growth=2.0, jitter=0.0, webhook={})) == [150, 300, 600, 600]


def test_a_job_without_one_is_polled_as_ever() -> None:
    job = definition(poll_wait=15, jitter=0.0, webhook={})
    assert job.status is not None
    bare = job.model_copy(update={"status": job.status.model_copy(update={"webhook": None})})
    assert polled_as_net(bare) is bare


def test_whether_a_submit_wants_an_address() -> None:
    assert wants_callback(definition(webhook={}))
    assert not wants_callback(
        AsyncJob(submit={"request": {"url": "/jobs", "json": {"a": "{{ ds }}"}}, "id": "id"})
    )
