"""Flat arguments and a definition are one schema, and a mistake is called by the argument's name."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.flat import (
    RESULT_ARGUMENTS,
    STATUS_ARGUMENTS,
    SUBMIT_ARGUMENTS,
    UNSET,
    Section,
    override,
    result_section,
    status_section,
    submit_section,
)
from airflow_asyncjob.definition.problems import InvalidDefinition

JOB = AsyncJob.load(
    {
        "name": "a/b",
        "inputs": {"day": {}},
        "submit": {
            "request": {"url": "/jobs", "json": {"day": "{{ inputs.day }}"}, "headers": {"A": "b"}},
            "id": "id",
            "capture": {"token": "t"},
        },
        "status": {
            "request": {"url": "/jobs/{{ submission_id }}", "params": {"f": "json"}},
            "path": "state",
            "values": {"running": ["r"], "done": ["d"], "failed": ["f"]},
            "poll_wait": 10,
        },
        "result": {"target": "url", "format": "csv", "types": {"a": "integer"}},
        "cancel": {"method": "DELETE", "url": "/jobs/{{ submission_id }}"},
    }
)


FLAT_STATUS = {"endpoint": "/x", "status_path": "s", "done_values": "d"}


def changed(section: Section, **flat: Any) -> dict[str, Any]:
    return override(JOB, section, flat).to_dict()


def mistakes(job: AsyncJob | None, section: Section, **flat: Any) -> list[str]:
    with pytest.raises(InvalidDefinition) as caught:
        override(job, section, flat)
    return str(caught.value).splitlines()


def test_arguments_alone_make_the_same_as_sections() -> None:
    flat = override(
        None,
        "submit",
        {
            "endpoint": "/jobs",
            "method": "put",
            "query_params": {"a": 1},
            "headers": {"B": "c"},
            "xml": "<a/>",
            "response": "xml",
            "auth": "none",
            "submission_id_path": "/Ack/Id",
            "captures": {"x": {"header": "X"}},
            "on_uncertain": "fail",
        },
    )
    request = {
        "url": "/jobs",
        "method": "PUT",
        "params": {"a": 1},
        "headers": {"B": "c"},
        "xml": "<a/>",
        "response": "xml",
        "auth": "none",
    }
    sections = {
        "request": request,
        "id": "/Ack/Id",
        "capture": {"x": {"header": "X"}},
        "on_uncertain": "fail",
    }
    assert flat == AsyncJob.load({"submit": sections}, partial=True)


def test_every_argument_of_a_waiting_task_has_its_place() -> None:
    values = {
        state: [state]
        for state in ("running", "done", "no_data", "partial", "failed", "timed_out", "cancelled")
    }
    job = override(
        None,
        "status",
        {
            "endpoint": "/x/{{ submission_id }}",
            "status_path": "s",
            **{f"{state}_values": words for state, words in values.items()},
            "rules": [{"when": "code == 303", "state": "done"}],
            "unknown": "running",
            "unknown_times": 3,
            "message_path": "m",
            "log": {"request": {"url": "/x/log"}, "path": "l"},
            "progress_path": "p",
            "expires_at_path": "e",
            "captures": {"c": "c"},
            "initial_wait": "5s",
            "poll_wait": "0.5s",
            "growth": 2,
            "longest_wait": "1m",
            "jitter": 0.5,
            "timeout": "1h",
            "queued": "running",
            "queue_timeout": "10m",
            "poll_error_budget": 7,
            "download_target_path": "u",
            "result_request": {"url": "/r/{{ download_target }}"},
            "cancel": {"method": "POST", "url": "/x/cancel"},
        },
    )
    assert job.to_dict() == {
        "status": {
            "request": {"url": "/x/{{ submission_id }}"},
            "path": {"path": "s"},
            "values": values,
            "rules": [{"when": "code == 303", "state": "done"}],
            "unknown": "running",
            "unknown_times": 3,
            "message": {"path": "m"},
            "log": {"request": {"url": "/x/log"}, "path": {"path": "l"}},
            "progress": {"path": "p"},
            "expires_at": {"path": "e"},
            "capture": {"c": {"path": "c"}},
            "initial_wait": 5.0,
            "poll_wait": 0.5,
            "growth": 2.0,
            "longest_wait": 60.0,
            "jitter": 0.5,
            "timeout": 3600.0,
            "queued": ["running"],
            "queue_timeout": 600.0,
            "poll_error_budget": 7,
        },
        "result": {"target": {"path": "u"}, "request": {"url": "/r/{{ download_target }}"}},
        "cancel": {"method": "POST", "url": "/x/cancel"},
    }


def test_every_argument_of_a_download_has_its_place() -> None:
    job = override(
        None,
        "result",
        {
            "endpoint": "/r/{{ download_target }}",
            "format": "json",
            "records_path": "data.items",
            "select": {"id": "id", "n": "name"},
            "types": {"id": "integer"},
            "primary_key": "id",
            "paginate": {"next": "n"},
            "delete": {"method": "DELETE", "url": "/x"},
        },
    )
    assert job.to_dict() == {
        "result": {
            "request": {"url": "/r/{{ download_target }}"},
            "format": "json",
            "records": "data.items",
            "select": {"id": "id", "n": "name"},
            "types": {"id": "integer"},
            "primary_key": ["id"],
            "paginate": {"next": {"path": "n"}},
        },
        "delete": {"method": "DELETE", "url": "/x"},
    }


@pytest.mark.parametrize("section", get_args(Section))
def test_what_is_not_given_changes_nothing(section: Section) -> None:
    arguments = {"submit": SUBMIT_ARGUMENTS, "status": STATUS_ARGUMENTS, "result": RESULT_ARGUMENTS}[section]
    assert override(JOB, section, dict.fromkeys(arguments, UNSET)) == JOB
    assert override(JOB, section, {}) == JOB
    assert not UNSET
    assert repr(UNSET) == "UNSET"


def test_how_records_are_read_can_be_said_by_arguments() -> None:
    given = {
        "format": "csv",
        "encoding": "cp1252",
        "csv": {"delimiter": ";", "header": ["a", "b"]},
        "member": "*.csv",
        "snake_case": True,
        "infer": True,
        "transform": "shop.clean:price",
        "primary_key": ["a"],
        "drop_duplicates": True,
    }
    result = changed("result", **given)["result"]
    assert {name: result[name] for name in given} == given
    said = mistakes(JOB, "result", drop_duplicates=True, csv={"quote": "xx"})
    assert said[0].startswith("csv.quote: 'xx' is not one ASCII character")


def test_an_argument_replaces_its_field_and_no_other() -> None:
    after = changed("status", done_values=["d", "D"], poll_wait="1m", query_params={"g": 1})
    before = JOB.to_dict()
    before["status"]["values"]["done"] = ["d", "D"]
    before["status"]["poll_wait"] = 60.0
    before["status"]["request"]["params"] = {"g": 1}
    assert after == before


def test_a_body_replaces_a_body_of_another_kind() -> None:
    request = changed("submit", form={"a": "b"})["submit"]["request"]
    assert request == {"url": "/jobs", "headers": {"A": "b"}, "form": {"a": "b"}, "method": "POST"}
    assert changed("submit", json=None)["submit"]["request"]["json"] is None


def test_files_are_sent_and_steps_are_taken_by_arguments() -> None:
    request = changed("submit", file="{{ inputs.day }}.csv")["submit"]["request"]
    assert request == {
        "url": "/jobs",
        "headers": {"A": "b"},
        "file": "{{ inputs.day }}.csv",
        "method": "POST",
    }
    request = changed("submit", multipart={"a": "b", "f": {"file": "/x"}})["submit"]["request"]
    assert request["multipart"] == {"a": {"text": "b"}, "f": {"file": "/x"}}
    assert "json" not in request
    step = {"name": "go", "request": {"url": "/go"}}
    by_steps = override(JOB, "submit", {"steps": [step]})
    assert by_steps.submit is not None
    assert (by_steps.submit.request, len(by_steps.submit.steps or ())) == (None, 1)
    again = override(by_steps, "submit", {"endpoint": "/jobs"}).submit
    assert again is not None
    assert again.steps is None
    assert mistakes(JOB, "submit", file="a", json=1)[0].startswith("submit.request: a request has one body")
    assert mistakes(JOB, "submit", steps=[step], endpoint="/x")[0].startswith("submit: give either ")
    assert mistakes(None, "status", **FLAT_STATUS, secret=True)[0].startswith("secret: would be ignored: ")


def test_a_download_can_be_described_whole_by_arguments() -> None:
    steps = [{"name": "list", "request": {"url": "/l/{{ submission_id }}"}, "capture": {"x": "x"}}]
    taken = override(None, "result", {"steps": steps, "target_path": "files[].url", "format": "csv"})
    assert taken.result is not None
    assert taken.result.target is not None
    assert len(taken.result.steps or ()) == 1
    status = {"request": {"url": "/s/{{ submission_id }}"}, "path": "s", "values": {"done": "d"}}
    inline = override(None, "result", {"result_from": "status", "format": "json"}, {"status": status})
    assert inline.result is not None
    assert inline.result.from_ == "status"
    (line,) = mistakes(None, "result", result_from="status")
    assert line.startswith("result_from: ")


def test_a_mapping_replaces_a_mapping_whole() -> None:
    assert changed("submit", captures={"x": "y"})["submit"]["capture"] == {"x": {"path": "y"}}
    assert changed("submit", json={"x": 1})["submit"]["request"]["json"] == {"x": 1}
    assert changed("status", cancel={"method": "POST"})["cancel"] == {"method": "POST"}
    assert changed("status", status_path={"header": "X-State"})["status"]["path"] == {"header": "X-State"}


def test_the_names_of_a_definition_are_still_checked() -> None:
    assert mistakes(JOB, "submit", endpoint="/{{ inputs.dai }}") == [
        "endpoint: '/{{ inputs.dai }}': there is no input 'dai'; did you mean 'day'? Declared: day"
    ]
    assert mistakes(JOB, "submit", captures={}, json={"a": "{{ captures.token }}"})[0].startswith("json.a: ")
    (line,) = mistakes(JOB, "status", endpoint="/{{ captures.tokn }}")
    assert line.startswith(
        "endpoint: '/{{ captures.tokn }}': no section captures 'tokn'; did you mean 'token'?"
    )


@pytest.mark.parametrize(
    ("section", "flat", "lines"),
    [
        ("submit", {"endpoint": "/x"}, ["submission_id_path: required: Where the submission ID lies"]),
        ("submit", {"submission_id_path": "id"}, ["submit.request: required"]),
        (
            "submit",
            {"endpoint": 5, "submission_id_path": "a[", "on_uncertain": "maybe"},
            ["endpoint: 5 is a number, not text", "on_uncertain: 'maybe' is not one of: resubmit, fail",
             "submission_id_path: 'a[' is not a JMESPath"],
        ),
        (
            "submit",
            {"endpoint": "/{{ params.x }}", "submission_id_path": "id"},
            ["endpoint: '/{{ params.x }}': 'params' is not a name of this package; pass its value"],
        ),
        (
            "submit",
            {"endpoint": "/x", "json": {"a": 1}, "form": {"b": 2}, "submission_id_path": "id"},
            ["submit.request: a request has one body, and json and form are given"],
        ),
        (
            "submit",
            {"endpoint": "/x", "json": {"a": object()}, "submission_id_path": "id"},
            ["json.a: a Python object is not a value that JSON can hold"],
        ),
        (
            "submit",
            {"endpoint": "/x", "submission_id_path": "id", "captures": {"a": {"pth": "x"}}},
            ["captures.a.pth: unknown field; did you mean 'path'?"],
        ),
        ("submit", {"endpont": "/x"}, ["endpont: unknown argument; did you mean 'endpoint'? Valid: "]),
        (
            "status",
            {"endpoint": "/x", "status_path": "s", "running_values": "a", "done_values": ["a", "b"]},
            ["done_values: 'a' is mapped to running_values and to done_values; a word means one"],
        ),
        (
            "status",
            {"endpoint": "/x", "status_path": "s"},
            ["done_values: required: status_path is given, and no word is mapped to a state"],
        ),
        (
            "status",
            {"endpoint": "/x", "done_values": ["d"]},
            ["status_path: required: done_values are mapped"],
        ),
        ("status", {"endpoint": "/x"}, ["status: give status_path with done_values, or rules, so that"]),
        (
            "status",
            {"endpoint": "/x", "status_path": "s", "done_values": None},
            ["done_values: is null; give the API's word or a list of words"],
        ),
        (
            "status",
            {"endpoint": "/x", "status_path": "s", "done_values": "d", "poll_wait": "soon", "jitter": -1},
            ["jitter: -1 is less than 0", "poll_wait: 'soon' is not a duration"],
        ),
        (
            "status",
            {"endpoint": "/x", "status_path": "s", "done_values": "d", "initial_wait": "2h", "timeout": "1h"},
            ["initial_wait: 7200 s is not before the end of timeout (3600 s)"],
        ),
        (
            "status",
            {"endpoint": "/x", "rules": [{"when": "inputs.a", "state": "done"}]},
            ["rules[0].when: 'inputs.a': 'inputs' is not known in an answer"],
        ),
        (
            "status",
            {"endpoint": "/x", "status_path": "s", "done_values": ["d"], "cancel": {"url": "/x"}},
            ["cancel.method: required: a cancel is sent by POST or DELETE"],
        ),
        (
            "status",
            {"endpoint": "/x", "status_path": "s", "done_values": ["d"], "result_request": {"ulr": "/x"}},
            ["result_request.ulr: unknown field; did you mean 'url'?"],
        ),
        (
            "result",
            {"select": {"a": "b["}, "primary_key": "z"},
            ["select: would be ignored, since format is raw", "primary_key: would", "select.a: 'b[' is not"],
        ),
        ("result", {"format": "json", "records_path": "a[0]"}, ["records_path: 'a[0]' is not a dotted path"]),
        ("result", {"format": "xls"}, ["format: 'xls' is not one of: raw, json, jsonl, csv"]),
    ],
)  # fmt: skip
def test_mistakes_are_called_by_the_names_of_the_arguments(
    section: Section, flat: Any, lines: list[str]
) -> None:
    said = mistakes(None, section, **flat)
    for line in lines:
        assert any(message.startswith(line) for message in said), said


@pytest.mark.parametrize(
    ("make", "arguments", "wrong"),
    [
        (submit_section, {"endpoint": "/x", "submission_id_path": "id"}, "status_path"),
        (status_section, {"endpoint": "/x", "cancel": {"url": "/y"}}, "submission_id_path"),
        (result_section, {"format": "csv", "delete": {"url": "/y"}}, "done_values"),
    ],
)
def test_the_arguments_of_one_task_are_not_those_of_another(
    make: Any, arguments: dict[str, Any], wrong: str
) -> None:
    assert set(make(**arguments, method=UNSET)) <= {"submit", "status", "result", "cancel", "delete"}
    with pytest.raises(InvalidDefinition, match=rf"^{wrong}: unknown argument; "):
        make(**arguments, **{wrong: "x"})
