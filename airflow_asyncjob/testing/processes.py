"""Real programs for tests and demonstrations: started apart, and ended with all that they started."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from airflow_asyncjob.testing import watchdog

__all__ = ["ProcessFamily", "StartError", "free_port", "tail", "wait_until"]

T = TypeVar("T")


class StartError(RuntimeError):
    """A program did not start, or did not become ready. The message ends with the tail of its log."""


def free_port(preferred: int = 0) -> int:
    """Find a TCP port on 127.0.0.1 that nobody uses now.

    :param preferred: the one to take when it is free; 0: any.
    """
    with socket.socket() as probe:
        # As servers do it: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            if not preferred:
                raise
            return free_port()
        port: int = probe.getsockname()[1]
        return port


def tail(path: Path, lines: int = 40) -> str:
    """Read the last ``lines`` lines of a log, or say that there is none."""
    if not path.exists():
        return f"(no log at {path})"
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) or "(the log is empty)"


def wait_until(predicate: Callable[[], T], *, timeout: float, what: str, every: float = 0.2) -> T:
    """Ask ``predicate`` again and again until its answer is true, and return that answer.

    :param timeout: seconds after which a TimeoutError is raised.
    :param what: what is waited for, in the words of the error.
    :param every: seconds between two questions.
    """
    give_up = time.monotonic() + timeout
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() > give_up:
            raise TimeoutError(f"{what}: not within {timeout:g} s; the last answer was {answer!r}")
        time.sleep(every)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back: between a start and its note they would leave an unknown program.

    They are not blocked in the kernel, since the program would inherit that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python runs signal handlers in the main thread only
        return
    held: list[int] = []
    handlers = {
        number: signal.signal(number, lambda caught, _: held.append(caught))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for caught in held:
            signal.raise_signal(caught)


class ProcessFamily:
    """Programs that live no longer than this process, whatever ends it.

    Each is started in a session of its own, so that a Ctrl-C at the terminal does not reach it, and so that
    all its descendants can be found. A watchdog process ends them when this process dies without a chance to
    do so.

    :param log_folder: each program's output goes to ``NAME.log`` there; made when it is missing.
    """

    def __init__(self, log_folder: Path) -> None:
        self.log_folder = log_folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._sessions: dict[
            str, set[int]
        ] = {}  # a restarted program has the session of its earlier self, too
        self._watchdog: subprocess.Popen[bytes] | None = None

    def log(self, name: str) -> Path:
        """Tell where the output of one program lies."""
        return self.log_folder / f"{name}.log"

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> int:
        """Start a program and return its process id, which is also the id of its session.

        :param env: its whole environment; None: this process's own.
        """
        if self.alive(name):
            raise StartError(f"{name} runs already, as process {self._running[name].pid}")
        self.log_folder.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as log, _uninterrupted():
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
            )
            self._running[name] = process
            self._sessions.setdefault(name, set()).add(process.pid)
            self._tell_watchdog(process.pid)
        return process.pid

    def names(self) -> list[str]:
        """List the programs that were started and not stopped."""
        return list(self._running)

    def pid(self, name: str) -> int:
        """Tell the id of a program's first process."""
        return self._running[name].pid

    def pids(self, name: str) -> list[int]:
        """Tell the ids of a program's living processes, its descendants and those of an earlier self."""
        return watchdog.members(self._sessions[name])

    def alive(self, name: str) -> bool:
        """Tell whether a program's first process runs."""
        return name in self._running and self._running[name].poll() is None

    def exit_code(self, name: str) -> int | None:
        """Tell a program's exit code: None while it runs, negative for a signal."""
        return self._running[name].poll()

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL, *, descendants: bool = True) -> None:
        """Send a signal to a program; when it is SIGKILL, wait until those that it was sent to have ended.

        :param descendants: also to everything that it started, as when a machine dies; False: to its first
            process only, as when the system runs out of memory.
        """
        if not (descendants and number is signal.SIGKILL):
            watchdog.send(self.pids(name) if descendants else [self.pid(name)], number)
        else:
            # More than once: a process may start another one between the listing and the signal, and one that
            # was sent the signal is there until the kernel has taken it apart.
            while left := self.pids(name):
                watchdog.send(left, number)
                time.sleep(0.02)
        if number is signal.SIGKILL:
            self._running[name].wait()

    def wait_ready(
        self, name: str, ready: Callable[[], object], *, timeout: float, every: float = 0.1
    ) -> None:
        """Wait until ``ready`` answers true; OSError and httpx errors count as no. StartError otherwise.

        :param timeout: seconds.
        """
        import httpx  # here, because the watchdog's and the fake servers' users need no HTTP client

        give_up = time.monotonic() + timeout
        while True:
            try:
                if ready():
                    return
                last = "it answered, but is not ready"
            except (OSError, httpx.HTTPError) as problem:
                last = f"{type(problem).__name__}: {problem}"
            if not self.alive(name):
                raise StartError(f"{name} ended with code {self.exit_code(name)}\n{tail(self.log(name))}")
            if time.monotonic() > give_up:
                raise StartError(f"{name} is not ready after {timeout:g} s ({last})\n{tail(self.log(name))}")
            time.sleep(every)

    def stop(self, *names: str, grace: float = 5.0) -> None:
        """End these programs, or all, with everything that they started.

        :param grace: seconds between the request to stop and SIGKILL.
        """
        chosen = [name for name in (names or tuple(self._running)) if name in self._running]
        sessions = set().union(*(self._sessions.pop(name) for name in chosen))
        watchdog.end_sessions(sessions, grace)
        for name in chosen:
            self._running.pop(name).wait()
        for session in sessions:
            self._tell_watchdog(-session)
        if not self._running and self._watchdog is not None:
            assert self._watchdog.stdin is not None
            self._watchdog.stdin.close()
            self._watchdog.wait()
            self._watchdog = None

    def _tell_watchdog(self, session: int) -> None:
        if self._watchdog is None:
            self._watchdog = subprocess.Popen(
                [sys.executable, "-S", "-E", watchdog.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.write(f"{session}\n".encode())
        self._watchdog.stdin.flush()
