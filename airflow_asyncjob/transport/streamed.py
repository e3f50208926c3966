"""The body of a download, handed on as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx

from airflow_asyncjob.errors import TruncatedError, UnreadableError
from airflow_asyncjob.protocol.messages import Responded
from airflow_asyncjob.transport.body import BodyReader
from airflow_asyncjob.transport.exchange import Desk
from airflow_asyncjob.transport.faults import NETWORK_ERRORS
from airflow_asyncjob.transport.flow import Opened
from airflow_asyncjob.transport.sockets import Underway, underway

__all__ = ["AsyncStreamed", "Streamed"]


class _Streamed:
    """A download whose head has come."""

    def __init__(self, opened: Opened, head: httpx.Response | None, desk: Desk) -> None:
        self.event = opened.event
        """``Failed``, or ``Responded``: without a body where a result can be read, else with the error's."""
        self._opened = opened
        self._head = head
        self._desk = desk
        self._exchange = Underway(sent=True)
        self._detail = ""
        self._before = opened.reader.size if opened.reader else 0

    @property
    def size(self) -> int:
        """Bytes read of this answer so far, after Content-Encoding."""
        return self._opened.reader.size - self._before if self._opened.reader else 0

    @property
    def reader(self) -> BodyReader | None:
        """Takes the bytes; None: there is no result to read."""
        return self._opened.reader

    def _accepted(self) -> bytes | None:
        """Return the body of an error that a rule of the definition accepts as the result: it was read with
        its head. None: the answer is no error.
        """
        if self._opened.reader is not None or not isinstance(self.event, Responded):
            return None
        if self._opened.cut:
            response = self.event.response
            raise UnreadableError(
                f"{response.sent} answered {response.code} with a body that is larger than "
                "limits.response_bytes, of which no more is read of an error, also where a rule accepts it"
            )
        return self.event.response.body

    def _body(self) -> httpx.Response:
        if self._head is None or self._opened.reader is None:
            raise ValueError("this answer has no result to read; look at its event first")
        return self._head

    def _pieces(self, raw: bytes) -> Iterator[bytes]:
        assert self._opened.reader is not None
        return self._opened.reader.pieces(raw)

    def _finish(self) -> None:
        assert self._opened.reader is not None
        self._opened.reader.finish()

    def _broken(self, error: BaseException) -> TruncatedError:
        prepared = self._opened.prepared
        assert prepared is not None
        why = self._desk.why_broken(prepared, error, self._exchange)
        self._detail = f"the body broke off after {self.size:,} bytes: {why}"
        return TruncatedError(f"{prepared.sent}: {self._detail}")

    def note(self) -> None:
        """Note the exchange, with the bytes that were read, in the trace."""
        if self._opened.prepared is not None and isinstance(self.event, Responded):
            self._desk.note(self._opened.prepared, self.event.response, self.size, self._detail)


class Streamed(_Streamed):
    """A download whose head has come."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the result, decoded, in pieces of at most 1 MiB.

        :raises TruncatedError: it breaks off, is shorter than its Content-Length, or is not what its
            Content-Encoding says.
        :raises UnreadableError: the answer is an error that a rule accepts, and is too large.
        :raises ValueError: the answer has no result; see ``event``.
        """
        accepted = self._accepted()
        if accepted is not None:
            yield accepted
            return
        raw = self._body().iter_raw()
        try:
            while (data := self._next(raw)) is not None:
                yield from self._pieces(data)
            self._finish()
        except NETWORK_ERRORS as error:
            raise self._broken(error) from error

    def _next(self, raw: Iterator[bytes]) -> bytes | None:
        with underway(self._exchange):
            return next(raw, None)


class AsyncStreamed(_Streamed):
    """A download whose head has come, without blocking."""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the result; see :meth:`Streamed.chunks`."""
        accepted = self._accepted()
        if accepted is not None:
            yield accepted
            return
        raw = self._body().aiter_raw()
        try:
            while (data := await self._next(raw)) is not None:
                for piece in self._pieces(data):
                    yield piece
            self._finish()
        except NETWORK_ERRORS as error:
            raise self._broken(error) from error

    async def _next(self, raw: AsyncIterator[bytes]) -> bytes | None:
        with underway(self._exchange):
            return await anext(raw, None)
