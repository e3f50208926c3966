"""The command line as a user starts it, a process of its own; and the job that most tests run."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from ruamel.yaml import YAML

from airflow_asyncjob.testing import FakeJobServer

ROOT = Path(__file__).parents[2]

DEFINITION: dict[str, Any] = {
    "version": 1,
    "name": "test/generic",
    "inputs": {"plan": {"type": "object", "default": {}}},
    "submit": {"request": {"method": "POST", "url": "/jobs", "json": "{{ inputs.plan }}"}, "id": "id"},
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {
            "running": ["queued", "running"],
            "done": ["succeeded"],
            "no_data": ["no_data"],
            "partial": ["partial"],
            "failed": ["failed"],
            "cancelled": ["cancelled"],
            "timed_out": ["expired"],
        },
        "message": "message",
        "progress": "progress",
        "poll_wait": 0.1,
        "jitter": 0,
        "timeout": "1m",
        "poll_error_budget": 1,
    },
    "result": {"target": "urls", "format": "csv"},
    "cancel": {"method": "DELETE", "url": "/jobs/{{ submission_id }}"},
    "delete": {"method": "DELETE", "url": "/jobs/{{ submission_id }}/result"},
    "limits": {"retries": 1},
}


@dataclass
class Ran:
    """What a command left."""

    code: int
    stdout: str
    stderr: str

    @property
    def last(self) -> dict[str, Any]:
        """The last line of stdout as a JSON object."""
        value = json.loads(self.stdout.splitlines()[-1])
        assert isinstance(value, dict)
        return value


class Asyncjob:
    """Starts ``asyncjob`` in a folder, without the caller's credentials."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("ASYNCJOB_", "AIRFLOW_"))
        }
        self.environment |= {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, connection: str | None = None, stdin: str = "") -> subprocess.Popen[str]:
        """Start a command and return its process."""
        environment = dict(self.environment)
        if connection is not None:
            environment["ASYNCJOB_CONN"] = connection
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow_asyncjob", *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
        return process

    def __call__(self, *arguments: str, connection: str | None = None, stdin: str = "") -> Ran:
        """Run a command to its end."""
        return self.end(self.start(*arguments, connection=connection, stdin=stdin))

    def end(self, process: subprocess.Popen[str], *, seconds: float = 240) -> Ran:
        """Wait for a command and return what it left."""
        stdout, stderr = process.communicate(timeout=seconds)
        return Ran(process.returncode, stdout, stderr)

    def stop(self) -> None:
        """End what is still there."""
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.communicate()

    def define(self, **sections: Any) -> str:
        """Write a definition into the folder: the usual one with other sections; None removes one."""
        definition = {key: value for key, value in {**DEFINITION, **sections}.items() if value is not None}
        return self.write(definition)

    def write(self, definition: dict[str, Any], name: str = "job.yaml") -> str:
        """Write a whole definition into the folder."""
        with (self.folder / name).open("w", encoding="utf-8") as file:
            YAML(typ="safe", pure=True).dump(definition, file)
        return name

    def run(
        self, server: FakeJobServer, *arguments: str, plan: dict[str, Any] | None = None, **sections: Any
    ) -> Ran:
        """Run the usual definition against a fake server, with ``--output json``."""
        return self.end(self.start_run(server, *arguments, plan=plan, **sections))

    def start_run(
        self,
        server: FakeJobServer,
        *arguments: str,
        plan: dict[str, Any] | None = None,
        connection: str | None = None,
        **sections: Any,
    ) -> subprocess.Popen[str]:
        """Start what :meth:`run` runs."""
        given = ("--set", f"plan={json.dumps(plan)}") if plan is not None else ()
        usual = ("run", self.define(**sections), "--base-url", server.url, "--output", "json")
        return self.start(*usual, *given, *arguments, connection=connection)

    def here(self, *arguments: str, connection: str | None = None, stdin: str = "") -> Ran:
        """Run a command within this process, which is quicker: for what ends before anything is sent."""
        from airflow_asyncjob.cli.app import call

        environment = self.environment | ({} if connection is None else {"ASYNCJOB_CONN": connection})
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.dict(os.environ, environment, clear=True),
            mock.patch.object(sys, "stdin", io.StringIO(stdin)),
        ):
            code = call(list(arguments))
        return Ran(code, out.getvalue(), err.getvalue())


def until(true: Callable[[], Any], *, seconds: float = 30) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError("it did not become true in time")
        time.sleep(0.02)
