"""What a user's mark of a task means for its remote job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_asyncjob.hooks.names import map_index_of

__all__ = ["marks_that_cancel", "state_now"]


def marks_that_cancel(cancel: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the states of Airflow in which a task that somebody ended leaves a job to be cancelled.

    A task that is cleared, killed with its machine, or moved to another one is in none of them: it attaches
    to the same job.

    :param cancel: the definition's section, as plain data; None: it has none.
    """
    if not cancel:
        return frozenset()
    return frozenset({"failed", "success"} if cancel.get("on_mark_success") else {"failed"})


def state_now(context: Mapping[str, Any]) -> str | None:
    """Return the state of the running task instance as Airflow has it now; None: cleared, or gone."""
    ti = context["ti"]
    map_index = map_index_of(ti)
    states = ti.get_task_states(
        dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=map_index
    )
    found = states.get(ti.run_id, {}).get(ti.task_id if map_index < 0 else f"{ti.task_id}_{map_index}")
    return None if found is None else str(found)
