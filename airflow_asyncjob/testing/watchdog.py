"""Ends sessions of processes when the process that watches over them is gone.

Run as a script by :mod:`airflow_asyncjob.testing.processes`. Its standard input is a pipe from the parent:
each line is a session to end (``12345``), or not any more (``-12345``). The end of the input means that the
parent is gone, however it went, also by SIGKILL, where no ``finally`` runs.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["children", "end_sessions", "members", "send"]


def members(sessions: set[int]) -> list[int]:
    """Tell the ids of all processes in these sessions, zombies left out. Linux only: reads /proc.

    A session holds everything that a component started: unlike a process group or a chain of parents, it is
    not left by a child that makes a group of its own, as Airflow's task processes do, nor by one whose
    parent died.
    """
    return [pid for pid, (state, _, session) in _processes() if session in sessions and state not in "ZX"]


def children(parent: int) -> list[int]:
    """Tell the ids of a process's own children, zombies left out. Linux only: reads /proc."""
    return [pid for pid, (state, ppid, _) in _processes() if ppid == parent and state not in "ZX"]


def _processes() -> Iterator[tuple[int, tuple[str, int, int]]]:
    """Yield each process: its id; its state, its parent's id and its session."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            after_name = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:  # gone between the listing and the look
            continue
        yield int(entry.name), (after_name[0], int(after_name[1]), int(after_name[3]))


def send(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to those of these processes that there still are."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def end_sessions(sessions: set[int], grace: float = 5.0) -> None:
    """Ask every process of these sessions to stop, wait up to ``grace`` seconds, kill what is left.

    Only the sessions' leaders are asked, because they stop their children in their own order.
    """
    send([pid for pid in members(sessions) if pid in sessions], signal.SIGTERM)
    give_up = time.monotonic() + grace
    while (left := members(sessions)) and time.monotonic() < give_up:
        time.sleep(0.05)
    while left:
        send(left, signal.SIGKILL)
        time.sleep(0.02)
        left = members(sessions)


def _watch() -> None:
    sessions: set[int] = set()
    for line in sys.stdin:
        number = int(line)
        if number > 0:
            sessions.add(number)
        else:
            sessions.discard(-number)
    end_sessions(sessions)


if __name__ == "__main__":
    _watch()
