"""What a user's mark of a task means for its remote job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_asyncjob.hooks.names import map_index_of

__all__ = ["FAILED", "SKIPPED", "as_marked", "marks_that_cancel", "state_now"]

FAILED = "failed"
SKIPPED = "skipped"


def marks_that_cancel(cancel: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the states of Airflow in which a task that somebody ended leaves a job to be cancelled.

    A task that is cleared, killed with its machine, or moved to another one is in none of them: it attaches
    to the same job.

    :param cancel: the definition's section, as plain data; None: it has none.
    """
    if not cancel:
        return frozenset()
    return frozenset({FAILED, "success"} if cancel.get("on_mark_success") else {FAILED})


def as_marked(state: str | None, run_state: str | None) -> str | None:
    """Return the state of a task that counts for its job.

    Airflow skips what a failed run leaves undone: all of it after ``dagrun_timeout``, and what is in the
    queue or between two tries when somebody marks the run. Such a wait has failed with its run.

    :param run_state: text, or Airflow's enumeration of the same values.
    """
    return FAILED if (state, run_state) == (SKIPPED, FAILED) else state


def state_now(context: Mapping[str, Any]) -> str | None:
    """Return the state of the running task instance as Airflow has it now, and as it counts for its job.

    None: it was cleared, or is gone.
    """
    ti = context["ti"]
    map_index = map_index_of(ti)
    states = ti.get_task_states(
        dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=map_index
    )
    found = states.get(ti.run_id, {}).get(ti.task_id if map_index < 0 else f"{ti.task_id}_{map_index}")
    state = None if found is None else str(found)
    return as_marked(state, ti.get_dagrun_state(ti.dag_id, ti.run_id)) if state == SKIPPED else state
