"""The routes of the page "Async jobs" and of the tab "Async job"."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import msgspec
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.log import Log
from fastapi import APIRouter, Depends, HTTPException, Query, Response, status
from pydantic import BaseModel

from airflow_asyncjob.plugin.access import from_this_origin, may, may_edit, readable_dags, require
from airflow_asyncjob.plugin.cancelling import cancel
from airflow_asyncjob.plugin.details import details
from airflow_asyncjob.plugin.jobs import Filters, jobs_of, page_of
from airflow_asyncjob.plugin.stored import Place, live_tasks, states_of, summaries
from airflow_asyncjob.plugin.waking import wake

__all__ = ["router"]

router = APIRouter()
Several = Annotated[list[str], Query()]


class TaskBody(BaseModel):
    """Which task instance a button is pressed for."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    def place(self) -> Place:
        """Return it as the rest of the package names it."""
        return Place(self.dag_id, self.run_id, self.task_id, self.map_index)


@router.get("/jobs")
def get_jobs(
    session: SessionDep,
    user: GetUserDep,
    state: Several = [],  # noqa: B006 - FastAPI copies it
    conn_id: Several = [],  # noqa: B006
    dag_id: Several = [],  # noqa: B006
    definition: Several = [],  # noqa: B006
    q: str = "",
    min_age: float | None = None,
    max_age: float | None = None,
    waiting: bool = False,
    order: Annotated[str, Query(pattern="^(trouble|-updated)$")] = "trouble",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """Return one page of the jobs of all DAGs that the user may read; facets and total are of those too."""
    now = time.time()
    readable = readable_dags(user, session)
    filters = Filters(
        state=state,
        conn_id=conn_id,
        dag_id=dag_id,
        definition=definition,
        text=q,
        min_age=min_age,
        max_age=max_age,
        waiting=waiting,
        order=order,
    )
    jobs = jobs_of(summaries(session, readable), live_tasks(session, readable), now)
    total, page, facets = page_of(jobs, filters, now, limit=limit, offset=offset)
    states = states_of(session, [job.place for job in page])
    editable = may_edit(user, {job.dag_id for job in page}, session)
    items = [job.to_dict(now, states.get(job.place), editable[job.dag_id]) for job in page]
    return _json({"total": total, "items": items, "facets": facets})


@router.get("/task")
def get_task(
    session: SessionDep, user: GetUserDep, dag_id: str, run_id: str, task_id: str, map_index: int = -1
) -> Response:
    """Return all that is known of one task instance's job."""
    require(user, "GET", dag_id, session)
    found = details(
        session,
        Place(dag_id, run_id, task_id, map_index),
        now=time.time(),
        may_edit=may(user, "PUT", dag_id, DagAccessEntity.TASK_INSTANCE, session),
        may_preview=may(user, "GET", dag_id, DagAccessEntity.XCOM, session),
    )
    if found is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "There is no such task instance.")
    return _json(found)


@router.post("/poll", dependencies=[Depends(from_this_origin)])
def post_poll(session: SessionDep, user: GetUserDep, body: TaskBody) -> Response:
    """Have the job polled now; the deadline and the tries of the task stay as they are."""
    require(user, "PUT", body.dag_id, session)
    result = wake(session, **body.place()._asdict(), why="poll now")
    return _answer(session, user, "asyncjob_poll_now", body, result)


@router.post("/cancel", dependencies=[Depends(from_this_origin)])
def post_cancel(session: SessionDep, user: GetUserDep, body: TaskBody) -> Response:
    """Cancel the job that this task instance waits for."""
    require(user, "PUT", body.dag_id, session)
    return _answer(session, user, "asyncjob_cancel", body, cancel(session, body.place()))


def _answer(session: SessionDep, user: GetUserDep, event: str, body: TaskBody, result: str) -> Response:
    """Answer a button, and note in Airflow's audit log who pressed it.

    The note is written with what was done, in one transaction, and not by Airflow's own dependency: that one
    commits in the event loop, where it stops all other requests while SQLite is busy.
    """
    if result == "not found":
        raise HTTPException(status.HTTP_404_NOT_FOUND, "There is no such task instance.")
    if result == "not waiting":
        raise HTTPException(status.HTTP_409_CONFLICT, "This task instance is not waiting for a job now.")
    if result == "no cancel":
        raise HTTPException(
            status.HTTP_409_CONFLICT,
            "The definition of this job does not say how to cancel it (cancel). Mark the task as failed to "
            "wait no longer; the job goes on.",
        )
    session.add(
        Log(
            event=event,
            dag_id=body.dag_id,
            run_id=body.run_id,
            task_id=body.task_id,
            map_index=body.map_index,
            owner=user.get_name(),
            owner_display_name=user.get_name(),
            extra=json.dumps({"result": result}),
        )
    )
    return _json({"result": result}, status.HTTP_202_ACCEPTED)


def _json(content: Any, code: int = status.HTTP_200_OK) -> Response:
    """Answer by msgspec: FastAPI's own way takes longer than the queries."""
    return Response(
        msgspec.json.encode(content),
        status_code=code,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
