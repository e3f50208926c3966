"""Tasks that wait for jobs, as rows of Airflow's database, without running any.

    python -m tests.plugin.waits < JOBS

reads a JSON list of the arguments of :func:`wait`, and writes them into the database of the environment's
Airflow.
"""

from __future__ import annotations

import json
import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

DAG, RUN = "exports", "run_1"


def wait(
    session: Any,
    *,
    task_id: str,
    submission_id: str,
    conn_id: str,
    webhook: dict[str, Any] | None,
    quiet: float = 0.0,
    state: str = "deferred",
    submit_task: str = "",
) -> None:
    """Write a task that waits for a job.

    :param webhook: of the definition; None: it has none.
    :param state: of the task instance.
    :param submit_task: a task that has submitted the job; empty: there is none in the database.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.models.xcom import XComModel
    from sqlalchemy import insert

    from airflow_asyncjob.plugin.waking import STATUS_TRIGGER

    status: dict[str, Any] = {"request": {"url": "/jobs/{{ submission_id }}"}, "path": "s"}
    arguments = {
        "definition": {"status": {**status, "values": {"done": "d"}, "webhook": webhook}},
        "http_conn_id": conn_id,
        "inputs": {},
        "names": {},
        "checkpoint": {"submission": {"id": submission_id, "submitted_at": 0.0, "captures": {}}},
        "quiet": quiet,
        "deferral": uuid.uuid4().hex,
    }
    if webhook is None:
        del arguments["definition"]["status"]["webhook"]  # type: ignore[index]
    created = datetime.now(UTC) - timedelta(minutes=1)
    trigger = Trigger(STATUS_TRIGGER, arguments, created_date=created)
    session.add(trigger)
    session.flush()
    same = {"dag_id": DAG, "run_id": RUN, "map_index": -1}
    instance = {"try_number": 1, "pool": "default_pool", "pool_slots": 1, "max_tries": 0}
    rows = [{"task_id": task_id, "state": state, "trigger_id": trigger.id, "next_method": "execute_complete"}]
    if submit_task:
        rows.append({"task_id": submit_task, "state": "success", "trigger_id": None, "next_method": None})
    for row in rows:
        session.execute(insert(TaskInstance), [{**same, **instance, **row, "id": uuid.uuid4()}])
    if submit_task:
        submission = arguments["checkpoint"]["submission"]  # type: ignore[index]
        XComModel.set(
            key="submission", value=submission, task_id=submit_task, serialize=False, session=session, **same
        )


def main() -> None:
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import insert

    dag = {"dag_id": DAG, "bundle_name": "rows", "timetable_type": "none", "max_active_tasks": 16}
    dag |= {"max_consecutive_failed_dag_runs": 0, "has_task_concurrency_limits": False}
    with create_session(scoped=False) as session:
        session.execute(insert(DagBundleModel), [{"name": "rows"}])
        session.execute(insert(DagModel), [{**dag, "is_paused": False, "is_stale": False}])
        run = {"dag_id": DAG, "run_id": RUN, "run_type": "manual", "run_after": datetime.now(UTC)}
        session.execute(insert(DagRun), [run])
        session.flush()
        for job in json.load(sys.stdin):
            wait(session, **job)


if __name__ == "__main__":
    main()
