"""How many events a process takes: a token bucket for each connection, so that one floods no other."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict

__all__ = ["Floods"]


class Floods:
    """Token buckets by name, of a bounded number.

    :param rate: requests a second that are taken for good.
    :param burst: how many may come at once.
    :param most_names: buckets that are kept; of those beyond, the one longest unused is full again.
    """

    def __init__(self, rate: float, burst: int, *, most_names: int = 1000) -> None:
        self._rate = rate
        self._burst = burst
        self._most = most_names
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, name: str, now: float) -> int:
        """Take one request; return 0, or the whole seconds after which it may come again: it is refused.

        :param now: seconds of a clock that is never set back.
        """
        with self._lock:
            left, at = self._buckets.pop(name, (float(self._burst), now))
            left = min(float(self._burst), left + max(now - at, 0.0) * self._rate)
            refused = left < 1
            self._buckets[name] = (left if refused else left - 1, now)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
            return max(1, math.ceil((1 - left) / self._rate)) if refused else 0
