"""Contacts from a file into Salesforce, by their external ID; what it refuses is written down.

Connection ``salesforce``: type HTTP, host https://MyDomain.my.salesforce.com, login the consumer key,
password the consumer secret. Param ``contacts`` may name the file, in ``conf`` too: ``{"contacts":
"s3://aws_default@lake/contacts.csv"}``; else Variable ``salesforce_contacts``, else
/tmp/salesforce_contacts.csv. Its columns are External_Id__c, LastName and Email, so that a run needs no
more than such a file, also against ``python -m airflow_asyncjob.testing serve salesforce``.
Variable ``rejects_folder``: where the refused contacts are written; else /tmp/rejects.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_asyncjob import UploadPlanOperator, async_job

CONTACTS = "{{ params.contacts or var.value.get('salesforce_contacts', '/tmp/salesforce_contacts.csv') }}"
REJECTS = "{{ var.value.get('rejects_folder', '/tmp/rejects') }}/{{ run_id }}/{{ map_index }}/"

with DAG(
    "salesforce_contacts_upsert",
    schedule=None,
    params={"contacts": ""},
    doc_md=__doc__,
    tags=["asyncjob"],
):
    plan = UploadPlanOperator(task_id="plan", job="salesforce/bulk_ingest", inputs={"records": CONTACTS})
    async_job.partial(
        job="salesforce/bulk_ingest", http_conn_id="salesforce", destination=REJECTS, group_id="contacts"
    ).expand(inputs=plan.output)
