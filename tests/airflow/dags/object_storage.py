"""A result to object storage; the run's conf says how the job goes (``plan``) and where to (``folder``)."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_asyncjob import async_job

with DAG("object_storage", schedule=None, render_template_as_native_obj=True):
    async_job(
        job="plain_job.yaml",
        http_conn_id="jobs",
        inputs={"plan": "{{ dag_run.conf['plan'] }}"},
        destination="{{ dag_run.conf['folder'] }}/rows.parquet",
        group_id="job",
    )
