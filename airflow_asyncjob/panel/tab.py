"""Where the tab "Async job" of a task instance is, for those who write links to it and those who serve it."""

from __future__ import annotations

from urllib.parse import quote

__all__ = ["TAB_ROUTE", "tab_path"]

TAB_ROUTE = "async-job"
"""The tab's own part of the path."""


def tab_path(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
    """Return the path of the tab below the address of Airflow's UI, with a slash at its start.

    :param map_index: -1: the task is not mapped.
    """
    dag_id, run_id, task_id = (quote(name, safe="") for name in (dag_id, run_id, task_id))
    mapped = f"/mapped/{map_index}" if map_index >= 0 else ""
    return f"/dags/{dag_id}/runs/{run_id}/tasks/{task_id}{mapped}/plugin/{TAB_ROUTE}"
