"""Times as APIs write them, as seconds since the epoch, and back for people."""

from __future__ import annotations

import datetime
from email.utils import parsedate_to_datetime
from typing import Any

__all__ = ["http_date", "moment", "read_time"]

_MILLISECONDS_FROM = 1e11
"""As seconds, this is the year 5138; as milliseconds, 1973."""


def moment(time: float) -> str:
    """Return a time for people, in UTC."""
    return datetime.datetime.fromtimestamp(time, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def http_date(text: str) -> float | None:
    """Return a date of HTTP (RFC 9110, 5.6.7) as seconds since the epoch; None when it is none."""
    try:
        return _seconds(parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def read_time(value: Any) -> float | None:
    """Return a time of an API as seconds since the epoch; None when it is none.

    ISO 8601 (UTC where it names no zone), a date of HTTP, or seconds or milliseconds since the epoch, also as
    text.
    """
    if isinstance(value, str):
        text = value.strip()
        try:
            value = float(text)
        except ValueError:
            return _written_time(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e15:
        return None
    return value / 1000 if value >= _MILLISECONDS_FROM else float(value)


def _written_time(text: str) -> float | None:
    try:
        return _seconds(datetime.datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return http_date(text)


def _seconds(when: datetime.datetime) -> float:
    return (when if when.tzinfo else when.replace(tzinfo=datetime.UTC)).timestamp()
