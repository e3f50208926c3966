"""The fake of a Google API whose methods are long-running operations.

Behaviour follows the public documentation, read 2026-11-22:

- the resource Operation (``name``, ``metadata``, ``done``, ``error`` or ``response``),
  docs.cloud.google.com/web-risk/docs/reference/rest/v1/projects.operations;
- the method cancel, docs.cloud.google.com/vertex-ai/docs/reference/rest/v1/operations/cancel, and the like
  page of every service: it needs an empty body, answers with an empty object, and makes the operation one
  with an error of code 1, CANCELLED.

Not found there, and so chosen here: the shape of an answer that is an error (``error`` with ``code``,
``message``, ``status``) and its words, the errors of the token endpoint (RFC 6749, 5.2), what the response
holds (what was asked for), the type of the metadata. Google's token endpoint is another host, and the same
port here.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any

from airflow_asyncjob.testing.api import Api, FileStore, Received, Reply, Route, json_reply
from airflow_asyncjob.testing.clock import Clock
from airflow_asyncjob.testing.reading import bearer_token, iso_time, json_body
from airflow_asyncjob.testing.tokens import AccessTokens

__all__ = ["GoogleApi", "GoogleOptions"]

_TOKEN = "/token"  # noqa: S105 - a path
_START = re.compile(r"/v1/(projects/[^/]+/locations/[^/]+)/([a-z]+):([a-z]+)")
_OPERATION = re.compile(r"/v1/(projects/[^/]+/locations/[^/]+/operations/[^/:]+)(:cancel)?")
_STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND"}


@dataclass
class GoogleOptions:
    """Options of ``FakeJobServer("google")``: long-running operations.

    :param seconds: how long an operation takes; 0: it is done in the answer that starts it.
    :param error: code and message of the error that an operation ends with, as ``8 quota is used up``; empty:
        it ends with a response.
    :param client_id: of the token endpoint, as are the next two.
    :param client_secret: of the client.
    :param refresh_token: of the user's authorisation.
    """

    seconds: float = 2.0
    error: str = ""
    client_id: str = "tests.apps.googleusercontent.com"
    client_secret: str = "GOCSPX-for-tests"  # noqa: S105 - of the fake server
    refresh_token: str = "1//a-refresh-token-for-tests"  # noqa: S105 - of the fake server


@dataclass
class _Operation:
    name: str
    target: str
    asked: Any
    created_at: float
    cancelled: bool = False


class GoogleApi(Api):
    """``POST /v1/projects/P/locations/L/COLLECTION:VERB`` starts an operation, which echoes its body."""

    options_class = GoogleOptions
    options: GoogleOptions

    def __init__(self, clock: Clock, files: FileStore, options: GoogleOptions) -> None:
        super().__init__(clock, files, options)
        self._tokens = AccessTokens(clock, 3599, "ya29.")
        self._operations: dict[str, _Operation] = {}
        self._lock = threading.Lock()

    def credentials(self) -> dict[str, Any]:
        """Return client and refresh token, and the address of the token endpoint here."""
        extra = {"refresh_token": self.options.refresh_token, "token_url": self.url + _TOKEN}
        return {"login": self.options.client_id, "password": self.options.client_secret, "extra": extra}

    def route(self, request: Received) -> Route:
        """Say what a request is for."""
        if request.method == "POST" and _START.fullmatch(request.path):
            return Route("submit")
        match = _OPERATION.fullmatch(request.path)
        if match is None:
            return Route("other")
        if match[2] and request.method == "POST":
            return Route("cancel", match[1])
        return Route("poll" if request.method == "GET" and not match[2] else "other", match[1])

    def running(self) -> list[str]:
        """Return the names of the operations that are not done."""
        with self._lock:
            return [one.name for one in self._operations.values() if not self._is_done(one)]

    def answer(self, request: Received) -> Reply:
        """Execute a request."""
        options = self.options
        if (request.method, request.path) == ("POST", _TOKEN):
            client = (options.client_id, options.client_secret)
            return self._tokens.grant(
                request, "refresh_token", client, more={"refresh_token": options.refresh_token}
            )
        trouble = self._tokens.trouble(bearer_token(request))
        if trouble is not None:
            return _error(401, f"The access token is {trouble}.")
        route = self.route(request)
        if route.purpose == "submit":
            return self._start(request)
        with self._lock:
            operation = self._operations.get(route.job_id or "")
        if operation is None or route.purpose == "other":
            return _error(404, f"{request.method} {request.path}: there is no such resource.")
        if route.purpose == "cancel":
            if request.size:
                return _error(400, "The request body of cancel must be empty.")
            with self._lock:
                operation.cancelled = operation.cancelled or not self._is_done(operation)
            return json_reply(200, {}, job_id=operation.name)
        return json_reply(200, self._described(operation), job_id=operation.name)

    def _start(self, request: Received) -> Reply:
        match, asked = _START.fullmatch(request.path), json_body(request)
        if match is None or not isinstance(asked, dict):
            return _error(400, "Invalid JSON payload received: an object is expected.")
        with self._lock:
            name = f"{match[1]}/operations/operation-{len(self._operations) + 1}"
            operation = _Operation(name, f"{match[1]}/{match[2]}", asked, self.clock.time())
            self._operations[name] = operation
        return json_reply(200, self._described(operation), job_id=name, created=True)

    def _is_done(self, operation: _Operation) -> bool:
        return operation.cancelled or self.clock.time() >= operation.created_at + self.options.seconds

    def _described(self, operation: _Operation) -> dict[str, Any]:
        metadata = {
            "@type": "type.googleapis.com/example.v1.OperationMetadata",
            "createTime": iso_time(operation.created_at),
            "target": operation.target,
        }
        described: dict[str, Any] = {"name": operation.name, "metadata": metadata}
        if not self._is_done(operation):
            return described  # proto3's JSON leaves out what is false
        described["done"] = True
        if operation.cancelled:
            return {**described, "error": {"code": 1, "message": "The operation was cancelled."}}
        if self.options.error:
            code, _, message = self.options.error.partition(" ")
            return {**described, "error": {"code": int(code), "message": message}}
        response = {"@type": "type.googleapis.com/example.v1.Response", **operation.asked}
        return {**described, "response": response}


def _error(code: int, message: str) -> Reply:
    return json_reply(code, {"error": {"code": code, "message": message, "status": _STATUS[code]}})
