"""The frozen scalars of a run that templates may use, and the idempotency key."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

__all__ = ["idempotency_key", "instance_names", "map_index_of", "run_names"]

_MOMENTS = ("logical_date", "data_interval_start", "data_interval_end")
_NAMESPACE = uuid.UUID("6c1d1c3c-6f0e-5d0c-9a57-1b7a5b3ad0a4")


def run_names(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scalars of a run, frozen, as JSON: they travel in trigger arguments.

    Moments are ISO 8601 text. What a run does not have (a run without a logical date has no ``ds``) is left
    out, so that a template which needs it fails by name instead of sending ``None``.

    :param context: Airflow's task context.
    """
    ti = context["ti"]
    names: dict[str, Any] = {
        "run_id": ti.run_id,
        "dag_id": ti.dag_id,
        "task_id": ti.task_id,
        "map_index": map_index_of(ti),
    }
    for name in ("ds", "ts"):
        if context.get(name) is not None:
            names[name] = str(context[name])
    for name in _MOMENTS:
        moment = context.get(name)
        if isinstance(moment, datetime):
            names[name] = moment.isoformat()
    return names


def map_index_of(ti: Any) -> int:
    """Return the map index of a task instance; -1 where it is not mapped."""
    return -1 if ti.map_index is None else int(ti.map_index)


def instance_names(ti: Any) -> dict[str, Any]:
    """Return what names a task instance in Airflow's own calls, such as those for XComs."""
    return {
        "dag_id": ti.dag_id,
        "task_id": ti.task_id,
        "run_id": ti.run_id,
        "map_index": map_index_of(ti),
    }


def idempotency_key(ti: Any, attempt: int) -> str:
    """Return the key that names one wished-for submission, the same over retries and restarts.

    ``max_tries`` moves when a user clears the task and not when Airflow retries it, so a clear is a new
    wish and a retry is the same one. The attempt rises when a failed job is recorded.

    :param ti: Airflow's task instance.
    :param attempt: 1 for the first job of this wish.
    :return: a UUID, which every API with a key accepts.
    """
    parts = [ti.dag_id, ti.run_id, ti.task_id, map_index_of(ti), ti.max_tries, attempt]
    return str(uuid.uuid5(_NAMESPACE, json.dumps(parts)))
