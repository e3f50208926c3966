"""Jobs of servers that exist: PyWPS and moto from a real Airflow, Airflow itself over the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.cli.command import Asyncjob
from tests.servers.driving import Driven, asking_for, records_in
from tests.servers.moto import REGION, Moto
from tests.servers.pywps import Pywps


def run(airflow: LocalAirflow, dag_id: str, conn: str, folder: Path, **inputs: Any) -> str:
    """Start a run of a DAG of tests/airflow/dags/real_servers.py and return its ID."""
    return airflow.trigger(dag_id, {"conn": conn, "folder": str(folder), "inputs": inputs})


# PyWPS --------------------------------------------------------------------------------------


def test_wps_files_and_a_process_that_fails(airflow: LocalAirflow, pywps: Pywps, tmp_path: Path) -> None:
    airflow.set_connection("wps", pywps.url)
    good = run(airflow, "real_wps", "wps", tmp_path, process_id="multiple_outputs", inputs={"count": 2})
    bad = run(airflow, "real_wps", "wps", tmp_path, process_id="show_error", inputs={"message": "no disk"})
    assert airflow.wait_for_run("real_wps", good) == "success"
    assert airflow.xcom("real_wps", good, "job.submit") in pywps.jobs()
    assert airflow.xcom("real_wps", good, "job.wait", "status")["raw_status"] == "wps:ProcessSucceeded"
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".meta4", ".metalink"]
    assert airflow.wait_for_run("real_wps", bad) == "failed"
    assert "Process error: no disk" in airflow.task_log("real_wps", bad, "job.wait")
    assert airflow.states("real_wps", bad)["job.fetch"] == "upstream_failed"


# moto ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def connected(airflow: LocalAirflow, aws: Moto) -> Moto:
    fields = {"conn_type": "asyncjob", "host": aws.url, "login": aws.login, "password": aws.password}
    airflow.set_connection("aws", {**fields, "extra": {"region_name": REGION}})
    aws.s3().create_bucket(Bucket="lake")
    return aws


def test_athena_rows_come_from_s3(airflow: LocalAirflow, connected: Moto, tmp_path: Path) -> None:
    import pyarrow.parquet as parquet

    asked = {"query": "SELECT id FROM people", "output_location": "s3://lake/athena/"}
    connected.athena_runs_for(1)
    connected.next_result([["id", "name"], ["00001", "Zoë"]])
    good = run(airflow, "real_athena", "aws", tmp_path, **asked)
    assert airflow.wait_for_run("real_athena", good) == "success"
    assert parquet.read_table(tmp_path / "rows.parquet").to_pylist() == [{"id": "00001", "name": "Zoë"}]
    assert airflow.files_with(connected.password) == [], "the secret key is nowhere"


def test_step_functions_that_fail_say_why(airflow: LocalAirflow, connected: Moto, tmp_path: Path) -> None:
    states = {"Fail": {"Type": "Fail", "Error": "DiskFull", "Cause": "no space at row 7"}}
    machine = connected.state_machine("airflow-fails", states, "Fail")
    bad = run(airflow, "real_step_functions", "aws", tmp_path, state_machine=machine)
    assert airflow.wait_for_run("real_step_functions", bad) == "failed"
    log = airflow.task_log("real_step_functions", bad, "job.wait")
    assert "DiskFull: no space at row 7" in log


# Airflow itself, over the command line ------------------------------------------------------

DAG_RUN = {"dag_id": "remote_runs", "task_id": "rows"}


@pytest.fixture
def dag_run(asyncjob: Asyncjob, airflow: LocalAirflow) -> Driven:
    airflow.wait_for_dag("remote_runs")
    return Driven(asyncjob, "airflow/dag_run", airflow.url, {"login": "anybody", "password": "is an admin"})


def test_a_dag_run_returns_the_records_of_its_task(dag_run: Driven, tmp_path: Path) -> None:
    ran = dag_run.run("--destination", "rows.jsonl", conf={"count": 3}, **DAG_RUN)
    assert (ran.code, ran.last["state"], ran.last["records"]) == (0, "done", 3), ran.stderr
    assert records_in(tmp_path / "rows.jsonl")[2] == {"id": "00002", "name": "Zoë 2"}


def test_a_dag_run_that_fails_names_its_tasks(dag_run: Driven) -> None:
    ran = dag_run.run("--destination", "rows.jsonl", conf={"fails": True}, **DAG_RUN)
    assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (4, "failed", "failed")
    assert "rows failed" in ran.last["message"]


def test_a_timeout_marks_the_dag_run(dag_run: Driven, airflow: LocalAirflow) -> None:
    ran = dag_run.run(changes={"status": {"timeout": 3}}, conf={"seconds": 60}, **DAG_RUN)
    assert (ran.code, ran.last["state"]) == (5, "timed_out")
    assert airflow.wait_for_run("remote_runs", ran.last["submission_id"]) == "failed"


def test_a_repeated_submit_starts_no_second_run(airflow: LocalAirflow) -> None:
    body = {"dag_run_id": "asyncjob__twice", "logical_date": None, "conf": {}}
    airflow.rest("POST", "/dags/remote_runs/dagRuns", body)
    with pytest.raises(Exception, match="409"):
        airflow.rest("POST", "/dags/remote_runs/dagRuns", body)


def test_an_unknown_run_is_told_as_such(dag_run: Driven) -> None:
    changes = asking_for("{{ 'no/such+run' }}") | {"status": {"poll_error_budget": 0}}
    unknown = dag_run.run(changes=changes, **DAG_RUN)
    assert (unknown.code, unknown.last["state"]) == (1, "error")
    assert "/dagRuns/no%2Fsuch%2Brun answered 404" in unknown.last["message"]


@pytest.mark.airflow
def test_users_and_tokens_that_are_not_known_are_told_as_such(asyncjob: Asyncjob, tmp_path: Path) -> None:
    """Only the API server runs, with a user who has a password; elsewhere everybody is an admin."""
    (tmp_path / "passwords.json").write_text(json.dumps({"anna": "anna-secret"}))
    (tmp_path / "dags").mkdir()
    settings = {
        "ALL_ADMINS": "False",
        "USERS": "anna:admin",
        "PASSWORDS_FILE": str(tmp_path / "passwords.json"),
    }
    env = {f"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_{name}": value for name, value in settings.items()}
    airflow = LocalAirflow(tmp_path / "home", tmp_path / "dags", env=env)
    airflow.components = {"api-server": airflow.components["api-server"]}
    with airflow:
        job = Driven(asyncjob, "airflow/dag_run", airflow.url, {"login": "anna", "password": "anna-secret"})
        known = job.run(dag_id="nowhere")
        assert (known.code, known.last["submission_id"]) == (1, None)
        assert "'nowhere' not found" in known.last["message"]
        job.connection["password"] = "wrong-one"
        login = job.run(dag_id="nowhere")
        assert (login.code, login.last["submission_id"]) == (1, None)
        assert "/auth/token answered 401" in login.last["message"]
        bearer = {"auth": {"type": "bearer", "login": None, "headers": None}}
        token = job.run(changes=bearer, dag_id="nowhere")
        assert (token.code, token.last["submission_id"]) == (1, None)
        assert "does not allow this with the credentials" in token.last["message"]
        said = "".join(ran.stdout + ran.stderr for ran in (known, login, token))
        assert "wrong-one" not in said
        assert "anna-secret" not in said
