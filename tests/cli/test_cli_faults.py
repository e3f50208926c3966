"""asyncjob run when the API, the network or the destination misbehaves."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from airflow_asyncjob.testing import FakeJobServer
from tests.cli.command import DEFINITION, Asyncjob, Ran

STATUS = DEFINITION["status"]


def is_our_error(ran: Ran, error: str, *messages: str) -> None:
    """Check that a run ended with exit code 1, and that object and stderr say why."""
    assert ran.code == 1, ran.stderr
    assert ran.last["state"] == "error"
    assert ran.last["error"] == error
    for message in messages:
        assert message in ran.last["message"]
        assert message in ran.stderr


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_refused_submit_is_final(asyncjob: Asyncjob, server: FakeJobServer, code: int) -> None:
    server.faults.add("submit", code, times=None)
    ran = asyncjob.run(server)
    is_our_error(ran, "RefusedError", f"POST {server.url}/jobs", str(code), "made by the fake server")
    assert ran.last["submission_id"] is None
    assert server.ledger.count("submit") == 1
    assert server.ledger.count("poll") == 0


@pytest.mark.parametrize("code", [401, 403])
def test_a_refused_poll_is_final_and_the_job_is_named(
    asyncjob: Asyncjob, server: FakeJobServer, code: int
) -> None:
    server.faults.add("poll", code, times=None)
    ran = asyncjob.run(server, plan={"run_for": 3600})
    is_our_error(ran, "RefusedError", f"GET {server.url}/jobs/job-1", str(code))
    assert ran.last["submission_id"] == "job-1"
    assert "The job job-1 may still run at the API." in ran.stderr
    assert server.ledger.count("poll") == 1


def test_a_job_that_was_never_found_uses_up_the_budget(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    server.faults.add("poll", 404, times=None)
    ran = asyncjob.run(server)
    assert ran.code == 1
    assert ran.last["state"] == "error"
    assert "404" in ran.last["message"]
    assert server.ledger.count("poll") == 2


def test_a_job_that_vanishes_has_failed(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    server.faults.add("poll", 404, nth=2, times=None)
    ran = asyncjob.run(server, plan={"run_for": 3600})
    assert ran.code == 4
    assert ran.last["error"] == "JobVanishedError"
    assert ran.last["state"] == "failed"
    assert "404" in ran.last["message"]


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_refused_download_is_final(asyncjob: Asyncjob, server: FakeJobServer, code: int) -> None:
    server.faults.add("result", code, times=None)
    ran = asyncjob.run(server, "--destination", "out.jsonl")
    is_our_error(ran, "RefusedError", f"GET {server.url}/jobs/job-1/result/1", str(code))
    assert "may still run" not in ran.stderr
    assert server.ledger.count("result") == 1
    assert server.ledger.count("delete") == 0
    assert list(asyncjob.folder.iterdir()) == [asyncjob.folder / "job.yaml"]


@pytest.mark.parametrize(
    ("kind", "message"),
    [("html", "<!DOCTYPE html>"), ("empty", "empty"), ("garbage", "not a document"), ("lost", "")],
)
def test_polls_that_cannot_be_read_use_up_the_budget(
    asyncjob: Asyncjob, server: FakeJobServer, kind: Any, message: str
) -> None:
    server.faults.add("poll", kind, times=None)
    ran = asyncjob.run(server)
    assert ran.code == 1
    assert message in ran.last["message"]
    assert f"GET {server.url}/jobs/job-1" in ran.last["message"]
    assert server.ledger.count("poll") == 2


@pytest.mark.parametrize("kind", ["html", "empty"])
def test_a_submit_that_cannot_be_read_is_not_repeated(
    asyncjob: Asyncjob, server: FakeJobServer, kind: Any
) -> None:
    server.faults.add("submit", kind, code=201, times=None)
    ran = asyncjob.run(server)
    assert ran.code == 1
    assert f"POST {server.url}/jobs" in ran.last["message"]
    assert server.ledger.count("submit") == 1


def test_a_passing_fault_is_survived(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    server.faults.add("poll", 503)
    server.faults.add("result", 500)
    ran = asyncjob.run(server, "--destination", "out.jsonl")
    assert ran.code == 0, ran.stderr
    assert "503" in ran.stderr
    assert server.ledger.count("result") == 2


def test_an_unknown_status_says_the_word_and_the_mapped_ones(
    asyncjob: Asyncjob, server: FakeJobServer
) -> None:
    ran = asyncjob.run(server, plan={"words": {"done": "Finished"}})
    is_our_error(ran, "UnknownStatusError", "Finished", "succeeded", "status")


def test_a_target_that_cannot_be_read_is_that_of_a_job_that_has_ended(
    asyncjob: Asyncjob, server: FakeJobServer
) -> None:
    ran = asyncjob.run(server, result={"target": "links.csv", "format": "csv"})
    is_our_error(ran, "UnreadableError", "The job ended as done", "links.csv", "Correct result.target")
    assert "may still run" not in ran.last["message"]


def test_a_path_that_matches_nothing_says_what_was_there(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    ran = asyncjob.run(server, status={**STATUS, "path": "data.state"})
    assert ran.code == 1
    assert "data.state" in ran.last["message"]
    assert "progress" in ran.last["message"]


def test_a_server_that_is_not_there(asyncjob: Asyncjob) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    job = asyncjob.define()
    ran = asyncjob("run", job, "--base-url", f"http://127.0.0.1:{port}", "--output", "json")
    is_our_error(ran, "UnreachableError", f"POST http://127.0.0.1:{port}/jobs")
    assert ran.last["submission_id"] is None


def test_a_truncated_download_is_repeated_and_then_an_error(
    asyncjob: Asyncjob, server: FakeJobServer
) -> None:
    server.faults.add("result", "truncate", times=None)
    ran = asyncjob.run(server, "--destination", "out.jsonl", plan={"rows": 2000})
    is_our_error(ran, "TruncatedError", f"GET {server.url}/jobs/job-1/result/1")
    assert server.ledger.count("result") == 2
    assert list(asyncjob.folder.iterdir()) == [asyncjob.folder / "job.yaml"]


def test_a_download_that_breaks_once_is_whole(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    server.faults.add("result", "truncate")
    ran = asyncjob.run(server, "--destination", "out.jsonl", plan={"rows": 2000})
    assert ran.code == 0, ran.stderr
    assert ran.last["records"] == 2000
    assert server.ledger.count("result") == 2


def test_html_instead_of_a_result(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    server.faults.add("result", "html", times=None)
    ran = asyncjob.run(server, "--destination", "out.jsonl")
    assert ran.code == 1
    assert "HTML" in ran.last["message"]
    assert f"GET {server.url}/jobs/job-1/result/1" in ran.last["message"]
    assert not (asyncjob.folder / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("destination", "message"),
    [("job.yaml/x.jsonl", "cannot be written"), ("folder", "folder"), ("s3x://bucket/x.jsonl", "filesystem")],
)
def test_a_destination_that_cannot_be_written_is_told_before_the_submit(
    asyncjob: Asyncjob, server: FakeJobServer, destination: str, message: str
) -> None:
    (asyncjob.folder / "folder").mkdir()
    result = {"target": "urls"} if destination == "folder" else DEFINITION["result"]
    ran = asyncjob.run(server, "--destination", destination, result=result)
    is_our_error(ran, "DestinationError", message)
    assert server.ledger.count() == 0


def test_a_trace_that_cannot_be_written_is_told_before_the_submit(
    asyncjob: Asyncjob, server: FakeJobServer
) -> None:
    ran = asyncjob.run(server, "--trace", "missing/trace.json")
    is_our_error(ran, "DestinationError", "--trace missing/trace.json cannot be written")
    assert server.ledger.count() == 0


def test_a_delete_that_fails_is_only_told(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    server.faults.add("delete", 403, times=None)
    ran = asyncjob.run(server, "--destination", "out.jsonl")
    assert ran.code == 0, ran.stderr
    assert ran.last["state"] == "done"
    assert "The job was not deleted at the API" in ran.stderr
