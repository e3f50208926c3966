"""``python -m tests.crash``: the crash suite. Exit code 0: nothing lost, doubled or wrong."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.crash.blows import ROOT, THINGS
from tests.crash.storm import Plan, Storm

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
    reached = min(
        sum(1 for fate in fates if fate.job.hits[phase]) for phase in ("submit", "wait", "download")
    )
    if given.jobs is not None and reached < given.jobs:
        print(f"only {reached} jobs were hit in one of the phases, not {given.jobs}")
        return 3
    return 0 if ended and not bad else 1


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
    parser.add_argument("--home", type=Path, default=ROOT / ".crash", help="default: .crash")
    return parser


if __name__ == "__main__":
    sys.exit(main())
