"""The section ``cancel``: a request, and when it is sent besides the usual."""

from __future__ import annotations

from pydantic import Field, StrictBool

from airflow_asyncjob.definition.models.request import Request

__all__ = ["Cancel"]


class Cancel(Request):
    """The request that stops a job."""

    on_mark_success: StrictBool = Field(
        default=False,
        description="true: also when a user marks the waiting task, or its run, a success. Otherwise the job "
        "runs on then.",
    )
