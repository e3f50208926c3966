"""Jobs of servers that exist. The run's conf has ``folder``, ``inputs`` and the connection, ``conn``."""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import DAG

from airflow_asyncjob import async_job

DEFINITIONS = Path(__file__).parents[2] / "servers" / "definitions"
USUAL = {
    "http_conn_id": "{{ dag_run.conf['conn'] }}",
    "inputs": "{{ dag_run.conf['inputs'] }}",
    "group_id": "job",
}

with DAG("real_wps", schedule=None, render_template_as_native_obj=True):
    async_job(job="wps/execute", destination="{{ dag_run.conf['folder'] }}/out/", **USUAL)

with DAG("real_athena", schedule=None, render_template_as_native_obj=True):
    async_job(job="aws/athena_query", destination="{{ dag_run.conf['folder'] }}/rows.parquet", **USUAL)

with DAG("real_step_functions", schedule=None, render_template_as_native_obj=True):
    async_job(
        job=str(DEFINITIONS / "aws_step_functions.yaml"),
        destination="{{ dag_run.conf['folder'] }}/rows.jsonl",
        **USUAL,
    )
