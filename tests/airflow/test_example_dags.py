"""The example DAGs in dags/ when they are parsed: their groups, and what each job is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

from airflow_asyncjob.definition import AsyncJob

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
