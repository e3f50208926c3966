"""A status URL that each answer names anew: what has moved is stored before the next wait."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.protocol import Checkpoint, Store, Submission, Wait
from tests.protocol.driving import KEY, NOW, SORRY, Drive, S, W, answer

MOVING = {
    "submit": {"capture": {"next": "next"}},
    "status": {
        "request": {"url": "{{ captures.next }}"},
        "capture": {"next": "next"},
        "initial_wait": 0,
        "unknown": "running",
    },
}


def busy(following: str, **more: Any) -> Any:
    return answer(200, {"status": "busy", "next": following, **more})


def asked(drive: Drive) -> str:
    """Return the URL that the outstanding poll asks."""
    return str(drive.until_send().names["captures"]["next"])


def submitted() -> Drive:
    drive = Drive(MOVING)
    drive.until_send()
    return drive.tell(answer(202, {"id": 7, "next": "/q/1"}))


def again(drive: Drive, **more: Any) -> Drive:
    """Return what starts after that process died, from what it stored last."""
    return Drive(MOVING, checkpoint=Checkpoint.from_dict(drive.stored[-1]), now=drive.now, **more)


def test_each_poll_asks_where_the_last_answer_pointed() -> None:
    drive = submitted()
    assert asked(drive) == "/q/1"
    assert asked(drive.tell(busy("/q/2"))) == "/q/2"
    assert asked(drive.tell(busy("/q/3"))) == "/q/3"
    finish = drive.tell(answer(200, {"status": "ready", "urls": "/r"})).until_finish()
    assert finish.outcome is not None
    assert finish.outcome.captures == {"next": "/q/3"}


def test_what_has_moved_is_stored_before_the_wait_and_a_later_process_goes_on_there() -> None:
    drive = submitted()
    drive.until_send()
    drive.tell(busy("/q/2"))
    store = drive.command
    assert isinstance(store, Store)
    assert store.checkpoint["captures"] == {"next": "/q/2"}
    assert store.checkpoint["phase"] == "submitted"
    assert isinstance(drive.tell(S).command, Wait)
    later = again(drive)
    assert later.wait().until == NOW + 10
    assert asked(later) == "/q/2"


def test_what_has_not_moved_is_not_stored_again() -> None:
    drive = submitted()
    drive.until_send()
    drive.tell_all(busy("/q/2"), S)
    count = len(drive.stored)
    drive.tell_all(W, busy("/q/2"), W, SORRY, W, busy("/q/2"))
    assert len(drive.stored) == count
    assert isinstance(drive.tell(W).tell(busy("/q/3")).command, Store)


def test_a_process_that_starts_from_what_was_stored_does_not_store_it_again() -> None:
    first = submitted()
    first.until_send()
    drive = again(first.tell_all(busy("/q/2"), S))
    assert asked(drive) == "/q/2"
    assert isinstance(drive.tell(busy("/q/2")).command, Wait)
    assert drive.stored == []


def test_a_status_that_is_read_as_running_moves_on_too() -> None:
    drive = submitted()
    drive.until_send()
    assert asked(drive.tell(answer(200, {"status": "odd", "next": "/q/2"}))) == "/q/2"


def test_an_answer_without_a_next_url_leaves_the_old_one() -> None:
    drive = submitted()
    drive.until_send()
    assert asked(drive.tell_all(busy("/q/2"), S, W, answer(200, {"status": "busy"}))) == "/q/2"


@pytest.mark.parametrize("location", ["/q/2", "https://api.example.com/q/2"])
def test_the_next_url_may_be_in_a_header(location: str) -> None:
    by_header = {"header": "operation-location"}
    change = {"submit": {"capture": {"next": by_header}}, "status": {"capture": {"next": by_header}}}
    drive = Drive(MOVING, change)
    drive.until_send()
    drive.tell(answer(202, {"id": 7}, {"operation-location": "/q/1"}))
    assert asked(drive) == "/q/1"
    assert asked(drive.tell(answer(200, {"status": "busy"}, {"operation-location": location}))) == location


def test_without_captures_of_the_status_nothing_is_stored_between_polls() -> None:
    drive = Drive(submission=Submission("7", NOW - 1000, {"token": "t"}), key=KEY)
    drive.until_send()
    drive.tell(answer(200, {"status": "busy", "next": "/q/2"}))
    assert isinstance(drive.command, Wait)
    assert drive.stored == []
