"""How credentials are put on a request: one file for each kind, found by its name.

A kind is a function ``build(auth, settings) -> Credentials | None`` that checks what it needs when the
connection is opened. Secrets come from the connection only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.definition.models.auth_kinds import RequestAuth
from airflow_asyncjob.transport.auth import (
    api_key,
    aws_sigv4,
    basic,
    bearer,
    custom,
    headers,
    none,
    oauth2,
    session,
)
from airflow_asyncjob.transport.auth.base import Credentials
from airflow_asyncjob.transport.settings import ConnectionSettings

__all__ = ["KINDS", "Credentials", "auth_of_request", "build_auth", "build_s3_auth"]

KINDS: Mapping[str, Callable[[Auth, ConnectionSettings], Credentials | None]] = MappingProxyType(
    {
        "none": none.build,
        "basic": basic.build,
        "bearer": bearer.build,
        "api_key": api_key.build,
        "headers": headers.build,
        "aws_sigv4": aws_sigv4.build,
        "oauth2": oauth2.build,
        "session": session.build,
        "callable": custom.build,
    }
)


def auth_of_request(wanted: RequestAuth) -> Auth | None:
    """Return how the credentials of one request are sent; None: as its connection says."""
    if wanted.type is None:
        return None
    return Auth.model_validate(wanted.model_dump(by_alias=True, exclude_unset=True, exclude={"connection"}))


def build_auth(auth: Auth | None, settings: ConnectionSettings) -> Credentials | None:
    """Return what signs requests to the connection's own origin; None: nothing does.

    :param auth: the definition's setting; None: the connection's, and without one basic when there is a
        login.
    :raises ConnectionSetupError: the connection lacks what the kind needs.
    """
    chosen = auth or settings.auth or Auth(type="basic" if settings.login else "none")
    return KINDS[chosen.type](chosen, settings)


def build_s3_auth(auth: Auth | None, settings: ConnectionSettings) -> Credentials | None:
    """Return what signs a request for an S3 URI: with ``aws_sigv4`` the same keys, for the service s3
    whatever service the connection is for; None: the auth is of another kind.

    :raises ConnectionSetupError: the connection lacks what the kind needs.
    """
    chosen = auth or settings.auth
    if chosen is None or chosen.type != "aws_sigv4":
        return None
    return build_auth(chosen.model_copy(update={"service": "s3"}), settings)
