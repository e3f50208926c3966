"""Wake a deferred wait, from the API server: it polls its job now instead of at its next time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from airflow._shared.timezones import timezone
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from airflow.triggers.base import TriggerEvent
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select, update

from airflow_asyncjob.hooks.wake import WOKEN, Wake, event_for

if TYPE_CHECKING:
    from sqlalchemy.engine import CursorResult
    from sqlalchemy.orm import Session

    from airflow_asyncjob.hooks.wake import Why

__all__ = ["STATUS_TRIGGER", "Woke", "wake"]

STATUS_TRIGGER = "airflow_asyncjob.triggers.status.AsyncStatusTrigger"
"""Class path of the trigger that waits for a job."""

Woke = Literal["woken", "held", "not waiting", "not found"]
"""``woken``: a worker polls now. ``held``: the wait has just begun, and its trigger polls within seconds.
``not waiting``: nobody waits, or somebody else woke it at the same moment. ``not found``: there is no such
task instance.
"""


def wake(session: Session, *, dag_id: str, run_id: str, task_id: str, map_index: int = -1, why: Why) -> Woke:
    """Resume a task that is deferred until its job ends; it polls once, and goes on.

    Neither the deadline nor the tries of the task change. Of two wakes at once exactly one is ``woken``. The
    caller commits; until then nobody sees anything of it.

    :param session: of the metadata database.
    :param map_index: -1: the task is not mapped.
    :param why: for the log of the task.
    """
    of_task = (
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == run_id,
        TaskInstance.task_id == task_id,
        TaskInstance.map_index == map_index,
    )
    found = session.execute(select(TaskInstance.id, TaskInstance.trigger_id).where(*of_task)).one_or_none()
    if found is None:
        return "not found"
    trigger = session.get(Trigger, found.trigger_id) if found.trigger_id is not None else None
    if trigger is None or trigger.classpath != STATUS_TRIGGER:
        return "not waiting"
    if not _won(session, found.id, trigger.id):
        return "not waiting"
    arguments = trigger.kwargs
    held = timezone.utcnow() < trigger.created_date + timedelta(seconds=float(arguments.get("quiet", 0.0)))
    note = Wake(
        at=timezone.utcnow().timestamp(),
        trigger_id=trigger.id,
        deferral=str(arguments.get("deferral", "")),
        why=why,
        held=held,
    )
    XComModel.set(
        key=WOKEN,
        value=note.to_dict(),
        dag_id=dag_id,
        run_id=run_id,
        task_id=task_id,
        map_index=map_index,
        serialize=False,
        session=session,
    )
    if held:
        return "held"
    payload = event_for(why, _submission_in(arguments))
    Trigger.submit_event(trigger.id, TriggerEvent(payload), session=session)  # type: ignore[no-untyped-call]
    session.flush()
    return "woken"


def _won(session: Session, instance_id: Any, trigger_id: int) -> bool:
    """Return whether the task instance still waits on this trigger, and is ours until the session commits.

    An update takes the lock on every database, where SQLite passes over ``SELECT ... FOR UPDATE``; who comes
    second waits here, and then finds another state.
    """
    taken = session.execute(
        update(TaskInstance)
        .where(
            TaskInstance.id == instance_id,
            TaskInstance.state == TaskInstanceState.DEFERRED,
            TaskInstance.trigger_id == trigger_id,
        )
        .values(updated_at=timezone.utcnow())
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", taken).rowcount == 1


def _submission_in(arguments: dict[str, Any]) -> Any:
    return (arguments.get("checkpoint") or {}).get("submission")
