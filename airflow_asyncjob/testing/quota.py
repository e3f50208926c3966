"""How often an operation of a fake API may be called: a bucket of requests that fills again by itself."""

from __future__ import annotations

import threading
from dataclasses import dataclass

__all__ = ["Quota", "UsagePlan"]


@dataclass(frozen=True)
class UsagePlan:
    """How often one operation may be called.

    :param rate: requests a second that come back into the bucket.
    :param burst: requests that the full bucket holds.
    """

    rate: float
    burst: int


class Quota:
    """One bucket for each operation, as in the token bucket algorithm. Thread-safe."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, operation: str, plan: UsagePlan, now: float) -> float | None:
        """Count one request; None: it may pass.

        :param now: seconds since the epoch.
        :returns: seconds until the next may pass, where this one may not.
        """
        with self._lock:
            left, since = self._buckets.get(operation, (float(plan.burst), now))
            left = min(plan.burst, left + (now - since) * plan.rate)
            allowed = left >= 1
            self._buckets[operation] = (left - 1 if allowed else left, now)
        return None if allowed else (1 - left) / plan.rate
