"""What several fake APIs read from a request, and the times that they write."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

from airflow_asyncjob.testing.api import Received

__all__ = ["basic_login", "bearer_token", "iso_time", "json_body", "media_type", "whole_number"]


def basic_login(request: Received) -> str | None:
    """Return ``login:password`` of basic authentication; None when the request has none."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value, validate=True).decode()
    except ValueError:
        return None


def bearer_token(request: Received) -> str:
    """Return the token of bearer authentication; empty when the request has none."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value if scheme.lower() == "bearer" else ""


def media_type(request: Received) -> str:
    """Return the media type of the body in lower case, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def json_body(request: Received) -> Any:
    """Return the body as JSON; None when it is none."""
    try:
        return json.loads(request.body)
    except ValueError:
        return None


def whole_number(text: str | None, usual: int, least: int, most: int | None = None) -> int | None:
    """Return the number that a query parameter says.

    :param text: the parameter; None: it was not given.
    :returns: ``usual`` where it was not given; None where it is no whole number from ``least`` to ``most``.
    """
    if text is None:
        return usual
    if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
        return None
    return int(text)


def iso_time(seconds: float) -> str:
    """Return a time as ``2026-01-01T00:00:00Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
