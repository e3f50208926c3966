"""An event of a webhook: is it the API's, which job is it about, and who waits for that job."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Literal

from airflow.models.connection import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from sqlalchemy.orm import Session

from airflow_asyncjob.definition.callback import TaskName, task_of_token
from airflow_asyncjob.definition.models.webhook import Webhook
from airflow_asyncjob.definition.signature import Keys, ReceivedEvent, is_authentic
from airflow_asyncjob.definition.webhook import counts, ids_of, view_of
from airflow_asyncjob.errors import UnreadableError
from airflow_asyncjob.plugin.waiting import Waiting, WaitingTasks, submission_of_task
from airflow_asyncjob.plugin.waking import wake

__all__ = ["Connections", "Events", "Result"]

log = logging.getLogger(__name__)

Result = Literal["woken", "not waiting", "ignored", "unreadable", "refused"]
"""``woken``: a task polls now, or within seconds. ``not waiting``: nobody waits for this job (yet, or any
more). ``ignored``: this event is not one that wakes. ``unreadable``: the sender is known, and the body cannot
be read. ``refused``: nobody knows that the API sent it.
"""
_SECONDS_KEPT = 30.0
_MOST_KEPT = 1000
_MOST_REMEMBERED = 20
_ONE_WRITER = threading.Lock()
"""Threads of one process do not wait for one another in the database: SQLite gives such waits up."""


class Connections:
    """The secrets of connections, kept for seconds: a secrets backend may be slow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, Keys | None]] = {}
        self._lock = threading.Lock()

    def known(self, conn_id: str) -> bool:
        """Return whether this process has seen this connection."""
        with self._lock:
            return (self._kept.get(conn_id) or (0, None))[1] is not None

    def keys_of(self, conn_id: str) -> Keys | None:
        """Return what a connection has of webhooks; None: there is no such connection."""
        now = self._clock()
        with self._lock:
            at, keys = self._kept.get(conn_id, (-_SECONDS_KEPT, None))
        if now - at < _SECONDS_KEPT:
            return keys
        try:
            keys = Keys.of(Connection.get_connection_from_secrets(conn_id).extra_dejson)
        except AirflowNotFoundException:
            keys = None
        with self._lock:
            if len(self._kept) >= _MOST_KEPT:
                self._kept = {name: kept for name, kept in self._kept.items() if kept[1] is not None}
            self._kept[conn_id] = (now, keys)
        return keys


class Events:
    """Takes the events of one process of the API server. Which of them woke a task, the database decides."""

    def __init__(self) -> None:
        self._tasks = WaitingTasks()
        self._remembered: dict[str, tuple[Webhook, ...]] = {}

    def take(self, session: Session, conn_id: str, event: ReceivedEvent, keys: Keys, now: float) -> Result:
        """Wake the tasks that an event is about; the session is committed.

        :param now: seconds since the epoch.
        """
        self._tasks.look(session)
        result = self._tried(session, conn_id, event, keys, now)
        if result == "refused" and any(
            is_authentic(webhook.auth, event, keys, now)
            for webhook in self._remembered.get(conn_id, ())
            if webhook.auth is not None
        ):
            return "not waiting"
        return result

    def _tried(self, session: Session, conn_id: str, event: ReceivedEvent, keys: Keys, now: float) -> Result:
        waiting = self._tasks.of(conn_id)
        named = task_of_token(event.path_secret, conn_id, keys.secrets) if event.path_secret else None
        if named is not None:
            return self._called(session, waiting, named, event, keys, now)
        sections = {one.webhook for one in waiting if one.webhook.auth is not None}
        known = [w for w in sections if w.auth is not None and is_authentic(w.auth, event, keys, now)]
        if not known:
            return "refused"
        self._remember(conn_id, known)
        try:
            view = view_of(event)
            ids = {webhook: ids_of(webhook, view) for webhook in known if counts(webhook, view)}
        except UnreadableError as error:
            log.warning("An event for connection %s cannot be read: %s", conn_id, error.message)
            return "unreadable"
        if not any(ids.values()):
            return "ignored"
        return _woken(session, [one for one in waiting if one.submission_id in ids.get(one.webhook, ())])

    def _called(
        self,
        session: Session,
        waiting: list[Waiting],
        task: TaskName,
        event: ReceivedEvent,
        keys: Keys,
        now: float,
    ) -> Result:
        """Wake the task whose job has its own address."""
        job = submission_of_task(session, task)
        mine = [one for one in waiting if _waits_for(one, task, job)]
        if any(not _may_call(one.webhook, event, keys, now) for one in mine):
            return "refused"
        try:
            view = view_of(event)
            wanted = [one for one in mine if counts(one.webhook, view)]
        except UnreadableError as error:
            log.warning("An event for %s cannot be read: %s", task, error.message)
            return "unreadable"
        if mine and not wanted:
            return "ignored"
        return _woken(session, wanted)

    def _remember(self, conn_id: str, webhooks: list[Webhook]) -> None:
        """Keep how events of a connection are told apart, for the time in which nobody waits.

        What is remembered never wakes a task; it only tells a sender that we know from one that we do not.
        """
        before = self._remembered.get(conn_id, ())
        new = tuple(one for one in webhooks if one not in before)
        if new:
            self._remembered[conn_id] = (*new, *before)[:_MOST_REMEMBERED]


def _may_call(webhook: Webhook, event: ReceivedEvent, keys: Keys, now: float) -> bool:
    """Return whether the signed address is enough, or what else is asked for is there too."""
    auth = webhook.auth
    return auth is None or auth.type == "path" or is_authentic(auth, event, keys, now)


def _waits_for(one: Waiting, task: TaskName, job: str | None) -> bool:
    """Return whether a task waits for the job of another: the same one, or one of its run after it."""
    place = one.place
    if (place.dag_id, place.run_id) != (task.dag_id, task.run_id):
        return False
    itself = (place.task_id, place.map_index) == (task.task_id, task.map_index)
    return itself or (job is not None and one.submission_id == job)


def _woken(session: Session, waiting: list[Waiting]) -> Result:
    found = False
    session.commit()  # what was read until now would keep SQLite from writing beside another process
    for one in waiting:
        with _ONE_WRITER:
            woke = wake(session, **one.place._asdict(), why="webhook")
            session.commit()
        if woke in ("woken", "held"):
            log.info("An event for connection %s: %s is %s", one.conn_id, one.place, woke)
            found = True
    return "woken" if found else "not waiting"
