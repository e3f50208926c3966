"""Which tasks wait for which job, as the deferred ones' trigger arguments say it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select
from sqlalchemy.orm import Session, lazyload

from airflow_asyncjob.definition.callback import TaskName
from airflow_asyncjob.definition.models.webhook import Webhook
from airflow_asyncjob.hooks.upstream import SUBMISSION
from airflow_asyncjob.plugin.stored import Place
from airflow_asyncjob.plugin.waking import STATUS_TRIGGER

__all__ = ["Waiting", "WaitingTasks", "submission_of_task"]

log = logging.getLogger(__name__)

_AT_ONCE = 500


@dataclass(frozen=True)
class Waiting:
    """A task that waits for a job, and the events that can wake it."""

    place: Place
    conn_id: str
    submission_id: str
    webhook: Webhook


class WaitingTasks:
    """The tasks that wait for a job with a webhook, as far as this process has looked.

    The arguments of a trigger are encrypted, so that no query finds a job by its ID. They never change,
    though: each is read once, and a look costs one query of row IDs.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, datetime], Waiting | None] = {}
        self._lock = threading.Lock()

    def of(self, conn_id: str) -> list[Waiting]:
        """Return those of a connection at the last look; they may have ended since."""
        with self._lock:
            found = list(self._known.values())
        return [one for one in found if one is not None and one.conn_id == conn_id]

    def look(self, session: Session) -> None:
        """Take in what waits now."""
        ti = TaskInstance
        rows = session.execute(
            select(Trigger.id, Trigger.created_date, ti.dag_id, ti.run_id, ti.task_id, ti.map_index)
            .join(ti, ti.trigger_id == Trigger.id)
            .where(Trigger.classpath == STATUS_TRIGGER, ti.state == TaskInstanceState.DEFERRED)
        ).all()
        places = {
            (id_, created): Place(dag_id, run_id, task_id, map_index)
            for id_, created, dag_id, run_id, task_id, map_index in rows
        }
        with self._lock:
            new = [key for key in places if key not in self._known]
        arguments = _arguments_of(session, [id_ for id_, _ in new])
        read = {key: _waiting(places[key], arguments.get(key[0], {})) for key in new}
        with self._lock:
            known = {**self._known, **read}
            self._known = {key: known[key] for key in places if key in known}


def _arguments_of(session: Session, trigger_ids: list[int]) -> Mapping[int, Mapping[str, Any]]:
    found: dict[int, Mapping[str, Any]] = {}
    for some in (trigger_ids[at : at + _AT_ONCE] for at in range(0, len(trigger_ids), _AT_ONCE)):
        statement = select(Trigger).where(Trigger.id.in_(some)).options(lazyload(Trigger.task_instance))
        for trigger in session.scalars(statement):
            try:
                found[trigger.id] = trigger.kwargs
            except Exception:  # written with another Fernet key, or by a version that is not known yet
                log.warning(
                    "The arguments of trigger %s cannot be read: no event wakes its task.", trigger.id
                )
    return found


def _waiting(place: Place, arguments: Mapping[str, Any]) -> Waiting | None:
    status = (arguments.get("definition") or {}).get("status") or {}
    submission = (arguments.get("checkpoint") or {}).get("submission") or {}
    if not status.get("webhook") and status.get("webhook") != {}:
        return None
    try:
        webhook = Webhook.model_validate(status["webhook"])
    except ValueError:
        log.warning("The webhook of %s cannot be read: no event wakes it.", place)
        return None
    return Waiting(place, str(arguments.get("http_conn_id")), str(submission.get("id")), webhook)


def submission_of_task(session: Session, task: TaskName) -> str | None:
    """Return the ID of the job that a task has submitted; None: it has not been answered yet."""
    values: Iterable[Any] = session.scalars(
        select(XComModel.value).where(
            XComModel.dag_id == task.dag_id,
            XComModel.run_id == task.run_id,
            XComModel.task_id == task.task_id,
            XComModel.map_index == task.map_index,
            XComModel.key == SUBMISSION,
        )
    )
    for value in values:
        told = XComModel.deserialize_value(type("Row", (), {"value": value}))
        if isinstance(told, Mapping) and told.get("id") is not None:
            return str(told["id"])
    return None
