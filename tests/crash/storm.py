"""The storm: jobs by the wave, blow after blow, until enough of them were hit; then the verdict."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg2

from airflow_asyncjob.testing.airflow_api import AirflowApiError
from airflow_asyncjob.testing.distributed import DistributedAirflow
from airflow_asyncjob.testing.processes import wait_until
from tests.crash.blows import ONE_TASK, ROOT, THINGS, Arm, Blow, How, Remote, aim, round_of
from tests.crash.jobs import PHASES, Flying, Job, Phase, depends, in_flight, note_hits, wave
from tests.crash.remote import exchanging
from tests.crash.verdict import Fate, hit_jobs, judge, table

KINDS = ("keyed", "listed", "neither")
"""Of six runs, three are of the first kind, two of the second, one of the third: the DAGs ``crash_KIND``."""
_TURNS = (0, 1, 0, 1, 0, 2)
_IN_MID_EXCHANGE = (*ONE_TASK, "worker")
"""What is struck while a task talks with the remote server, since most of a task's time is its start."""

SETTINGS = {
    # So short that what is dead is noticed within a storm of minutes; the defaults are 300, 600 and 300 s.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "20",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "20",
    "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
    # As many as the jobs that are struck at once: the default, 32 for a scheduler, leaves the machine idle.
    "AIRFLOW__CORE__PARALLELISM": "64",
    "AIRFLOW__SCHEDULER__MAX_TIS_PER_QUERY": "64",
}

_RUNS_OVER = "SELECT run_id, state FROM dag_run WHERE state IN ('success', 'failed')"
_TASKS_OVER = """
    SELECT run_id, map_index FROM task_instance
    WHERE task_id = '{task}' AND map_index >= 0
    AND state IN ('success', 'failed', 'upstream_failed', 'skipped', 'removed')
"""

PRELOADED = "airflow_local_settings.py"
"""Airflow imports it where it starts: a task's process, which is forked, then has the package already."""

_START_AND_END = 2.0
"""Minutes in which the engine starts, the last blow is mended, and everything ends."""


@dataclass(frozen=True)
class Plan:
    """How large the storm is.

    :param enough: jobs to hit in each phase; None: as long as ``minutes`` allow.
    :param at_once: jobs in flight, about.
    :param frozen: seconds of a freeze.
    :param minutes: after these no blow begins. In the last sixth of them no job begins: it would not come to
        its download. Nor does one when those in flight will do (:func:`will_do`).
    :param drain: minutes in which what is in flight then must end. When enough were hit before ``minutes``
        are over, what is left of ``minutes`` is added.
    :param concurrency: tasks that one worker runs at a time: more than the machine can, since most of them
        wait for the remote server.
    :param slowness: seconds that the answer to a submit takes at most; less than the client waits for it.
    :param bytes_per_second: of a download. The results are 100 to 400 KB, so that most downloads take longer
        than it is from one blow at them to the next.
    :param pause: seconds of peace after a blow, at most.
    :param longest: seconds that the remote server works at a job.
    """

    seed: int
    things: tuple[str, ...]
    enough: int | None = 200
    at_once: int = 180
    frozen: float = 60.0
    minutes: float = 26.0
    drain: float = 4.0
    concurrency: int = 20
    slowness: float = 12.0
    bytes_per_second: int = 15_000
    pause: float = 8.0
    longest: float = 110.0

    @property
    def limit(self) -> float:
        """Minutes after which the storm fails, whatever it waits for."""
        return self.minutes + self.drain + _START_AND_END


@dataclass
class Struck:
    """A blow that was struck, how many tasks it hit, by phase, and of which jobs (run and map index).

    :param exchanging: how many of these jobs had a submit or a download on its way at that moment.
    """

    blow: Blow
    at: float
    hits: dict[str, int]
    jobs: list[tuple[str, int]]
    exchanging: int


def will_do(hits: Mapping[str, int], enough: int) -> bool:
    """Return whether the jobs in flight will do, so that no more need begin, and end after the storm.

    So it is when nothing is missing in the first phase, and a fifth at most in the later ones, to which they
    come: more than that are in flight.
    """
    return hits["submit"] >= enough and min(hits.values()) >= 0.8 * enough


class Storm:
    """An engine, a remote server, jobs, and blows; a context manager.

    :param say: called with each line for people.
    """

    def __init__(self, plan: Plan, home: Path, say: Callable[[str], None]) -> None:
        self.plan = plan
        self.home = home
        self.say = say
        self.results = home / "results"
        home.mkdir(parents=True, exist_ok=True)
        self.remote = Remote(home / "remote", slowness=plan.slowness, bytes_per_second=plan.bytes_per_second)
        self.airflow = DistributedAirflow(
            home / "airflow",
            ROOT / "tests" / "crash" / "dags",
            concurrency=plan.concurrency,
            env=SETTINGS,
            connections={"remote": self.remote.connection},
        )
        config = home / "airflow" / "config"
        config.mkdir(parents=True, exist_ok=True)
        (config / PRELOADED).write_text(
            "import airflow_asyncjob.operators.submit, airflow_asyncjob.sensors\n"
        )
        self.arm = Arm(self.airflow, self.remote)
        self.jobs: dict[tuple[str, int], Job] = {}
        self.struck: list[Struck] = []
        self._waves = 0
        self._round: list[tuple[str, How]] = []
        self._rounds = 0
        self._no_more_blows = 0.0
        """The time on the monotonic clock when ``minutes`` are over."""
        self._ending = threading.Event()
        """No more jobs begin."""
        self._given_up = threading.Event()
        """And nobody waits for those that do not: what is going on is not judged."""

    def __enter__(self) -> Storm:
        started = time.monotonic()
        self.remote.processes.log_folder.mkdir(parents=True, exist_ok=True)
        self.remote.start()
        self.remote.network.__enter__()
        try:
            self.airflow.__enter__()
            for kind in KINDS:
                self.airflow.wait_for_dag(f"crash_{kind}", timeout=600)
        except BaseException:
            self.airflow.stop()
            self._end_remote()
            raise
        self.arm.__enter__()
        self.say(f"the engine is healthy after {time.monotonic() - started:.0f} s")
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.arm.__exit__()
            self.airflow.stop()
        finally:
            self._end_remote()

    def _end_remote(self) -> None:
        self.remote.network.__exit__()
        self.remote.processes.stop()

    # jobs

    def launch(self, kind: str, size: int) -> list[Job]:
        """Start one run with so many jobs; while the API server is down, ask again."""
        self._waves += 1
        chance = random.Random(f"{self.plan.seed}/{self._waves}")
        jobs = wave(kind, self._waves, size, chance, self.results, self.plan.longest)
        conf = {"plans": [job.plan for job in jobs], "folder": str(jobs[0].folder)}
        run_id = jobs[0].run_id
        for job in jobs:
            self.jobs[job.run_id, job.index] = job

        def asked() -> bool:
            if self._given_up.is_set():
                return True
            try:
                self.airflow.trigger(f"crash_{kind}", conf, run_id=run_id)
            except AirflowApiError as problem:
                return problem.status == httpx.codes.CONFLICT  # an earlier answer was lost
            except httpx.HTTPError:
                return False
            return True

        wait_until(asked, timeout=300, what=f"{run_id} is started", every=1)
        return jobs

    def over(self) -> dict[str, str]:
        """Return the runs that are over, and their states."""
        return {row["run_id"]: row["state"] for row in self._look(_RUNS_OVER)}

    def flying(self) -> list[Flying]:
        """Return the tasks in flight; none while the database cannot be asked."""
        try:
            return in_flight(self.airflow)
        except psycopg2.OperationalError:
            return []

    def _look(self, sql: str) -> list[dict[str, Any]]:
        try:
            return self.airflow.query(sql)
        except psycopg2.OperationalError:
            return []

    def _before_end_of(self, task: str) -> int:
        """Return how many jobs have not got past this task; all, while the database cannot be asked."""
        ended = {(row["run_id"], row["map_index"]) for row in self._look(_TASKS_OVER.format(task=task))}
        over = self.over()
        return sum(1 for where in list(self.jobs) if where not in ended and where[0] not in over)

    def _unfinished(self) -> int:
        return self._before_end_of("job.fetch")

    def _enough(self) -> bool:
        if self.plan.enough is None:
            return False
        return min(self._hits().values()) >= self.plan.enough

    def _will_do(self) -> bool:
        return self.plan.enough is not None and will_do(self._hits(), self.plan.enough)

    def _hits(self) -> dict[str, int]:
        return hit_jobs(list(self.jobs.values()))  # a copy: jobs begin meanwhile

    # blows

    def _exchanging(self, flying: list[Flying]) -> list[Flying]:
        """Return those of these tasks that talk with the remote server about a submit or a download now."""
        found = exchanging(self.remote.journal, time.time())
        jobs = {(one.run_id, one.index): one for one in flying}
        talking = {
            where
            for where in jobs
            if where in self.jobs and (jobs[where].phase, self.jobs[where].tag) in found
        }
        return [one for one in flying if one.state == "running" and (one.run_id, one.index) in talking]

    def _prepare(
        self, blow: Blow, flying: list[Flying], chance: random.Random
    ) -> tuple[int | None, int | None]:
        """Return what :meth:`Arm.prepare` does, once the database can be asked."""
        found: list[tuple[int | None, int | None]] = []

        def prepared() -> bool:
            try:
                found.append(self.arm.prepare(blow, flying, chance))
            except psycopg2.OperationalError:
                return False
            return True

        wait_until(prepared, timeout=120, what="the database answers", every=0.5)
        return found[0]

    def strike(self, blow: Blow, chance: random.Random, before: list[Flying]) -> Struck:
        """Strike, wait, mend; and note which jobs it hit.

        :param before: what is in flight now.
        """
        job_id, pid = self._prepare(blow, before, chance)
        hit = {one for one in before if depends(one, blow.component, job_id, pid)}
        exchanged = len(self._exchanging(list(hit)))
        at = time.time()
        mend = self.arm.strike(blow, pid)
        try:
            until = time.monotonic() + blow.seconds
            while time.monotonic() < until:
                if blow.thing != "postgres":
                    hit |= {one for one in self.flying() if depends(one, blow.component, job_id, pid)}
                time.sleep(min(2.0, max(0.0, until - time.monotonic())))
        finally:
            mend()
        counted = note_hits(self.jobs, hit, blow.component)
        ours = sorted({(one.run_id, one.index) for one in hit} & set(self.jobs))
        struck = Struck(blow, at, dict(counted), ours, exchanged)
        self.struck.append(struck)
        told = ", ".join(f"{counted[phase]} {phase}" for phase in PHASES)
        self.say(f"{blow}: hit {told}; {exchanged} in mid-exchange")
        return struck

    def _hurt(self, blow: Blow, phases: tuple[Phase, ...] = PHASES) -> list[Flying]:
        """Return what is in flight, if this blow would now hit some of it in one of these phases."""
        flying = self.flying()
        if blow.thing in _IN_MID_EXCHANGE:
            talking = [one for one in self._exchanging(flying) if one.phase in phases]
            flying = flying if blow.thing == "worker" and talking else talking
        job_id, pid = self._prepare(blow, flying, random.Random(0))
        hit = any(one.phase in phases and depends(one, blow.component, job_id, pid) for one in flying)
        return flying if hit else []

    def strike_where_it_hurts(self, blow: Blow, phase: Phase, chance: random.Random) -> Struck:
        """Strike as soon as a job in this phase depends on it, with enough jobs in flight."""

        def hurt() -> list[Flying]:
            self._launch_more()
            return self._hurt(blow, (phase,))

        what = f"a job depends on {blow.component}"
        return self.strike(blow, chance, wait_until(hurt, timeout=240, what=what, every=0.3))

    def rage(self) -> None:
        """Strike at random until enough jobs were hit or the time is over; new jobs come as old ones go."""
        end = self._no_more_blows = time.monotonic() + 60 * self.plan.minutes
        with self._new_jobs(end - 60 * self.plan.minutes / 6) as look:
            while time.monotonic() < end and not self._enough():
                look()
                self._strike_next()
                self.say(f"  {len(self.jobs)} jobs, {self._unfinished()} in flight, hit {self._hits()}")

    def _strike_next(self) -> None:
        """Strike as soon as it hurts, or when it does not within ten seconds."""
        chance = random.Random(f"{self.plan.seed}/blow/{len(self.struck)}")
        blow = self._next_blow(chance)
        patience = time.monotonic() + 10
        while not (before := self._hurt(blow)) and time.monotonic() < patience:
            time.sleep(0.3)
        self.strike(blow, chance, before or self.flying())
        time.sleep(blow.pause)

    def _next_blow(self, chance: random.Random) -> Blow:
        if not self._round:
            self._round = round_of(self._rounds, self.plan.things, chance)
            self._rounds += 1
        thing, how = self._round.pop()
        return aim(thing, how, chance, self.airflow, frozen=self.plan.frozen, pause=self.plan.pause)

    @contextmanager
    def _new_jobs(self, until: float) -> Iterator[Callable[[], None]]:
        """Start jobs as old ones end, beside the blows; give what raises when that could not be done.

        :param until: the time on the monotonic clock after which none is started.
        """

        def until_stopped() -> None:
            while not self._ending.wait(1) and time.monotonic() < until and not self._will_do():
                self._launch_missing()

        with ThreadPoolExecutor(1, thread_name_prefix="new jobs") as pool:
            launching = pool.submit(until_stopped)

            def look() -> None:
                if launching.done():
                    launching.result()
                else:
                    self._wait_for_flights()

            try:
                yield look
            except BaseException:
                self._given_up.set()
                raise
            finally:
                self._ending.set()
        launching.result()

    def _launch_more(self) -> None:
        """Start runs until enough jobs are in flight, and see that some of them are."""
        self._launch_missing()
        self._wait_for_flights()

    def _launch_missing(self) -> None:
        """Start runs until enough jobs are in flight; not all at once, so that all phases have jobs."""
        most = self.plan.at_once
        while (
            not self._ending.is_set()
            and self._before_end_of("job.submit") < most / 4
            and self._unfinished() < most
        ):
            self.launch(KINDS[_TURNS[self._waves % len(_TURNS)]], max(2, most // 12))

    def _wait_for_flights(self) -> None:
        wait_until(
            lambda: len(self.flying()) >= self.plan.at_once // 6,
            timeout=600,
            what="jobs are in flight",
            every=1,
        )

    def drain(self) -> bool:
        """Wait until every job is over; False: not within the time."""
        started = time.monotonic()
        end = max(started, self._no_more_blows) + 60 * self.plan.drain
        while (left := self._unfinished()) and time.monotonic() < end:
            time.sleep(2)
        minutes = (time.monotonic() - started) / 60
        self.say(f"{left} jobs are not over {minutes:.1f} minutes after the last blow")
        return left == 0

    def verdict(self) -> list[Fate]:
        """Compare the ledger with Airflow."""
        return judge(self.airflow, self.remote.journal, self.jobs.values())

    def report(self, fates: list[Fate]) -> str:
        """Write the JSON report, and return the table for people."""
        path = self.home / f"report-{self.plan.seed}.json"
        content = {
            "plan": asdict(self.plan),
            "hit": self._hits(),
            "started again": dict(self.arm.started_again),
            "blows": [asdict(struck) for struck in self.struck],
            "jobs": [fate.to_dict() for fate in fates],
        }
        path.write_text(json.dumps(content, indent=1))
        again = f"python -m tests.crash --seed {self.plan.seed}"
        if set(self.plan.things) != set(THINGS):
            again += "".join(f" --only {thing}" for thing in self.plan.things)
        return f"{table(fates, self.plan.things)}\nseed {self.plan.seed}: {again}\nreport: {path}"


@contextmanager
def storm(plan: Plan, home: Path, say: Callable[[str], None] = print) -> Iterator[Storm]:
    """Start everything, and end it."""
    with Storm(plan, home, say) as running:
        yield running
