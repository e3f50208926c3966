"""What a person sees on stderr while a job runs: lines that stay, and on a terminal a live one below them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from airflow_asyncjob.transport.narrate import duration

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

__all__ = ["Progress", "bytes_text"]

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


class Progress:
    """Lines on stderr, and one that is alive while the job runs where stderr is a terminal.

    :param terminal: None: ask stderr.
    :param clock: seconds since the epoch.
    """

    def __init__(self, *, terminal: bool | None = None, clock: Callable[[], float] = time.time) -> None:
        self.is_live = sys.stderr.isatty() if terminal is None else terminal
        self._clock = clock
        self._live: Live | None = None
        self._doing = ""
        self._until: float | None = None
        self._started = clock()

    def __enter__(self) -> Self:
        if self.is_live:
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
            self._live = Live(self, console=console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pause()

    def pause(self) -> None:
        """Take the live line away for good; stdout may be the same terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def line(self, text: str) -> None:
        """Say something that stays, with the time in front, in UTC as the times inside of the lines."""
        now = datetime.fromtimestamp(self._clock(), UTC).strftime("%H:%M:%S UTC")
        if self._live is not None:
            self._live.console.print(f"{now} {text}")
        else:
            sys.stderr.write(f"{now} {text}\n")
            sys.stderr.flush()

    def doing(self, text: str, *, until: float | None = None) -> None:
        """Say what is going on now, on a terminal only.

        :param until: seconds since the epoch; the line counts down to it.
        """
        self._doing, self._until = text, until

    def __rich__(self) -> Any:
        """Return the live line; rich asks for it several times a second."""
        from rich.spinner import Spinner

        if not hasattr(self, "_spinner"):
            self._spinner = Spinner("dots")
        self._spinner.update(text=self._text())
        return self._spinner

    def _text(self) -> Text:
        from rich.text import Text

        now = self._clock()
        text = f"{duration(now - self._started)}  {self._doing}"
        if self._until is not None and self._until > now:
            text += f" in {duration(self._until - now)}"
        return Text(text, no_wrap=True, overflow="ellipsis")


def bytes_text(size: int) -> str:
    """Return a size for people, decimal units: ``999 bytes``, ``1.2 MB``."""
    amount = float(size)
    for unit in _UNITS:
        if amount < 1000 or unit == _UNITS[-1]:
            break
        amount /= 1000
    return f"{size} bytes" if unit == _UNITS[0] else f"{amount:.1f} {unit}"
