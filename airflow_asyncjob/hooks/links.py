"""Links beside a task in the Airflow UI. They show what the task itself found out; nothing is fetched for
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

__all__ = ["RemoteJobLink", "ResultLink"]


class RemoteJobLink(BaseOperatorLink):
    """The job's page at the remote, where the definition gives one (``link``)."""

    name = "Job at the remote"
    xcom_key = "link_remote_job"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the address; empty where the definition gives none or no job is known yet."""
        return str(getattr(operator, "remote_job_url", "") or "")


class ResultLink(BaseOperatorLink):
    """Where the result lies."""

    name = "Result"
    xcom_key = "link_result"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the address of the result; empty until there is one."""
        return str(getattr(operator, "result_url", "") or "")
