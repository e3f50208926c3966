"""Reading a body: bounded for an answer, in pieces for a download."""

from __future__ import annotations

from collections.abc import Iterator

import httpx

from airflow_asyncjob.transport.content import decoder_for

__all__ = ["BodyReader", "announced_length"]


class BodyReader:
    """Collects the decoded body of an answer, up to a bound for what was sent and for what it unpacks to.

    Of a success that announces more nothing need be read; of an error the start says enough, and is read.

    :param limit: in bytes.
    :raises BadContentError: the Content-Encoding is not one that was asked for.
    """

    def __init__(self, head: httpx.Response, limit: int) -> None:
        self._limit = limit
        self._decoder = decoder_for(head.headers.get("content-encoding", ""))
        self._pieces: list[bytes] = []
        self._raw = 0
        self._sound = True
        self.size = 0
        """Decoded bytes so far."""
        self.over = head.status_code < 400 and (announced_length(head) or 0) > limit
        """Whether the body is larger than the limit; nothing more need be read then."""

    def feed(self, raw: bytes) -> None:
        """Take bytes as they came from the network."""
        for piece in self._decoder.feed(raw):
            self.size += len(piece)
            self._pieces.append(piece)
            if self.size > self._limit:
                break
        self._raw += len(raw)
        self.over = self.over or max(self._raw, self.size) > self._limit

    def finish(self) -> None:
        """Say that nothing more comes.

        :raises BadContentError: the encoded body ends before its end.
        """
        self._sound = False
        self._decoder.end()
        self._sound = True

    @property
    def received(self) -> int | None:
        """Bytes of a download as they came from the network, all of them decoded; None: one could not be."""
        return self._raw if self._sound else None

    @property
    def body(self) -> bytes:
        """What was collected, never more than the limit."""
        return b"".join(self._pieces)[: self._limit]

    def pieces(self, raw: bytes) -> Iterator[bytes]:
        """Yield what bytes of a download decode to, without collecting them and without a bound."""
        self._sound = False
        for piece in self._decoder.feed(raw):
            self.size += len(piece)
            yield piece
        self._raw += len(raw)
        self._sound = True


def announced_length(head: httpx.Response) -> int | None:
    """Return what Content-Length says of the body; None: it says nothing, or there is none to come."""
    text = head.headers.get("content-length", "")
    bodiless = head.request.method == "HEAD" or head.status_code in (204, 304)
    return int(text) if text.isascii() and text.isdigit() and not bodiless else None
