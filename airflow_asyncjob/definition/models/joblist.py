"""JobList: the section that asks the API which jobs it has."""

from __future__ import annotations

from pydantic import Field

from airflow_asyncjob.definition.models.base import Duration, Model
from airflow_asyncjob.definition.models.extractor import ExtractorField
from airflow_asyncjob.definition.models.paginate import Paginate
from airflow_asyncjob.definition.models.request import Request

__all__ = ["LISTED", "JobList"]

LISTED = ("id", "status", "submitted_at", "message", "marker")
"""The fields that are read in each job of the list, not in the answer as a whole."""


class JobList(Model):
    """How to ask for the API's own list of jobs, and what to read of each job in it."""

    request: Request = Field(description="The request for the list.")
    records: ExtractorField | None = Field(
        default=None, description="Where the jobs lie in the answer; null: the whole body is the list."
    )
    id: ExtractorField = Field(description="In a job of the list: its submission ID.")
    status: ExtractorField | None = Field(
        default=None, description="In a job of the list: its raw status, which status.values give a state."
    )
    submitted_at: ExtractorField | None = Field(
        default=None, description="In a job of the list: when it was submitted, as the API writes it."
    )
    message: ExtractorField | None = Field(
        default=None, description="In a job of the list: the API's own message."
    )
    marker: ExtractorField | None = Field(
        default=None,
        description="In a job of the list: the mark that the submit gave it, such as its idempotency key "
        "or a tag, which tells whose job it is. Where the submit has {{ idempotency_key }} (in a name, say) "
        "and the API no idempotency of its own, a submit whose answer was lost is looked for in the list by "
        "it, and submitted again only when it is not there.",
    )
    settle: Duration = Field(
        default=30.0,
        description="How long after the end of a submit its job may still be missing in the list.",
    )
    paginate: Paginate | None = Field(
        default=None, description="How the list goes on in further pages; null: it is one answer."
    )
