"""asyncjob run where the API refuses records: exit codes, counts, files, stdout."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_asyncjob.testing import FakeJobServer
from tests.cli.command import Asyncjob

REJECTS: dict[str, Any] = {
    "request": {"url": "/jobs/{{ submission_id }}/rejects"},
    "records": "rejects",
    "key": "id",
    "reason": "reason",
}
EXPORT: dict[str, Any] = {"target": "urls", "format": "csv", "rejects": REJECTS}
IMPORT: dict[str, Any] = {"rejects": REJECTS}


def test_rejects_lie_beside_the_result_and_exit_3(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    plan = {"rows": 5, "rejects": 2}
    ran = asyncjob.run(server, "--destination", "out.jsonl", plan=plan, result=EXPORT)
    assert ran.code == 3, ran.stderr
    size = (asyncjob.folder / "out.jsonl").stat().st_size
    assert ran.last["message"] == f"done: 5 records, {size} bytes; 2 rejected, see out.rejects.jsonl"
    assert ran.last["rejects"]["by_stage"] == {"local": 0, "upload": 0, "job": 2}
    lines = (asyncjob.folder / "out.rejects.jsonl").read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines] == [{"id": "00000000"}, {"id": "00000001"}]
    assert server.ledger.count("delete") == 1


@pytest.mark.parametrize(
    ("more", "refused", "code", "error"),
    [
        ({"on_rejects": "fail"}, 1, 1, "RejectsError"),
        ({"on_rejects": "fail", "tolerated": 1}, 1, 3, None),
        ({"on_rejects": "ignore"}, 1, 0, None),
        ({"on_rejects": "fail"}, 0, 0, None),
        ({}, 0, 0, None),
    ],
)
def test_what_rejects_mean(
    asyncjob: Asyncjob,
    server: FakeJobServer,
    more: dict[str, Any],
    refused: int,
    code: int,
    error: str | None,
) -> None:
    result = {**EXPORT, **more}
    ran = asyncjob.run(server, "--destination", "out.csv", plan={"rejects": refused}, result=result)
    assert ran.code == code, ran.stderr
    assert ran.last.get("error") == error
    assert ran.last["records"] == 3
    assert (asyncjob.folder / "out.rejects.jsonl").exists() is bool(refused)
    assert server.ledger.count("delete") == (error is None), "a job whose rejects fail stays at the API"
    if error:
        said = (
            f"Refused: 1 of 4 (by the job 1). The reasons are in file://{asyncjob.folder}/out.rejects.jsonl."
        )
        assert said in ran.last["message"]
        assert said in ran.stderr


def test_an_import_says_what_was_refused(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    job = asyncjob.define(result=IMPORT)
    given = ("run", job, "--base-url", server.url, "--set", 'plan={"rejects": 2}')
    counted = asyncjob(*given)
    assert (counted.code, counted.stdout) == (3, "")
    assert "asyncjob: done: 2 rejected" in counted.stderr
    written = asyncjob(*given, "--destination", "contacts.csv")
    assert (written.code, written.stdout) == (3, "")
    assert "asyncjob: done: 2 rejected, see contacts.rejects.jsonl" in written.stderr
    piped = asyncjob(*given, "--destination", "-")
    assert piped.code == 3
    assert piped.stdout == (asyncjob.folder / "contacts.rejects.jsonl").read_text()
    limited = asyncjob(*given, "--destination", "x.jsonl", "--limit", "1")
    assert limited.code == 2
    assert "--limit would be ignored: the job has no result of its own, only rejects" in limited.stderr


def test_rejects_do_not_mix_with_records_on_stdout(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    job = asyncjob.define(result=EXPORT)
    ran = asyncjob("run", job, "--base-url", server.url, "--set", 'plan={"rejects": 2}', "--destination", "-")
    assert ran.code == 3
    assert len([json.loads(line) for line in ran.stdout.splitlines()]) == 3
    assert "2 rejected" in ran.stderr


def test_rejects_that_cannot_be_had_hide_no_result(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    server.faults.add("rejects", 403, body='{"error": "no right to see errors"}')
    ran = asyncjob.run(server, "--destination", "out.csv", plan={"rejects": 1}, result=EXPORT)
    assert ran.code == 1
    assert ran.last["error"] == "RejectsUnavailableError"
    written = (
        f"The result is written (file://{asyncjob.folder}/out.csv). Which records were refused is not known"
    )
    assert ran.last["message"].startswith(written)
    assert "no right to see errors" in ran.last["message"]
    assert len((asyncjob.folder / "out.csv").read_text().splitlines()) == 4


def test_a_job_that_failed_still_gives_its_rejects(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    result = {**EXPORT, "rejects": {**REJECTS, "of_failed": True}}
    plan = {"ends": "failed", "message": "too many bad rows", "rejects": 2}
    ran = asyncjob.run(server, "--destination", "out.csv", plan=plan, result=result)
    assert ran.code == 4
    where = f"file://{asyncjob.folder}/out.rejects.jsonl"
    assert ran.last["message"] == (
        "the job job-1 ended as failed: too many bad rows. Refused: 2 records (by the job 2). The reasons "
        f"are in {where}."
    )
    assert ran.last["rejects"]["uri"] == where
    assert len((asyncjob.folder / "out.rejects.jsonl").read_text().splitlines()) == 2
    assert not (asyncjob.folder / "out.csv").exists()

    server.faults.add("rejects", 403)
    ran = asyncjob.run(server, "--destination", "out.csv", plan=plan, result=result)
    assert ran.code == 4
    assert (
        "ended as failed: too many bad rows. Which records were refused is not known" in ran.last["message"]
    )
    ran = asyncjob.run(server, plan=plan, result=result)
    assert ran.code == 4
    assert "The API names the records that it refused: give a --destination" in ran.last["message"]
