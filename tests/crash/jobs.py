"""The jobs of the crash suite: what each is, which of its phases it is in, and who it then depends on."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from airflow_asyncjob.testing.distributed import DistributedAirflow

Phase = Literal["submit", "wait", "download"]
PHASES: tuple[Phase, ...] = ("submit", "wait", "download")
_PHASE: dict[str, Phase] = {"job.submit": "submit", "job.wait": "wait", "job.fetch": "download"}
_IN_FLIGHT = """
    SELECT ti.run_id, ti.task_id, ti.map_index, ti.state, ti.unixname, ti.pid, ti.queued_by_job_id,
           t.triggerer_id
    FROM task_instance ti LEFT JOIN trigger t ON ti.trigger_id = t.id
    WHERE ti.state IN ('queued', 'running', 'deferred') AND ti.task_id LIKE 'job.%'
"""


@dataclass
class Job:
    """One job that the suite asked for.

    :param hits: the blows that it was hit by, in each phase: what was struck.
    """

    kind: str
    run_id: str
    index: int
    plan: dict[str, Any]
    folder: Path
    hits: dict[Phase, set[str]] = field(default_factory=lambda: defaultdict(set))

    @property
    def tag(self) -> str:
        return str(self.plan["tag"])

    @property
    def file(self) -> Path:
        return self.folder / f"{self.index}.rows"


def wave(
    kind: str, number: int, size: int, chance: random.Random, folder: Path, longest: float = 60
) -> list[Job]:
    """Make the jobs of one run of a DAG.

    :param longest: seconds that the remote server works at one.
    """
    run_id = f"wave-{number}-{kind}"
    plans = [
        {
            "tag": f"{run_id}-{index}",
            "run_for": chance.uniform(longest / 6, longest),
            "rows": chance.randint(1500, 6000),
        }
        for index in range(size)
    ]
    return [Job(kind, run_id, index, plan, folder / run_id) for index, plan in enumerate(plans)]


@dataclass(frozen=True)
class Flying:
    """A task of a job that is queued, runs or is deferred."""

    run_id: str
    index: int
    phase: Phase
    state: str
    worker: str
    pid: int | None
    scheduler: int | None
    triggerer: int | None


def in_flight(airflow: DistributedAirflow) -> list[Flying]:
    """Ask the database which tasks are in flight."""
    return [
        Flying(
            row["run_id"],
            row["map_index"],
            _PHASE[row["task_id"]],
            row["state"],
            row["unixname"] or "",
            row["pid"],
            row["queued_by_job_id"],
            row["triggerer_id"],
        )
        for row in airflow.query(_IN_FLIGHT)
        if row["task_id"] in _PHASE and row["map_index"] >= 0
    ]


def depends(one: Flying, thing: str, job_id: int | None, pid: int | None) -> bool:
    """Tell whether a task depends, now, on what was struck.

    A task that is queued depends on the database, the broker and the scheduler that queued it; one that runs
    on its process, its worker, the API server that takes what it stores, the database, and the remote server;
    one that is deferred on its triggerer, the database and the remote server.

    :param thing: the component, ``task``, ``supervisor``, ``remote`` or ``network``.
    :param job_id: Airflow's ID of the scheduler or triggerer.
    :param pid: of the task that was struck.
    """
    kind = thing.rpartition("-")[0] if thing[-1].isdigit() else thing
    if kind in ("task", "supervisor"):
        return one.state == "running" and one.pid == pid
    if kind == "worker":
        return one.state == "running" and one.worker == thing
    if kind == "triggerer":
        return one.state == "deferred" and one.triggerer == job_id
    if kind == "scheduler":
        return one.state == "queued" and one.scheduler == job_id
    if kind == "redis":
        return one.state == "queued"
    if kind == "api-server":
        return one.state in ("queued", "running")
    if kind == "postgres":
        return True
    return one.state in ("running", "deferred")


def note_hits(jobs: dict[tuple[str, int], Job], struck: Iterable[Flying], thing: str) -> Counter[str]:
    """Note with each job that it was hit, and count them by phase."""
    counted: Counter[str] = Counter()
    for one in struck:
        job = jobs.get((one.run_id, one.index))
        if job is not None:
            job.hits[one.phase].add(thing.rpartition("-")[0] if thing[-1].isdigit() else thing)
            counted[one.phase] += 1
    return counted
