"""An import whose records are planned for several jobs, and sent part by part.

The run's conf says ``contacts`` (the path of a file), ``folder`` (where rejects go) and
``conn`` (the connection).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_asyncjob import UploadPlanOperator, async_job

IMPORT: dict[str, Any] = {
    "name": "people",
    "inputs": {"contacts": {"type": "records"}},
    "submit": {
        "upload": {
            "source": "{{ inputs.contacts }}",
            "key": "email",
            "part_records": 10,
            "job_records": 50,
        },
        "steps": [
            {
                "name": "create",
                "request": {
                    "url": "/imports",
                    "headers": {"Idempotency-Key": "{{ idempotency_key }}"},
                    "json": {"part_records": 10, "refuse": {"p33@example.com": "no such person"}},
                },
                "capture": {"id": "id"},
            },
            {
                "name": "send",
                "each": "{{ parts }}",
                "request": {
                    "method": "PUT",
                    "url": "/imports/{{ captures.id }}/data/{{ part.number }}",
                    "part": True,
                },
                "rejects": {"records": "errors", "key": "email", "reason": "message"},
            },
            {"name": "start", "request": {"url": "/imports/{{ captures.id }}/start"}},
        ],
        "id": "id",
    },
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {"running": ["queued", "running"], "done": ["succeeded"]},
        "poll_wait": 1,
    },
}

with DAG("upload_parts", schedule=None):
    plan = UploadPlanOperator(
        task_id="plan", job=IMPORT, inputs={"contacts": "{{ dag_run.conf['contacts'] }}"}
    )
    async_job.partial(
        job=IMPORT,
        http_conn_id="{{ dag_run.conf['conn'] }}",
        destination="{{ dag_run.conf['folder'] }}/{{ map_index }}.jsonl",
        group_id="jobs",
        retries=1,
        retry_delay=timedelta(seconds=1),
        submit={"max_active_tis_per_dagrun": 1},
    ).expand(inputs=plan.output)
