"""What the tests with a real Airflow share: a run of a DAG over a fake server of its own."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_asyncjob.testing import Entry, FakeJobServer
from airflow_asyncjob.testing.local_airflow import LocalAirflow

__all__ = ["Run", "ended", "serving"]


@contextmanager
def serving(airflow: LocalAirflow, name: str, **options: Any) -> Iterator[FakeJobServer]:
    """Run a fake server for one test; in Airflow it is the connection of this name."""
    with FakeJobServer("generic", **options) as server:
        airflow.set_connection(name, server.url)
        yield server


def ended(airflow: LocalAirflow, dag_id: str, run_id: str, timeout: float = 400) -> str:
    """Wait until a run is over, and return its state; the log of every failed task goes to the test's output.

    :param timeout: seconds.
    """
    state = airflow.wait_for_run(dag_id, run_id, timeout)
    for instance in airflow.task_instances(dag_id, run_id):
        if instance["state"] in ("failed", "up_for_retry"):
            task = {"task_id": instance["task_id"], "map_index": instance["map_index"]}
            print(task, instance["state"], airflow.task_log(dag_id, run_id, **task)[-3000:], sep="\n")
    return state


@dataclass
class Run:
    """One run of a DAG."""

    airflow: LocalAirflow
    server: FakeJobServer
    dag_id: str
    run_id: str
    folder: Path

    @classmethod
    def start(
        cls, airflow: LocalAirflow, server: FakeJobServer, dag_id: str, folder: Path, **conf: Any
    ) -> Run:
        run_id = airflow.trigger(dag_id, {"folder": str(folder), **conf})
        return cls(airflow, server, dag_id, run_id, folder)

    def end(self, timeout: float = 400) -> str:
        """Wait until the run is over; the log of every failed task goes to the test's output."""
        return ended(self.airflow, self.dag_id, self.run_id, timeout)

    def until(self, task_id: str, *states: str, timeout: float = 240) -> dict[str, Any]:
        """Wait until a task is in one of these states."""
        return self.airflow.wait_for_state(self.dag_id, self.run_id, task_id, *states, timeout=timeout)

    def until_polled(self, times: int = 1, timeout: float = 240) -> None:
        """Wait until the server was polled so often."""
        self.airflow.wait_until(
            lambda: len(self.server.ledger.entries("poll")) >= times, timeout=timeout, what=f"{times} polls"
        )

    def states(self) -> dict[str, str | None]:
        return self.airflow.states(self.dag_id, self.run_id)

    def over(self) -> bool:
        """Tell whether nothing of the run will go on."""
        return self.airflow.run_state(self.dag_id, self.run_id) in ("success", "failed")

    def troubles(self) -> str:
        """Return what is not right yet, with the ends of logs, for the message of a failed test."""
        said = [f"{name}: {state}" for name, state in self.states().items() if state != "success"]
        for instance in self.airflow.task_instances(self.dag_id, self.run_id):
            if instance["state"] in ("failed", "up_for_retry"):
                task = {"task_id": instance["task_id"], "map_index": instance["map_index"]}
                said += [str(task), self.airflow.task_log(self.dag_id, self.run_id, **task)[-3000:]]
        return "\n".join([*said, self.airflow.component_log("scheduler", 200)])

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        return self.airflow.xcom(self.dag_id, self.run_id, task_id, key, map_index)

    def checkpoint(self, task_id: str) -> dict[str, Any]:
        """Return what a waiting task stored of its job."""
        stored = self.airflow.state_store(self.dag_id, self.run_id, task_id)["asyncjob.wait"]
        checkpoint: dict[str, Any] = stored["data"]["checkpoint"]
        return checkpoint

    def submitted_at(self, task_id: str = "job.submit") -> float:
        """Return when the submit task had its answer."""
        return float(self.xcom(task_id, "submission")["submitted_at"])

    def log(self, task_id: str, try_number: int | None = None, map_index: int = -1) -> str:
        return self.airflow.task_log(self.dag_id, self.run_id, task_id, try_number, map_index)

    def tries(self, task_id: str) -> int:
        return len(self.airflow.tries(self.dag_id, self.run_id, task_id))

    def clear(self, *task_ids: str, downstream: bool = False) -> None:
        self.airflow.clear(self.dag_id, self.run_id, *task_ids, downstream=downstream)

    def accepted(self) -> list[str]:
        """Return the IDs of the jobs that the server accepted."""
        return [str(entry.job_id) for entry in self.server.ledger.entries("submit") if entry.created]

    def sent(self, purpose: Any, job_id: str | None = None) -> list[Entry]:
        """Return the requests of a purpose that the server saw."""
        return self.server.ledger.entries(purpose, job_id=job_id)

    def rows(self, name: str = "rows.csv") -> int:
        """Return how many records a result file has."""
        with (self.folder / name).open(newline="") as file:
            return len(list(csv.DictReader(file)))
