"""What goes wrong at the remote, as Airflow shows it: failed once, retried, skipped, timed out."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.airflow.runs import Run, serving


def test_a_failed_job_fails_the_task_once_and_its_message_is_in_the_log(
    airflow: LocalAirflow, tmp_path: Path
) -> None:
    with serving(airflow, "failing") as server:
        plan = {"run_for": 1, "ends": "failed", "message": "the segment is empty"}
        run = Run.start(airflow, server, "plain_retried", tmp_path, conn="failing", plan=plan)
        assert run.end() == "failed"
        assert run.states() == {"job.submit": "success", "job.wait": "failed", "job.fetch": "upstream_failed"}
        assert run.tries("job.wait") == 1, "the same job cannot get better"
        assert len(run.accepted()) == 1
        log = run.log("job.wait")
        assert "AirflowFailException" in log
        assert "the segment is empty" in log
        assert f"job {run.accepted()[0]}" in log
        assert run.xcom("job.wait", "status")["state"] == "failed"
        assert not list(tmp_path.iterdir())


def test_a_job_without_data_writes_no_file(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "empty") as server:
        plan = {"ends": "no_data"}
        run = Run.start(airflow, server, "plain_group", tmp_path, conn="empty", plan=plan)
        skipping = Run.start(airflow, server, "plain_skip", tmp_path, conn="empty", plan=plan)
        assert run.end() == "success"
        assert run.xcom("job.wait") == []
        manifest = run.xcom("job.fetch")
        assert (manifest["state"], manifest["records"], manifest["uris"]) == ("no_data", 0, [])
        assert skipping.end() == "success"
        assert skipping.states()["job.fetch"] == "skipped"
        assert not list(tmp_path.iterdir())


def test_a_timeout_cancels_the_job(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "slow") as server:
        run = Run.start(airflow, server, "plain_timeout", tmp_path, conn="slow", plan={"run_for": 600})
        assert run.end() == "failed"
        assert run.states() == {
            "hard.submit": "success",
            "hard.wait": "failed",
            "soft.submit": "success",
            "soft.wait": "skipped",
        }
        assert sorted(str(entry.job_id) for entry in run.sent("cancel")) == sorted(run.accepted())
        assert server.ledger.running() == 0
        log = run.log("hard.wait")
        assert "AirflowSensorTimeout" in log
        assert "not ended before the deadline" in log
        assert run.xcom("soft.wait", "status")["state"] == "timed_out"


def test_polls_that_fail_are_retried_on_the_same_job(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "shaky") as server:
        server.faults.add("poll", 503, times=5)
        run = Run.start(airflow, server, "plain_retried", tmp_path, conn="shaky", plan={"run_for": 20})
        assert run.end() == "success"
        assert len(run.accepted()) == 1
        assert run.tries("job.wait") == 2
        first = run.log("job.wait", 1)
        assert "PollBudgetError" in first
        assert "503" in first
        assert not server.faults.active()
        assert run.rows() == 3


def test_a_lost_job_in_one_task_is_submitted_again(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "again") as server:
        server.faults.add("poll", "answer", code=200, body='{"status": "failed", "message": "worker died"}')
        run = Run.start(airflow, server, "plain_in_one", tmp_path, conn="again", plan={"run_for": 3})
        assert run.end() == "success"
        first, second = run.accepted()
        assert run.tries("job") == 2
        keys = [entry.headers["idempotency-key"] for entry in run.sent("submit")]
        assert len(keys) == len(set(keys)) == 2, "another attempt has another key"
        assert "worker died" in run.log("job", 1)
        assert run.xcom("job", "submission")["id"] == second != first


def test_a_missing_connection_is_not_retried(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "unused") as server:
        run = Run.start(airflow, server, "plain_nowhere", tmp_path)
        assert run.end() == "failed"
        assert run.tries("submit") == 1
        log = run.log("submit")
        assert "connection 'nowhere' does not exist" in log
        assert "Admin, Connections" in log


@pytest.mark.parametrize(
    ("purpose", "fault", "failing", "said"),
    [
        ("submit", {"kind": 401}, "job.submit", "401"),
        ("submit", {"kind": 404}, "job.submit", "404"),
        ("submit", {"kind": "html"}, "job.submit", "HTML"),
        ("submit", {"kind": "empty", "code": 201}, "job.submit", "empty"),
        ("poll", {"kind": 403}, "job.wait", "403"),
        ("poll", {"kind": "answer", "code": 200, "body": '{"status": "paused"}'}, "job.wait", "'paused'"),
        ("result", {"kind": 404}, "job.fetch", "404"),
        ("result", {"kind": "html"}, "job.fetch", "HTML"),
    ],
)
def test_an_answer_that_is_final_fails_the_task_once(
    airflow: LocalAirflow, tmp_path: Path, purpose: str, fault: dict[str, object], failing: str, said: str
) -> None:
    name = f"bad_{purpose}_{fault['kind']}"
    with serving(airflow, name) as server:
        server.faults.add(purpose, times=None, **fault)  # type: ignore[arg-type]
        run = Run.start(airflow, server, "plain_retried", tmp_path, conn=name, plan={"run_for": 1})
        assert run.end() == "failed"
        assert run.states()[failing] == "failed"
        tries = run.tries(failing)
        log = run.log(failing)
        assert said in log, log[-2000:]
        assert server.url in log
        assert tries == 1, log[-2000:]
        assert not list(tmp_path.iterdir())


def test_a_truncated_download_is_repeated(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "cut") as server:
        server.faults.add("result", "truncate", times=2)
        run = Run.start(airflow, server, "plain_group", tmp_path, conn="cut", plan={"rows": 5000})
        assert run.end() == "success"
        assert len(run.sent("result")) == 3
        assert run.rows() == 5000
        assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_a_destination_that_cannot_be_written_is_not_retried(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "full") as server:
        blocked = tmp_path / "a_file"
        blocked.write_text("not a folder")
        run = Run.start(airflow, server, "plain_retried", blocked, conn="full", plan={})
        assert run.end() == "failed"
        assert run.tries("job.fetch") == 1
        assert str(blocked) in run.log("job.fetch")
        assert blocked.read_text() == "not a folder"
