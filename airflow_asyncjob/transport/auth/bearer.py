"""A bearer token (RFC 6750): the password of the connection."""

from __future__ import annotations

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.transport.auth.base import Credentials, HeaderCredentials, need_password
from airflow_asyncjob.transport.settings import ConnectionSettings

__all__ = ["build"]


def build(auth: Auth, settings: ConnectionSettings) -> Credentials | None:
    """Return the token as ``Authorization: Bearer``; a login is not used.

    :raises ConnectionSetupError: there is no password.
    """
    return HeaderCredentials(
        {"Authorization": f"Bearer {need_password(settings, 'bearer', 'the token')}"}, settings
    )
