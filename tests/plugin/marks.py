"""What a mark leaves for a waiting job, by what its trigger is like; nothing of it stays in the database.

    python -m tests.plugin.marks DAG RUN TASK MAP_INDEX

prints, as JSON, for each case how many seconds the cancel is left to the trigger itself (null: altogether, so
that nothing is ordered), and whether the task still holds its trigger.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

CANCEL = {"method": "DELETE", "url": "/jobs/{{ submission_id }}"}
BLESSED = {**CANCEL, "on_mark_success": True}


def triggerer(session: Any, *, heard: float, state: str = "running") -> int:
    """Write a triggerer that was heard of so many seconds ago, and return its ID."""
    from airflow.jobs.job import Job

    job = Job(job_type="TriggererJob", state=state)
    job.latest_heartbeat = datetime.now(UTC) - timedelta(seconds=heard)
    session.add(job)
    session.flush()
    return int(job.id)


def marked(
    session: Any,
    place: dict[str, Any],
    *,
    state: str = "failed",
    cancel: dict[str, Any] | None = CANCEL,
    triggerer_id: int | None = None,
    age: float = 600,
) -> dict[str, Any]:
    """Mark a waiting task as Airflow's REST API does, and return what that left."""
    from airflow.listeners.listener import get_listener_manager
    from airflow.models.callback import Callback
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    instance = session.scalars(select(TaskInstance).filter_by(**place)).one()
    trigger = session.get(Trigger, instance.trigger_id)
    arguments = trigger.kwargs
    arguments["definition"]["cancel"] = cancel
    trigger.kwargs = {**arguments, "deferral": "mine"}
    trigger.triggerer_id, trigger.queue = triggerer_id, "far"
    trigger.created_date = datetime.now(UTC) - timedelta(seconds=age)
    instance.state = state
    session.flush()
    hooks = get_listener_manager().hook
    if state == "failed":
        hooks.on_task_instance_failed(previous_state=None, task_instance=instance, error="by hand")
    else:
        hooks.on_task_instance_success(previous_state=None, task_instance=instance)
    session.flush()
    found = session.scalars(select(XComModel).filter_by(key="asyncjob.cancel", **place)).one_or_none()
    callbacks = session.scalars(select(Callback)).all()
    assert len(callbacks) == (0 if found is None else 1)
    for callback in callbacks:
        assert callback.data["path"] == "airflow_asyncjob.triggers.ordered.cancel_ordered"
        assert callback.data["kwargs"] == {**place, "deferral": "mine"}
        assert callback.trigger.kwargs["callback_kwargs"] == callback.data["kwargs"]
        assert callback.trigger.queue == "far", "a triggerer that could have had the wait takes it"
        assert found.value["trigger"] == trigger.kwargs
    now = datetime.now(UTC).timestamp()
    return {
        "left": None if found is None else round((found.value["not_before"] - now) / 10) * 10,
        "holds": instance.trigger_id is not None,
    }


def idle(
    session: Any,
    place: dict[str, Any],
    *,
    before: str | None = "up_for_reschedule",
    state: str = "failed",
    run: str | None = None,
    cancel: dict[str, Any] | None = CANCEL,
    kept: tuple[str, ...] = ("wait", "mark"),
) -> bool:
    """End a wait that no process has, as Airflow does, and tell whether that left an order.

    :param before: the state of the task.
    :param run: what the run ends as, with the task; None: the task alone is marked.
    :param kept: what its worker kept.
    """
    from airflow.listeners.listener import get_listener_manager
    from airflow.models.callback import Callback
    from airflow.models.dagrun import DagRun
    from airflow.models.task_state_store import TaskStateStoreModel
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from sqlalchemy import delete, insert, select

    instance = session.scalars(select(TaskInstance).filter_by(**place)).one()
    dag_run = session.scalars(select(DagRun).filter_by(dag_id=place["dag_id"], run_id=place["run_id"])).one()
    data = {
        "wait": {"checkpoint": {"submission": {"id": "job-1"}}},
        "mark": {"definition": {"cancel": cancel}, "http_conn_id": "shop", "inputs": {}, "names": {}},
    }
    records = [
        {
            **place,
            "dag_run_id": dag_run.id,
            "key": f"asyncjob.{name}",
            "value": json.dumps({"version": 1, "max_tries": 0, "retries": 0, "data": data[name]}),
        }
        for name in kept
    ]
    ours = (TaskStateStoreModel.key.in_(("asyncjob.wait", "asyncjob.mark")),)
    session.execute(delete(TaskStateStoreModel).where(*ours))
    if records:
        session.execute(insert(TaskStateStoreModel), records)
    instance.state, instance.trigger_id = before, None
    session.commit()  # what follows is another transaction, as it is in Airflow

    instance.state = state
    hooks = get_listener_manager().hook
    if run is not None:
        dag_run.state = run
        session.flush()
        if run == "failed":
            hooks.on_dag_run_failed(dag_run=dag_run, msg="by hand")
        else:
            hooks.on_dag_run_success(dag_run=dag_run, msg="by hand")
    else:
        session.flush()
        hooks.on_task_instance_failed(previous_state=None, task_instance=instance, error="by hand")
    session.flush()
    found = session.scalars(select(XComModel).filter_by(key="asyncjob.cancel", **place)).one_or_none()
    callbacks = session.scalars(select(Callback)).all()
    assert len(callbacks) == (0 if found is None else 1)
    if found is not None:
        left = found.value
        assert callbacks[0].data["kwargs"] == {**place, "deferral": left["deferral"]}
        assert left["trigger"] == {**data["mark"], **data["wait"], "deferral": left["deferral"]}
    session.rollback()
    session.execute(delete(TaskStateStoreModel).where(*ours))
    session.commit()
    return found is not None


def main() -> None:
    from airflow.utils.session import create_session

    dag_id, run_id, task_id, map_index = sys.argv[1:]
    place = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": int(map_index)}
    left = {}
    with create_session(scoped=False) as session:

        def case(name: str, heard: float | None = None, ended: str = "running", **mark: Any) -> None:
            job = None if heard is None else triggerer(session, heard=heard, state=ended)
            left[name] = marked(session, place, triggerer_id=job, **mark)
            session.rollback()

        case("no triggerer has it")
        case("its triggerer is dead", heard=3600)
        case("its triggerer was stopped", heard=1, ended="success")
        case("its triggerer has it for long", heard=1)
        case("its triggerer has just got it", heard=1, age=5)
        case("its triggerer is late", heard=20)
        case("marked success", state="success")
        case("marked success, to be cancelled", state="success", cancel=BLESSED)
        case("no way to cancel", cancel=None)

        from airflow.models.taskinstance import TaskInstance
        from sqlalchemy import select

        instance = session.scalars(select(TaskInstance).filter_by(**place)).one()
        as_it_was = instance.state, instance.trigger_id
        try:
            for before in (
                "up_for_reschedule",
                "queued",
                "scheduled",
                "up_for_retry",
                None,
                "running",
                "success",
            ):
                left[f"idle: {before}"] = idle(session, place, before=before)
            left["idle: its run is marked failed"] = idle(
                session, place, before="queued", state="skipped", run="failed"
            )
            left["idle: its run is marked success"] = idle(
                session, place, before="queued", state="skipped", run="success"
            )
            left["idle: skipped before its run failed"] = idle(
                session, place, before="skipped", state="skipped", run="failed"
            )
            left["idle: no way to cancel"] = idle(session, place, cancel=None)
            left["idle: it has not begun"] = idle(session, place, kept=())
            left["idle: it cannot be kept"] = idle(session, place, kept=("wait",))
        finally:
            instance.state, instance.trigger_id = as_it_was
            session.commit()
    print(json.dumps(left))


if __name__ == "__main__":
    main()
