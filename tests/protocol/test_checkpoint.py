"""The checkpoint: small, versioned, and refused where it is not understood."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_asyncjob.errors import CheckpointError
from airflow_asyncjob.protocol import Checkpoint, Outcome, Submission
from airflow_asyncjob.protocol.checkpoint import Cut

FULL = Checkpoint(
    phase="ended",
    at=12.5,
    key="dag/run/task/3/2",
    attempt=2,
    since=1.0,
    tries=4,
    settled_at=1_700_000_900.0,
    list_answered=True,
    left_at=1_700_000_040.0,
    not_before=99.0,
    step="upload",
    item=2,
    step_captures={"job": 7},
    upload=Cut(mark="m1", parts=3, records=20, rejected=2),
    submission=Submission(
        "7",
        1.5,
        {"token": "t", "n": [1, {"a": None}]},
        not_before=3.5,
        no_data=True,
        outcome=Outcome("failed", [], raw_status="bad", captures={"a": [1]}),
        mark="m1",
        records=20,
        left_out=2,
    ),
    deadline=3600.0,
    next_poll_at=20.0,
    last_poll_at=10.0,
    looks=5,
    polls=3,
    errors=2,
    unknown=1,
    captures={"shard": 3},
    outcome=Outcome(
        "partial",
        ["/a", "/b"],
        raw_status=False,
        message="m",
        progress=0.5,
        polls=3,
        waited=9.5,
        expires_at=77.0,
        captures={"x": 1},
        sent="GET https://api.example.com/7",
        log="the last line",
    ),
)


def test_every_field_goes_there_and_back() -> None:
    plain = json.loads(json.dumps(FULL.to_dict()))
    assert Checkpoint.from_dict(plain) == FULL
    assert set(plain) == set(Checkpoint.model_fields)
    assert set(plain["outcome"]) == {field.name for field in fields(Outcome)}
    assert set(plain["submission"]) == {field.name for field in fields(Submission)}


def test_what_is_at_its_default_is_left_out() -> None:
    assert Checkpoint(phase="idle").to_dict() == {"version": 1, "phase": "idle"}


def test_a_usual_checkpoint_is_small() -> None:
    usual = Checkpoint(phase="submitted", at=1.7e9, key="k" * 60, submission=Submission("a" * 36, 1.7e9))
    assert len(json.dumps(usual.to_dict())) < 300


@pytest.mark.parametrize(
    ("plain", "says"),
    [
        ({}, "has version None; this one reads 1"),
        ({"version": 2, "phase": "idle"}, "has version 2; this one reads 1"),
        ({"version": "1", "phase": "idle"}, "has version '1'"),
        (None, "has version None"),
        ([1], "has version None"),
        ({"version": 1}, "phase: Field required"),
        (
            {"version": 1, "phase": "resting"},
            "phase: Input should be 'idle', 'intent', 'submitted', 'cancelling' or",
        ),
        ({"version": 1, "phase": "idle", "colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"version": 1, "phase": "idle", "attempt": "2"}, "attempt: Input should be a valid integer"),
        (
            {"version": 1, "phase": "idle", "attempt": 0},
            "attempt: Input should be greater than or equal to 1",
        ),
        ({"version": 1, "phase": "idle", "since": float("nan")}, "since: Input should be a finite number"),
        ({"version": 1, "phase": "submitted"}, "phase submitted needs a submission"),
        (
            {"version": 1, "phase": "intent", "submission": {"id": "7", "submitted_at": 1}},
            "cannot have a submission",
        ),
        ({"version": 1, "phase": "ended"}, "phase ended needs an outcome"),
        ({"version": 1, "phase": "submitted", "submission": {"id": 7, "submitted_at": 1}}, "submission.id"),
        (
            {"version": 1, "phase": "submitted", "submission": {"id": "7", "submitted_at": 1, "new": 2}},
            "submission.new: Unexpected keyword argument",
        ),
        ({"version": 1, "phase": "ended", "outcome": {"state": "fine", "target": []}}, "outcome.state"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_to_do(plain: Any, says: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.from_dict(plain)
    assert says in caught.value.message
    assert "start a new job (clear the submit task)" in caught.value.message
    assert "look at the API first" in caught.value.message


def test_a_refusal_does_not_show_the_values() -> None:
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.from_dict({"version": 1, "phase": "idle", "captures": "signed-secret"})
    assert "signed-secret" not in caught.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*Checkpoint.model_fields, "other"]), JSON))
def test_any_stored_json_is_read_or_refused(plain: dict[str, Any]) -> None:
    try:
        checkpoint = Checkpoint.from_dict({"version": 1, "phase": "idle", **plain})
    except CheckpointError:
        return
    assert Checkpoint.from_dict(json.loads(json.dumps(checkpoint.to_dict()))) == checkpoint


# The submission, as it travels alone --------------------------------------------------------------------


def test_a_submission_goes_there_and_back() -> None:
    end = Outcome("done", ["/a"], raw_status="ok", message="m", captures={"b": 2}, sent="POST x")
    whole = Submission("7", 1.5, {"a": [1]}, not_before=9.0, no_data=True, outcome=end)
    assert Submission.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole
    assert Submission("7", 1.5).to_dict() == {"id": "7", "submitted_at": 1.5, "captures": {}}


def test_a_submission_written_by_hand_is_read_as_far_as_it_is_clear() -> None:
    assert Submission.from_dict({"id": 7, "submitted_at": 1}) == Submission("7", 1.0)


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"id": "7"},
        {"id": "7", "submitted_at": "soon"},
        {"id": "7", "submitted_at": 1, "x": 2},
        {"id": "7", "submitted_at": 1, "outcome": {"state": "done"}},
        {"id": "7", "submitted_at": 1, "outcome": "done"},
        "7",
    ],
)
def test_what_is_no_submission_is_refused(plain: Any) -> None:
    with pytest.raises(
        CheckpointError, match=r"This is no submission .* Expected a mapping with id, submitted_at"
    ):
        Submission.from_dict(plain)
