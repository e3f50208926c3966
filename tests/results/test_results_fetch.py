"""Results fetched over real sockets: targets, broken bodies, names of files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.errors import (
    AsyncJobError,
    DefinitionError,
    DestinationError,
    RefusedError,
    TemplateError,
    TruncatedError,
    UnreachableError,
)
from airflow_asyncjob.protocol import Command, Event, Response, Submission, Wait, Woken
from airflow_asyncjob.results.downloads import targets_of
from airflow_asyncjob.results.fetch import fetch_result
from airflow_asyncjob.results.manifest import Manifest
from airflow_asyncjob.results.resilient import file_name
from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.transport import ConnectionSettings, Wire
from tests.results.serving import Fetching as Served
from tests.results.serving import serving

SUBMISSION = Submission("job-1", 0.0, {"region": "eu"})


def definition(**sections: Any) -> AsyncJob:
    return AsyncJob.load({"result": {"format": "csv"}, "limits": {"retries": 2}, **sections}, partial=True)


class Fetching:
    """Fetches from one fake server, without waiting."""

    def __init__(self, server: FakeJobServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.waits: list[float] = []
        self.seen: list[tuple[Command, Event | None]] = []
        self.sizes: list[tuple[int, int]] = []

    def submit(self, **plan: Any) -> str:
        """Create a job that is done, and return the path of its first file."""
        job_id = httpx.post(f"{self.server.url}/jobs", json=plan).json()["id"]
        return f"/jobs/{job_id}/result/1"

    def body(self, path: str) -> bytes:
        """Return a file as the server has it."""
        return httpx.get(self.server.url + path).content

    def __call__(self, job: AsyncJob, targets: str | list[str], to: str, **more: Any) -> Manifest:
        with Wire(ConnectionSettings(base_url=self.server.url), limits=job.limits) as wire:
            return fetch_result(
                job,
                targets,
                wire=wire,
                inputs={"who": "me"},
                names={"ds": "2026-11-22"},
                submission=SUBMISSION,
                destination=str(self.folder / to) + ("/" if to.endswith("/") else ""),
                observe=lambda command, event: self.seen.append((command, event)),
                wait=self._wait,
                received=lambda number, size: self.sizes.append((number, size)),
                **more,
            )

    def _wait(self, command: Wait) -> Woken:
        self.waits.append(command.until)
        return Woken()


@pytest.fixture
def fetch(tmp_path: Path) -> Iterator[Fetching]:
    with FakeJobServer("generic") as server:
        yield Fetching(server, tmp_path)


# Targets -------------------------------------------------------------------------------------------


def test_several_raw_results_for_one_file_are_refused_before_the_first_is_asked_for(fetch: Fetching) -> None:
    path = fetch.submit(rows=3)
    asked = fetch.server.ledger.count()
    with pytest.raises(DestinationError, match=r"several results, and .*out\.bin is one file"):
        fetch(definition(result={"format": "raw"}), [path, path], "out.bin")
    assert fetch.server.ledger.count() == asked
    assert list(fetch.folder.iterdir()) == []


def test_several_targets_become_one_file_in_their_order(fetch: Fetching) -> None:
    path = fetch.submit(rows=4, files=2)
    second = path.replace("/1", "/2")
    manifest = fetch(definition(), [path, fetch.server.url + second], "out.jsonl")
    ids = [json.loads(line)["id"] for line in (fetch.folder / "out.jsonl").read_text().splitlines()]
    assert ids == sorted(ids)
    assert (manifest.records, manifest.submission_id, manifest.state) == (4, "job-1", "done")
    assert [number for number, _ in fetch.sizes] == [1, 2]


def test_no_target_is_no_data(fetch: Fetching) -> None:
    manifest = fetch(definition(), [], "out.jsonl")
    assert (manifest.state, manifest.uris, manifest.records) == ("no_data", (), 0)
    assert fetch.server.ledger.count() == 0
    assert list(fetch.folder.iterdir()) == []


def test_a_request_with_the_target_is_sent_for_each(fetch: Fetching) -> None:
    fetch.submit(rows=2, files=2)
    url = "/jobs/{{ submission_id }}/result/{{ download_target }}"
    params = {
        "region": "{{ captures.region }}",
        "late": "{{ captures.late }}",
        "who": "{{ inputs.who }}",
        "ds": "{{ ds }}",
    }
    job = definition(result={"format": "csv", "request": {"url": url, "params": params}})
    assert fetch(job, ["1", "2"], "out.csv", captures={"late": "x"}).records == 2
    entries = fetch.server.ledger.entries("result")
    assert [entry.path for entry in entries] == ["/jobs/job-1/result/1", "/jobs/job-1/result/2"]
    assert entries[0].query == "region=eu&late=x&who=me&ds=2026-11-22"


def test_a_fixed_request_is_sent_once_whatever_the_targets(fetch: Fetching) -> None:
    path = fetch.submit(rows=2)
    job = definition(result={"format": "csv", "request": {"url": path}})
    assert fetch(job, f"{fetch.server.url}{path}", "out.csv").records == 2
    assert fetch.server.ledger.count("result") == 1


def test_the_status_answer_can_be_the_result(fetch: Fetching) -> None:
    fetch.submit(rows=2, files=2)
    status = {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {"done": "succeeded"},
    }
    job = definition(
        status=status, result={"from": "status", "format": "json", "select": {"id": "id", "n": "rows"}}
    )
    fetch.server.faults.add("poll", 503)
    manifest = fetch(job, "job-1", "out.jsonl")
    assert json.loads((fetch.folder / "out.jsonl").read_text()) == {"id": "job-1", "n": 2}
    assert (manifest.records, manifest.submission_id, len(fetch.waits)) == (1, "job-1", 1)
    assert [(entry.path, entry.code) for entry in fetch.server.ledger.entries()[1:]] == [
        ("/jobs/job-1", 503),
        ("/jobs/job-1", 200),
    ]


def test_a_status_that_cannot_be_asked_is_called_by_its_place(fetch: Fetching) -> None:
    status = {
        "request": {"url": "/jobs/{{ captures.gone }}"},
        "path": "status",
        "values": {"done": "succeeded"},
    }
    with pytest.raises(TemplateError, match=r"status\.request\.url: .*gone"):
        fetch(definition(status=status, result={"from": "status", "format": "json"}), "job-1", "out.jsonl")


def test_an_id_needs_a_request() -> None:
    with pytest.raises(DefinitionError, match=r"'job-1' is no address: .* give result a request, such as"):
        targets_of(definition(), "job-1")


def test_a_definition_without_a_result_is_refused(fetch: Fetching) -> None:
    job = AsyncJob.load({"submit": {"request": {"url": "/jobs"}, "id": "id"}, "name": "x"}, partial=True)
    with pytest.raises(DefinitionError, match="x has no section 'result'"):
        fetch(job, "/a/b", "out.csv")


# Faults --------------------------------------------------------------------------------------------


def test_a_body_that_breaks_off_goes_on_without_a_seam(fetch: Fetching) -> None:
    path = fetch.submit(rows=50_000)
    whole = fetch.body(path)
    before = fetch.server.ledger.count("result")
    fetch.server.faults.add("result", "truncate")
    fetch.server.faults.add("result", 503)
    fetch.server.faults.add("result", "truncate")
    manifest = fetch(definition(result={}, limits={"retries": 3}), path, "out.bin")
    assert (fetch.folder / "out.bin").read_bytes() == whole
    assert manifest.bytes == len(whole)
    assert fetch.server.ledger.count("result") - before == 4
    assert len(fetch.waits) == 3
    sizes = [size for _, size in fetch.sizes]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == len(whole)


def test_several_raw_files_have_one_digest_also_when_one_breaks_off(fetch: Fetching) -> None:
    first = fetch.submit(rows=50_000, files=2)
    paths = [first, first.removesuffix("1") + "2"]
    whole = b"".join(map(fetch.body, paths))
    fetch.server.faults.add("result", "truncate", nth=2)
    manifest = fetch(definition(result={}), paths, "out/")
    assert len(fetch.waits) == 1
    assert (manifest.bytes, manifest.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())


def test_a_body_that_changed_in_between_is_refused(fetch: Fetching) -> None:
    path = fetch.submit(rows=50_000)
    other = b"#" + fetch.body(path)[1:]
    fetch.server.faults.add("result", "truncate")
    fetch.server.faults.add("result", 200, body=other)
    with pytest.raises(TruncatedError) as caught:
        fetch(definition(result={}), path, "out.bin")
    assert "did not begin with the same bytes" in caught.value.message
    assert f"GET {fetch.server.url}{path}" in caught.value.message
    assert caught.value.retryable
    assert list(fetch.folder.iterdir()) == []


def test_a_body_that_is_shorter_the_second_time_is_refused(fetch: Fetching) -> None:
    path = fetch.submit(rows=50_000)
    start = fetch.body(path)[:10]
    fetch.server.faults.add("result", "truncate")
    fetch.server.faults.add("result", 200, body=start)
    with pytest.raises(TruncatedError, match="did not begin with the same bytes"):
        fetch(definition(result={}), path, "out.bin")
    assert list(fetch.folder.iterdir()) == []


def test_tries_end(fetch: Fetching) -> None:
    path = fetch.submit()
    fetch.server.faults.add("result", "truncate", times=None)
    with pytest.raises(TruncatedError, match="3 tries of the download did not work"):
        fetch(definition(result={}), path, "out.bin")
    fetch.server.faults.clear()
    fetch.server.faults.add("result", 500, times=None)
    with pytest.raises(UnreachableError, match="3 tries of the download did not work"):
        fetch(definition(result={}), path, "out.bin")
    assert fetch.server.ledger.count("result") == 6
    assert list(fetch.folder.iterdir()) == []


def test_a_refusal_is_final(fetch: Fetching) -> None:
    path = fetch.submit()
    fetch.server.faults.add("result", 403, times=None)
    with pytest.raises(RefusedError, match="403"):
        fetch(definition(), path, "out.csv")
    assert fetch.waits == []


def test_an_answer_without_data_by_rule_writes_nothing(fetch: Fetching) -> None:
    path = fetch.submit()
    fetch.server.faults.add("result", 204, times=None)
    job = definition(errors={"result": [{"when": "code == 204", "then": "no_data"}]})
    manifest = fetch(job, [path, path], "out.csv")
    assert (manifest.state, manifest.uris) == ("no_data", ())
    assert fetch.server.ledger.count("result") == 2
    assert list(fetch.folder.iterdir()) == []


NOT_YET = b'{"error": "not_yet"}'
LARGE = b'{"error": "not_yet", "why": "' + b"x" * 100 + b'"}'


@pytest.mark.parametrize(
    ("when", "code", "body", "true"),
    [
        ("body.error == 'not_yet'", 404, NOT_YET, True),
        ("body.error == 'not_yet'", 500, NOT_YET, True),
        ("body == 'not yet'", 503, b"not yet", True),
        ("body.e.code == 'not_yet'", 400, b"<e><code>not_yet</code></e>", True),
        ("body.error == 'not_yet'", 200, NOT_YET, False),  # a good answer is the result: it streams
        ("body.error == 'not_yet'", 404, LARGE, False),  # more than limits.response_bytes
        ("headers['x-why'] == 'no'", 200, b"id\n1\n", True),
        ("code == 404 and headers['x-why'] == 'no'", 404, LARGE, True),
    ],
)
def test_a_rule_sees_the_whole_body_of_an_error_and_none_of_a_result(
    tmp_path: Path, when: str, code: int, body: bytes, true: bool
) -> None:
    job = definition(
        errors={"result": [{"when": when, "then": "fail", "message": "it is so"}]},
        limits={"retries": 0, "response_bytes": 100},
    )
    with serving(lambda path, number: (code, {"X-Why": "no"}, body)) as url:
        with pytest.raises(AsyncJobError) as caught:
            Served(url, tmp_path)(job, "/rows")
        assert ("it is so" in caught.value.message) is true


def test_what_a_refused_download_notes_is_said_as_well(tmp_path: Path) -> None:
    job = definition(errors={"result": [{"when": "code + 'x' == 1", "then": "retry"}]})
    said: list[str] = []
    with serving(lambda path, number: (404, {}, b"")) as url, Wire(ConnectionSettings(base_url=url)) as wire:
        wire.say = lambda level, text: said.append(text)
        with pytest.raises(RefusedError):
            fetch_result(
                job, "/rows", wire=wire, inputs={}, names={}, submission=SUBMISSION, destination=str(tmp_path)
            )
    assert [text.partition(":")[0] for text in said] == ["errors.result[0].when"]


def test_an_error_that_a_rule_accepts_is_the_result(tmp_path: Path) -> None:
    job = definition(errors={"result": [{"when": "code == 404", "then": "accept"}]})
    with serving(lambda path, number: (404, {}, b"id\n1\n")) as url:
        manifest = Served(url, tmp_path)(job, "/rows")
    assert (manifest.state, manifest.records) == ("done", 1)
    assert (tmp_path / "out.jsonl").read_text() == '{"id":"1"}\n'


def test_new_credentials_are_tried_once(tmp_path: Path) -> None:
    old = ConnectionSettings(base_url="http://127.0.0.1", login="user", password="old-key-1")
    with FakeJobServer("generic", auth="basic", credential="user:new-key-1") as server:
        job_id = httpx.post(f"{server.url}/jobs", json={}, auth=("user", "new-key-1")).json()["id"]
        fresh = replace(old.with_base_url(server.url), password="new-key-1")
        with Wire(old.with_base_url(server.url), reload=lambda: fresh) as wire:
            manifest = fetch_result(
                definition(),
                f"/jobs/{job_id}/result/1",
                wire=wire,
                inputs={},
                names={},
                submission=None,
                destination=tmp_path / "out.csv",
            )
        assert (manifest.records, manifest.submission_id) == (3, "")
        assert [entry.code for entry in server.ledger.entries("result")] == [401, 200]


def test_a_limit_closes_the_download_early(fetch: Fetching) -> None:
    path = fetch.submit(rows=200_000)
    assert fetch(definition(), [path, path], "out.jsonl", limit=3).records == 3
    assert fetch.server.ledger.count("result") == 1


# Names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="a b.csv"', "a b.csv"),
        ("attachment; filename=plain.csv; size=3", "plain.csv"),
        ("attachment; filename=\"old.csv\"; filename*=UTF-8''na%C3%AFve%20x.csv", "naïve x.csv"),
        ("attachment; filename*=UTF-8''na%C3%AFve.csv; filename=\"old.csv\"", "naïve.csv"),
        ('attachment; FILENAME="x.csv"', "x.csv"),
        ('attachment; filename="../../etc/passwd"', "../../etc/passwd"),
        ('attachment; filename=""', "7.csv"),
        ("attachment; filename*=undefined''x%FF.csv; filename=\"old.csv\"", "old.csv"),
        ("attachment; filename*=idna''x%FF.csv", "7.csv"),
        ("attachment", "7.csv"),
        (";;=;", "7.csv"),
        ("attachment; filename*; filename*0", "7.csv"),
        (None, "7.csv"),
    ],
)
def test_a_file_has_the_name_that_the_answer_gives(disposition: str | None, name: str) -> None:
    headers = {} if disposition is None else {"content-disposition": disposition}
    assert file_name(Response(200, headers, b"", "https://h/files/7.csv?sig=secret")) == name


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h/", ""),
        ("https://h", ""),
        ("https://h/a%20b/c%C3%A9.csv", "cé.csv"),
        ("https://h/a/b/", "b"),
    ],
)
def test_without_a_header_the_url_names_the_file(url: str, name: str) -> None:
    assert file_name(Response(200, {}, b"", url)) == name


def test_raw_files_of_a_folder_have_the_names_of_the_api(fetch: Fetching) -> None:
    path = fetch.submit(rows=2, files=2)
    manifest = fetch(definition(result={}), [path, path.replace("/1", "/2")], "out/")
    assert [Path(uri).name for uri in manifest.uris] == sorted(
        p.name for p in (fetch.folder / "out").iterdir()
    )
    assert len(manifest.uris) == 2
