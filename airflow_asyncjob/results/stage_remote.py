"""Files of one result on an fsspec filesystem, aside until they are whole.

Three ways, by what the filesystem can do:

- S3 and Google Cloud Storage: the bytes go up in parts while they are written, and one last request makes the
  object appear (``autocommit=False``, ``commit``, ``discard`` of fsspec). A process that is killed leaves
  parts that nobody sees; the bucket's rule for incomplete uploads removes them.
- Azure: the bytes wait in a local file without a name, and go up when they are whole. The object appears with
  the last request. ``adlfs`` knows no ``autocommit``: to close a file is to commit it.
- every other filesystem: the same, but to a hidden name beside the destination, which is then moved over it.

The files of a folder always wait locally, so that none appears before all are whole.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from airflow_asyncjob.errors import AsyncJobError, DestinationError, DestinationUnreachableError
from airflow_asyncjob.results.destination import Destination
from airflow_asyncjob.results.spool import Spool

__all__ = ["RemoteStage", "explaining", "remove_remote"]

_FINAL = (
    PermissionError,
    FileNotFoundError,
    NotADirectoryError,
    IsADirectoryError,
    FileExistsError,
    NotImplementedError,
)
_COMMITS = frozenset({"s3", "s3a", "gs", "gcs"})
_PUTS_WHOLE = frozenset({*_COMMITS, "abfs", "abfss", "az"})


class RemoteStage:
    """The files of one result on an fsspec filesystem."""

    def __init__(self, destination: Destination, *, folder: bool) -> None:
        self._to = destination
        self._named = folder
        self._parts: list[tuple[str, _RemotePart]] = []
        protocol = destination.fs.protocol
        self._protocols = frozenset([protocol] if isinstance(protocol, str) else protocol)

    def part(self, name: str) -> _RemotePart:
        """Open the next file aside."""
        path = f"{self._to.path}/{name}" if self._named else self._to.path
        uri = f"{self._to.uri}{name}" if self._named else self._to.uri
        part: _RemotePart
        if not self._named and self._protocols & _COMMITS:
            part = _Upload(self._to.fs, path, uri)
        else:
            part = _Spooled(self._to.fs, path, uri, whole=bool(self._protocols & _PUTS_WHOLE))
        self._parts.append((uri, part))
        return part

    def commit(self) -> tuple[str, ...]:
        """Make the files appear."""
        for uri, part in self._parts:
            with explaining(uri):
                part.place()
        return tuple(uri for uri, _ in self._parts)

    def discard(self) -> None:
        """Remove everything that did not appear."""
        for _, part in self._parts:
            with suppress(Exception):
                part.discard()


class _RemotePart(Protocol):
    def write(self, data: bytes | memoryview) -> None: ...

    def finish(self) -> None: ...

    def place(self) -> None: ...

    def discard(self) -> None: ...


class _Upload:
    """One file that goes up while it is written."""

    def __init__(self, fs: Any, path: str, uri: str) -> None:
        self._uri = uri
        self._placed = False
        with explaining(uri):
            self._file = fs.open(path, "wb", autocommit=False)

    def write(self, data: bytes | memoryview) -> None:
        with explaining(self._uri):
            self._file.write(data)

    def finish(self) -> None:
        with explaining(self._uri):
            self._file.close()

    def place(self) -> None:
        self._file.commit()
        self._placed = True

    def discard(self) -> None:
        if not self._placed:
            # Closed first, or its finalizer would send the rest.
            self._file.closed = True
            self._file.discard()


class _Spooled:
    """One file that waits in a local file without a name."""

    def __init__(self, fs: Any, path: str, uri: str, *, whole: bool) -> None:
        self._fs = fs
        self._path = path
        self._uri = uri
        self._whole = whole
        self._aside: str | None = None
        self._spool = Spool(uri)

    def write(self, data: bytes | memoryview) -> None:
        self._spool.write(data)

    def finish(self) -> None:
        self._spool.rewind()

    def place(self) -> None:
        if self._whole:
            self._fs.put_file(f"/proc/self/fd/{self._spool.file.fileno()}", self._path)
        else:
            self._move_over()
        self._spool.file.close()

    def discard(self) -> None:
        self._spool.file.close()
        if self._aside is not None:
            self._fs.rm_file(self._aside)

    def _move_over(self) -> None:
        folder, _, name = self._path.rpartition("/")
        if folder:
            self._fs.makedirs(folder, exist_ok=True)
        self._aside = f"{folder}/.{name}.{secrets.token_hex(8)}.part"
        with self._fs.open(self._aside, "wb") as out:
            shutil.copyfileobj(self._spool.file, out, 1024 * 1024)
        self._fs.mv(self._aside, self._path)
        self._aside = None


def remove_remote(destination: Destination) -> None:
    """Remove a file, where there is one."""
    with explaining(destination.uri):
        # Asked for first: who may write need not be allowed to delete, and mostly there is nothing.
        if destination.fs.exists(destination.path):
            destination.fs.rm_file(destination.path)


@contextmanager
def explaining(uri: str) -> Iterator[None]:
    """Raise what a storage raises as an error that says what to do."""
    try:
        yield
    except AsyncJobError:
        raise
    except _FINAL as error:
        raise DestinationError(
            f"{uri} cannot be written: {type(error).__name__}: {error}. Check that the bucket or folder "
            "exists, and that the connection's credentials may write there."
        ) from error
    except Exception as error:
        if "Credential" in type(error).__name__:
            raise DestinationError(
                f"{uri} cannot be written: {error}. Give the storage credentials: a connection in the URI "
                "(scheme://conn_id@bucket/...), or the environment's own."
            ) from error
        raise DestinationUnreachableError(
            f"{uri} cannot be written: {type(error).__name__}: {error}. The storage did not answer as it "
            "should; another try may succeed."
        ) from error
