"""A selection of the crash suite: one engine, jobs in flight all the time, blow after blow, one verdict.

``make crash`` is the whole of it. Here every blow waits until it hurts at least one job.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from airflow_asyncjob.testing.distributed import CannotBack
from tests.crash.blows import THINGS, Blow
from tests.crash.jobs import Phase
from tests.crash.storm import Plan, Storm, Struck
from tests.crash.verdict import Fate

pytestmark = [pytest.mark.airflow, pytest.mark.busy, pytest.mark.timeout(3600)]

SEED = 20_261_122
SCENARIOS: list[tuple[Blow, Phase]] = [
    (Blow("task", "task", "kill", 0, 0), "submit"),
    (Blow("network", "network", "refuse", 5, 0), "submit"),
    (Blow("postgres", "postgres", "kill", 2, 0), "wait"),
    (Blow("network", "network", "reset", 4, 0), "download"),
    (Blow("supervisor", "supervisor", "kill", 0, 0), "submit"),
    (Blow("remote", "remote", "kill", 4, 0), "wait"),
    (Blow("task", "task", "kill", 0, 0), "download"),
    (Blow("worker", "worker-1", "kill", 1, 0), "submit"),
    (Blow("triggerer", "triggerer-1", "kill", 1, 0), "wait"),
    (Blow("api-server", "api-server", "kill", 2, 0), "download"),
    (Blow("scheduler", "scheduler-1", "kill", 1, 0), "submit"),
    (Blow("supervisor", "supervisor", "kill", 0, 0), "download"),
    (Blow("redis", "redis", "empty", 1, 0), "submit"),
    (Blow("postgres", "postgres", "freeze", 5, 0), "download"),
    (Blow("remote", "remote", "freeze", 5, 0), "submit"),
    (Blow("network", "network", "blackhole", 5, 0), "download"),
    (Blow("triggerer", "triggerer-2", "freeze", 25, 0), "wait"),
]
"""What is struck, and the phase that a job must be in when it is."""


def named(scenario: tuple[Blow, Phase]) -> str:
    return f"{scenario[0].how} {scenario[0].component} in {scenario[1]}"


@pytest.fixture(scope="module")
def struck_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Struck], list[Fate]]]:
    """Give, for each blow, what it hit, and what became of every job.

    Skipped where PostgreSQL or Redis is not installed, but in CI that is an error.
    """
    plan = Plan(
        SEED,
        tuple(THINGS),
        enough=None,
        at_once=16,
        drain=20,
        concurrency=4,
        slowness=6.0,
        bytes_per_second=30_000,
        longest=20.0,
    )
    try:
        storm = Storm(plan, tmp_path_factory.mktemp("crash"), print)
    except CannotBack as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(problem))
    with storm:
        struck = {
            named((blow, phase)): storm.strike_where_it_hurts(blow, phase, random.Random(SEED))
            for blow, phase in SCENARIOS
        }
        storm.drain()
        fates = storm.verdict()
        print(storm.report(fates))
        yield struck, fates


@pytest.mark.parametrize("scenario", SCENARIOS, ids=named)
def test_what_it_hit_is_neither_lost_nor_doubled(
    scenario: tuple[Blow, Phase], struck_engine: tuple[dict[str, Struck], list[Fate]]
) -> None:
    struck, fates = struck_engine
    blow = struck[named(scenario)]
    assert blow.hits[scenario[1]] > 0
    hit = [fate for fate in fates if (fate.job.run_id, fate.job.index) in blow.jobs]
    assert hit
    assert [fate.to_dict() for fate in hit if set(fate.problems) - {"unsure"}] == []


def test_a_job_that_nothing_hit_is_well_too(
    struck_engine: tuple[dict[str, Struck], list[Fate]],
) -> None:
    _, fates = struck_engine
    assert [fate.to_dict() for fate in fates if set(fate.problems) - {"unsure"}] == []


def test_a_job_is_unsure_only_where_the_api_has_neither_key_nor_list(
    struck_engine: tuple[dict[str, Struck], list[Fate]],
) -> None:
    _, fates = struck_engine
    assert {fate.job.kind for fate in fates if "unsure" in fate.problems} <= {"neither"}
    assert {fate.accepted for fate in fates if fate.job.kind != "neither"} == {1}
