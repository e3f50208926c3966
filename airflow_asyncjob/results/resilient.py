"""One download that survives broken bodies, and the name that its answer gives it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, suppress
from email.message import Message
from email.utils import collapse_rfc2231_value
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, assert_never
from urllib.parse import unquote, urlsplit

from airflow_asyncjob.errors import TruncatedError
from airflow_asyncjob.protocol import (
    BodyBroken,
    BodyEnded,
    Command,
    Download,
    Event,
    Finish,
    Plan,
    Receive,
    Refresh,
    Responded,
    Response,
    Send,
    Store,
    Wait,
    Woken,
)
from airflow_asyncjob.results.hashing import HashBeside
from airflow_asyncjob.transport.driver import sleep_until
from airflow_asyncjob.transport.narrate import with_notes

if TYPE_CHECKING:
    from airflow_asyncjob.transport.client import Streamed, Wire

__all__ = ["Observe", "ResilientSource", "file_name"]

Observe = Callable[[Command, Event | None], None]


class ResilientSource:
    """One download that survives broken bodies.

    When a body breaks off, the protocol decides whether and when it is asked for again, and whether from
    where it broke off. Of a body from its start, the bytes that were handed over before are skipped, and
    compared by their SHA-256: whoever writes never sees a seam.

    :param machine: decides on tries and waits.
    :param received: is told how many bytes have come.
    :param clock: seconds since the epoch.
    """

    def __init__(
        self,
        machine: Download,
        wire: Wire,
        *,
        observe: Observe | None = None,
        wait: Callable[[Wait], Woken] | None = None,
        received: Callable[[int], object] = lambda size: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._machine = machine
        self._wire = wire
        self._observe = with_notes(machine, wire.say, observe)
        self._wait = wait or (lambda command: sleep_until(command.until, clock=clock))
        self._received = received
        self._clock = clock
        self._before = hashlib.sha256()
        self._digest: hashlib._Hash | HashBeside = hashlib.sha256()
        self._taken = 0
        self._response: Response | None = None
        self._sent = "the download"
        self._pieces = self._driven()

    @property
    def name(self) -> str:
        """The API's name for the file, as it came; empty before :meth:`open`, and where it gave none."""
        return "" if self._response is None else file_name(self._response)

    @property
    def response(self) -> Response:
        """The head of the answer that is read."""
        assert self._response is not None
        return self._response

    @property
    def size(self) -> int:
        """Bytes that were handed over so far."""
        return self._taken

    @property
    def digest(self) -> bytes:
        """SHA-256 of what was handed over so far, after what :meth:`hash_with` brought."""
        return self._digest.digest()

    @property
    def sent(self) -> str:
        """Method and URL for people, secrets removed."""
        return self._sent

    def hash_with(self, hasher: hashlib._Hash) -> None:
        """Hash on with this from the first piece, which did not come yet."""
        # Who has it hash writes just the bytes, which leaves a core free; a parser leaves none.
        self._before, self._digest = hasher.copy(), HashBeside(hasher)

    def open(self) -> bool:
        """Ask until an answer with a result comes; False: there are no data.

        :raises ExchangeError: the API does not give it.
        """
        return next(self._pieces, None) is not None

    def chunks(self) -> Iterator[bytes]:
        """Return the body in pieces.

        :raises ExchangeError: the API does not give it.
        :raises TruncatedError: it kept breaking off, or was another one when it was asked for again.
        """
        return self._pieces

    def close(self) -> None:
        """Close the answer."""
        self._pieces.close()

    def _driven(self) -> Generator[bytes, None, None]:
        """Drive the machine; the first piece is empty and says that a result is there."""
        with ExitStack() as ends, ExitStack() as answer:
            ends.callback(self._end_hash)
            opened: Streamed | None = None
            broken: Streamed | None = None
            prefix = self._prefix()
            while True:
                command = self._machine.next(self._clock())
                if isinstance(command, Finish):
                    self._observe(command, None)
                    if command.error is not None:
                        raise command.error
                    return
                self._observe(command, None)
                event: Event
                match command:
                    case Send():
                        answer.close()
                        opened = answer.enter_context(self._wire.open(command, broken))
                        event = opened.event
                        if isinstance(event, Responded):
                            self._sent = event.response.sent
                    case Receive():
                        assert opened is not None
                        assert isinstance(opened.event, Responded)
                        if not command.goes_on:  # whose head may leave out the name
                            self._response = opened.event.response
                        if not command.again:
                            yield b""
                        if not command.goes_on:
                            prefix = self._prefix()
                        broken = opened
                        event = yield from self._receive(opened, prefix)
                    case Wait():
                        answer.close()
                        event = self._wait(command)
                    case Refresh():
                        event = self._wire.refresh()
                    case Store() | Plan():
                        raise AssertionError("a download stores nothing, and has no upload")
                    case _:
                        assert_never(command)
                self._observe(command, event)
                self._machine.tell(event, self._clock())

    def _prefix(self) -> _Prefix:
        return _Prefix(self._taken, self._digest.digest(), self._before)

    def _receive(self, opened: Streamed, seen: _Prefix) -> Generator[bytes, None, BodyEnded | BodyBroken]:
        try:
            for chunk in opened.chunks():
                fresh = seen.rest_of(chunk)
                if seen.differs:
                    break
                if fresh:
                    self._digest.update(fresh)
                    self._taken += len(fresh)
                    self._received(self._taken)
                    yield fresh
            self._digest.digest()  # all of it is hashed now
        except TruncatedError as error:
            return BodyBroken(self.sent, error.message.removeprefix(f"{self.sent}: "), _received(opened))
        if seen.differs or seen.missing:
            raise TruncatedError(
                f"{self.sent}: the body broke off after {self._taken:,} bytes, and when asked for again it "
                "did not begin with the same bytes: the API changes the result between two downloads. "
                "Nothing was written. Fetch it again; when it happens each time, ask for a fixed result"
            )
        return BodyEnded(_received(opened))

    def _end_hash(self) -> None:
        if isinstance(self._digest, HashBeside):
            self._digest.close()


def _received(opened: Streamed) -> int | None:
    return opened.reader.received if opened.reader else None


class _Prefix:
    """The bytes that were handed over already, as they come again.

    :param before: what was hashed before them.
    """

    def __init__(self, length: int, digest: bytes, before: hashlib._Hash) -> None:
        self.missing = length
        self.differs = False
        self._expected = digest
        self._digest = before.copy()

    def rest_of(self, chunk: bytes) -> bytes:
        """Return what of a chunk is new."""
        if not self.missing:
            return chunk
        again, fresh = chunk[: self.missing], chunk[self.missing :]
        self._digest.update(again)
        self.missing -= len(again)
        self.differs = not self.missing and self._digest.digest() != self._expected
        return fresh


def file_name(response: Response) -> str:
    """Return the name that an answer gives to its body; it may be unsafe, and empty.

    Content-Disposition names it, else the last part of the URL's path. ``filename*`` wins over ``filename``
    (RFC 6266 4.3, RFC 8187).
    """
    header = response.headers.get("content-disposition", "")
    for value in sorted(_named(header), key=lambda value: isinstance(value, str)):
        with suppress(ValueError):  # a charset that is none, such as undefined
            return collapse_rfc2231_value(value)
    return PurePosixPath(unquote(urlsplit(response.url).path)).name


def _named(disposition: str) -> list[Any]:
    message = Message()
    message["content-disposition"] = disposition
    try:
        given = message.get_params(failobj=[], header="content-disposition")
    except (TypeError, ValueError):  # email.utils cannot sort "filename*; filename*0"
        return []
    return [value for key, value in given if key.lower() == "filename" and value]
