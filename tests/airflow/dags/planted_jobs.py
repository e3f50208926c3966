"""The job with planted secrets. The conf of a run: ``conn`` (its connection), ``control``, ``folder``."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_asyncjob import async_job

with DAG("planted", schedule=None):
    async_job(
        job="planted_job.yaml",
        http_conn_id="{{ dag_run.conf['conn'] }}",
        inputs={"control": "{{ dag_run.conf['control'] }}"},
        destination="{{ dag_run.conf['folder'] }}/rows.csv",
        group_id="job",
    )
