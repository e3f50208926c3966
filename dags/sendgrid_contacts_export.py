"""All contacts of a SendGrid account, as one Parquet file.

Connection ``sendgrid``: type HTTP, host https://api.sendgrid.com, password: an API key for Marketing.
Variable ``contacts_folder``: where the files go, such as s3://aws_default@lake/contacts; else /tmp/contacts.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_asyncjob import async_job

with DAG("sendgrid_contacts_export", schedule=None, doc_md=__doc__, tags=["asyncjob"]):
    async_job(
        job="sendgrid/contacts_export",
        http_conn_id="sendgrid",
        destination="{{ var.value.get('contacts_folder', '/tmp/contacts') }}/{{ run_id }}/contacts.parquet",
    )
