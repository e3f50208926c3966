"""Links beside a task in the Airflow UI. They show what the task itself found out; nothing is fetched for
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

from airflow_asyncjob.panel import tab_path

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

__all__ = ["AsyncJobLink", "RemoteJobLink", "ResultLink"]


class AsyncJobLink(BaseOperatorLink):
    """The task instance's tab "Async job": what was sent, what came back, and how the job goes."""

    name = "Async job"
    xcom_key = "link_async_job"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the path of the tab. Without a host, because people may reach Airflow by several names."""
        below = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
        index = -1 if ti_key.map_index is None else ti_key.map_index
        return below + tab_path(ti_key.dag_id, ti_key.run_id, ti_key.task_id, index)


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
