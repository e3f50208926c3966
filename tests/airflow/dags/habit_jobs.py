"""DAGs over APIs that have a habit. Of the run: ``conn``, its connection, and ``folder``, for results."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_asyncjob import AsyncSubmitOperator, async_job

CONN = "{{ dag_run.conf['conn'] }}"
USUAL: dict[str, Any] = {
    "http_conn_id": CONN,
    "destination": "{{ dag_run.conf['folder'] }}/rows.jsonl",
    "group_id": "job",
}

MOVING: dict[str, Any] = {
    "name": "moving",
    "submit": {"request": {"url": "/queries"}, "id": "id", "capture": {"next": "nextUri"}},
    "status": {
        "request": {"url": "{{ captures.next }}"},
        "path": "state",
        "values": {"running": "RUNNING", "done": "FINISHED"},
        "capture": {"next": "nextUri"},
        "poll_wait": 1,
        "poll_error_budget": 0,
        "timeout": "5m",
    },
}

PLAIN: dict[str, Any] = {
    "submit": {"request": {"url": "/jobs"}, "id": "id"},
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "state",
        "values": {"running": "RUNNING", "done": "FINISHED"},
        "poll_wait": 1,
        "timeout": "5m",
    },
    "result": {"target": "url", "format": "json"},
}

IMPORT: dict[str, Any] = {
    "submit": {
        "steps": [
            {"name": "create", "request": {"url": "/imports"}, "capture": {"import": "id"}},
            {
                "name": "upload",
                "each": "{{ ['one', 'two'] }}",
                "request": {
                    "method": "PUT",
                    "url": "/imports/{{ captures.import }}/parts",
                    "text": "{{ item }}",
                },
                "capture": {"tags": {"header": "etag"}},
            },
            {
                "name": "start",
                "request": {
                    "url": "/imports/{{ captures.import }}/start",
                    "headers": {"Idempotency-Key": "{{ idempotency_key }}"},
                    "json": {"tags": "{{ captures.tags }}"},
                },
            },
        ],
        "id": "{{ captures.import }}",
    },
    "limits": {"retries": 50},
}

HOPS_AND_PAGES: dict[str, Any] = {
    **PLAIN,
    "result": {
        "steps": [
            {
                "name": "outputs",
                "request": {"url": "/jobs/{{ submission_id }}/outputs"},
                "capture": {"outputs": "outputs"},
            },
            {
                "name": "link",
                "each": "{{ captures.outputs }}",
                "request": {"method": "POST", "url": "/outputs/{{ item }}/link"},
            },
        ],
        "target": "url",
        "format": "json",
        "records": "rows",
        "paginate": {"next": "next"},
    },
}

with DAG("moving_url", schedule=None):
    async_job(job=MOVING, http_conn_id=CONN, group_id="job")

with DAG("rotated_tokens", schedule=None):
    async_job(job=PLAIN, **USUAL)

with DAG("secret_target", schedule=None):
    async_job(job={**PLAIN, "result": {**PLAIN["result"], "secret": True}}, **USUAL)

with DAG("hops_and_pages", schedule=None):
    async_job(job=HOPS_AND_PAGES, **USUAL)

with DAG("submit_steps", schedule=None):
    AsyncSubmitOperator(
        task_id="submit", job=IMPORT, http_conn_id=CONN, retries=2, retry_delay=timedelta(seconds=1)
    )
