"""DAGs over the bundled fake job server. The run's conf says how a job goes:

``plan`` (see the fake server), ``plans`` (a list of them, for mapped DAGs), ``folder`` (where results go),
``conn`` (the connection, ``jobs`` unless given), ``job_id`` (for a job that was submitted by hand).
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_asyncjob import AsyncStatusSensor, AsyncSubmitOperator, ResultDownloadOperator, async_job

PLAN = {"plan": "{{ dag_run.conf.get('plan', {}) }}"}
CONN = "{{ dag_run.conf.get('conn', 'jobs') }}"
FILE = "{{ dag_run.conf['folder'] }}/rows.csv"
JOB = {"job": "plain_job.yaml", "http_conn_id": CONN, "inputs": PLAN}
KEY = {"headers": {"Idempotency-Key": "{{ idempotency_key }}"}}
TWICE = {"retries": 1, "retry_delay": timedelta(seconds=1)}


def dag(dag_id: str, **options: Any) -> DAG:
    return DAG(dag_id, schedule=None, render_template_as_native_obj=True, **options)


def stay_in_first_try(context: Any, result: Any) -> None:
    """Keep the process of the first try alive after its work, so that a test can kill it there."""
    if context["ti"].try_number == 1:
        time.sleep(120)


with dag("plain_group"):
    async_job(**JOB, destination=FILE, group_id="job")

with dag("plain_retried"):
    async_job(**JOB, destination=FILE, group_id="job", **TWICE)

with dag("plain_woken"):
    async_job(**JOB, destination=FILE, group_id="job", initial_wait="1h", poll_wait="1h", timeout="9h")

with dag("plain_timeout"):
    async_job(**JOB, group_id="hard", timeout=6)
    async_job(**JOB, group_id="soft", timeout=6, soft_fail=True)

with dag("plain_skip"):
    async_job(**JOB, destination=FILE, group_id="job", skip_on_no_data=True)

with dag("plain_poke"):
    async_job(**JOB, destination=FILE, group_id="job", deferrable=False, mode="poke", **TWICE)

with dag("plain_reschedule"):
    async_job(**JOB, destination=FILE, group_id="job", deferrable=False, mode="reschedule")

with dag("plain_in_one_run_of_seconds", dagrun_timeout=timedelta(seconds=25)):
    async_job(**JOB, destination=FILE, group_id="job")

with dag("plain_in_one"):
    AsyncSubmitOperator(task_id="job", **JOB, **KEY, wait_for_completion=True, **TWICE)

with dag("plain_keyed"):
    AsyncSubmitOperator(task_id="submit", **JOB, **KEY, **TWICE)

with dag("plain_killed_late"):
    submit = AsyncSubmitOperator(task_id="submit", **JOB, post_execute=stay_in_first_try, **TWICE)
    AsyncStatusSensor(task_id="wait", **JOB, submission_id=submit.output)

with dag("plain_by_hand"):
    waited = AsyncStatusSensor(task_id="wait", **JOB, submission_id="{{ dag_run.conf['job_id'] | string }}")
    ResultDownloadOperator(task_id="fetch", **JOB, target=waited.output, destination=FILE)

with dag("plain_nowhere"):
    AsyncSubmitOperator(task_id="submit", **{**JOB, "http_conn_id": "nowhere"}, **TWICE)

with dag("plain_flat"):
    made = AsyncSubmitOperator(
        task_id="submit",
        http_conn_id=CONN,
        endpoint="/jobs",
        json="{{ inputs.plan }}",
        submission_id_path="id",
        captures={"place": {"header": "location"}},
        inputs=PLAN,
    )
    seen = AsyncStatusSensor(
        task_id="wait",
        http_conn_id=CONN,
        submission_id=made.output,
        endpoint="{{ captures.place }}",
        status_path="status",
        running_values=["queued", "running"],
        done_values=["succeeded"],
        download_target_path="urls",
        initial_wait=2,
        poll_wait=1,
        timeout=60,
    )
    ResultDownloadOperator(
        task_id="fetch",
        http_conn_id=CONN,
        target=seen.output,
        format="csv",
        destination="{{ dag_run.conf['folder'] }}/{{ submission_id }}.jsonl",
        delete={"method": "DELETE", "url": "{{ captures.place | safe }}/result"},
    )

with dag("plain_mapped", max_active_tasks=100):

    @task
    def plans(dag_run: Any = None) -> list[dict[str, Any]]:
        return [{"plan": plan} for plan in dag_run.conf["plans"]]

    async_job.partial(
        job="plain_job.yaml",
        http_conn_id=CONN,
        destination="{{ dag_run.conf['folder'] }}/{{ map_index }}-{{ inputs.plan.tag }}.csv",
        group_id="jobs",
        poll_wait=3,
        **TWICE,
    ).expand(inputs=plans())

with dag("plain_mapped_one_by_one"):

    @task
    def more_plans(dag_run: Any = None) -> list[dict[str, Any]]:
        return [{"plan": plan} for plan in dag_run.conf["plans"]]

    partial: dict[str, Any] = {"job": "plain_job.yaml", "http_conn_id": CONN}
    all_made = AsyncSubmitOperator.partial(task_id="submit", **partial).expand(inputs=more_plans())
    all_seen = AsyncStatusSensor.partial(task_id="wait", **partial).expand(submission_id=all_made.output)
    ResultDownloadOperator.partial(
        task_id="fetch",
        **partial,
        destination="{{ dag_run.conf['folder'] }}/{{ map_index }}-{{ submission_id }}.csv",
    ).expand(target=all_seen.output)

with dag("plain_job_retries"):
    async_job(**JOB, destination=FILE, group_id="job", job_retries=1, job_retry_wait=1)

with dag("plain_pool"):

    @task
    def pooled_plans(dag_run: Any = None) -> list[dict[str, Any]]:
        return [{"plan": plan} for plan in dag_run.conf["plans"]]

    async_job.partial(
        job="plain_job.yaml", http_conn_id=CONN, group_id="jobs", job_retries=0, submit={"pool": "two_jobs"}
    ).expand(inputs=pooled_plans())
