"""All that is known of one task instance's job: for the tab "Async job"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.models.taskinstance import TaskInstance
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_asyncjob.panel import Summary
from airflow_asyncjob.plugin.curl import curl_of
from airflow_asyncjob.plugin.jobs import OPEN, Job, iso, jobs_of, tab_of, web_only
from airflow_asyncjob.plugin.stored import LIVE, Line, Place, kept_of, summaries

__all__ = ["details"]

_OPERATORS = frozenset({"AsyncSubmitOperator", "AsyncStatusSensor", "ResultDownloadOperator"})
_POLL = ("at", "raw_status", "state", "code")
_TIMES = ("submitted_at", "started_at", "updated_at", "next_poll_at", "deadline", "ended_at")


def details(
    session: Session, place: Place, *, now: float, may_edit: bool, may_preview: bool
) -> dict[str, Any] | None:
    """Return what the tab shows; None: there is no such task instance.

    :param may_edit: whether the user may change task instances of this DAG.
    :param may_preview: whether the user may read its XComs; first rows of a result are shown to nobody else.
    """
    of = TaskInstance
    instance = session.execute(
        select(of.state, of.operator, of.custom_operator_name).where(
            of.dag_id == place.dag_id,
            of.run_id == place.run_id,
            of.task_id == place.task_id,
            of.map_index == place.map_index,
        )
    ).one_or_none()
    if instance is None:
        return None
    job = _job_with(session, place, now, instance.state)
    kept, preview = kept_of(session, place)
    found = {} if job is None else job.to_dict(now, instance.state, may_edit)
    book = kept.book.to_dict()
    return {
        "ours": job is not None or bool({instance.operator, instance.custom_operator_name} & _OPERATORS),
        "job": found or None,
        "summary": None if kept.summary is None else _summary(kept.summary),
        "exchanges": [{**exchange, "curl": curl_of(exchange)} for exchange in book["exchanges"]],
        "left_out": book["left_out"],
        "before": [_earlier(job) for job in reversed(book["before"])],
        "polls": [dict(zip(_POLL, (iso(poll[0]), *poll[1:]), strict=True)) for poll in book["polls"]],
        "preview": preview if may_preview else None,
        "related": [] if job is None else [_related(other) for other in job.others],
        "may": {
            "poll": bool(found.get("can_poll")),
            "cancel": bool(found.get("can_cancel")),
            "edit": may_edit,
        },
    }


def _job_with(session: Session, place: Place, now: float, state: str | None) -> Job | None:
    """Return the job of this task instance, which leads whatever its phase; None: nothing is kept of it."""
    lines = summaries(session, [place.dag_id], run=(place.dag_id, place.run_id))
    mine = next((line for line in lines if line.place == place), None)
    if mine is None:
        return None
    # Alone for its own state, then with the others for what they know of the job.
    job = jobs_of([mine], {place: str(state)} if state in LIVE else {}, now)[0]
    if mine.submission_id:
        same = (mine.conn_id, mine.submission_id)
        job.others += [
            line for line in lines if line is not mine and (line.conn_id, line.submission_id) == same
        ]
    job.others.sort(key=lambda line: line.place)
    job.know()
    return job


def _earlier(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job that this one replaces, its times as text; how one ended that went on is not known."""
    times = {name: iso(job.get(name)) for name in ("submitted_at", "ended_at")}
    return {**job, **times, "state": "replaced" if job.get("state") in OPEN else job.get("state")}


def _related(line: Line) -> dict[str, Any]:
    place = Place(*line.place)
    return {"task_id": place.task_id, "map_index": place.map_index, "kind": line.kind, "url": tab_of(place)}


def _summary(summary: Summary) -> dict[str, Any]:
    """Return a summary, its times as text."""
    times = {name: iso(getattr(summary, name)) for name in _TIMES}
    return {**summary.to_dict(), **times, "remote_url": web_only(summary.remote_url)}
