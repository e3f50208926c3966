"""No credentials."""

from __future__ import annotations

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.transport.auth.base import Credentials
from airflow_asyncjob.transport.settings import ConnectionSettings

__all__ = ["build"]


def build(auth: Auth, settings: ConnectionSettings) -> Credentials | None:
    """Return nothing: requests go out as they are."""
    return None
