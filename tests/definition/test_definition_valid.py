"""Definitions that are right: each loads, survives a round trip, and is right for an editor too."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.schema import json_schema
from airflow_asyncjob.definition.yaml12 import read_yaml
from tests.definition.valid import VALID


@pytest.mark.parametrize("text", VALID.values(), ids=VALID.keys())
def test_a_valid_definition_loads_and_survives_a_round_trip(text: str) -> None:
    data: Any = read_yaml(text.encode(), "job.yaml").data
    job = AsyncJob.load(data)
    written = json.loads(json.dumps(job.to_dict()))
    again = AsyncJob.load(written)
    assert again == job
    assert again.to_dict() == job.to_dict() == written


@pytest.mark.parametrize("text", VALID.values(), ids=VALID.keys())
def test_a_valid_definition_is_right_for_an_editor(text: str) -> None:
    data = json.loads(json.dumps(read_yaml(text.encode(), "job.yaml").data))
    jsonschema.Draft202012Validator(json_schema()).validate(data)


def test_the_method_of_a_submit_is_post_and_of_a_poll_get() -> None:
    job = AsyncJob.load(read_yaml(VALID["the least"].encode(), "x").data)
    assert job.submit is not None
    assert job.status is not None
    assert job.submit.request.method == "POST"
    assert job.status.request.method == "GET"


def test_durations_are_seconds_inside() -> None:
    job = AsyncJob.load(read_yaml(VALID["all waits"].encode(), "x").data)
    assert job.status is not None
    assert (job.status.initial_wait, job.status.poll_wait, job.status.longest_wait, job.status.timeout) == (
        30.0,
        0.5,
        120.0,
        5400.0,
    )
    assert job.to_dict()["status"]["timeout"] == 5400.0


def test_only_what_was_given_is_written() -> None:
    job = AsyncJob.load({"submit": {"request": {"json": None}, "id": "id"}}, partial=True)
    assert job.to_dict() == {"submit": {"request": {"json": None, "method": "POST"}, "id": {"path": "id"}}}
