"""Several headers, each made of the connection's fields by a template."""

from __future__ import annotations

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.transport.auth.base import Credentials, HeaderCredentials
from airflow_asyncjob.transport.auth.templates import connection_names, rendered, secret_values
from airflow_asyncjob.transport.settings import ConnectionSettings

__all__ = ["build"]


def build(auth: Auth, settings: ConnectionSettings) -> Credentials | None:
    """Return the headers of ``auth.headers``.

    :raises ConnectionSetupError: a template cannot be rendered, gives nothing, or gives what no header holds.
    """
    values = rendered(auth.headers, connection_names(settings), settings, "auth.headers")
    found = HeaderCredentials(values, settings)
    found.secrets = secret_values(auth.headers, values, settings)
    return found
