"""The example DAGs for partitions and increments, in a real Airflow: what each run asks for and writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.testing.airflow_api import AirflowApiError
from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.airflow.runs import serving

PARTITIONS, INCREMENTS = "order_partitions", "order_increments"


@pytest.fixture
def orders(airflow: LocalAirflow, tmp_path: Path) -> Iterator[FakeJobServer]:
    """Give the server behind the connection of the examples, whose files go to the test's folder."""
    airflow.set_variable("orders_folder", str(tmp_path))
    with serving(airflow, "orders") as server:
        yield server


def tags(path: Path) -> set[str]:
    """Return what the rows of a file say of the window that they were asked for."""
    return {json.loads(line)["tag"] for line in path.read_text().splitlines()}


def backfill(airflow: LocalAirflow, days: tuple[str, str]) -> dict[str, str]:
    """Run an interval for each day from the first to the last; return day: run ID."""
    body: dict[str, Any] = {
        "dag_id": PARTITIONS,
        "from_date": f"{days[0]}T00:00:00Z",
        "to_date": f"{days[1]}T00:00:00Z",
        "max_active_runs": 2,
    }

    def made_one() -> int | None:
        try:
            return int(airflow.rest("POST", "/backfills", body)["id"])
        except AirflowApiError as problem:
            # "Backfill creation is not supported on SQLite under concurrent access": Airflow made none.
            if problem.status != httpx.codes.SERVICE_UNAVAILABLE:
                raise
            return None

    made = airflow.wait_until(made_one, what="a backfill is made")

    def runs() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = airflow.rest("GET", f"/dags/{PARTITIONS}/dagRuns")["dag_runs"]
        return [run for run in found if run["run_type"] == "backfill"]

    airflow.wait_until(
        lambda: airflow.rest("GET", f"/backfills/{made}")["completed_at"], timeout=400, what="the backfill"
    )
    assert {run["state"] for run in runs()} == {"success"}
    return {run["data_interval_start"][:10]: run["dag_run_id"] for run in runs()}


def test_each_day_and_region_is_a_partition_of_its_own(
    airflow: LocalAirflow, orders: FakeJobServer, tmp_path: Path
) -> None:
    airflow.wait_for_dag(PARTITIONS)
    runs = backfill(airflow, ("2026-03-01", "2026-03-02"))
    assert sorted(runs) == ["2026-03-01", "2026-03-02"]
    for day, after in (("2026-03-01", "2026-03-02"), ("2026-03-02", "2026-03-03")):
        for region in ("eu", "us"):
            file = tmp_path / f"day={day}" / f"region={region}" / "orders.jsonl"
            assert tags(file) == {f"{region} {day}T00:00:00+00:00 {after}T00:00:00+00:00"}

    def others_are_over() -> bool:
        found = airflow.rest("GET", f"/dags/{PARTITIONS}/dagRuns")["dag_runs"]
        return all(run["state"] in ("success", "failed") for run in found)

    airflow.wait_until(others_are_over, timeout=400, what="the run of yesterday, which the schedule made")
    old = tmp_path / "day=2026-03-01" / "region=us" / "orders.jsonl"
    other = tmp_path / "day=2026-03-02" / "region=us" / "orders.jsonl"
    before, untouched = old.read_bytes(), other.stat().st_mtime_ns
    old.write_text("somebody broke this file\n")
    jobs = orders.ledger.accepted()
    airflow.clear(PARTITIONS, runs["2026-03-01"], "orders.submit", downstream=True)
    assert airflow.wait_for_run(PARTITIONS, runs["2026-03-01"]) == "success"
    assert orders.ledger.accepted() == jobs + 2, "a job for each region of that day"
    assert old.read_bytes() == before, "the partition is replaced whole"
    assert other.stat().st_mtime_ns == untouched, "and no other"


def test_each_run_takes_what_the_one_before_left(
    airflow: LocalAirflow, orders: FakeJobServer, tmp_path: Path
) -> None:
    first = airflow.trigger(INCREMENTS)
    assert airflow.wait_for_run(INCREMENTS, first) == "success"
    asked = airflow.xcom(INCREMENTS, first, "window")
    assert tags(tmp_path / "changes" / f"{first}.jsonl") == {f"all {asked['since']} {asked['until']}"}

    orders.faults.add("submit", 400)
    failing = airflow.trigger(INCREMENTS)
    assert airflow.wait_for_run(INCREMENTS, failing) == "failed"
    lost = airflow.xcom(INCREMENTS, failing, "window")
    assert lost["since"] == asked["until"], "from where the first one ended"
    assert not (tmp_path / "changes" / f"{failing}.jsonl").exists()

    second = airflow.trigger(INCREMENTS)
    assert airflow.wait_for_run(INCREMENTS, second) == "success"
    caught_up = airflow.xcom(INCREMENTS, second, "window")
    assert caught_up["since"] == asked["until"], "what failed has moved nothing"
    assert caught_up["until"] > lost["until"]
    assert tags(tmp_path / "changes" / f"{second}.jsonl") == {
        f"all {caught_up['since']} {caught_up['until']}"
    }

    # A person clears the run that failed: it fetches its own window again, and takes the watermark nowhere.
    airflow.clear(INCREMENTS, failing)
    assert airflow.wait_for_run(INCREMENTS, failing) == "success"
    assert tags(tmp_path / "changes" / f"{failing}.jsonl") == {f"all {lost['since']} {lost['until']}"}
    last = airflow.trigger(INCREMENTS)
    assert airflow.wait_for_run(INCREMENTS, last) == "success"
    assert airflow.xcom(INCREMENTS, last, "window")["since"] == caught_up["until"]
