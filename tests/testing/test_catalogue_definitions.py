"""Every definition that ships loads, and says what the API's documentation says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import airflow_asyncjob
from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.document import parse_body
from airflow_asyncjob.definition.extract import View, extract
from airflow_asyncjob.definition.inputs import resolve_inputs
from airflow_asyncjob.definition.render import RenderedRequest, render_request
from airflow_asyncjob.errors import InputError

CATALOGUE = Path(airflow_asyncjob.__file__).parent / "catalogue"
NAMES = sorted(str(file.relative_to(CATALOGUE).with_suffix("")) for file in CATALOGUE.rglob("*.yaml"))


def submit_of(job: AsyncJob, given: dict[str, Any]) -> RenderedRequest:
    assert job.submit is not None
    return render_request(job.submit.request, {"inputs": resolve_inputs(job, given)})


def test_the_catalogue_is_there() -> None:
    assert {"airflow/dag_run", "aws/athena_query", "ogc/process", "wps/execute"} <= set(NAMES)
    assert {"amazon/feed", "amazon/report", "sendgrid/contacts_export", "walmart/item_feed"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_under_its_own_name_and_says_where_it_was_read(name: str) -> None:
    job = AsyncJob.load(name)
    assert job.name == name
    assert job.description.endswith(".")
    assert all(declared.description.endswith(".") for declared in job.inputs.values())
    assert AsyncJob.load(job.to_dict()) == job
    comments = [
        line for line in (CATALOGUE / f"{name}.yaml").read_text().splitlines() if line.startswith("#")
    ]
    assert "https://" in "".join(comments)
    assert "2026-" in "".join(comments)


def test_sendgrid_asks_for_all_contacts_unless_told_otherwise() -> None:
    job = AsyncJob.load("sendgrid/contacts_export")
    assert job.auth is not None
    assert job.auth.type == "bearer"
    rendered = submit_of(job, {})
    assert (rendered.method, rendered.url) == ("POST", "/v3/marketing/contacts/exports")
    assert json.loads(rendered.content or b"") == {
        "file_type": "csv",
        "list_ids": [],
        "segment_ids": [],
        "max_file_size": 5000,
    }
    chosen = submit_of(job, {"segment_ids": ["s-1"], "list_ids": ["l-1", "l-2"], "max_file_size": 100})
    assert json.loads(chosen.content or b"") == {
        "file_type": "csv",
        "list_ids": ["l-1", "l-2"],
        "segment_ids": ["s-1"],
        "max_file_size": 100,
    }


def test_ogc_sends_the_inputs_and_reads_the_id_from_the_location() -> None:
    job = AsyncJob.load("ogc/process")
    rendered = submit_of(job, {"process_id": "a process/é", "inputs": {"echoInput": "Echo", "pause": 3.5}})
    assert (rendered.method, rendered.url) == ("POST", "/processes/a%20process%2F%C3%A9/execution")
    assert rendered.headers == {"Prefer": "respond-async"}
    assert json.loads(rendered.content or b"") == {"inputs": {"echoInput": "Echo", "pause": 3.5}}
    assert job.submit is not None
    for location in ("http://127.0.0.1:5000/jobs/8f-1", "/ogcapi/jobs/8f-1?f=json", "https://x/jobs/8f-1/"):
        headers = {"location": location}
        assert (
            extract(job.submit.id, View(code=201, headers=headers, body=None, url="", captures={})) == "8f-1"
        )


def test_ogc_needs_to_know_which_process() -> None:
    with pytest.raises(InputError, match="process_id"):
        submit_of(AsyncJob.load("ogc/process"), {})


def test_wps_writes_inputs_of_every_kind() -> None:
    given = {
        "many": [1, 2.5],
        "text": "Zoë & <Söhne>",
        "yes": True,
        "file": {"href": "https://example.com/a?b=1&c=2"},
        "document": {"data": "<a/>", "mime_type": "text/xml"},
    }
    rendered = submit_of(
        AsyncJob.load("wps/execute"), {"process_id": "a&b", "inputs": given, "outputs": ["out", "log"]}
    )
    assert (rendered.method, rendered.url) == ("POST", "/wps")
    sent = parse_body(rendered.content or b"")["wps:Execute"]
    assert sent["ows:Identifier"] == "a&b"
    found = [(each["ows:Identifier"], each) for each in sent["wps:DataInputs"]["wps:Input"]]
    assert [name for name, _ in found] == ["document", "file", "many", "many", "text", "yes"]
    literals = [each["wps:Data"].get("wps:LiteralData") for _, each in found if "wps:Data" in each]
    assert literals == [None, "1", "2.5", "Zoë & <Söhne>", "true"]
    assert found[0][1]["wps:Data"]["wps:ComplexData"] == {"@mimeType": "text/xml", "#text": "<a/>"}
    assert found[1][1]["wps:Reference"] == {"@xlink:href": "https://example.com/a?b=1&c=2"}
    form = sent["wps:ResponseForm"]["wps:ResponseDocument"]
    assert (form["@storeExecuteResponse"], form["@status"]) == ("true", "true")
    assert [each["ows:Identifier"] for each in form["wps:Output"]] == ["out", "log"]


FILE = '<wps:Output><wps:Reference href="{}"/></wps:Output>'
VALUE = "<wps:Output><wps:Data><wps:LiteralData>7</wps:LiteralData></wps:Data></wps:Output>"


@pytest.mark.parametrize(
    ("outputs", "target"),
    [
        ("", "http://wps/1.xml"),
        (VALUE, "http://wps/1.xml"),
        (VALUE + VALUE, "http://wps/1.xml"),
        (FILE.format("http://wps/a"), ["http://wps/a"]),
        (VALUE + FILE.format("http://wps/a") + FILE.format("b"), ["http://wps/a", "b"]),
    ],
)
def test_wps_fetches_the_files_or_the_document(outputs: str, target: str | list[str]) -> None:
    job = AsyncJob.load("wps/execute")
    body = parse_body(
        '<wps:ExecuteResponse xmlns:wps="w" statusLocation="http://wps/1.xml"><wps:Status creationTime="x">'
        f"<wps:ProcessSucceeded>yes</wps:ProcessSucceeded></wps:Status><wps:ProcessOutputs>{outputs}"
        "</wps:ProcessOutputs></wps:ExecuteResponse>".encode()
    )
    view = View(code=200, headers={}, body=body)
    assert job.status is not None
    assert job.status.path is not None
    assert extract(job.status.path, view) == "wps:ProcessSucceeded"
    assert job.result is not None
    assert job.result.target is not None
    assert extract(job.result.target, view, single=False) == target


def body_of(name: str, given: dict[str, Any]) -> Any:
    job = AsyncJob.load(name)
    assert job.submit is not None
    assert job.submit.request is not None
    names = {"inputs": resolve_inputs(job, given), "idempotency_key": "key-1"}
    return json.loads(render_request(job.submit.request, names).content or b"")


def test_athena_takes_the_key_and_leaves_out_what_is_not_given() -> None:
    least = body_of("aws/athena_query", {"query": "SELECT 1"})
    assert least == {
        "QueryString": "SELECT 1",
        "ExecutionParameters": None,
        "QueryExecutionContext": {"Database": "default", "Catalog": "AwsDataCatalog"},
        "WorkGroup": "primary",
        "ResultConfiguration": None,
        "ClientRequestToken": "key-1",
    }
    given = {"query": "SELECT ?", "parameters": ["'AT'"], "output_location": "s3://b/x/"}
    sent = body_of("aws/athena_query", given)
    assert sent["ExecutionParameters"] == ["'AT'"]
    assert sent["ResultConfiguration"] == {"OutputLocation": "s3://b/x/"}


def test_a_dag_run_has_an_id_of_its_own_choice() -> None:
    sent = body_of("airflow/dag_run", {"dag_id": "a dag", "conf": {"day": "2026-11-22"}})
    assert sent == {
        "dag_run_id": "asyncjob__key-1",
        "logical_date": None,
        "conf": {"day": "2026-11-22"},
    }
    job = AsyncJob.load("airflow/dag_run")
    assert job.submit is not None
    view = View(code=409, headers={}, body={"detail": "it is there"})
    assert extract(job.submit.id, view, names={"idempotency_key": "key-1"}) == "asyncjob__key-1"
