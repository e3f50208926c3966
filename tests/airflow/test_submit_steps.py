"""A submit by steps in a task: a retry carries on, a clear says what it leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException

from airflow_asyncjob import AsyncSubmitOperator
from airflow_asyncjob.errors import UncertainError
from tests.airflow.in_process import Worker
from tests.cli.imports_api import DEFINITION, Imports, running_imports


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Imports]:
    with running_imports() as (api, url):
        monkeypatch.setenv("AIRFLOW_CONN_IMPORTS", url.replace("//", "//ann:open-sesame@"))
        yield api


def worker(**task: Any) -> Worker:
    with DAG("d", schedule=None) as dag:
        AsyncSubmitOperator(
            task_id="submit",
            job={**DEFINITION, "limits": {"retries": 0}},
            http_conn_id="imports",
            inputs={"parts": ["one", "two"]},
            **task,
        )
    return Worker(dag)


def test_a_retry_carries_on_with_the_step_that_was_not_done(imports: Imports) -> None:
    tried = worker()
    imports.answers = {"POST /imports/7/start": 503}
    with pytest.raises(UncertainError, match="The step 'start' of the submit did not work"):
        tried.run("submit")
    assert imports.lines == ["POST /imports", "PUT /bucket/7", "PUT /bucket/7", "POST /imports/7/start"]
    imports.answers = {}
    assert tried.run("submit") == "7"
    assert imports.lines[4:] == ["POST /imports/7/start"]
    keys = [asked.headers["idempotency-key"] for asked in imports.asked if asked.path.endswith("start")]
    assert keys[0] == keys[1]
    assert tried.xcoms["submit", "submission"]["captures"] == {}


def test_a_clear_begins_with_the_first_step_and_says_what_is_left(
    imports: Imports, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = worker(retries=2)
    imports.answers = {"POST /imports/7/start": 503}
    with pytest.raises(UncertainError):
        tried.run("submit")
    imports.answers = {}
    task, context = tried.prepared("submit")
    context["ti"].max_tries = 5  # as a clear sets it
    assert task.execute(context) == "7"
    assert imports.lines[4:6] == ["POST /imports", "PUT /bucket/7"]
    says = "cleared between the steps of a submit, and begins with the first again. What was done"
    log = capsys.readouterr().out
    assert says in log
    assert "create, upload" in log


def test_a_kill_between_the_steps_says_what_is_done_and_a_retry_carries_on(imports: Imports) -> None:
    tried = worker()
    task, context = tried.prepared("submit")
    imports.meanwhile = lambda line: task.on_kill() if line.startswith("PUT ") else None
    with pytest.raises(AirflowException) as caught:
        task.execute(context)
    assert str(caught.value) == (
        "Airflow ended this task between the steps of the submit. What was done (create, 1 item of upload) "
        "is left at the API: a retry of the task carries on after it; without the ID of a submission no "
        "cancel can be sent"
    )
    assert imports.lines == ["POST /imports", "PUT /bucket/7"]
    imports.meanwhile = lambda line: None
    assert tried.run("submit") == "7"
    assert imports.lines[2:] == ["PUT /bucket/7", "POST /imports/7/start"]
    assert json.loads(imports.asked[-1].body) == {"tags": ["tag-one", "tag-two"]}
