"""A real Airflow 3 for tests and demonstrations: its four processes, on SQLite and loopback addresses.

Airflow itself is not imported: it runs as ``python -m airflow`` and is spoken to over its REST API. Its
settings are the defaults, except for what a second Airflow on the same machine needs (ports, folders, keys)
and for when it reads DAG files: as soon as they are new or have changed, and hardly else.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from airflow_asyncjob.testing.airflow_api import AirflowApi
from airflow_asyncjob.testing.processes import ProcessFamily, StartError, free_port, tail

__all__ = ["LocalAirflow"]

T = TypeVar("T")

_COMPONENTS: dict[str, tuple[str, ...]] = {
    "api-server": ("api-server", "--host", "127.0.0.1", "--workers", "1"),
    # The log servers of these two would listen on all interfaces; on one machine nobody needs them.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
}
_CELERY_WORKER = {
    "worker": (
        *("celery", "worker", "--skip-serve-logs", "--celery-hostname", "worker@%h"),
        *("--without-gossip", "--without-mingle"),
    )
}

SQLITE_TIMEOUT = 60
"""Seconds for which a writer waits for another one."""
_API_SQLITE_TIMEOUT = 10
"""The same in the API server, which stands still meanwhile when two of its own wait for one another: it
notes a request that changes something in its event loop, which the other one needs to end.
"""
_HEARTBEATS = {
    "scheduler": ("scheduler", "latest_scheduler_heartbeat"),
    "triggerer": ("triggerer", "latest_triggerer_heartbeat"),
    "dag-processor": ("dag_processor", "latest_dag_processor_heartbeat"),
}


class LocalAirflow(AirflowApi):
    """A running Airflow, as a context manager; what :class:`AirflowApi` has, and its processes and files.

    ::

        with LocalAirflow(Path(".airflow"), "dags", connections={"shop": "http://127.0.0.1:8000"}) as airflow:
            run_id = airflow.trigger("export")
            assert airflow.wait_for_run("export", run_id) == "success"

    :param home: folder for the database, logs and settings; made when it is missing. What an earlier run left
        there is used again.
    :param dags_folders: one folder with DAG files, or several (each becomes a DAG bundle).
    :param executor: ``LocalExecutor`` (the scheduler starts the tasks), or ``CeleryExecutor`` (a fifth
        process, ``worker``, starts them): broker and result back end are SQLite files unless ``env`` sets
        ``AIRFLOW__CELERY__BROKER_URL`` and ``AIRFLOW__CELERY__RESULT_BACKEND``.
    :param env: further environment variables of its processes, such as ``AIRFLOW__CORE__PARALLELISM``.
    :param connections: connection ID to a connection URI or to the fields of Airflow's JSON form; handed over
        in the environment. :meth:`set_connection` adds one to a running Airflow.
    :param users: user name to role (``admin``, ``op``, ``user``, ``viewer``; empty: no permission at all) of
        those who can log in; the password is the name. The first one is who this object asks as. None: nobody
        logs in, and everybody is an admin.
    :param port: of the API server; 0: a free one.
    :param start_timeout: seconds within which everything must be healthy.
    """

    def __init__(
        self,
        home: Path,
        dags_folders: str | Path | Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        connections: Mapping[str, str | Mapping[str, Any]] | None = None,
        executor: Literal["LocalExecutor", "CeleryExecutor"] = "LocalExecutor",
        users: Mapping[str, str] | None = None,
        port: int = 0,
        start_timeout: float = 300,
    ) -> None:
        self.home = Path(home).resolve()
        self.port = port or free_port()
        self.users = dict(users or {})
        first = next(iter(self.users), None)
        super().__init__(f"http://127.0.0.1:{self.port}", None if first is None else (first, first))
        folders = [dags_folders] if isinstance(dags_folders, str | Path) else list(dags_folders)
        self.dags_folders = [Path(folder).resolve() for folder in folders]
        self.start_timeout = start_timeout
        self.components = _COMPONENTS | (_CELERY_WORKER if executor == "CeleryExecutor" else {})
        """Name of each process to the arguments of ``airflow`` that start it."""
        self._start_tasks: tuple[str, ...] = ("worker",) if executor == "CeleryExecutor" else ("scheduler",)
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
            **self._settings(executor),
            **{
                f"AIRFLOW_CONN_{conn_id.upper()}": value if isinstance(value, str) else json.dumps(value)
                for conn_id, value in (connections or {}).items()
            },
            **(env or {}),
        }
        self.processes = ProcessFamily(self.home / "components")
        self._down: set[str] = set()

    def _settings(self, executor: str) -> dict[str, str]:
        bundles = [
            {
                "name": f"{number}-{folder.name}",
                "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                "kwargs": {"path": str(folder), "refresh_interval": 2},
            }
            for number, folder in enumerate(self.dags_folders)
        ]
        return {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CELERY__BROKER_URL": f"sqla+sqlite:///{self.home}/celery-broker.db",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+sqlite:///{self.home}/celery-results.db",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags_folders[0]),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": executor,
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": str(not self.users),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "passwords.json"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(map(":".join, self.users.items()))
            or "admin:admin",
            "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
            # A file that has changed is read at once; those that have not are by default read twice a minute,
            # each by a process of its own.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
            # SQLite's own five seconds end the scheduler when a busy machine holds a writer up.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.db_path}?timeout={SQLITE_TIMEOUT}",
            # With a pool of 15, one request that holds SQLite's only write lock and needs a second connection
            # waits for 15 that have one and wait for the lock.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_ENABLED": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "PYTHONUNBUFFERED": "1",
        }

    # its life

    def __enter__(self) -> Self:
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "passwords.json").write_text(json.dumps({name: name for name in self.users}))
        try:
            self._migrate()
            for component in self.components:
                self._launch(component)
            for component in self.components:
                self._wait_healthy(component, since=None)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all processes and everything that they started."""
        self.processes.stop()
        self.close()

    def _migrate(self) -> None:
        done = self.run_cli("db", "migrate")
        if done.returncode != 0:
            raise StartError(f"airflow db migrate ended with code {done.returncode}\n{done.stdout[-4000:]}")

    def run_cli(self, *arguments: str, timeout: float = 400) -> subprocess.CompletedProcess[str]:
        """Run ``airflow ARGUMENTS`` with this Airflow's settings; both outputs are in ``stdout``.

        :param timeout: seconds.
        """
        return subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    # its processes

    def start(self, component: str) -> None:
        """Start a component again after :meth:`kill` or :meth:`stop_component`; wait until it is healthy."""
        since = datetime.now(UTC)
        self._launch(component)
        self._wait_healthy(component, since=since)
        self._down.discard(component)

    def stop_component(self, component: str, grace: float = 20) -> None:
        """Stop one component as a deployment does: SIGTERM, then SIGKILL after ``grace`` seconds."""
        self._down.add(component)
        self.processes.stop(component, grace=grace)

    def kill(
        self, component: str, number: signal.Signals = signal.SIGKILL, *, descendants: bool = True
    ) -> None:
        """Send a signal to a component.

        :param descendants: also to everything that it started (the tasks among them, for what starts
            tasks), as when a machine dies; False: to its first process only, and the others run on.
        """
        self._down.add(component)
        self.processes.kill(component, number, descendants=descendants)

    def kill_task(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        map_index: int = -1,
        number: signal.Signals = signal.SIGKILL,
    ) -> int:
        """Send a signal to the process of a running task, and return its id."""
        instance = self.wait_for_state(dag_id, run_id, task_id, "running", map_index=map_index)
        pid = int(instance["pid"])
        if not any(pid in self.processes.pids(component) for component in self._start_tasks):
            raise ProcessLookupError(
                f"process {pid} of {task_id} is not alive under {' or '.join(self._start_tasks)}"
            )
        os.kill(pid, number)
        return pid

    def _launch(self, component: str) -> None:
        command = [sys.executable, "-m", "airflow", *self.components[component]]
        env = {**self.env, **self._settings_of(component)}
        self.processes.start(component, command, env=env, cwd=self.home)

    def _settings_of(self, component: str) -> dict[str, str]:
        """Return the environment variables that only this component has."""
        if component != "api-server":
            return {}
        conn = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
        usual, shorter = (f"?timeout={seconds}" for seconds in (SQLITE_TIMEOUT, _API_SQLITE_TIMEOUT))
        return {conn: self.env[conn].replace(usual, shorter)}

    def _wait_healthy(self, component: str, since: datetime | None) -> None:
        """Wait for a first heartbeat; after a restart for one that is newer than ``since``."""

        def healthy() -> bool:
            answer = self._client.get("/api/v2/monitor/health").raise_for_status().json()
            if component == "worker":
                return " ready." in self.processes.log("worker").read_text()
            if component not in _HEARTBEATS:
                return bool(answer["metadatabase"]["status"] == "healthy")
            section, key = _HEARTBEATS[component]
            beat = answer[section].get(key)
            if answer[section]["status"] != "healthy" or beat is None:
                return False
            return since is None or datetime.fromisoformat(beat) > since

        self.processes.wait_ready(component, healthy, timeout=self.start_timeout, every=0.2)

    def component_log(self, component: str, lines: int = 40) -> str:
        """Read the tail of what a component printed."""
        return tail(self.processes.log(component), lines)

    # waiting and looking

    def wait_until(
        self,
        predicate: Callable[[], T],
        *,
        timeout: float = 240,
        what: str = "the condition",
        every: float = 0.2,
    ) -> T:
        """Ask ``predicate`` until its answer is true and return it, as :meth:`AirflowApi.wait_until`.

        :raises StartError: a component ended that nobody has killed or stopped; with the tail of its log.
        """

        def or_dead() -> T:
            answer = predicate()
            if not answer:
                self._check_alive(what)
            return answer

        return super().wait_until(or_dead, timeout=timeout, what=what, every=every)

    def _check_alive(self, what: str) -> None:
        for component in self.components.keys() - self._down:
            if not self.processes.alive(component):
                log = self.component_log(component)
                raise StartError(f"{what}: this cannot come, because the {component} has ended\n{log}")

    @property
    def db_path(self) -> Path:
        """The SQLite file of the metadata database."""
        return self.home / "airflow.db"

    def query(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """Read from the metadata database, of which REST does not show all: triggers, for one."""
        connection = sqlite3.connect(f"file:{self.db_path}?mode=ro", uri=True, timeout=30)
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, parameters)]
        finally:
            connection.close()

    def files_with(self, text: str) -> list[Path]:
        """Find the files under ``home`` (database, logs of tasks and components) that hold this text."""
        needle = text.encode()
        return [
            path for path in sorted(self.home.rglob("*")) if path.is_file() and needle in path.read_bytes()
        ]

    def worker_stretches(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1
    ) -> list[tuple[datetime, datetime]]:
        """List the times, from and to, at which a worker was busy with a task instance, over all its tries.

        From Airflow's audit log, because the start and end dates of a task instance include its deferrals.
        """
        events = self.query(
            "SELECT event, dttm FROM log WHERE dag_id = ? AND run_id = ? AND task_id = ? AND map_index = ?"
            " AND event IN ('running', 'deferred', 'up_for_reschedule', 'up_for_retry', 'success', 'failed',"
            " 'skipped') ORDER BY id",
            *(dag_id, run_id, task_id, map_index),
        )
        stretches: list[tuple[datetime, datetime]] = []
        busy_since: datetime | None = None
        for event in events:
            at = datetime.fromisoformat(event["dttm"]).replace(tzinfo=UTC)
            if event["event"] == "running":
                busy_since = at
            elif busy_since is not None:
                stretches.append((busy_since, at))
                busy_since = None
        return stretches

    def worker_seconds(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> float:
        """Tell for how many seconds a worker was busy with a task instance, over all its tries."""
        stretches = self.worker_stretches(dag_id, run_id, task_id, map_index)
        return sum((end - start).total_seconds() for start, end in stretches)
