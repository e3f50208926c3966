"""A running Airflow with the jobs of a shop in every state that the views show."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.testing.local_airflow import LocalAirflow

__all__ = ["ORDERS", "USERS", "Shop", "open_shop"]

USERS = {"admin": "admin", "viewer": "viewer", "nobody": ""}
"""User name, which is the password too, to role."""
LONG = 3600
ORDERS = [
    {"run_for": 4, "rows": 12_345, "tag": "orders"},
    {"run_for": 4, "ends": "failed", "message": "Column <b>price</b> is not known to the shop"},
    {"run_for": LONG},
]
"""Plans of the three mapped jobs: one is downloaded, one fails, one goes on."""


@dataclass
class Shop:
    """The Airflow, its job server, and the runs in it."""

    airflow: LocalAirflow
    server: FakeJobServer
    folder: Path
    runs: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where Airflow answers."""
        return self.airflow.url

    def tab(self, dag_id: str, task_id: str, map_index: int = -1, run_id: str | None = None) -> str:
        """Return the path of a task instance's tab "Async job"."""
        run = quote(run_id or self.runs[dag_id], safe="")
        mapped = f"/mapped/{map_index}" if map_index >= 0 else ""
        return f"/dags/{dag_id}/runs/{run}/tasks/{task_id}{mapped}/plugin/async-job"

    def submission(self, dag_id: str, map_index: int = -1, run_id: str | None = None) -> str:
        """Return the ID of a job, once it is submitted."""
        run = run_id or self.runs[dag_id]
        return str(self.airflow.xcom(dag_id, run, "export.submit", map_index=map_index))

    def wait(self, dag_id: str, run_id: str | None = None, *, plan: dict[str, object] | None = None) -> str:
        """Start ``shop_customers`` with a job that goes on; return its run once it is waited for."""
        run_id = self.airflow.trigger(
            dag_id, conf={"folder": str(self.folder), "plan": plan or {"run_for": LONG}}
        )
        self.airflow.wait_for_state(dag_id, run_id, "export.wait", "deferred")
        return run_id


@contextlib.contextmanager
def open_shop(home: Path) -> Iterator[Shop]:
    """Start the Airflow and its jobs; give them once each is in its state."""
    results = home / "results"
    results.mkdir(parents=True)
    with (
        FakeJobServer("generic") as server,
        LocalAirflow(
            home / "airflow",
            Path(__file__).parent / "dags",
            connections={"shop": server.url},
            users=USERS,
            # A task fails when the API server takes longer to answer: five seconds unless said.
            env={"AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60"},
        ) as airflow,
    ):
        shop = Shop(airflow, server, results)
        run = airflow.trigger("shop_orders", conf={"folder": str(results), "plans": ORDERS})
        shop.runs["shop_orders"] = run
        shop.runs["shop_customers"] = shop.wait("shop_customers")
        airflow.wait_for_state("shop_orders", run, "export.fetch", "success", map_index=0)
        airflow.wait_for_state("shop_orders", run, "export.wait", "failed", map_index=1)
        airflow.wait_for_state("shop_orders", run, "export.wait", "deferred", map_index=2)
        yield shop
