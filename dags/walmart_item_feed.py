"""New items for Walmart's marketplace, and those that Walmart refused.

Connection ``walmart``: type HTTP, host https://marketplace.walmartapis.com, login and password: client ID and
secret. For the bundled job server: ``FakeJobServer("walmart").connection``.
Variable ``walmart_folder``: where the rejects go, such as s3://aws_default@lake/walmart; else /tmp/walmart.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_asyncjob import async_job


@task
def items() -> list[dict[str, Any]]:
    """Return the items; here made up, elsewhere from the warehouse."""
    return [
        {
            "Orderable": {
                "sku": f"SOCKS-{size}",
                "productIdentifiers": {"productIdType": "GTIN", "productId": f"{size:014d}"},
                "price": 9.99,
            },
            "Visible": {"Socks": {"productName": f"Warm socks, size {size}"}},
        }
        for size in range(35, 46)
    ]


with DAG("walmart_item_feed", schedule=None, doc_md=__doc__, tags=["asyncjob"]):
    async_job(
        job="walmart/item_feed",
        http_conn_id="walmart",
        inputs={"items": items(), "version": "5.0.20240517-04_08_27-api"},
        destination="{{ var.value.get('walmart_folder', '/tmp/walmart') }}/{{ run_id }}/",
    )
