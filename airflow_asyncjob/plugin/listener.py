"""Hears of users' marks, in the API server; see ``airflow_asyncjob.plugin.ordering``.

Workers and schedulers load this module too, and call it for tasks that end by themselves: nothing is imported
before a task instance of the database is seen that holds a trigger.
"""

from __future__ import annotations

from typing import Any

from airflow.listeners import hookimpl

__all__ = ["on_task_instance_failed", "on_task_instance_success"]


@hookimpl
def on_task_instance_failed(task_instance: Any) -> None:
    """Have the job cancelled that a task waited for, where no process would do it."""
    _marked(task_instance)


@hookimpl
def on_task_instance_success(task_instance: Any) -> None:
    """Do likewise, where the definition wants that of a task that is marked success."""
    _marked(task_instance)


def _marked(task_instance: Any) -> None:
    if getattr(task_instance, "trigger_id", None) is None:
        return
    from airflow_asyncjob.plugin.ordering import order_cancel

    order_cancel(task_instance)
