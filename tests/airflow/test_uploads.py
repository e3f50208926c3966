"""Files that a task sends: local ones, and object storage as Airflow reaches it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_asyncjob import AsyncSubmitOperator
from airflow_asyncjob.errors import UploadError
from airflow_asyncjob.hooks.storage import source_of
from tests.airflow.in_process import Worker
from tests.cli.imports_api import DEFINITION, Imports, running_imports
from tests.servers.scripted import running

STEPS = DEFINITION["submit"]["steps"]
FILES = {
    **DEFINITION,
    "inputs": {"path": {"type": "string"}},
    "submit": {
        "steps": [
            STEPS[0],
            {
                "name": "upload",
                "request": {"method": "PUT", "url": "{{ captures.link }}", "file": "{{ inputs.path }}"},
                "capture": {"tags": {"header": "etag"}},
            },
            STEPS[2],
        ],
        "id": "{{ captures.import }}",
    },
}


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Imports]:
    with running_imports() as (api, url):
        monkeypatch.setenv("AIRFLOW_CONN_IMPORTS", url.replace("//", "//ann:open-sesame@"))
        yield api


def test_a_file_and_a_form_are_sent_by_arguments(
    imports: Imports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_bytes(b"id\n1\n")
    with running({"POST /file": {"id": "f"}, "POST /form": {"id": "m"}}) as api:
        monkeypatch.setenv("AIRFLOW_CONN_JOBS", api.base)
        given = {
            "http_conn_id": "jobs",
            "submission_id_path": "id",
            "inputs": {"path": str(tmp_path / "a.csv")},
        }
        path = "{{ inputs.path }}"
        with DAG("d", schedule=None) as dag:
            AsyncSubmitOperator(task_id="file", endpoint="/file", file=path, **given)
            AsyncSubmitOperator(
                task_id="form", endpoint="/form", multipart={"a": "b", "f": {"file": path}}, **given
            )
        assert [Worker(dag).run(name) for name in ("file", "form")] == ["f", "m"]
    sent = {asked.path: asked for asked in api.asked}
    assert sent["/file"].body == b"id\n1\n"
    assert b'name="f"; filename="a.csv"' in sent["/form"].body


def test_records_are_sent_by_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.jsonl").write_text('{"n": 1}\n{"n": 2}\n')
    with running({"POST /rows": {"id": "r"}}) as api:
        monkeypatch.setenv("AIRFLOW_CONN_JOBS", api.base)
        with DAG("d", schedule=None) as dag:
            AsyncSubmitOperator(
                task_id="submit",
                http_conn_id="jobs",
                endpoint="/rows",
                part=True,
                upload={"source": "{{ inputs.rows }}", "format": "json"},
                submission_id_path="id",
                inputs={"rows": str(tmp_path / "rows.jsonl")},
            )
        assert Worker(dag).run("submit") == "r"
    assert api.asked[0].json == [{"n": 1}, {"n": 2}]


def worker(path: str) -> Worker:
    with DAG("d", schedule=None) as dag:
        AsyncSubmitOperator(task_id="submit", job=FILES, http_conn_id="imports", inputs={"path": path})
    return Worker(dag)


def test_a_local_file_and_one_of_object_storage_are_sent(imports: Imports, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"local")
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/uploads-test/a.csv", b"stored")
    for path in (str(tmp_path / "a.csv"), f"file://{tmp_path}/a.csv", "memory://uploads-test/a.csv"):
        assert worker(path).run("submit") == "7"
    sent = [asked for asked in imports.asked if asked.method == "PUT"]
    assert [asked.body for asked in sent] == [b"local", b"local", b"stored"]
    assert {asked.headers["content-type"] for asked in sent} == {"text/csv"}
    assert not any("authorization" in asked.headers for asked in sent)


def test_a_missing_file_fails_the_task_and_a_retry_would_carry_on_there(
    imports: Imports, tmp_path: Path
) -> None:
    tried = worker(str(tmp_path / "a.csv"))
    with pytest.raises(AirflowFailException, match=r"a\.csv cannot be read: No such file or directory"):
        tried.run("submit")
    assert imports.lines == ["POST /imports"]
    (tmp_path / "a.csv").write_bytes(b"late")
    assert tried.run("submit") == "7"
    assert imports.lines[1:] == ["PUT /bucket/7", "POST /imports/7/start"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (
            "memory://uploads-test/gone.csv",
            "The file memory://uploads-test/gone.csv does not exist.",
        ),
        ("memory://uploads-folder", "cannot be sent: it is a folder, or its size is not known."),
        ("nosuch://bucket/a.csv", "The file nosuch://bucket/a.csv cannot be read"),
        ("s3://no_such_conn@bucket/a.csv", "The file s3://no_such_conn@bucket/a.csv "),
    ],
)
def test_a_file_that_cannot_be_reached_is_said(path: str, says: str) -> None:
    fsspec.filesystem("memory").pipe_file("/uploads-folder/a.csv", b"x")
    with pytest.raises(UploadError) as caught:
        source_of(path)
    assert says in caught.value.message
