"""Access tokens of the fake vendors: OAuth 2 token endpoints (RFC 6749) whose tokens expire."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from typing import Literal
from urllib.parse import parse_qsl

from airflow_asyncjob.testing.api import Received, Reply, json_reply
from airflow_asyncjob.testing.clock import Clock
from airflow_asyncjob.testing.reading import basic_login, media_type

__all__ = ["AccessTokens"]


class AccessTokens:
    """Grants tokens, and knows those that it granted. Thread-safe.

    :param clock: what time it is.
    :param seconds: life of a token.
    :param prefix: what each of them begins with.
    """

    def __init__(self, clock: Clock, seconds: int, prefix: str = "") -> None:
        self._clock = clock
        self._seconds = seconds
        self._prefix = prefix
        self._granted: dict[str, float] = {}
        self._lock = threading.Lock()

    def grant(
        self,
        request: Received,
        grant_type: Literal["client_credentials", "refresh_token"],
        client: tuple[str, str],
        *,
        basic: bool = False,
        more: Mapping[str, str] | None = None,
    ) -> Reply:
        """Answer a request for a token, with the errors of RFC 6749, 5.2.

        :param client: client ID and secret.
        :param basic: they come by basic authentication; else as fields.
        :param more: fields that must be as said, such as ``refresh_token``: a wrong one is an invalid grant.
        """
        given = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        if media_type(request) != "application/x-www-form-urlencoded":
            return _error(400, "invalid_request", "the body is not a form")
        if given.get("grant_type") != grant_type:
            return _error(400, "unsupported_grant_type", f"the grant type is not {grant_type}")
        shown = basic_login(request) if basic else f"{given.get('client_id')}:{given.get('client_secret')}"
        if shown != ":".join(client):
            return _error(401, "invalid_client", "Client authentication failed")
        for name, value in (more or {}).items():
            if given.get(name) != value:
                return _error(400, "invalid_grant", f"The request has an invalid grant parameter: {name}")
        token = self._prefix + secrets.token_urlsafe(24)
        with self._lock:
            self._granted[token] = self._clock.time() + self._seconds
        return json_reply(200, {"access_token": token, "token_type": "bearer", "expires_in": self._seconds})

    def trouble(self, token: str) -> Literal["missing", "unknown", "expired"] | None:
        """Return what is wrong with a token; None: it is good."""
        with self._lock:
            expires = self._granted.get(token)
        if expires is not None:
            return "expired" if self._clock.time() >= expires else None
        return "unknown" if token else "missing"


def _error(code: int, error: str, description: str) -> Reply:
    return json_reply(code, {"error": error, "error_description": description})
