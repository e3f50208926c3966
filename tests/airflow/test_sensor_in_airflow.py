"""What Airflow does around a sensor: callbacks, mapping, and the button that tests a connection."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx

from airflow_asyncjob.testing import FakeClock, FakeJobServer
from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.airflow.runs import Run, serving

REFUSED = {"run_for": 3, "ends": "failed", "message": "no such segment"}


def submitted(server: FakeJobServer, **plans: dict[str, Any]) -> dict[str, str]:
    """Submit jobs by hand; return name and ID of each."""
    return {name: httpx.post(f"{server.url}/jobs", json=plan).json()["id"] for name, plan in plans.items()}


def test_callbacks_see_how_a_deferred_wait_ended(airflow: LocalAirflow, tmp_path: Path) -> None:
    clock = FakeClock()  # the jobs run until all of them are waited for in the triggerer
    with serving(airflow, "callbacks", clock=clock) as server:
        jobs = submitted(server, good={"run_for": 3}, bad=REFUSED, soft=REFUSED, late={"run_for": 600})
        run = Run.start(airflow, server, "sensor_callbacks", tmp_path, conn="callbacks", jobs=jobs)
        for task_id in ("good", "bad", "soft"):
            run.until(task_id, "deferred")
        clock.advance(3)
        assert run.end() == "failed"
        assert run.states() == {"good": "success", "bad": "failed", "soft": "skipped", "late": "failed"}
        assert server.ledger.running() == 0, "the one that was late is cancelled"
    noted = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert noted.keys() == {"good.success", "bad.failure", "soft.skipped", "late.failure"}
    assert all(text.count("\n") == 1 for text in noted.values()), "each is called once"
    assert "message: no such segment" in noted["bad.failure"]
    assert "timed out" in noted["late.failure"]
    assert re.search(r"Job \S+ is failed after .* polls?\. Status 'failed', 0 download", run.log("bad"))


def test_a_mapped_sensor_has_the_arguments_of_a_sensor(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "mapped") as server:
        jobs = submitted(server, good={"run_for": 5}, bad=REFUSED, late={"run_for": 600})
        run = Run.start(airflow, server, "sensor_mapped", tmp_path, conn="mapped", jobs=jobs)
        assert run.end() == "success"
        states = run.states()
        waits = [states[f"wait[{index}]"] for index in range(3)]
        assert waits == ["success", "skipped", "skipped"]
        assert server.ledger.running() == 0
        assert [entry.job_id for entry in run.sent("cancel")] == [jobs["late"]]
        assert re.search(r"Next poll at \S+ UTC, in [12](\.\d)? s", run.log("wait", map_index=2))
        assert run.xcom("wait", map_index=0) == [f"/jobs/{jobs['good']}/result/1"]
        assert "because soft_fail is set" in run.log("wait", map_index=1)


def test_a_mapped_group_reads_its_templates_by_the_declared_type(
    airflow: LocalAirflow, tmp_path: Path
) -> None:
    with serving(airflow, "templates") as server:
        conf = {"rows": 4, "words": {"done": "finished"}}
        run = Run.start(airflow, server, "group_of_templates", tmp_path, conn="templates", **conf)
        assert run.end() == "success"
        assert (run.rows("1.csv"), run.rows("4.csv")) == (1, 4)


def test_the_button_that_tests_a_connection(airflow: LocalAirflow) -> None:
    def tested(server: FakeJobServer, password: str, path: str) -> dict[str, Any]:
        extra = {"auth": {"type": "bearer"}, "test_path": path}
        fields = {"conn_type": "asyncjob", "host": server.url, "password": password}
        body = {"connection_id": "tested", **fields, "extra": json.dumps(extra)}
        answer: dict[str, Any] = airflow.rest("POST", "/connections/test", body)
        return answer

    with FakeJobServer("generic", auth="bearer", credential="good-token") as server:
        header = {"Authorization": "Bearer good-token"}
        job_id = httpx.post(f"{server.url}/jobs", json={}, headers=header).json()["id"]
        good = tested(server, "good-token", f"/jobs/{job_id}")
        wrong = tested(server, "wrong-token", f"/jobs/{job_id}")
        assert good == {"status": True, "message": f"GET {server.url}/jobs/{job_id} answered 200"}
        assert [entry.code for entry in server.ledger.entries("poll")] == [200, 401]
    assert wrong["status"] is False
    assert "401: the credentials are missing or refused" in wrong["message"]
    assert "wrong-token" not in wrong["message"]
