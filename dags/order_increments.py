"""The orders that were changed since the last run that went well; how far that was is kept with the asset.

Connection ``orders``: type HTTP, host http://127.0.0.1:8000 for ``python -m airflow_asyncjob.testing``.
Variable ``orders_folder``: where the files go, such as s3://aws_default@lake/orders; else /tmp/orders.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, task

from airflow_asyncjob import async_job

CHANGES = Asset("order_changes")
FIRST = "2026-01-01T00:00:00+00:00"

with DAG(
    "order_increments",
    schedule="@daily",
    catchup=False,
    max_active_runs=1,  # two runs at once would fetch the same changes
    doc_md=__doc__,
    tags=["asyncjob"],
):

    @task(inlets=[CHANGES])
    def window(
        asset_state_store: Any = None, task_state_store: Any = None, dag_run: Any = None
    ) -> dict[str, str]:
        """From the watermark to the start of this run; a retry, or a clear, asks for the same again."""
        known: dict[str, str] | None = task_state_store.get("window")
        if known is None:
            since = asset_state_store[CHANGES].get("watermark", default=FIRST)
            known = {"since": since, "until": dag_run.run_after.isoformat()}
            task_state_store.set("window", known)
        return known

    @task(outlets=[CHANGES])
    def advance(fetched: dict[str, str], asset_state_store: Any = None) -> None:
        """Note how far it is, once the file is written. A run that is cleared later takes nothing back."""
        store = asset_state_store[CHANGES]
        store.set("watermark", max(fetched["until"], store.get("watermark", default=FIRST)))

    changes = window()
    job = async_job(
        job="jobs/order_changes.yaml",
        http_conn_id="orders",
        inputs=changes,
        destination="{{ var.value.get('orders_folder', '/tmp/orders') }}/changes/{{ run_id }}.jsonl",
        group_id="orders",
    )
    job >> advance(changes)
