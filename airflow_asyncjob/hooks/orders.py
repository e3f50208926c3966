"""An order to cancel a job: what the API server leaves when a user ends a wait that no process carries on.

It is an XCom of the waiting task instance, written with the mark itself. Airflow removes it when the task is
cleared and starts again, so an order that is read late cannot stop the job of a new try. A triggerer reads it
(:mod:`airflow_asyncjob.triggers.ordered`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_asyncjob.hooks.names import instance_names

__all__ = ["ORDER", "change_order", "open_order", "order", "settle_order"]

ORDER = "asyncjob.cancel"
"""XCom key on the waiting task instance: what :func:`order` gives."""
_VERSION = 1


def order(arguments: Mapping[str, Any], *, not_before: float) -> dict[str, Any]:
    """Return an order, as plain JSON.

    :param arguments: of the wait's trigger; they hold no secret.
    :param not_before: seconds since the epoch; until then another process may cancel the job itself.
    """
    return {
        "version": _VERSION,
        "deferral": str(arguments.get("deferral", "")),
        "not_before": not_before,
        "trigger": dict(arguments),
    }


async def open_order(ti: Any, deferral: str) -> dict[str, Any] | None:
    """Return the order to cancel the job of this deferral, from a trigger; None: there is none, or it was
    carried out.

    :param ti: the task instance, or what names it.
    """
    from airflow.sdk.execution_time.xcom import XCom

    found = await XCom.aget_one(key=ORDER, **instance_names(ti))
    if not isinstance(found, Mapping) or found.get("deferral") != deferral or "trigger" not in found:
        return None
    return dict(found)


async def change_order(ti: Any, changed: Mapping[str, Any]) -> None:
    """Write the order anew, from a trigger."""
    from airflow.sdk.execution_time.xcom import XCom

    await XCom.aset(ORDER, dict(changed), **instance_names(ti))


async def settle_order(ti: Any, deferral: str) -> None:
    """Note that the order was carried out, from a trigger. Where there is none, nothing is written."""
    if await open_order(ti, deferral) is not None:
        await change_order(ti, {"version": _VERSION, "deferral": deferral, "settled": True})
