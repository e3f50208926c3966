"""What the promise costs: the share of a worker's time with tasks that goes into Airflow's task state store.

    python benchmarks/promise.py [--jobs N] [--database sqlite|postgresql]

Jobs of a second are submitted, waited for and downloaded in a real Airflow, one task at a time. The API
server notes of each request how long it took, so its log tells both: how long it was at what a job keeps
there, and how long tasks ran, from the request that says so to the one that ends or defers them.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
from collections import defaultdict
from datetime import datetime
from pathlib import Path

from databases import DATABASES, each_database

from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.testing.local_airflow import LocalAirflow

DAG = """
from airflow.sdk import DAG
from airflow_asyncjob import async_job

JOB = {{
    "name": "promise",
    "inputs": {{"run_for": {{"type": "number"}}}},
    "submit": {{
        "request": {{
            "method": "POST", "url": "/jobs", "json": {{"run_for": "{{{{ inputs.run_for }}}}", "rows": 1000}},
            "headers": {{"Idempotency-Key": "{{{{ idempotency_key }}}}"}},
        }},
        "id": "id",
    }},
    "status": {{
        "request": {{"url": "/jobs/{{{{ submission_id }}}}"}},
        "path": "status",
        "values": {{"running": ["queued", "running"], "done": ["succeeded"], "failed": ["failed"]}},
        "poll_wait": "1s",
    }},
    "result": {{"target": "url", "format": "raw"}},
    "cancel": {{"method": "DELETE", "url": "/jobs/{{{{ submission_id }}}}"}},
}}

with DAG("promise", schedule=None, max_active_tasks=1):
    async_job.partial(
        job=JOB, http_conn_id="server", destination={folder!r} + "/{{{{ map_index }}}}", group_id="job"
    ).expand(inputs=[{{"run_for": 1}}] * {jobs})
"""

REQUEST = re.compile(
    r"^(?P<at>\S+) .*\[http\.access\].* duration_us=(?P<took>\d+) .*method=(?P<method>\S+) "
    r"path=/execution/(?P<path>\S+) "
)
PROMISED = ("asyncjob.submit", "asyncjob.wait", "asyncjob.mark")
SHOWN = ("asyncjob.trace", "asyncjob.summary")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--database", choices=DATABASES)
    given = parser.parse_args()
    print(f"{given.jobs} jobs with submit, wait, download and cancel, one task at a time")
    with tempfile.TemporaryDirectory() as name, FakeJobServer("generic") as server:
        folder = Path(name)
        (folder / "dags").mkdir()
        (folder / "dags" / "promise.py").write_text(DAG.format(folder=name, jobs=given.jobs))
        for database, home, env in each_database(folder, given.database):
            airflow = LocalAirflow(home, folder / "dags", env=env, connections={"server": server.connection})
            with airflow:
                run_id = airflow.trigger("promise")
                state = airflow.wait_for_run("promise", run_id, timeout=1200)
                log = airflow.processes.log("api-server").read_text()
            assert state == "success", state
            report(database, log, given.jobs)


def report(database: str, log: str, jobs: int) -> None:
    began: dict[str, datetime] = {}
    worked = 0.0
    store: dict[tuple[str, str], list[float]] = defaultdict(list)
    for found in filter(None, map(REQUEST.match, log.splitlines())):
        at = datetime.fromisoformat(found["at"])
        kind, *rest = found["path"].split("/")
        if kind == "task-instances" and rest[1:] == ["run"]:
            began[rest[0]] = at
        elif kind == "task-instances" and rest[1:] == ["state"] and rest[0] in began:
            worked += (at - began.pop(rest[0])).total_seconds()
        elif kind == "store":
            store[found["method"], rest[-1]].append(int(found["took"]) / 1e6)
    print(f"{database}: tasks ran {worked:.1f} s")
    for what, names in (("the promise", PROMISED), ("what the tab shows", SHOWN)):
        took = {key: all_of for key, all_of in store.items() if key[1] in names}
        writes = [one for (method, _), all_of in took.items() if method == "PUT" for one in all_of]
        total = sum(map(sum, took.values()))
        middle = 1000 * statistics.median(writes)
        print(
            f"  {what:<20}{len(writes) / jobs:5.1f} writes a job, {middle:.1f} ms each; "
            f"reads too {total:.2f} s, {total / worked:.2%} of that"
        )


if __name__ == "__main__":
    main()
