"""Who may see and do what: Airflow's own auth manager decides, here it is only asked."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.configuration import conf
from airflow.models.dag import DagModel
from fastapi import HTTPException, Request, status
from sqlalchemy.orm import Session

__all__ = ["from_this_origin", "may", "may_edit", "readable_dags", "require"]


def readable_dags(user: BaseUser, session: Session) -> set[str]:
    """Return the IDs of all DAGs whose task instances the user may read.

    Two questions, as Airflow's own list of task instances asks them: task instances at all, and which DAGs.
    """
    manager = get_auth_manager()
    if not manager.is_authorized_dag(method="GET", access_entity=DagAccessEntity.TASK_INSTANCE, user=user):
        return set()
    return manager.get_authorized_dag_ids(user=user, method="GET", session=session)


def may(
    user: BaseUser, method: ResourceMethod, dag_id: str, entity: DagAccessEntity, session: Session
) -> bool:
    """Tell whether the user may do this with what belongs to the DAG."""
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id, session=session))
    return get_auth_manager().is_authorized_dag(
        method=method, access_entity=entity, details=details, user=user
    )


def may_edit(user: BaseUser, dag_ids: Iterable[str], session: Session) -> dict[str, bool]:
    """Tell for each DAG whether the user may change its task instances: poll now, cancel."""
    return {
        dag_id: may(user, "PUT", dag_id, DagAccessEntity.TASK_INSTANCE, session) for dag_id in set(dag_ids)
    }


def require(user: BaseUser, method: ResourceMethod, dag_id: str, session: Session) -> None:
    """Refuse a user who may not do this with the task instances of the DAG.

    A DAG that does not exist is refused in the same words, so that nobody learns which ones there are.

    :raises HTTPException: 403.
    """
    if not may(user, method, dag_id, DagAccessEntity.TASK_INSTANCE, session):
        what = "read" if method == "GET" else "change"
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, f"You may not {what} the task instances of DAG {dag_id!r}."
        )


def from_this_origin(request: Request, user: GetUserDep) -> None:
    """Refuse what another site lets the user's browser send.

    The browser adds the user's cookie on its own, so a cookie alone is no proof that the user wants this. A
    page elsewhere cannot send JSON without being asked by the browser first, nor can it hide where it comes
    from (Fetch standard, "Origin"). A token in the header is sent by programs only, and is proof enough.

    :param user: nobody at all is refused first, with 401.
    :raises HTTPException: 415 for a body that is not JSON, 403 for another origin.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(
            status.HTTP_415_UNSUPPORTED_MEDIA_TYPE,
            f"Send JSON with the header Content-Type: application/json, not {media_type or 'nothing'}.",
        )
    if request.headers.get("authorization", "").lower().startswith("bearer "):
        return
    origin = request.headers.get("origin", "")
    # Behind a proxy the server's own address is the one of its settings, not the one of the request.
    ours = {request.headers.get("host", ""), urlsplit(conf.get("api", "base_url", fallback="") or "").netloc}
    if not origin or urlsplit(origin).netloc not in ours - {""}:
        raise HTTPException(
            status.HTTP_403_FORBIDDEN,
            f"This request comes from {origin or 'no origin'}, not from Airflow's own pages. A program sends "
            "Authorization: Bearer with a token. Behind a proxy, [api] base_url must be the address that "
            "browsers use.",
        )
