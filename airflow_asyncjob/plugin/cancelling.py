"""Cancel a job from the UI: its waiting task is marked failed, and that cancels the job at the remote."""

from __future__ import annotations

import logging
from typing import Literal

from airflow.listeners.listener import get_listener_manager
from airflow.models.dagbag import DBDagBag
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_asyncjob.plugin.stored import Place
from airflow_asyncjob.plugin.waking import STATUS_TRIGGER

__all__ = ["cancel"]

log = logging.getLogger(__name__)

Cancelled = Literal["cancelling", "no cancel", "not waiting", "not found"]
"""``no cancel``: the job's definition does not say how, so that it would only be forgotten."""


def cancel(session: Session, place: Place) -> Cancelled:
    """Mark the waiting task failed, as "Mark state as failed" of Airflow's UI does.

    The trigger that ends with it sends the definition's ``cancel``; where no triggerer has it, the mark
    leaves an order, as any other mark does (see :mod:`airflow_asyncjob.plugin.ordering`). What comes after
    the task is failed as upstream, and callbacks and listeners run, all by Airflow. Only a deferred task is
    taken: of two requests, or of one that comes as the job ends, the later finds nothing to do.
    """
    of = TaskInstance
    waiting = session.execute(
        select(of.state, of.trigger_id)
        .where(
            of.dag_id == place.dag_id,
            of.run_id == place.run_id,
            of.task_id == place.task_id,
            of.map_index == place.map_index,
        )
        .with_for_update()
    ).one_or_none()
    if waiting is None:
        return "not found"
    trigger = session.get(Trigger, waiting.trigger_id) if waiting.trigger_id is not None else None
    if waiting.state != TaskInstanceState.DEFERRED or trigger is None or trigger.classpath != STATUS_TRIGGER:
        return "not waiting"
    if not (trigger.kwargs.get("definition") or {}).get("cancel"):
        return "no cancel"
    dag = DBDagBag().get_latest_version_of_dag(place.dag_id, session=session)
    if dag is None or not dag.has_task(place.task_id):
        return "not found"
    changed = dag.set_task_instance_state(
        task_id=place.task_id,
        run_id=place.run_id,
        map_indexes=[place.map_index],
        state=TaskInstanceState.FAILED,
        commit=True,
        session=session,
    )
    for instance in changed:
        try:
            get_listener_manager().hook.on_task_instance_failed(
                previous_state=None, task_instance=instance, error="The job was cancelled by a user."
            )
        except Exception:
            log.exception("A listener failed on the cancel of %s", place)
    return "cancelling" if changed else "not waiting"
