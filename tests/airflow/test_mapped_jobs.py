"""Many jobs at once, mapped as groups and task by task, on Airflow's default settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_asyncjob.testing import FakeClock
from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.airflow.runs import Run, serving

pytestmark = pytest.mark.busy

FIFTY = 50
THIRTY = 30
"""Jobs that begin and end together: about as many as LocalExecutor runs tasks at once."""


@pytest.mark.timeout(2000)
def test_fifty_mapped_jobs_do_not_hold_each_other_up(airflow: LocalAirflow, tmp_path: Path) -> None:
    plans = [{"run_for": 100, "rows": 2, "tag": f"job{n}"} for n in range(FIFTY)]
    plans[24] = {"run_for": 100, "ends": "failed", "message": "refused in the middle", "tag": "job24"}
    plans[25] = {"run_for": 100, "ends": "no_data", "tag": "job25"}
    plans[26]["run_for"] = 200
    clock = FakeClock()  # the jobs run until the test says so, however slow this machine is
    with serving(airflow, "fifty", clock=clock) as server:
        run = Run.start(airflow, server, "plain_mapped", tmp_path, conn="fifty", plans=plans)

        def deferred() -> int:
            states = run.states()
            return sum(states.get(f"jobs.wait[{n}]") == "deferred" for n in range(FIFTY))

        airflow.wait_until(lambda: deferred() == FIFTY, timeout=900, what="all fifty wait together")
        assert server.ledger.running() == FIFTY
        clock.advance(100)

        def others_are_written() -> bool:
            return all((tmp_path / f"{n}-job{n}.csv").exists() for n in range(FIFTY) if n not in (24, 25, 26))

        airflow.wait_until(
            lambda: others_are_written() or run.over(), timeout=900, what="47 results are written"
        )
        assert others_are_written(), run.troubles()
        assert run.states()["jobs.wait[26]"] == "deferred", "the slow one still waits, and held up no other"
        clock.advance(100)
        assert run.end(timeout=900) == "failed", "one job failed"

        states = run.states()
        assert states["jobs.wait[24]"] == "failed"
        assert states["jobs.fetch[24]"] == "upstream_failed"
        fine = [f"jobs.{task}[{n}]" for task in ("submit", "wait", "fetch") for n in range(FIFTY) if n != 24]
        assert {states[name] for name in fine} == {"success"}
        assert len(run.accepted()) == FIFTY
        assert run.xcom("jobs.wait", map_index=25) == []
        assert run.xcom("jobs.fetch", map_index=25)["records"] == 0
        assert "refused in the middle" in run.log("jobs.wait", map_index=24)
        for n in (0, 26, 49):
            assert run.xcom("jobs.fetch", map_index=n)["submission_id"] == run.xcom(
                "jobs.submit", map_index=n
            )
            assert f"job{n}" in (tmp_path / f"{n}-job{n}.csv").read_text(), "each has its own result"
        assert len(list(tmp_path.iterdir())) == FIFTY - 2


@pytest.mark.timeout(2000)
def test_thirty_short_jobs_fail_in_nothing(airflow: LocalAirflow, tmp_path: Path) -> None:
    plans = [{"run_for": 1 + n % 4, "rows": 1, "tag": f"job{n}"} for n in range(THIRTY)]
    with serving(airflow, "short") as server:
        run = Run.start(airflow, server, "plain_mapped", tmp_path, conn="short", plans=plans)
        assert run.end(timeout=900) == "success"
        assert len(run.accepted()) == THIRTY
        instances = airflow.task_instances(run.dag_id, run.run_id)
        assert len(instances) == 3 * THIRTY + 1
        assert {instance["state"] for instance in instances} == {"success"}
        assert {instance["try_number"] for instance in instances} == {1}
        assert len(list(tmp_path.iterdir())) == THIRTY


def test_tasks_may_be_mapped_one_by_one(airflow: LocalAirflow, tmp_path: Path) -> None:
    plans = [{"run_for": 2 * n, "rows": n + 1} for n in range(3)]
    with serving(airflow, "singly") as server:
        run = Run.start(airflow, server, "plain_mapped_one_by_one", tmp_path, conn="singly", plans=plans)
        assert run.end() == "success"
        for n in range(3):
            job_id = run.xcom("submit", map_index=n)
            assert run.xcom("wait", "submission", map_index=n) == run.xcom(
                "submit", "submission", map_index=n
            )
            assert run.rows(f"{n}-{job_id}.csv") == n + 1
