"""What a deferred wait notes on its way: captures that moved, such as a status URL that each answer names.

A trigger's arguments cannot change, and the task state store cannot be asked by a trigger; an XCom can be
written and read there. So a triggerer that starts again goes on where the last answer pointed. Airflow
removes the XCom when another try of the task begins; what such a try needs travels in the trigger's event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_asyncjob.hooks.names import instance_names

__all__ = ["MOVED", "moves", "newer", "note", "noted"]

MOVED = "asyncjob.wait"
"""XCom key: the checkpoint of the wait, as the task state store keeps it under the same name."""


def moves(definition: Mapping[str, Any]) -> bool:
    """Return whether the answers to the polls of this definition leave something that later polls need."""
    return bool((definition.get("status") or {}).get("capture"))


def newer(checkpoint: Mapping[str, Any], noted: Any) -> dict[str, Any]:
    """Return the checkpoint that has seen more of the same job.

    :param noted: what the XCom holds; anything but a checkpoint of this job is passed over.
    """
    same = isinstance(noted, Mapping) and _job_of(noted) == _job_of(checkpoint)
    return dict(noted if same and noted.get("looks", 0) > checkpoint.get("looks", 0) else checkpoint)


def _job_of(checkpoint: Mapping[str, Any]) -> Any:
    return (checkpoint.get("submission") or {}).get("id")


async def note(ti: Any, checkpoint: Mapping[str, Any]) -> None:
    """Write the XCom, from a trigger.

    :param ti: the waiting task's instance, as the trigger knows it.
    """
    from airflow.sdk.execution_time.xcom import XCom

    await XCom.aset(MOVED, dict(checkpoint), **instance_names(ti))


async def noted(ti: Any) -> Any:
    """Return what the XCom holds, from a trigger; None: there is none."""
    from airflow.sdk.execution_time.xcom import XCom

    return await XCom.aget_one(key=MOVED, **instance_names(ti))
