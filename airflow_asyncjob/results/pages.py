"""The pages of one download target, each a source of its own, asked for when the one before was read."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.errors import PagingError
from airflow_asyncjob.results.unpack import inflated

if TYPE_CHECKING:
    from airflow_asyncjob.definition.models.request import Request
    from airflow_asyncjob.protocol import Pages
    from airflow_asyncjob.results.resilient import ResilientSource

__all__ = ["Page", "pages_of"]


def pages_of(
    pages: Pages,
    source_of: Callable[[Request, Mapping[str, Any], int], ResilientSource],
    *,
    page_bytes: int,
) -> Generator[Page, None, None]:
    """Yield page after page. A page is asked for when the caller wants it, and not before.

    The end is also a page that a rule of ``errors.result`` calls ``no_data``, and one without a body after
    the first: but not one that the page before named, since half a result must not pass for a whole.

    :param source_of: returns the download of a page: its request, its template names, and the bytes of the
        pages before it.
    :param page_bytes: largest page that is kept in memory to be looked at.
    :raises PagingError: the pages repeat, do not end, or are too large.
    :raises UnreadableError: it cannot be read what a page says of the next one.
    """
    keep = page_bytes if pages.reads_body else None
    size = 0
    while True:
        source = source_of(pages.request, pages.names(), size)
        with closing(source):
            page = Page(source, keep)
            if not source.open() or (page.is_empty() and pages.number > 1):
                if pages.number > 1 and pages.is_named:
                    raise _not_there(source, pages.number)
                return
            yield page
        if not pages.turn(source.response, page.body(), records=page.records, digest=source.digest):
            return
        size += source.size


def _not_there(source: ResilientSource, number: int) -> PagingError:
    return PagingError(
        f"{source.sent}: page {number:,} was named by the one before it, and there is nothing (no body, or a "
        "rule of errors.result calls it no_data). A part of the result must not pass for the whole, so that "
        "nothing is written. If the API names one page too many, let result.paginate.next tell, such as "
        "{expr: 'body.next if body.rows else none'}"
    )


class Page:
    """One page: a :class:`~airflow_asyncjob.results.source.Source` that keeps what it handed over.

    :param keep: bytes that are kept at most; None: nothing is.
    :param records: how many were read of it; None: nobody counted.
    """

    def __init__(self, source: ResilientSource, keep: int | None) -> None:
        self.records: int | None = None
        self._source = source
        self._keep = keep
        self._kept: list[bytes] = []
        self._left = keep or 0
        self._first: list[bytes] = []

    @property
    def name(self) -> str:
        """The API's name for the file."""
        return self._source.name

    @property
    def sent(self) -> str:
        """Method and URL for people, secrets removed."""
        return self._source.sent

    def is_empty(self) -> bool:
        """Return whether there is no byte of a body."""
        self._first = [chunk for chunk in [next(self._source.chunks(), None)] if chunk is not None]
        return not self._first

    def chunks(self) -> Iterator[bytes]:
        """Yield the body.

        :raises PagingError: it is larger than what is kept.
        """
        for chunk in chain(self._first, self._source.chunks()):
            if self._keep is not None:
                self._left = self._bounded(self._left, chunk)
                self._kept.append(chunk)
            yield chunk

    def counted(self, records: int) -> None:
        """Take the number of records that were read."""
        self.records = records

    def body(self) -> bytes:
        """Return what was kept, decompressed."""
        pieces, left = [], self._keep or 0
        for piece in inflated(iter(self._kept), self):
            left = self._bounded(left, piece)
            pieces.append(piece)
        self._kept.clear()
        return b"".join(pieces)

    def _bounded(self, left: int, piece: bytes) -> int:
        if len(piece) > left:
            raise PagingError(
                f"{self.sent}: the page has more than {self._keep:,} bytes (limits.page_bytes). Its body "
                "names the next page, so that it is kept in memory. Ask for fewer records a page, or raise "
                "limits.page_bytes; a page whose header names the next one has no limit"
            )
        return left - len(piece)
