"""What memory an upload takes in a task of a real Airflow: a large CSV, as it is and in parts.

    python benchmarks/upload_in_airflow.py [--megabytes N]

The peak is that of the task's process, as the operating system tells it at the end of the task. Beside it
stands the peak of a task that does nothing: that is Airflow itself.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from uploads import WAYS, rows_of, served

from airflow_asyncjob.testing.local_airflow import LocalAirflow

DAG = """
from pathlib import Path

from airflow.sdk import dag, task
from airflow_asyncjob import AsyncSubmitOperator


def told(context, result=None):
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    (Path({folder!r}) / (context["ti"].task_id + ".peak")).write_text(peak.split()[1])


@dag(schedule=None)
def upload():
    @task
    def nothing(**context):
        told(context)

    last = nothing()
    for name, definition in {jobs!r}.items():
        submit = AsyncSubmitOperator(
            task_id=name, job=definition, http_conn_id="taker", inputs={{"rows": {rows!r}}}, post_execute=told
        )
        last >> submit
        last = submit


upload()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, served() as url:
        folder = Path(name)
        rows = folder / "large.csv"
        rows_of(rows, given.megabytes * 1_000_000)
        jobs = {f"way_{number}": json.loads(json.dumps(job)) for number, job in enumerate(WAYS.values())}
        (folder / "dags").mkdir()
        (folder / "dags" / "upload.py").write_text(DAG.format(folder=name, jobs=jobs, rows=str(rows)))
        with LocalAirflow(folder / "airflow", folder / "dags", connections={"taker": url}) as airflow:
            run_id = airflow.trigger("upload")
            state = airflow.wait_for_run("upload", run_id, timeout=1200)
        assert state == "success", state
        print(f"Peak memory of tasks that send a CSV of {rows.stat().st_size / 1e6:,.0f} MB")
        for task, what in {
            "nothing": "a task that does nothing",
            **dict(zip(jobs, WAYS, strict=True)),
        }.items():
            peak = int((folder / f"{task}.peak").read_text()) // 1024
            print(f"  {what:<34}{peak:>5} MB")


if __name__ == "__main__":
    main()
