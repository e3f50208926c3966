"""async_job when a DAG is parsed: the group, mapped groups, mistakes."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, TaskGroup
from airflow.sdk.definitions.taskgroup import MappedTaskGroup
from airflow.serialization.serialized_objects import DagSerialization

from airflow_asyncjob import async_job
from airflow_asyncjob.errors import DefinitionError, InputError

OGC: dict[str, Any] = {"job": "ogc/process", "http_conn_id": "ogc"}
ONE = {"process_id": "echo"}
TWO = {"process_id": "reverse"}


def shape(dag: DAG) -> dict[str, set[str]]:
    return {task.task_id: task.upstream_task_ids for task in dag.tasks}


def test_one_call_is_one_group_of_three_tasks() -> None:
    with DAG("d") as dag:
        group = async_job(
            job="sendgrid/contacts_export", http_conn_id="sendgrid", destination="/tmp/{{ ds }}.csv"
        )
    assert isinstance(group, TaskGroup)
    name = "sendgrid_contacts_export"
    assert group.group_id == name
    assert group.tooltip.startswith("All contacts")
    assert shape(dag) == {
        f"{name}.submit": set(),
        f"{name}.wait": {f"{name}.submit"},
        f"{name}.fetch": {f"{name}.wait"},
    }
    assert group["fetch"].output["uris"].operator is dag.get_task(f"{name}.fetch")


def test_without_a_destination_nothing_is_fetched() -> None:
    with DAG("d") as dag:
        async_job(**OGC, inputs=ONE, group_id="job")
    assert set(shape(dag)) == {"job.submit", "job.wait"}


def test_two_groups_of_a_job_have_two_names() -> None:
    with DAG("d") as dag:
        async_job(**OGC, inputs=ONE)
        async_job(**OGC, inputs=ONE)
    assert set(shape(dag)) == {
        "ogc_process.submit",
        "ogc_process.wait",
        "ogc_process__1.submit",
        "ogc_process__1.wait",
    }


def test_groups_follow_other_tasks() -> None:
    with DAG("d") as dag:
        async_job(**OGC, inputs=ONE, group_id="a") >> async_job(**OGC, inputs=ONE, group_id="b")
    assert dag.get_task("b.submit").upstream_task_ids == {"a.wait"}


def test_arguments_reach_their_tasks() -> None:
    with DAG("d") as dag:
        async_job(
            **OGC,
            inputs=ONE,
            destination="/tmp/result.json",
            group_id="job",
            timeout="1h",
            poll_wait=3,
            soft_fail=True,
            skip_on_no_data=True,
            retries=4,
            submit={"retries": 1},
            wait={"pool": "waiting"},
            fetch={"queue": "big"},
        )
    submit, wait, fetch = (dag.get_task(f"job.{name}") for name in ("submit", "wait", "fetch"))
    assert [task.retries for task in (submit, wait, fetch)] == [1, 4, 4]
    assert (submit.pool, wait.pool, fetch.queue) == ("default_pool", "waiting", "big")
    assert (wait.timeout, wait.poke_interval, wait.soft_fail) == (3600, 3, True)
    assert fetch.skip_on_no_data


def test_the_interval_may_be_called_as_sensors_call_it() -> None:
    with DAG("d", default_args={"timeout": 900}) as dag:
        async_job(**OGC, inputs=ONE, group_id="job", poke_interval=timedelta(seconds=7))
    wait = dag.get_task("job.wait")
    assert wait.definition.status.poll_wait == wait.poke_interval == 7
    assert wait.timeout == 900, "default_args count for what the group leaves open"


def test_a_group_that_does_not_defer() -> None:
    with DAG("d") as dag:
        async_job(**OGC, inputs=ONE, group_id="job", deferrable=False, mode="reschedule")
    assert not dag.get_task("job.submit").deferrable
    assert dag.get_task("job.wait").reschedule


def test_a_mapped_group_is_mapped_as_a_whole() -> None:
    with DAG("d") as dag:
        group = async_job.partial(**OGC, destination="/tmp/{{ map_index }}.json", group_id="jobs").expand(
            inputs=[{"process_id": "a"}, {"process_id": "b"}]
        )
    assert isinstance(group, MappedTaskGroup)
    tasks = list(group.iter_tasks())
    assert {task.task_id for task in tasks} == {"jobs.submit", "jobs.wait", "jobs.fetch"}
    assert not any(task.is_mapped for task in tasks), "the tasks are mapped by their group only"
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert stored.task_group.children["jobs"].get_parse_time_mapped_ti_count() == 2


def test_a_mapped_group_over_the_output_of_a_task() -> None:
    with DAG("d") as dag:
        first = async_job(**OGC, inputs=ONE, group_id="list")
        async_job.partial(**OGC, group_id="jobs").expand(inputs=first["wait"].output)
    assert "list.wait" in dag.get_task("jobs.submit").upstream_task_ids


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"job": "sendgrid/contacts_exports"}, r"did you mean 'sendgrid/contacts_export'"),
        ({"job": {"submit": {"request": {"url": "/x"}, "id": "id"}}}, r"status: required"),
        ({"http_conn_id": None}, "no connection is named"),
        ({"destination": "/tmp/x.parquet"}, "asks for parquet records, and format is raw"),
        ({"destintion": "/tmp/x"}, r"destintion: unknown argument; did you mean 'destination'"),
        ({"poll_wait": "soon"}, "poll_wait: .*not a duration"),
        ({"poll_wait": 3, "poke_interval": 4}, "poll_wait and poke_interval are the same"),
        ({"task_id": "export"}, "task_id: async_job makes a group.*give group_id='export'"),
        (
            {"output_format": "csv", "skip_on_no_data": True, "fetch": {"queue": "big"}},
            "output_format, skip_on_no_data, fetch would be ignored: without destination nothing is",
        ),
    ],
)
def test_mistakes_are_found_when_the_dag_is_parsed(arguments: dict[str, Any], said: str) -> None:
    with DAG("d"), pytest.raises(DefinitionError, match=said):
        async_job(**{**OGC, "inputs": ONE, **arguments})


def test_a_destination_needs_a_result() -> None:
    job = {
        "name": "no/result",
        "submit": {"request": {"url": "/x"}, "id": "id"},
        "status": {"request": {"url": "/x"}, "path": "s", "values": {"done": ["d"]}},
    }
    with DAG("d"), pytest.raises(DefinitionError, match="no/result has no section 'result'"):
        async_job(job=job, http_conn_id="c", destination="/tmp/x")


@pytest.mark.parametrize("inputs", [{}, {"process": "echo"}, {"process_id": 7}])
def test_inputs_are_checked(inputs: dict[str, Any]) -> None:
    with DAG("d"), pytest.raises(InputError, match=r"inputs.process"):
        async_job(**OGC, inputs=inputs)
    with DAG("d"), pytest.raises(InputError, match=r"inputs.process"):
        async_job.partial(**OGC).expand(inputs=[ONE, inputs])


class TestMappingMistakes:
    """What can be mapped, and what would go wrong."""

    def test_only_these_arguments(self) -> None:
        with pytest.raises(
            DefinitionError, match="expanded over inputs, destination, http_conn_id; given: job"
        ):
            async_job.partial(http_conn_id="c").expand(job=["a", "b"])
        with pytest.raises(DefinitionError, match="given: nothing"):
            async_job.partial(**OGC).expand()

    def test_not_twice(self) -> None:
        with pytest.raises(DefinitionError, match="inputs: given to partial and to expand"):
            async_job.partial(**OGC, inputs=ONE).expand(inputs=[ONE])

    def test_a_job_is_needed(self) -> None:
        with pytest.raises(DefinitionError, match="job is required"):
            async_job.partial(http_conn_id="c").expand(inputs=[ONE])

    @pytest.mark.parametrize("given", [ONE, "{{ params.all }}", None, 7])
    def test_a_value_that_is_no_list(self, given: Any) -> None:
        said = r"inputs: expand takes a list.*Write inputs=\[...\]"
        with DAG("d"), pytest.raises(DefinitionError, match=said):
            async_job.partial(**OGC).expand(inputs=given)

    @pytest.mark.parametrize(
        "destination",
        [
            "/tmp/rows.json",
            "/tmp/{{ ds }}/rows.json",
            "/tmp/{{ ds }}/map_index/{{ run_id }}.json",
            "/tmp/{{ macros.ds_add(ds, 1) }}.json",
            "/tmp/{{ ti.task_id }}.json",
            Path("/tmp/rows.json"),
        ],
    )
    def test_jobs_must_not_overwrite_each_other(self, destination: Any) -> None:
        with DAG("d"), pytest.raises(DefinitionError, match="every mapped job would write the same file"):
            async_job.partial(**OGC, destination=destination).expand(inputs=[ONE, TWO])

    @pytest.mark.parametrize(
        "destination",
        [
            "/tmp/{{ map_index }}.json",
            "/tmp/{{ ti.map_index }}.json",
            "/tmp/{{ macros.uuid.uuid4() }}.json",
            "/tmp/{{ inputs.process_id }}",
            "/tmp/{{ inputs['process_id'] }}.json",
            "/tmp/{{ inputs | tojson | hash('md5') }}.json",
            "/tmp/{{ submission_id }}/",
            "/tmp/files/",
        ],
    )
    def test_a_path_of_its_own_for_each_is_fine(self, destination: str) -> None:
        with DAG("d") as dag:
            async_job.partial(**OGC, destination=destination, group_id="jobs").expand(inputs=[ONE, TWO])
        assert "jobs.fetch" in dag.task_ids

    @pytest.mark.parametrize(
        ("mapped", "said"),
        [
            ({"destination": ["/a", "/b", "/a"]}, "destination is given 2 times, and 2 jobs would write"),
            ({"destination": ["/{{ inputs.a }}"] * 2}, "destination is given 2 times"),
            (
                {"inputs": [ONE, TWO], "destination": ["/a", "/b"]},
                "jobs that differ in inputs only would write the same file, /a: put {{ map_index }}",
            ),
            (
                {"inputs": [ONE, TWO], "http_conn_id": ["x", "y"], "destination": ["/{{ inputs.n }}"]},
                "jobs that differ in inputs and http_conn_id only",
            ),
        ],
    )
    def test_mapped_destinations_must_be_of_one_job_each(self, mapped: dict[str, Any], said: str) -> None:
        fixed = {name: value for name, value in {**OGC, "inputs": ONE}.items() if name not in mapped}
        with DAG("d"), pytest.raises(DefinitionError, match=re.escape(said)):
            async_job.partial(**fixed).expand(**mapped)

    def test_every_combination_needs_a_file(self) -> None:
        conns = {"http_conn_id": ["x", "y"]}
        for destination, who in (
            ("/tmp/{{ inputs.process_id }}.json", "every mapped job"),
            ("/tmp/{{ submission_id }}.json", "jobs of several connections, .* may give the same ID,"),
        ):
            fixed: dict[str, Any] = {"job": "ogc/process", "destination": destination}
            with DAG("d"), pytest.raises(DefinitionError, match=f"{who} would write the same file"):
                async_job.partial(**fixed, inputs=ONE).expand(**conns)
            with DAG("d"), pytest.raises(DefinitionError, match=f"{who} would write the same file"):
                async_job.partial(**fixed).expand(inputs=[ONE, TWO], **conns)

    def test_the_output_of_a_task_cannot_be_crossed(self) -> None:
        with DAG("d"):
            first = async_job(**OGC, inputs=ONE, group_id="list")["wait"].output
            with pytest.raises(DefinitionError, match="inputs and destination are mapped, which makes every"):
                async_job.partial(**OGC).expand(inputs=[ONE, TWO], destination=first)
            async_job.partial(**OGC, inputs=ONE, group_id="a").expand(destination=first)
            async_job.partial(**OGC, group_id="b").expand(inputs=[ONE], destination=first)
            async_job.partial(**OGC, group_id="c", destination="/{{ inputs.x }}").expand(inputs=first)

    def test_inputs_in_a_destination_must_differ(self) -> None:
        same = [{**ONE, "inputs": {"n": n}} for n in (1, 2)]
        with DAG("d"), pytest.raises(DefinitionError, match=r"jobs with the same inputs\.process_id"):
            async_job.partial(**OGC, destination="/tmp/{{ inputs.process_id }}").expand(inputs=same)
        with DAG("d"), pytest.raises(DefinitionError, match=r"jobs with the same inputs would write"):
            async_job.partial(**OGC, destination="/tmp/{{ inputs | tojson }}").expand(inputs=[ONE, ONE])
        with DAG("d"):
            async_job.partial(**OGC, destination="/tmp/{{ inputs.inputs.n }}").expand(inputs=same)
