"""The example DAGs in dags/: what they are when they are parsed, and each of them in a real Airflow."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.testing.airflow_api import FINISHED
from airflow_asyncjob.testing.demo_jobs import DEMOS, Demo, manifests_of, problems_of, run_and_check
from airflow_asyncjob.testing.demo_story import Story
from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.airflow.runs import ended

FOLDER = Path(__file__).parents[2] / "dags"
FILES = sorted(FOLDER.glob("*.py"))


@pytest.fixture(scope="module")
def bag() -> Any:
    """Give all examples, as Airflow's DAG processor reads them."""
    return DagBag(dag_folder=str(FOLDER))


def test_every_example_is_read_without_an_error(bag: Any) -> None:
    assert bag.import_errors == {}
    assert sorted(bag.dags) == [file.stem for file in FILES]


@pytest.mark.parametrize("name", [file.stem for file in FILES])
def test_an_example_says_what_it_needs_and_can_be_stored(bag: Any, name: str) -> None:
    dag = bag.dags[name]
    assert "Connection ``" in dag.doc_md
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert sorted(stored.task_ids) == sorted(dag.task_ids)


@pytest.mark.parametrize("file", sorted((FOLDER / "jobs").glob("*.yaml")), ids=lambda file: file.stem)
def test_a_definition_of_the_examples_is_whole(file: Path) -> None:
    assert AsyncJob.load(file).name.startswith("demo/")


def test_partitions_are_mapped_over_regions_in_an_interval(bag: Any) -> None:
    example = bag.dags["order_partitions"]
    assert set(example.task_ids) == {"orders.submit", "orders.wait", "orders.fetch"}
    fetch = example.get_task("orders.fetch")
    assert len(list(fetch.iter_mapped_task_groups())) == 1
    assert type(example.timetable).__name__ == "CronDataIntervalTimetable"


def test_the_watermark_moves_after_the_file_is_written(bag: Any) -> None:
    example = bag.dags["order_increments"]
    assert example.get_task("advance").upstream_task_ids == {"orders.fetch", "window"}
    assert "window" in example.get_task("orders.submit").upstream_task_ids
    assert [asset.name for asset in example.get_task("window").inlets] == ["order_changes"]
    assert [asset.name for asset in example.get_task("advance").outlets] == ["order_changes"]
    assert example.max_active_runs == 1


SHOWN = DEMOS["order_partitions"]
"""The example whose run is also told, as ``make demo DAG=...`` tells it."""


def start_together(airflow: LocalAirflow, demos: Sequence[Demo]) -> dict[str, str]:
    """Start a run of each example, all in the same moment, since they mostly wait; return the runs' IDs.

    The runs are made while the DAGs are paused, which are then let go without the API: its server notes a
    request that changes something within its event loop, and on SQLite that stands still for a minute when it
    comes in the moment in which a task begins.
    """
    runs = {}
    for demo in demos:
        body = {"logical_date": None, "conf": {}, **demo.run}
        runs[demo.dag_id] = str(airflow.rest("POST", f"/dags/{demo.dag_id}/dagRuns", body)["dag_run_id"])
    names = "|".join(runs)
    done = airflow.run_cli("dags", "unpause", "--treat-dag-id-as-regex", "--yes", f"^({names})$")
    assert done.returncode == 0, done.stdout
    return runs


def scheduled_are_over(airflow: LocalAirflow) -> bool:
    """Tell whether the runs that the schedules of the examples began have ended: they use the servers too."""
    runs = [run for name in DEMOS for run in airflow.rest("GET", f"/dags/{name}/dagRuns")["dag_runs"]]
    return all(run["state"] in FINISHED for run in runs)


def test_every_example_runs_against_its_job_server(airflow: LocalAirflow, tmp_path: Path) -> None:
    options: dict[str, dict[str, Any]] = {}
    for demo in DEMOS.values():
        options.setdefault(demo.conn_id, {"kind": demo.kind}).update(demo.options)
    with ExitStack() as running:
        servers = {name: running.enter_context(FakeJobServer(**given)) for name, given in options.items()}
        for name, server in servers.items():
            airflow.set_connection(name, server.connection)
        for demo in DEMOS.values():
            demo.listen(airflow, servers[demo.conn_id])
            for variable, value in demo.prepare(tmp_path).items():
                airflow.set_variable(variable, value)
        story = Story()
        story.console.file = told = io.StringIO()
        try:
            run_and_check(story, airflow, SHOWN, servers[SHOWN.conn_id])
        finally:
            print(told.getvalue())  # of a failed test, pytest shows it
        text = " ".join(told.getvalue().split())
        for words in ("submit[0] success", "fetch[1] Written: 4 records", "8, as many as the files have"):
            assert words in text
        others = start_together(airflow, [demo for demo in DEMOS.values() if demo != SHOWN])
        found = {}
        for name, run_id in others.items():
            assert ended(airflow, name, run_id, timeout=900) == "success", name
            manifests = manifests_of(airflow, name, run_id)
            found[name] = problems_of(DEMOS[name], manifests, servers[DEMOS[name].conn_id])
        assert found == {name: [] for name in others}
        taken = {one.event.job_id: one.code for one in servers["upgates"].deliveries}
        # 401: the job had ended before anybody waited for it, which the first look of the wait finds out.
        assert set(taken.values()) <= {202, 401}, "an event for each job of the shop"
        assert len(taken) == servers["upgates"].ledger.accepted()
        polls = servers["upgates"].ledger.entries("poll")
        assert len(polls) <= 5 * len(taken), "events, and not looks, say when a job has ended"
        airflow.wait_until(lambda: scheduled_are_over(airflow), timeout=600, what="runs of a schedule")
