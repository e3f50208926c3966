"""ProcessFamily: programs that end with this process, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_asyncjob.testing import watchdog
from airflow_asyncjob.testing.processes import ProcessFamily, StartError, free_port, tail, wait_until

# A program that ignores SIGTERM, with a child in a process group of its own: as hard to end as a task.
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setpgid(0, 0)
print("ready", flush=True)
time.sleep(600)
"""

PARENT = """
import sys, time
from pathlib import Path
from airflow_asyncjob.testing.processes import ProcessFamily
family = ProcessFamily(Path(sys.argv[1]))
print(family.start("stubborn", [sys.executable, "-c", sys.argv[2]]), flush=True)
time.sleep(600)
"""


@pytest.fixture
def family(tmp_path: Path) -> Iterator[ProcessFamily]:
    family = ProcessFamily(tmp_path / "logs")
    yield family
    family.stop(grace=0.2)


def start_stubborn(family: ProcessFamily, name: str = "stubborn") -> int:
    pid = family.start(name, [sys.executable, "-c", STUBBORN])
    wait_until(lambda: len(family.pids(name)) == 2, timeout=20, what="parent and child run")
    wait_until(lambda: family.log(name).read_text().count("ready") == 2, timeout=20, what="both are ready")
    return pid


def test_stop_ends_children_that_made_a_group_of_their_own(family: ProcessFamily) -> None:
    session = start_stubborn(family)
    family.stop(grace=0.2)
    assert watchdog.members({session}) == []
    assert not family.alive("stubborn")


def test_stop_ends_what_a_killed_first_process_left_behind(family: ProcessFamily) -> None:
    session = start_stubborn(family)
    family.kill("stubborn", descendants=False)
    assert not family.alive("stubborn")
    assert len(watchdog.members({session})) == 1
    again = family.start("stubborn", [sys.executable, "-c", STUBBORN])
    family.stop(grace=0.2)
    assert watchdog.members({session, again}) == []


def test_kill_takes_the_descendants_by_default(family: ProcessFamily) -> None:
    session = start_stubborn(family)
    family.kill("stubborn")
    wait_until(lambda: watchdog.members({session}) == [], timeout=10, what="the child is gone")
    assert family.exit_code("stubborn") == -signal.SIGKILL


def test_programs_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), STUBBORN], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        session = int(parent.stdout.readline())
        wait_until(lambda: len(watchdog.members({session})) == 2, timeout=20, what="parent and child run")
        os.kill(parent.pid, signal.SIGKILL)
    wait_until(lambda: watchdog.members({session}) == [], timeout=20, what="the watchdog ended the program")


def test_a_signal_in_mid_start_leaves_no_program_behind(tmp_path: Path) -> None:
    """The audit event ``subprocess.Popen`` comes inside the start, which is where the signal hits."""
    interrupted = """
import signal, sys
from pathlib import Path
from airflow_asyncjob.testing import watchdog
from airflow_asyncjob.testing.processes import ProcessFamily
signal.signal(signal.SIGTERM, signal.default_int_handler)
def hit(event, _):
    if event == "subprocess.Popen":
        signal.raise_signal(signal.SIGTERM)
sys.addaudithook(hit)
family = ProcessFamily(Path(sys.argv[1]))
try:
    family.start("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"])
except KeyboardInterrupt:
    session = family.pid("sleeper")
    family.stop(grace=0.2)
    print("interrupted", watchdog.members({session}))
"""
    told = subprocess.run(
        [sys.executable, "-c", interrupted, str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert told.stdout == "interrupted []\n"


def test_a_program_that_ends_early_is_reported_with_its_code_and_log(family: ProcessFamily) -> None:
    family.start("broken", [sys.executable, "-c", "print('no such table'); raise SystemExit(3)"])
    with pytest.raises(StartError) as caught:
        family.wait_ready("broken", lambda: False, timeout=20)
    assert "broken ended with code 3" in str(caught.value)
    assert "no such table" in str(caught.value)


def test_a_program_that_never_gets_ready_is_reported_with_the_last_problem(family: ProcessFamily) -> None:
    start_stubborn(family)

    def ready() -> bool:
        raise ConnectionRefusedError("nobody listens")

    with pytest.raises(StartError) as caught:
        family.wait_ready("stubborn", ready, timeout=0.3)
    assert "stubborn is not ready after 0.3 s (ConnectionRefusedError: nobody listens)" in str(caught.value)
    assert "ready" in str(caught.value)


def test_a_running_program_is_not_started_twice(family: ProcessFamily) -> None:
    pid = start_stubborn(family)
    with pytest.raises(StartError, match=f"stubborn runs already, as process {pid}"):
        family.start("stubborn", [sys.executable, "-c", STUBBORN])


def test_wait_until_returns_the_answer_and_names_what_did_not_come() -> None:
    assert wait_until(lambda: "yes", timeout=1, what="an answer") == "yes"
    with pytest.raises(TimeoutError, match=r"the job is over: not within 0.1 s; the last answer was \[\]"):
        wait_until(list, timeout=0.1, what="the job is over", every=0.01)


def test_tail_tells_a_missing_log_from_an_empty_one(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert tail(log) == f"(no log at {log})"
    log.touch()
    assert tail(log) == "(the log is empty)"
    log.write_text("1\n2\n3\n")
    assert tail(log, lines=2) == "2\n3"


def test_free_ports_can_be_bound() -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
