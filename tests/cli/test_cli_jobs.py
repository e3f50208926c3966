"""asyncjob jobs: the API's list as a table, or as JSON."""

from __future__ import annotations

import json
import signal
from typing import Any

import httpx
import pytest

from airflow_asyncjob.testing import FakeJobServer
from tests.cli.command import Asyncjob, until

LIST: dict[str, Any] = {
    "request": {"url": "/jobs"},
    "records": "jobs",
    "id": "id",
    "status": "status",
    "message": "message",
}
PLANS: list[dict[str, Any]] = [
    {"run_for": 600},
    {"rows": 1},
    {"ends": "failed", "message": "no such\ntable"},
    {"words": {"done": "odd"}},
]


@pytest.fixture
def busy(server: FakeJobServer) -> list[str]:
    """Submit four jobs; return their IDs."""
    return [httpx.post(f"{server.url}/jobs", json=plan).json()["id"] for plan in PLANS]


def test_the_jobs_are_a_table(asyncjob: Asyncjob, server: FakeJobServer, busy: list[str]) -> None:
    ran = asyncjob.here("jobs", asyncjob.define(list=LIST), "--base-url", server.url)
    assert ran.code == 0, ran.stderr
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert lines == [
        ["id", "state", "status", "message"],
        [busy[0], "running", "running"],
        [busy[1], "done", "succeeded"],
        [busy[2], "failed", "failed", "no", "such", "table"],
        [busy[3], "unknown", "odd"],
    ]
    assert f"GET {server.url}/jobs 200" in ran.stderr


def test_the_jobs_for_programs(asyncjob: Asyncjob, server: FakeJobServer, busy: list[str]) -> None:
    ran = asyncjob.here("jobs", asyncjob.define(list=LIST), "--base-url", server.url, "--output", "json")
    assert ran.code == 0, ran.stderr
    assert [job["id"] for job in ran.last["jobs"]] == busy
    assert ran.last["jobs"][2] == {
        "id": busy[2],
        "state": "failed",
        "raw_status": "failed",
        "submitted_at": None,
        "message": "no such\ntable",
        "marker": None,
    }
    assert ran.last["jobs"][3]["state"] is None


def test_a_limit_shows_the_first(asyncjob: Asyncjob, server: FakeJobServer, busy: list[str]) -> None:
    ran = asyncjob.here("jobs", asyncjob.define(list=LIST), "--base-url", server.url, "--limit", "2")
    assert len(ran.stdout.splitlines()) == 3


def test_there_may_be_no_jobs(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    file = asyncjob.define(list=LIST)
    ran = asyncjob.here("jobs", file, "--base-url", server.url)
    assert (ran.code, ran.stdout.split()) == (0, ["id", "state", "status", "message"])
    assert "asyncjob: the API has no jobs" in ran.stderr
    assert asyncjob.here("jobs", file, "--base-url", server.url, "--output", "json").last == {"jobs": []}


def test_only_what_is_read_has_a_column(asyncjob: Asyncjob, server: FakeJobServer, busy: list[str]) -> None:
    bare = {"request": {"url": "/jobs"}, "records": "jobs", "id": "id"}
    ran = asyncjob.here("jobs", asyncjob.define(list=bare), "--base-url", server.url)
    assert [line.split() for line in ran.stdout.splitlines()] == [["id"], *([job] for job in busy)]


def test_inputs_of_the_submit_are_not_needed(
    asyncjob: Asyncjob, server: FakeJobServer, busy: list[str]
) -> None:
    inputs = {"plan": {"type": "object"}, "folder": {"type": "string"}}
    request = {"url": "/{{ inputs.folder }}"}
    file = asyncjob.define(inputs=inputs, list={**LIST, "request": request})
    ran = asyncjob.here("jobs", file, "--base-url", server.url, "--set", "folder=jobs")
    assert ran.code == 0, ran.stderr
    lacking = asyncjob.here("jobs", file, "--base-url", server.url)
    assert lacking.code == 2
    assert "inputs.folder: required, and not given" in lacking.stderr
    assert "plan" not in lacking.stderr
    wrong = asyncjob.here("jobs", file, "--base-url", server.url, "--set", "foldr=jobs")
    assert "inputs.foldr: unknown input" in wrong.stderr


def test_a_definition_without_a_list(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    ran = asyncjob.here("jobs", asyncjob.define(), "--base-url", server.url, "--output", "json")
    assert ran.code == 2
    assert "job.yaml has no section 'list', which says how the API lists its jobs" in ran.stderr
    assert ran.last["error"] == "DefinitionError"


def test_an_address_is_needed(asyncjob: Asyncjob) -> None:
    ran = asyncjob.here("jobs", asyncjob.define(list=LIST), connection='{"login": "me"}')
    assert ran.code == 2
    assert "names no host, and the definition's URLs are relative (/jobs)" in ran.stderr


def test_a_wrong_credential_says_so_and_keeps_it(asyncjob: Asyncjob) -> None:
    with FakeJobServer("generic", auth="bearer", credential="right") as server:
        connection = json.dumps(
            {"host": server.url, "password": "wr0ng-t0ken", "extra": {"auth": {"type": "bearer"}}}
        )
        trace = asyncjob.folder / "trace.json"
        ran = asyncjob.here("jobs", asyncjob.define(list=LIST), "--trace", str(trace), connection=connection)
    assert ran.code == 1
    assert "does not accept the credentials of the connection, for the list of jobs" in ran.stderr
    assert "401" in trace.read_text()
    assert "wr0ng-t0ken" not in ran.stderr + ran.stdout + trace.read_text()


def test_what_the_api_repeats_of_a_secret_is_hidden(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    httpx.post(f"{server.url}/jobs", json={"ends": "failed", "message": "key s3cr3t-k3y is wrong"})
    connection = json.dumps({"host": server.url, "login": "me", "password": "s3cr3t-k3y"})
    ran = asyncjob.here("jobs", asyncjob.define(list=LIST), connection=connection)
    assert "is wrong" in ran.stdout
    assert "s3cr3t-k3y" not in ran.stdout + ran.stderr


def test_ctrl_c_leaves_while_the_api_is_slow(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    server.faults.add("other", "slow", seconds=60)
    process = asyncjob.start("jobs", asyncjob.define(list=LIST), "--base-url", server.url)
    until(lambda: not server.faults.active())
    process.send_signal(signal.SIGINT)
    ran = asyncjob.end(process)
    assert (ran.code, ran.stdout) == (130, "")
    assert "asyncjob: interrupted" in ran.stderr
