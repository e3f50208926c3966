"""A wake: somebody says that a waiting task should look at its job now, such as a webhook, or a person.

The API server resumes the deferred task with an event; its worker polls once, and goes on. The trigger
that this ends must not take it for a user's kill, and Airflow tells it nothing: so a note is written first,
an XCom of the waiting task instance.

A wake that comes in the quiet seconds after a deferral (see :class:`AsyncStatusTrigger`) cannot resume the
task yet. It is held: the same note, and the trigger polls when those seconds are over.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_asyncjob.hooks.names import instance_names

__all__ = ["WOKEN", "Wake", "Why", "event_for", "noted_wake", "why_of"]

Why = Literal["webhook", "poll now"]

WOKEN = "asyncjob.woken"
"""XCom key on the waiting task instance: the last wake, as :meth:`Wake.to_dict` gives it."""
_VERSION = 1


@dataclass(frozen=True)
class Wake:
    """The note of one wake.

    :param at: seconds since the epoch.
    :param trigger_id: of the row that held the wait, for people: SQLite gives an ID again.
    :param deferral: what names that wait for sure.
    :param why: who asked.
    :param held: the trigger is to poll when it may; False: the task was resumed, and a worker polls.
    """

    at: float
    trigger_id: int
    deferral: str
    why: Why
    held: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON, for an XCom."""
        return {
            "version": _VERSION,
            "at": self.at,
            "trigger_id": self.trigger_id,
            "deferral": self.deferral,
            "why": self.why,
            "held": self.held,
        }

    @classmethod
    def of(cls, noted: Any, deferral: str) -> Wake | None:
        """Return the wake of this deferral; None: what was noted is of another one, or nothing was.

        :param noted: what the XCom holds.
        """
        if not isinstance(noted, Mapping) or noted.get("deferral") != deferral:
            return None
        return cls(
            at=float(noted.get("at", time.time())),
            trigger_id=int(noted.get("trigger_id", 0)),
            deferral=deferral,
            why="poll now" if noted.get("why") == "poll now" else "webhook",
            held=bool(noted.get("held", False)),
        )


async def noted_wake(ti: Any, deferral: str) -> Wake | None:
    """Return the wake of this deferral, from a trigger; None: there was none.

    :param ti: the waiting task's instance, as the trigger knows it.
    """
    from airflow.sdk.execution_time.xcom import XCom

    return Wake.of(await XCom.aget_one(key=WOKEN, **instance_names(ti)), deferral)


def event_for(why: Why, submission: Any) -> dict[str, Any]:
    """Return the payload of the event that resumes a task.

    :param submission: the job as the trigger's arguments have it; None: it is not known.
    """
    return {
        "version": _VERSION,
        "woken": why,
        "submission": dict(submission) if isinstance(submission, Mapping) else None,
    }


def why_of(event: Mapping[str, Any]) -> str | None:
    """Return who asked for the look; None: the event is of a wait that has ended."""
    return str(event["woken"]) if "woken" in event else None
