"""Contacts from a file into Oracle Eloqua, in as many imports as it takes; what it refuses is written down.

Connection ``eloqua``: type HTTP, host as https://login.eloqua.com/id names it, such as
https://secure.p01.eloqua.com, login ``Company\\user.name``, password. Param ``contacts`` may name the file,
in ``conf`` too: ``{"contacts": "s3://aws_default@lake/contacts.parquet"}``; else Variable
``contacts_file``, else /tmp/contacts.jsonl. Its records have emailAddress, firstName and lastName, so that
a run needs no more than such a file, also against ``python -m airflow_asyncjob.testing serve eloqua``.
Variable ``rejects_folder``: where the refused contacts are written; else /tmp/rejects.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_asyncjob import UploadPlanOperator, async_job

CONTACTS = "{{ params.contacts or var.value.get('contacts_file', '/tmp/contacts.jsonl') }}"
REJECTS = "{{ var.value.get('rejects_folder', '/tmp/rejects') }}/{{ run_id }}/{{ map_index }}/"

with DAG(
    "eloqua_contacts_import",
    schedule=None,
    params={"contacts": ""},
    doc_md=__doc__,
    tags=["asyncjob"],
):
    plan = UploadPlanOperator(task_id="plan", job="eloqua/contacts_import", inputs={"contacts": CONTACTS})
    async_job.partial(
        job="eloqua/contacts_import", http_conn_id="eloqua", destination=REJECTS, group_id="contacts"
    ).expand(inputs=plan.output)
