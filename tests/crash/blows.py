"""What the crash suite does to the things that jobs depend on, and how it mends them as an operator would."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from airflow_asyncjob.testing.distributed import DistributedAirflow
from airflow_asyncjob.testing.processes import ProcessFamily, free_port
from tests.crash.jobs import Flying
from tests.crash.network import Network

ROOT = Path(__file__).parents[2]
How = Literal["kill", "empty", "freeze", "refuse", "blackhole", "reset"]

THINGS: dict[str, tuple[How, ...]] = {
    "task": ("kill",),
    "supervisor": ("kill",),
    "worker": ("kill", "freeze"),
    "triggerer": ("kill", "freeze"),
    "scheduler": ("kill", "freeze"),
    "api-server": ("kill", "freeze"),
    "postgres": ("kill", "freeze"),
    "redis": ("kill", "empty", "freeze"),
    "remote": ("kill", "freeze"),
    "network": ("refuse", "blackhole", "reset"),
}
"""What is struck, and how. ``task``: the process of one task; ``supervisor``: the process that watches over
it, whose task runs on as an orphan beside its own retry. ``empty``: killed, it comes back and knows nothing.
"""
RARE = ("freeze", "empty")
"""They hold up so many jobs for so long that each of them comes in one of four rounds only."""
ONE_TASK = ("task", "supervisor")


@dataclass(frozen=True)
class Blow:
    """One blow.

    :param component: which of several; for ``task`` and ``supervisor`` it is chosen when it is struck.
    :param seconds: how long it stays down, or is frozen or cut; 0 for one task, which has its own retry.
    :param pause: seconds of peace after it was mended.
    """

    thing: str
    component: str
    how: How
    seconds: float
    pause: float

    def __str__(self) -> str:
        return f"{self.how} {self.component}" + (f" for {self.seconds:.0f} s" if self.seconds else "")


def round_of(number: int, things: Iterable[str], chance: random.Random) -> list[tuple[str, How]]:
    """Return everything that can be struck, in each way that is not rare, once; the last is struck first.

    In the first round what is rare comes at the end: before that no job has come to its download.
    """
    ways = [(thing, how) for thing in things for how in THINGS[thing]]
    rare = [way for way in ways if way[1] in RARE]
    ways = [way for way in ways if way not in rare or rare.index(way) % 4 == number % 4]
    chance.shuffle(ways)
    if number == 0:
        ways.sort(key=lambda way: way not in rare)
    return ways


def aim(
    thing: str, how: How, chance: random.Random, airflow: DistributedAirflow, *, frozen: float, pause: float
) -> Blow:
    """Choose which of several it strikes, and for how long.

    :param frozen: seconds of a freeze.
    :param pause: seconds of peace after it, at most.
    """
    several = sorted(name for name in airflow.components if name.rpartition("-")[0] == thing)
    component = chance.choice(several) if several else thing
    seconds = frozen if how == "freeze" else chance.uniform(1, 8) if thing not in ONE_TASK else 0.0
    return Blow(thing, component, how, seconds, chance.uniform(0.25, 1) * pause)


class Remote:
    """The remote server's process, and the network to it."""

    def __init__(self, folder: Path, *, slowness: float, bytes_per_second: int) -> None:
        self.journal = folder / "journal.jsonl"
        self.port = free_port()
        self.slowness = slowness
        self.network = Network(free_port(), self.port, bytes_per_second=bytes_per_second)
        self.processes = ProcessFamily(folder)

    @property
    def connection(self) -> dict[str, object]:
        """The Airflow connection to it, through the network."""
        return {
            "conn_type": "http",
            "host": f"http://127.0.0.1:{self.network.port}",
            "extra": {"timeout": 15},
        }

    def start(self) -> None:
        options = ["--port", str(self.port), "--journal", self.journal, "--slowness", str(self.slowness)]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.crash.remote", *options]
        self.processes.start("remote", command, env=env, cwd=ROOT)
        self.processes.wait_ready("remote", self._answers, timeout=300)

    def _answers(self) -> bool:
        import socket

        with socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True


class Arm:
    """Strikes and mends; a context manager.

    Meanwhile a thread does what the supervisor of a deployment does: it starts again what has ended, be it
    that it was struck, or that it gave up because of something else that was.
    """

    def __init__(self, airflow: DistributedAirflow, remote: Remote) -> None:
        self.airflow = airflow
        self.remote = remote
        self.started_again: Counter[str] = Counter()
        self._held: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)

    def __enter__(self) -> Arm:
        self._supervisor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._supervisor.join()

    def _supervise(self) -> None:
        while not self._stop.wait(0.5):
            for name in (*self.airflow.backing, *self.airflow.components):
                with self._lock:
                    if name not in self._held and not self.airflow.processes.alive(name):
                        self.started_again[name] += 1
                        self.airflow.kill(name)  # what a dead first process left behind
                        self.airflow.launch(name)

    def prepare(
        self, blow: Blow, flying: list[Flying], chance: random.Random
    ) -> tuple[int | None, int | None]:
        """Return Airflow's job ID of what will be struck, or the process ID of the task that will be."""
        if blow.thing in ("triggerer", "scheduler"):
            return self.airflow.job_id(blow.component), None
        if blow.thing in ONE_TASK:
            running = sorted(one.pid for one in flying if one.state == "running" and one.pid)
            alive = [pid for pid in running if psutil.pid_exists(pid)]
            return None, chance.choice(alive) if alive else None
        return None, None

    def strike(self, blow: Blow, pid: int | None) -> Callable[[], None]:
        """Do it, and return what mends it."""
        if blow.thing in ONE_TASK:
            _kill_task(pid, supervisor=blow.thing == "supervisor")
            return lambda: None
        if blow.thing == "network":
            assert blow.how in ("refuse", "blackhole", "reset")
            self.remote.network.be(blow.how)
            return lambda: self.remote.network.be("open")
        if blow.thing == "remote":
            number = signal.SIGKILL if blow.how == "kill" else signal.SIGSTOP
            self.remote.processes.kill("remote", number)
            if blow.how == "kill":
                return self.remote.start
            return lambda: self.remote.processes.kill("remote", signal.SIGCONT)
        if blow.how == "freeze":
            self.airflow.freeze(blow.component)
            return lambda: self.airflow.thaw(blow.component)
        with self._lock:
            self._held.add(blow.component)
            if self.airflow.processes.alive(blow.component):
                self.airflow.kill(blow.component)
            if blow.how == "empty":
                self.airflow.redis.forget()
        return lambda: self._held.discard(blow.component)


def _kill_task(pid: int | None, *, supervisor: bool) -> None:
    if pid is None:
        return
    try:
        victim = psutil.Process(pid)
        (victim.parent() or victim).kill() if supervisor else victim.kill()
    except psutil.NoSuchProcess:
        time.sleep(0)
