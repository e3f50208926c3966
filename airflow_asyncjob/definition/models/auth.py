"""Auth: how credentials are sent."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from airflow_asyncjob.definition.models.auth_kinds import AuthKinds, Kind, RequestAuth
from airflow_asyncjob.definition.models.base import mistakes
from airflow_asyncjob.definition.models.steps import Steps

__all__ = ["Auth"]

_OF_A_LOGIN = ("basic", "bearer", "api_key", "headers", "aws_sigv4")


class Auth(AuthKinds):
    """How the connection's credentials are sent. The secrets themselves stay in the Airflow connection."""

    type: Kind | Literal["session"] = Field(description="Kind of authentication.")
    login: Steps | None = Field(
        default=None,
        description="session: the login requests, which see {{ connection.login }}, "
        "{{ connection.password }} and what an earlier one captured. Sent when the first request needs "
        "it, and once more after a 401.",
    )

    @model_validator(mode="after")
    def _plain_login(self) -> Auth:
        """Find what a login cannot do: repeat a step, or need a login itself."""
        found = []
        for position, step in enumerate(self.login or ()):
            auth = step.request.auth
            if step.each is not None:
                found.append((f"login.{position}.each", "a login sends each of its requests once"))
            if isinstance(auth, RequestAuth) and (auth.connection or auth.type not in _OF_A_LOGIN):
                valid = ", ".join(_OF_A_LOGIN)
                found.append(
                    (
                        f"login.{position}.request.auth",
                        f"a login request has no `connection`, and a type of: {valid}",
                    )
                )
        if found:
            raise mistakes(found)
        return self
