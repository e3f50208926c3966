"""The fake of Azure Resource Manager, whose operations are asynchronous.

Behaviour follows the public documentation, read 2026-11-22:

- Track asynchronous Azure operations
  (learn.microsoft.com/azure/azure-resource-manager/management/async-operations): 201 or 202 with the header
  ``Azure-AsyncOperation`` or ``Location``, and ``Retry-After``; ``status`` or
  ``properties.provisioningState``, of which Succeeded, Failed and Canceled are the ends;
- async-api-reference.md of github.com/Azure/azure-resource-manager-rpc: a ``Location`` answers 202 without a
  body while the operation runs, an ``Azure-AsyncOperation`` 200 with the status;
- LROs in azure/Guidelines.md of github.com/microsoft/api-guidelines: ``Operation-Location``;
- the v2.0 token endpoint, learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow.

Chosen here: the words of the errors, and the code of an operation at a ``Location`` that failed, 409. The
token endpoint is another host at Microsoft, and the same port here. Nobody is refused for polling too early:
the documentation does not say so.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any, Literal, get_args

from airflow_asyncjob.testing.api import Api, FileStore, Received, Reply, Route, json_reply
from airflow_asyncjob.testing.clock import Clock
from airflow_asyncjob.testing.reading import bearer_token, iso_time, json_body
from airflow_asyncjob.testing.tokens import AccessTokens

__all__ = ["AzureApi", "AzureOptions"]

Habit = Literal["Azure-AsyncOperation", "Operation-Location", "Location", "provisioningState"]
End = Literal["Succeeded", "Failed", "Canceled"]
_RESOURCE = re.compile(r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/[^/]+/[^/]+/[^/]+(/[a-z]+)?")
_OPERATION = re.compile(r"/subscriptions/tests/providers/Microsoft\.Fake/operations/([^/]+)")
_SCOPE = "https://management.azure.com/.default"


@dataclass
class AzureOptions:
    """Options of ``FakeJobServer("azure")``: asynchronous operations.

    :param habit: where the answer that starts an operation says how to follow it: one of three headers, or
        nowhere, so that the resource itself is asked for its ``provisioningState``.
    :param seconds: how long an operation takes.
    :param ends: how it ends.
    :param retry_after: seconds that the header ``Retry-After`` asks to wait; 0: it is not sent.
    :param tenant_id: of the token endpoint's path.
    :param client_id: of the application, as is the next.
    :param client_secret: of its service principal.
    """

    habit: Habit = "Azure-AsyncOperation"
    seconds: float = 2.0
    ends: End = "Succeeded"
    retry_after: int = 0
    tenant_id: str = "00000000-0000-0000-0000-00000000000a"
    client_id: str = "00000000-0000-0000-0000-0000000000c1"
    client_secret: str = "secret~for-tests"  # noqa: S105 - of the fake server

    def __post_init__(self) -> None:
        for name, kind in (("habit", Habit), ("ends", End)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name} is one of {', '.join(get_args(kind))}, not {getattr(self, name)!r}")


@dataclass
class _Operation:
    id: str
    path: str
    asked: Any
    created_at: float


class AzureApi(Api):
    """``PUT .../providers/NAMESPACE/TYPE/NAME`` and ``POST .../NAME/ACTION`` start an operation."""

    options_class = AzureOptions
    options: AzureOptions

    def __init__(self, clock: Clock, files: FileStore, options: AzureOptions) -> None:
        super().__init__(clock, files, options)
        self._tokens = AccessTokens(clock, 3599, "eyJ0.")
        self._operations: dict[str, _Operation] = {}
        self._lock = threading.Lock()

    def credentials(self) -> dict[str, Any]:
        """Return the service principal, and the address of the token endpoint here."""
        options = self.options
        extra = {"tenant_id": options.tenant_id, "token_url": self.url + self._token_path}
        return {"login": options.client_id, "password": options.client_secret, "extra": extra}

    @property
    def _token_path(self) -> str:
        return f"/{self.options.tenant_id}/oauth2/v2.0/token"

    def route(self, request: Received) -> Route:
        """Say what a request is for."""
        match = _OPERATION.fullmatch(request.path)
        if match:
            return Route("poll" if request.method == "GET" else "other", match[1])
        resource = _RESOURCE.fullmatch(request.path)
        if resource is None:
            return Route("other")
        if request.method == ("POST" if resource[1] else "PUT"):
            return Route("submit")
        operation = self._last(request.path) if request.method == "GET" else None
        return Route("poll", operation.id) if operation else Route("other")

    def running(self) -> list[str]:
        """Return the IDs of the operations that have not ended."""
        with self._lock:
            return [one.id for one in self._operations.values() if self._status(one) == "InProgress"]

    def answer(self, request: Received) -> Reply:
        """Execute a request."""
        if (request.method, request.path) == ("POST", self._token_path):
            client = (self.options.client_id, self.options.client_secret)
            return self._tokens.grant(request, "client_credentials", client, more={"scope": _SCOPE})
        trouble = self._tokens.trouble(bearer_token(request))
        if trouble is not None:
            return _error(401, "AuthenticationFailed", f"Authentication failed. The token is {trouble}.")
        if not request.query.get("api-version"):
            return _error(400, "MissingApiVersionParameter", "The api-version query parameter is required.")
        route = self.route(request)
        if route.purpose == "submit":
            return self._start(request)
        with self._lock:
            operation = self._operations.get(route.job_id or "")
        if operation is None or route.purpose != "poll":
            return _error(404, "NotFound", f"{request.method} {request.path}: there is no such resource.")
        if request.path == operation.path:
            return json_reply(200, self._resource(operation), job_id=operation.id)
        return self._polled(operation)

    def _start(self, request: Received) -> Reply:
        asked = json_body(request) if request.size else {}
        if not isinstance(asked, dict):
            return _error(400, "InvalidRequestContent", "The request content is not a JSON object.")
        with self._lock:
            number = f"operation-{len(self._operations) + 1}"
            operation = _Operation(number, request.path, asked, self.clock.time())
            self._operations[number] = operation
        headers = self._waiting()
        if self.options.habit != "provisioningState":
            path = f"/subscriptions/tests/providers/Microsoft.Fake/operations/{number}"
            headers[self.options.habit] = f"{self.url}{path}?api-version=2024-01-01"
        if request.method == "PUT":
            body = self._resource(operation)
            return json_reply(201, body, headers=headers, job_id=number, created=True)
        return Reply(202, b"", headers, job_id=number, created=True)

    def _waiting(self) -> dict[str, str]:
        return {"Retry-After": str(self.options.retry_after)} if self.options.retry_after else {}

    def _last(self, path: str) -> _Operation | None:
        with self._lock:
            found = [one for one in self._operations.values() if one.path == path]
        return found[-1] if found else None

    def _status(self, operation: _Operation) -> str:
        ended = self.clock.time() >= operation.created_at + self.options.seconds
        return self.options.ends if ended else "InProgress"

    def _resource(self, operation: _Operation) -> dict[str, Any]:
        status = self._status(operation)
        state = "Creating" if status == "InProgress" else status
        properties = {**operation.asked.get("properties", {}), "provisioningState": state}
        return {"id": operation.path, **operation.asked, "properties": properties}

    def _polled(self, operation: _Operation) -> Reply:
        status = self._status(operation)
        waiting = self._waiting() if status == "InProgress" else {}
        error = {"code": "Conflict", "message": "the disk is in use"}
        if self.options.habit == "Location":
            if status == "InProgress":
                return Reply(202, b"", waiting, job_id=operation.id)
            if status == "Succeeded":
                return json_reply(200, self._resource(operation), job_id=operation.id)
            return json_reply(409, {"error": error}, job_id=operation.id)
        body: dict[str, Any] = {"name": operation.id, "status": status}
        body["startTime"] = iso_time(operation.created_at)
        if status == "Succeeded":
            body["properties"] = operation.asked
        elif status == "Failed":
            body["error"] = error
        return json_reply(200, body, headers=waiting, job_id=operation.id)


def _error(code: int, name: str, message: str) -> Reply:
    return json_reply(code, {"error": {"code": name, "message": message}})
