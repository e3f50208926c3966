"""Run random histories against the protocol, or tell one of them as a story.

    python -m tests.protocol.simulation                          100,000 histories, on all cores
    python -m tests.protocol.simulation --seed 4711              one history, told command by command
    python -m tests.protocol.simulation --histories 1000000      as `make crash` does
    python -m tests.protocol.simulation --histories 1000 --seed 5000 --processes 1

A failing history prints its seed. The same seed is the same history, as long as the code is the same.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import gc
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from airflow_asyncjob.protocol import Goal
from tests.protocol.history import Broken, History
from tests.protocol.plans import described

HISTORIES = 100_000
_CHUNK = 1000
_SHOWN = 20


@dataclass
class Tally:
    """What came of many histories.

    :param kinds: for each kind of API, what came of its histories (see :data:`_COLUMNS`).
    :param ends: how they ended, by state or error.
    :param broken: seed and what did not hold, for the histories in which something did not.
    """

    histories: int = 0
    commands: int = 0
    crashes: int = 0
    kinds: dict[str, collections.Counter[str]] = field(default_factory=dict)
    ends: collections.Counter[str] = field(default_factory=collections.Counter)
    broken: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.histories += other.histories
        self.commands += other.commands
        self.crashes += other.crashes
        self.ends.update(other.ends)
        for kind, counted in other.kinds.items():
            self.kinds.setdefault(kind, collections.Counter()).update(counted)
        self.broken.extend(other.broken)


def run_chunk(seeds: range) -> Tally:
    """Run the histories of these seeds."""
    gc.freeze()
    gc.disable()  # A history is small, and gone before the next: collecting costs a tenth of the time.
    tally = Tally()
    for seed in seeds:
        history = History(seed)
        broken_before = len(tally.broken)
        try:
            history.run()
        except Broken as broken:
            tally.broken.append((seed, str(broken)))
        except Exception as error:  # a history that stops the machine is what is looked for
            tally.broken.append((seed, repr(error)))
        tally.histories += 1
        tally.commands += history.commands
        tally.crashes += history.crashes
        tally.ends[_end(history)] += 1
        counted = tally.kinds.setdefault(_kind(history), collections.Counter())
        counted["histories"] += 1
        counted["crashes"] += history.crashes
        counted["jobs"] += len(history.api.jobs)
        counted["looks"] += history.api.looks
        counted["risks"] += history.risks > 0
        counted["twice"] += len(history.api.jobs) > 1
        counted["broken"] += len(tally.broken) - broken_before
    gc.enable()
    gc.collect()
    return tally


_COLUMNS = ("histories", "crashes", "jobs", "looks", "risks", "twice", "broken")


def _kind(history: History) -> str:
    """Return what the API of a history has against a second job."""
    submit = history.plan.definition.submit
    assert submit is not None
    steps = ", by steps" if submit.steps else ""
    if history.plan.keyed:
        return f"a key{steps}"
    return f"a list{steps}" if history.plan.listed else f"neither, on_uncertain: {submit.on_uncertain}{steps}"


def _end(history: History) -> str:
    finish = history.finish
    if finish is None:
        return "not at all"
    look = "target " if history.goal is Goal.TARGET else ""
    if finish.outcome is not None:
        return look + finish.outcome.state
    return "submitted" if finish.error is None else look + type(finish.error).__name__


def run_all(histories: int, first: int = 0, cores: int | None = None, seconds: float | None = None) -> Tally:
    """Run many histories on all cores.

    :param first: the first seed; the others follow.
    :param seconds: that it may take; None: as long as it does.
    :raises BrokenProcessPool: one of the processes was killed, by the system for want of memory, say.
    :raises TimeoutError: it took longer than it may.
    """
    tally = Tally()
    chunks = [
        range(start, min(start + _CHUNK, first + histories))
        for start in range(first, first + histories, _CHUNK)
    ]
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores or os.cpu_count(), mp_context=fresh) as pool:
        running = [pool.submit(run_chunk, chunk) for chunk in chunks]
        try:
            for done in as_completed(running, timeout=seconds):
                tally.add(done.result())
        finally:
            for chunk_run in running:
                chunk_run.cancel()
    tally.broken.sort()
    return tally


def stand_back() -> None:
    """Take only what others leave of the processors, from now on, with all processes that are started."""
    os.nice(19)
    if os.getsid(0) == os.getpid():
        # Linux may weigh each session as a whole, whatever the niceness in it: "autogroup" in sched(7).
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text("19")


def report(tally: Tally, seconds: float) -> str:
    """Return what came of it, with the command that tells each failing history."""
    lines = [
        f"{tally.histories} histories, {tally.commands} commands, {tally.crashes} crashes in {seconds:.1f} s",
        f"{'the API has':<42}" + "".join(f"{name:>11}" for name in _COLUMNS),
        *(
            f"{kind:<42}" + "".join(f"{counted[name]:>11,}" for name in _COLUMNS)
            for kind, counted in sorted(tally.kinds.items())
        ),
        "ends: " + ", ".join(f"{name} {count}" for name, count in tally.ends.most_common()),
    ]
    for seed, what in tally.broken[:_SHOWN]:
        lines.append(f"seed {seed}: {what}")
        lines.append(f"    python -m tests.protocol.simulation --seed {seed}")
    if tally.broken:
        lines.append(f"{len(tally.broken)} histories failed")
    return "\n".join(lines)


def tell(seed: int) -> int:
    """Run one history and print what happens; return the exit code."""
    history = History(seed, print)
    print(f"seed {seed}: {described(history.plan, history.api)}")
    try:
        history.run()
    except Broken as broken:
        print(f"DOES NOT HOLD: {broken}")
        return 1
    print(f"All held; the history ended as {_end(history)}.")
    return 0


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="Random histories of faults and crashes, on a fake clock.")
    parser.add_argument("--seed", type=int, help="tell this history as a story; with --histories: the first")
    parser.add_argument("--histories", type=int, help=f"how many ({HISTORIES:,})")
    parser.add_argument("--processes", type=int, default=None, help="one for each core")
    parser.add_argument("--minutes", type=float, help="it fails when it takes longer")
    parser.add_argument("--background", action="store_true", help="with what others leave of the processors")
    given = parser.parse_args()
    if given.background:
        stand_back()
    if given.seed is not None and given.histories is None:
        return tell(given.seed)
    started = time.monotonic()
    try:
        seconds = None if given.minutes is None else 60 * given.minutes
        tally = run_all(given.histories or HISTORIES, given.seed or 0, given.processes, seconds)
    except BrokenProcessPool:
        sys.exit("One of the processes was killed, so the histories are not all told. Out of memory?")
    except TimeoutError:
        sys.exit(f"The histories are not all told after {given.minutes:g} minutes.")
    print(report(tally, time.monotonic() - started))
    return 1 if tally.broken else 0


if __name__ == "__main__":
    sys.exit(main())
