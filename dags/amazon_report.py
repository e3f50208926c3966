"""The open listings of an Amazon seller account, as one Parquet file.

Connection ``amazon``: type HTTP, host https://sellingpartnerapi-na.amazon.com, login and password: client ID
and secret of Login with Amazon; Extra: ``refresh_token`` of the seller's authorisation. For the bundled job
server: ``FakeJobServer("amazon").connection``.
Variable ``listings_folder``: where the files go, such as s3://aws_default@lake/listings; else /tmp/listings.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_asyncjob import async_job

with DAG("amazon_report", schedule=None, doc_md=__doc__, tags=["asyncjob"]):
    async_job(
        job="amazon/report",
        http_conn_id="amazon",
        inputs={
            "report_type": "GET_FLAT_FILE_OPEN_LISTINGS_DATA",
            "marketplace_ids": ["ATVPDKIKX0DER"],
        },
        destination="{{ var.value.get('listings_folder', '/tmp/listings') }}/{{ run_id }}/listings.parquet",
    )
