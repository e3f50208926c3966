"""``{{ callback_url }}`` in a submit: where an API says that the job of this task has changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_asyncjob.errors import ConnectionSetupError

if TYPE_CHECKING:
    from airflow_asyncjob.definition import AsyncJob
    from airflow_asyncjob.transport import Wire

__all__ = ["callback_names"]

_ROUTE = "asyncjob/webhooks"


def callback_names(
    definition: AsyncJob, names: Mapping[str, Any], conn_id: str, wire: Wire
) -> dict[str, str]:
    """Return the name ``callback_url`` where the submit of a definition uses it; else none.

    The address is a secret, which the wire's trace and log do not show; it is kept nowhere.

    :param names: the frozen scalars of the run; the task that submits is among them.
    :raises ConnectionSetupError: the connection has nothing to sign the address with, or nobody knows where
        the API server is.
    """
    from airflow_asyncjob.definition.callback import wants_callback

    if not wants_callback(definition):
        return {}
    from airflow.sdk.configuration import conf

    from airflow_asyncjob.definition.callback import TaskName, callback_token
    from airflow_asyncjob.definition.signature import Keys

    keys = Keys.of(wire.settings.extra)
    if not keys.secrets:
        raise ConnectionSetupError(
            f"The submit sends {{{{ callback_url }}}}, an address that is signed with webhook_secret of the "
            f"extra of connection {conn_id!r}, and there is none. Put a long random text there."
        )
    base = keys.callback_base_url or conf.get("api", "base_url", fallback="") or ""
    if not base.startswith(("http://", "https://")):
        raise ConnectionSetupError(
            f"The submit sends {{{{ callback_url }}}}, and the address of Airflow's API server is {base!r}. "
            f"Set [api] base_url, or callback_base_url in the extra of connection {conn_id!r} where the API "
            "reaches it at another address, such as https://airflow.example.com."
        )
    task = TaskName(names["dag_id"], names["run_id"], names["task_id"], names["map_index"])
    token = callback_token(task, conn_id, keys.secrets[0])
    wire.redactor.learn_target(token)
    return {"callback_url": f"{base.rstrip('/')}/{_ROUTE}/{quote(conn_id, safe='')}/{token}"}
