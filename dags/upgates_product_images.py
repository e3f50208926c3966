"""Images of one product of an UpGates shop: the shop fetches them, and tells what became of each.

Connection ``upgates``: type HTTP, host the address of the shop's API, login the API login, password the API
key; with ``webhook_secret`` in Extra, the shop's signature key, its webhook ``job:finished`` is believed, and
ends the wait at once: register it at the shop as https://AIRFLOW/asyncjob/webhooks/upgates. It needs no more
to run, also against ``python -m airflow_asyncjob.testing serve upgates``.
Params ``guid`` and ``images``: the product, and its images, 100 at most.
Variable ``images_folder``: where the shop's answer goes; else /tmp/images.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_asyncjob import async_job

with DAG(
    "upgates_product_images",
    schedule=None,
    params={
        "guid": "95b84d4b-7481-11e8-8216-002590dad85e",
        "images": [{"sourceUrl": "https://example.com/front.jpg", "description": "Front"}],
    },
    doc_md=__doc__,
    tags=["asyncjob"],
):
    async_job(
        job="upgates/product_images",
        http_conn_id="upgates",
        inputs={"guid": "{{ params.guid }}", "images": "{{ params.images }}"},
        destination="{{ var.value.get('images_folder', '/tmp/images') }}/{{ run_id }}/answer.json",
    )
