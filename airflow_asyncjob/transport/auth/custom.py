"""A Python callable of the team's own: whatever no other kind can say, as an ``httpx.Auth``.

It is code, and is trusted as the definition is: the team owns both. So it is named in definitions only, never
in a connection, which other people may edit; and it lies in a module of the team's, never in Python's own.

What it does NOT get: any origin but the connection's, and any wait or repeat of the protocol. A request that
it sends itself before ours counts as sent, so that a submit that fails then is uncertain.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx

from airflow_asyncjob.definition.imported import import_callable
from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.errors import AsyncJobError, ConnectionSetupError, DefinitionError
from airflow_asyncjob.transport.auth.base import Credentials, name_of
from airflow_asyncjob.transport.redact import Redactor
from airflow_asyncjob.transport.settings import ConnectionSettings

__all__ = ["build"]


class _Custom(Credentials):
    """Runs the auth of the team's, hides what it adds, and tells its errors.

    :param path: where it came from, for messages.
    """

    headers = ("Authorization",)
    names = ("Authorization",)

    def __init__(self, path: str, inner: httpx.Auth) -> None:
        self._path = path
        self._inner = inner
        self._redactor: Redactor | None = None

    def watch(self, redactor: Redactor) -> None:
        """Have what it adds hidden."""
        self._redactor = redactor

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Put it on a request; a body is read of the answers to its own requests only."""
        inner = self._inner
        if type(inner).sync_auth_flow is not httpx.Auth.sync_auth_flow:
            flow = inner.sync_auth_flow(request)
        else:
            flow = inner.auth_flow(request)
        self._whole(request)
        asked = self._next(flow, None, request)
        while asked is not None:
            response = yield asked
            if inner.requires_response_body and asked is not request:
                response.read()
            asked = self._next(flow, response, request)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do what :meth:`sync_auth_flow` does, without blocking."""
        inner = self._inner
        if type(inner).async_auth_flow is not httpx.Auth.async_auth_flow:
            own = inner.async_auth_flow(request)
            asked = await self._anext(own, None, request)
            while asked is not None:
                asked = await self._anext(own, (yield asked), request)
            return
        flow = inner.auth_flow(request)
        self._whole(request)
        asked = self._next(flow, None, request)
        while asked is not None:
            response = yield asked
            if inner.requires_response_body and asked is not request:
                await response.aread()
            asked = self._next(flow, response, request)

    def _whole(self, request: httpx.Request) -> None:
        """Refuse to read a file that is streamed: it may be larger than the memory."""
        if self._inner.requires_request_body and not isinstance(request.stream, httpx.ByteStream):
            raise ConnectionSetupError(
                f"auth.callable {self._path} needs the whole body of a request "
                "(requires_request_body), and this one streams a file, which is never held in memory; "
                "sign such a request without its body"
            )

    def _next(
        self, flow: Generator[Any, Any, None], response: httpx.Response | None, request: httpx.Request
    ) -> httpx.Request | None:
        before = dict(request.headers)
        try:
            asked: httpx.Request = next(flow) if response is None else flow.send(response)
        except StopIteration:
            return None
        except Exception as error:
            raise self._failed(error) from error
        self._hide(asked, before)
        return asked

    async def _anext(
        self, flow: AsyncGenerator[Any, Any], response: httpx.Response | None, request: httpx.Request
    ) -> httpx.Request | None:
        before = dict(request.headers)
        try:
            asked: httpx.Request = await (anext(flow) if response is None else flow.asend(response))
        except StopAsyncIteration:
            return None
        except Exception as error:
            raise self._failed(error) from error
        self._hide(asked, before)
        return asked

    def _hide(self, asked: httpx.Request, before: dict[str, str]) -> None:
        added = {name: value for name, value in asked.headers.items() if before.get(name) != value}
        for usual in ("host", "accept", "accept-encoding", "connection", "user-agent", "content-length"):
            added.pop(usual, None)
        if self._redactor is not None and added:
            values = {*added.values(), *(value.rsplit(" ", 1)[-1] for value in added.values())}
            self._redactor.learn(values, added)

    def _failed(self, error: Exception) -> AsyncJobError:
        if isinstance(error, AsyncJobError):
            return error
        return ConnectionSetupError(
            f"auth.callable {self._path} failed on a request: {type(error).__name__}: {error}. Correct it"
        )


def build(auth: Auth, settings: ConnectionSettings) -> Credentials | None:
    """Return what the callable makes of the connection.

    :raises ConnectionSetupError: it cannot be imported, fails, or makes something else.
    """
    path = str(auth.callable)
    try:
        made = import_callable(path, "auth.callable")(settings)
    except DefinitionError as error:
        raise ConnectionSetupError(error.message) from error
    except AsyncJobError:
        raise
    except Exception as error:
        raise ConnectionSetupError(
            f"auth.callable {path} failed for {name_of(settings)}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(made, httpx.Auth):
        raise ConnectionSetupError(
            f"auth.callable {path} returned a value of type {type(made).__name__}; it is called with the "
            "connection, and returns an httpx.Auth"
        )
    return _Custom(path, made)
