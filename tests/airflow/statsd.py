"""A StatsD server: what Airflow's processes report, tags in the name as InfluxDB has them."""

from __future__ import annotations

import socket
import threading
from typing import NamedTuple, Self

__all__ = ["Figure", "StatsdServer"]

_PREFIX = "airflow.asyncjob."


class Figure(NamedTuple):
    """One line, such as ``airflow.asyncjob.polls,task_id=wait,state=done:1|c``."""

    name: str
    tags: dict[str, str]
    value: str


class StatsdServer:
    """Collects the figures of this package. A context manager; listens on 127.0.0.1."""

    def __init__(self) -> None:
        self._figures: list[Figure] = []
        self._marks: set[bytes] = set()
        self._marked = threading.Condition()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._collect, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._send(b"")
        self._thread.join()
        self._socket.close()

    @property
    def env(self) -> dict[str, str]:
        """The settings of an Airflow that reports here."""
        options = {
            "ON": "True",
            "HOST": "127.0.0.1",
            "PORT": str(self._socket.getsockname()[1]),
            "INFLUXDB_ENABLED": "True",
        }
        return {f"AIRFLOW__METRICS__STATSD_{name}": value for name, value in options.items()}

    def figures(self) -> list[Figure]:
        """Return what came so far: all that was sent before this call."""
        with self._marked:
            mark = f"mark {len(self._marks)}".encode()
            self._send(mark)
            assert self._marked.wait_for(lambda: mark in self._marks, timeout=30), "the server is not reading"
            return list(self._figures)

    def values(self, name: str, **tags: str) -> list[str]:
        """Return the values of one name with these tags, such as ``1|c``."""
        found = self.figures()
        return [it.value for it in found if it.name == _PREFIX + name and it.tags.items() >= tags.items()]

    def _send(self, data: bytes) -> None:
        # What comes over the loopback is read in the order in which it was sent.
        self._socket.sendto(data, self._socket.getsockname())

    def _collect(self) -> None:
        while data := self._socket.recv(65536):
            with self._marked:
                if data.startswith(b"mark "):
                    self._marks.add(data)
                    self._marked.notify_all()
                elif data.startswith(_PREFIX.encode()):
                    self._figures.append(_parsed(data.decode()))


def _parsed(line: str) -> Figure:
    name, _, value = line.partition(":")
    name, *tags = name.split(",")
    return Figure(name, dict(tag.split("=", 1) for tag in tags), value)
