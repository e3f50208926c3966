"""The generic fake API: jobs go as their plan says, on the clock that the test holds."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from airflow_asyncjob.testing import FakeClock, FakeJobServer, expected_rows


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_000_000_000.0)


@pytest.fixture
def server(clock: FakeClock) -> Iterator[FakeJobServer]:
    with FakeJobServer(clock=clock) as running:
        yield running


@pytest.fixture
def client(server: FakeJobServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as one:
        yield one


def status(client: httpx.Client, job: str = "job-1") -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"/jobs/{job}").json()
    return answer


def test_a_job_is_queued_runs_and_is_done(
    clock: FakeClock, client: httpx.Client, server: FakeJobServer
) -> None:
    answer = client.post("/jobs", json={"queue_for": 10, "run_for": 40, "rows": 7, "files": 2})
    assert (answer.status_code, answer.headers["location"]) == (201, "/jobs/job-1")
    assert (
        answer.json()
        == status(client)
        == {
            "id": "job-1",
            "status": "queued",
            "progress": 0,
            "message": None,
            "created_at": "2001-09-09T01:46:40Z",
            "ended_at": None,
            "rows": None,
            "url": None,
            "urls": [],
        }
    )
    clock.advance(10)
    assert (status(client)["status"], status(client)["progress"]) == ("running", 0)
    clock.advance(10)
    assert (status(client)["status"], status(client)["progress"]) == ("running", 25)
    assert server.ledger.running() == 1
    clock.advance(30)
    assert server.ledger.running() == 0
    assert status(client) == {
        "id": "job-1",
        "status": "succeeded",
        "progress": 100,
        "message": None,
        "created_at": "2001-09-09T01:46:40Z",
        "ended_at": "2001-09-09T01:47:30Z",
        "rows": 7,
        "url": "/jobs/job-1/result/1",
        "urls": ["/jobs/job-1/result/1", "/jobs/job-1/result/2"],
    }


@pytest.mark.parametrize(
    ("ends", "word", "message", "files"),
    [
        ("done", "succeeded", None, 1),
        ("failed", "failed", "the job failed as it was told to", 0),
        ("no_data", "no_data", None, 0),
        ("partial", "partial", "some rows were refused", 1),
        ("cancelled", "cancelled", "the job was cancelled", 0),
        ("expired", "expired", "the job took too long", 0),
    ],
)
def test_every_end_has_its_word_and_message(
    client: httpx.Client, ends: str, word: str, message: str | None, files: int
) -> None:
    client.post("/jobs", json={"ends": ends})
    client.post("/jobs", json={"ends": ends, "message": "own words"})
    seen = status(client)
    assert (seen["status"], seen["message"], len(seen["urls"])) == (word, message, files)
    assert status(client, "job-2")["message"] == "own words"


def test_a_plan_may_use_other_words(clock: FakeClock, client: httpx.Client) -> None:
    words = {"queued": 0, "running": "WORKING", "done": True}
    client.post("/jobs", json={"queue_for": 1, "run_for": 1, "words": words})
    seen = []
    for _ in range(3):
        seen.append(status(client)["status"])
        clock.advance(1)
    assert seen == [0, "WORKING", True]
    assert client.get("/jobs/job-1/result/1").status_code == 200


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("row_format", ["csv", "json", "jsonl"])
def test_the_files_together_hold_the_expected_rows(
    client: httpx.Client, row_format: str, zipped: bool
) -> None:
    plan = {"rows": 20, "files": 3, "format": row_format, "gzip": zipped, "tag": "mine"}
    urls = client.post("/jobs", json=plan).json()["urls"]
    got: list[dict[str, Any]] = []
    for part, url in enumerate(urls, 1):
        answer = client.get(url)
        name = f"part-{part}.{row_format}" + (".gz" if zipped else "")
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        text = (gzip.decompress(answer.content) if zipped else answer.content).decode()
        got += parse(text, row_format)
    wanted = list(expected_rows(20, "mine"))
    if row_format == "csv":
        wanted = [
            {name: "" if value is None else str(value) for name, value in row.items()} for row in wanted
        ]
    assert got == wanted
    assert got[1]["id"] == "00000001"
    assert "\n" in got[3]["name"]


def parse(text: str, row_format: str) -> list[dict[str, Any]]:
    if row_format == "csv":
        return list(csv.DictReader(io.StringIO(text, newline="")))
    if row_format == "json":
        rows: list[dict[str, Any]] = json.loads(text)
        return rows
    return [json.loads(line) for line in text.split("\n")[:-1]]


def test_a_result_of_no_rows_is_a_document_all_the_same(client: httpx.Client) -> None:
    for number, (row_format, text) in enumerate(
        [("csv", "id,tag,name,amount,note\n"), ("json", "[\n]\n"), ("jsonl", "")], 1
    ):
        client.post("/jobs", json={"rows": 0, "format": row_format})
        assert client.get(f"/jobs/job-{number}/result/1").text == text


def test_there_is_no_result_before_the_end_or_of_another_number(
    clock: FakeClock, client: httpx.Client
) -> None:
    client.post("/jobs", json={"run_for": 5})
    assert client.get("/jobs/job-1/result/1").status_code == 404
    clock.advance(5)
    assert client.get("/jobs/job-1/result/1").status_code == 200
    for part in (0, 2):
        assert client.get(f"/jobs/job-1/result/{part}").json()["error"] == f"the job job-1 has no file {part}"


def test_the_same_key_is_the_same_job(client: httpx.Client, server: FakeJobServer) -> None:
    key = {"Idempotency-Key": "run-1"}
    answers = [client.post("/jobs", json={"rows": 1}, headers=key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert {answer.json()["id"] for answer in answers} == {"job-1"}
    assert (
        client.post("/jobs", json={"rows": 1}, headers={"Idempotency-Key": "run-2"}).json()["id"] == "job-2"
    )
    other = client.post("/jobs", json={"rows": 2}, headers=key)
    assert (other.status_code, other.json()["error"]) == (422, "the key 'run-1' was used with another body")
    assert server.ledger.job_ids() == ["job-1", "job-2"]
    server.options.idempotency = False
    assert client.post("/jobs", json={"rows": 1}, headers=key).json()["id"] == "job-3"


def test_a_running_job_is_cancelled_once(
    clock: FakeClock, client: httpx.Client, server: FakeJobServer
) -> None:
    client.post("/jobs", json={"run_for": 100})
    clock.advance(5)
    answer = client.delete("/jobs/job-1")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert answer.json()["ended_at"] == "2001-09-09T01:46:45Z"
    assert server.ledger.running() == 0
    again = client.delete("/jobs/job-1")
    assert (again.status_code, again.json()["error"]) == (409, "the job job-1 has ended: cancelled")
    assert client.delete("/jobs/job-9").status_code == 404
    assert server.ledger.count("cancel") == 3
    clock.advance(1000)
    assert status(client)["status"] == "cancelled"


def test_a_result_can_be_deleted_and_the_job_is_then_unknown(clock: FakeClock, client: httpx.Client) -> None:
    client.post("/jobs", json={"run_for": 5})
    assert client.delete("/jobs/job-1/result").status_code == 409
    clock.advance(5)
    answer = client.delete("/jobs/job-1/result")
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get("/jobs/job-1").json() == {"error": "there is no job job-1"}
    assert client.delete("/jobs/job-1/result").status_code == 404


def test_the_jobs_are_listed(client: httpx.Client) -> None:
    for tag in ("a", "b"):
        client.post("/jobs", json={"tag": tag})
    assert [job["id"] for job in client.get("/jobs").json()["jobs"]] == ["job-1", "job-2"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("nonsense", "the body is not JSON"),
        ("[]", "the body is a JSON object, not list"),
        ('{"row": 1}', "unknown field row; valid: queue_for, run_for, ends, rows"),
        ('{"rows": "3"}', "rows is a whole number of 0 or more, not '3'"),
        ('{"run_for": -1}', "run_for is a number of 0 or more, not -1"),
        ('{"files": 0}', "files is 1 to 1000, not 0"),
        (
            '{"ends": "ready"}',
            "ends is one of done, failed, no_data, partial, cancelled, expired, not 'ready'",
        ),
        ('{"format": "xml"}', "format is one of csv, json, jsonl, not 'xml'"),
        ('{"gzip": 1}', "gzip is true or false, not 1"),
        ('{"tag": 1}', "tag and message are texts"),
        ('{"words": {"ready": "x"}}', "words is an object whose keys are of queued, running"),
    ],
)
def test_a_wrong_plan_is_refused_with_what_is_valid(
    client: httpx.Client, server: FakeJobServer, body: str, message: str
) -> None:
    answer = client.post("/jobs", content=body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]
    assert server.ledger.accepted() == 0


def test_unknown_paths_are_404(client: httpx.Client) -> None:
    for method, path in (
        ("GET", "/"),
        ("POST", "/jobs/job-1"),
        ("GET", "/jobs/job-1/result"),
        ("PUT", "/jobs"),
    ):
        assert client.request(method, path).json() == {"error": f"there is no {method} {path}"}


@pytest.mark.parametrize(
    ("auth", "good", "reading", "bad"),
    [
        (
            "bearer",
            {"headers": {"Authorization": "Bearer all"}},
            {"headers": {"Authorization": "Bearer look"}},
            {"headers": {"Authorization": "Basic YWxs"}},
        ),
        ("basic", {"auth": ("u", "all")}, {"auth": ("u", "look")}, {"headers": {"Authorization": "Basic %"}}),
        (
            "api_key",
            {"headers": {"X-API-Key": "all"}},
            {"params": {"api_key": "look"}},
            {"params": {"api_key": ""}},
        ),
    ],
)
def test_credentials_are_asked_for(auth: Any, good: Any, reading: Any, bad: Any) -> None:
    start = "u:" if auth == "basic" else ""
    options = {"auth": auth, "credential": f"{start}all", "read_only_credential": f"{start}look"}
    with FakeJobServer(**options) as server, httpx.Client(base_url=server.url) as client:
        nothing: dict[str, Any] = {}
        for wrong in (nothing, bad):
            answer = client.post("/jobs", **wrong)
            assert (answer.status_code, answer.json()["error"]) == (401, "missing or wrong credentials")
            assert "www-authenticate" in answer.headers
        assert client.post("/jobs", **reading).json() == {"error": "these credentials may only read"}
        assert server.ledger.accepted() == 0
        assert client.post("/jobs", **good).status_code == 201
        assert client.get("/jobs/job-1", **reading).status_code == 200
        assert client.get("/jobs/job-1/result/1").status_code == 401
        server.options.credential = "changed"
        assert client.get("/jobs/job-1", **good).status_code == 401


def test_statuses_are_told_in_other_ways(
    clock: FakeClock, server: FakeJobServer, client: httpx.Client
) -> None:
    client.post("/jobs", json={"run_for": 5, "ends": "partial", "message": "1 < 2 & 3", "files": 2})
    server.options.status_habit = "header"
    answer = client.get("/jobs/job-1")
    assert (answer.content, answer.headers["x-job-status"]) == (b"", "running")
    server.options.status_habit = "text"
    assert client.get("/jobs/job-1").text == "running"
    server.options.status_habit = "redirect"
    assert client.get("/jobs/job-1").json()["status"] == "running"
    clock.advance(5)
    answer = client.get("/jobs/job-1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs/job-1/result/1")
    server.options.status_habit = "xml"
    tree = ElementTree.fromstring(client.get("/jobs/job-1").content)
    assert (tree.tag, tree.get("id"), tree.findtext("Status")) == ("Job", "job-1", "partial")
    assert [tree.find("Status").get("progress")] == ["100"]  # type: ignore[union-attr]
    assert tree.findtext("Message") == "1 < 2 & 3"
    assert [one.text for one in tree.findall("Result")] == ["/jobs/job-1/result/1", "/jobs/job-1/result/2"]


def test_addresses_can_be_whole_urls() -> None:
    with FakeJobServer(absolute_urls=True) as server:
        answer = httpx.post(f"{server.url}/jobs")
        assert answer.headers["location"] == f"{server.url}/jobs/job-1"
        assert httpx.get(answer.json()["url"]).status_code == 200


def test_options_of_a_wrong_value_are_an_error() -> None:
    with pytest.raises(
        ValueError, match="status_habit is one of json, xml, text, header, redirect, not 'yaml'"
    ):
        FakeJobServer(status_habit="yaml")
    with pytest.raises(ValueError, match="auth is one of bearer, basic, api_key, or None, not 'digest'"):
        FakeJobServer(auth="digest")
    with pytest.raises(ValueError, match="ranges is one of etag, weak, date, refused, or None, not 'all'"):
        FakeJobServer(ranges="all")


# Parts of a result ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ranges", "validator", "takes"),
    [
        (None, None, False),
        ("etag", "etag", True),
        ("weak", "etag", False),
        ("date", "last-modified", True),
        ("refused", "etag", False),
    ],
)
def test_a_part_is_there_for_who_has_the_start_of_the_same_result(
    server: FakeJobServer, client: httpx.Client, ranges: Any, validator: str | None, takes: bool
) -> None:
    server.options.ranges = ranges
    client.post("/jobs", json={"rows": 10})
    first = client.get("/jobs/job-1/result/1")
    whole, found = first.content, "" if validator is None else first.headers[validator]
    assert ("etag" in first.headers or "last-modified" in first.headers) is (validator is not None)
    for wanted, code in (({"If-Range": found}, 206), ({"If-Range": '"other"'}, 200)):
        part = client.get("/jobs/job-1/result/1", headers={"Range": "bytes=7-", **wanted})
        if code == 206 and takes:
            assert (part.status_code, part.content) == (206, whole[7:])
            assert part.headers["content-range"] == f"bytes 7-{len(whole) - 1}/{len(whole)}"
        else:
            assert (part.status_code, part.content) == (200, whole)
    if ranges in ("etag", "weak", "date"):
        part = client.get("/jobs/job-1/result/1", headers={"Range": f"bytes={len(whole)}-"})
        assert (part.status_code, part.headers["content-range"]) == (416, f"bytes */{len(whole)}")


# Rows in pages ---------------------------------------------------------------------------------------------


def test_rows_come_in_pages_by_cursor_offset_and_number(client: httpx.Client) -> None:
    client.post("/jobs", json={"rows": 7, "tag": "t"})
    rows = list(expected_rows(7, "t"))
    first = client.get("/jobs/job-1/rows", params={"limit": 3})
    assert first.json() == {
        "total": 7,
        "more": True,
        "cursor": "after-3",
        "next": "/jobs/job-1/rows?limit=3&cursor=after-3",
        "rows": rows[:3],
    }
    assert first.headers["x-next-cursor"] == "after-3"
    assert '</jobs/job-1/rows?limit=3&cursor=after-3>; rel="next"' in first.headers["link"]
    assert client.get(first.json()["next"]).json()["rows"] == rows[3:6]
    last = client.get("/jobs/job-1/rows", params={"limit": 3, "offset": 6})
    assert (last.json()["rows"], last.json()["next"], last.json()["more"]) == (rows[6:], None, False)
    assert (last.headers["x-next-cursor"], "link" in last.headers) == ("null", False)
    assert client.get("/jobs/job-1/rows", params={"limit": 3, "page": 2}).json()["rows"] == rows[3:6]
    assert client.get("/jobs/job-1/rows", params={"offset": 7}).json()["rows"] == []


def test_rows_alone_come_as_csv_and_jsonl(client: httpx.Client) -> None:
    client.post("/jobs", json={"rows": 3})
    text = client.get("/jobs/job-1/rows", params={"format": "csv", "limit": 2}).text
    assert [row["id"] for row in csv.DictReader(io.StringIO(text))] == ["00000000", "00000001"]
    answer = client.get("/jobs/job-1/rows", params={"format": "jsonl", "limit": 2})
    assert [json.loads(line) for line in answer.text.splitlines()] == list(expected_rows(2))
    assert "cursor=after-2" in answer.headers["link"]
    assert "format=jsonl" in answer.headers["link"]


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"limit": "0"}, "limit is a whole number of 1 to 1000, not '0'"),
        ({"offset": "x"}, "offset is a whole number of 0 or more, not 'x'"),
        ({"page": "0"}, "page is a whole number of 1 or more, not '0'"),
        ({"cursor": "x"}, "there is no cursor 'x'"),
    ],
)
def test_wrong_parameters_of_rows_are_400(client: httpx.Client, params: dict[str, str], says: str) -> None:
    client.post("/jobs", json={})
    answer = client.get("/jobs/job-1/rows", params=params)
    assert (answer.status_code, answer.json()) == (400, {"error": says})


def test_there_are_no_rows_before_the_job_is_done(client: httpx.Client, server: FakeJobServer) -> None:
    client.post("/jobs", json={"run_for": 5})
    assert client.get("/jobs/job-1/rows").status_code == 404
    assert [entry.purpose for entry in server.ledger.entries()] == ["submit", "result"]
