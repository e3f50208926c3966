"""Hears of users' marks in the API server, and of runs that fail; see ``airflow_asyncjob.plugin.ordering``.

Workers and schedulers load this module too, and call it for tasks that end by themselves: nothing is imported
before a task instance or a run of the database is seen that somebody has ended.
"""

from __future__ import annotations

from typing import Any

from airflow.listeners import hookimpl

__all__ = ["on_dag_run_failed", "on_task_instance_failed", "on_task_instance_success"]


@hookimpl
def on_task_instance_failed(previous_state: Any, task_instance: Any) -> None:
    """Have the job cancelled that a task waited for, where no process would do it."""
    _marked(previous_state, task_instance)


@hookimpl
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:
    """Do likewise, where the definition wants that of a task that is marked success."""
    _marked(previous_state, task_instance)


@hookimpl
def on_dag_run_failed(dag_run: Any) -> None:
    """Have the jobs cancelled that tasks waited for which were skipped with their run."""
    from airflow_asyncjob.plugin.ordering import order_cancels_of_run

    order_cancels_of_run(dag_run)


def _marked(previous_state: Any, task_instance: Any) -> None:
    # A task that ended by itself was running before; of a mark, Airflow does not say what was before it.
    by_itself = previous_state is not None
    if by_itself and getattr(task_instance, "trigger_id", None) is None:
        return
    from airflow_asyncjob.plugin.ordering import order_cancel

    order_cancel(task_instance)
