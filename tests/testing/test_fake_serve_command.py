"""``python -m airflow_asyncjob.testing serve``: a fake server in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.testing.server import KINDS

REPOSITORY = Path(__file__).parents[2]


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "airflow_asyncjob.testing", "serve", *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_its_url_serves_and_ends_on_a_signal(number: signal.Signals) -> None:
    with serving("sendgrid", "--contacts", "4", "--seconds", "0", "--fails", "--api-key", "SG.mine") as (
        process,
        line,
    ):
        assert line.startswith("http://127.0.0.1:")
        assert line.endswith("\n")
        url = line.strip()
        assert process.stdout is not None
        assert "SG.mine" in process.stdout.readline()
        headers = {"Authorization": "Bearer SG.mine"}
        exports = f"{url}/v3/marketing/contacts/exports"
        export = httpx.post(exports, json={}, headers=headers).json()["id"]
        assert httpx.get(f"{exports}/{export}", headers=headers).json()["status"] == "failure"
        httpx.post(f"{url}/_faults", json={"purpose": "poll", "kind": 503})
        assert httpx.get(f"{exports}/{export}", headers=headers).status_code == 503
        ledger = httpx.get(f"{url}/_ledger").json()
        assert (ledger["accepted"], ledger["running"], ledger["counts"]) == (1, 0, {"submit": 1, "poll": 2})
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
        assert (process.returncode, stdout, stderr) == (0, "", "")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_served_and_says_which_connection_it_takes(kind: str) -> None:
    with serving(kind) as (process, line):
        assert httpx.get(f"{line.strip()}/_ledger").json()["accepted"] == 0
        assert process.stdout is not None
        connection = json.loads(process.stdout.readline())
        with FakeJobServer(kind) as same:
            assert connection == json.loads(json.dumps(same.connection).replace(same.url, line.strip()))


def test_it_takes_the_port_and_choices_that_it_is_given() -> None:
    with FakeJobServer() as free:
        port = free.port
    arguments = ("--port", str(port), "--status-habit", "text", "--auth", "bearer", "--credential", "c")
    with serving("generic", *arguments, "--no-idempotency") as (_, line):
        assert line == f"http://127.0.0.1:{port}\n"
        with httpx.Client(base_url=line.strip(), headers={"Authorization": "Bearer c"}) as client:
            for number in (1, 2):
                answer = client.post("/jobs", headers={"Idempotency-Key": "k"})
                assert answer.json()["id"] == f"job-{number}"
            assert client.get("/jobs/job-1").text == "succeeded"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("sengrid",), 2, "invalid choice: 'sengrid'"),
        (("generic", "--status-habit", "yaml"), 2, "invalid choice: 'yaml'"),
        (
            ("sendgrid", "--files", "0"),
            1,
            "cannot serve sendgrid on port 0: contacts and seconds are 0 or more",
        ),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(arguments: tuple[str, ...], code: int, message: str) -> None:
    with serving(*arguments) as (process, line):
        _, stderr = process.communicate(timeout=30)
        assert (line, process.returncode) == ("", code)
        assert message in stderr


def test_a_taken_port_says_so() -> None:
    with FakeJobServer() as taken, serving("generic", "--port", str(taken.port)) as (process, line):
        _, stderr = process.communicate(timeout=30)
        assert (line, process.returncode) == ("", 1)
        assert f"cannot serve generic on port {taken.port}" in stderr
        assert "in use" in stderr
