"""The loop between a machine, which says what happens next, and the hands, which do it.

Ask for the next command, do it, tell what happened, again, until ``Finish``. The loop is one generator; a
blocking and an asynchronous pump turn it, so that worker, command line and triggerer run the same thing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from typing import Protocol, assert_never

from airflow_asyncjob.protocol.messages import (
    BodyBroken,
    BodyEnded,
    Command,
    Event,
    Failed,
    Finish,
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

__all__ = ["AsyncHands", "Hands", "Machine", "arun", "run", "sleep_until", "wait_until"]

Clock = Callable[[], float]
Step = Send | Wait | Store | Plan | Refresh | Receive
# A wait is slept in pieces, so that a clock that is set, or a suspended machine, moves its end by no more
# than this.
_PIECE = 30.0


class Machine(Protocol):
    """Says the next command and is told what happened, such as ``protocol.Job``.

    Times are seconds since the epoch.
    """

    def next(self, now: float) -> Command:
        """Return the next command; the same one again until it is answered."""

    def tell(self, event: Event, now: float) -> None:
        """Take what the last command led to."""


class Hands(Protocol):
    """Does what a machine asks for, and blocks while it does.

    An exception raised by one of these ends the run and reaches the caller: so a task may leave a long wait
    by deferring. Whether ``receive`` is ever asked for depends on the machine: a ``Job`` never does, a
    ``Download`` does.
    """

    def send(self, command: Send) -> Responded | Failed:
        """Send one request. Every fault of the network is a ``Failed``, not an exception."""

    def wait(self, command: Wait) -> Woken:
        """Return at ``command.until``, or earlier when there is a reason to look."""

    def store(self, command: Store) -> Stored:
        """Keep the checkpoint durably."""

    def refresh(self, command: Refresh) -> Refreshed:
        """Fetch the credentials anew."""

    def receive(self, command: Receive) -> BodyEnded | BodyBroken:
        """Hand the body of the open answer on."""

    def observe(self, command: Command, event: Event | None) -> None:
        """See a command: before it is done with None as the event, and after it with what it led to.

        ``Finish`` is seen once. To be seen before a wait matters: a wait may be long, and may be left by an
        exception.
        """


class AsyncHands(Protocol):
    """As :class:`Hands`, without blocking; and without uploads, since only a worker submits."""

    async def send(self, command: Send) -> Responded | Failed:
        """Send one request."""

    async def wait(self, command: Wait) -> Woken:
        """Return at ``command.until``, or earlier when there is a reason to look."""

    async def store(self, command: Store) -> Stored:
        """Keep the checkpoint durably."""

    async def refresh(self, command: Refresh) -> Refreshed:
        """Fetch the credentials anew."""

    async def receive(self, command: Receive) -> BodyEnded | BodyBroken:
        """Hand the body of the open answer on."""

    def observe(self, command: Command, event: Event | None) -> None:
        """See a command before (event None) and after it is done; must not block."""


def run(
    machine: Machine,
    hands: Hands,
    *,
    clock: Clock = time.time,
    plan: Callable[[Plan], Planned | Failed] | None = None,
) -> Finish:
    """Drive a machine to its end.

    :param clock: seconds since the epoch.
    :param plan: cuts an upload into parts; None: the machine has none to send.
    :returns: the machine's last word; an error in it is returned, not raised.
    :raises RuntimeError: the machine has an upload to send, and nothing cuts it.
    """
    loop = _commands(machine, clock)
    event: Event | None = None
    while True:
        try:
            command = next(loop) if event is None else loop.send(event)
        except StopIteration as end:
            finish: Finish = end.value
            hands.observe(finish, None)
            return finish
        hands.observe(command, None)
        match command:
            case Send():
                event = hands.send(command)
            case Wait():
                event = hands.wait(command)
            case Store():
                event = hands.store(command)
            case Plan():
                if plan is None:
                    raise RuntimeError("an upload is to be sent, and nothing cuts it: give run() plan")
                event = plan(command)
            case Refresh():
                event = hands.refresh(command)
            case Receive():
                event = hands.receive(command)
            case _:
                assert_never(command)
        hands.observe(command, event)


async def arun(machine: Machine, hands: AsyncHands, *, clock: Clock = time.time) -> Finish:
    """Drive a machine to its end without blocking; see :func:`run`.

    A cancelled task leaves the outstanding command undone.

    :raises RuntimeError: the machine has an upload to send.
    """
    loop = _commands(machine, clock)
    event: Event | None = None
    while True:
        try:
            command = next(loop) if event is None else loop.send(event)
        except StopIteration as end:
            finish: Finish = end.value
            hands.observe(finish, None)
            return finish
        hands.observe(command, None)
        match command:
            case Send():
                event = await hands.send(command)
            case Wait():
                event = await hands.wait(command)
            case Store():
                event = await hands.store(command)
            case Plan():
                raise RuntimeError("an upload is cut and sent by a worker, which drives with run()")
            case Refresh():
                event = await hands.refresh(command)
            case Receive():
                event = await hands.receive(command)
            case _:
                assert_never(command)
        hands.observe(command, event)


def sleep_until(
    until: float, *, clock: Clock = time.time, sleep: Callable[[float], object] = time.sleep
) -> Woken:
    """Sleep until the clock shows ``until`` (seconds since the epoch); at once when it already does."""
    while (left := until - clock()) > 0:
        sleep(min(left, _PIECE))
    return Woken()


async def wait_until(until: float, *, clock: Clock = time.time, woken: asyncio.Event | None = None) -> Woken:
    """Wait until the clock shows ``until`` (seconds since the epoch), or until ``woken`` is set.

    :param woken: cuts the wait short, and is cleared then; None: nothing does.
    """
    while (left := until - clock()) > 0:
        if woken is None:
            await asyncio.sleep(min(left, _PIECE))
            continue
        try:
            await asyncio.wait_for(woken.wait(), min(left, _PIECE))
        except TimeoutError:
            continue
        woken.clear()
        break
    return Woken()


def _commands(machine: Machine, clock: Clock) -> Generator[Step, Event, Finish]:
    while True:
        command = machine.next(clock())
        if isinstance(command, Finish):
            return command
        event = yield command
        machine.tell(event, clock())
