"""From summaries of task instances to jobs: which belong together, what is wrong, who comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from airflow_asyncjob.panel import tab_path
from airflow_asyncjob.plugin.stored import Line, Place

__all__ = ["FACETS", "OPEN", "Filters", "Job", "iso", "jobs_of", "page_of", "tab_of", "web_only"]

FACETS = ("state", "conn_id", "dag_id", "definition")
LATE_AFTER = 90.0
"""Seconds after the time of the next poll from which it is called late: a trigger notes that time at most
once in 60 s, so it may have polled since.
"""
RECENT = 24 * 3600.0
"""Seconds for which a job that was given up stands among those in trouble."""
OPEN = frozenset({"submitting", "running", "downloading"})
"""States of a job that goes on."""
_PHASES = {"submit": 0, "wait": 1, "fetch": 2}


class Job(msgspec.Struct, gc=False):
    """One job: the newest phase speaks for it.

    :param place: of the task instance that leads.
    :param kept: its summary.
    :param live: state of that task instance while it goes on by itself; else None.
    :param others: of the job's other task instances.
    :param state: of the job; ``error`` where its task has ended without saying how the job ended.
    :param late: seconds by which the next poll is late.
    """

    place: Place
    kept: Line
    live: str | None
    others: list[Line]
    conn_id: str
    dag_id: str
    state: str
    late: float = 0.0
    recent: bool = True
    submitted_at: float | None = None
    definition: str = ""
    remote_url: str | None = None

    def know(self) -> None:
        """Take what the leading task instance does not know from the others."""
        for kept in (self.kept, *self.others):
            self.submitted_at = self.submitted_at or kept.submitted_at
            self.definition = self.definition or kept.definition
            self.remote_url = self.remote_url or kept.remote_url

    @property
    def troubled(self) -> bool:
        """Whether somebody should look: at a job that goes on, or that was given up lately and may run on."""
        kept = self.kept
        if self.live is None:
            return self.state == "error" and self.recent
        return bool(kept.trouble or kept.failed_polls or kept.unknown or self.late > 0)

    def waited(self, now: float) -> float:
        """Return the seconds since the submission, up to the end."""
        since = self.submitted_at or self.kept.started_at
        return max(0.0, (self.ended_at or now) - since) if since else 0.0

    @property
    def ended_at(self) -> float | None:
        """When the job ended, or was given up: the last that was noted of it. None: it goes on."""
        return self.kept.ended_at or (None if self.state in OPEN else self.kept.updated_at or None)

    def trouble(self) -> str | None:
        """Say in one sentence what is wrong; None: nothing."""
        kept = self.kept
        if kept.trouble:
            return kept.trouble
        if self.state == "error" and kept.state in OPEN:
            return "The task has ended, and nothing waits for this job any more."
        if self.live is None:
            return None
        if kept.failed_polls:
            return f"The last {kept.failed_polls} polls failed."
        if kept.unknown:
            return f"The raw status {kept.raw_status!r} is not mapped to a state."
        if self.late:
            return f"The next poll is late by {self.late:.0f} s: is a triggerer running?"
        return None

    def to_dict(self, now: float, task_state: str | None, may_edit: bool) -> dict[str, Any]:
        """Return the job as the routes give it.

        :param task_state: of the leading task instance, now.
        :param may_edit: whether this user may change it.
        """
        kept = self.kept
        waits = task_state == "deferred" and kept.kind in ("submit", "wait")
        return {
            **self.place._asdict(),
            "task_state": task_state,
            "kind": kept.kind,
            "definition": self.definition,
            "conn_id": kept.conn_id,
            "submission_id": kept.submission_id,
            "state": self.state,
            "raw_status": kept.raw_status,
            "message": kept.message,
            "progress": kept.progress,
            "submitted_at": iso(self.submitted_at),
            "waited": round(self.waited(now), 3),
            "next_poll_at": iso(kept.next_poll_at) if waits else None,
            "late": round(self.late),
            "deadline": iso(kept.deadline),
            "ended_at": iso(self.ended_at),
            "updated_at": iso(kept.updated_at),
            "polls": max(kept.polls, *(other.polls for other in self.others), 0),
            "failed_polls": kept.failed_polls,
            "unknown": kept.unknown,
            "trouble": self.trouble(),
            "remote_url": web_only(self.remote_url),
            "can_cancel": waits and may_edit and kept.can_cancel,
            "can_poll": waits and may_edit,
            "url": tab_of(self.place),
        }


@dataclass(frozen=True)
class Filters:
    """What the user asked for; an empty list: all.

    :param text: is searched for in IDs, definition and message, whatever its case.
    :param min_age: seconds since the submission.
    :param waiting: True: only jobs whose task goes on.
    """

    state: Sequence[str] = ()
    conn_id: Sequence[str] = ()
    dag_id: Sequence[str] = ()
    definition: Sequence[str] = ()
    text: str = ""
    min_age: float | None = None
    max_age: float | None = None
    waiting: bool = False
    order: str = "trouble"
    choices: Mapping[str, frozenset[str]] = field(init=False)

    def __post_init__(self) -> None:
        choices = {name: frozenset(getattr(self, name)) for name in FACETS if getattr(self, name)}
        object.__setattr__(self, "choices", choices)

    def match_all_but_choices(self, job: Job, now: float) -> bool:
        """Tell whether a job is what was asked for, its facets left aside."""
        if self.waiting and job.live is None:
            return False
        if self.min_age is not None or self.max_age is not None:
            age = now - (job.submitted_at or job.kept.started_at)
            if age < (self.min_age or 0.0) or (self.max_age is not None and age > self.max_age):
                return False
        return not self.text or self._says(job)

    def _says(self, job: Job) -> bool:
        kept = job.kept
        texts = (*job.place[:3], kept.submission_id, job.definition, kept.message, kept.conn_id)
        return self.text.casefold() in " ".join(text for text in texts if text).casefold()


def jobs_of(lines: Iterable[Line], live: Mapping[Place, str], now: float) -> list[Job]:
    """Put the task instances of each job together: those of one run with one submission and connection.

    :param live: the task instances that go on, with their state.
    :param now: seconds since the epoch.
    """
    groups: dict[tuple[Any, ...], list[Line]] = {}
    for line in lines:
        job_id = line.submission_id
        key = (*line.place[:2], line.conn_id, job_id) if job_id else line.place
        groups.setdefault(key, []).append(line)
    return [_job(group, live, now) for group in groups.values()]


def _job(group: list[Line], live: Mapping[Place, str], now: float) -> Job:
    if len(group) > 1:
        group.sort(key=_phase)
    kept = group.pop()
    place = Place(*kept.place)
    state = live.get(place)
    job = Job(place, kept, state, others=group, state=kept.state, conn_id=kept.conn_id, dag_id=place.dag_id)
    job.know()
    job.recent = now - kept.updated_at < RECENT
    if state == "deferred" and kept.next_poll_at is not None and now - kept.next_poll_at > LATE_AFTER:
        job.late = now - kept.next_poll_at
    # A submit that is over has handed its job on; any other task that ends says how the job ended.
    if state is None and kept.state in OPEN and kept.kind != "submit":
        job.state = "error"
    return job


def _phase(line: Line) -> tuple[int, float]:
    return _PHASES.get(line.kind, 0), line.updated_at


def page_of(
    jobs: Iterable[Job], filters: Filters, now: float, *, limit: int, offset: int
) -> tuple[int, list[Job], dict[str, dict[str, int]]]:
    """Return how many jobs match, one page of them in order, and how often each value occurs.

    A facet counts what would match if nothing were chosen of that facet itself, so that a user sees what else
    there is.
    """
    chosen: list[Job] = []
    counts = {name: Counter[str]() for name in FACETS}
    for job in jobs:
        if not filters.match_all_but_choices(job, now):
            continue
        failed = [name for name, values in filters.choices.items() if getattr(job, name) not in values]
        if not failed:
            chosen.append(job)
        for name in FACETS:
            if not failed or failed == [name]:
                counts[name][getattr(job, name)] += 1
    order = _newest_first if filters.order == "-updated" else _trouble_first
    chosen.sort(key=order)
    facets = {name: dict(count.most_common()) for name, count in counts.items()}
    return len(chosen), chosen[offset : offset + limit], facets


def _newest_first(job: Job) -> tuple[float, ...]:
    return (-job.kept.updated_at,)


def _trouble_first(job: Job) -> tuple[float, ...]:
    if job.troubled:
        return (0, -job.kept.failed_polls - job.kept.unknown, -job.late, -job.kept.updated_at)
    if job.live is not None:
        return (1, job.kept.next_poll_at or float("inf"), -job.kept.updated_at)
    return (2, -job.kept.updated_at)


def tab_of(place: Place) -> str:
    """Return the path of the tab "Async job" of a task instance in Airflow's UI."""
    return tab_path(*place)


def iso(seconds: float | None) -> str | None:
    """Return a moment as ISO 8601 text in UTC."""
    if seconds is None:
        return None
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def web_only(url: str | None) -> str | None:
    """Return a link that is safe to show: a summary is data, and ``javascript:`` is an address too."""
    return url if url and url.lower().startswith(("https://", "http://")) else None
