"""Processes that die and people who act: one job each, found again, cancelled only when it should be."""

from __future__ import annotations

import signal
from pathlib import Path

from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.airflow.runs import Run, serving


def test_a_killed_triggerer_goes_on_where_it_was(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "triggerer") as server:
        run = Run.start(airflow, server, "plain_group", tmp_path, conn="triggerer", plan={"run_for": 40})
        run.until("job.wait", "deferred")
        run.until_polled(3)
        query = (
            "SELECT t.kwargs FROM trigger t JOIN task_instance i ON i.trigger_id = t.id WHERE i.run_id = ?"
        )
        before = airflow.query(query, run.run_id)
        airflow.kill("triggerer", signal.SIGKILL)
        polled = len(run.sent("poll"))
        airflow.start("triggerer")
        assert airflow.query(query, run.run_id) == before, "the same deadline, the same first poll"
        assert run.end() == "success"
        assert len(run.sent("poll")) > polled
        assert len(run.accepted()) == 1
        assert run.sent("cancel") == []
        assert run.tries("job.wait") == 1
        assert run.rows() == 3


def test_a_submit_killed_after_its_response_was_stored_finds_the_job(
    airflow: LocalAirflow, tmp_path: Path
) -> None:
    with serving(airflow, "late") as server:
        run = Run.start(airflow, server, "plain_killed_late", tmp_path, conn="late", plan={})
        airflow.wait_until(
            lambda: "submission" in airflow.xcom_keys(run.dag_id, run.run_id, "submit"),
            what="the job is stored",
        )
        airflow.kill_task(run.dag_id, run.run_id, "submit")
        assert run.end() == "success"
        (job_id,) = run.accepted()
        assert run.tries("submit") == 2
        assert f"An earlier try of this task submitted job {job_id}" in run.log("submit", 2)
        assert run.xcom("submit") == job_id


def test_a_submit_killed_while_its_answer_was_on_the_way_uses_its_key_again(
    airflow: LocalAirflow, tmp_path: Path
) -> None:
    with serving(airflow, "between") as server:
        server.faults.add("submit", "slow", seconds=30)
        run = Run.start(airflow, server, "plain_keyed", tmp_path, conn="between", plan={})
        airflow.wait_until(lambda: not server.faults.active(), what="the submit is at the server")
        airflow.kill_task(run.dag_id, run.run_id, "submit")
        assert run.end() == "success"
        assert run.tries("submit") == 2
        (job_id,) = run.accepted()
        assert run.xcom("submit") == job_id
        assert len({entry.headers["idempotency-key"] for entry in run.sent("submit")}) == 1


def test_a_submit_whose_answer_was_lost_says_its_risk(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "risk") as server:
        server.faults.add("submit", "lost")
        run = Run.start(airflow, server, "plain_retried", tmp_path, conn="risk", plan={})
        assert run.end() == "success"
        assert len(run.accepted()) == 2, "the API has no key here, and on_uncertain is resubmit"
        assert "UncertainError" in run.log("job.submit", 1)
        assert "on_uncertain" in run.log("job.submit", 2)


def test_a_worker_killed_in_the_download_leaves_no_half_file(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "download") as server:
        server.faults.add("result", "slow", seconds=30)
        run = Run.start(airflow, server, "plain_retried", tmp_path, conn="download", plan={"rows": 2000})
        airflow.wait_until(lambda: not server.faults.active(), timeout=240, what="the download has begun")
        airflow.kill_task(run.dag_id, run.run_id, "job.fetch")
        assert not (tmp_path / "rows.csv").exists()
        assert run.end() == "success"
        assert run.tries("job.fetch") == 2
        assert run.rows() == 2000
        assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
        assert len(run.accepted()) == 1


def test_a_worker_killed_while_it_polls_attaches_with_the_same_deadline(
    airflow: LocalAirflow, tmp_path: Path
) -> None:
    with serving(airflow, "polling") as server:
        run = Run.start(airflow, server, "plain_poke", tmp_path, conn="polling", plan={"run_for": 20})
        run.until_polled(2)
        airflow.kill_task(run.dag_id, run.run_id, "job.wait")
        assert run.end() == "success"
        assert run.tries("job.wait") == 2
        assert len(run.accepted()) == 1
        assert run.sent("cancel") == []
        assert run.checkpoint("job.wait")["deadline"] == run.submitted_at() + 300


def test_marking_the_waiting_task_failed_cancels_the_job(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "marked") as server:
        run = Run.start(airflow, server, "plain_group", tmp_path, conn="marked", plan={"run_for": 600})
        run.until("job.wait", "deferred")
        run.until_polled(2)
        airflow.mark_failed(run.dag_id, run.run_id, "job.wait")
        airflow.wait_until(lambda: server.ledger.running() == 0, timeout=120, what="the job is cancelled")
        assert [entry.job_id for entry in run.sent("cancel")] == run.accepted()
        airflow.wait_until(
            lambda: "was marked failed: cancelling job" in run.log("job.wait"), what="the log says so"
        )


def test_a_wait_that_no_triggerer_has_is_cancelled_by_the_next_one(
    airflow: LocalAirflow, tmp_path: Path
) -> None:
    """Ended by the button, by a mark of the run, and by a mark that a clear takes back."""

    def started() -> Run:
        return Run.start(airflow, server, "plain_group", tmp_path, conn="orphans", plan={"run_for": 600})

    def cancels() -> list[str | None]:
        return sorted(entry.job_id for entry in server.ledger.entries("cancel"))

    with serving(airflow, "orphans") as server:
        airflow.stop_component("triggerer")
        pressed, failed, cleared, blessed = runs = [started() for _ in range(4)]
        for run in runs:
            run.until("job.wait", "deferred")
        jobs = {run.run_id: run.xcom("job.submit") for run in runs}
        place = {"dag_id": pressed.dag_id, "run_id": pressed.run_id, "task_id": "job.wait"}
        assert airflow.rest("POST", "/asyncjob/api/cancel", place) == {"result": "cancelling"}
        airflow.mark_run(failed.dag_id, failed.run_id, "failed")
        airflow.mark(blessed.dag_id, blessed.run_id, "job.wait", "success")
        airflow.mark_failed(cleared.dag_id, cleared.run_id, "job.wait")
        cleared.clear("job.wait")
        cleared.until("job.wait", "deferred")
        assert cancels() == [], "no process may send anything yet"
        airflow.start("triggerer")
        airflow.wait_until(
            lambda: len(cancels()) == 2 and len(cleared.sent("poll", jobs[cleared.run_id])) >= 2,
            timeout=240,
            what="two jobs are cancelled, and a triggerer waits for the third",
        )
        airflow.wait_until(
            lambda: pressed.xcom("job.wait", "asyncjob.cancel").get("settled"), what="the order is settled"
        )
        assert pressed.xcom("job.wait", "asyncjob.summary")["state"] == "cancelled", "for the UI"
        # Its trigger is young: an order for the case that it had not begun is left beside its own cancel.
        airflow.mark_failed(cleared.dag_id, cleared.run_id, "job.wait")
        airflow.wait_until(
            lambda: cleared.xcom("job.wait", "asyncjob.cancel").get("settled"),
            what="its own cancel was noted",
        )
        assert cancels() == sorted(jobs[run.run_id] for run in (pressed, failed, cleared))
        assert server.ledger.running() == 1, "the job whose task was marked success"


def test_a_wait_that_ends_while_no_process_has_it_is_cancelled(airflow: LocalAirflow, tmp_path: Path) -> None:
    """Rescheduled, and marked between two polls, itself or with its run; and a run that takes too long."""

    def started(dag_id: str) -> Run:
        return Run.start(airflow, server, dag_id, tmp_path, conn="idle", plan={"run_for": 600})

    def cancelled(run: Run) -> bool:
        return [entry.job_id for entry in run.sent("cancel")].count(run.xcom("job.submit")) == 1

    with serving(airflow, "idle") as server:
        slow = started("plain_in_one_run_of_seconds")
        marked, failed = started("plain_reschedule"), started("plain_reschedule")
        marked.until("job.wait", "up_for_reschedule")
        airflow.mark_failed(marked.dag_id, marked.run_id, "job.wait")
        failed.until("job.wait", "up_for_reschedule")
        airflow.mark_run(failed.dag_id, failed.run_id, "failed")
        for run in (marked, failed, slow):
            airflow.wait_until(lambda run=run: cancelled(run), timeout=120, what=f"{run.run_id}: a cancel")
        assert server.ledger.running() == 0
        assert failed.xcom("job.wait", "asyncjob.summary")["state"] == "cancelled", "for the UI"
        assert slow.states()["job.wait"] == "skipped", "so Airflow calls what dagrun_timeout ends"


def test_a_submit_that_is_ended_before_its_answer_came_says_what_it_leaves(
    airflow: LocalAirflow, tmp_path: Path
) -> None:
    with serving(airflow, "unanswered") as server:
        server.faults.add("submit", "slow", seconds=60)
        run = Run.start(airflow, server, "plain_keyed", tmp_path, conn="unanswered", plan={"run_for": 600})
        airflow.wait_until(lambda: not server.faults.active(), what="the submit is at the server")
        airflow.mark_failed(run.dag_id, run.run_id, "submit")
        airflow.wait_until(
            lambda: "Where no line after this one names a job, one may run at the API" in run.log("submit"),
            what="the log says so",
        )
        assert run.sent("cancel") == [], "nobody knows the job"


def test_marking_the_run_failed_cancels_the_job(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "marked_run") as server:
        run = Run.start(airflow, server, "plain_group", tmp_path, conn="marked_run", plan={"run_for": 600})
        run.until("job.wait", "deferred")
        run.until_polled(2)
        airflow.mark_run(run.dag_id, run.run_id, "failed")
        airflow.wait_until(lambda: server.ledger.running() == 0, timeout=120, what="the job is cancelled")


def test_marking_a_polling_task_failed_cancels_the_job(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "marked_poke") as server:
        run = Run.start(airflow, server, "plain_poke", tmp_path, conn="marked_poke", plan={"run_for": 600})
        run.until_polled(2)
        airflow.mark_failed(run.dag_id, run.run_id, "job.wait")
        airflow.wait_until(lambda: server.ledger.running() == 0, timeout=120, what="the job is cancelled")


def test_marking_the_waiting_task_a_success_cancels_nothing(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "blessed") as server:
        run = Run.start(airflow, server, "plain_group", tmp_path, conn="blessed", plan={"run_for": 600})
        run.until("job.wait", "deferred")
        run.until_polled(2)
        airflow.mark(run.dag_id, run.run_id, "job.wait", "success")
        airflow.wait_until(
            lambda: "The task is success: the remote job goes on" in run.log("job.wait"),
            what="it was decided",
        )
        assert run.sent("cancel") == []
        assert server.ledger.running() == 1


def test_clearing_the_waiting_task_attaches_to_the_same_job(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "cleared_wait") as server:
        run = Run.start(airflow, server, "plain_group", tmp_path, conn="cleared_wait", plan={"run_for": 30})
        run.until("job.wait", "deferred")
        run.until_polled(2)
        run.clear("job.wait")
        assert run.end() == "success"
        (job_id,) = run.accepted()
        assert run.sent("cancel") == []
        assert run.tries("job.wait") == 2
        assert f"attaches to job {job_id} with a new deadline" in run.log("job.wait", 2)
        assert run.checkpoint("job.wait")["deadline"] > run.submitted_at() + 301
        assert run.rows() == 3


def test_clearing_the_submit_cancels_the_running_job_and_starts_a_new_one(
    airflow: LocalAirflow, tmp_path: Path
) -> None:
    with serving(airflow, "cleared_submit") as server:
        run = Run.start(airflow, server, "plain_group", tmp_path, conn="cleared_submit", plan={"run_for": 25})
        run.until("job.wait", "deferred")
        run.until_polled(2)
        run.clear("job.submit", downstream=True)
        assert run.end() == "success"
        old, new = run.accepted()
        assert [entry.job_id for entry in run.sent("cancel")] == [old]
        assert run.xcom("job.submit") == new
        assert run.xcom("job.wait", "submission")["id"] == new
        assert f"a new job replaces job {old}" in run.log("job.submit", 2)


def test_clearing_a_finished_run_looks_at_the_old_job_and_submits_anew(
    airflow: LocalAirflow, tmp_path: Path
) -> None:
    with serving(airflow, "cleared_run") as server:
        run = Run.start(airflow, server, "plain_group", tmp_path, conn="cleared_run", plan={})
        assert run.end() == "success"
        (old,) = run.accepted()
        looks = len(run.sent("poll", old))

        run.clear("job.fetch")
        assert run.end() == "success"
        assert run.accepted() == [old], "a clear of the download downloads again, and nothing else"
        assert len(run.sent("result")) == 2

        run.clear()
        assert run.end() == "success"
        assert len(run.accepted()) == 2
        assert len(run.sent("poll", old)) == looks + 1
        assert run.sent("cancel") == [], "it had ended"
