"""Products as an XML feed in the manner of Amazon MWS, which is retired; for new work see amazon_feed.

Connection ``amazon_mws``: type HTTP, host of a gateway that speaks MWS, password: the AWSAccessKeyId. For the
bundled job server: ``FakeJobServer("amazon_mws").connection``.
Variable ``amazon_seller_id``: the merchant token; else A1SELLERFORTESTS.
Variable ``amazon_folder``: where the rejects go, such as s3://aws_default@lake/amazon; else /tmp/amazon.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_asyncjob import async_job

PRODUCTS = [
    {"SKU": f"SOCKS-{size}", "DescriptionData": {"Title": f"Warm socks, size {size}", "Brand": "Zoë & Co"}}
    for size in range(35, 46)
]

with DAG("amazon_mws_feed", schedule=None, doc_md=__doc__, tags=["asyncjob"]):
    async_job(
        job="amazon/mws_feed",
        http_conn_id="amazon_mws",
        inputs={
            "products": PRODUCTS,
            "seller_id": "{{ var.value.get('amazon_seller_id', 'A1SELLERFORTESTS') }}",
        },
        destination="{{ var.value.get('amazon_folder', '/tmp/amazon') }}/{{ run_id }}/",
    )
