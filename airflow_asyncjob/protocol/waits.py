"""Every wait: between polls, before a repeat, and what Retry-After asks for. All in seconds, none random."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from airflow_asyncjob.definition.models.status import Status
from airflow_asyncjob.protocol.times import http_date

__all__ = ["LONGEST_BACKOFF", "LONGEST_GROWTH", "backoff", "poll_wait", "retry_after", "spread"]

LONGEST_GROWTH = 600.0
"""Up to here waits grow when the definition has no ``longest_wait``, in seconds."""
LONGEST_BACKOFF = 60.0
"""Up to here waits before a repeat grow, in seconds."""
_FIRST_BACKOFF = 1.0
_BACKOFF_SPREAD = 0.1
_LONGEST_RETRY_AFTER = 100 * 365 * 86400.0


def spread(seed: str) -> float:
    """Return a number in [0, 1), always the same for a text, so that jobs with their own keys wait apart."""
    return int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=6).digest()) / 2**48


def poll_wait(status: Status, looks: int, seed: str) -> float:
    """Return the seconds between the poll number ``looks`` (from 1) and the next one.

    ``min(poll_wait * growth ** (looks - 1), longest_wait) * (1 + jitter * spread)``: jitter only adds, so
    that no wait is below the configured one.
    """
    longest = max(LONGEST_GROWTH, status.poll_wait) if status.longest_wait is None else status.longest_wait
    try:
        wait = min(status.poll_wait * status.growth ** max(looks - 1, 0), longest)
    except OverflowError:
        wait = longest
    return wait * (1 + status.jitter * spread(f"{seed}/poll/{looks}"))


def backoff(tries: int, seed: str) -> float:
    """Return the seconds before a repeat: 1, 2, 4 ... 60 and up to 10 % more.

    :param tries: how many failed in a row, from 1.
    """
    wait = min(_FIRST_BACKOFF * 2.0 ** min(max(tries, 1) - 1, 30), LONGEST_BACKOFF)
    return wait * (1 + _BACKOFF_SPREAD * spread(f"{seed}/repeat/{tries}"))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return how many seconds an answer asks to wait; None when it does not say, or says it unreadably.

    Seconds or an HTTP date (RFC 9110, 10.2.3). A date is counted from the answer's own ``Date`` where there
    is one, so that a clock that differs from the API's does no harm. A date in the past is 0. The caller
    bounds it: an API may well ask for years.

    :param headers: names in lower case.
    :param now: seconds since the epoch.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return min(float(text[:18]), _LONGEST_RETRY_AFTER)
    until = http_date(text)
    if until is None:
        return None
    sent_at = http_date(headers.get("date", ""))
    return min(max(0.0, until - (now if sent_at is None else sent_at)), _LONGEST_RETRY_AFTER)
