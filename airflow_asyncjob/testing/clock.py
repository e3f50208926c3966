"""Clocks: the real one, and one that a test moves by hand."""

from __future__ import annotations

import threading
import time
from typing import Protocol

__all__ = ["Clock", "FakeClock", "SystemClock"]


class Clock(Protocol):
    """What the fake servers ask for the time."""

    def time(self) -> float:
        """Return the seconds since the epoch (UTC)."""
        ...


class SystemClock:
    """The clock of this machine."""

    def time(self) -> float:
        """Return the seconds since the epoch (UTC)."""
        return time.time()


class FakeClock:
    """A clock that stands still until it is moved. Safe to share between threads.

    Nothing ever waits for it: :meth:`sleep` moves the clock and returns at once.

    :param start: seconds since the epoch; default 2026-01-01 00:00:00 UTC.
    """

    def __init__(self, start: float = 1_767_225_600.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def time(self) -> float:
        """Return the seconds since the epoch (UTC)."""
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> float:
        """Move the clock forward and return the new time.

        :param seconds: how far, 0 or more.
        :raises ValueError: ``seconds`` is negative; time does not run backwards.
        """
        if seconds < 0:
            raise ValueError(f"a clock is moved forward only; advance({seconds!r}) would move it back")
        with self._lock:
            self._now += seconds
            return self._now

    def sleep(self, seconds: float) -> None:
        """Move the clock forward instead of waiting, for code that takes a sleep function."""
        self.advance(seconds)
