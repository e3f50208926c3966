"""Jobs to look at. The run's conf has ``folder``, for results, and the plans of its jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_asyncjob import async_job

SHOP: dict[str, Any] = {"job": "shop.yaml", "http_conn_id": "shop"}

# Of a machine that is too busy to start a task in time, not of the jobs: those that fail are final.
RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=1)}

with DAG("shop_orders", schedule=None, default_args=RETRIES):

    @task
    def plans(dag_run: Any = None) -> list[dict[str, Any]]:
        return [{"plan": plan} for plan in dag_run.conf["plans"]]

    async_job.partial(
        **SHOP, group_id="export", destination="{{ dag_run.conf['folder'] }}/{{ map_index }}.csv"
    ).expand(inputs=plans())

with DAG("shop_customers", schedule=None, default_args=RETRIES):
    async_job(
        **SHOP,
        group_id="export",
        inputs={"plan": "{{ dag_run.conf['plan'] }}"},
        destination="{{ dag_run.conf['folder'] }}/customers.csv",
    )
