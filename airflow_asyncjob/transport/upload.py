"""Uploads: bodies that are files, or have some in them, read piece by piece while they are sent; and parts.

Of a file nothing is read before it is sent, and nothing twice: each try opens it anew. What is announced as
Content-Length is what is sent, or the exchange is an error. A part of an upload is in memory, whole.
"""

from __future__ import annotations

import asyncio
import io
import os
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from airflow_asyncjob.definition.problems import counted
from airflow_asyncjob.definition.render import RenderedPart
from airflow_asyncjob.errors import UploadError
from airflow_asyncjob.transport.sockets import current

__all__ = [
    "Find",
    "FindPart",
    "PartBody",
    "Source",
    "StreamedPart",
    "Upload",
    "local_source",
    "no_parts",
    "upload_of",
    "upload_of_part",
]

_PIECE = 256 * 1024


@dataclass(frozen=True)
class Source:
    """A file that can be read.

    :param name: as people know it, without credentials.
    :param size: in bytes, now.
    :param open: opens it for reading.
    """

    name: str
    size: int
    open: Callable[[], BinaryIO]


Find = Callable[[str], Source]
"""From a path or URI to the file.

:raises UploadError: there is none, or it cannot be read.
"""


@dataclass(frozen=True)
class PartBody:
    """The body of one part of an upload.

    :param content_type: that it has where the definition's own headers give none.
    """

    content: bytes
    content_type: str

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.content)

    def pieces(self) -> Iterator[bytes]:
        """Yield it in pieces."""
        whole = memoryview(self.content)
        return (bytes(whole[start : start + _PIECE]) for start in range(0, len(whole), _PIECE))


@dataclass(frozen=True)
class StreamedPart:
    """The body of a part that is too large for memory.

    :param size: in bytes.
    :param pieces: reads it from its start; raises UploadError before the last piece when the source changed.
    :param content_type: that it has where the definition's own headers give none.
    """

    size: int
    pieces: Callable[[], Iterator[bytes]]
    content_type: str


FindPart = Callable[[int], PartBody | StreamedPart]
"""From the number of a part, from 1, to its body.

:raises UploadError: the source changed since it was cut into parts, or cannot be read.
"""


def no_parts(number: int) -> PartBody:
    """Return no part: nobody has cut an upload.

    :raises UploadError: always.
    """
    raise UploadError(
        f"Part {number} of the upload cannot be sent: nothing was cut into parts. An upload is sent by the "
        "submit of a job, by its request or in its steps."
    )


def local_source(path: str) -> Source:
    """Return a local file.

    :param path: a path, or a URI ``file://``.
    :raises UploadError: it is missing, is no file, or is a URI of another kind.
    """
    scheme, found, rest = path.partition("://")
    if found and scheme != "file":
        raise UploadError(
            f"The file {path} cannot be read here: {scheme}:// is object storage, which is read in Airflow. "
            "Give the path of a local file."
        )
    local = Path(rest if found else path).expanduser()
    try:
        known = local.stat()
        if not stat.S_ISREG(known.st_mode):
            raise UploadError(
                f"The file {local} cannot be sent: it is a folder, a pipe or the like. Give the path "
                "of a file."
            )
        local.open("rb").close()
    except OSError as error:
        raise UploadError(
            f"The file {local} cannot be read: {os.strerror(error.errno or 0)}. Expected a file that the "
            "process can read, by its absolute path or from its working folder."
        ) from None
    return Source(str(local), known.st_size, lambda: local.open("rb"))


class _Measured(io.RawIOBase):
    """A file that is read once, from its start, and has to be as long as was announced."""

    def __init__(self, source: Source, seconds: float) -> None:
        super().__init__()
        self._source = source
        self._seconds = seconds
        self._file: BinaryIO | None = None
        self._read = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._read

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Tell the size, which is what a multipart encoder wants to know; or start again."""
        if whence == os.SEEK_END:
            return self._source.size
        if offset != self._read:
            self.release()
        return self._read

    def read(self, size: int = -1) -> bytes:
        """Return the next piece; while there are some, the exchange has its whole time again."""
        _give_time(self._seconds)
        left = self._source.size - self._read
        try:
            if self._file is None:
                self._file = self._source.open()
            data = self._file.read(min(left, size) if size >= 0 else left) if left else b""
            longer = not left and bool(self._file.read(1))
        except Exception as error:  # a storage raises what it likes
            raise UploadError(
                f"The file {self._source.name} cannot be read: {error}. {self._read:,} of "
                f"{self._source.size:,} bytes were read. Try again later.",
                retryable=True,
            ) from error
        if longer or (left and not data):
            now = "more" if longer else f"{self._read:,}"
            raise UploadError(
                f"The file {self._source.name} changed while it was sent: it had {self._source.size:,} "
                f"bytes, and now has {now}. The API did not get a whole body. Send it once it is written.",
                retryable=True,
            )
        self._read += len(data)
        return data

    def release(self) -> None:
        """Close the file; the next read starts again."""
        self._read = 0
        if self._file is not None:
            self._file.close()
            self._file = None


class _FileStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that is a file."""

    def __init__(self, file: _Measured) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        self._file.release()
        while data := self._file.read(_PIECE):
            yield data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._file.release()
        while data := await asyncio.to_thread(self._file.read, _PIECE):
            yield data


class _PartStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A part, handed on in pieces; with each the exchange has its whole time again."""

    def __init__(self, body: PartBody | StreamedPart, seconds: float) -> None:
        self._body = body
        self._seconds = seconds

    @property
    def content(self) -> bytes | None:
        """The whole; None: it is not in memory."""
        return self._body.content if isinstance(self._body, PartBody) else None

    def release(self) -> None:
        """Let go of it."""
        self._body = PartBody(b"", self._body.content_type)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._body.pieces():
            _give_time(self._seconds)
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = self._body.pieces()
        while piece := await asyncio.to_thread(next, pieces, b""):
            _give_time(self._seconds)
            yield piece


def _give_time(seconds: float) -> None:
    """Let the exchange under way have so many seconds from now on."""
    exchange = current.get()
    if exchange is not None and exchange.deadline is not None:
        exchange.deadline = time.monotonic() + seconds


@dataclass(frozen=True)
class Upload:
    """A body with files in it, or a part of an upload.

    :param headers: Content-Length, and for multipart Content-Type.
    :param stream: what is sent.
    :param size: in bytes.
    :param shape: names and sizes, for the trace.
    :param texts: what is not a file, for the look at secrets.
    """

    headers: dict[str, str]
    stream: httpx.SyncByteStream | httpx.AsyncByteStream
    size: int
    shape: Any
    texts: str
    files: Sequence[_Measured] = ()

    @property
    def content(self) -> bytes | None:
        """The body as a whole, for a signature over it; None: it is read while it is sent."""
        return self.stream.content if isinstance(self.stream, _PartStream) else None

    def close(self) -> None:
        """Close the files that are still open, and let go of a part."""
        for file in self.files:
            file.release()
        if isinstance(self.stream, _PartStream):
            self.stream.release()


def upload_of(
    parts: Sequence[RenderedPart], find: Find, *, seconds: float, content_type: str | None
) -> Upload:
    """Return the body that a rendered request has.

    :param parts: fields of a multipart body, or the one file that is the body.
    :param find: finds files.
    :param seconds: that the exchange may take after the last piece was read.
    :param content_type: that the definition's own headers give; None: they give none.
    :raises UploadError: a file is missing, or cannot be read.
    """
    files: list[_Measured] = []
    fields: list[tuple[str, tuple[str | None, Any, str | None]]] = []
    shape: dict[str, str] = {}
    for part in parts:
        if part.text is not None:
            content: Any = part.text.encode()
            shape[part.name] = f"string of {len(part.text)}"
        else:
            source = find(part.file)
            content = _Measured(source, seconds)
            files.append(content)
            shape[part.name] = f"{part.content_type or 'file'} of {source.size:,} bytes"
        fields.append((part.name, (part.filename, content, part.content_type)))
    texts = "\n".join(text for part in parts for text in (part.name, part.text, part.filename) if text)
    if not parts[0].name:
        size = files[0].seek(0, os.SEEK_END)
        headers = {"content-length": str(size)}
        return Upload(headers, _FileStream(files[0]), size, shape[""], "", files)
    given = {} if content_type is None else {"content-type": content_type}
    encoded = httpx.Request("POST", "http://multipart", headers=given, files=fields)
    headers = {name: encoded.headers[name] for name in ("content-length", "content-type")}
    return Upload(headers, encoded.stream, int(headers["content-length"]), shape, texts, files)


def upload_of_part(body: PartBody | StreamedPart, *, seconds: float, records: int) -> Upload:
    """Return the body that is a part.

    :param seconds: that the exchange may take after the last piece was handed on.
    :param records: how many are in it, for the trace.
    """
    return Upload(
        headers={"content-length": str(body.size)},
        stream=_PartStream(body, seconds),
        size=body.size,
        shape=f"{body.content_type} of {body.size:,} bytes, {counted(records, 'record')}",
        texts="",
    )
