"""FakeClock stands still until it is moved."""

from __future__ import annotations

import pytest

from airflow_asyncjob.testing import FakeClock
from airflow_asyncjob.transport.driver import sleep_until


def test_it_stands_still_until_it_is_moved() -> None:
    clock = FakeClock(1000.0)
    assert (clock.time(), clock.time()) == (1000.0, 1000.0)
    assert clock.advance(2.5) == 1002.5
    clock.sleep(0.5)
    assert clock.time() == 1003.0


def test_it_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match=r"forward only; advance\(-1\)"):
        FakeClock().advance(-1)


def test_it_stands_in_for_the_clock_and_the_sleep_of_the_driver() -> None:
    clock = FakeClock(0.0)
    sleep_until(86_400.0, clock=clock.time, sleep=clock.sleep)
    assert clock.time() == 86_400.0
