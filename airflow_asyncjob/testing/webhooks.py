"""Events that a fake server sends when its jobs have ended, each again until it is taken."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from airflow_asyncjob.testing.clock import Clock

__all__ = ["Delivery", "Event", "Webhooks"]

_LOOK_EVERY = 0.02
"""Seconds of the machine's clock between two looks at the server's."""


@dataclass(frozen=True)
class Event:
    """What is sent.

    :param job_id: the job that has changed.
    """

    url: str
    body: bytes
    headers: Mapping[str, str]
    job_id: str


@dataclass(frozen=True)
class Delivery:
    """One attempt to send an event.

    :param at: of the server's clock, seconds since the epoch.
    :param attempt: from 1.
    :param code: what was answered; None: nothing.
    """

    at: float
    event: Event
    attempt: int
    code: int | None


@dataclass
class _Planned:
    at: float
    make: Callable[[], Event | None]
    attempt: int = 1
    event: Event | None = field(default=None)


class Webhooks:
    """Sends events at their time, from a thread that runs only while one is planned.

    :param clock: of the server's jobs.
    :param attempts: how often an event is sent at most.
    :param retry_wait: seconds of that clock between two attempts.
    :param timeout: seconds within which an answer counts.
    """

    def __init__(
        self, clock: Clock, *, attempts: int = 3, retry_wait: float = 900.0, timeout: float = 4.0
    ) -> None:
        self._clock = clock
        self._attempts = attempts
        self._retry_wait = retry_wait
        self._timeout = timeout
        self._planned: list[_Planned] = []
        self._sent: list[Delivery] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def deliveries(self) -> list[Delivery]:
        """Every attempt so far."""
        with self._lock:
            return list(self._sent)

    @property
    def is_planned(self) -> bool:
        """Whether an event is still to be sent, or being sent."""
        with self._lock:
            return self._thread is not None

    def plan(self, at: float, make: Callable[[], Event | None]) -> None:
        """Send an event at a time.

        :param at: of the server's clock, seconds since the epoch.
        :param make: asked at that time; None: nothing is sent, since things went otherwise.
        """
        with self._lock:
            self._planned.append(_Planned(at, make))
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._run, name="fake webhooks", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Send nothing more."""
        self._closed.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while not self._closed.wait(_LOOK_EVERY):
            now = self._clock.time()
            with self._lock:
                due = [one for one in self._planned if one.at <= now]
                self._planned = [one for one in self._planned if one.at > now]
                if not due and not self._planned:
                    self._thread = None
                    return
            for one in due:
                self._send(one)

    def _send(self, one: _Planned) -> None:
        event = one.event or one.make()
        if event is None:
            return
        delivery = Delivery(self._clock.time(), event, one.attempt, _post(event, self._timeout))
        again = _Planned(delivery.at + self._retry_wait, one.make, one.attempt + 1, event)
        taken = delivery.code is not None and 200 <= delivery.code < 300
        with self._lock:
            self._sent.append(delivery)
            if not taken and one.attempt < self._attempts:
                self._planned.append(again)


def _post(event: Event, timeout: float) -> int | None:
    """Send an event; return the code of the answer, None: there was none."""
    address = urlsplit(event.url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port or 80, timeout=timeout)
    try:
        path = address.path + (f"?{address.query}" if address.query else "")
        connection.request("POST", path, event.body, dict(event.headers))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
