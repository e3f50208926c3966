"""What became of each job: the ledger's word against Airflow's."""

from __future__ import annotations

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_asyncjob.testing.distributed import DistributedAirflow
from tests.crash.jobs import PHASES, Job
from tests.crash.remote import Accepted, read_journal

_TASKS = """
    SELECT run_id, task_id, map_index, state, try_number FROM task_instance WHERE task_id LIKE 'job.%'
"""
_PHASE_TASK = {"submit": "job.submit", "wait": "job.wait", "download": "job.fetch"}


@dataclass
class Fate:
    """What became of one job.

    :param accepted: how many jobs the remote server accepted for it.
    :param states: of its tasks; ``tries``: how often each ran.
    :param problems: ``lost``, ``doubled``, ``wrong``, ``left running``, ``unsure``; empty: all is well.
    """

    job: Job
    accepted: int
    states: dict[str, str | None]
    tries: dict[str, int]
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        hits = {phase: sorted(self.job.hits[phase]) for phase in PHASES if self.job.hits[phase]}
        return {
            "kind": self.job.kind,
            "run_id": self.job.run_id,
            "map_index": self.job.index,
            "accepted": self.accepted,
            "states": self.states,
            "tries": self.tries,
            "problems": self.problems,
            "hits": hits,
        }


def judge(airflow: DistributedAirflow, journal: Path, jobs: Iterable[Job]) -> list[Fate]:
    """Compare, for each job, what was accepted, what its tasks say, and what lies at its destination."""
    by_tag: dict[str, list[Accepted]] = defaultdict(list)
    for one in read_journal(journal).values():
        by_tag[one.tag].append(one)
    states: dict[tuple[str, int], dict[str, str | None]] = defaultdict(dict)
    tries: dict[tuple[str, int], dict[str, int]] = defaultdict(dict)
    for row in airflow.query(_TASKS):
        where = (row["run_id"], row["map_index"])
        states[where][row["task_id"]] = row["state"]
        tries[where][row["task_id"]] = row["try_number"]
    now = time.time()
    return [
        fate_of(job, by_tag[job.tag], states[job.run_id, job.index], tries[job.run_id, job.index], now)
        for job in jobs
    ]


def fate_of(
    job: Job,
    accepted: list[Accepted],
    states: dict[str, str | None],
    tries: dict[str, int],
    now: float,
) -> Fate:
    """Return what became of one job; times are seconds since the epoch."""
    fate = Fate(job, len(accepted), states, tries)
    ended_well = states == dict.fromkeys(_PHASE_TASK.values(), "success")
    # Documented: with neither key nor list and on_uncertain: fail, a submit whose answer was lost fails.
    unsure = job.kind == "neither" and states.get("job.submit") == "failed"
    if unsure:
        fate.problems.append("unsure")
    elif not accepted or not ended_well:
        fate.problems.append("lost")
    if len(accepted) > 1:
        fate.problems.append("doubled")
    if ended_well and accepted and _sha256(job.file) != accepted[0].sha256():
        fate.problems.append("wrong")
    if any(one.running(now) for one in accepted):
        fate.problems.append("left running")
    return fate


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "(no file)"


def hit_jobs(jobs: Iterable[Job]) -> dict[str, int]:
    """Count the jobs that were hit in each phase."""
    return {phase: sum(1 for job in jobs if job.hits[phase]) for phase in PHASES}


def table(fates: list[Fate], things: Iterable[str]) -> str:
    """Return the table for people: phase and thing against what became of the jobs that were hit."""
    head = (
        f"{'phase':10}{'struck':12}{'hit':>6}{'retried':>9}{'lost':>6}{'doubled':>9}{'wrong':>7}{'unsure':>8}"
    )
    lines = [head, "-" * len(head)]
    for phase in PHASES:
        for thing in (*things, "in all"):
            hit = [
                f for f in fates if (f.job.hits[phase] if thing == "in all" else thing in f.job.hits[phase])
            ]
            found = Counter(problem for fate in hit for problem in fate.problems)
            retried = sum(1 for fate in hit if fate.tries.get(_PHASE_TASK[phase], 1) > 1)
            counts = f"{len(hit):6}{retried:9}{found['lost']:6}{found['doubled']:9}{found['wrong']:7}"
            lines.append(f"{phase:10}{thing:12}{counts}{found['unsure']:8}")
    found = Counter(problem for fate in fates for problem in fate.problems)
    said = ", ".join(
        f"{found[name]} {name}" for name in ("lost", "doubled", "wrong", "left running", "unsure")
    )
    return "\n".join([*lines, "", f"{len(fates)} jobs: {said}"])
