"""The contacts of a Salesforce organization, by a bulk query, as one Parquet file.

Connection ``salesforce``: type HTTP, host https://MyDomain.my.salesforce.com, login the consumer key,
password the consumer secret. It needs no more to run, also against ``python -m airflow_asyncjob.testing
serve salesforce``.
Variable ``contacts_folder``: where the files go, such as s3://aws_default@lake/contacts; else
/tmp/contacts.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_asyncjob import async_job

with DAG("salesforce_contacts", schedule=None, doc_md=__doc__, tags=["asyncjob"]):
    async_job(
        job="salesforce/bulk_query",
        http_conn_id="salesforce",
        inputs={"query": "SELECT Id, Email, FirstName, LastName, MailingCountry FROM Contact"},
        destination="{{ var.value.get('contacts_folder', '/tmp/contacts') }}/{{ run_id }}/salesforce.parquet",
    )
