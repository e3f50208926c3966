"""What the HTTP layer and the kinds of fake API have in common: requests, replies, files."""

from __future__ import annotations

import io
import json
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal

from airflow_asyncjob.testing.clock import Clock
from airflow_asyncjob.testing.ledger import Purpose
from airflow_asyncjob.testing.records import Records
from airflow_asyncjob.testing.webhooks import Webhooks

__all__ = ["Api", "FileStore", "Host", "Received", "Reply", "Route", "json_reply"]

Host = Literal["api", "files"]


@dataclass(frozen=True)
class Received:
    """One request as it came.

    :param host: which port it came to.
    :param method: HTTP method.
    :param path: decoded path.
    :param query: name: first value.
    :param headers: names in lower case.
    :param size: bytes of the body.
    :param content: the body: bytes, or a file where it is large.
    """

    host: Host
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    size: int
    content: bytes | BinaryIO

    @property
    def body(self) -> bytes:
        """The whole body. Of a large one, use :meth:`open`."""
        return self.open().read()

    def open(self) -> BinaryIO:
        """Return the body as a file at its start. One at a time: a large body has one file for all."""
        if isinstance(self.content, bytes):
            return io.BytesIO(self.content)
        self.content.seek(0)
        return self.content

    def start(self, size: int) -> bytes:
        """Return the first bytes of the body, at most this many."""
        return self.open().read(size)


@dataclass(frozen=True)
class Reply:
    """One answer.

    :param body: bytes, or a file that is sent in pieces.
    :param part: first byte and number of bytes of it that are sent; None: all.
    :param job_id: the job that it is about.
    :param created: the request created that job.
    """

    code: int
    body: bytes | Path = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    job_id: str | None = None
    created: bool = False
    part: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        """Bytes of the body that are sent."""
        return self.whole if self.part is None else self.part[1]

    @property
    def whole(self) -> int:
        """Bytes of the whole body."""
        return self.body.stat().st_size if isinstance(self.body, Path) else len(self.body)


@dataclass(frozen=True)
class Route:
    """What a request is for, told from its method and path alone."""

    purpose: Purpose
    job_id: str | None = None


class FileStore:
    """Result files, each written once, on disk so that memory does not grow with them."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files: dict[str, Path] = {}
        self._lock = threading.Lock()

    def get(self, key: str, write: Callable[[BinaryIO], None]) -> Path:
        """Return the file of this key, written with ``write`` when it is not there yet."""
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="asyncjob-fake-")
            path = self._files.get(key)
            if path is None:
                path = Path(self._folder.name) / str(len(self._files))
                with path.open("wb") as file:
                    write(file)
                self._files[key] = path
            return path

    def close(self) -> None:
        """Remove all files."""
        with self._lock:
            self._files.clear()
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None


class Api(ABC):
    """One kind of fake API. Its methods are called from many threads at once.

    :param clock: what time it is for the jobs.
    :param files: where result files are kept.
    :param options: an instance of :attr:`options_class`.
    """

    options_class: ClassVar[type[Any]]
    """A dataclass: the keyword arguments of this kind."""
    has_file_host: ClassVar[bool] = False
    """Whether results are served from a second port."""

    def __init__(self, clock: Clock, files: FileStore, options: Any) -> None:
        self.clock = clock
        self.files = files
        self.options = options
        self.records = Records()
        self.webhooks = Webhooks(clock)
        self.url = ""
        self.files_url = ""

    def credentials(self) -> dict[str, Any]:
        """Return what of a connection holds the accepted credentials: ``login``, ``password``, ``extra``."""
        return {}

    @abstractmethod
    def route(self, request: Received) -> Route:
        """Say what a request is for, without executing it."""

    @abstractmethod
    def answer(self, request: Received) -> Reply:
        """Execute a request."""

    @abstractmethod
    def running(self) -> list[str]:
        """Return the IDs of the jobs that have not ended."""


def json_reply(code: int, value: Any, **rest: Any) -> Reply:
    """Return an answer with a JSON body."""
    headers = {"Content-Type": "application/json", **rest.pop("headers", {})}
    return Reply(code, json.dumps(value, ensure_ascii=False).encode() + b"\n", headers, **rest)
