"""Rows of jobs in Airflow's database, as tasks of this package leave them, without running any.

    python -m tests.plugin.rows JOBS DAGS

writes them into the database of the environment's Airflow. Each job has three task instances (submit, wait,
fetch); every tenth job is still waiting. What a trigger writes, the wait, is an XCom too.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

STATUS_TRIGGER = "airflow_asyncjob.triggers.status.AsyncStatusTrigger"
ENDS = ("downloaded", "downloaded", "downloaded", "no_data", "failed", "timed_out", "error")
RUNS_PER_DAG = 10
NO_CANCEL = 40
"""The waiting job whose definition does not say how to cancel it."""
_LIVE = {"wait": "deferred", "submit": "success"}


def fill(jobs: int, dags: int, *, now: float) -> None:
    """Write so many jobs of so many DAGs, named ``dag_000`` and so on.

    :param now: seconds since the epoch, at which they were last updated.
    """
    # Airflow reads its configuration when it is imported.
    import airflow.models  # noqa: F401 - the tables know one another by name
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.models.task_state_store import TaskStateStoreModel
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import insert, select

    moment = datetime.fromtimestamp(now, UTC)
    dag_ids = [f"dag_{number:03}" for number in range(dags)]
    with create_session(scoped=False) as session:
        session.execute(insert(DagBundleModel), [{"name": "rows"}])
        session.execute(
            insert(DagModel),
            [
                {
                    "dag_id": dag_id,
                    "bundle_name": "rows",
                    "timetable_type": "none",
                    "max_active_tasks": 16,
                    "max_consecutive_failed_dag_runs": 0,
                    "is_paused": True,
                    "is_stale": False,
                    "has_task_concurrency_limits": False,
                }
                for dag_id in dag_ids
            ],
        )
        session.execute(
            insert(DagRun),
            [
                {"dag_id": dag_id, "run_id": f"run_{n}", "run_type": "manual", "run_after": moment}
                for dag_id in dag_ids
                for n in range(RUNS_PER_DAG)
            ],
        )
        runs = {
            (dag_id, run_id): key
            for key, dag_id, run_id in session.execute(select(DagRun.id, DagRun.dag_id, DagRun.run_id))
        }
        for some in _chunks(_tasks(jobs, dag_ids, now), 3000):
            waiting = [task for task in some if task["ti_state"] == "deferred"]
            triggers = [Trigger(STATUS_TRIGGER, _trigger_arguments(task), moment) for task in waiting]
            session.add_all(triggers)
            session.flush()
            for task, trigger in zip(waiting, triggers, strict=True):
                task["trigger_id"] = trigger.id
            session.execute(insert(TaskInstance), [_instance(task) for task in some])
            session.execute(
                insert(TaskStateStoreModel),
                [
                    {**_place(task), "dag_run_id": runs[task["dag_id"], task["run_id"]], "key": key}
                    | {"value": json.dumps(value), "updated_at": moment}
                    for task in some
                    for key, value in _kept(task)
                ],
            )
            session.execute(
                insert(XComModel),
                [
                    {**_place(task), "dag_run_id": runs[task["dag_id"], task["run_id"]], "timestamp": moment}
                    | {"key": "asyncjob.summary", "value": task["summary"]}
                    for task in some
                    if task["summary"]["kind"] == "wait"
                ],
            )


def _tasks(jobs: int, dag_ids: list[str], now: float) -> Iterator[dict[str, Any]]:
    for number in range(jobs):
        waits = number % 10 == 0
        end = ENDS[number % len(ENDS)]
        for kind in ("submit", "wait") if waits else ("submit", "wait", "fetch"):
            state = {"submit": "running", "wait": "running" if waits else "done", "fetch": end}[kind]
            yield {
                "dag_id": dag_ids[number % len(dag_ids)],
                "run_id": f"run_{number // len(dag_ids) % RUNS_PER_DAG}",
                "task_id": f"export.{kind}",
                "map_index": number // len(dag_ids) // RUNS_PER_DAG,
                "ti_state": (_LIVE if waits else {}).get(kind, "success"),
                "summary": _summary(number, kind, state, waits, now),
            }


def _summary(number: int, kind: str, state: str, waits: bool, now: float) -> dict[str, Any]:
    submitted = now - 60 * number - 300
    return {
        "version": 1,
        "kind": kind,
        "of": str(uuid.UUID(int=number)),
        "definition": f"vendor/export_{number % 7}",
        "conn_id": f"conn_{number % 5}",
        "submission_id": f"job-{number:06}",
        "state": state,
        "raw_status": "processing" if waits else "finished",
        "message": "Wrote all records that the query asked for, in the order of their keys." * 2,
        "progress": {"done": number % 100, "of": 100},
        "submitted_at": submitted,
        "started_at": submitted - 1,
        "updated_at": now - number,
        "next_poll_at": now + 30 + number % 60 if waits else None,
        "deadline": submitted + 7200,
        "ended_at": None if waits else submitted + 200,
        "polls": 12,
        "failed_polls": 3 if waits and number % 50 == 0 else 0,
        "unknown": 0,
        "remote_url": f"https://vendor.example/jobs/{number}",
        "can_cancel": number != NO_CANCEL,
        "download": None,
        "trouble": None,
    }


def _trace(task: dict[str, Any]) -> dict[str, Any]:
    exchange = {
        "purpose": "poll",
        "step": "",
        "method": "GET",
        "url": "https://vendor.example/jobs/1",
        "started_at": task["summary"]["updated_at"],
        "elapsed": 0.05,
        "request_headers": {"accept": "application/json", "authorization": "***"},
        "request_bytes": 0,
        "request_shape": None,
        "code": 200,
        "response_headers": {"content-type": "application/json"},
        "response_bytes": 300,
        "response": '{"status": "processing", "note": "' + "x" * 250 + '"}',
        "fault": None,
        "detail": "",
        "count": 5,
    }
    poll = [task["summary"]["updated_at"], "processing", "running", 200]
    return {"version": 1, "of": "", "exchanges": [exchange] * 4, "left_out": 0, "polls": [poll], "before": []}


def _kept(task: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "asyncjob.summary", task["summary"]
    yield "asyncjob.trace", _trace(task)
    if task["summary"]["kind"] == "fetch":
        yield "asyncjob.preview", {"version": 1, "columns": ["name"], "rows": [["Ada"]], "left_out": 0}


def _trigger_arguments(task: dict[str, Any]) -> dict[str, Any]:
    request = {"method": "DELETE", "url": "/jobs/{{ submission_id }}"}
    return {
        "definition": {"cancel": request} if task["summary"]["can_cancel"] else {},
        "checkpoint": {"submission": {"id": task["summary"]["submission_id"]}},
        "quiet": 0.0,
        "deferral": str(uuid.uuid4()),
    }


def _instance(task: dict[str, Any]) -> dict[str, Any]:
    state = task["ti_state"]
    return {
        **_place(task),
        "id": uuid.uuid4(),
        "state": state,
        "try_number": 1,
        "pool": "default_pool",
        "pool_slots": 1,
        "operator": "AsyncStatusSensor",
        "trigger_id": task.get("trigger_id"),
    }


def _place(task: dict[str, Any]) -> dict[str, Any]:
    return {name: task[name] for name in ("dag_id", "run_id", "task_id", "map_index")}


def _chunks(tasks: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    some: list[dict[str, Any]] = []
    for task in tasks:
        some.append(task)
        if len(some) == size:
            yield some
            some = []
    if some:
        yield some


if __name__ == "__main__":
    fill(int(sys.argv[1]), int(sys.argv[2]), now=time.time())
