"""Every day's orders, a file for each day and region: a backfill or a clear replaces its own partitions only.

Connection ``orders``: type HTTP, host http://127.0.0.1:8000 for ``python -m airflow_asyncjob.testing``.
Variable ``orders_folder``: where the files go, such as s3://aws_default@lake/orders; else /tmp/orders.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_asyncjob import async_job

REGIONS = ("eu", "us")
# The start of the interval, not ds: a run that a person starts has the day of the click as its ds.
DAY = "{{ data_interval_start | ds }}"

with DAG(
    "order_partitions",
    # A day from midnight to midnight. ("@daily" has no interval in Airflow 3: its start is its end.)
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    doc_md=__doc__,
    tags=["asyncjob"],
):
    async_job.partial(
        job="jobs/order_changes.yaml",
        http_conn_id="orders",
        destination="{{ var.value.get('orders_folder', '/tmp/orders') }}"
        f"/day={DAY}/region={{{{ inputs.region }}}}/orders.jsonl",
        group_id="orders",
    ).expand(
        inputs=[
            {"region": region, "since": "{{ data_interval_start }}", "until": "{{ data_interval_end }}"}
            for region in REGIONS
        ]
    )
