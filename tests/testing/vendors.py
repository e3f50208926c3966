"""The catalogue over the command line against the fake vendors, without the waits of the real ones."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.testing import FakeClock, FakeJobServer
from airflow_asyncjob.testing.server import Kind
from tests.cli.command import Asyncjob, Ran
from tests.testing.driving import Client, client_of

QUICK = {"initial_wait": 0, "poll_wait": 0.05, "growth": 1.0, "longest_wait": None, "jitter": 0.0}


@dataclass
class Vendor:
    """One entry of the catalogue, and the server that it is run against."""

    name: str
    server: FakeJobServer
    asyncjob: Asyncjob

    @property
    def folder(self) -> Path:
        return self.asyncjob.folder

    def run(
        self,
        *arguments: str,
        connection: dict[str, Any] | None = None,
        changed: dict[str, Any] | None = None,
        upload: dict[str, Any] | None = None,
        **inputs: Any,
    ) -> Ran:
        """Run ``asyncjob run`` on the entry.

        :param connection: fields of the connection that are others than those of the server.
        :param changed: sections of the definition: fields that are others than in the catalogue.
        :param upload: fields of submit.upload that are others, such as smaller limits.
        :param inputs: of the definition.
        """
        definition = AsyncJob.load(self.name).to_dict()
        definition["status"] |= QUICK
        for section, fields in (changed or {}).items():
            definition[section] = {**definition.get(section, {}), **fields}
        if upload:
            definition["submit"]["upload"] |= upload
        job = self.asyncjob.write(definition)
        given = [word for name, value in inputs.items() for word in ("--set", f"{name}={_text(value)}")]
        return self.asyncjob.here(
            *("run", job, "--output", "json", *given, *arguments),
            connection=json.dumps({**self.server.connection, **(connection or {})}),
        )

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Return the records of a JSON Lines file that was written."""
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]


@contextmanager
def driven(
    kind: Kind, source: str | Mapping[str, Any], options: dict[str, Any], **inputs: Any
) -> Iterator[tuple[Client, FakeJobServer]]:
    """Give an entry of the catalogue and its server, on a clock that never waits: for faults."""
    # Downloads tell the time by the machine's clock, so this one starts with it.
    clock = FakeClock(time.time())
    with FakeJobServer(kind, clock=clock, **options) as server:
        known = {name: server.connection.get(name) for name in ("login", "password", "extra")}
        with client_of(source, server.url, clock, **known, **inputs) as client:
            yield client, server


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
