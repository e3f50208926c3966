"""All contacts of an Oracle Eloqua account, as one Parquet file.

Connection ``eloqua``: type HTTP, host as https://login.eloqua.com/id names it, such as
https://secure.p01.eloqua.com, login ``Company\\user.name``, password. It needs no more to run, also against
``python -m airflow_asyncjob.testing serve eloqua``.
Variable ``contacts_folder``: where the files go, such as s3://aws_default@lake/contacts; else /tmp/contacts.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_asyncjob import async_job

with DAG("eloqua_contacts_export", schedule=None, doc_md=__doc__, tags=["asyncjob"]):
    async_job(
        job="eloqua/contacts_export",
        http_conn_id="eloqua",
        inputs={
            "fields": {
                "id": "Id",
                "email": "C_EmailAddress",
                "first_name": "C_FirstName",
                "last_name": "C_LastName",
                "country": "C_Country",
            }
        },
        destination="{{ var.value.get('contacts_folder', '/tmp/contacts') }}/{{ run_id }}/eloqua.parquet",
    )
