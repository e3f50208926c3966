"""Error rules of every section: each is asked first, and its message is in the error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_asyncjob.definition.models.rules import Errors
from airflow_asyncjob.definition.rejects import rejects_job
from airflow_asyncjob.protocol import Command, Download, Finish, Goal, Listing, Send, Wait
from tests.protocol.driving import BASE, NOW, SUBMISSION, Drive, answer, definition

LOCKED = answer(409, {"error": "LOCKED", "by": "the nightly run"})


class Machine:
    """A machine that is not a job, driven as one."""

    def __init__(self, machine: Any) -> None:
        self.machine = machine

    @property
    def command(self) -> Command:
        return self.machine.next(NOW)

    def tell(self, event: Any) -> Machine:
        _ = self.command
        self.machine.tell(event, NOW)
        return self

    def until_finish(self) -> Finish:
        command = self.command
        assert isinstance(command, Finish)
        return command


def job(goal: Goal, **given: Any) -> Callable[[dict[str, Any]], Any]:
    def made(changes: dict[str, Any]) -> Drive:
        drive = Drive(changes, goal=goal, **given)
        drive.until_send()
        return drive

    return made


def download(changes: dict[str, Any]) -> Machine:
    return Machine(Download(definition(changes), "/files/1", inputs={}, names={}, submission=SUBMISSION))


def download_of_rejects(changes: dict[str, Any]) -> Machine:
    section = {"result": {"rejects": {"request": {"url": "/jobs/{{ submission_id }}/errors"}}}}
    job = rejects_job(definition(section, changes))
    return Machine(Download(job, "x", inputs={}, names={}, submission=SUBMISSION))


def listing(changes: dict[str, Any]) -> Machine:
    section = {"list": {"request": {"url": "/jobs"}, "id": "id"}}
    return Machine(Listing(definition(section, changes), inputs={}, names={}))


SECTIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "submit": job(Goal.SUBMITTED),
    "status": job(Goal.ENDED, submission=SUBMISSION),
    "result": download,
    "rejects": download_of_rejects,
    "cancel": job(Goal.CANCELLED, submission=SUBMISSION),
    "delete": job(Goal.DELETED, submission=SUBMISSION),
    "list": listing,
}


def rule(then: str, **more: Any) -> dict[str, Any]:
    when = "code == 409 and body.error == 'LOCKED'"
    return {"when": when, "then": then, "message": "locked by {{ body.by }}", **more}


def test_every_section_with_rules_is_here() -> None:
    assert set(SECTIONS) == set(Errors.model_fields)
    assert set(SECTIONS) - {"list", "rejects"} <= set(BASE)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_rule_ends_it_at_once_with_its_message(section: str) -> None:
    drive = SECTIONS[section]({"errors": {section: [rule("fail")]}})
    error = drive.tell(LOCKED).until_finish().error
    assert error is not None
    assert not error.retryable
    assert "409" in error.message
    assert "locked by the nightly run" in error.message


@pytest.mark.parametrize("section", SECTIONS)
def test_a_rule_asks_again_after_its_wait(section: str) -> None:
    drive = SECTIONS[section]({"errors": {section: [rule("retry", wait=45)]}})
    command = drive.tell(LOCKED).command
    assert isinstance(command, Wait) or section == "submit", command
    if isinstance(command, Wait):
        assert command.until >= NOW + 45


@pytest.mark.parametrize("section", SECTIONS)
def test_what_was_put_off_too_often_says_why(section: str) -> None:
    changes = {
        "errors": {section: [rule("retry")]},
        "limits": {"retries": 0},
        "status": {"poll_error_budget": 0},
    }
    error = SECTIONS[section](changes).tell(LOCKED).until_finish().error
    assert error is not None
    assert "(locked by the nightly run)" in error.message


@pytest.mark.parametrize("section", SECTIONS)
def test_a_rule_that_is_not_true_changes_nothing(section: str) -> None:
    drive = SECTIONS[section]({"errors": {section: [rule("fail")]}})
    command = drive.tell(answer(503, {"error": "LOCKED"})).command
    assert not isinstance(command, Send)
    if isinstance(command, Finish):
        assert command.error is not None
        assert "locked by" not in command.error.message
