"""The DAGs of the crash suite: many jobs at once, one mapped task group a job.

The run's conf: ``plans`` (one a job, see the fake server) and ``folder`` (where the results go).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from airflow_asyncjob import async_job
from airflow_asyncjob.definition import AsyncJob

BASE = AsyncJob.load(Path(__file__).with_name("crash_jobs.yaml"))


def with_headers(headers: dict[str, str], **sections: Any) -> AsyncJob:
    """Return the definition with these headers on its submit, and these sections."""
    given = BASE.to_dict()
    given["submit"]["request"]["headers"] = headers
    return AsyncJob.load({**given, **sections})


KINDS = {
    # The API takes a key: the same key is the same job.
    "keyed": with_headers({"Idempotency-Key": "{{ idempotency_key }}"}),
    # The API's list shows the mark that the submit gave its job.
    "listed": with_headers(
        {"X-Job-Mark": "{{ idempotency_key }}"},
        list={
            "request": {"url": "/jobs"},
            "records": "jobs",
            "id": "id",
            "submitted_at": "created_at",
            "marker": "mark",
            "settle": 15,
        },
        # Longer than a freeze: so long the request of a process that is not seen may still come.
        limits={"exchange_timeout": 75},
    ),
    # The API has neither key nor list: a submit whose answer was lost is not repeated, and fails.
    "neither": BASE,
}

for kind, definition in KINDS.items():
    with DAG(f"crash_{kind}", schedule=None, max_active_tasks=64, max_active_runs=50):

        @task(retries=30, retry_delay=timedelta(seconds=2))
        def plans(dag_run: Any = None) -> list[dict[str, Any]]:
            return [{"plan": plan} for plan in dag_run.conf["plans"]]

        async_job.partial(
            job=definition,
            http_conn_id="remote",
            destination="{{ dag_run.conf['folder'] }}/{{ map_index }}.rows",
            group_id="job",
            retries=30,
            retry_delay=timedelta(seconds=2),
        ).expand(inputs=plans())
