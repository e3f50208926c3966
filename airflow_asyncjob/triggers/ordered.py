"""Carries out an order to cancel a job, in a triggerer, for a task that no longer waits.

Airflow's own callback trigger calls :func:`cancel_ordered`; its path and arguments are public API, because
rows of the database hold them across an upgrade. Airflow may move such a trigger between two triggerers
again and again: what was begun goes on beside it, and a second process leaves it a minute.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

from airflow_asyncjob.errors import AsyncJobError
from airflow_asyncjob.hooks.orders import change_order, open_order
from airflow_asyncjob.triggers.status import AsyncStatusTrigger

__all__ = ["cancel_ordered"]

_LEASE = 60.0
"""Seconds for which a process that carries out an order has it for itself: longer than all tries of a cancel
without a Retry-After.
"""
_UNDER_WAY: dict[str, asyncio.Task[str]] = {}
"""By deferral. It also keeps the tasks: the event loop has only weak references."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Instance:
    """What names the task instance that waited."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


async def cancel_ordered(*, dag_id: str, run_id: str, task_id: str, map_index: int, deferral: str) -> str:
    """Cancel the job of a task that a user ended, unless that was done, or the task was cleared since.

    :param map_index: -1: the task is not mapped.
    :param deferral: of the wait that was ended; an order for another one is passed over.
    :return: what became of the order.
    :raises AsyncJobError: the job could not be cancelled; the log says why.
    """
    ti = _Instance(dag_id, run_id, task_id, map_index)
    work = _UNDER_WAY.get(deferral)
    if work is None:
        work = asyncio.create_task(_carry_out(ti, deferral), name=f"cancel the job of {task_id}")
        _UNDER_WAY[deferral] = work
        work.add_done_callback(lambda _: _UNDER_WAY.pop(deferral, None))
    return await asyncio.shield(work)


async def _carry_out(ti: _Instance, deferral: str) -> str:
    while (found := await open_order(ti, deferral)) is not None:
        pause = float(found["not_before"]) - time.time()
        if pause > 0:
            await asyncio.sleep(pause)
            continue
        await change_order(ti, {**found, "not_before": time.time() + _LEASE})
        return await _cancel(ti, found["trigger"])
    log.info("The job of %s is cancelled already, or the task was cleared: nothing is sent.", ti)
    return "nothing to do"


async def _cancel(ti: _Instance, arguments: dict[str, Any]) -> str:
    trigger = AsyncStatusTrigger(**arguments)
    trigger.task_instance = ti  # type: ignore[assignment] # only its names are read
    if not await trigger.cancel_if_marked():
        raise AsyncJobError(f"The job of task {ti.task_id!r} could not be cancelled: it may run on.")
    return "decided"
