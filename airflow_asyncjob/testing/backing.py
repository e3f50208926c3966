"""PostgreSQL and Redis for tests: each with a folder, a port and a password of its own."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_asyncjob.testing.processes import ProcessFamily, StartError, free_port

__all__ = ["CannotBack", "Postgres", "Redis"]

_DEBIAN = Path("/usr/lib/postgresql")
_UNPRIVILEGED = ("postgres", "nobody")
"""Whose rights PostgreSQL takes, which refuses to run as root: the first that this machine has."""
_CONNECTIONS = 300


class CannotBack(StartError):
    """A program that the engine needs is not on this machine; the message says how to get it."""


class Postgres:
    """A PostgreSQL server with one database ``airflow``.

    Its files outlive a SIGKILL of its processes, not a power cut: it does not wait for the disk. Under root
    they lie in a folder of their own under the machine's folder for temporary files, since the user that
    PostgreSQL then runs as may not enter others; :meth:`remove` removes it.

    :param home: folder for its files where this process is not root's.
    :raises CannotBack: there is no PostgreSQL here.
    """

    def __init__(self, home: Path) -> None:
        self.bin = _postgres_programs()
        self.port = free_port()
        self._prefix = _as_unprivileged() if os.getuid() == 0 else []
        self._temporary = bool(self._prefix)
        self.folder = Path(tempfile.mkdtemp(prefix="asyncjob-postgres-")) if self._temporary else home
        self.password = secrets.token_urlsafe(16)

    @property
    def url(self) -> str:
        """Address without a scheme: ``airflow:...@127.0.0.1:5432/airflow``."""
        return f"airflow:{self.password}@127.0.0.1:{self.port}/airflow"

    @property
    def command(self) -> list[str]:
        """What starts the server, in the foreground."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": _CONNECTIONS,
            "fsync": "off",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [*self._prefix, str(self.bin / "postgres"), "-D", str(self._data), *options]

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def make(self) -> None:
        """Make the cluster; what an earlier run left is removed.

        :raises StartError: initdb failed; with what it said.
        """
        shutil.rmtree(self._data, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        words = self.folder / "password"
        words.write_text(self.password)
        words.chmod(0o600)
        if self._temporary:
            owner = pwd.getpwnam(_unprivileged())
            for path in (self.folder, words):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        options = ["--username=airflow", f"--pwfile={words}", "--auth=scram-sha-256", "--encoding=UTF8"]
        self._run("initdb", "-D", str(self._data), "--locale=C", "--no-sync", *options)
        words.unlink()

    def make_database(self) -> None:
        """Make the database ``airflow`` on the running server."""
        where = ["--host=127.0.0.1", f"--port={self.port}", "--username=airflow"]
        self._run("createdb", *where, "--maintenance-db=postgres", "airflow")

    def ready(self) -> bool:
        """Tell whether it takes connections."""
        program = [str(self.bin / "pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={self.port}"]
        return subprocess.run(program, check=False).returncode == 0

    def remove(self) -> None:
        """Remove its files where they lie in a temporary folder. It has ended."""
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._prefix, str(self.bin / program), *arguments],
            env={**os.environ, "PGPASSWORD": self.password},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StartError(f"{program} ended with code {done.returncode}\n{done.stdout[-2000:]}")


class Redis:
    """A Redis server that writes down what it is told, as that of docker-compose.yaml.

    :param home: folder for its settings.
    :raises CannotBack: there is no Redis here.
    """

    def __init__(self, home: Path) -> None:
        found = shutil.which("redis-server")
        if found is None:
            raise CannotBack(_missing("redis-server", "redis-server"))
        self.program = found
        self.folder = home
        self.port = free_port()
        self.password = secrets.token_urlsafe(16)

    @property
    def url(self) -> str:
        """Address: ``redis://:...@127.0.0.1:6379/0``."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def command(self) -> list[str]:
        """What starts the server, in the foreground."""
        return [self.program, str(self._settings)]

    @property
    def _settings(self) -> Path:
        return self.folder / "redis.conf"

    def make(self) -> None:
        """Write its settings, the password among them: everybody can read the arguments of a program."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._settings.touch(mode=0o600)
        lines = ["bind 127.0.0.1", f"port {self.port}", 'save ""', "appendonly yes", "daemonize no"]
        self._settings.write_text(
            "\n".join([*lines, f"requirepass {self.password}", f"dir {self.folder}", ""])
        )

    def forget(self) -> None:
        """Remove what it has written down; for a server that is not running."""
        shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)

    def ready(self) -> bool:
        """Tell whether it answers."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
            with connection.makefile("rb") as answers:
                return (answers.readline(), answers.readline()) == (b"+OK\r\n", b"+PONG\r\n")


def start_backing(processes: ProcessFamily, name: str, backing: Postgres | Redis, timeout: float) -> None:
    """Start one of these in the foreground, and wait until it answers.

    :param timeout: seconds.
    """
    ready: Callable[[], Any] = backing.ready
    processes.start(name, backing.command, cwd=backing.folder)
    processes.wait_ready(name, ready, timeout=timeout)


def _postgres_programs() -> Path:
    """Find PostgreSQL's programs: on the path, or the newest of Debian's, which are not."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    found = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise CannotBack(_missing("PostgreSQL's initdb", "postgresql"))
    return found[-1].parent


def _missing(program: str, package: str) -> str:
    return (
        f"The distributed engine needs {program}, which is not on this machine: neither on the path nor "
        f"where Debian keeps it. Install it, on Debian with: apt-get install {package}"
    )


def _unprivileged() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    for name in _UNPRIVILEGED:
        if name in names:
            return name
    raise CannotBack(
        f"PostgreSQL does not run as root, and there is no user {' or '.join(_UNPRIVILEGED)} here"
    )


def _as_unprivileged() -> list[str]:
    name = _unprivileged()
    program = shutil.which("setpriv")
    if program is None:
        raise CannotBack("PostgreSQL does not run as root, and there is no setpriv (of util-linux) here")
    owner = pwd.getpwnam(name)
    return [program, f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups", "--"]
