"""Walking the smaller machines by hand in tests, and the check that every row of their tables is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Self, TypeVar

from airflow_asyncjob.protocol import Command, Event, Finish, Outcome, Send, Wait
from airflow_asyncjob.protocol.machine import Machine
from airflow_asyncjob.protocol.transitions import Phase, Verdict
from tests.protocol.driving import NOW

__all__ = ["Row", "Walk", "check_all_rows", "check_row"]

M = TypeVar("M", bound=Machine)


class Walk(Generic[M]):
    """A machine with a clock that jumps over every wait, and its way through the table (``trail``)."""

    def __init__(self, machine: M) -> None:
        self.machine = machine
        self.now = NOW
        self.trail: list[tuple[Phase, Verdict]] = []
        heeded = machine._heeded

        def noted(verdict: Verdict) -> Verdict:
            self.trail.append((machine.phase, verdict))
            return heeded(verdict)

        machine._heeded = noted  # type: ignore[method-assign]

    @property
    def command(self) -> Command:
        """The outstanding command."""
        return self.machine.next(self.now)

    @property
    def send(self) -> Send:
        """The outstanding request."""
        command = self.command
        assert isinstance(command, Send), command
        return command

    @property
    def outcome(self) -> Outcome:
        """What it finished with."""
        command = self.command
        assert isinstance(command, Finish), command
        assert command.outcome is not None, command.error
        return command.outcome

    @property
    def error(self) -> Any:
        """The error that it finished with; None: there is none."""
        command = self.command
        assert isinstance(command, Finish), command
        return command.error

    def tell(self, *events: Event) -> Self:
        """Tell one event after the other; a wait takes as long as it says."""
        for event in events:
            command = self.command
            if isinstance(command, Wait):
                self.now = command.until
            self.machine.tell(event, self.now)
        return self


Row = tuple[Phase, Verdict, Phase, type[Command], Callable[[], Walk[Any]]]
"""Where the machine is, what an event turns out to be, where that leads, the command there, and a walk that
takes the row last.
"""


def check_row(row: Row) -> None:
    """Check that a row is taken, and leads where it says."""
    phase, verdict, follows, command, scenario = row
    walk = scenario()
    asked = walk.command
    assert walk.trail[-1] == (phase, verdict)
    assert walk.machine.phase is follows
    assert isinstance(asked, command)


def check_all_rows(rows: Sequence[Row], machine: type[Machine]) -> None:
    """Check that these are all rows of a machine's table, and that it can do what they say."""
    here = sorted((phase, verdict, follows) for phase, verdict, follows, _, _ in rows)
    table = machine.table
    assert here == sorted(
        (phase, verdict, step[0]) for phase, row in table.items() for verdict, step in row.items()
    )
    for row in table.values():
        for follows, action in row.values():
            assert callable(getattr(machine, f"_do_{action}"))
            assert callable(getattr(machine, f"_enter_{follows}"))
