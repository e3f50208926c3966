"""The crash suite, ``python -m tests.crash``. Exit code 0: nothing lost, doubled, wrong; histories hold."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_asyncjob.testing.processes import ProcessFamily, wait_until
from tests.crash.blows import ROOT, THINGS
from tests.crash.storm import Plan, Storm
from tests.crash.verdict import hit_jobs

MINUTES = 39.5
"""For the storm and the histories, from the start of both: they are less than 40 with what comes before."""
_FATAL = ("lost", "doubled", "wrong", "left running")


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    seed = given.seed if given.seed is not None else random.randrange(10**6)
    plan = Plan(
        seed=seed,
        things=tuple(given.only or THINGS),
        enough=given.jobs,
        minutes=given.minutes,
        frozen=given.frozen,
        at_once=given.at_once,
        concurrency=given.concurrency,
    )
    home = given.home / "engine"
    shutil.rmtree(home, ignore_errors=True)
    started = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {line}", flush=True)

    say(f"seed {seed}")
    with telling(given.histories, MINUTES, home) as told:
        failed = _storm(plan, home, say)
        if given.histories:
            say("waiting for the histories")
        return told() or failed


def _storm(plan: Plan, home: Path, say: Callable[[str], None]) -> int:
    """Return the exit code: 1 for what is lost, doubled or wrong, 3 for too few hits, 4 for too much time."""
    try:
        with limited(plan.limit), Storm(plan, home, say) as storm:
            storm.rage()
            say("the storm is over; waiting for the jobs that are in flight")
            ended = storm.drain()
            fates = storm.verdict()
            print(storm.report(fates), flush=True)
    except TimeLimit as problem:
        print(f"{problem}; what was going on is in {home}", flush=True)
        return 4
    bad = [fate for fate in fates if set(fate.problems) & set(_FATAL)]
    for fate in bad:
        print(f"  {fate.to_dict()}")
    reached = min(hit_jobs(fate.job for fate in fates).values())
    if plan.enough is not None and reached < plan.enough:
        print(f"only {reached} jobs were hit in one of the phases, not {plan.enough}")
        return 3
    return 0 if ended and not bad else 1


@contextmanager
def telling(histories: int, minutes: float, folder: Path) -> Iterator[Callable[[], int]]:
    """Tell random histories meanwhile, with what the storm leaves of the processors.

    :param histories: how many; 0: none.
    :param minutes: that they may take.
    :param folder: for their output.
    :returns: what waits for them, prints what came of them, and returns their exit code.
    """
    family = ProcessFamily(folder)
    if histories:
        command = [sys.executable, "-m", "tests.protocol.simulation", "--background"]
        family.start(
            "histories", [*command, "--histories", str(histories), "--minutes", str(minutes)], cwd=ROOT
        )

    def told() -> int:
        if not histories:
            return 0
        wait_until(
            # It ends by itself after its minutes, and may finish what each process has begun.
            lambda: not family.alive("histories"),
            timeout=60 * minutes + 60,
            what="the histories are told",
        )
        print(family.log("histories").read_text(), end="", flush=True)
        code = family.exit_code("histories")
        assert code is not None
        return code

    try:
        yield told
    finally:
        family.stop()


class TimeLimit(Exception):
    """It took longer than it may."""


@contextmanager
def limited(minutes: float) -> Iterator[None]:
    """Interrupt whatever this process does when it takes longer.

    :raises TimeLimit: it did.
    """

    def over(*_: object) -> None:
        raise TimeLimit(f"not over after {minutes:g} minutes")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, 60 * minutes)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument(
        "--seed", type=int, help="of an earlier storm: the same blows and jobs; default: by chance"
    )
    parser.add_argument(
        "--jobs", type=int, default=Plan.enough, help="jobs to hit in each phase (default: %(default)s)"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=Plan.minutes,
        help="after these no blow begins (default: %(default)g)",
    )
    parser.add_argument(
        "--only", action="append", choices=list(THINGS), help="strike this alone; may be repeated"
    )
    parser.add_argument(
        "--frozen", type=float, default=Plan.frozen, help="seconds of a freeze (default: %(default)g)"
    )
    parser.add_argument(
        "--at-once", type=int, default=Plan.at_once, help="jobs in flight, about (default: %(default)s)"
    )
    parser.add_argument(
        "--concurrency",
        type=int,
        default=Plan.concurrency,
        help="tasks of one worker at a time (default: %(default)s)",
    )
    parser.add_argument(
        "--histories",
        type=int,
        default=0,
        help="random histories to tell meanwhile, with what the storm leaves of the processors "
        "(default: none)",
    )
    parser.add_argument("--home", type=Path, default=ROOT / ".crash", help="default: .crash")
    return parser


if __name__ == "__main__":
    sys.exit(main())
