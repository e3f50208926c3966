"""What the demonstrations share: telling what happens, a run from start to end, what the tasks logged."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from airflow_asyncjob.testing.airflow_api import FINISHED
from airflow_asyncjob.testing.local_airflow import LocalAirflow
from airflow_asyncjob.testing.processes import free_port
from airflow_asyncjob.testing.server import FakeJobServer

__all__ = ["RUN_TIMEOUT", "DemoError", "Story", "an_airflow", "show_logs", "stay", "tell_wake", "watch_run"]

RUN_TIMEOUT = 300.0
"""Seconds within which a run must end."""
_COLOURS = {"success": "green", "failed": "red", "deferred": "magenta", "running": "cyan", "queued": "dim"}


_IDLE_SLEEP = 0.1
"""Seconds that the scheduler sleeps when it finds nothing to do: a task that was woken starts at once then.
Airflow's default is 1.
"""


class DemoError(Exception):
    """The demonstration did not go as it should; the message says why."""


class Story:
    """Prints what happens, each line with the seconds since the start."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.started = time.monotonic()

    def say(self, who: str, what: str) -> None:
        """Print one line; ``what`` may hold rich's markup."""
        label = escape(f"{who:<12}")
        self.console.print(f"[dim]{time.monotonic() - self.started:6.1f} s[/]  [bold]{label}[/] {what}")

    def title(self, text: str) -> None:
        """Begin a part."""
        self.console.print(f"\n[bold]{text}[/]")

    def values(self, values: Mapping[str, Any]) -> None:
        """Print names and values, one a line."""
        for key, value in values.items():
            self.console.print(f"  {key:<14} {escape(str(value))}")


def watch_run(story: Story, airflow: LocalAirflow, dag_id: str, **given: Any) -> str:
    """Start a run, tell every change of a task's state until it is over, and return its ID.

    :param given: as :meth:`AirflowApi.trigger` takes it.
    :raises DemoError: it fails, or takes too long.
    """
    story.title(f"A run of dags/{dag_id}.py")
    run_id = airflow.trigger(dag_id, **given)
    story.say("run", escape(run_id))
    seen: dict[str, str | None] = {}
    give_up = time.monotonic() + RUN_TIMEOUT
    while True:
        state = airflow.run_state(dag_id, run_id)  # before the tasks: so their last states are seen, too
        for task, now in airflow.states(dag_id, run_id).items():
            if now is not None and now != seen.get(task):
                story.say(task.rpartition(".")[2], f"[{_COLOURS.get(now, 'yellow')}]{now}[/]")
                seen[task] = now
        if state in FINISHED:
            break
        if time.monotonic() > give_up:
            raise DemoError(f"the run is still {state} after {RUN_TIMEOUT:g} s; tasks: {seen}")
        time.sleep(0.2)
    if state != "success":
        show_logs(story, airflow, dag_id, run_id, everything=True)
        raise DemoError(f"the run ended as {state}; the tasks' logs are above")
    return run_id


def show_logs(
    story: Story, airflow: LocalAirflow, dag_id: str, run_id: str, *, everything: bool = False
) -> None:
    """Show what the tasks logged: this package's lines, or all."""
    story.title("What the task logs say")
    for instance in airflow.task_instances(dag_id, run_id):
        task_id, index = instance["task_id"], instance["map_index"]
        label = task_id.rpartition(".")[2] + (f"[{index}]" if index >= 0 else "")
        for entry in airflow.task_log_entries(dag_id, run_id, task_id, map_index=index):
            if not everything and "airflow_asyncjob" not in str(entry.get("logger", "")):
                continue
            clock = str(entry.get("timestamp") or "")[11:19]
            story.console.print(
                f"[dim]{clock:8}[/]  [bold]{escape(f'{label:<7}')}[/] {escape(str(entry['event']))}"
            )
            for error in entry.get("error_detail") or ():
                said = f"{error.get('exc_type')}: {error.get('exc_value')}"
                story.console.print(f"{'':18}[red]{escape(said)}[/]")


def an_airflow(
    story: Story,
    folder: Path,
    dags: Path,
    *,
    connections: Mapping[str, str | Mapping[str, Any]],
    variables: Mapping[str, str],
) -> LocalAirflow:
    """Return the Airflow of a demonstration, which its ``with`` starts; on port 8080 where that is free.

    :param variables: Airflow's, by key.
    """
    story.say(
        "Airflow",
        "starts: API server, scheduler, triggerer, DAG processor; SQLite; LocalExecutor; "
        f"scheduler_idle_sleep_time = {_IDLE_SLEEP:g}",
    )
    return LocalAirflow(
        folder / "airflow",
        dags,
        connections=connections,
        env={
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": str(_IDLE_SLEEP),
            **{f"AIRFLOW_VAR_{key.upper()}": value for key, value in variables.items()},
        },
        port=free_port(8080),
    )


def tell_wake(story: Story, airflow: LocalAirflow, dag_id: str, run_id: str, server: FakeJobServer) -> None:
    """Tell how soon the wait ended once the job had.

    :raises DemoError: Airflow took no event.
    """
    taken = [one for one in server.deliveries if one.code == 202]
    if not taken:
        codes = ", ".join(str(one.code) for one in server.deliveries) or "none was sent"
        raise DemoError(f"Airflow took no event of the job server; it answered: {codes}")
    wait = next(task for task in airflow.states(dag_id, run_id) if task.rpartition(".")[2] == "wait")
    over = datetime.fromisoformat(airflow.task_instance(dag_id, run_id, wait)["end_date"]).timestamp()
    polls = len(server.ledger.entries("poll", job_id=taken[0].event.job_id))
    story.say(
        "webhook",
        f"the job ended, its event came, and task wait ended [green]{over - taken[0].at:.1f} s[/] later; "
        f"{polls} looks at the job in all",
    )


def stay(story: Story, airflow: LocalAirflow, dag_id: str) -> None:
    """Leave Airflow and the job server open until Ctrl-C."""
    story.title("Open until Ctrl-C")
    story.console.print(f"  address  {airflow.url}/dags/{dag_id}")
    story.console.print("  login    none: everybody who can reach this address on this machine is an admin")
    story.console.print("  the job server runs on, too: trigger the DAG again and look at its tasks and logs")
    while True:
        signal.pause()
