"""What a person sees: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys

import pytest

from airflow_asyncjob.cli.progress import Progress, bytes_text
from airflow_asyncjob.testing import FakeJobServer
from tests.cli.command import Asyncjob, until

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command whose stderr is a terminal, and what it shows there."""

    def __init__(self, asyncjob: Asyncjob, *arguments: str) -> None:
        self._mine, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "airflow_asyncjob", *arguments],
            cwd=asyncjob.folder, env=asyncjob.environment | {"TERM": "xterm"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, text=True,
        )  # fmt: skip
        os.close(theirs)
        self.shown = ""

    def read(self) -> str:
        """Return all that was shown so far, after waiting for more."""
        try:
            self.shown += os.read(self._mine, 65536).decode(errors="replace")
        except OSError:
            self.ended = True
        return self.shown

    def end(self) -> tuple[int, str]:
        """Return the exit code and stdout, at the end of the process."""
        self.ended = False
        while not self.ended:
            self.read()
        stdout, _ = self.process.communicate(timeout=240)
        os.close(self._mine)
        return self.process.returncode, stdout


def test_a_terminal_has_a_live_line_and_lines_that_stay(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    plan = json.dumps({"queue_for": 1, "run_for": 1.5})
    run = ("run", asyncjob.define(), "--base-url", server.url, "--destination", "x.jsonl")
    terminal = Terminal(asyncjob, *run, "--set", f"plan={plan}")
    code, stdout = terminal.end()
    assert (code, stdout) == (0, "x.jsonl\n")
    text = _CONTROL.sub("", terminal.shown)
    assert "job job-1, queued" in text
    assert "job job-1, running, progress" in text
    stays = [line for line in text.splitlines() if re.match(r"\d\d:\d\d:\d\d ", line)]
    polls = [line for line in stays if "/jobs/job-1 200" in line]
    assert ["queued -> running" in polls[0], "running -> succeeded" in polls[1]] == [True, True]
    assert len(polls) == 2
    assert server.ledger.count("poll") > 2
    assert text.splitlines()[-1].startswith("asyncjob: done: 3 records")


def test_ctrl_c_on_a_terminal_cancels(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    terminal = Terminal(
        asyncjob, "run", asyncjob.define(), "--base-url", server.url, "--set", 'plan={"run_for": 3600}'
    )
    until(lambda: server.ledger.count("poll") >= 1)
    terminal.process.send_signal(signal.SIGINT)
    code, _ = terminal.end()
    assert code == 130
    assert server.ledger.running() == 0
    assert "Ctrl-C: stopping. Ctrl-C again leaves at once" in terminal.shown


def test_elsewhere_every_poll_is_a_plain_line(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    ran = asyncjob.run(server, plan={"run_for": 0.5})
    assert ran.stderr.count("/jobs/job-1 200") == server.ledger.count("poll")
    assert "\x1b" not in ran.stderr


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (12_345_678, "12.3 MB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert bytes_text(size) == text


def test_the_live_line_counts_down() -> None:
    now = [1000.0]
    progress = Progress(terminal=True, clock=lambda: now[0])
    progress.doing("the next poll", until=1030.0)
    now[0] = 1010.0
    assert progress._text().plain == "10 s  the next poll in 20 s"
    now[0] = 1031.0
    assert progress._text().plain == "31 s  the next poll"
