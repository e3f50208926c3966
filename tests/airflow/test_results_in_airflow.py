"""Results that take more than one request, and one whose address is a secret, in a real Airflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.airflow.runs import ended
from tests.servers.scripted import Reply, running, turns


def test_steps_lead_to_two_results_one_of_them_in_pages(airflow: LocalAirflow, tmp_path: Path) -> None:
    dag_id = "hops_and_pages"
    last = {"rows": [{"n": 3}], "next": None}
    routes = {
        "POST /jobs": {"id": "job-7"},
        "GET /jobs/job-7": {"state": "FINISHED"},
        "GET /jobs/job-7/outputs": {"outputs": ["a", "b"]},
        "POST /outputs/a/link": {"url": "/files/a"},
        "POST /outputs/b/link": {"url": "/files/b"},
        "GET /files/a": {"rows": [{"n": 1}, {"n": 2}], "next": "/files/a?page=2"},
        r"GET /files/a\?page=2": turns(Reply(503, "not now"), last),
        "GET /files/b": {"rows": [{"n": 4}], "next": None},
    }
    with running(routes) as api:
        airflow.set_connection("hops", api.base)
        run_id = airflow.trigger(dag_id, {"conn": "hops", "folder": str(tmp_path)})
        assert ended(airflow, dag_id, run_id) == "success"
    assert airflow.xcom(dag_id, run_id, "job.wait") == "job-7", "the steps are the download's"
    assert airflow.xcom(dag_id, run_id, "job.fetch", "records") == 4
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"n": number} for number in (1, 2, 3, 4)]
    second = "GET /files/a?page=2"
    assert [str(asked) for asked in api.asked[2:]] == [
        "GET /jobs/job-7/outputs",
        *("POST /outputs/a/link", "POST /outputs/b/link"),
        *("GET /files/a", second, second, "GET /files/b"),
    ]


def test_a_secret_target_is_in_no_xcom_no_log_and_no_trigger(airflow: LocalAirflow, tmp_path: Path) -> None:
    dag_id, job_id, secret = "secret_target", "job-with-a-secret-9c1e", "of-the-result-9c1e"
    url = f"BASE/place-{secret}/rows?X-Amz-Signature=signature-{secret}"
    state = ["RUNNING"]

    def status(asked: Any) -> Any:
        return {"id": job_id, "state": state[0], "url": url}  # named already while the job runs, as some do

    routes = {
        "POST /jobs": {"id": job_id},
        f"GET /jobs/{job_id}": status,
        rf"GET /place-{secret}/rows\?.*": turns(Reply(503, "not now"), [{"n": 1}]),
    }
    with running(routes) as api:
        airflow.set_connection("secret_target", api.base)
        run_id = airflow.trigger(dag_id, {"conn": "secret_target", "folder": str(tmp_path)})
        airflow.wait_for_state(dag_id, run_id, "job.wait", "deferred")
        (trigger,) = airflow.query(
            "SELECT t.kwargs FROM trigger t JOIN task_instance i ON i.trigger_id = t.id WHERE i.run_id = ?",
            run_id,
        )
        assert job_id in trigger["kwargs"]
        assert secret not in trigger["kwargs"]
        state[0] = "FINISHED"
        assert ended(airflow, dag_id, run_id) == "success"
    assert airflow.xcom(dag_id, run_id, "job.wait") == job_id
    assert airflow.xcom(dag_id, run_id, "job.fetch", "records") == 1
    assert len(api.of(rf"GET /place-{secret}/.*")) == 2
    xcoms = airflow.query("SELECT task_id, key, value FROM xcom WHERE run_id = ?", run_id)
    assert job_id in str(xcoms)
    assert secret not in str(xcoms)
    assert "503" in airflow.task_log(dag_id, run_id, "job.fetch")
    assert airflow.db_path in airflow.files_with(job_id), "it is looked for where it would be"
    assert airflow.files_with(secret) == []
