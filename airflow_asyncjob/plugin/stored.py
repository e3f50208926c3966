"""What is kept of jobs in Airflow's database: read, and put together.

A worker writes to the task state store; a trigger, which cannot, writes XComs of the same names. The newest
summary counts, and the exchanges of both are one trace.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.state import TaskInstanceState
from sqlalchemy import Select, Text, cast, select, tuple_
from sqlalchemy.orm import Session

from airflow_asyncjob.panel import PREVIEW, SUMMARY, TRACE, Kept, merged

__all__ = [
    "LIVE",
    "MOST_SUMMARIES",
    "Line",
    "Place",
    "Table",
    "kept_of",
    "live_tasks",
    "states_of",
    "summaries",
]

log = logging.getLogger(__name__)

MOST_SUMMARIES = 60_000
"""So many of the newest summaries are read for the page, from each of the two places: 20,000 jobs of three
tasks.
"""
LIVE = (
    TaskInstanceState.DEFERRED,
    TaskInstanceState.RUNNING,
    TaskInstanceState.QUEUED,
    TaskInstanceState.SCHEDULED,
    TaskInstanceState.UP_FOR_RETRY,
    TaskInstanceState.UP_FOR_RESCHEDULE,
    TaskInstanceState.RESTARTING,
)
"""States of a task instance that goes on by itself."""
_AT_ONCE = 500
_FEW_DAGS = 20


class Place(NamedTuple):
    """Which task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


class Line(msgspec.Struct, gc=False):
    """What the page needs of a :class:`Summary`, under the same names: read 40,000 times in one request.

    :param place: of the task instance that keeps it; not part of what is kept.
    """

    kind: str = ""
    definition: str = ""
    conn_id: str = ""
    submission_id: str | None = None
    state: str = ""
    raw_status: Any = None
    message: str | None = None
    progress: Any = None
    submitted_at: float | None = None
    started_at: float = 0.0
    updated_at: float = 0.0
    next_poll_at: float | None = None
    deadline: float | None = None
    ended_at: float | None = None
    polls: int = 0
    failed_polls: int = 0
    unknown: int = 0
    remote_url: str | None = None
    can_cancel: bool = False
    trouble: str | None = None
    place: tuple[str, str, str, int] = ("", "", "", -1)


_DECODER = msgspec.json.Decoder(Line)


def summaries(session: Session, dag_ids: Collection[str], run: tuple[str, str] | None = None) -> list[Line]:
    """Return the newest summary of each task instance.

    :param dag_ids: nothing of another DAG is returned.
    :param run: DAG ID and run ID: of this run only.
    """
    found: dict[tuple[Any, ...], Line] = {}
    for table in _TABLES:
        for line in table.lines(session, dag_ids, run):
            other = found.get(line.place)
            if line.place[0] in dag_ids and (other is None or line.updated_at >= other.updated_at):
                found[line.place] = line
    return list(found.values())


class Table:
    """The summaries of one of the two places; a row is read and parsed again only when it has changed.

    Of 10,000 jobs hardly one has changed since the page was last asked for. What is remembered, about 1 kB
    for a summary, is bounded by :data:`MOST_SUMMARIES`. Threads may ask at the same time: the worst is that
    both read the same rows.

    :param changed: the time at which a row was last written.
    :param value: what is kept in it, as text.
    :param newest: the order in which the newest rows come first.
    """

    def __init__(self, model: Any, changed: Any, value: Any, newest: Any) -> None:
        self._model = model
        self._key = (model.dag_run_id, model.task_id, model.map_index)
        self._changed = changed
        self._value = value
        self._newest = newest
        self._known: dict[tuple[Any, ...], tuple[Any, Line | None]] = {}

    def lines(
        self, session: Session, dag_ids: Collection[str], run: tuple[str, str] | None = None
    ) -> Iterator[Line]:
        """Yield the newest summaries; of other DAGs too where there are many to choose from."""
        wanted = self._where(dag_ids, run).order_by(self._newest).limit(MOST_SUMMARIES)
        times = {
            row[:3]: row[3] for row in _rows(session, wanted.with_only_columns(*self._key, self._changed))
        }
        known = self._known
        stale = [key for key, time in times.items() if key not in known or known[key][0] != time]
        if stale:
            known = {**known, **self._read(session, wanted, stale)}
            if len(known) > MOST_SUMMARIES:
                known = {key: known[key] for key in times if key in known}
            self._known = known
        for key in times:
            _, line = known.get(key, (None, None))
            if line is not None:
                yield line

    def _where(self, dag_ids: Collection[str], run: tuple[str, str] | None) -> Select[Any]:
        of = self._model
        statement = select(*self._key).where(of.key == SUMMARY)
        if run is not None:
            return statement.where(of.dag_id == run[0], of.run_id == run[1])
        # With many, SQLite would look up each in an index and sort: five times as long as to read all.
        return statement.where(of.dag_id.in_(dag_ids)) if len(dag_ids) <= _FEW_DAGS else statement

    def _read(
        self, session: Session, wanted: Select[Any], stale: list[tuple[Any, ...]]
    ) -> dict[tuple[Any, ...], tuple[Any, Line | None]]:
        of = self._model
        columns = (*self._key, self._changed, of.dag_id, of.run_id, self._value)
        if len(stale) > _AT_ONCE:
            statement = wanted.with_only_columns(*columns)
        else:
            statement = select(*columns).where(of.key == SUMMARY, tuple_(*self._key).in_(stale))
        return {
            (run_key, task_id, map_index): (time, _decode(text, (dag_id, run_id, task_id, map_index)))
            for run_key, task_id, map_index, time, dag_id, run_id, text in _rows(session, statement)
        }


_TABLES = (
    Table(
        TaskStateStoreModel,
        TaskStateStoreModel.updated_at,
        TaskStateStoreModel.value,
        TaskStateStoreModel.id.desc(),
    ),
    # As text: what SQLAlchemy would parse is parsed here, straight into a line.
    Table(XComModel, XComModel.timestamp, cast(XComModel.value, Text), XComModel.timestamp.desc()),
)


def _rows(session: Session, statement: Select[*tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
    """Return the rows as the database's driver has them: plain text and numbers, which need no conversion."""
    cursor = session.connection().execute(statement).cursor
    return [] if cursor is None else cursor.fetchall()


def _decode(text: str | None, place: tuple[str, str, str, int]) -> Line | None:
    """Read a summary; None for what is none: somebody's own XCom back end may store something else."""
    if not text:
        return None
    try:
        line = _DECODER.decode(text)
    except msgspec.DecodeError as problem:
        log.debug("A summary cannot be read, and is left out: %s", problem)
        return None
    line.place = place
    return line


def live_tasks(session: Session, dag_ids: Collection[str]) -> dict[Place, str]:
    """Return the state of each task instance that goes on by itself."""
    of = TaskInstance
    statement = select(of.dag_id, of.run_id, of.task_id, of.map_index, of.state).where(of.state.in_(LIVE))
    return {
        Place(dag_id, run_id, task_id, map_index): str(state)
        for dag_id, run_id, task_id, map_index, state in _rows(session, statement)
        if dag_id in dag_ids
    }


def states_of(session: Session, places: Iterable[Place]) -> dict[Place, str | None]:
    """Return the states of these task instances; None: not scheduled, such as after a clear."""
    of = TaskInstance
    found: dict[Place, str | None] = {}
    wanted = list(places)
    for start in range(0, len(wanted), _AT_ONCE):
        statement = select(of.dag_id, of.run_id, of.task_id, of.map_index, of.state).where(
            tuple_(of.dag_id, of.run_id, of.task_id, of.map_index).in_(wanted[start : start + _AT_ONCE])
        )
        for dag_id, run_id, task_id, map_index, state in session.execute(statement):
            found[Place(dag_id, run_id, task_id, map_index)] = None if state is None else str(state)
    return found


def kept_of(session: Session, place: Place) -> tuple[Kept, Mapping[str, Any] | None]:
    """Return what is kept of one task instance's job, and the first rows of its result, if any."""
    pairs: list[tuple[Any, Any]] = []
    preview: Mapping[str, Any] | None = None
    for model, value in (
        (TaskStateStoreModel, TaskStateStoreModel.value),
        (XComModel, cast(XComModel.value, Text)),
    ):
        statement = select(model.key, value).where(
            model.dag_id == place.dag_id,
            model.run_id == place.run_id,
            model.task_id == place.task_id,
            model.map_index == place.map_index,
            model.key.in_((SUMMARY, TRACE, PREVIEW)),
        )
        found = {key: _mapping(text) for key, text in session.execute(statement)}
        pairs.append((found.get(SUMMARY), found.get(TRACE)))
        preview = preview or found.get(PREVIEW)
    return merged(*pairs), preview


def _mapping(text: str | None) -> Mapping[str, Any] | None:
    try:
        read = json.loads(text or "null")
    except ValueError:
        return None
    return read if isinstance(read, dict) else None
