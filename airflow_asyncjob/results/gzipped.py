"""Gzip (RFC 1952) as a stream: several members, bounded memory, and no end that passes for a whole."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

from airflow_asyncjob.errors import FormatError, TruncatedError

__all__ = ["GZIP_MAGIC", "GzipReader"]

GZIP_MAGIC = b"\x1f\x8b"
_PIECE = 1024 * 1024
_GZIP = 31


class _Named(Protocol):
    @property
    def sent(self) -> str: ...


class GzipReader:
    """Decompresses what it is fed, at most 1 MiB at a time, whatever a hostile archive would expand to.

    :param source: names the download in errors.
    :param tail: whether bytes after the last member are an error. Zero bytes are padding and always allowed.
    """

    def __init__(self, source: _Named, *, tail: bool = True) -> None:
        self._source = source
        self._tail = tail
        self._member: zlib._Decompress | None = None
        self._members = 0
        self._over = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what these bytes expand to.

        :raises FormatError: the archive is damaged, or followed by something that is no archive.
        """
        while data and not self._over:
            if self._member is None:
                data = data.lstrip(b"\0") if self._members else data
                if not data:
                    return
                if self._members and not self._tail and data[:1] != GZIP_MAGIC[:1]:
                    self._over = True
                    return
                self._member = zlib.decompressobj(_GZIP)
            yield from self._expand(self._member, data)
            if self._member.eof:
                data, self._member = self._member.unused_data, None
                self._members += 1
            else:
                data = self._member.unconsumed_tail

    def finish(self) -> Iterator[bytes]:
        """Yield what is left.

        :raises TruncatedError: the archive ends early.
        """
        while self._member is not None:
            rest = list(self._expand(self._member, b""))
            yield from rest
            if self._member.eof:
                return
            if not rest:
                raise TruncatedError(
                    f"{self._source.sent}: the gzip archive ends early, in member {self._members + 1}: the "
                    "download was cut off. Fetch it again."
                )

    def _expand(self, member: zlib._Decompress, data: bytes) -> Iterator[bytes]:
        try:
            piece = member.decompress(data, _PIECE)
        except zlib.error as error:
            what = "is damaged" if not self._members else f"is damaged after member {self._members}"
            raise FormatError(
                f"{self._source.sent}: the gzip archive {what} ({error}). Fetch it again; when it stays so, "
                "the API sends a broken archive."
            ) from None
        if piece:
            yield piece
