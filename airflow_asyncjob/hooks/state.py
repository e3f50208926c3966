"""What a task keeps in Airflow's task state store, and how a clear is told from a retry.

The store's key is (dag run, task, map index, name): it is shared by all tries and survives a retry, a
killed worker, a deferral, a reschedule, and a user's clear of a finished task. So every record says for
which wish it was written: a clear moves ``max_tries``, a retry does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_asyncjob.errors import CheckpointError

__all__ = ["FOR_MARK", "WAIT", "Found", "Wish", "data_of", "key_of", "load", "save"]

WAIT = "wait"
"""Record of a waiting task: how far its job is."""
FOR_MARK = "mark"
"""Record of a waiting task: what a cancel of its job needs besides."""
_VERSION = 1
_PREFIX = "asyncjob."


@dataclass(frozen=True)
class Wish:
    """What tells a user's clear from a retry.

    :param max_tries: Airflow's; a clear sets it to ``try_number + retries``, a retry leaves it.
    :param retries: of the task, as it is now. When it was changed between two runs, ``max_tries`` may be
        equal by accident.
    """

    max_tries: int
    retries: int

    @classmethod
    def of(cls, ti: Any) -> Wish:
        """Return the wish that the running task instance serves."""
        return cls(max_tries=int(ti.max_tries), retries=int(ti.task.retries or 0))

    @property
    def cleared_before(self) -> bool:
        """Whether a user cleared this task instance at least once, as far as the numbers tell."""
        return self.max_tries != self.retries


@dataclass(frozen=True)
class Found:
    """A stored record.

    :param data: what was stored.
    :param current: whether it belongs to the present wish (a retry, a resumption), or to one before a clear.
    """

    data: Mapping[str, Any]
    current: bool


def key_of(name: str) -> str:
    """Return the key of a record in the store."""
    return _PREFIX + name


def data_of(stored: Any) -> Mapping[str, Any] | None:
    """Return what was stored, whatever the wish; None: nothing, or by a version that this one does not
    understand.
    """
    if not isinstance(stored, Mapping) or stored.get("version") != _VERSION:
        return None
    data = stored.get("data")
    return data if isinstance(data, Mapping) else None


def load(store: Any, name: str, wish: Wish, log: Any) -> Found | None:
    """Return the record of this name; None when there is none.

    :param store: ``context["task_state_store"]``.
    :param name: ``submit`` or ``wait``.
    :raises CheckpointError: it was written by a version that this one does not understand.
    """
    stored = store.get(key_of(name))
    if stored is None:
        return None
    data = data_of(stored)
    if data is None:
        raise CheckpointError(
            f"The task state store holds {key_of(name)!r} in a form that this version of "
            f"airflow_asyncjob does not know: {str(stored)[:200]}. Expected a mapping with version "
            f"{_VERSION}. Finish the task with the version that wrote it, or delete the key (REST, "
            ".../state-store) to start anew: a job that runs at the remote is then not found again."
        )
    current = stored["max_tries"] == wish.max_tries
    if current and stored["retries"] != wish.retries:
        log.warning(
            "The number of retries of this task was changed from %s to %s since the record was stored, so "
            "a clear cannot be told from a retry. It is read as a retry: the same job is carried on. Clear "
            "the task once more to start a new one.",
            stored["retries"],
            wish.retries,
        )
    return Found(data, current)


def save(store: Any, name: str, wish: Wish, data: Mapping[str, Any]) -> None:
    """Store a record durably: JSON, small, no secrets."""
    store.set(
        key_of(name),
        {"version": _VERSION, "max_tries": wish.max_tries, "retries": wish.retries, "data": dict(data)},
    )
