"""The course of the polls, for a picture: bounded, and thinned where nothing happens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_asyncjob.panel.sizes import cut

__all__ = ["POLLS", "poll_of", "thinned"]

POLLS = 200
_STATUS_BYTES = 60

Poll = list[Any]
"""``[epoch, raw status or null, state, code or 0]``; the state may also be ``unknown`` or ``error``."""


def poll_of(at: float, raw_status: Any, state: str, code: int | None) -> Poll:
    """Return one poll."""
    return [round(at, 3), cut(raw_status, _STATUS_BYTES), state, code or 0]


def thinned(polls: Iterable[Poll]) -> list[Poll]:
    """Return at most ``POLLS`` of them, in the order of time.

    Of those that saw what their neighbours saw, every second one goes first, from the oldest on.
    """
    kept = sorted(polls, key=lambda poll: float(poll[0]))
    while len(kept) > POLLS:
        dull = [n for n in range(1, len(kept) - 1) if _seen(kept[n - 1 : n + 2]) == 1]
        if not dull:
            return kept[-POLLS:]
        gone = set(dull[::2][: max(len(kept) - POLLS, 1)])
        kept = [poll for number, poll in enumerate(kept) if number not in gone]
    return kept


def _seen(polls: list[Poll]) -> int:
    return len({repr(poll[1:]) for poll in polls})
