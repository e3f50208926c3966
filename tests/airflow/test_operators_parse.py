"""The operators and the sensor when a DAG is parsed: arguments, mistakes, what Airflow stores."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, ObjectStoragePath
from airflow.serialization.serialized_objects import DagSerialization

from airflow_asyncjob import AsyncJob, AsyncStatusSensor, AsyncSubmitOperator, ResultDownloadOperator
from airflow_asyncjob.errors import DefinitionError, InputError

SUBMIT: dict[str, Any] = {"task_id": "submit", "endpoint": "/jobs", "submission_id_path": "id"}
STATUS: dict[str, Any] = {
    "task_id": "wait",
    "submission_id": "7",
    "endpoint": "/jobs/{{ submission_id }}",
    "status_path": "status",
    "done_values": ["succeeded"],
}
FETCH: dict[str, Any] = {"task_id": "fetch", "target": "/jobs/7/result", "destination": "/tmp/rows.csv"}


def submit(**changed: Any) -> AsyncSubmitOperator:
    return AsyncSubmitOperator(**{"http_conn_id": "jobs", **SUBMIT, **changed})


def wait(**changed: Any) -> AsyncStatusSensor:
    return AsyncStatusSensor(**{"http_conn_id": "jobs", **STATUS, **changed})


def fetch(**changed: Any) -> ResultDownloadOperator:
    return ResultDownloadOperator(**{"http_conn_id": "jobs", "format": "csv", **FETCH, **changed})


def test_the_example_of_the_three_tasks() -> None:
    with DAG("three") as dag:
        first = AsyncSubmitOperator(
            task_id="submit",
            http_conn_id="sendgrid",
            endpoint="/v3/marketing/contacts/exports",
            json={"file_type": "csv"},
            submission_id_path="id",
        )
        second = AsyncStatusSensor(
            task_id="wait",
            http_conn_id="sendgrid",
            submission_id=first.output,
            endpoint="/v3/marketing/contacts/exports/{{ submission_id }}",
            status_path="status",
            running_values=["pending"],
            done_values=["ready"],
            failed_values=["failure"],
            download_target_path="urls",
            initial_wait=30,
            poll_wait=10,
            timeout=7200,
        )
        third = ResultDownloadOperator(
            task_id="fetch",
            http_conn_id="sendgrid",
            target=second.output,
            format="csv",
            destination="/tmp/contacts.parquet",
        )
    assert dag.get_task("wait").upstream_task_ids == {"submit"}
    assert dag.get_task("fetch").upstream_task_ids == {"wait"}
    assert first.definition.submit is not None
    assert first.definition.submit.request.method == "POST"
    assert second.definition.status is not None
    assert (second.definition.status.poll_wait, second.timeout, second.poke_interval) == (10, 7200, 10)
    assert third.multiple_outputs
    assert first.deferrable
    assert second.deferrable


def test_flat_arguments_override_a_definition() -> None:
    task = wait(job="sendgrid/contacts_export", endpoint="/elsewhere", done_values=["ready"], timeout="3h")
    status = task.definition.status
    assert status is not None
    assert status.request.url == "/elsewhere"
    assert status.timeout == 3 * 3600
    assert status.initial_wait == 30, "as the definition says"


def test_sections_are_laid_over_a_definition() -> None:
    cancel = {"method": "DELETE", "url": "/jobs/{{ submission_id }}"}
    task = AsyncSubmitOperator(
        task_id="t",
        job="sendgrid/contacts_export",
        http_conn_id="s",
        status={"timeout": 60, "initial_wait": 0},
        cancel=cancel,
    )
    assert task.definition.status is not None
    assert (task.definition.status.timeout, task.definition.status.poll_wait) == (60, 10)
    assert task.definition.cancel is not None


def test_a_definition_may_lie_beside_the_dag_file(tmp_path: Path) -> None:
    data = {
        "name": "beside",
        "submit": {"request": {"url": "/jobs"}, "id": "id"},
        "status": {"request": {"url": "/x"}, "path": "s", "values": {"done": ["d"]}},
    }
    (tmp_path / "beside.json").write_text(json.dumps(data))
    with DAG("d") as dag:
        dag.fileloc = str(tmp_path / "dag.py")
        task = AsyncSubmitOperator(task_id="t", job="beside.json", http_conn_id="c")
    assert task.definition.name == "beside"


class TestMistakes:
    """Found when the DAG is parsed, with the valid values."""

    @pytest.mark.parametrize(
        ("make", "arguments", "said"),
        [
            (submit, {"endpoint": "/jobs/{{ submission_id }}"}, "endpoint: .*'submission_id' is not known"),
            (submit, {"json": {"since": "{{ params.since }}"}}, r"json.since: .*'params'.*through inputs"),
            (submit, {"method": "FETCH"}, r"method: .*GET.*POST"),
            (submit, {"on_uncertain": "maybe"}, r"on_uncertain: .*resubmit.*fail"),
            (submit, {"form": {"a": 1}, "json": {}}, "one body"),
            (
                wait,
                {"done_values": ["x"], "failed_values": ["x"]},
                "mapped to done_values and to failed",
            ),
            (wait, {"unknown": "ignore"}, r"unknown: .*fail.*running"),
            (wait, {"poll_wait": "soon"}, "poll_wait: .*not a duration"),
            (wait, {"timeout": 5, "initial_wait": 10}, "initial_wait: 10 s is not before the end of timeout"),
            (wait, {"status_path": "a..b"}, "status_path: "),
            (wait, {"poll_wait": 3, "poke_interval": 4}, "poll_wait and poke_interval are the same"),
            (wait, {"longest_wait": 30, "max_wait": 40}, "longest_wait and max_wait are the same"),
            (fetch, {"format": "xlsx"}, r"format: .*raw.*json.*jsonl.*csv"),
            (fetch, {"destination": "/tmp/x.bin", "primary_key": "id"}, "primary_key would be ignored"),
            (fetch, {"destination": "/tmp/x.parquet", "format": "raw"}, "asks for parquet records"),
            (fetch, {"output_format": "avro"}, r"output_format 'avro' is not known: use one of raw, jsonl"),
            (fetch, {"types": {"a": "money"}}, r"types.a: .*string.*integer"),
        ],
    )
    def test_a_wrong_argument_is_named(
        self, make: Callable[..., BaseOperator], arguments: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(DefinitionError, match=said):
            make(**arguments)

    def test_all_of_them_are_shown_at_once(self) -> None:
        with pytest.raises(DefinitionError) as caught:
            wait(unknown="ignore", growth=0, headers={"X": "{{ nothing }}"})
        assert all(name in caught.value.message for name in ("unknown:", "growth:", "headers.X:"))

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (AsyncSubmitOperator, r"how to submit the job: give job=.*endpoint and submission_id_path"),
            (AsyncStatusSensor, r"how to ask for the status.*status_path, done_values"),
        ],
    )
    def test_nothing_that_describes_the_job(self, make: Callable[..., BaseOperator], said: str) -> None:
        arguments = {"submission_id": "7"} if make is AsyncStatusSensor else {}
        with pytest.raises(DefinitionError, match=said):
            make(task_id="t", http_conn_id="c", **arguments)

    def test_a_definition_without_the_section_of_the_task(self) -> None:
        partial = {"name": "half", "submit": {"request": {"url": "/jobs"}, "id": "id"}}
        with pytest.raises(DefinitionError, match="half has no section 'status'"):
            AsyncStatusSensor(task_id="t", http_conn_id="c", job=partial, submission_id="7")
        with pytest.raises(DefinitionError, match="half has no section 'result'"):
            ResultDownloadOperator(
                task_id="t", http_conn_id="c", job=partial, target="x", destination="/tmp/x"
            )

    def test_wait_for_completion_needs_a_status(self) -> None:
        with pytest.raises(DefinitionError, match="wait_for_completion needs to know how to ask"):
            submit(wait_for_completion=True)

    def test_no_connection(self) -> None:
        with pytest.raises(DefinitionError, match="no connection is named: give http_conn_id"):
            submit(http_conn_id=None)

    def test_the_output_of_a_task_inside_a_request(self) -> None:
        with DAG("d"):
            other = submit(task_id="other")
            with pytest.raises(DefinitionError, match="through inputs"):
                submit(json={"id": other.output})

    def test_inputs(self) -> None:
        job = {"inputs": {"n": {"type": "integer"}, "s": {"default": "x"}}, "submit": SUBMIT_SECTION}
        with pytest.raises(InputError) as caught:
            AsyncSubmitOperator(task_id="t", http_conn_id="c", job=job, inputs={"s": 1, "m": 2})
        said = caught.value.message
        assert "inputs.m: unknown input; Valid: n, s" in said
        assert "inputs.n: required, and not given" in said
        assert "inputs.s: 1 is a number, not text" in said
        AsyncSubmitOperator(task_id="t", http_conn_id="c", job=job, inputs={"n": "{{ params.n }}"})


SUBMIT_SECTION = {"request": {"url": "/jobs"}, "id": "id"}


def test_the_definitions_connection_is_used_where_the_task_names_none() -> None:
    job = {"connection": "theirs", "submit": SUBMIT_SECTION}
    assert AsyncSubmitOperator(task_id="a", job=job).http_conn_id == "theirs"
    assert AsyncSubmitOperator(task_id="b", job=job, http_conn_id="mine").http_conn_id == "mine"


def test_auth_is_of_the_request_or_of_the_definition() -> None:
    word = submit(auth="none").definition
    assert word.submit is not None
    assert (word.submit.request.auth, word.auth) == ("none", None)
    mapping = submit(auth={"type": "bearer"}).definition
    assert mapping.auth is not None
    assert mapping.auth.type == "bearer"


class TestWhatSensorsOfAirflowTake:
    """The usual arguments of a sensor keep their meaning."""

    def test_poke_interval_is_the_poll_wait(self) -> None:
        task = wait(poke_interval=timedelta(seconds=7))
        assert task.definition.status is not None
        assert task.definition.status.poll_wait == task.poke_interval == 7

    def test_a_job_that_never_starts_and_the_log_of_one_that_fails_are_arguments_too(self) -> None:
        task = wait(
            running_values=["queued", "running"],
            queued="queued",
            queue_timeout=timedelta(minutes=5),
            log={"request": {"url": "/jobs/{{ submission_id }}/log"}, "path": "lines"},
        )
        status = task.definition.status
        assert status is not None
        assert (status.queued, status.queue_timeout) == (("queued",), 300)
        assert status.log is not None
        assert status.log.path is not None
        assert task.log.name, "the task's own logger is another thing"

    def test_timeout_takes_a_timedelta_and_is_not_seven_days(self) -> None:
        assert wait(timeout=timedelta(minutes=5)).timeout == 300
        assert wait().timeout == 86400

    def test_exponential_backoff_and_max_wait(self) -> None:
        status = wait(exponential_backoff=True, max_wait=timedelta(minutes=4)).definition.status
        assert status is not None
        assert (status.growth, status.longest_wait) == (2.0, 240)

    def test_silent_fail_never_runs_out_of_polls(self) -> None:
        status = wait(silent_fail=True).definition.status
        assert status is not None
        assert status.poll_error_budget >= 10**9

    def test_mode_and_soft_fail(self) -> None:
        task = wait(deferrable=False, mode="reschedule", soft_fail=True)
        assert (task.reschedule, task.soft_fail, task.deferrable) == (True, True, False)
        with pytest.raises(ValueError, match="mode must be one of"):
            wait(mode="later")

    def test_default_args_of_a_dag(self) -> None:
        with DAG("d", default_args={"poke_interval": 9, "retries": 4, "http_conn_id": "jobs"}):
            task = AsyncStatusSensor(**STATUS)
        assert task.definition.status is not None
        assert (task.definition.status.poll_wait, task.retries) == (9, 4)


def test_airflow_stores_the_dag_and_shows_its_links() -> None:
    with DAG("stored") as dag:
        submit() >> wait() >> fetch()
    stored = DagSerialization.to_dict(dag)
    assert json.dumps(stored) == json.dumps(DagSerialization.to_dict(dag))
    again = DagSerialization.from_dict(stored)
    links = {task.task_id: [link.name for link in task.operator_extra_links] for task in again.tasks}
    assert links == {
        name: ["Async job", "Job at the remote", "Result"] for name in ("submit", "wait", "fetch")
    }
    assert again.get_task("fetch").template_fields == FETCH_FIELDS


FETCH_FIELDS = ["http_conn_id", "inputs", "target", "submission_id", "destination"]


def test_a_destination_may_be_an_object_storage_path() -> None:
    task = fetch(destination=ObjectStoragePath("file:///tmp/rows.parquet"))
    assert isinstance(task.destination, ObjectStoragePath)
    with pytest.raises(DefinitionError, match="asks for parquet records"):
        fetch(destination=ObjectStoragePath("file:///tmp/rows.parquet"), format="raw")


def test_a_destination_may_be_a_path_object_with_templates() -> None:
    assert (
        fetch(destination=Path("/tmp") / "{{ ds }}" / "rows.parquet").destination
        == "/tmp/{{ ds }}/rows.parquet"
    )
    with pytest.raises(DefinitionError, match="asks for parquet records"):
        fetch(destination=Path("/tmp/rows.parquet"), format="raw")


def test_raw_bytes_need_no_description() -> None:
    task = ResultDownloadOperator(task_id="t", http_conn_id="c", target="/x", destination="/tmp/files/")
    assert task.definition.result is not None
    assert task.definition.result.format == "raw"


def test_operators_can_be_mapped_one_by_one() -> None:
    with DAG("mapped") as dag:
        made = AsyncSubmitOperator.partial(**SUBMIT, http_conn_id="jobs", json="{{ inputs.plan }}").expand(
            inputs=[{"plan": {"rows": n}} for n in range(3)]
        )
        waited = AsyncStatusSensor.partial(
            **{name: value for name, value in STATUS.items() if name != "submission_id"}, http_conn_id="jobs"
        ).expand(submission_id=made.output)
        ResultDownloadOperator.partial(
            task_id="fetch", http_conn_id="jobs", format="csv", destination="/tmp/{{ map_index }}.csv"
        ).expand(target=waited.output)
    assert DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("wait").is_mapped
    one = made.unmap({"inputs": {"plan": {"rows": 1}}})
    assert isinstance(one, AsyncSubmitOperator)
    assert one.definition.submit is not None


def test_a_definition_object_is_taken_as_it_is() -> None:
    job = AsyncJob.load("sendgrid/contacts_export")
    task = AsyncSubmitOperator(task_id="t", job=job, http_conn_id="c")
    assert task.definition.to_dict() == job.to_dict()
