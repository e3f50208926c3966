"""ogc/process against a real pygeoapi, through protocol and transport."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.errors import RefusedError
from airflow_asyncjob.protocol import Goal
from tests.servers.pygeoapi import Pygeoapi
from tests.testing.driving import Client, client_of


@contextmanager
def process(server: Pygeoapi, process_id: str, inputs: dict[str, Any]) -> Iterator[Client]:
    definition = AsyncJob.load("ogc/process").to_dict()
    definition["status"] |= {"poll_wait": 0.1, "longest_wait": 0.5}
    with client_of(definition, server.url, None, process_id=process_id, inputs=inputs) as client:
        yield client


def test_a_process_runs_and_its_result_document_is_kept_as_it_comes(
    pygeoapi: Pygeoapi, tmp_path: Path
) -> None:
    before = pygeoapi.job_ids()
    with process(pygeoapi, "echo", {"echoInput": "Échø <&>", "pause": 1.0}) as client:
        outcome = client.outcome()
        assert (outcome.state, outcome.raw_status, outcome.progress) == ("done", "successful", 100)
        assert outcome.polls > 1
        manifest = client.fetch(outcome, tmp_path / "result.json")
        assert pygeoapi.job_ids() - before == {client.submission().id}
    assert json.loads((tmp_path / "result.json").read_text()) == {"id": "echoOutput", "value": "Échø <&>"}
    assert manifest.bytes == (tmp_path / "result.json").stat().st_size


def test_a_process_that_fails_is_a_job_that_failed(pygeoapi: Pygeoapi) -> None:
    with process(pygeoapi, "hello-world", {}) as client:
        outcome = client.outcome()
        assert (outcome.state, outcome.raw_status) == ("failed", "failed")
        assert outcome.message


def test_a_process_that_is_unknown_is_refused_in_the_servers_words(pygeoapi: Pygeoapi) -> None:
    name = f"none-{uuid.uuid4()}"
    with process(pygeoapi, name, {}) as client:
        error = client.drive().error
    assert isinstance(error, RefusedError)
    assert name in error.message
    assert "404" in error.message


def test_a_job_can_be_dismissed(pygeoapi: Pygeoapi) -> None:
    with process(pygeoapi, "echo", {"echoInput": "x", "pause": 5.0}) as client:
        submitted = client.drive(goal=Goal.SUBMITTED).submission
        assert submitted is not None
        assert submitted.id in pygeoapi.job_ids()
        finish = client.drive(goal=Goal.CANCELLED, submission=submitted)
        assert finish.outcome is not None
        assert finish.outcome.state == "cancelled"


def test_the_process_has_to_be_named(pygeoapi: Pygeoapi) -> None:
    with (
        pytest.raises(ValueError, match="process_id"),
        client_of("ogc/process", pygeoapi.url, None, inputs={}),
    ):
        pass
