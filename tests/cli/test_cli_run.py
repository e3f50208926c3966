"""asyncjob run against a fake job server: states, exit codes, and the object on the last line of stdout."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs

import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.testing import SENDGRID_KEY, FakeJobServer
from tests.cli.command import DEFINITION, Asyncjob

STATUS = DEFINITION["status"]


def purposes(server: FakeJobServer) -> list[str]:
    return [entry.purpose for entry in server.ledger.entries() if entry.purpose != "poll"]


# What it is for -----------------------------------------------------------------------------


def test_done_writes_the_records_and_deletes_the_job(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    ran = asyncjob.run(server, "--destination", "out.jsonl", plan={"rows": 5, "files": 2, "run_for": 0.3})
    assert ran.code == 0, ran.stderr
    records = [json.loads(line) for line in (asyncjob.folder / "out.jsonl").read_text().splitlines()]
    assert len(records) == 5
    size = (asyncjob.folder / "out.jsonl").stat().st_size
    manifest = ran.last
    assert manifest.pop("sha256")
    assert manifest == {
        "state": "done",
        "uris": [f"file://{asyncjob.folder}/out.jsonl"],
        "records": 5,
        "bytes": size,
        "format": "jsonl",
        "rejects": None,
        "submission_id": "job-1",
        "primary_key": [],
        "message": f"done: 5 records, {size} bytes",
    }
    assert purposes(server) == ["submit", "result", "result", "delete"]
    assert server.ledger.running() == 0


def test_a_job_that_runs_already_is_carried_on_and_nothing_is_submitted(
    asyncjob: Asyncjob, server: FakeJobServer
) -> None:
    asyncjob.run(server, plan={"rows": 5})
    ran = asyncjob.run(server, "--destination", "out.jsonl", "--submission-id", "job-1")
    assert ran.code == 0, ran.stderr
    assert ran.last["submission_id"] == "job-1"
    assert ran.last["records"] == 5
    assert purposes(server) == ["submit", "result", "delete"]


def test_a_job_that_the_api_does_not_know_is_not_submitted_instead(
    asyncjob: Asyncjob, server: FakeJobServer
) -> None:
    ran = asyncjob.run(server, "--submission-id", "job-9")
    assert ran.code == 1
    assert "The API does not know the job 'job-9'" in ran.stderr
    assert purposes(server) == []


@pytest.mark.parametrize("destination", ["out.jsonl", "-"])
def test_a_transform_that_cannot_be_imported_is_known_before_the_submit(
    asyncjob: Asyncjob, server: FakeJobServer, destination: str
) -> None:
    name = asyncjob.write({**DEFINITION, "result": {**DEFINITION["result"], "transform": "no_such_module:x"}})
    ran = asyncjob("run", name, "--base-url", server.url, "--destination", destination)
    assert ran.code == 2
    assert "transform no_such_module:x cannot be imported: ModuleNotFoundError" in ran.stderr
    assert server.ledger.count() == 0


def test_no_data_writes_nothing(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    ran = asyncjob.run(server, "--destination", "out.jsonl", plan={"ends": "no_data"})
    assert ran.code == 0
    assert ran.last["state"] == "no_data"
    assert ran.last["records"] == 0
    assert ran.last["uris"] == []
    assert not (asyncjob.folder / "out.jsonl").exists()


def test_partial_writes_and_exits_3(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    ran = asyncjob.run(server, "--destination", "out.csv", plan={"ends": "partial", "rows": 2})
    assert ran.code == 3
    assert ran.last["state"] == "partial"
    size = (asyncjob.folder / "out.csv").stat().st_size
    said = f"partial: 2 records, {size} bytes; the API says: some rows were refused"
    assert ran.last["message"] == said
    assert f"asyncjob: {said}" in ran.stderr
    assert ran.last["records"] == 2
    assert len((asyncjob.folder / "out.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("ends", "state", "code"),
    [("failed", "failed", 4), ("cancelled", "cancelled", 4), ("expired", "timed_out", 5)],
)
def test_a_job_without_a_result_says_so(
    asyncjob: Asyncjob, server: FakeJobServer, ends: str, state: str, code: int
) -> None:
    ran = asyncjob.run(
        server, "--destination", "out.jsonl", plan={"ends": ends, "message": "disk full at row 7"}
    )
    assert ran.code == code
    assert ran.last["state"] == state
    assert ran.last["message"] == f"the job job-1 ended as {state}: disk full at row 7"
    assert ran.last["submission_id"] == "job-1"
    assert ran.last["raw_status"] == ends
    assert "disk full at row 7" in ran.stderr
    assert not (asyncjob.folder / "out.jsonl").exists()


def test_a_timeout_cancels_the_job_and_exits_5(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    ran = asyncjob.run(server, plan={"run_for": 3600}, status={**STATUS, "timeout": 1})
    assert ran.code == 5
    assert ran.last["state"] == "timed_out"
    assert ran.last["submission_id"] == "job-1"
    assert ran.last["message"]
    assert purposes(server) == ["submit", "cancel"]
    assert server.ledger.running() == 0


def test_without_a_destination_nothing_is_downloaded(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    ran = asyncjob.run(server, plan={"files": 2})
    assert ran.code == 0
    assert ran.last["state"] == "done"
    assert ran.last["target"] == ["/jobs/job-1/result/1", "/jobs/job-1/result/2"]
    assert "no --destination" in ran.last["message"]
    assert purposes(server) == ["submit"]


def test_text_output_gives_programs_paths_and_people_a_summary(
    asyncjob: Asyncjob, server: FakeJobServer
) -> None:
    job = asyncjob.define()
    written = asyncjob("run", job, "--base-url", server.url, "--destination", "out/x.jsonl")
    assert (written.code, written.stdout) == (0, "out/x.jsonl\n")
    assert "asyncjob: done: 3 records" in written.stderr
    one = asyncjob("run", job, "--base-url", server.url, "--destination", "out/x.jsonl", "--limit", "1")
    assert "asyncjob: done: 1 record, " in one.stderr
    for line in written.stderr.splitlines()[:-1]:
        assert re.match(r"\d\d:\d\d:\d\d UTC ", line), "all times are of one zone, which is said"
    told = asyncjob("run", job, "--base-url", server.url)
    assert (told.code, told.stdout) == (0, "/jobs/job-3/result/1\n")


def test_a_dash_sends_records_to_stdout(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    ran = asyncjob("run", asyncjob.define(), "--base-url", server.url, "--destination", "-", "--limit", "2")
    assert ran.code == 0, ran.stderr
    assert len([json.loads(line) for line in ran.stdout.splitlines()]) == 2


def test_a_dash_sends_raw_bytes_as_they_come(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    job = asyncjob.define(result={"target": "urls"})
    ran = asyncjob(
        "run", job, "--base-url", server.url, "--destination", "-", "--set", 'plan={"files": 2, "rows": 2}'
    )
    assert ran.code == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert len(lines) == 4
    assert lines[0] == lines[2]


def test_a_folder_takes_raw_files(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    ran = asyncjob.run(server, "--destination", "out/", plan={"files": 2}, result={"target": "urls"})
    assert ran.code == 0, ran.stderr
    assert ran.last["format"] == "raw"
    assert len(list((asyncjob.folder / "out").iterdir())) == 2


def test_the_status_answer_can_be_the_result(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    inline = {"from": "status", "format": "json", "select": {"id": "id", "rows": "rows"}}
    ran = asyncjob.run(server, "--destination", "out.jsonl", plan={"rows": 4}, result=inline)
    assert (ran.code, ran.last["records"], ran.last["state"]) == (0, 1, "done")
    assert (asyncjob.folder / "out.jsonl").read_text() == '{"id":"job-1","rows":4}\n'


def test_steps_lead_to_the_result(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    look = {"name": "look", "request": {"url": "/jobs/{{ submission_id }}"}, "capture": {"rows": "rows"}}
    request = {"url": "{{ download_target }}", "params": {"rows": "{{ captures.rows }}"}}
    steps = {"steps": [look], "target": "urls", "request": request, "format": "csv"}
    ran = asyncjob.run(server, "--destination", "o.csv", plan={"rows": 4, "files": 2}, result=steps)
    assert (ran.code, ran.last["records"], ran.last["submission_id"]) == (0, 4, "job-1")
    assert [entry.query for entry in server.ledger.entries("result")] == ["rows=4", "rows=4"]
    assert f"look: GET {server.url}/jobs/job-1 200" in ran.stderr


def test_limit_asks_for_no_page_that_it_does_not_need(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    request = {"url": "/jobs/{{ submission_id }}/rows", "params": {"limit": 10}}
    paged = {"format": "json", "records": "rows", "request": request, "paginate": {"next": "next"}}
    ran = asyncjob.run(server, "--destination", "o.jsonl", "--limit", "12", plan={"rows": 50}, result=paged)
    assert (ran.code, ran.last["records"]) == (0, 12)
    assert server.ledger.count("result") == 2
    ran = asyncjob.run(server, "--destination", "o.jsonl", plan={"rows": 50}, result=paged)
    assert (ran.code, ran.last["records"]) == (0, 50)
    assert server.ledger.count("result") == 2 + 5


def test_limit_bounds_the_records(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    ran = asyncjob.run(server, "--destination", "out.jsonl", "--limit", "2", plan={"rows": 50})
    assert ran.code == 0, ran.stderr
    assert ran.last["records"] == 2
    assert len((asyncjob.folder / "out.jsonl").read_text().splitlines()) == 2


def test_a_definition_without_a_result_says_the_state(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    ran = asyncjob.run(server, result=None)
    assert ran.code == 0
    assert ran.last["state"] == "done"
    assert ran.last["target"] == "job-1"


def test_the_names_of_a_run_have_sensible_values(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    names = ("ds", "ts", "run_id", "dag_id", "task_id", "map_index", "logical_date", "data_interval_end")
    text = " ".join(f"{name}={{{{ {name} }}}}" for name in names)
    submit = {**DEFINITION["submit"], "request": {"method": "POST", "url": "/jobs", "params": {"n": text}}}
    assert asyncjob.run(server, submit=submit).code == 0
    (sent,) = parse_qs(server.ledger.entries("submit")[0].query)["n"]
    given = dict(part.split("=", 1) for part in sent.split())
    assert given["dag_id"] == "cli"
    assert given["task_id"] == "test/generic"
    assert given["map_index"] == "-1"
    assert given["run_id"].startswith(f"cli__{given['ds']}T")
    assert given["ts"] == given["logical_date"] == given["data_interval_end"]
    assert given["ts"].startswith(given["ds"])
    assert given["ts"].endswith("+00:00")


def test_the_packaged_definition_of_sendgrid_runs(asyncjob: Asyncjob) -> None:
    fast = AsyncJob.load("sendgrid/contacts_export").to_dict()
    fast["status"] |= {"initial_wait": 0, "poll_wait": 0.1}
    with FakeJobServer("sendgrid", contacts=500, seconds=0.2) as server:
        ran = asyncjob(
            "run", asyncjob.write(fast), "--base-url", server.url, "--destination", "contacts.jsonl",
            "--output", "json", connection=json.dumps({"password": SENDGRID_KEY}),
        )  # fmt: skip
    assert ran.code == 0, ran.stderr
    assert ran.last["records"] == 500
    assert SENDGRID_KEY not in ran.stdout + ran.stderr


# Inputs --------------------------------------------------------------------------------

INPUTS: dict[str, Any] = {
    "rows": {"type": "integer"},
    "tag": {"type": "string", "default": "t"},
    "gzip": {"type": "boolean", "default": False},
    "words": {"type": "object", "default": {}},
}
SUBMIT = {
    "request": {"url": "/jobs", "json": {name: f"{{{{ inputs.{name} }}}}" for name in INPUTS}},
    "id": "id",
}


def test_set_reads_values_by_the_input_s_type(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    job = asyncjob.define(inputs=INPUTS, submit=SUBMIT)
    ran = asyncjob(
        "run", job, "--base-url", server.url, "--set", "rows=7", "--set", "tag=a=b", "--set", "gzip=true",
        "--set", 'words={"queued": "waiting"}',
    )  # fmt: skip
    assert ran.code == 0, ran.stderr
    sent = json.loads(server.ledger.entries("submit")[0].body)
    assert sent == {"rows": 7, "tag": "a=b", "gzip": True, "words": {"queued": "waiting"}}


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ((), ["inputs.rows: required"]),
        (("rows=seven",), ["inputs.rows: 'seven' is not a whole number (type integer); give it as 42"]),
        (
            ("rows=1", "tagg=x"),
            ["inputs.tagg: unknown input", "did you mean 'tag'", "gzip, rows, tag, words"],
        ),
        (("rows=1", "words=nojson"), ["inputs.words"]),
        (("rows",), ["--set rows: give it as NAME=VALUE"]),
        (("rows=1", "rows=2"), ["--set rows is given twice"]),
    ],
)
def test_wrong_inputs_are_told_before_anything_is_sent(
    asyncjob: Asyncjob, server: FakeJobServer, given: tuple[str, ...], messages: list[str]
) -> None:
    job = asyncjob.define(inputs=INPUTS, submit=SUBMIT)
    pairs = [word for pair in given for word in ("--set", pair)]
    ran = asyncjob.here("run", job, "--base-url", server.url, "--output", "json", *pairs)
    assert ran.code == 2
    assert ran.last["state"] == "error"
    assert ran.last["error"] == "InputError"
    for message in messages:
        assert message in ran.last["message"]
        assert message in ran.stderr
    assert server.ledger.count() == 0


# Usage --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sections", "message"),
    [
        (("--limit", "3"), {}, "--limit goes with --destination"),
        (("--limit", "0"), {}, "--limit"),
        (("--limit", "3", "--destination", "x"), {"result": {"target": "urls"}}, "--limit counts records"),
        (("--destination", "x.csv"), {"result": None}, "no section result"),
        (("--destination", "-"), {}, "both want stdout"),
        (("--destination", "x.csv"), {"result": {"target": "urls"}}, "format is raw"),
        (("--bogus",), {}, "No such option"),
        (("--base-url", "ftp://h"), {}, "--base-url: the address of the connection is no http or https"),
        (("--base-url", "https://me:s3cr3t@h"), {}, "--base-url: the address of the connection holds"),
    ],
)  # fmt: skip
def test_pointless_arguments_are_refused_before_anything_is_sent(
    asyncjob: Asyncjob,
    server: FakeJobServer,
    arguments: tuple[str, ...],
    sections: dict[str, Any],
    message: str,
) -> None:
    job = asyncjob.define(**sections)
    ran = asyncjob.here("run", job, "--base-url", server.url, "--output", "json", *arguments)
    assert ran.code == 2, ran.stderr
    assert message in ran.stderr
    assert message in ran.last["message"]
    assert ran.last["state"] == "error"
    assert "s3cr3t" not in ran.stdout + ran.stderr
    assert server.ledger.count() == 0


def test_a_missing_connection_is_explained(asyncjob: Asyncjob) -> None:
    ran = asyncjob("run", asyncjob.define(), "--output", "json")
    assert ran.code == 2
    assert ran.last["error"] == "ConnectionSetupError"
    assert "--base-url https://api.example.com" in ran.last["message"]
    assert "ASYNCJOB_CONN" in ran.stderr


@pytest.mark.parametrize(
    "connection", ["{not json s3cr3t", '{"hosst": "s3cr3t"}', '{"host": "ftp://s3cr3t"}']
)
def test_a_connection_that_cannot_be_read_is_told_without_its_text(
    asyncjob: Asyncjob, connection: str
) -> None:
    ran = asyncjob.here("run", asyncjob.define(), "--output", "json", connection=connection)
    assert ran.code == 2
    assert ran.last["message"].startswith("ASYNCJOB_CONN: ")
    assert "s3cr3t" not in ran.stdout + ran.stderr


def test_a_connection_without_a_host_needs_an_address(asyncjob: Asyncjob) -> None:
    ran = asyncjob.here("run", asyncjob.define(), "--output", "json", connection='{"login": "me"}')
    assert ran.code == 2
    assert "names no host" in ran.last["message"]
    assert "relative (/jobs): add the address of the API with --base-url" in ran.last["message"]


def test_a_definition_with_mistakes_is_refused(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    ran = asyncjob.run(
        server, cancel={"url": "/{{ nonsense }}"}, submit={"request": {"url": "/jobs"}, "id": "id", "idd": 1}
    )
    assert ran.code == 2
    assert "submit.idd" in ran.last["message"]
    assert "nonsense" in ran.last["message"]
    assert server.ledger.count() == 0


def test_a_definition_that_was_not_filled_in_is_refused(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    ran = asyncjob.run(server, submit={"request": {"url": "/jobs"}, "id": "FILL_IN_ID"})
    assert ran.code == 2
    assert "FILL_IN_ID was left by asyncjob new" in ran.last["message"]
    assert server.ledger.count() == 0


def test_an_undefined_value_is_told_by_its_field(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    submit = {"request": {"url": "/jobs", "json": {"tag": "{{ inputs.plan.missing }}"}}, "id": "id"}
    ran = asyncjob.run(server, submit=submit, plan={})
    assert ran.code == 2
    assert ran.last["error"] == "TemplateError"
    assert "missing" in ran.last["message"]
    assert server.ledger.count() == 0
