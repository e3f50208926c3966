"""Order a triggerer to cancel the job of a wait that a user's mark ended before a process had it.

The trigger that waits sends the cancel itself, where it runs. Where it does not, nobody would: no triggerer
is alive, or none has taken the trigger yet. Then the mark leaves an order, in its own transaction, and a row
of Airflow's callback triggers, which any triggerer takes, now or once one is started.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow._shared.timezones import timezone
from airflow.jobs.job import Job
from airflow.models.callback import TriggererCallback
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from airflow.sdk.definitions.callback import AsyncCallback
from sqlalchemy import select
from sqlalchemy.orm import object_session

from airflow_asyncjob.hooks.marks import marks_that_cancel
from airflow_asyncjob.hooks.names import instance_names
from airflow_asyncjob.hooks.orders import ORDER, order
from airflow_asyncjob.plugin.waking import STATUS_TRIGGER

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy.orm import Session

__all__ = ["order_cancel"]

_CALLED = "airflow_asyncjob.triggers.ordered.cancel_ordered"
_YOUNG = timedelta(seconds=30)
"""A triggerer that has taken a trigger of this age may not have begun it."""
_LATE = timedelta(seconds=15)
"""A triggerer without a heartbeat for so long may be dead, three of its beats; Airflow counts it as alive for
twice that time.
"""
_DOUBT = 60.0
"""Seconds that a triggerer which may carry the wait on has for cancelling the job itself."""


def order_cancel(instance: TaskInstance) -> None:
    """Leave an order for the job of a task that was just marked, where one is needed; else do nothing.

    It is written into the session of the task instance, and holds when the mark is committed.
    """
    session = object_session(instance)
    if session is None:
        return
    # As columns: the request's own objects keep what it has changed, and this is what the database says now.
    columns = (Trigger.triggerer_id, Trigger.created_date, Trigger.queue, Trigger.team_name)
    row = session.execute(
        select(*columns)
        .where(Trigger.id == instance.trigger_id, Trigger.classpath == STATUS_TRIGGER)
        .with_for_update(of=Trigger)
    ).one_or_none()
    trigger = session.get(Trigger, instance.trigger_id)
    if row is None or trigger is None:
        return
    arguments = trigger.kwargs
    if instance.state not in marks_that_cancel((arguments.get("definition") or {}).get("cancel")):
        return
    wait = _left_to_the_trigger(session, row.triggerer_id, row.created_date)
    if wait is None:
        return
    now = timezone.utcnow().timestamp()
    names = instance_names(instance)
    with session.begin_nested():
        XComModel.set(
            key=ORDER,
            value=order(arguments, not_before=now + wait),
            serialize=False,
            session=session,
            **names,
        )
        called = {**names, "deferral": str(arguments.get("deferral", ""))}
        callback = TriggererCallback(AsyncCallback(_CALLED, called))
        callback.queue(session=session)
        callback.trigger.queue, callback.trigger.team_name = row.queue, row.team_name
        session.add(callback)
        if wait == 0:
            instance.trigger_id = None  # so that no triggerer begins the wait after this


def _left_to_the_trigger(session: Session, triggerer_id: int | None, created: datetime) -> float | None:
    """Return for how many seconds the cancel is left to the trigger itself; None: altogether."""
    job = session.get(Job, triggerer_id) if triggerer_id is not None else None
    if job is None or not job.is_alive():
        return 0.0
    now = timezone.utcnow()
    begun = created < now - _YOUNG
    heard = job.latest_heartbeat is not None and job.latest_heartbeat > now - _LATE
    return None if begun and heard else _DOUBT
