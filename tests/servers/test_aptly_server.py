"""A real aptly, from submit to result: integers for a state, tasks that nobody can stop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import Asyncjob
from tests.servers.aptly import Aptly, slow_archive
from tests.servers.driving import Driven, asking_for


@pytest.fixture
def snapshot(asyncjob: Asyncjob, aptly: Aptly) -> Driven:
    return Driven(asyncjob, "aptly_snapshot", aptly.url)


@pytest.fixture
def update(asyncjob: Asyncjob, aptly: Aptly) -> Driven:
    return Driven(asyncjob, "aptly_mirror_update", aptly.url)


def test_a_snapshot_is_made_and_its_task_forgotten(snapshot: Driven, aptly: Aptly, tmp_path: Path) -> None:
    aptly.add_repository("done")
    ran = snapshot.run("--destination", "out.json", repository="done", snapshot="done-1")
    assert (ran.code, ran.last["state"]) == (0, "done"), ran.stderr
    assert json.loads((tmp_path / "out.json").read_text()) == "Task succeeded"
    assert ran.last["submission_id"].isdigit()
    assert ran.last["submission_id"] not in aptly.tasks()


def test_a_task_that_fails_shows_its_output(snapshot: Driven, aptly: Aptly) -> None:
    aptly.add_repository("twice")
    assert snapshot.run(repository="twice", snapshot="twice-1").code == 0
    ran = snapshot.run("--destination", "out.json", repository="twice", snapshot="twice-1")
    assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (4, "failed", 3)
    assert "ended as failed" in ran.last["message"]
    assert "snapshot with name twice-1 already exists" in ran.last["message"]
    assert ran.last["submission_id"] in aptly.tasks()


def test_a_repository_that_is_not_there_is_refused(snapshot: Driven) -> None:
    ran = snapshot.run(repository="nowhere", snapshot="x")
    assert (ran.code, ran.last["state"], ran.last["submission_id"]) == (1, "error", None)
    assert "local repo with name nowhere not found" in ran.last["message"]


def test_an_update_that_is_left_runs_on(update: Driven, aptly: Aptly) -> None:
    with slow_archive() as (archive, go):
        aptly.add_mirror("left", archive)
        before = aptly.tasks()
        ran = update.interrupted(lambda: aptly.tasks() - before, mirror="left")
        assert (ran.code, ran.last["state"]) == (130, "cancelled")
        assert aptly.state(ran.last["submission_id"]) == 1
        assert "aptly/mirror_update has no cancel request. It may run on at the API" in ran.last["message"]
        go.set()


def test_an_update_that_takes_too_long_times_out(update: Driven, aptly: Aptly) -> None:
    with slow_archive() as (archive, go):
        aptly.add_mirror("late", archive)
        ran = update.run(changes={"status": {"timeout": 1}}, mirror="late")
        assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (5, "timed_out", 1)
        assert aptly.state(ran.last["submission_id"]) == 1
        go.set()


def test_an_unknown_task_is_asked_for_within_the_budget(snapshot: Driven, aptly: Aptly) -> None:
    aptly.add_repository("unknown")
    changes = asking_for("{{ 987654 }}") | {"status": {"poll_error_budget": 1}}
    ran = snapshot.run(changes=changes, repository="unknown", snapshot="unknown-1")
    assert (ran.code, ran.last["state"]) == (1, "error")
    assert "Could not find task with id 987654" in ran.last["message"]
    assert "/api/tasks/987654" in ran.last["message"]
