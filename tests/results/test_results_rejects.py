"""The records that an API refused, from a real server: fetched as a result is, written beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import httpx
import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.models.result import Result
from airflow_asyncjob.errors import (
    AllRejectedError,
    DefinitionError,
    RefusedError,
    RejectsError,
    RejectsUnavailableError,
    UnknownRejectsError,
)
from airflow_asyncjob.results.manifest import Manifest
from airflow_asyncjob.results.rejects import rejects_place
from airflow_asyncjob.results.verdict import verdict_on
from airflow_asyncjob.testing import FakeJobServer
from tests.results.serving import Fetching, Reply, serving

REJECTS = "/jobs/{{ submission_id }}/rejects"
SIMPLE: dict[str, Any] = {"request": {"url": REJECTS}, "records": "rejects", "key": "id", "reason": "reason"}
RESULT: dict[str, Any] = {"request": {"url": "/jobs/{{ submission_id }}/result/1"}, "format": "csv"}
WHY = "the amount is not allowed"


def job(rejects: dict[str, Any] | None = None, **more: Any) -> AsyncJob:
    result = {**more.pop("result", RESULT), "rejects": SIMPLE if rejects is None else rejects}
    return AsyncJob.load({"result": result, "limits": {"retries": 1}, **more}, partial=True)


@pytest.fixture
def server() -> Iterator[FakeJobServer]:
    with FakeJobServer("generic") as running:
        yield running


@pytest.fixture
def fetch(server: FakeJobServer, tmp_path: Path) -> Fetching:
    return Fetching(server.url, tmp_path)


def submit(server: FakeJobServer, **plan: Any) -> None:
    httpx.post(f"{server.url}/jobs", json=plan)


def line(number: int, **more: Any) -> dict[str, Any]:
    entry = {"index": number, "id": f"{number:08d}", "code": 7, "reason": WHY}
    usual = {"key": {"id": f"{number:08d}"}, "number": None, "stage": "job", "reason": WHY, "record": None}
    return {**usual, "answer": entry, **more}


# What is written -------------------------------------------------------------------------------------------


def test_rejects_lie_beside_the_result(server: FakeJobServer, fetch: Fetching) -> None:
    submit(server, rows=5, rejects=2, ends="partial")
    manifest = fetch(job(), "job-1", "out.csv", state="partial")
    assert manifest.records == 5
    assert fetch.rows("out.rejects.jsonl") == [line(0), line(1)]
    assert manifest.to_dict()["rejects"] == {
        "uri": f"file://{fetch.folder}/out.rejects.jsonl",
        "records": 2,
        "sent": None,
        "accepted": None,
        "by_stage": {"local": 0, "upload": 0, "job": 2},
        "unmatched": 0,
    }
    assert server.ledger.count("rejects") == 1


def test_an_import_has_rejects_and_no_result(server: FakeJobServer, fetch: Fetching) -> None:
    submit(server, rejects=1)
    manifest = fetch(job(result={}), "job-1", "contacts.parquet")
    assert (manifest.state, manifest.uris, manifest.records) == ("done", (), 0)
    assert fetch.left() == ["contacts.rejects.jsonl"]
    assert server.ledger.count("result") == 0


def test_no_rejects_no_file(server: FakeJobServer, fetch: Fetching) -> None:
    submit(server)
    manifest = fetch(job(), "job-1", "out.csv")
    assert manifest.rejects is not None
    assert (manifest.rejects["uri"], manifest.rejects["records"]) == (None, 0)
    assert fetch.left() == ["out.csv"]


@pytest.mark.parametrize("state", ["done", "no_data"])
def test_the_file_of_an_earlier_run_does_not_stay(server: FakeJobServer, fetch: Fetching, state: str) -> None:
    submit(server)
    old = fetch.folder / "out.rejects.jsonl"
    old.write_text("old\n")
    fetch(job(), "job-1", "out.csv", state=state)
    assert not old.exists()
    assert server.ledger.count("rejects") == (state == "done")


def test_rejects_of_a_folder_lie_in_it(server: FakeJobServer, fetch: Fetching) -> None:
    submit(server, rejects=1)
    raw = {"request": RESULT["request"], "format": "raw"}
    fetch(job(result=raw), "job-1", "files/")
    assert sorted(path.name for path in (fetch.folder / "files").iterdir()) == [
        "part-1.csv",
        "rejects.jsonl",
    ]


@pytest.mark.parametrize(
    ("destination", "uri"),
    [
        ("/x/contacts.parquet", "file:///x/contacts.rejects.jsonl"),
        ("/x/contacts.CSV.gz", "file:///x/contacts.rejects.jsonl"),
        ("/x/contacts.2026", "file:///x/contacts.2026.rejects.jsonl"),
        ("/x/report.pdf", "file:///x/report.pdf.rejects.jsonl"),
        ("/x/contacts.rejects.jsonl", "file:///x/contacts.rejects.jsonl"),
        ("/x/", "file:///x/rejects.jsonl"),
        ("memory://x/contacts.jsonl", "memory://x/contacts.rejects.jsonl"),
        ("memory://x/", "memory://x/rejects.jsonl"),
    ],
)
def test_where_they_lie(destination: str, uri: str) -> None:
    place = rejects_place(destination)
    assert place.uri == uri
    assert place.path == uri.partition("://")[2].replace("x/", "/x/" if place.fs else "x/", 1)


def test_object_storage(server: FakeJobServer, fetch: Fetching) -> None:
    submit(server, rejects=1)
    fs = fsspec.filesystem("memory")
    place = "memory://test-rejects/in.csv"
    first = fetch(job(), "job-1", place)
    assert first.rejects is not None
    assert first.rejects["uri"] == "memory://test-rejects/in.rejects.jsonl"
    assert json.loads(fs.cat("/test-rejects/in.rejects.jsonl")) == line(0)
    server.faults.add("rejects", 200, body='{"rejects": []}')
    fetch(job(), "job-1", place)
    assert fs.ls("/test-rejects", detail=False) == ["/test-rejects/in.csv"]


# How they are fetched --------------------------------------------------------------------------------------

PAGED = {"params": {"limit": 2}}
WAYS: dict[str, dict[str, Any]] = {
    "a link": {**SIMPLE, "request": {"url": REJECTS, **PAGED}, "paginate": {"next": "next"}},
    "an offset": {
        **SIMPLE,
        "request": {"url": REJECTS, "params": {"limit": 2, "offset": "{{ offset }}"}},
        "paginate": {},
    },
    "JSON Lines": {
        "request": {"url": REJECTS, "params": {"format": "jsonl"}},
        "format": "jsonl",
        "key": "id",
        "reason": "reason",
    },
    "steps to a target": {
        "steps": [{"name": "list", "request": {"url": "/jobs/{{ submission_id }}/rejects"}}],
        "target": {"template": "/jobs/{{ submission_id }}/rejects"},
        "records": "rejects",
        "key": "id",
        "reason": "reason",
    },
    "steps to a capture": {
        **SIMPLE,
        "steps": [{"name": "look", "request": {"url": "/jobs/job-1"}, "capture": {"job": "id"}}],
        "request": {"url": "/jobs/{{ captures.job }}/rejects"},
    },
}


@pytest.mark.parametrize("rejects", WAYS.values(), ids=WAYS.keys())
def test_every_way_of_a_result_is_one_of_rejects(
    server: FakeJobServer, fetch: Fetching, rejects: dict[str, Any]
) -> None:
    submit(server, rejects=5)
    fetch(job(rejects, result={}), "job-1")
    assert fetch.rows("out.rejects.jsonl") == [line(number) for number in range(5)]


def test_csv_and_a_condition(server: FakeJobServer, fetch: Fetching) -> None:
    submit(server, rejects=[{"row": 1, "ok": "yes", "why": ""}, {"row": 2, "ok": "no", "why": "too old"}])
    request = {"url": REJECTS, "params": {"format": "csv"}}
    fetch(job({"request": request, "format": "csv", "reason": "why", "when": "ok == 'no'"}, result={}))
    entry = {"row": "2", "ok": "no", "why": "too old"}
    assert fetch.rows("out.rejects.jsonl") == [line(0, key=None, reason="too old", answer=entry)]


def test_xml_and_the_status_answer(tmp_path: Path) -> None:
    xml = b"<Job><Errors><Error sku='a'><Why>no price</Why></Error></Errors></Job>"
    status = {"request": {"url": "/job"}, "path": "/Job/State", "values": {"running": ["r"], "done": ["d"]}}
    rejects = {"from": "status", "format": "xml", "records": "/Job/Errors/Error"}
    with serving(lambda path, number: (200, {"Content-Type": "application/xml"}, xml)) as url:
        fetch = Fetching(url, tmp_path)
        fetch(job({**rejects, "key": "@sku", "reason": "Why"}, result={}, status=status))
    found = fetch.rows("out.rejects.jsonl")
    assert [(one["key"], one["reason"]) for one in found] == [({"@sku": "a"}, "no price")]


@pytest.mark.parametrize(
    ("key", "reason", "named", "told"),
    [
        ("{email: id, region: code}", "[reason, id]", {"email": "00000000", "region": 7}, f"{WHY}; 00000000"),
        ("no_such", "no_such", None, None),
        ("id", "@", {"id": "00000000"}, json.dumps(line(0)["answer"])),
    ],
)
def test_keys_and_reasons_of_several_fields(
    server: FakeJobServer, fetch: Fetching, key: str, reason: str, named: Any, told: str | None
) -> None:
    submit(server, rejects=1)
    fetch(job({**SIMPLE, "key": key, "reason": reason}, result={}))
    assert fetch.rows("out.rejects.jsonl") == [line(0, key=named, reason=told)]


def test_numbers_keep_their_digits(tmp_path: Path) -> None:
    body = b'[{"id": 12345678901234567890, "price": 1.10, "why": "x"}]'
    with serving(lambda path, number: (200, {}, body)) as url:
        fetch = Fetching(url, tmp_path)
        fetch(job({"request": {"url": "/r"}, "key": "id"}, result={}))
    text = (tmp_path / "out.rejects.jsonl").read_text()
    assert '"answer":{"id":12345678901234567890,"price":1.10,"why":"x"}' in text


def test_a_rule_says_that_there_are_none(server: FakeJobServer, fetch: Fetching) -> None:
    submit(server, rejects=1)
    server.faults.add("rejects", 404)
    none = {"rejects": [{"when": "code == 404", "then": "no_data"}]}
    manifest = fetch(job(errors=none))
    assert manifest.rejects is not None
    assert manifest.rejects["records"] == 0
    assert manifest.records == 3


# What goes wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said", "retryable"),
    [
        (403, "The API does not allow this", False),
        (404, "The rejects are not there (any more): they have expired, or were deleted.", False),
        (400, "Correct result.rejects.target or result.rejects.request.", False),
        (503, "2 tries of the download of the rejects did not work", True),
        ("html", "an HTML page came instead of data", False),
    ],
)
def test_rejects_that_cannot_be_fetched_hide_no_result(
    server: FakeJobServer, fetch: Fetching, fault: Any, said: str, retryable: bool
) -> None:
    submit(server, rejects=1)
    (fetch.folder / "out.rejects.jsonl").write_text("old\n")
    server.faults.add("rejects", fault, times=2)
    with pytest.raises(RejectsUnavailableError) as caught:
        fetch(job())
    told = caught.value.message
    written = (
        f"The result is written (file://{fetch.folder}/out.jsonl). Which records were refused is not known"
    )
    assert told.startswith(written)
    assert said in told
    assert f"GET {server.url}/jobs/job-1/rejects" in told
    assert caught.value.retryable is retryable
    assert fetch.left() == ["out.jsonl"], "no rejects that are not those of this job"


@pytest.mark.parametrize("rejects", [2, 0])
def test_a_result_that_cannot_be_had_hides_no_rejects(
    server: FakeJobServer, fetch: Fetching, rejects: int
) -> None:
    submit(server, rejects=rejects)
    server.faults.add("result", 403, body="no right to read rows", times=2)
    with pytest.raises(RefusedError) as caught:
        fetch(job())
    where = f"file://{fetch.folder}/out.rejects.jsonl"
    told = f" Refused: 2 records (by the job 2). The reasons are in {where}."
    assert "no right to read rows" in caught.value.message
    assert caught.value.message.endswith(told) is (str(caught.value).endswith(told)) is bool(rejects)
    assert fetch.left() == ["out.rejects.jsonl"] * bool(rejects)
    server.faults.add("rejects", 403, body="no right to see errors")
    server.faults.add("result", 403)
    with pytest.raises(RefusedError, match=r"Which records were refused is not known.*no right to see"):
        fetch(job())


@pytest.mark.parametrize(
    ("rejects", "said"),
    [
        ({**SIMPLE, "reason": "length(code)"}, "result.rejects.reason (length(code)) fails on record 1"),
        ({**SIMPLE, "records": "no.such"}, "Set records to the path of the list"),
        (
            {**SIMPLE, "steps": [{"name": "a", "request": {"url": "/gone"}}]},
            "Correct result.rejects.steps.",
        ),
    ],
)
def test_a_mistake_in_the_section_is_called_by_its_name(
    server: FakeJobServer, fetch: Fetching, rejects: dict[str, Any], said: str
) -> None:
    submit(server, rejects=1)
    server.faults.add("other", 400, times=None)
    with pytest.raises(RejectsUnavailableError) as caught:
        fetch(job(rejects, result={}))
    assert said in caught.value.message
    assert fetch.left() == []


def test_pages_that_repeat_are_called_by_their_section(tmp_path: Path) -> None:
    def reply(path: str, number: int) -> Reply:
        return 200, {}, b'{"rejects": [{"id": 1}], "next": "/r"}'

    with serving(reply) as url, pytest.raises(RejectsUnavailableError, match=r"result\.rejects\.paginate"):
        Fetching(url, tmp_path)(
            job({"request": {"url": "/r"}, "records": "rejects", "paginate": {"next": "next"}}, result={})
        )


def test_a_place_that_cannot_be_written(server: FakeJobServer, fetch: Fetching) -> None:
    submit(server, rejects=1)
    (fetch.folder / "out.rejects.jsonl").mkdir()
    with pytest.raises(RejectsUnavailableError, match=r"out\.rejects\.jsonl cannot be written"):
        fetch(job())
    assert (fetch.folder / "out.jsonl").exists()


def test_an_import_takes_no_format(server: FakeJobServer, fetch: Fetching) -> None:
    with pytest.raises(DefinitionError, match=r"output_format csv would be ignored: the job has no result"):
        fetch(job(result={}), output_format="csv")
    assert server.ledger.count() == 0


# What they mean --------------------------------------------------------------------------------------------


def counts(records: int, sent: int | None = None, **more: Any) -> dict[str, Any]:
    accepted = None if sent is None else sent - records
    by_stage = {"local": 0, "upload": 0, "job": records}
    usual = {"uri": "file:///x", "records": records, "sent": sent, "accepted": accepted, "unmatched": 0}
    return {**usual, "by_stage": by_stage, **more}


DONE = Manifest("done", ("file:///out.csv",), 97, 1000, None, "csv")
IMPORT = replace(DONE, uris=(), records=0)


@pytest.mark.parametrize(
    ("tolerated", "manifest", "rejects", "kind"),
    [
        (0, DONE, counts(0), None),
        (0, DONE, counts(1), RejectsError),
        (3, DONE, counts(3), None),
        (2, DONE, counts(3), RejectsError),
        ("3%", DONE, counts(3), None),
        ("2.9%", DONE, counts(3), RejectsError),
        ("100%", replace(DONE, records=0), counts(3), AllRejectedError),
        (1000, IMPORT, counts(100, 100), AllRejectedError),
        ("1%", IMPORT, counts(1, 100), None),
        ("1%", IMPORT, counts(1), RejectsError),
        (1, IMPORT, counts(1), None),
        (9, IMPORT, counts(2, 100, unmatched=1), UnknownRejectsError),
        ("50%", replace(DONE, records=None), counts(1), RejectsError),
    ],
)
def test_what_is_tolerated(
    tolerated: Any, manifest: Manifest, rejects: dict[str, Any], kind: type[RejectsError] | None
) -> None:
    result = Result(target="t", rejects=SIMPLE, on_rejects="fail", tolerated=tolerated)
    found = verdict_on(result, replace(manifest, rejects=rejects))
    assert type(found.error) is (kind or type(None))
    assert bool(found.warning) is (kind is None and rejects["records"] > 0)
    warned = verdict_on(Result(target="t", rejects=SIMPLE), replace(manifest, rejects=rejects))
    assert (warned.error, bool(warned.warning)) == (None, rejects["records"] > 0)
    ignored = Result(target="t", rejects=SIMPLE, on_rejects="ignore")
    assert not verdict_on(ignored, replace(manifest, rejects=rejects)).warning


@pytest.mark.parametrize(
    ("manifest", "rejects", "said"),
    [
        (DONE, counts(3), "Refused: 3 of 100 (by the job 3). The reasons are in file:///x. Tolerated: 2."),
        (IMPORT, counts(3), "Refused: 3 records (by the job 3). The reasons are in file:///x. Tolerated: 2."),
        (
            IMPORT,
            counts(5, 5),
            "Refused: 5 of 5 (by the job 5). The reasons are in file:///x. Not one was accepted: correct how "
            "the records are made or sent.",
        ),
        (
            IMPORT,
            counts(3, 5, unmatched=1),
            "Refused: 3 of 5 (by the job 3). The reasons are in file:///x. 1 reject named no record that was "
            "sent: correct key, index or index_base of the rejects.",
        ),
    ],
)
def test_what_the_errors_say(manifest: Manifest, rejects: dict[str, Any], said: str) -> None:
    result = Result(target="t", rejects=SIMPLE, on_rejects="fail", tolerated=2)
    error = verdict_on(result, replace(manifest, rejects=rejects)).error
    assert error is not None
    assert error.message == said
