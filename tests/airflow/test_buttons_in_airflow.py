"""The buttons "poll now" and "cancel job" of the UI, on tasks that really wait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.airflow.runs import Run, serving


def press(run: Run, button: str) -> dict[str, Any]:
    """Press a button on the waiting task, as a program does: with a token."""
    place = {"dag_id": run.dag_id, "run_id": run.run_id, "task_id": "job.wait"}
    answer: dict[str, Any] = run.airflow.rest("POST", f"/asyncjob/api/{button}", place)
    return answer


def test_poll_now_ends_the_wait_for_a_job_that_is_over(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "poll_now") as server:
        run = Run.start(airflow, server, "plain_woken", tmp_path, conn="poll_now", plan={"run_for": 1})
        run.until("job.wait", "deferred", timeout=600)
        airflow.wait_until(lambda: server.ledger.running() == 0, what="the job is over")
        assert press(run, "poll")["result"] in ("woken", "held")
        assert run.end() == "success"
        assert len(run.sent("poll")) == 1
        assert run.sent("cancel") == []
        assert run.tries("job.wait") == 1
        assert run.rows() == 3


def test_cancel_job_ends_the_task_and_the_job_at_the_remote(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "cancel_job") as server:
        plan = {"run_for": 3600}
        run = Run.start(airflow, server, "plain_group", tmp_path, conn="cancel_job", plan=plan)
        run.until("job.wait", "deferred", timeout=600)
        run.until_polled(2)  # by its trigger: Airflow asks one that has not begun to do nothing
        (job_id,) = run.accepted()
        assert press(run, "cancel") == {"result": "cancelling"}
        airflow.wait_until(lambda: run.sent("cancel", job_id), what="the cancel is sent")
        assert run.end() == "failed"
        assert run.states() == {
            "job.submit": "success",
            "job.wait": "failed",
            "job.fetch": "upstream_failed",
        }
        assert server.ledger.running() == 0
        noted = airflow.query(
            "SELECT task_id, extra FROM log WHERE event = 'asyncjob_cancel' AND run_id = ?", run.run_id
        )
        assert noted == [{"task_id": "job.wait", "extra": '{"result": "cancelling"}'}]
