"""Jobs at a time, by a pool; and a failed job that is submitted again, in a real Airflow."""

from __future__ import annotations

from pathlib import Path

from airflow_asyncjob.testing import FakeClock
from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.airflow.runs import Run, serving


def test_a_pool_bounds_the_jobs_at_a_time(airflow: LocalAirflow, tmp_path: Path) -> None:
    pool = {"name": "two_jobs", "slots": 2, "include_deferred": True}
    airflow.rest("POST", "/pools", pool)
    clock = FakeClock()  # the jobs run until the test says so
    with serving(airflow, "pooled", clock=clock) as server:
        plans = [{"run_for": 100, "tag": f"job{n}"} for n in range(4)]
        run = Run.start(airflow, server, "plain_pool", tmp_path, conn="pooled", plans=plans)

        def waiting() -> list[str]:
            return [task for task, state in run.states().items() if state == "deferred"]

        airflow.wait_until(lambda: len(waiting()) == 2, what="two jobs are waited for")
        first = waiting()
        assert len(run.accepted()) == server.ledger.running() == 2, "the others hold no job"
        clock.advance(100)
        airflow.wait_until(
            lambda: len(waiting()) == 2 and not set(waiting()) & set(first),
            timeout=240,
            what="the next two are waited for",
        )
        assert len(run.accepted()) == 4
        assert server.ledger.running() == 2
        clock.advance(100)
        assert run.end() == "success"
        polled = [entry.job_id for entry in run.sent("poll")]
        submitted = [entry.at for entry in run.sent("submit")]
        assert set(polled) == set(run.accepted())
        assert sorted(submitted)[2] >= sorted(submitted)[1] + 100, "the third came after the first had ended"


def test_a_job_that_the_trigger_saw_fail_is_submitted_again(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "job_retries") as server:
        server.faults.add(
            "poll", "answer", nth=3, code=200, body='{"status": "failed", "message": "worker died"}'
        )
        run = Run.start(
            airflow, server, "plain_job_retries", tmp_path, conn="job_retries", plan={"run_for": 6}
        )
        assert run.end() == "success"
        first, second = run.accepted()
        assert run.states() == {"job.submit": "success", "job.fetch": "success"}
        assert run.tries("job.submit") == 1, "no retry of the task"
        log = run.log("job.submit")
        assert f"Job {first} failed. It was job 1 of at most 2 (job_retries: 1): a new one" in log
        assert run.xcom("job.submit", "submission")["id"] == second
        assert run.xcom("job.fetch")["submission_id"] == second
        assert run.rows() == 3
