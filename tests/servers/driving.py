"""Drive a definition file against a real server, over the command line."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_asyncjob.definition import AsyncJob
from tests.cli.command import Asyncjob, Ran, until

DEFINITIONS = Path(__file__).parent / "definitions"
QUICK = {"status": {"poll_wait": 0.2, "growth": 1.0, "initial_wait": 0, "jitter": 0.0}}
"""What a test changes in a definition: nobody waits for it."""


@dataclass
class Driven:
    """One definition, run against one server.

    :param asyncjob: the command line.
    :param definition: a name in tests/servers/definitions, or of a packaged definition.
    :param url: the server.
    :param connection: further fields of its connection, such as ``login`` and ``password``.
    """

    asyncjob: Asyncjob
    definition: str
    url: str
    connection: dict[str, Any] = field(default_factory=dict)

    def write(self, changes: Mapping[str, Any]) -> str:
        """Write the definition into the test's folder, with these changes and waits for a test."""
        file = DEFINITIONS / f"{self.definition}.yaml"
        job = AsyncJob.load(str(file) if file.exists() else self.definition)
        return self.asyncjob.write(_merged(_merged(job.to_dict(), QUICK), changes))

    def start(
        self, *arguments: str, changes: Mapping[str, Any] | None = None, **inputs: Any
    ) -> subprocess.Popen[str]:
        """Start ``asyncjob run`` with these inputs.

        :param changes: what is different in the definition; a mapping changes its keys only, None removes.
        """
        given = [
            word
            for name, value in inputs.items()
            for word in ("--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}")
        ]
        usual = ("run", self.write(changes or {}), "--base-url", self.url, "--output", "json")
        return self.asyncjob.start(*usual, *given, *arguments, connection=json.dumps(self.connection))

    def run(self, *arguments: str, changes: Mapping[str, Any] | None = None, **inputs: Any) -> Ran:
        """Run it to its end; the parameters are those of :meth:`start`."""
        return self.asyncjob.end(self.start(*arguments, changes=changes, **inputs))

    def interrupted(self, runs: Callable[[], Any], *arguments: str, **inputs: Any) -> Ran:
        """Press Ctrl-C once ``runs`` is true."""
        process = self.start(*arguments, **inputs)
        until(runs)
        process.send_signal(signal.SIGINT)
        return self.asyncjob.end(process)


def asking_for(submission_id: str) -> dict[str, Any]:
    """Return the change that lets a definition ask for this job, whatever its submit answers."""
    return {"submit": {"id": {"template": submission_id}}}


def records_in(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(base)
    for key, value in changes.items():
        inner = found.get(key)
        replaces = not isinstance(value, Mapping) or not isinstance(inner, Mapping) or "template" in value
        found[key] = value if replaces else _merged(inner, value)
    return {key: value for key, value in found.items() if value is not None}
