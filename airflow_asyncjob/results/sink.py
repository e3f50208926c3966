"""Where bytes are put: written aside, then moved into place, whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, cast

from airflow_asyncjob.results.destination import Destination
from airflow_asyncjob.results.stage_local import LocalStage, remove_local
from airflow_asyncjob.results.stage_remote import RemoteStage, remove_remote

__all__ = ["Sink", "Writable", "remove_file"]

_BUFFER = 256 * 1024


class Writable(Protocol):
    """What a format writes to."""

    def write(self, data: bytes, /) -> int:
        """Write all of it."""
        ...


class _Part(Protocol):
    def write(self, data: bytes | memoryview) -> None: ...

    def finish(self) -> None: ...


class _Stage(Protocol):
    def part(self, name: str) -> _Part: ...

    def commit(self) -> tuple[str, ...]: ...

    def discard(self) -> None: ...


def remove_file(destination: Destination) -> None:
    """Remove the file of an earlier run, where there is one.

    :raises DestinationError: it cannot be removed.
    """
    if destination.fs is None:
        remove_local(destination)
    else:
        remove_remote(destination)


class Sink:
    """The files of one result. Leaving the ``with`` block without :meth:`commit` throws everything away.

    :param destination: where to.
    :param folder: the destination is a folder, and every file has a name.
    :raises DestinationError: it cannot be written, as far as that can be told now.
    """

    def __init__(self, destination: Destination, *, folder: bool) -> None:
        self.bytes = 0
        self.hasher = hashlib.sha256()
        """Of the bytes written so far, file after file."""
        self._stage: _Stage = (
            LocalStage(destination, folder=folder)
            if destination.fs is None
            else RemoteStage(destination, folder=folder)
        )

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stage.discard()

    @property
    def sha256(self) -> str:
        """Of the bytes written so far, file after file."""
        return self.hasher.hexdigest()

    @contextmanager
    def file(self, name: str = "", *, compress: bool = False, hashed: bool = False) -> Iterator[Writable]:
        """Open the next file aside.

        :param name: in a folder, the file's name.
        :param compress: gzip what is written.
        :param hashed: whoever writes has :attr:`hasher` take the bytes.
        :raises DestinationError: it cannot be written.
        """
        out = _Out(self._stage.part(name), self, hashed=hashed)
        try:
            buffered = io.BufferedWriter(cast("io.RawIOBase", out), _BUFFER)
            if compress:
                # No name and no time in the header: the same records are the same bytes.
                with gzip.GzipFile(
                    filename="", mode="wb", fileobj=buffered, compresslevel=6, mtime=0
                ) as packed:
                    yield packed
            else:
                yield buffered
            buffered.flush()
            out.finish()
        finally:
            out.drop()

    def commit(self) -> tuple[str, ...]:
        """Move the files into place and return their URIs, in order.

        :raises DestinationError: it cannot be done. A single file is then not there; of several, some may be.
        """
        return self._stage.commit()

    def _wrote(self, data: bytes | memoryview, size: int, *, hashed: bool) -> None:
        if not hashed:
            self.hasher.update(data)
        self.bytes += size


class _Out(io.RawIOBase):
    """A part as a Python file. After an error it swallows what buffers and footers still want to write."""

    def __init__(self, part: _Part, sink: Sink, *, hashed: bool) -> None:
        self._part: _Part | None = part
        self._sink = sink
        self._hashed = hashed

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | memoryview, /) -> int:  # type: ignore[override]
        size = memoryview(data).nbytes
        if self._part is not None:
            self._part.write(data)
            self._sink._wrote(data, size, hashed=self._hashed)
        return size

    def finish(self) -> None:
        assert self._part is not None
        self._part.finish()

    def drop(self) -> None:
        self._part = None
