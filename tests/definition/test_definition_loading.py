"""Where definitions come from, and how the mistakes of a file are shown."""

from __future__ import annotations

import datetime
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.catalogue import packaged_names
from airflow_asyncjob.definition.problems import InvalidDefinition
from airflow_asyncjob.errors import DefinitionError

ORDERS = """\
version: 1
name: shop/orders
inputs:
  day: {type: datetime, format: "%Y-%m-%d"}
submit:
  request:
    url: /orders/exports
    json: {day: "{{ inputs.day }}"}
  id: id
status:
  request: {url: "/orders/exports/{{ submission_id }}"}
  path: state
  values: {running: [queued], done: [ready], failed: [broken]}
  unknown: running
result:
  target: file
"""


@pytest.fixture
def orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "orders.yaml"
    file.write_text(ORDERS)
    return file


def message_of(source: Any, **options: Any) -> str:
    with pytest.raises(DefinitionError) as caught:
        AsyncJob.load(source, **options)
    return str(caught.value)


def test_a_file_a_text_path_a_mapping_and_an_object_are_the_same(orders: Path) -> None:
    job = AsyncJob.load(orders)
    assert job.name == "shop/orders"
    assert job.submit is not None
    assert job.submit.request.method == "POST"
    assert AsyncJob.load("orders.yaml") == job
    assert AsyncJob.load(job.to_dict()) == job
    assert AsyncJob.load(job) == job
    assert AsyncJob(**job.to_dict()) == job


@pytest.mark.parametrize("suffix", ["yml", "YAML", "json"])
def test_other_suffixes(orders: Path, suffix: str) -> None:
    job = AsyncJob.load(orders)
    text = json.dumps(job.to_dict(), indent=1) if suffix == "json" else ORDERS
    other = orders.with_suffix(f".{suffix}")
    other.write_text(text)
    assert AsyncJob.load(other) == job


def test_a_byte_order_mark_is_passed_over(orders: Path) -> None:
    orders.write_bytes(b"\xef\xbb\xbf" + ORDERS.encode())
    assert AsyncJob.load(orders).name == "shop/orders"


def test_the_mistakes_of_a_file_are_shown_at_once_with_line_value_and_valid_values(orders: Path) -> None:
    orders.write_text(
        ORDERS.replace("  request:\n    url", "  reqest:\n    url")
        .replace("unknown: running", "unknown: ignore")
        .replace("{{ submission_id }}", "{{ captures.token }}")
    )
    assert message_of("orders.yaml").splitlines() == [
        "orders.yaml:5: submit.request: required: the request that creates the job (or steps, where one "
        "is not enough)",
        "orders.yaml:6: submit.reqest: unknown field; did you mean 'request'? "
        "Valid: request, steps, id, capture, upload, idempotency, on_uncertain",
        "orders.yaml:11: status.request.url: '/orders/exports/{{ captures.token }}': "
        "no section captures 'token'; Captured: none",
        "orders.yaml:14: status.unknown: 'ignore' is not one of: fail, running",
    ]


def test_the_mistakes_are_there_for_programs_too(orders: Path) -> None:
    orders.write_text(ORDERS.replace("unknown: running", "unknown: ignore"))
    with pytest.raises(InvalidDefinition) as caught:
        AsyncJob.load(orders)
    (problem,) = caught.value.problems
    assert problem.path == ("status", "unknown")


def test_the_mistakes_of_a_json_file_have_lines(orders: Path) -> None:
    data = AsyncJob.load(orders).to_dict()
    data["status"]["unknown"] = "ignore"
    text = json.dumps(data, indent=1)
    Path("orders.json").write_text(text)
    line = next(number for number, row in enumerate(text.splitlines(), 1) if "ignore" in row)
    assert (
        message_of("orders.json")
        == f"orders.json:{line}: status.unknown: 'ignore' is not one of: fail, running"
    )


def test_the_mistakes_of_a_mapping_and_of_an_object_have_paths(orders: Path) -> None:
    data = AsyncJob.load(orders).to_dict()
    data["status"]["values"]["done"] = ["queued"]
    said = "status.values.done: 'queued' is mapped to running and to done; a word means one state, once"
    assert message_of(data) == said
    with pytest.raises(DefinitionError) as caught:
        AsyncJob(**data)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "orders.yaml: the file is empty; a definition is a mapping of sections"),
        ("- submit\n", "orders.yaml:1: a definition is a mapping of sections, not a list"),
        ("submit\n", "orders.yaml:1: a definition is a mapping of sections, not text"),
        ("7\n", "orders.yaml:1: a definition is a mapping of sections, not a number"),
        ("null\n", "orders.yaml:1: a definition is a mapping of sections, not null"),
        ("submit: [\n", "orders.yaml:2: not valid YAML"),
        ("submit: 1\nsubmit: 2\n", "orders.yaml:2: the key 'submit' is given twice"),
    ],
)
def test_files_that_hold_no_definition(orders: Path, content: str, message: str) -> None:
    orders.write_text(content)
    assert message_of("orders.yaml").startswith(message)


def test_a_file_that_is_not_there(orders: Path) -> None:
    assert message_of("order.yaml") == "order.yaml: there is no such file"
    (orders.parent / "folder.yaml").mkdir()
    assert message_of("folder.yaml").startswith("folder.yaml: the file cannot be read: ")
    assert "a definition is a file that ends in .yaml, .yml, .json" in message_of(orders.with_suffix(".txt"))


def test_a_definition_is_whole_unless_it_may_be_part(orders: Path) -> None:
    data = AsyncJob.load(orders).to_dict()
    status_only = {"status": data["status"]}
    assert message_of(status_only) == "submit: required: the section that creates the job"
    assert AsyncJob.load(status_only, partial=True).submit is None
    assert message_of({"submit": data["submit"], "inputs": data["inputs"]}).startswith("status: required")
    assert "at least one of the sections submit, status, result" in message_of({}, partial=True)


def test_a_part_may_use_inputs_and_captures_that_others_declare() -> None:
    part = {
        "status": {
            "request": {"url": "/x/{{ inputs.a }}/{{ captures.b }}"},
            "path": "s",
            "values": {"done": "d"},
        }
    }
    assert AsyncJob.load(part, partial=True).status is not None
    with_inputs = {**part, "inputs": {"c": {}}}
    assert message_of(with_inputs, partial=True).endswith("there is no input 'a'; Declared: c")


def test_a_whole_definition_without_inputs_has_none(orders: Path) -> None:
    data = AsyncJob.load(orders).to_dict()
    del data["inputs"]
    assert message_of(data) == (
        "submit.request.json.day: '{{ inputs.day }}': there is no input 'day'; Declared: none"
    )


def test_packaged_definitions_load_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "sendgrid/contacts_export" in packaged_names()
    for name in packaged_names():
        job = AsyncJob.load(name)
        assert job.name == name
        assert job.description
        assert AsyncJob.load(job.to_dict()) == job


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sendgrid/contact_export", "did you mean 'sendgrid/contacts_export'"),
        ("sendgrid/contacts_export.txt", "did you mean 'sendgrid/contacts_export'"),
        ("zzzz", "Packaged: "),
        ("../../secrets", "Packaged: "),
        ("", "Packaged: "),
        ("submit: {}\nstatus: {}", "Packaged: "),
    ],
)
def test_an_unknown_name_lists_the_near_ones(name: str, hint: str) -> None:
    message = message_of(name)
    assert "is neither a file (.yaml, .yml, .json) nor the name of a packaged definition" in message
    assert hint in message
    assert "sendgrid/contacts_export" in message


def test_a_definition_never_changes(orders: Path) -> None:
    job = AsyncJob.load(orders)
    with pytest.raises(ValueError, match="frozen"):
        job.name = "other"  # type: ignore[misc]


def test_a_mapping_that_holds_itself_is_an_error() -> None:
    endless: dict[str, Any] = {}
    endless["request"] = {"json": endless}
    assert "nested more than 60 levels deep" in message_of({"submit": endless})


def test_validation_by_pydantic_says_the_same(orders: Path) -> None:
    data = AsyncJob.load(orders).to_dict()
    assert AsyncJob.model_validate(data) == AsyncJob.load(orders)
    data["status"]["unknown"] = "ignore"
    with pytest.raises(ValueError, match=r"status\.unknown: 'ignore' is not one of: fail, running"):
        AsyncJob.model_validate(data)


def test_mistakes_reach_another_process_as_their_message(orders: Path) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        AsyncJob.load({"submit": {}})
    arrived = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(arrived, DefinitionError)
    assert str(arrived) == str(caught.value)


def test_parts_of_a_definition_can_be_objects(orders: Path) -> None:
    whole = AsyncJob.load(orders)
    assert whole.submit is not None
    assert whole.status is not None
    made = AsyncJob(
        name=whole.name, inputs=whole.inputs, submit=whole.submit, status=whole.status, result=whole.result
    )
    assert made.to_dict() == {key: value for key, value in whole.to_dict().items() if key != "version"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": b"x"}, "name: a Python bytes is not a value that JSON can hold"),
        ({"inputs": {"a": {"default": {1, 2}}}}, "inputs.a.default: a Python set is not a value"),
        ({"description": float("nan"), "version": 1}, "description: nan is a number, not text"),
        ({"submit": object()}, "submit: a Python object is not a value"),
        ({7: 1}, "7: 7 is a number, and a key is text; write it in quotes"),
    ],
)
def test_python_values_that_no_file_holds(orders: Path, changes: dict[Any, Any], message: str) -> None:
    assert message in message_of({**AsyncJob.load(orders).to_dict(), **changes})


def test_a_timedelta_is_a_duration(orders: Path) -> None:
    data = AsyncJob.load(orders).to_dict()
    data["status"]["timeout"] = datetime.timedelta(hours=2)
    job = AsyncJob.load(data)
    assert job.to_dict()["status"]["timeout"] == 7200.0
