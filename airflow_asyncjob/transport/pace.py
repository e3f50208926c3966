"""The pace of requests (``limits.requests_per_second``), over all that this process sends to one origin.

A triggerer is one process with all its waiting jobs, whichever DAG they are of; a task is a process of its
own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from airflow_asyncjob.transport.address import Origin

__all__ = ["LONG_PAUSE", "Pace", "pause_before"]

LONG_PAUSE = 5.0
"""Seconds from which on a pause is told in the log."""


class Pace:
    """When the requests to one origin may go out. Thread-safe, and used by event loops and threads alike.

    Each request takes the next free moment, in the order of asking; those of a definition with a lower rate
    keep a greater distance from the request before them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = float("-inf")

    def take(self, rate: float, now: float) -> float:
        """Take the next moment, and return the seconds until then.

        :param rate: requests a second.
        :param now: seconds on a clock that is never set, such as ``time.monotonic``.
        """
        with self._lock:
            self._taken = max(now, self._taken + 1 / rate)
            return self._taken - now


_paces: dict[Origin, Pace] = {}
_lock = threading.Lock()


def pause_before(origin: Origin, rate: float, *, clock: Callable[[], float] = time.monotonic) -> float:
    """Return the seconds that a request to this origin has to wait from now on; its turn is taken.

    :param rate: requests a second.
    """
    with _lock:
        pace = _paces.setdefault(origin, Pace())
    return pace.take(rate, clock())
