"""Where the bytes of a result come from, decompressed, and looked at before they are read."""

from __future__ import annotations

import codecs
import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from airflow_asyncjob.errors import FormatError, ResultError, TruncatedError

__all__ = [
    "RECORD_LIMIT",
    "Body",
    "Counted",
    "Hashing",
    "Named",
    "Row",
    "Source",
    "is_html",
    "look",
    "opened",
]

Row = tuple[Any, bytes | None]
"""A record, and its own text where that is one line of JSON."""

RECORD_LIMIT = 32 * 1024 * 1024
"""Largest single record, in bytes: what holds memory flat when a quote or a bracket is never closed."""

_Error = TypeVar("_Error", bound=ResultError)
_HEAD = 4096
_PIECE = 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_FOREIGN = {
    b"BZh": "compressed with bzip2",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard",
    b"\xfd7zXZ": "compressed with xz",
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a ZIP archive inside of another",
}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_XML = re.compile(rb"<(?:[?!]|[A-Za-z_][\w.:-]*(?:\s[^<>]*)?/?>)")
_JSON = re.compile(rb"""\{\s*(?:"|\}\s*$)|\[\s*(?:["\[{]|\]\s*$)""")
_DOCUMENT = 400
_ENCODING_ADVICE = (
    "Set encoding to what the API sends, such as cp1252 or utf-16, or set format: raw to keep the bytes as "
    "they are"
)


class Named(Protocol):
    """What has a name in errors."""

    @property
    def sent(self) -> str:
        """Method and URL for people, secrets removed."""
        ...


class Source(Protocol):
    """One download. It is read once, from start to end, in the thread that called.

    Errors of the exchange are raised by :meth:`chunks` and pass through unchanged; what was written so far is
    thrown away.
    """

    @property
    def name(self) -> str:
        """The API's name for the file, perhaps unsafe or empty. Read after the first chunk came."""
        ...

    @property
    def sent(self) -> str:
        """Method and URL for people, secrets removed, such as ``GET https://api.example.com/files/7``."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Yield the body, Content-Encoding undone. Closed early when the rest is not wanted."""
        ...


@runtime_checkable
class Counted(Protocol):
    """A source that is told how many records it had, as one that is a page of many has to know."""

    def counted(self, records: int) -> None:
        """Take the number of records that were read when the source was left."""
        ...


@runtime_checkable
class Hashing(Protocol):
    """A source that hashes what it hands over, so that who writes just that need not do it again."""

    def hash_with(self, hasher: hashlib._Hash) -> None:
        """Hash on with this from the first chunk, which did not come yet."""
        ...


class Body:
    """One file of records that is being read.

    :param source: names it in errors.
    :param kind: the declared format, for messages.
    :param chunks: its bytes, decompressed.
    :param encoding: of the text; None: UTF-8.
    :param documents: whether a JSON or XML document can be the result. Else it is an error, since an API that
        has no table to send sends its error instead: ``by_start`` what begins like one, ``whole`` only what
        certainly is one, as a table without a header may begin with any text.
    :param records: how many records were read so far; the one that is being looked at counts. In the end
        all of them: paging goes by it.
    :raises FormatError: it is an HTML page, such a document, compressed in a way that is not read, or UTF-16
        that nobody declared.
    """

    def __init__(
        self,
        source: Named,
        kind: str,
        chunks: Iterator[bytes],
        *,
        encoding: str | None = None,
        documents: Literal["allowed", "by_start", "whole"] = "allowed",
    ) -> None:
        self.source = source
        self.kind = kind
        self.encoding = encoding
        head, self._chunks = look(chunks, _HEAD)
        self.head = head if encoding is None else head.decode(encoding, "replace").encode()
        self.records = 0
        self._refuse_foreign(head)
        if documents != "allowed":
            self._refuse_documents(certain=documents == "whole")

    def chunks(self) -> Iterator[bytes]:
        """Return the body as it is, unchecked."""
        return self._chunks

    def text(self) -> Iterator[bytes]:
        """Yield the body as UTF-8 in pieces up to 1 MiB, without a byte order mark (RFC 3629, section 6).

        :raises FormatError: it is not text in its encoding; the message says in which line.
        :raises TruncatedError: it ends within a character.
        """
        first = True
        for chunk in self._utf8():
            start = len(_BOM) if first and chunk.startswith(_BOM) else 0
            first = False
            for at in range(start, len(chunk), _PIECE):
                yield chunk[at : at + _PIECE]

    def wrong(self, detail: str, advice: str) -> FormatError:
        """Return the error for bytes that are not what was declared."""
        return self._error(FormatError, detail, advice)

    def truncated(self, detail: str) -> TruncatedError:
        """Return the error for bytes that end too early."""
        return self._error(TruncatedError, detail, "The download was cut off: fetch it again")

    def _utf8(self) -> Iterator[bytes]:
        encoding = self.encoding or "utf-8"
        same = codecs.lookup(encoding).name == "utf-8"
        decoder = codecs.getincrementaldecoder(encoding)()
        lines = 1
        for chunk in self._chunks:
            if same and chunk.isascii() and not decoder.getstate()[0]:
                lines += _breaks(chunk)
                yield chunk
                continue
            try:
                text = decoder.decode(chunk)
            except UnicodeDecodeError as error:
                raise self._not_text(error, encoding, lines) from None
            except UnicodeError as error:
                raise self.wrong(f"it is not {encoding}: {error}", _ENCODING_ADVICE) from None
            if same:
                lines += _breaks(chunk)
                yield chunk
            elif text:
                lines += text.count("\n")
                yield text.encode("utf-8", "surrogatepass")
        if decoder.getstate()[0]:
            raise self.truncated(f"it ends within a character, in line {lines}")

    def _not_text(self, error: UnicodeDecodeError, encoding: str, lines: int) -> FormatError:
        line = lines + bytes(error.object[: error.start]).decode(encoding, "ignore").count("\n")
        name = "UTF-8" if self.encoding is None else self.encoding
        return self.wrong(
            f"line {line} is not {name} (byte {error.object[error.start]:#04x})",
            _ENCODING_ADVICE,
        )

    def _error(self, kind: type[_Error], detail: str, advice: str, shown: int = 80) -> _Error:
        start = f"it starts with {excerpt(self.head, shown)}" if self.head else "it is empty"
        return kind(
            f"{self.source.sent}: the result cannot be read as {self.kind}: {detail}; {start}. {advice}."
        )

    def _refuse_foreign(self, head: bytes) -> None:
        if is_html(self.head):
            raise self.wrong(
                "an HTML page came instead of data",
                "Open the address with the same credentials: it may be a login or an error page",
            )
        for magic, what in _FOREIGN.items():
            if head.startswith(magic):
                raise self.wrong(
                    f"it is {what}",
                    "Ask the API for plain, gzip or ZIP data, or set format: raw to keep the bytes",
                )
        if self.encoding is None and self.kind != "xml" and head.startswith(_UTF16):
            raise self.wrong("it is text in UTF-16", "Set encoding: utf-16")

    def _refuse_documents(self, *, certain: bool) -> None:
        start = self.head.removeprefix(_BOM).lstrip()
        kind = "XML" if _XML.match(start) else "JSON" if _JSON.match(start) else ""
        if kind and (not certain or _is_document(start)):
            raise self._error(
                FormatError,
                f"{kind} came instead, which is usually the API's error in place of a result",
                f"Read what it says; if it is the result, set format: {kind.lower()}",
                _DOCUMENT,
            )


@contextmanager
def opened(source: Source) -> Iterator[Iterator[bytes]]:
    """Open a source as it comes, and close it in the end, read to its end or not."""
    chunks = source.chunks()
    try:
        yield chunks
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


def look(chunks: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """Return the first bytes (at least ``size`` unless there are fewer), and all chunks with them again."""
    taken: list[bytes] = []
    have = 0
    for chunk in chunks:
        taken.append(chunk)
        have += len(chunk)
        if have >= size:
            break

    head = b"".join(taken)
    taken.clear()
    return head[:size], itertools.chain([head] if head else [], chunks)


def _breaks(chunk: bytes) -> int:
    """Count line breaks; to take them out is three times as fast as ``bytes.count`` in CPython 3.11."""
    return len(chunk) - len(chunk.replace(b"\n", b""))


def is_html(head: bytes) -> bool:
    """Whether the first bytes are those of an HTML page."""
    start = head.removeprefix(_BOM).lstrip()[:15].lower()
    return start.startswith((b"<!doctype html", b"<html"))


def _is_document(start: bytes) -> bool:
    if start.startswith((b"<?xml", b"<!")):
        return True
    try:
        json.loads(start)
    except (ValueError, RecursionError):
        return False
    return True


def excerpt(head: bytes, size: int = 80) -> str:
    """Return the first bytes for people, on one line."""
    text = head[:size].decode("utf-8", "replace")
    return repr(text) + ("..." if len(head) > size else "")
