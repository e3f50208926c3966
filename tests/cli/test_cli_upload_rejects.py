"""asyncjob run where records are refused at every stage: before sending, by the upload, by the job."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_asyncjob.testing import FakeJobServer
from tests.cli.command import Asyncjob, Ran
from tests.cli.test_cli_upload import IMPORT, PEOPLE, STEPS

REFUSED = {"records": "errors", "key": "email", "index": "row", "reason": "message"}
REJECTS = {"request": {"url": "/jobs/{{ submission_id }}/rejects"}, "records": "rejects", "key": "email"}
RESULT: dict[str, Any] = {"rejects": {**REJECTS, "reason": "why"}}


@pytest.fixture
def run(asyncjob: Asyncjob, server: FakeJobServer) -> Any:
    def started(people: list[dict[str, Any]] | str, plan: dict[str, Any], *more: str, **sections: Any) -> Ran:
        steps = [STEPS[0], {**STEPS[1], "rejects": REFUSED}, STEPS[2]]
        job = {**IMPORT, "submit": {**IMPORT["submit"], "steps": steps}, "result": RESULT, **sections}
        name = asyncjob.write({key: value for key, value in job.items() if value is not None})
        path = people if isinstance(people, str) else "people.json"
        if people != path:
            (asyncjob.folder / path).write_text(json.dumps(people))
        given = ("--set", f"contacts={path}", "--set", f"plan={json.dumps(plan)}")
        return asyncjob("run", name, "--base-url", server.url, "--output", "json", *given, *more)

    return started


def test_rejects_of_every_stage_lie_in_one_file(run: Any, asyncjob: Asyncjob, server: FakeJobServer) -> None:
    refused = [{"email": "p5@example.com", "why": "bounced"}, {"email": "who@example.com", "why": "unknown"}]
    plan = {"refuse": {"p3@example.com": "no consent"}, "job": {"rejects": refused}}
    ran = run([{"name": "Nobody"}, *PEOPLE], plan, "--destination", "people.csv")
    assert ran.code == 3, ran.stderr
    assert ran.last["message"] == "done: 7 accepted, 4 rejected, see people.rejects.jsonl"
    assert ran.last["rejects"] == {
        "uri": f"file://{asyncjob.folder}/people.rejects.jsonl",
        "records": 4,
        "sent": 10,
        "accepted": 7,
        "by_stage": {"local": 1, "upload": 1, "job": 2},
        "unmatched": 1,
    }
    lines = [json.loads(line) for line in (asyncjob.folder / "people.rejects.jsonl").read_text().splitlines()]
    local, upload, job, unknown = lines
    assert (local["stage"], local["number"], local["record"], local["answer"]) == (
        "local",
        1,
        {"name": "Nobody"},
        None,
    )
    assert upload.pop("answer")["message"] == "no consent"
    assert upload == {
        "key": {"email": "p3@example.com"},
        "number": 5,
        "stage": "upload",
        "reason": "no consent",
        "record": PEOPLE[3],
    }
    assert (job["key"], job["number"], job["record"], job["reason"]) == (
        {"email": "p5@example.com"},
        7,
        PEOPLE[5],
        "bounced",
    )
    assert (unknown["key"], unknown["number"], unknown["record"]) == (
        {"email": "who@example.com"},
        None,
        None,
    )
    assert server.ledger.records.counts()["refused"] == 1


@pytest.mark.parametrize(
    ("plan", "more", "code", "error"),
    [
        ({"refuse": {"p3@example.com": "x"}}, {"tolerated": "10%"}, 3, None),
        ({"refuse": {"p3@example.com": "x"}}, {"tolerated": "9%"}, 1, "RejectsError"),
        ({"job": {"rejects": [{"email": "who", "why": "x"}]}}, {"tolerated": 5}, 1, "UnknownRejectsError"),
        (
            {"refuse": {person["email"]: "x" for person in PEOPLE}},
            {"tolerated": "100%"},
            1,
            "AllRejectedError",
        ),
        ({}, {}, 0, None),
    ],
)
def test_what_is_tolerated(run: Any, plan: Any, more: Any, code: int, error: str | None) -> None:
    result = {**RESULT, "on_rejects": "fail", **more}
    ran = run(PEOPLE, plan, "--destination", "people.csv", result=result)
    assert (ran.code, ran.last.get("error")) == (code, error), ran.stderr


def test_an_upload_without_a_result_has_the_rejects_of_its_upload(run: Any, asyncjob: Asyncjob) -> None:
    ran = run(PEOPLE, {"refuse": {"p3@example.com": "no consent"}}, result=None)
    assert ran.code == 3, ran.stderr
    assert ran.last["message"] == "done: 9 accepted, 1 rejected"
    ran = run(PEOPLE, {"refuse": {"p3@example.com": "x"}}, "--destination", "out/", result=None)
    assert ran.last["rejects"]["uri"] == f"file://{asyncjob.folder}/out/rejects.jsonl"
    assert [path.name for path in (asyncjob.folder / "out").iterdir()] == ["rejects.jsonl"]


def test_a_job_that_failed_has_accepted_nobody_knows_how_many(run: Any) -> None:
    plan = {"job": {"ends": "failed", "rejects": [{"email": "p1@example.com", "why": "x"}]}}
    result = {"rejects": {**RESULT["rejects"], "of_failed": True}}
    ran = run(PEOPLE, plan, "--destination", "people.csv", result=result)
    assert ran.code == 4, ran.stderr
    assert "Refused: 1 of 10 (by the job 1)." in ran.last["message"]
    assert (ran.last["rejects"]["sent"], ran.last["rejects"]["accepted"]) == (10, None)


def test_a_record_that_json_cannot_hold_is_among_the_rejects_all_the_same(
    run: Any, asyncjob: Asyncjob
) -> None:
    ran = run([{"email": "\ud800@example.com"}, *PEOPLE], {}, "--destination", "people.csv")
    assert ran.code == 3, ran.stderr
    assert ran.last["message"] == "done: 10 accepted, 1 rejected, see people.rejects.jsonl"
    line = (asyncjob.folder / "people.rejects.jsonl").read_text()
    assert '"record":{"email":"\\ud800@example.com"}' in line
    assert json.loads(line)["record"] == {"email": "\ud800@example.com"}


@pytest.mark.parametrize(
    ("values", "shown"), [([b"\xff", b"text"], "(bytes that are no text)"), ([float("inf"), 1.5], "inf")]
)
def test_a_value_of_parquet_that_json_has_not_is_text_among_the_rejects(
    run: Any, asyncjob: Asyncjob, values: list[Any], shown: str
) -> None:
    table = pa.table({"email": ["a@example.com", "b@example.com"], "name": values})
    pq.write_table(table, asyncjob.folder / "people.parquet")
    ran = run("people.parquet", {}, "--destination", "people.csv")
    assert ran.code == 3, ran.stderr
    (line,) = (asyncjob.folder / "people.rejects.jsonl").read_text().splitlines()
    assert json.loads(line)["record"] == {"email": "a@example.com", "name": shown}
