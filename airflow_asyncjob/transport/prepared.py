"""Prepared: a request that is ready to go, or why it never goes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from airflow_asyncjob.errors import AsyncJobError
from airflow_asyncjob.protocol.messages import Purpose
from airflow_asyncjob.transport.address import origin_of
from airflow_asyncjob.transport.auth import Credentials
from airflow_asyncjob.transport.trace import shape_of
from airflow_asyncjob.transport.upload import Upload

__all__ = ["Prepared", "RefusedHereError"]


class RefusedHereError(Exception):
    """The request is never sent; the text says why, and may hold secrets.

    :param sent: method and URL for people, secrets removed.
    :param error: the error of the definition that is the reason; None: there is none.
    """

    def __init__(self, sent: str, detail: str, error: AsyncJobError | None = None) -> None:
        super().__init__(detail)
        self.sent = sent
        self.detail = detail
        self.error = error


@dataclass(frozen=True)
class Prepared:
    """A request that is ready to go.

    :param auth: puts credentials on it when it is sent; None: nothing does.
    :param own: whether it goes to the connection's own origin.
    :param guard: see :class:`~airflow_asyncjob.transport.sockets.Underway`.
    :param sent: method and URL for people, secrets removed.
    :param content_type: of its body; None: it has none, or none is said.
    :param upload: its body, where there are files in it; None: there is none.
    :param bare: why it carries no credentials, for people; empty: it carries some, or has its own.
    :param step: see :class:`~airflow_asyncjob.protocol.messages.Send`.
    :param hops: how many redirects led here.
    :param wall: when it began, seconds since the epoch.
    :param started: the same on the monotonic clock.
    """

    purpose: Purpose
    request: httpx.Request
    auth: Credentials | None
    own: bool
    guard: str | None
    sent: str
    content_type: str | None
    upload: Upload | None = None
    bare: str = ""
    step: str = ""
    hops: int = 0
    wall: float = field(default_factory=time.time)
    started: float = field(default_factory=time.monotonic)

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return len(self.request.content) if self.upload is None else self.upload.size

    @property
    def shape(self) -> Any:
        """Names and types of the body, without its values; None: there is no body."""
        return shape_of(self.request.content, self.content_type) if self.upload is None else self.upload.shape

    def release(self) -> None:
        """Close the files of the body, and let go of a part of an upload.

        httpx leaves a circle of request and answer behind, which stays until Python looks for circles: with a
        part in each, that is more than a machine has.
        """
        if self.upload is not None:
            self.upload.close()
            vars(self.request).pop("_content", None)

    @property
    def host(self) -> str:
        """Host and port, for people."""
        _, host, port = origin_of(self.request.url)
        return f"{host}:{port}"
