"""What became of the records that uploads brought: each accepted, or refused with its reason."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["Records", "Refused"]


@dataclass(frozen=True)
class Refused:
    """One record that the API refused.

    :param job_id: the job that brought it.
    :param number: its number in that job, from 1.
    :param key: what identifies it, such as its e-mail address; None when it has none.
    :param reason: why, in the API's words.
    """

    job_id: str
    number: int
    key: str | None
    reason: str


class Records:
    """Thread-safe account of records. Of an accepted one it keeps the key, of a refused one all."""

    def __init__(self) -> None:
        self._accepted: dict[str, list[str]] = {}
        self._refused: dict[str, list[Refused]] = {}
        self._lock = threading.Lock()

    def add(self, job_id: str, accepted: Iterable[str], refused: Iterable[Refused]) -> None:
        """Account for the records of a job.

        :param accepted: their keys.
        """
        with self._lock:
            self._accepted.setdefault(job_id, []).extend(accepted)
            self._refused.setdefault(job_id, []).extend(refused)

    def accepted(self, job_id: str | None = None) -> list[str]:
        """Return the keys of the accepted records, in their order.

        :param job_id: only those of this job; None: all.
        """
        with self._lock:
            return [key for job, keys in self._accepted.items() if job_id in (None, job) for key in keys]

    def refused(self, job_id: str | None = None) -> list[Refused]:
        """Return the refused records, in their order.

        :param job_id: only those of this job; None: all.
        """
        with self._lock:
            return [one for job, found in self._refused.items() if job_id in (None, job) for one in found]

    def counts(self, job_id: str | None = None) -> dict[str, Any]:
        """Return how many are ``received``, ``accepted``, ``refused``, and ``reasons`` (reason: number).

        :param job_id: only those of this job; None: all.
        """
        refused = self.refused(job_id)
        with self._lock:
            accepted = sum(len(keys) for job, keys in self._accepted.items() if job_id in (None, job))
        return {
            "received": accepted + len(refused),
            "accepted": accepted,
            "refused": len(refused),
            "reasons": dict(Counter(one.reason for one in refused)),
        }
