"""DAGs about what Airflow does around a sensor. The run's conf has ``conn`` (the connection), ``folder``, and
``jobs`` (name: ID of a job that was submitted by hand).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from airflow_asyncjob import AsyncStatusSensor, async_job

CONN = "{{ dag_run.conf['conn'] }}"
JOB = {"job": "plain_job.yaml", "http_conn_id": CONN}


def noting(event: str) -> Callable[[Any], None]:
    """Return a callback that leaves a file, with the error in it."""

    def note(context: Any) -> None:
        path = Path(context["dag_run"].conf["folder"]) / f"{context['ti'].task_id}.{event}"
        with path.open("a") as file:
            file.write(f"{context.get('exception') or ''}\n")

    return note


with DAG("sensor_callbacks", schedule=None):
    for name, options in {
        "good": {},
        "bad": {},
        "soft": {"soft_fail": True},
        "late": {"timeout": 8},
    }.items():
        AsyncStatusSensor(
            task_id=name,
            submission_id=f"{{{{ dag_run.conf['jobs']['{name}'] }}}}",
            on_success_callback=noting("success"),
            on_failure_callback=noting("failure"),
            on_skipped_callback=noting("skipped"),
            **JOB,
            **options,
        )

with DAG("sensor_mapped", schedule=None):

    @task
    def job_ids(dag_run: Any = None) -> list[str]:
        return list(dag_run.conf["jobs"].values())

    AsyncStatusSensor.partial(task_id="wait", **JOB, poke_interval=2, soft_fail=True, timeout=15).expand(
        submission_id=job_ids()
    )

with DAG("group_of_templates", schedule=None):
    async_job.partial(
        job={
            "inputs": {"rows": {"type": "integer"}, "words": {"type": "object", "default": {}}},
            "submit": {
                "request": {"url": "/jobs", "json": "{{ inputs }}"},
                "id": "id",
            },
            "status": {
                "request": {"url": "/jobs/{{ submission_id }}"},
                "path": "status",
                "values": {"done": ["succeeded", "finished"]},
            },
            "result": {"target": "urls", "format": "csv"},
        },
        http_conn_id=CONN,
        destination="{{ dag_run.conf['folder'] }}/{{ inputs.rows }}.csv",
        group_id="job",
    ).expand(
        inputs=[
            {"rows": 1},
            {"rows": "{{ dag_run.conf['rows'] }}", "words": "{{ dag_run.conf['words'] }}"},
        ]
    )
