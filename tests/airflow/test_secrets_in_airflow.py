"""No planted secret in anything that a whole Airflow keeps or prints: its database, its logs, its output.

The three tasks by themselves are searched in test_secrets_in_tasks.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.airflow.planted import CONTROL, LOGIN_AS_KEY, SPELLINGS, assert_sent, serving
from tests.airflow.runs import Run

ENDS = {
    "well": ("success", "success", "success"),
    "denied": ("failed", "upstream_failed", "upstream_failed"),
    "failed": ("success", "failed", "upstream_failed"),
    "strange": ("success", "failed", "upstream_failed"),
    "refused": ("success", "success", "failed"),
    "cancelled": ("success", "failed", "upstream_failed"),
}
"""How submit, wait and fetch end, for each way in which the server treats the job."""
_AROUND = 120


def test_no_secret_is_kept_or_printed(airflow: LocalAirflow, tmp_path: Path) -> None:
    with ExitStack() as servers:
        runs = {way: start(way, airflow, tmp_path / way, servers) for way in ENDS}
        cancelled = runs["cancelled"]
        cancelled.until_polled(3)
        cancelled.until("job.wait", "deferred")
        airflow.mark_failed("planted", cancelled.run_id, "job.wait")
        ends = {way: run.end() for way, run in runs.items()}
        airflow.wait_until(
            lambda: cancelled.server.ledger.entries("cancel"), timeout=120, what="the job is cancelled"
        )
        states = {way: run.states() for way, run in runs.items()}
        for run in runs.values():
            assert_sent(run.server)
    assert ends == {way: "success" if way == "well" else "failed" for way in ENDS}
    tasks = ("job.submit", "job.wait", "job.fetch")
    assert {way: tuple(state[task] for task in tasks) for way, state in states.items()} == ENDS
    places = dict(everything(airflow))
    assert {"dag_run", "connection", "serialized_dag", "log", "xcom"} <= places.keys()
    assert found(places, [CONTROL]), "what is no secret is found"
    # Airflow itself keeps the login of a connection as plain text, where the connection is.
    own = (airflow.db_path.name, "connection")
    assert found({name: text for name, text in places.items() if not name.startswith(own)}, SPELLINGS) == []
    encrypted = [text for text in SPELLINGS if text != LOGIN_AS_KEY]
    assert found({name: text for name, text in places.items() if name.startswith(own)}, encrypted) == []


def start(way: str, airflow: LocalAirflow, folder: Path, servers: ExitStack) -> Run:
    """Start the job of one way, with a server and a connection of its own."""
    server, connection = servers.enter_context(serving(way))
    conn_id = f"planted_{way}"
    airflow.set_connection(conn_id, connection)
    return Run.start(airflow, server, "planted", folder, conn=conn_id, control=CONTROL)


def everything(airflow: LocalAirflow) -> Iterator[tuple[str, str]]:
    """Yield what Airflow keeps: each table of its database, and each file of logs and output, by its name."""
    for table in airflow.query(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    ):
        rows = airflow.query(f'SELECT * FROM "{table["name"]}"')
        if table["name"] == "log":  # what this test did itself: it gave Airflow the connections
            rows = [row for row in rows if not str(row["event"]).endswith("_connection")]
        yield table["name"], "\n".join(_text(value) for row in rows for value in row.values())
    for path in sorted(airflow.home.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(airflow.home)), path.read_bytes().decode(errors="replace")


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def found(places: dict[str, str], texts: Iterable[str]) -> list[str]:
    """Return where these texts are, with what stands around them."""
    return [
        f"{name}: {content[max(0, content.index(text) - _AROUND) :][: 2 * _AROUND]}"
        for name, content in places.items()
        for text in texts
        if text in content
    ]
