"""LocalAirflow: the harness that the other tests of this folder trust."""

from __future__ import annotations

import os
import signal

import httpx
import psutil
import pytest

from airflow_asyncjob.testing.airflow_api import AirflowApiError
from airflow_asyncjob.testing.local_airflow import LocalAirflow
from airflow_asyncjob.testing.processes import StartError

DAG = "harness_trivial"


def test_a_run_leaves_everything_that_tests_look_at(airflow: LocalAirflow) -> None:
    run = airflow.trigger(DAG, {"word": "given"})
    assert airflow.wait_for_run(DAG, run) == "success"
    assert airflow.states(DAG, run) == {"wait": "success"}
    assert airflow.xcom(DAG, run, "wait") == "before the wait"
    assert airflow.xcom_keys(DAG, run, "wait") == ["return_value"]
    assert airflow.state_store(DAG, run, "wait") == {"word": {"said": "before the wait"}}
    log = airflow.task_log(DAG, run, "wait")
    assert log.count("resumed by the trigger") == 1
    assert "Trigger fired event" in log

    instance = airflow.task_instance(DAG, run, "wait")
    stretches = airflow.worker_stretches(DAG, run, "wait")
    assert len(stretches) == 2, "one before the deferral, one after it"
    assert stretches[1][0] > stretches[0][1]
    assert airflow.worker_seconds(DAG, run, "wait") < instance["duration"]


def test_a_cleared_task_runs_again_as_a_new_try(airflow: LocalAirflow) -> None:
    run = airflow.trigger(DAG)
    airflow.wait_for_state(DAG, run, "wait", "deferred")
    airflow.mark_failed(DAG, run, "wait")
    assert airflow.wait_for_run(DAG, run) == "failed"
    airflow.clear(DAG, run, "wait")
    assert airflow.wait_for_run(DAG, run) == "success"
    assert [instance["try_number"] for instance in airflow.tries(DAG, run, "wait")] == [1, 2]


def test_a_killed_triggerer_is_started_again(airflow: LocalAirflow) -> None:
    before = airflow.processes.pid("triggerer")
    airflow.kill("triggerer", signal.SIGKILL)
    assert airflow.processes.pids("triggerer") == []
    airflow.start("triggerer")
    assert airflow.processes.pid("triggerer") != before
    assert airflow.processes.alive("triggerer")


def test_connections_and_variables_can_be_set_twice(airflow: LocalAirflow) -> None:
    airflow.set_connection("harness", "http://user:secret@127.0.0.1:8000")
    airflow.set_connection("harness", {"conn_type": "http", "host": "127.0.0.1", "extra": {"timeout": 5}})
    stored = airflow.rest("GET", "/connections/harness")
    assert (stored["host"], stored["port"], stored["login"]) == ("127.0.0.1", None, None)
    airflow.set_variable("harness", "one")
    airflow.set_variable("harness", "two")
    assert airflow.rest("GET", "/variables/harness")["value"] == "two"


def test_an_unknown_dag_is_an_error_that_shows_the_import_errors(airflow: LocalAirflow) -> None:
    with pytest.raises(
        TimeoutError, match=r"Airflow knows DAG no_such_dag: not within 0.5 s(.|\n)*Import errors: "
    ):
        airflow.wait_for_dag("no_such_dag", timeout=0.5)


def test_a_refused_request_shows_code_and_body(airflow: LocalAirflow) -> None:
    with pytest.raises(AirflowApiError, match=r"GET /api/v2/dags/nothing: 404 .*not found") as caught:
        airflow.rest("GET", "/dags/nothing")
    assert caught.value.status == httpx.codes.NOT_FOUND


def test_it_listens_on_loopback_only(airflow: LocalAirflow) -> None:
    pids = [pid for component in airflow.components for pid in airflow.processes.pids(component)]
    listening = {
        tuple(connection.laddr)
        for pid in pids
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert ("127.0.0.1", airflow.port) in listening
    assert {host for host, _ in listening} == {"127.0.0.1"}


def test_every_dag_file_is_read_without_an_error(airflow: LocalAirflow) -> None:
    airflow.wait_for_dag(DAG)
    assert airflow.import_errors() == {}


def test_waiting_ends_at_once_when_a_component_has_died(airflow: LocalAirflow) -> None:
    os.kill(airflow.processes.pid("dag-processor"), signal.SIGKILL)
    try:
        with pytest.raises(
            StartError, match="it rains: this cannot come, because the dag-processor has ended"
        ):
            airflow.wait_until(lambda: False, timeout=60, what="it rains")
    finally:
        airflow.kill("dag-processor")
        airflow.start("dag-processor")
    assert airflow.processes.alive("dag-processor")
