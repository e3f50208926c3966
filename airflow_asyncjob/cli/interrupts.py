"""Ctrl-C: the first one asks the remote job to stop, the second one leaves at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["AnswerTimeout", "Interrupted", "Interrupts"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """The first Ctrl-C (or SIGTERM), raised where nothing is lost by leaving."""


class AnswerTimeout(BaseException):
    """The time for the answer to a cancel is over."""


class Interrupts:
    """Turns SIGINT and SIGTERM into exceptions, from the main thread only.

    The first signal raises :class:`Interrupted` at the next place that is open for it: at once inside
    :meth:`opened`, otherwise when one is entered. So an answer that is on its way, such as the ID of a job
    that was just accepted, is read first. The second signal raises ``KeyboardInterrupt`` wherever it is.
    """

    def __init__(self) -> None:
        self.count = 0
        self._open = False
        self._raised = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._arrived)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Let the first signal interrupt what is done inside."""
        self._raise_once()
        self._open = True
        try:
            # A signal between the question above and the line before this one.
            self._raise_once()
            yield
        finally:
            self._open = False

    @contextmanager
    def bounded(self, seconds: float) -> Iterator[None]:
        """Raise :class:`AnswerTimeout` when what is done inside takes longer."""

        def over(number: int, frame: FrameType | None) -> None:
            raise AnswerTimeout

        before = signal.signal(signal.SIGALRM, over)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _raise_once(self) -> None:
        if self.count and not self._raised:
            self._raised = True
            raise Interrupted

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            raise KeyboardInterrupt
        if self._open:
            self._raised = True
            raise Interrupted
