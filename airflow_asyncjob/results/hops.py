"""The steps to the result, done: the protocol says which, the wire sends them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.protocol import (
    Command,
    Event,
    Failed,
    Hops,
    Outcome,
    Receive,
    Refresh,
    Refreshed,
    Responded,
    Send,
    Store,
    Wait,
    Woken,
)
from airflow_asyncjob.transport.conceal import conceal
from airflow_asyncjob.transport.driver import run, sleep_until
from airflow_asyncjob.transport.narrate import with_notes

if TYPE_CHECKING:
    from airflow_asyncjob.definition.job import AsyncJob
    from airflow_asyncjob.results.resilient import Observe
    from airflow_asyncjob.transport.client import Wire

__all__ = ["take_hops"]


def take_hops(
    definition: AsyncJob,
    job: Mapping[str, Any],
    wire: Wire,
    *,
    observe: Observe | None = None,
    wait: Callable[[Wait], Woken] | None = None,
) -> Outcome:
    """Send the steps of ``result.steps`` and return the targets and captures that they lead to.

    :param job: what :class:`~airflow_asyncjob.protocol.Hops` is told of it.
    :raises ExchangeError: the API does not answer as it should.
    :raises TemplateError: a step cannot be rendered.
    """
    machine = Hops(definition, **job)
    finish = conceal(run(machine, _Hands(wire, with_notes(machine, wire.say, observe), wait)), wire.redactor)
    if finish.error is not None:
        raise finish.error
    assert finish.outcome is not None
    return finish.outcome


class _Hands:
    def __init__(self, wire: Wire, observe: Observe, wait: Callable[[Wait], Woken] | None) -> None:
        self._wire = wire
        self._observe = observe
        self._wait = wait

    def send(self, command: Send) -> Responded | Failed:
        return self._wire.send(command)

    def wait(self, command: Wait) -> Woken:
        return sleep_until(command.until) if self._wait is None else self._wait(command)

    def refresh(self, command: Refresh) -> Refreshed:
        return self._wire.refresh()

    def store(self, command: Store) -> Any:
        raise AssertionError("the steps to a result store nothing")

    def receive(self, command: Receive) -> Any:
        raise AssertionError("the steps to a result have no body to hand on")

    def observe(self, command: Command, event: Event | None) -> None:
        self._observe(command, event)
