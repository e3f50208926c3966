"""The hands of a worker: what a machine asks for, done inside an Airflow task."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_asyncjob.hooks.following import Follower
    from airflow_asyncjob.protocol.machine import Machine
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
    from airflow_asyncjob.protocol.parts import Refusals
    from airflow_asyncjob.transport import AsyncWire, Narrator, Wire

__all__ = ["LongWait", "Stop", "Stopped", "WorkerHands", "narrator_of"]

_PIECE = 0.5


def narrator_of(
    wire: Wire | AsyncWire, log: Callable[[int, str], object], machine: Machine | None = None
) -> Narrator:
    """Return a narrator for a task's log, whose lines hold no secret: a status or a message may repeat one.

    What the wire itself has to say goes there too.

    :param log: such as ``self.log.log``.
    """
    from airflow_asyncjob.transport import Narrator

    def say(level: int, text: str) -> None:
        log(level, wire.redactor.text(text))

    wire.say = say
    return Narrator(say, machine)


class LongWait(Exception):
    """The machine wants a wait that this worker does not spend.

    :param until: seconds since the epoch.
    """

    def __init__(self, until: float, reason: str) -> None:
        super().__init__(reason)
        self.until = until


class Stopped(Exception):
    """Airflow asked this process to end (``on_kill``)."""


class Stop:
    """Whether Airflow asked this process to end; set from a signal handler, so it takes no lock."""

    def __init__(self) -> None:
        self.asked = False


class WorkerHands:
    """Sends over a wire, stores in the task state store, and waits as far as a worker should.

    :param wire: sends.
    :param narrator: writes the task log.
    :param store: keeps a checkpoint; None: nothing has to be kept.
    :param keep_refusals: writes what an answer to an upload refused; None: nothing reads it.
    :param longest_wait: seconds that are slept through; a longer wait raises :class:`LongWait`. None: any.
    :param stop: looked at during a wait, and between two requests of a submit by steps once it is stored what
        is done.
    :param clock: seconds since the epoch.
    """

    def __init__(
        self,
        wire: Wire,
        narrator: Narrator | Follower,
        *,
        store: Callable[[Mapping[str, Any]], None] | None = None,
        keep_refusals: Callable[[Refusals], None] | None = None,
        longest_wait: float | None = None,
        stop: Stop | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._wire = wire
        self._narrator = narrator
        self._store = store
        self._keep_refusals = keep_refusals
        self._longest_wait = longest_wait
        self._stop = stop or Stop()
        self._clock = clock

    def send(self, command: Send) -> Responded | Failed:
        """Send one request."""
        return self._wire.send(command)

    def wait(self, command: Wait) -> Woken:
        """Sleep until the time has come.

        :raises LongWait: it is longer than this worker waits.
        :raises Stopped: Airflow asked this process to end.
        """
        from airflow_asyncjob.protocol.messages import Woken

        self._check_stop()  # first: a task that is ended cannot be deferred any more
        if self._longest_wait is not None and command.until - self._clock() > self._longest_wait:
            raise LongWait(command.until, command.reason)
        while (left := command.until - self._clock()) > 0:
            time.sleep(min(left, _PIECE))
            self._check_stop()
        return Woken()

    def store(self, command: Store) -> Stored:
        """Keep the checkpoint in the task state store; before it, what was refused of a part.

        :raises Stopped: Airflow asked this process to end, and a part of a submit is not done yet.
        """
        from airflow_asyncjob.protocol import is_between_steps
        from airflow_asyncjob.protocol.messages import Stored
        from airflow_asyncjob.transport.conceal import concealed_checkpoint

        if self._keep_refusals is not None and command.refusals is not None:
            self._keep_refusals(command.refusals)
        if self._store is not None:
            self._store(concealed_checkpoint(command.checkpoint, self._wire.redactor))
        if is_between_steps(command.checkpoint):
            self._check_stop()
        return Stored()

    def refresh(self, command: Refresh) -> Refreshed:
        """Fetch the connection anew."""
        return self._wire.refresh()

    def receive(self, command: Receive) -> BodyEnded | BodyBroken:
        """Never asked for: a job has no body to hand on, and a download is read by the writer."""
        raise NotImplementedError("a job has no body to hand on")

    def observe(self, command: Command, event: Event | None) -> None:
        """Write it to the log."""
        self._narrator.observe(command, event)

    def _check_stop(self) -> None:
        if self._stop.asked:
            raise Stopped
