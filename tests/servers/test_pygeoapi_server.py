"""A real pygeoapi, from submit to result, by the definition that ships: ogc/process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import Asyncjob
from tests.servers.driving import Driven, asking_for
from tests.servers.pygeoapi import Pygeoapi


@pytest.fixture
def process(asyncjob: Asyncjob, pygeoapi: Pygeoapi) -> Driven:
    return Driven(asyncjob, "ogc/process", pygeoapi.url)


def echo(pause: float) -> dict[str, object]:
    return {"process_id": "echo", "inputs": {"echoInput": "Zoë", "pause": pause}}


def test_the_result_document_is_kept(process: Driven, pygeoapi: Pygeoapi, tmp_path: Path) -> None:
    ran = process.run("--destination", "out.json", **echo(0.5))
    assert (ran.code, ran.last["state"]) == (0, "done"), ran.stderr
    assert json.loads((tmp_path / "out.json").read_text()) == {"id": "echoOutput", "value": "Zoë"}
    assert ran.last["submission_id"] in pygeoapi.job_ids()


def test_a_process_that_fails_says_why(process: Driven) -> None:
    ran = process.run("--destination", "out.json", process_id="hello-world")
    assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (4, "failed", "failed")
    assert "ended as failed: InvalidParameterValue: Error executing process" in ran.last["message"]


def test_ctrl_c_dismisses_the_job(process: Driven, pygeoapi: Pygeoapi) -> None:
    before = pygeoapi.job_ids()
    ran = process.interrupted(lambda: pygeoapi.job_ids() - before, **echo(20.0))
    assert (ran.code, ran.last["state"]) == (130, "cancelled")
    assert ran.last["submission_id"] not in pygeoapi.job_ids()


def test_a_timeout_dismisses_the_job(process: Driven, pygeoapi: Pygeoapi) -> None:
    ran = process.run(changes={"status": {"timeout": 1}}, **echo(20.0))
    assert (ran.code, ran.last["state"]) == (5, "timed_out")
    assert ran.last["submission_id"] not in pygeoapi.job_ids()


def test_an_unknown_job_is_asked_for_within_the_budget(process: Driven) -> None:
    changes = asking_for("{{ 'no-such-job' }}") | {"status": {"poll_error_budget": 1}}
    ran = process.run(changes=changes, **echo(0.0))
    assert (ran.code, ran.last["state"]) == (1, "error")
    assert "The API does not know the job 'no-such-job'" in ran.last["message"]


def test_a_process_that_is_not_there_is_refused(process: Driven) -> None:
    ran = process.run(process_id="nowhere")
    assert (ran.code, ran.last["submission_id"]) == (1, None)
    assert "/processes/nowhere/execution answered 404" in ran.last["message"]
