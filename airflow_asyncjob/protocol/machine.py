"""Machine: the loop that every machine of this package is, over its table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from airflow_asyncjob.protocol.messages import (
    BodyBroken,
    BodyEnded,
    Command,
    Event,
    Failed,
    Receive,
    Refresh,
    Refreshed,
    Responded,
    Send,
    Store,
    Stored,
    Wait,
    Woken,
)
from airflow_asyncjob.protocol.parts import Plan, Planned
from airflow_asyncjob.protocol.transitions import Phase, Step, Verdict

__all__ = ["Machine"]

_ANSWERS: Mapping[type[Command], tuple[type[Event], ...]] = {
    Store: (Stored,),
    Plan: (Planned, Failed),
    Send: (Responded, Failed),
    Wait: (Woken,),
    Refresh: (Refreshed,),
    Receive: (BodyEnded, BodyBroken),
}


class Machine(ABC):
    """Commands out, events in. A subclass has a table, ``_do_<action>`` and ``_enter_<phase>`` methods.

    ``notes`` are lines for the log: risks taken, values that were not found. They are only ever added to.
    """

    table: ClassVar[Mapping[Phase, Mapping[Verdict, Step]]]

    def __init__(self) -> None:
        self.phase = Phase.START
        self.notes: list[str] = []
        self._command: Command | None = None
        self._now = 0.0

    def next(self, now: float) -> Command:
        """Return the command to carry out. Asked again before its event was told, it is the same one.

        :param now: seconds since the epoch.
        """
        if self._command is None:
            self._now = now
            self._go(self._open())
        assert self._command is not None
        return self._command

    def tell(self, event: Event, now: float) -> None:
        """Take what came of the outstanding command.

        :param now: seconds since the epoch.
        :raises RuntimeError: this is not an event of the outstanding command: the driver is wrong.
        """
        expected = _ANSWERS.get(type(self._command), ()) if self._command is not None else ()
        if not isinstance(event, expected):
            wanted = " or ".join(kind.__name__ for kind in expected) or "no event"
            raise RuntimeError(
                f"{type(self._command).__name__} is outstanding: expected {wanted}, not {event!r}"
            )
        self._now = now
        self._go(self._judge(event))

    def _go(self, verdict: Verdict) -> None:
        while True:
            phase, action = self.table[self.phase][self._heeded(verdict)]
            getattr(self, f"_do_{action}")()
            self.phase = phase
            entered: Command | Verdict = getattr(self, f"_enter_{self.phase}")()
            if not isinstance(entered, Verdict):
                self._command = entered
                return
            verdict = entered

    def _heeded(self, verdict: Verdict) -> Verdict:
        """Return the verdict that counts, wishes from outside considered."""
        return verdict

    def _do_nothing(self) -> None:
        """Note nothing (the action ``nothing``)."""
        return

    @abstractmethod
    def _open(self) -> Verdict:
        """Return the verdict to start with."""

    @abstractmethod
    def _judge(self, event: Event) -> Verdict:
        """Return what an event of the outstanding command means."""
