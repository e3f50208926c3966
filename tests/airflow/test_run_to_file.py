"""Whole jobs in a real Airflow: every way to wait, what travels, what people read."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import httpx

from airflow_asyncjob.testing import FakeClock
from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.airflow.runs import Run, serving
from tests.airflow.statsd import StatsdServer
from tests.servers.pygeoapi import Pygeoapi


def test_a_job_of_a_real_server_takes_seconds_of_a_worker(
    airflow: LocalAirflow, pygeoapi: Pygeoapi, tmp_path: Path
) -> None:
    dag, pause = "ogc_process", 25
    airflow.set_connection("ogc", pygeoapi.url)
    airflow.set_variable("ogc_folder", str(tmp_path))
    before = pygeoapi.job_ids()
    airflow.wait_for_dag(dag)
    run = airflow.rest("POST", f"/dags/{dag}/dagRuns", {"logical_date": None, "conf": {"pause": pause}})[
        "dag_run_id"
    ]
    assert airflow.wait_for_run(dag, run, 180) == "success"

    (job_id,) = pygeoapi.job_ids() - before
    assert airflow.xcom(dag, run, "ogc_process.submit") == job_id
    status = airflow.xcom(dag, run, "ogc_process.wait", "status")
    assert (status["state"], status["raw_status"]) == ("done", "successful")
    assert status["waited"] > pause
    busy = airflow.worker_seconds(dag, run, "ogc_process.wait")
    assert 0 < busy < pause / 2, f"the job took {status['waited']} s and a worker {busy} s"

    (uri,) = airflow.xcom(dag, run, "ogc_process.fetch", "uris")
    result = Path(uri.removeprefix("file://")).read_text()
    assert json.loads(result) == {"id": "echoOutput", "value": run}
    values = airflow.query("SELECT key, value FROM xcom WHERE dag_id = ? AND run_id = ?", dag, run)
    assert len(values) > 10
    assert not [row["key"] for row in values if "echoOutput" in str(row["value"])], "no XCom holds a body"


def test_flat_arguments_carry_a_job_with_captures(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "flat") as server:
        run = Run.start(airflow, server, "plain_flat", tmp_path, conn="flat", plan={"run_for": 4, "rows": 6})
        assert run.end() == "success"
        (job_id,) = run.accepted()
        assert run.xcom("submit") == job_id
        submission = run.xcom("submit", "submission")
        assert sorted(submission) == ["captures", "id", "submitted_at"]
        assert submission["captures"] == {"place": f"/jobs/{job_id}"}
        assert run.sent("poll")[0].at >= submission["submitted_at"] + 2, "the initial wait"
        assert run.xcom("wait") == [f"/jobs/{job_id}/result/1"]
        assert run.xcom("wait", "status").keys() == {
            "state", "raw_status", "message", "progress", "polls", "waited", "expires_at", "captures",
        }  # fmt: skip
        manifest = run.xcom("fetch")
        assert (manifest["records"], manifest["format"], manifest["submission_id"]) == (6, "jsonl", job_id)
        assert run.xcom("fetch", "uris") == [f"file://{tmp_path}/{job_id}.jsonl"]
        assert len((tmp_path / f"{job_id}.jsonl").read_text().splitlines()) == 6
        assert [entry.code for entry in run.sent("delete")] == [204], "the API forgets the job afterwards"
        assert sorted(path.name for path in tmp_path.iterdir()) == [f"{job_id}.jsonl"]


def test_the_log_tells_the_story(airflow: LocalAirflow, tmp_path: Path) -> None:
    clock = FakeClock()  # the job runs until the triggerer has seen it run
    with serving(airflow, "story", clock=clock) as server:
        run = Run.start(airflow, server, "plain_group", tmp_path, conn="story", plan={"run_for": 100})
        run.until("job.wait", "deferred")
        run.until_polled(len(run.sent("poll")) + 1)
        clock.advance(100)
        assert run.end() == "success"
        (job_id,) = run.accepted()
        url = f"{server.url}/jobs"
        assert f"POST {url} 201 in " in run.log("job.submit")
        waiting = run.log("job.wait")
        assert f"GET {url}/{job_id} 200 in " in waiting
        assert "ext poll at " in waiting
        assert "running -> succeeded, progress 100" in waiting
        assert f"Job {job_id} is done after " in waiting
        assert "Written: 3 records" in run.log("job.fetch")
        assert run.xcom("job.wait", "link_async_job").endswith("/tasks/job.wait/plugin/async-job")
        assert run.xcom("job.wait", "link_remote_job") == f"{url}/{job_id}"
        assert run.xcom("job.fetch", "link_result") == f"file://{tmp_path}/rows.csv"


def test_workers_and_the_triggerer_report_figures_of_a_job(
    airflow: LocalAirflow, reported: StatsdServer, tmp_path: Path
) -> None:
    with serving(airflow, "figures") as server:
        run = Run.start(airflow, server, "plain_group", tmp_path, conn="figures", plan={"run_for": 3})
        assert run.end() == "success"
        wait = {"dag_id": "plain_group", "task_id": "job.wait", "conn_id": "figures"}
        polls = len(run.sent("poll"))
        assert len(reported.values("polls", **wait)) == polls >= 2
        assert reported.values("polls", **wait, state="done") == ["1|c"]
        assert len(reported.values("poll.duration", **wait)) == polls
        assert len(reported.values("poll.lateness", **wait)) == polls
        assert reported.values("jobs", **wait, state="done") == ["1|c"]
        assert reported.values("submits", **{**wait, "task_id": "job.submit"}) == ["1|c"]
        size = (tmp_path / "rows.csv").stat().st_size
        assert reported.values("download.bytes", **{**wait, "task_id": "job.fetch"}) == [f"{size}|c"]


def test_reschedule_gives_the_worker_back_between_polls(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "resched") as server:
        run = Run.start(airflow, server, "plain_reschedule", tmp_path, conn="resched", plan={"run_for": 18})
        assert run.end() == "success"
        assert len(run.accepted()) == 1
        moments = [entry.at for entry in run.sent("poll")]
        assert len(moments) >= 2
        assert min(later - earlier for earlier, later in pairwise(moments)) >= 5
        (counted,) = airflow.query(
            "SELECT count(*) AS n FROM task_reschedule r JOIN task_instance t ON t.id = r.ti_id"
            " WHERE t.run_id = ?",
            run.run_id,
        )
        assert counted["n"] == len(moments) - 1
        assert airflow.worker_seconds(run.dag_id, run.run_id, "job.wait") < 18
        assert run.rows() == 3
        assert run.checkpoint("job.wait")["deadline"] == run.submitted_at() + 300, "kept over the reschedules"


def test_poke_stays_on_the_worker(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "poke") as server:
        run = Run.start(airflow, server, "plain_poke", tmp_path, conn="poke", plan={"run_for": 15})
        assert run.end() == "success"
        assert len(airflow.worker_stretches(run.dag_id, run.run_id, "job.wait")) == 1
        assert len(run.sent("poll")) >= 3
        assert run.rows() == 3


def test_a_job_that_was_submitted_by_hand_is_adopted(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "hand") as server:
        job_id = httpx.post(f"{server.url}/jobs", json={"run_for": 3, "rows": 4}).json()["id"]
        run = Run.start(airflow, server, "plain_by_hand", tmp_path, conn="hand", job_id=job_id)
        assert run.end() == "success"
        assert run.xcom("wait", "submission")["id"] == job_id
        assert run.xcom("fetch", "submission_id") == job_id
        assert f"Job {job_id} was given by hand" in run.log("wait")
        assert run.rows() == 4


def test_submit_and_wait_in_one_task(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "one") as server:
        run = Run.start(airflow, server, "plain_in_one", tmp_path, conn="one", plan={"run_for": 8})
        run.until("job", "deferred")
        assert run.end() == "success"
        (job_id,) = run.accepted()
        assert run.xcom("job") == [f"/jobs/{job_id}/result/1"]
        assert run.xcom("job", "submission")["id"] == job_id
        assert run.xcom("job", "status")["state"] == "done"


def test_a_long_retry_after_gives_the_worker_back(airflow: LocalAirflow, tmp_path: Path) -> None:
    with serving(airflow, "patient") as server:
        server.faults.add("submit", 429, headers={"Retry-After": "35"})
        run = Run.start(airflow, server, "plain_keyed", tmp_path, conn="patient", plan={})
        run.until("submit", "deferred")
        assert run.end() == "success"
        first, second = (entry.at for entry in run.sent("submit"))
        assert second - first >= 35
        assert len(run.accepted()) == 1
        assert run.tries("submit") == 1
        assert airflow.worker_seconds(run.dag_id, run.run_id, "submit") < 30
