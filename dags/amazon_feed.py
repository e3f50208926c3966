"""New quantities of an Amazon seller's listings, and those that Amazon refused.

Connection ``amazon``: type HTTP, host https://sellingpartnerapi-na.amazon.com, login and password: client ID
and secret of Login with Amazon; Extra: ``refresh_token`` of the seller's authorisation. For the bundled job
server: ``FakeJobServer("amazon").connection``.
Variable ``amazon_seller_id``: the merchant token; else A1SELLERFORTESTS.
Variable ``amazon_folder``: where the rejects go, such as s3://aws_default@lake/amazon; else /tmp/amazon.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_asyncjob import async_job


@task
def quantities() -> list[dict[str, Any]]:
    """Return what is in stock; here made up, elsewhere from the warehouse."""
    return [
        {
            "sku": f"SOCKS-{size}",
            "operationType": "PARTIAL_UPDATE",
            "productType": "SOCKS",
            "attributes": {
                "fulfillment_availability": [{"fulfillment_channel_code": "DEFAULT", "quantity": size}]
            },
        }
        for size in range(35, 46)
    ]


with DAG("amazon_feed", schedule=None, doc_md=__doc__, tags=["asyncjob"]):
    async_job(
        job="amazon/feed",
        http_conn_id="amazon",
        inputs={
            "listings": quantities(),
            "seller_id": "{{ var.value.get('amazon_seller_id', 'A1SELLERFORTESTS') }}",
            "marketplace_ids": ["ATVPDKIKX0DER"],
        },
        destination="{{ var.value.get('amazon_folder', '/tmp/amazon') }}/{{ run_id }}/",
    )
