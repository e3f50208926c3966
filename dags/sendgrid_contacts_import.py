"""Contacts from a CSV file into SendGrid, as it is; what it refuses is written down.

Connection ``sendgrid``: type HTTP, host https://api.sendgrid.com, password: an API key for Marketing.
Param ``contacts`` may name the file, in ``conf`` too: ``{"contacts":
"s3://aws_default@lake/contacts.csv"}``; else Variable ``contacts_csv``, else /tmp/contacts.csv. Its columns
are email, first_name and last_name, so that a run needs no more than such a file, also against ``python -m
airflow_asyncjob.testing serve sendgrid``.
Variable ``rejects_folder``: where the refused contacts are written; else /tmp/rejects.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_asyncjob import async_job

CONTACTS = "{{ params.contacts or var.value.get('contacts_csv', '/tmp/contacts.csv') }}"

with DAG(
    "sendgrid_contacts_import",
    schedule=None,
    params={"contacts": ""},
    doc_md=__doc__,
    tags=["asyncjob"],
):
    async_job(
        job="sendgrid/contacts_import",
        http_conn_id="sendgrid",
        inputs={"contacts": CONTACTS, "columns": ["email", "first_name", "last_name"]},
        destination="{{ var.value.get('rejects_folder', '/tmp/rejects') }}/{{ run_id }}/",
    )
