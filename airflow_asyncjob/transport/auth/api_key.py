"""An API key in a header or in a query parameter: the password of the connection."""

from __future__ import annotations

from collections.abc import Generator

import httpx

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.transport.address import with_params
from airflow_asyncjob.transport.auth.base import Credentials, HeaderCredentials, need_password
from airflow_asyncjob.transport.settings import ConnectionSettings

__all__ = ["build"]


class _QueryKey(Credentials):
    def __init__(self, query: str, key: str) -> None:
        self.queries = self.names = (query,)
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.url = with_params(request.url, ((self.queries[0], self._key),))
        yield request


def build(auth: Auth, settings: ConnectionSettings) -> Credentials | None:
    """Return the key for ``auth.header`` (after ``auth.prefix``) or ``auth.query``.

    :raises ConnectionSetupError: there is no password.
    """
    if isinstance(auth.query, str):
        return _QueryKey(auth.query, need_password(settings, "api_key", f"the query parameter {auth.query}"))
    header = str(auth.header)
    key = need_password(settings, "api_key", f"the header {header}")
    return HeaderCredentials({header: f"{auth.prefix}{key}"}, settings)
