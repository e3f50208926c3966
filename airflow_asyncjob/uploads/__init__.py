"""Uploads: the caller's records, mapped, written and cut into parts under the limits of an API.

The source is read once before anything is sent (:func:`plan_upload`), which tells number, size and hashes of
all parts; it is read again while they are sent (:class:`PartReader`), and each part is checked against its
plan. Nothing of the records is kept in between, and no more than a part is in memory.
"""

from __future__ import annotations

from airflow_asyncjob.definition.parts import PartInfo, Plan
from airflow_asyncjob.uploads.cut import Reject
from airflow_asyncjob.uploads.encode import CONTENT_TYPES
from airflow_asyncjob.uploads.plan import local_rejects, pieces_of, plan_upload
from airflow_asyncjob.uploads.sending import FoundRecord, PartReader, find_records, key_of

__all__ = [
    "CONTENT_TYPES",
    "FoundRecord",
    "PartInfo",
    "PartReader",
    "Plan",
    "Reject",
    "find_records",
    "key_of",
    "local_rejects",
    "pieces_of",
    "plan_upload",
]
