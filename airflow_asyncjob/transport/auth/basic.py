"""Basic authentication (RFC 7617): login and password, UTF-8."""

from __future__ import annotations

import base64

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.errors import ConnectionSetupError
from airflow_asyncjob.transport.auth.base import Credentials, HeaderCredentials, name_of
from airflow_asyncjob.transport.settings import ConnectionSettings

__all__ = ["build"]


def build(auth: Auth, settings: ConnectionSettings) -> Credentials | None:
    """Return basic credentials; an empty password is allowed, as many APIs take a key as the login.

    :raises ConnectionSetupError: there is no login, or it holds a colon.
    """
    if not settings.login:
        raise ConnectionSetupError(f"auth basic needs a login, and {name_of(settings)} has none")
    if ":" in settings.login:
        raise ConnectionSetupError(
            f"the login of {name_of(settings)} holds a colon, which basic authentication cannot send"
        )
    pair = base64.b64encode(f"{settings.login}:{settings.password or ''}".encode()).decode()
    return HeaderCredentials({"Authorization": f"Basic {pair}"}, settings)
