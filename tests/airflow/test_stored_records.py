"""Names of a run, the idempotency key, and the records in the task state store: a clear is not a retry."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_asyncjob import errors
from airflow_asyncjob.errors import CheckpointError, DefinitionError, UncertainError
from airflow_asyncjob.hooks import state
from airflow_asyncjob.hooks.names import idempotency_key, run_names
from airflow_asyncjob.hooks.records import event_of, finish_of, status_xcom, submission_given, submission_of
from airflow_asyncjob.hooks.state import Wish
from airflow_asyncjob.protocol import Finish, Outcome, Submission

LOG = logging.getLogger(__name__)


class Store(dict[str, Any]):
    """The part of Airflow's task state store that is used, as a dict."""

    set = dict.__setitem__


def instance(**changed: Any) -> Any:
    fields = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "max_tries": 2, "retries": 2}
    fields |= changed
    return SimpleNamespace(**fields, task=SimpleNamespace(retries=fields["retries"]))


def test_the_names_of_a_run_are_plain_text_and_numbers() -> None:
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    context = {
        "ti": instance(map_index=4),
        "ds": "2026-03-01",
        "ts": "2026-03-01T12:00:00+00:00",
        "logical_date": moment,
        "data_interval_start": moment,
        "data_interval_end": moment,
        "params": {"not": "a name"},
    }
    assert run_names(context) == {
        "dag_id": "d",
        "run_id": "r",
        "task_id": "t",
        "map_index": 4,
        "ds": "2026-03-01",
        "ts": "2026-03-01T12:00:00+00:00",
        "logical_date": "2026-03-01T12:00:00+00:00",
        "data_interval_start": "2026-03-01T12:00:00+00:00",
        "data_interval_end": "2026-03-01T12:00:00+00:00",
    }


def test_a_run_without_a_date_has_no_names_of_dates() -> None:
    names = run_names({"ti": instance(map_index=None), "logical_date": None})
    assert names == {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1}


def test_the_key_stays_over_retries_and_changes_with_everything_else() -> None:
    first = idempotency_key(instance(), 1)
    assert idempotency_key(instance(retries=7), 1) == first, "what a retry finds"
    others = [
        idempotency_key(instance(), 2),
        idempotency_key(instance(max_tries=5), 1),
        idempotency_key(instance(map_index=0), 1),
        idempotency_key(instance(task_id="u"), 1),
        idempotency_key(instance(run_id="s"), 1),
        idempotency_key(instance(dag_id="e"), 1),
    ]
    assert len({first, *others}) == 7


def test_a_retry_finds_its_own_record_and_a_clear_an_old_one() -> None:
    store, wish = Store(), Wish(max_tries=2, retries=2)
    assert state.load(store, "submit", wish, LOG) is None
    state.save(store, "submit", wish, {"checkpoint": {"phase": "idle"}})
    found = state.load(store, "submit", wish, LOG)
    assert found is not None
    assert found.current
    assert found.data == {"checkpoint": {"phase": "idle"}}
    assert state.load(store, "wait", wish, LOG) is None

    cleared = state.load(store, "submit", Wish(max_tries=3, retries=2), LOG)
    assert cleared is not None
    assert not cleared.current


def test_changed_retries_attach_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    state.save(store, "submit", Wish(max_tries=2, retries=2), {})
    # The first try of a task with 2 retries, then a clear with 1: max_tries is 1 + 1, as before.
    found = state.load(store, "submit", Wish(max_tries=2, retries=1), LOG)
    assert found is not None
    assert found.current
    assert "was changed from 2 to 1" in caplog.text
    assert "Clear the task once more" in caplog.text


@pytest.mark.parametrize("stored", [{"version": 2, "data": {}}, "text", {"data": {}}])
def test_a_record_of_another_version_is_refused(stored: Any) -> None:
    store = Store({"asyncjob.submit": stored})
    with pytest.raises(CheckpointError, match=r"'asyncjob.submit'(.|\n)*Expected a mapping with version 1"):
        state.load(store, "submit", Wish(2, 2), LOG)


@pytest.mark.parametrize(("max_tries", "retries", "cleared"), [(2, 2, False), (3, 2, True), (1, 0, True)])
def test_a_wish_tells_whether_the_task_was_cleared(max_tries: int, retries: int, cleared: bool) -> None:
    assert Wish.of(instance(max_tries=max_tries, retries=retries)).cleared_before is cleared


OUTCOME = Outcome(
    state="partial",
    target=["/a", "/b"],
    raw_status="PART",
    message="two refused",
    progress=98,
    polls=4,
    waited=12.34567,
    expires_at=2000.0,
    captures={"part": 3, "more": [1]},
    sent="GET http://x/jobs/7",
    log="line 1\nline 2",
)


SUBMISSION = Submission("7", 1000.0, {"part": 3}, not_before=1005.0, outcome=OUTCOME)


def test_an_outcome_travels_in_an_event_whole() -> None:
    event = event_of(Finish(outcome=OUTCOME), SUBMISSION.to_dict())
    assert submission_of(event["submission"]) == SUBMISSION
    assert finish_of(event) == Finish(outcome=OUTCOME)


def test_an_event_of_a_later_version_is_still_read() -> None:
    event = event_of(Finish(outcome=OUTCOME), {**SUBMISSION.to_dict(), "later": 1})
    event["outcome"]["later"] = 1
    event["submission"]["outcome"]["later"] = 1
    assert finish_of(event).outcome == OUTCOME
    assert submission_of(event["submission"]) == SUBMISSION


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "UncertainError"])
def test_every_error_travels_in_an_event(name: str) -> None:
    error = getattr(errors, name)("what happened")
    back = finish_of(event_of(Finish(error=error), SUBMISSION.to_dict())).error
    assert type(back) is type(error)
    assert back is not None
    assert back.message == "what happened"


@pytest.mark.parametrize("may_resubmit", [True, False])
def test_an_uncertain_submit_travels_with_its_risk(may_resubmit: bool) -> None:
    error = UncertainError("lost", may_resubmit=may_resubmit)
    back = finish_of(event_of(Finish(error=error), SUBMISSION.to_dict())).error
    assert isinstance(back, UncertainError)
    assert back.may_resubmit is may_resubmit


def test_an_error_that_this_version_does_not_know_is_tried_again() -> None:
    event = {"version": 1, "submission": {}, "error": {"kind": "LaterError", "message": "hm"}}
    back = finish_of(event).error
    assert back is not None
    assert (back.retryable, back.message) == (True, "hm")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (None, ""),
        ("", ""),
        ("a/b 7", "a/b 7"),
        (0, "0"),
        ({"id": 7}, Submission("7", 50.0)),
        (
            {"id": "7", "submitted_at": 3, "captures": {"a": 1}, "of_a_later_version": 1},
            Submission("7", 3.0, {"a": 1}),
        ),
    ],
)
def test_a_submission_may_be_given_by_its_id_or_whole(given: Any, meant: Any) -> None:
    assert submission_given(given, 50.0) == meant


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ["7", "8"],
            "'7', '8'.*, of type list: expected an ID.* Map the task over a list, with expand",
        ),
        (True, "submission_id is 'True', of type bool: expected an ID, or a mapping with id"),
        ({"id": None}, "of type dict: expected an ID, or a mapping"),
        ({"id": "7", "submitted_at": "noon"}, "submission_id: This is no submission"),
    ],
)
def test_what_is_no_submission_is_told(given: Any, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        submission_given(given, 50.0)


def test_the_status_that_people_read_has_these_fields() -> None:
    assert status_xcom(OUTCOME) == {
        "state": "partial",
        "raw_status": "PART",
        "message": "two refused",
        "progress": 98,
        "polls": 4,
        "waited": 12.346,
        "expires_at": 2000.0,
        "captures": {"part": 3, "more": [1]},
    }
