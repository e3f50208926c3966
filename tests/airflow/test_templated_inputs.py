"""Inputs that come from templates: Airflow renders them to text, and the definition says what they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_asyncjob import AsyncSubmitOperator
from airflow_asyncjob.testing import FakeJobServer
from tests.airflow.in_process import Worker

DEFINITION = {
    "inputs": {
        "n": {"type": "integer", "default": 0},
        "share": {"type": "number", "default": 0},
        "full": {"type": "boolean", "default": False},
        "segments": {"type": "list", "default": []},
        "filter": {"type": "object", "default": {}},
        "day": {"type": "datetime", "format": "%Y%m%d", "default": None},
        "name": {"default": ""},
    },
    "submit": {"request": {"url": "/jobs", "json": {"message": "{{ inputs | tojson }}"}}, "id": "id"},
}
PARAMS = {
    "n": 7,
    "share": 0.5,
    "full": True,
    "segments": ["a", "b'c"],
    "filter": {"since": None, "deep": [1]},
    "day": "2026-01-31",
    "name": "007",
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    with FakeJobServer("generic") as server:
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "http", "host": server.url}))
        yield server


def resolved(inputs: Any, *, native: bool = False) -> dict[str, Any]:
    """Return the inputs that a task works with."""
    with DAG("d", render_template_as_native_obj=native) as dag:
        AsyncSubmitOperator(task_id="t", http_conn_id="shop", job=DEFINITION, inputs=inputs)
    task, context = Worker(dag, params=PARAMS).prepared("t")
    found: dict[str, Any] = task._situation(context).inputs
    return found


@pytest.mark.parametrize("native", [False, True])
def test_the_text_of_a_template_is_read_as_the_declared_type(native: bool) -> None:
    names = [name for name in PARAMS if not (native and name == "name")]  # native: 007 is a number already
    given = {name: f"{{{{ params.{name} }}}}" for name in names}
    expected = {**PARAMS, "day": "20260131", "name": PARAMS["name"] if not native else ""}
    assert resolved(given, native=native) == expected
    assert {type(value) for value in resolved(given, native=native).values()} == {
        int,
        float,
        bool,
        list,
        dict,
        str,
    }


def test_json_is_read_too() -> None:
    given = {name: f"{{{{ params.{name} | tojson }}}}" for name in ("n", "full", "segments", "filter")}
    assert resolved(given)["filter"] == PARAMS["filter"]
    assert resolved(given)["full"] is True


@pytest.mark.parametrize("template", ["{{ params }}", "{{ params | tojson }}"])
def test_one_template_may_give_all_inputs(template: str) -> None:
    assert resolved(template) == {**PARAMS, "day": "20260131"}


@pytest.mark.parametrize(
    ("name", "rendered", "message"),
    [
        ("n", "7.5", "'7.5' is not a whole number"),
        ("n", "None", "'None' is not a whole number"),
        ("share", "a half", "'a half' is not a number"),
        ("full", "yes", "'yes' is not true or false"),
        ("segments", "a,b", "'a,b' is not a list"),
        ("segments", "{'a': 1}", "is not a list"),
        ("filter", "since", "'since' is not a mapping"),
        ("filter", "[" * 9000, "is not a mapping"),
    ],
)
def test_a_text_of_something_else_names_what_helps(name: str, rendered: str, message: str) -> None:
    with DAG("d") as dag:
        AsyncSubmitOperator(task_id="t", http_conn_id="shop", job=DEFINITION, inputs={name: "{{ params.x }}"})
    with pytest.raises(AirflowFailException) as caught:
        Worker(dag, params={"x": rendered}).run("t")
    said = str(caught.value)
    assert said.startswith(f"inputs.{name}: ")
    assert message in said
    assert "It comes from a template" in said
    assert "render_template_as_native_obj=True" in said
    assert "| tojson" in said


def test_a_template_for_all_inputs_that_gives_no_mapping_names_what_helps() -> None:
    with DAG("d") as dag:
        AsyncSubmitOperator(task_id="t", http_conn_id="shop", job=DEFINITION, inputs="{{ params.name }}")
    with pytest.raises(AirflowFailException, match=r"inputs: '007' is not a mapping.*native_obj=True"):
        Worker(dag, params=PARAMS).run("t")


def test_what_another_task_returned_is_data_and_keeps_its_type(server: FakeJobServer) -> None:
    with DAG("d") as dag:
        first = AsyncSubmitOperator(task_id="first", http_conn_id="shop", job=DEFINITION)
        AsyncSubmitOperator(task_id="t", http_conn_id="shop", job=DEFINITION, inputs=first.output)
    worker = Worker(dag)
    worker.xcoms["first", "return_value"] = {"n": "7"}
    with pytest.raises(AirflowFailException, match=r"inputs.n: '7' is text, not a whole number"):
        worker.run("t")
    assert server.ledger.accepted() == 0


def test_a_job_is_submitted_with_them(server: FakeJobServer) -> None:
    with DAG("d") as dag:
        AsyncSubmitOperator(
            task_id="t", http_conn_id="shop", job=DEFINITION, inputs={"segments": "{{ params.segments }}"}
        )
    assert Worker(dag, params=PARAMS).run("t")
    assert server.ledger.accepted() == 1
