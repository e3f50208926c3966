"""Airflow as a team runs it, for tests: PostgreSQL, Redis, several workers, triggerers and schedulers.

The same parts and settings as docker-compose.yaml, as processes of this machine.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_asyncjob.testing import watchdog
from airflow_asyncjob.testing.backing import CannotBack, Postgres, Redis, start_backing
from airflow_asyncjob.testing.local_airflow import LocalAirflow
from airflow_asyncjob.testing.processes import free_port

__all__ = ["CannotBack", "DistributedAirflow"]

_JOB_TYPES = {"scheduler": "SchedulerJob", "triggerer": "TriggererJob", "dag-processor": "DagProcessorJob"}
_PORTS = {"scheduler": "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT"}


class DistributedAirflow(LocalAirflow):
    """A running Airflow on PostgreSQL with the CeleryExecutor over Redis; otherwise as :class:`LocalAirflow`.

    Its components are ``postgres``, ``redis``, ``api-server``, ``dag-processor``, ``scheduler-1``,
    ``scheduler-2``, ``triggerer-1``, ``worker-1`` and so on: each can be killed and started again, and
    frozen with SIGSTOP.

    :param workers: Celery workers. ``triggerers``, ``schedulers``: how many of these.
    :param concurrency: tasks that one worker runs at a time.
    :raises CannotBack: PostgreSQL or Redis is not on this machine.
    """

    def __init__(
        self,
        home: Path,
        dags_folders: str | Path | Sequence[str | Path],
        *,
        workers: int = 2,
        triggerers: int = 2,
        schedulers: int = 2,
        concurrency: int = 8,
        env: Mapping[str, str] | None = None,
        connections: Mapping[str, str | Mapping[str, Any]] | None = None,
        port: int = 0,
        start_timeout: float = 600,
    ) -> None:
        folder = Path(home).resolve()
        self.postgres, self.redis = Postgres(folder / "postgres"), Redis(folder / "redis")
        super().__init__(
            home,
            dags_folders,
            env={
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{self.postgres.url}",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_ENABLED": "True",
                "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2://{self.postgres.url}",
                "AIRFLOW__CELERY__BROKER_URL": self.redis.url,
                "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(concurrency),
                **(env or {}),
            },
            connections=connections,
            executor="CeleryExecutor",
            port=port,
            start_timeout=start_timeout,
        )
        one = self.components
        self.components = {
            "api-server": one["api-server"],
            "dag-processor": one["dag-processor"],
            **{f"scheduler-{number}": one["scheduler"] for number in range(1, schedulers + 1)},
            **{f"triggerer-{number}": one["triggerer"] for number in range(1, triggerers + 1)},
            **{f"worker-{number}": _worker(one["worker"], number) for number in range(1, workers + 1)},
        }
        self.backing: dict[str, Postgres | Redis] = {"postgres": self.postgres, "redis": self.redis}
        self._start_tasks: tuple[str, ...] = tuple(
            name for name in self.components if name.startswith("worker-")
        )
        self._launched: dict[str, datetime] = {}
        self._log_from: dict[str, int] = {}

    def stop(self) -> None:
        """End all processes, those of Airflow before those that they need, and remove the database."""
        for name in (*self.components, *self.backing):
            self._continue(name)
        running = [name for name in self.components if name in self.processes.names()]
        if running:
            self.processes.stop(*running)
        super().stop()
        self.postgres.remove()

    def _migrate(self) -> None:
        for name, backing in self.backing.items():
            backing.make()
            start_backing(self.processes, name, backing, self.start_timeout)
        self.postgres.make_database()
        super()._migrate()

    def _settings_of(self, component: str) -> dict[str, str]:
        # Airflow notes this name with each job and each task that it starts, so the database tells which of
        # several did.
        own = {"LOGNAME": component}
        variable = _PORTS.get(_kind(component))
        return {**own, variable: str(free_port())} if variable else own

    # its processes

    def start(self, component: str) -> None:
        """Start a component again after :meth:`kill` or :meth:`stop_component`; wait until it is healthy."""
        if component in self.backing:
            start_backing(self.processes, component, self.backing[component], self.start_timeout)
            self._down.discard(component)
        else:
            super().start(component)

    def launch(self, component: str) -> None:
        """Start a component again, as :meth:`start` does, and do not wait for it."""
        if component in self.backing:
            backing = self.backing[component]
            self.processes.start(component, backing.command, cwd=backing.folder)
        else:
            self._launch(component)
        self._down.discard(component)

    def kill(
        self, component: str, number: signal.Signals = signal.SIGKILL, *, descendants: bool = True
    ) -> None:
        """Send a signal to a component; as of :class:`LocalAirflow`.

        Each process of PostgreSQL is in a session of its own, so its children are asked for by their parent.
        """
        children = watchdog.children(self.processes.pid(component)) if component == "postgres" else []
        super().kill(component, number, descendants=descendants)
        if descendants:
            watchdog.send(children, number)

    def freeze(self, component: str) -> None:
        """Stop a component and all that it started in mid-work, as a machine that hangs: SIGSTOP."""
        self.kill(component, signal.SIGSTOP)

    def thaw(self, component: str) -> None:
        """Let a frozen component go on: SIGCONT."""
        self._continue(component)
        self._down.discard(component)

    def _continue(self, component: str) -> None:
        if self.processes.alive(component):
            self.kill(component, signal.SIGCONT)

    def _launch(self, component: str) -> None:
        log = self.processes.log(component)
        self._log_from[component] = log.stat().st_size if log.exists() else 0
        self._launched[component] = datetime.now(UTC)
        super()._launch(component)

    def _wait_healthy(self, component: str, since: datetime | None) -> None:
        kind = _kind(component)
        if kind not in _JOB_TYPES and kind != "worker":
            super()._wait_healthy(component, since)
            return

        def healthy() -> bool:
            if kind == "worker":
                with self.processes.log(component).open("rb") as log:
                    log.seek(self._log_from[component])
                    return b" ready." in log.read()
            return self.job_id(component) is not None

        self.processes.wait_ready(component, healthy, timeout=self.start_timeout, every=0.5)

    def job_id(self, component: str) -> int | None:
        """Tell Airflow's ID of a running scheduler, triggerer or DAG processor; None: it has not begun."""
        found = self.query(
            "SELECT id FROM job WHERE job_type = ? AND unixname = ? AND start_date >= ?"
            " AND latest_heartbeat >= start_date AND state = 'running' ORDER BY id DESC",
            _JOB_TYPES[_kind(component)],
            component,
            self._launched[component],
        )
        return int(found[0]["id"]) if found else None

    # looking

    @property
    def db_path(self) -> Path:
        """The folder of the metadata database: files of PostgreSQL, for looking through, not for opening."""
        return self.postgres.folder

    def query(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """Read from the metadata database; times and JSON values come as text, as SQLite has them.

        :param sql: with ``?`` for each parameter.
        """
        import psycopg2  # here: only this engine needs it
        import psycopg2.extras

        connection = psycopg2.connect(f"postgresql://{self.postgres.url}", connect_timeout=10)
        try:
            connection.set_session(readonly=True)
            with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                # With no parameters psycopg2 takes the text as it is.
                text = sql.replace("%", "%%").replace("?", "%s") if parameters else sql
                cursor.execute(text, parameters or None)
                return [{name: _as_text(value) for name, value in row.items()} for row in cursor.fetchall()]
        finally:
            connection.close()

    def files_with(self, text: str) -> list[Path]:
        """Find the files that hold this text: those under ``home``, and those of the database."""
        found = super().files_with(text)
        if self.postgres.folder.is_relative_to(self.home):
            return found
        needle = text.encode()
        files = (path for path in sorted(self.postgres.folder.rglob("*")) if path.is_file())
        return found + [path for path in files if needle in path.read_bytes()]


def _kind(component: str) -> str:
    kind, _, number = component.rpartition("-")
    return kind if number.isdigit() else component


def _worker(arguments: tuple[str, ...], number: int) -> tuple[str, ...]:
    return tuple(f"worker-{number}@%h" if word == "worker@%h" else word for word in arguments)


def _as_text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
    return json.dumps(value) if isinstance(value, dict | list) else value
