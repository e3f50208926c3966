"""One run of a process of an OGC API - Processes server, such as pygeoapi, and its result document.

Connection ``ogc``: type HTTP, host https://demo.pygeoapi.io/stable.
Param ``pause``: seconds that the job takes.
Variable ``ogc_folder``: where the result goes, such as s3://aws_default@lake/ogc; else /tmp/ogc.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_asyncjob import async_job

with DAG(
    "ogc_process",
    schedule=None,
    params={"pause": 10},
    render_template_as_native_obj=True,  # so that pause is a number
    doc_md=__doc__,
    tags=["asyncjob"],
):
    async_job(
        job="ogc/process",
        http_conn_id="ogc",
        inputs={
            "process_id": "echo",
            "inputs": {"echoInput": "{{ run_id }}", "pause": "{{ params.pause | float }}"},
        },
        destination="{{ var.value.get('ogc_folder', '/tmp/ogc') }}/{{ run_id }}/result.json",
    )
