"""Order a triggerer to cancel the job of a wait that ended while no process had it: by a user's mark, or with
its run.

A deferred wait cancels its job itself, in its trigger; it does not where no triggerer is alive, or none has
taken the trigger yet. A wait between two polls, in the queue or between two tries is no process at all. Then
the mark leaves an order, in its own transaction, and a row of Airflow's callback triggers, which any
triggerer takes, now or once one is started.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow._shared.timezones import timezone
from airflow.jobs.job import Job
from airflow.models.callback import TriggererCallback
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select
from sqlalchemy.orm import Session, object_session

from airflow_asyncjob.hooks.marks import FAILED, SKIPPED, marks_that_cancel
from airflow_asyncjob.hooks.names import instance_names
from airflow_asyncjob.hooks.orders import ORDER, order
from airflow_asyncjob.hooks.state import FOR_MARK, WAIT, data_of, key_of
from airflow_asyncjob.plugin.waking import STATUS_TRIGGER

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

__all__ = ["order_cancel", "order_cancels_of_run"]

_CALLED = "airflow_asyncjob.triggers.ordered.cancel_ordered"
_YOUNG = timedelta(seconds=30)
"""A triggerer that has taken a trigger of this age may not have begun it."""
_LATE = timedelta(seconds=15)
"""A triggerer without a heartbeat for so long may be dead, three of its beats; Airflow counts it as alive for
twice that time.
"""
_IDLE = (
    None,
    TaskInstanceState.SCHEDULED,
    TaskInstanceState.QUEUED,
    TaskInstanceState.UP_FOR_RETRY,
    TaskInstanceState.UP_FOR_RESCHEDULE,
)
"""States of a wait that no process has."""
_DOUBT = 60.0
"""Seconds that a triggerer which may carry the wait on has for cancelling the job itself."""


def order_cancel(instance: Any) -> None:
    """Leave an order for the job of a task that was just marked, where one is needed; else do nothing.

    It is written into the session of the task instance, and holds when the mark is committed.

    :param instance: as Airflow hands it to its listeners: nothing is done for one that is no row.
    """
    session = object_session(instance) if isinstance(instance, TaskInstance) else None
    if session is None:
        return
    if instance.trigger_id is not None:
        _order_for_deferred(session, instance, str(instance.state))
    else:
        _order_for_idle(session, [instance], str(instance.state))


def order_cancels_of_run(dag_run: DagRun) -> None:
    """Leave orders for the jobs whose waits were skipped because their run has failed."""
    session = object_session(dag_run)
    if session is None:
        return
    found = session.scalars(
        select(TaskInstance)
        .join(
            TaskStateStoreModel,
            (TaskStateStoreModel.task_id == TaskInstance.task_id)
            & (TaskStateStoreModel.map_index == TaskInstance.map_index),
        )
        .where(
            TaskStateStoreModel.dag_run_id == dag_run.id,
            TaskStateStoreModel.key == key_of(FOR_MARK),
            TaskInstance.dag_id == dag_run.dag_id,
            TaskInstance.run_id == dag_run.run_id,
            TaskInstance.state == SKIPPED,
        )
    ).all()
    idle = []
    for instance in found:
        if instance.trigger_id is not None:
            _order_for_deferred(session, instance, FAILED)
        else:
            idle.append(instance)
    _order_for_idle(session, idle, FAILED)


def _order_for_deferred(session: Session, instance: TaskInstance, state: str) -> None:
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
    if not _cancels(arguments, state):
        return
    wait = _left_to_the_trigger(session, row.triggerer_id, row.created_date)
    if wait is None:
        return
    _leave(session, instance, arguments, wait, queue=row.queue, team_name=row.team_name)
    if wait == 0:
        instance.trigger_id = None  # so that no triggerer begins the wait after this


def _order_for_idle(session: Session, instances: list[TaskInstance], state: str) -> None:
    """Leave orders for those of these tasks that no process had, by what their worker kept."""
    kept = [(instance, arguments) for instance in instances if (arguments := _kept(session, instance))]
    kept = [(instance, arguments) for instance, arguments in kept if _cancels(arguments, state)]
    before = _states_before(session, [instance.id for instance, _ in kept])
    for instance, arguments in kept:
        if before.get(instance.id, "gone") in _IDLE:
            _leave(session, instance, arguments, 0.0)


def _cancels(arguments: Mapping[str, Any], state: str) -> bool:
    return state in marks_that_cancel((arguments.get("definition") or {}).get("cancel"))


def _kept(session: Session, instance: TaskInstance) -> dict[str, Any] | None:
    """Return what the trigger of a wait would be given; None: it has not begun, or cannot cancel."""
    of = TaskStateStoreModel
    found = {
        key: data_of(json.loads(value))
        for key, value in session.execute(
            select(of.key, of.value).where(
                of.dag_id == instance.dag_id,
                of.run_id == instance.run_id,
                of.task_id == instance.task_id,
                of.map_index == instance.map_index,
                of.key.in_((key_of(WAIT), key_of(FOR_MARK))),
            )
        )
    }
    wait, mark = found.get(key_of(WAIT)), found.get(key_of(FOR_MARK))
    if wait is None or mark is None:
        return None
    return {**mark, "checkpoint": wait["checkpoint"], "deferral": uuid.uuid4().hex}


def _states_before(session: Session, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str | None]:
    """Return the states that these task instances had before this transaction, which Airflow does not tell.

    So they are read by another one: what this has changed, it does not see.
    """
    wanted = list(ids)
    if not wanted:
        return {}
    with Session(session.get_bind()) as other:
        rows = other.execute(select(TaskInstance.id, TaskInstance.state).where(TaskInstance.id.in_(wanted)))
        return dict(rows.tuples().all())


def _leave(
    session: Session,
    instance: TaskInstance,
    arguments: Mapping[str, Any],
    wait: float,
    *,
    queue: str | None = None,
    team_name: str | None = None,
) -> None:
    """Write an order, and the row of the callback that carries it out.

    :param wait: seconds for which the cancel is left to another process.
    :param queue: of the triggerers that may take it, as Airflow has it; None: any of no queue.
    """
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
        callback.trigger.queue, callback.trigger.team_name = queue, team_name
        session.add(callback)


def _left_to_the_trigger(session: Session, triggerer_id: int | None, created: datetime) -> float | None:
    """Return for how many seconds the cancel is left to the trigger itself; None: altogether."""
    job = session.get(Job, triggerer_id) if triggerer_id is not None else None
    if job is None or not job.is_alive():
        return 0.0
    now = timezone.utcnow()
    begun = created < now - _YOUNG
    heard = job.latest_heartbeat is not None and job.latest_heartbeat > now - _LATE
    return None if begun and heard else _DOUBT
