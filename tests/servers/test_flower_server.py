"""A real Flower with a Celery worker, results in the status answer, PENDING for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Asyncjob, until
from tests.servers.driving import Driven, asking_for, records_in
from tests.servers.flower import LOGIN, PASSWORD, Flower


@pytest.fixture
def task(asyncjob: Asyncjob, flower: Flower) -> Driven:
    return Driven(asyncjob, "flower_task", flower.url, {"login": LOGIN, "password": PASSWORD})


def test_the_rows_that_a_task_returns_become_records(task: Driven, tmp_path: Path) -> None:
    ran = task.run("--destination", "rows.jsonl", task="rows", args=[3])
    assert (ran.code, ran.last["state"], ran.last["records"]) == (0, "done", 3), ran.stderr
    assert records_in(tmp_path / "rows.jsonl")[2] == {"id": "00002", "name": "Zoë 2"}


def test_a_task_that_raises_says_what(task: Driven) -> None:
    ran = task.run("--destination", "rows.jsonl", task="fail", args=["disk full at row 7"])
    assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (4, "failed", "FAILURE")
    assert "ended as failed: ValueError('disk full at row 7')" in ran.last["message"]
    assert "raise ValueError(text)" in ran.last["message"], "the end of the traceback"


def test_ctrl_c_revokes_the_task(task: Driven, flower: Flower) -> None:
    ran = task.interrupted(flower.started, task="rows", args=[1, 60])
    assert (ran.code, ran.last["state"]) == (130, "cancelled")
    until(lambda: flower.state(ran.last["submission_id"]) == "REVOKED")


def test_a_timeout_revokes_the_task(task: Driven, flower: Flower) -> None:
    ran = task.run(changes={"status": {"timeout": 2, "queue_timeout": 1.9}}, task="rows", args=[1, 60])
    assert (ran.code, ran.last["state"]) == (5, "timed_out")
    until(lambda: flower.state(ran.last["submission_id"]) == "REVOKED")


def test_a_task_that_somebody_revokes_is_cancelled(task: Driven, flower: Flower) -> None:
    process = task.start(task="rows", args=[1, 60])
    until(flower.started)
    for job in flower.started():
        flower.call("POST", f"/api/task/revoke/{job}?terminate=true")
    ran = task.asyncjob.end(process)
    assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (4, "cancelled", "REVOKED")
    assert "terminated" in ran.last["message"]


def test_a_task_that_nobody_submitted_never_starts(task: Driven) -> None:
    changes = asking_for("{{ 'no-such-task' }}") | {"status": {"queue_timeout": 1}}
    ran = task.run(changes=changes, task="rows", args=[1])
    assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (5, "timed_out", "PENDING")
    assert "queue_timeout" in ran.last["message"]


def test_a_task_that_celery_does_not_know_is_refused(task: Driven) -> None:
    ran = task.run(task="nope")
    assert (ran.code, ran.last["submission_id"]) == (1, None)
    assert "Unknown task 'nope'" in ran.last["message"]


def test_a_wrong_password_is_told_as_such(task: Driven) -> None:
    task.connection["password"] = "wrong-one"
    ran = task.run(task="rows", args=[1])
    assert (ran.code, ran.last["state"], ran.last["submission_id"]) == (1, "error", None)
    assert "401" in ran.last["message"]
    assert "wrong-one" not in ran.stdout + ran.stderr
