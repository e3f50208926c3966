"""AsyncJobHook: an Airflow connection as the transport takes it, and its test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_asyncjob.errors import AsyncJobError, ConnectionSetupError

if TYPE_CHECKING:
    from airflow_asyncjob.definition import AsyncJob
    from airflow_asyncjob.protocol.messages import Failed, Responded
    from airflow_asyncjob.transport import ConnectionSettings, Wire

__all__ = ["AsyncJobHook"]

_DENIED = (401, 403)


class AsyncJobHook(BaseHook):
    """Reads a connection of type ``http`` (as the HTTP provider reads it) or ``asyncjob``.

    :param http_conn_id: the connection.
    """

    conn_name_attr: Final = "http_conn_id"
    default_conn_name: Final = "asyncjob_default"
    conn_type: Final = "asyncjob"
    hook_name: Final = "Asynchronous job API"

    def __init__(self, http_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.http_conn_id = http_conn_id

    def get_settings(self) -> ConnectionSettings:
        """Return the connection as it is now.

        :raises ConnectionSetupError: there is none of this ID, or one of its fields cannot be used.
        """
        try:
            connection = self.get_connection(self.http_conn_id)
        except AirflowNotFoundException as error:
            raise _missing(self.http_conn_id) from error
        return _settings(connection)

    async def aget_settings(self) -> ConnectionSettings:
        """Do what :meth:`get_settings` does, from the loop of the triggerer."""
        try:
            connection = await self.aget_connection(self.http_conn_id)
        except AirflowNotFoundException as error:
            raise _missing(self.http_conn_id) from error
        return _settings(connection)

    def get_conn(self, definition: AsyncJob | None = None) -> Wire:
        """Return what sends requests over this connection; close it after use.

        :param definition: gives auth and limits; None: as the connection says.
        """
        from airflow_asyncjob.hooks.refresh_tokens import VariableTokens
        from airflow_asyncjob.hooks.storage import source_of
        from airflow_asyncjob.transport import Wire

        wire = Wire(
            self.get_settings(),
            limits=definition.limits if definition else None,
            auth=definition.auth if definition else None,
            reload=self.get_settings,
            others=lambda conn_id: AsyncJobHook(conn_id).get_settings(),
            tokens=VariableTokens(),
        )
        wire.find = source_of
        return wire

    def test_connection(self) -> tuple[bool, str]:
        """Ask the API once, with the credentials, and say what came of it.

        With ``test_path`` in the connection's extra, GET on that path must answer 2xx. Without it the
        address itself is asked: a 404 there is usual and shows that the API is reached, not that it takes
        the credentials.
        """
        try:
            path = str(self.get_settings().extra.get("test_path") or "")
            return _verdict(self._ask(path), path)
        except AsyncJobError as error:
            return False, error.message

    def _ask(self, path: str) -> Responded | Failed:
        from airflow_asyncjob.definition.models.request import Request
        from airflow_asyncjob.protocol.messages import Purpose, Send

        with self.get_conn() as wire:
            return wire.send(Send(Purpose.POLL, Request(url=path), names={}))


def _settings(connection: Any) -> ConnectionSettings:
    from airflow_asyncjob.transport import ConnectionSettings

    return ConnectionSettings.from_parts(
        conn_type=connection.conn_type,
        host=connection.host,
        schema=connection.schema,
        port=connection.port,
        login=connection.login,
        password=connection.password,
        extra=connection.extra,
        conn_id=connection.conn_id,
    )


def _missing(conn_id: str) -> ConnectionSetupError:
    return ConnectionSetupError(
        f"The Airflow connection {conn_id!r} does not exist, and the task names it (http_conn_id, or "
        "connection in the definition). Create it in the UI under Admin, Connections, with type http or "
        f"asyncjob, or set the environment variable AIRFLOW_CONN_{conn_id.upper()}, for example to "
        "https://login:password@api.example.com"
    )


def _verdict(answer: Responded | Failed, path: str) -> tuple[bool, str]:
    from airflow_asyncjob.protocol.messages import Failed

    if isinstance(answer, Failed) and answer.error is not None:
        return False, answer.error.message
    if isinstance(answer, Failed):
        return False, f"{answer.sent} was not answered: {answer.detail}"
    response = answer.response
    seen = f"{response.sent} answered {response.code}"
    if response.code in _DENIED:
        return False, f"{seen}: the credentials are missing or refused. It said: {response.excerpt}"
    if 200 <= response.code < 300:
        return True, seen
    if path or response.code >= 500:
        return False, f"{seen}; expected 2xx. It said: {response.excerpt}"
    return True, (
        f"{seen}: the API is reached; whether it takes the credentials is not known. Set test_path in the "
        "connection to a path that answers 2xx to find out."
    )
