"""``make demo``: a whole job in a real Airflow, against a bundled job server that behaves as SendGrid does.

::

    python -m airflow_asyncjob.testing.demo              runs, checks the result, stops everything, exits 0
    python -m airflow_asyncjob.testing.demo DAG          the same with another of the example DAGs
    python -m airflow_asyncjob.testing.demo --keep-open  Airflow stays open until Ctrl-C

Run it in the project's folder: it takes ``dags/`` from there and works in ``.demo/``, which it empties first.
The table of the other DAGs is in :mod:`airflow_asyncjob.testing.demo_jobs`.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from airflow_asyncjob.testing import FakeJobServer, check_contacts
from airflow_asyncjob.testing.demo_jobs import DEMOS, demonstrate, demos_text, find_demo, run_and_check
from airflow_asyncjob.testing.demo_story import DemoError, Story, an_airflow, show_logs, stay, watch_run
from airflow_asyncjob.testing.ledger import Purpose
from airflow_asyncjob.testing.local_airflow import LocalAirflow
from airflow_asyncjob.testing.processes import StartError

__all__ = ["main"]

DAG_ID = "sendgrid_contacts_export"
SECOND = DEMOS["upgates_product_images"]
CONTACTS = 200_000
EXPORT_SECONDS = 32.0
"""How long the export takes: longer than the definition's initial wait, so that one poll finds it pending."""
LEADING_ZEROS = 42
"""Number of the contact whose EXTERNAL_ID is shown: a reader that guesses types makes 42 of 0000000042."""

_FIRST_LINE = "Run a whole job in a real Airflow, against a bundled job server, and check the result."


def main(arguments: list[str] | None = None) -> int:
    """Run a demonstration; return the exit code: 0 all is as it should be, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m airflow_asyncjob.testing.demo", description=_FIRST_LINE)
    parser.add_argument("dag", nargs="?", default=DAG_ID, metavar="DAG", help="one of: " + demos_text())
    parser.add_argument("--keep-open", action="store_true", help="leave Airflow open until Ctrl-C")
    given = parser.parse_args(arguments)
    try:
        demo = None if given.dag == DAG_ID else find_demo(given.dag)
    except LookupError as problem:
        parser.error(str(problem))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    story = Story()
    try:
        with _only_one(Path(".demo")) as folder:
            dags = _dags_with(given.dag)
            if demo is None:
                _demonstrate(story, folder, dags, given.keep_open)
            else:
                demonstrate(story, folder, dags, demo, keep_open=given.keep_open)
    except (DemoError, StartError, TimeoutError) as problem:
        story.console.print(f"\n[bold red]The demonstration failed:[/] {escape(str(problem))}")
        return 1
    except KeyboardInterrupt:
        story.console.print("\nStopped.")
        return 0 if given.keep_open else 130
    return 0


def _dags_with(dag_id: str) -> Path:
    dags = Path("dags").resolve()
    if not (dags / f"{dag_id}.py").exists():
        raise DemoError(f"there is no {dags / f'{dag_id}.py'}; run this in the project's folder")
    return dags


@contextmanager
def _only_one(folder: Path) -> Iterator[Path]:
    """Empty the folder and keep it for this process alone."""
    folder.mkdir(exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"another demonstration runs in {folder.resolve()}; stop it first") from None
        for entry in folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        yield folder.resolve()
    finally:
        os.close(lock)


def _demonstrate(story: Story, folder: Path, dags: Path, keep_open: bool) -> None:
    story.title("A job server and a real Airflow")
    with (
        FakeJobServer("sendgrid", contacts=CONTACTS, files=2, seconds=EXPORT_SECONDS) as server,
        SECOND.server() as shop,
    ):
        story.say(
            "job server",
            f"{server.url} behaves as SendGrid's contacts export: {CONTACTS:,} contacts, "
            f"2 files, ready {EXPORT_SECONDS:g} s after the request",
        )
        variables = {"contacts_folder": str(folder / "contacts"), **SECOND.prepare(folder / "data")}
        connections = {"sendgrid": server.connection, SECOND.conn_id: shop.connection}
        airflow = an_airflow(story, folder, dags, connections=connections, variables=variables)
        with airflow:
            story.say("Airflow", f"is healthy at {airflow.url}")
            run_id = watch_run(story, airflow, DAG_ID)
            show_logs(story, airflow, DAG_ID, run_id)
            _check(story, airflow, run_id, server)
            story.title("The second act: a shop that says by itself when its job has ended")
            run_and_check(story, airflow, SECOND, shop)
            if keep_open:
                stay(story, airflow, DAG_ID)
        story.say("Airflow", "stopped")


def _check(story: Story, airflow: LocalAirflow, run_id: str, server: FakeJobServer) -> None:
    """Show the manifest and the first rows, and compare all rows with what the server has."""
    import pyarrow.parquet as parquet

    story.title("The manifest that task fetch returned (XCom)")
    manifest = _manifest(airflow, run_id)
    story.values(manifest)

    path = Path(str(manifest["uris"][0]).removeprefix("file://"))
    file = parquet.ParquetFile(path)
    story.title(f"The first of {file.metadata.num_rows:,} rows in {path.name}, {path.stat().st_size:,} bytes")
    _show_rows(story, file)

    story.title("The check")
    rows = (row for batch in file.iter_batches() for row in batch.to_pylist())
    if problems := check_contacts(rows, CONTACTS):
        raise DemoError("the file is not what the server has: " + "; ".join(problems))
    if manifest["records"] != CONTACTS:
        raise DemoError(f"the manifest says {manifest['records']} records, the server has {CONTACTS}")
    zeros = file.read_row_group(0, columns=["EXTERNAL_ID"])["EXTERNAL_ID"][LEADING_ZEROS].as_py()
    if (submits := server.ledger.accepted()) != 1:
        raise DemoError(f"the server accepted {submits} submissions, not 1")
    story.say("rows", f"[green]{CONTACTS:,} rows, each value as the server has it[/], in its order")
    story.say("text", f"EXTERNAL_ID of row {LEADING_ZEROS} is {zeros!r}: leading zeros are kept")
    story.say("server", "saw " + ", ".join(_counts(server)))
    _show_waiting(story, airflow, run_id)


def _manifest(airflow: LocalAirflow, run_id: str) -> Mapping[str, Any]:
    fetch = next(task for task in airflow.states(DAG_ID, run_id) if task.rpartition(".")[2] == "fetch")
    manifest: Mapping[str, Any] = airflow.xcom(DAG_ID, run_id, fetch)
    return manifest


def _show_rows(story: Story, file: Any) -> None:
    columns = ["EXTERNAL_ID", "EMAIL", "FIRST_NAME", "LAST_NAME", "POSTAL_CODE"]
    table = Table()
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in next(file.iter_batches(batch_size=5, columns=columns)).to_pylist():
        table.add_row(*(escape(str(row[column])) for column in columns))
    story.console.print(table, width=max(story.console.width, 100))


def _counts(server: FakeJobServer) -> Iterator[str]:
    nouns: dict[Purpose, str] = {"submit": "submission", "poll": "poll", "result": "download"}
    for purpose, noun in nouns.items():
        number = server.ledger.count(purpose)
        yield f"{number} {noun}{'' if number == 1 else 's'}"


def _show_waiting(story: Story, airflow: LocalAirflow, run_id: str) -> None:
    wait = next(task for task in airflow.states(DAG_ID, run_id) if task.rpartition(".")[2] == "wait")
    total = float(airflow.task_instance(DAG_ID, run_id, wait)["duration"])
    busy = airflow.worker_seconds(DAG_ID, run_id, wait)
    story.say("waiting", f"task wait took {total:.1f} s; a worker was busy with it for {busy:.1f} s of them")


if __name__ == "__main__":
    sys.exit(main())
