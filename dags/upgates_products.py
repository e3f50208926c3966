"""A snapshot of all products of an UpGates shop, as the shop writes it (gzip JSON Lines).

Connection ``upgates``: type HTTP, host the address of the shop's API, login the API login, password the API
key. It needs no more to run, also against ``python -m airflow_asyncjob.testing serve upgates``.
Variable ``products_folder``: where the file goes, such as s3://aws_default@lake/products; else
/tmp/products.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_asyncjob import async_job

with DAG("upgates_products", schedule=None, doc_md=__doc__, tags=["asyncjob"]):
    async_job(
        job="upgates/job",
        http_conn_id="upgates",
        inputs={"path": "api/products/snapshot", "method": "GET"},
        destination="{{ var.value.get('products_folder', '/tmp/products') }}/{{ run_id }}/",
    )
