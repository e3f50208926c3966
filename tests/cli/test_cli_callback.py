"""A submit that needs an address of Airflow's API server: the command line has none, and says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.cli.run import RunOptions, run_job
from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.testing import FakeJobServer

JOB: dict[str, Any] = {
    "submit": {"request": {"url": "/jobs", "json": {"notify": "{{ callback_url }}"}}, "id": "id"},
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {"running": ["queued", "running"], "done": "succeeded"},
        "webhook": {},
    },
    "result": {"target": "urls", "format": "csv"},
}


def definition(folder: Path, job: dict[str, Any]) -> str:
    file = folder / "job.json"
    file.write_text(json.dumps(job))
    return str(file)


def test_an_address_that_nobody_listens_at_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with FakeJobServer() as server:
        with pytest.raises(
            DefinitionError, match=r"sends \{\{ callback_url \}\}.*Run this definition in Airflow"
        ):
            run_job(RunOptions(definition(tmp_path, JOB), base_url=server.url))
        assert not server.ledger.entries()


def test_events_are_not_waited_for_on_the_command_line(tmp_path: Path) -> None:
    webhook = {"id": "job", "auth": {"type": "path"}, "poll_wait": "9h"}
    status = {**JOB["status"], "poll_wait": 0.01, "webhook": webhook}
    job = {
        **JOB,
        "submit": {"request": {"url": "/jobs", "json": {}}, "id": "id"},
        "status": status,
    }
    with FakeJobServer() as server:
        server.faults.add("poll", 503)
        assert run_job(RunOptions(definition(tmp_path, job), base_url=server.url)) == 0
        assert [entry.code for entry in server.ledger.entries("poll")] == [503, 200], "and not 9 hours later"
