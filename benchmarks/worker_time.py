"""How long a worker is busy with the wait for one job: deferred, rescheduled, poked, and with HttpSensor.

    python benchmarks/worker_time.py [--seconds S]

One real Airflow (SQLite, LocalExecutor), one fake server, one job of S seconds for each way, polled every ten
seconds, one after the other. The times are those of Airflow's audit log, over all starts of the task.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.testing.local_airflow import LocalAirflow

DAGS = """
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG
from airflow_asyncjob import async_job

JOB = {
    "submit": {"request": {"url": "/jobs", "json": {"run_for": %(seconds)s}}, "id": "id"},
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {"running": ["queued", "running"], "done": "succeeded"},
        "poll_wait": 10,
    },
}
WAYS = {
    "deferred": {"deferrable": True},
    "reschedule": {"deferrable": False, "mode": "reschedule"},
    "poke": {"deferrable": False, "mode": "poke"},
}
for name, arguments in WAYS.items():
    with DAG(name, schedule=None):
        async_job(job=JOB, http_conn_id="shop", group_id="job", **arguments)

for mode in ("reschedule", "poke"):
    with DAG(f"http_sensor_{mode}", schedule=None):
        submit = HttpOperator(
            task_id="job.submit", http_conn_id="shop", endpoint="/jobs", data='{"run_for": %(seconds)s}',
            response_filter=lambda response: response.json()["id"])
        submit >> HttpSensor(
            task_id="job.wait", http_conn_id="shop", endpoint="/jobs/{{ ti.xcom_pull('job.submit') }}",
            response_check=lambda response: response.json()["status"] == "succeeded",
            poke_interval=10, mode=mode)
"""
WAYS = ("deferred", "reschedule", "poke", "http_sensor_reschedule", "http_sensor_poke")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder, FakeJobServer("generic") as shop:
        dags = Path(folder) / "dags"
        dags.mkdir()
        (dags / "ways.py").write_text(DAGS % {"seconds": seconds})
        with LocalAirflow(Path(folder) / "home", dags, connections={"shop": shop.url}) as airflow:
            print(f"{f'a job of {seconds:g} s':<26}{'worker busy':>12}{'starts':>8}{'end of run':>14}")
            for way in WAYS:
                run = airflow.trigger(way)
                airflow.wait_for_run(way, run, timeout=seconds * 3 + 120)
                ended = time.time()
                job = shop.ledger.entries("submit")[-1]
                starts = len(airflow.worker_stretches(way, run, "job.wait"))
                busy = airflow.worker_seconds(way, run, "job.wait")
                late = ended - job.at - seconds
                print(f"{way:<26}{busy:>10.1f} s{starts:>8}{late:>+12.1f} s", flush=True)


if __name__ == "__main__":
    main()
