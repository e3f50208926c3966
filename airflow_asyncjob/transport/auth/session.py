"""A session: login requests whose answers give what every later request carries."""

from __future__ import annotations

from typing import Any

from airflow_asyncjob.definition.extract import extract
from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.errors import ConnectionSetupError, DefinitionError, LoginError, UnreadableError
from airflow_asyncjob.protocol.answers import said, see, transient
from airflow_asyncjob.protocol.messages import Purpose, Responded, Response, Send
from airflow_asyncjob.transport.auth.base import Credentials, HeaderCredentials, name_of
from airflow_asyncjob.transport.auth.login import Course, Grant, Login, not_now
from airflow_asyncjob.transport.auth.templates import connection_names, rendered
from airflow_asyncjob.transport.redact import is_sensitive_name
from airflow_asyncjob.transport.settings import ConnectionSettings

__all__ = ["build"]


class _Session(Login):
    def __init__(self, auth: Auth, settings: ConnectionSettings) -> None:
        super().__init__(auth, settings)
        self.headers = tuple(auth.headers)
        self.queries = tuple(auth.query) if isinstance(auth.query, dict) else ()
        self.names = (*self.headers, *self.queries)

    def course(self) -> Course:
        """Send the login requests in their order."""
        captures: dict[str, Any] = {}
        names = {**connection_names(self.settings), "captures": captures}
        for position, step in enumerate(self.auth.login or ()):
            where = f"auth.login[{position}]"
            response: Response = yield Send(Purpose.AUTH, step.request, dict(names), where=f"{where}.request")
            if transient(response.code):
                raise not_now(response)
            if response.code >= 400:
                raise LoginError(
                    f"The login is refused at {step.name}: {said(Responded(response))}. Correct the "
                    f"login and the password of {name_of(self.settings)}, or {where}.request"
                )
            seen = see(response, step.request.response, (), captures, where)
            for name, extractor in step.capture.items():
                place = f"{where}.capture.{name}"
                try:
                    if seen.trouble is not None and extractor.path is not None:
                        raise seen.trouble
                    captures[name] = extract(extractor, seen.view, names=names, where=place)
                except (UnreadableError, DefinitionError) as error:
                    raise LoginError(
                        f"The login cannot be read at {step.name}: {said(Responded(response))}. "
                        f"{error.message}. Does this answer say that login or password are wrong?"
                    ) from None
        return self._grant(names)

    def _grant(self, names: dict[str, Any]) -> Grant:
        auth, settings = self.auth, self.settings
        query = auth.query if isinstance(auth.query, dict) else {}
        try:
            headers = rendered(auth.headers, names, settings, "auth.headers")
            params = rendered(query, names, settings, "auth.query")
            HeaderCredentials(headers, settings, "what the login gave")
        except ConnectionSetupError as error:
            raise LoginError(f"The login gave nothing to send: {error.message}") from None
        values = {*headers.values(), *params.values()}
        values |= {str(value) for name, value in names["captures"].items() if is_sensitive_name(name)}
        return Grant(headers, params, frozenset(values | {value.rsplit(" ", 1)[-1] for value in values}))


def build(auth: Auth, settings: ConnectionSettings) -> Credentials | None:
    """Return what logs in when the first request needs it, and again when one is refused."""
    return _Session(auth, settings)
