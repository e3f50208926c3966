"""The example DAGs that ``make demo DAG=NAME`` offers, and how each of them is run and checked.

:data:`DEMOS` is the one place that knows which job server, connection and variables an example needs; the
tests with a real Airflow run all of them by it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from rich.markup import escape

from airflow_asyncjob.testing.airflow_api import AirflowApi
from airflow_asyncjob.testing.demo_files import DEMO_REFUSED, write_people
from airflow_asyncjob.testing.demo_story import (
    DemoError,
    Story,
    an_airflow,
    show_logs,
    stay,
    tell_wake,
    watch_run,
)
from airflow_asyncjob.testing.ledger import PURPOSES
from airflow_asyncjob.testing.local_airflow import LocalAirflow
from airflow_asyncjob.testing.server import FakeJobServer, Kind

__all__ = [
    "DEMOS",
    "Demo",
    "demonstrate",
    "demos_text",
    "find_demo",
    "manifests_of",
    "problems_of",
    "run_and_check",
]

_SHOWN_LINES = 5
_SHOWN_CHARACTERS = 160


@dataclass(frozen=True)
class Demo:
    """One example DAG and what it runs against.

    :param dag_id: its ID, and the name of its file.
    :param kind: of the job server.
    :param conn_id: the connection that the DAG uses.
    :param options: of the job server.
    :param variables: Airflow Variable: its value, in which ``{folder}`` is where the run reads and writes.
    :param files: path below that folder: what writes the file before the run.
    :param run: as :meth:`AirflowApi.trigger` takes it, such as ``conf``.
    :param records: how many records all fetch tasks together must have; None: any.
    :param rejected: how many entries the fetch tasks must have among the rejects, of which an API may have
        several for one record; the records are compared with the job server's account.
    :param webhook: whether the job server tells Airflow when a job has ended.
    """

    dag_id: str
    kind: Kind
    conn_id: str
    options: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Callable[[Path], object]] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)
    records: int | None = None
    rejected: int = 0
    webhook: bool = False

    @contextmanager
    def server(self) -> Iterator[FakeJobServer]:
        """Run the job server."""
        with FakeJobServer(self.kind, **self.options) as server:
            yield server

    def listen(self, airflow: AirflowApi, server: FakeJobServer) -> None:
        """Have the job server send its events to Airflow, where it sends any."""
        if self.webhook:
            server.options.webhook_url = f"{airflow.url}/asyncjob/webhooks/{self.conn_id}"

    def prepare(self, folder: Path) -> dict[str, str]:
        """Write the files that the DAG reads, and return its Variables."""
        for name, write in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write(folder / name)
        return {key: value.format(folder=folder) for key, value in self.variables.items()}


_ALL = (
    Demo(
        "amazon_feed",
        "amazon",
        "amazon",
        options={"refuse_every": 5},
        variables={"amazon_folder": "{folder}"},
        rejected=4,  # two of the records, each for two reasons
    ),
    Demo(
        "amazon_mws_feed",
        "amazon_mws",
        "amazon_mws",
        options={"refuse_every": 5},
        variables={"amazon_folder": "{folder}"},
        rejected=2,
    ),
    Demo(
        "amazon_report",
        "amazon",
        "amazon",
        options={"rows": 1000, "seconds": 8.0},
        variables={"listings_folder": "{folder}"},
        records=1000,
    ),
    Demo(
        "eloqua_contacts_export",
        "eloqua",
        "eloqua",
        options={"contacts": 1000, "seconds": 8.0},
        variables={"contacts_folder": "{folder}"},
        records=1000,
    ),
    Demo(
        "eloqua_contacts_import",
        "eloqua",
        "eloqua",
        options={"contacts": 1000, "seconds": 8.0},
        variables={"contacts_file": "{folder}/eloqua.jsonl", "rejects_folder": "{folder}/rejects"},
        files={
            "eloqua.jsonl": partial(
                write_people,
                names={"emailAddress": "EMAIL", "firstName": "FIRST_NAME", "lastName": "LAST_NAME"},
            )
        },
        rejected=DEMO_REFUSED,
    ),
    Demo("order_increments", "generic", "orders", variables={"orders_folder": "{folder}"}, records=4),
    Demo(
        "order_partitions",
        "generic",
        "orders",
        variables={"orders_folder": "{folder}"},
        run={"logical_date": "2026-02-03T00:00:00Z"},  # its end: the interval is the day before
        records=8,
    ),
    Demo(
        "salesforce_contacts",
        "salesforce",
        "salesforce",
        options={"contacts": 1000, "seconds": 8.0},
        variables={"contacts_folder": "{folder}"},
        records=1000,
    ),
    Demo(
        "salesforce_contacts_upsert",
        "salesforce",
        "salesforce",
        options={"contacts": 1000, "seconds": 8.0},
        variables={"salesforce_contacts": "{folder}/salesforce.csv", "rejects_folder": "{folder}/rejects"},
        files={
            "salesforce.csv": partial(
                write_people,
                names={"External_Id__c": "EXTERNAL_ID", "LastName": "LAST_NAME", "Email": "EMAIL"},
            )
        },
        rejected=DEMO_REFUSED,
    ),
    Demo(
        "sendgrid_contacts_export",
        "sendgrid",
        "sendgrid",
        options={"contacts": 1000, "files": 2, "seconds": 1.0},
        variables={"contacts_folder": "{folder}"},
        records=1000,
    ),
    Demo(
        "sendgrid_contacts_import",
        "sendgrid",
        "sendgrid",
        options={"contacts": 1000, "files": 2, "seconds": 1.0},
        variables={"contacts_csv": "{folder}/sendgrid.csv", "rejects_folder": "{folder}/rejects"},
        files={
            "sendgrid.csv": partial(
                write_people,
                names={"email": "EMAIL", "first_name": "FIRST_NAME", "last_name": "LAST_NAME"},
            )
        },
        rejected=DEMO_REFUSED,
    ),
    Demo(
        "upgates_product_images",
        "upgates",
        "upgates",
        options={"seconds": 30.0, "webhook_key": "what-the-shop-signs-with"},
        variables={"images_folder": "{folder}"},
        webhook=True,
    ),
    Demo(
        "upgates_products",
        "upgates",
        "upgates",
        options={"products": 100, "seconds": 30.0, "webhook_key": "what-the-shop-signs-with"},
        variables={"products_folder": "{folder}"},
        webhook=True,
    ),
    Demo(
        "walmart_item_feed",
        "walmart",
        "walmart",
        options={"refuse_every": 5},
        variables={"walmart_folder": "{folder}"},
        rejected=2,
    ),
)
DEMOS: Mapping[str, Demo] = {demo.dag_id: demo for demo in _ALL}
"""By the DAG's ID."""


def demos_text() -> str:
    """Return the names, for messages."""
    return ", ".join(sorted(DEMOS))


def find_demo(dag_id: str) -> Demo:
    """Return the demonstration of a DAG.

    :raises LookupError: there is none; the message lists those that there are.
    """
    if dag_id in DEMOS:
        return DEMOS[dag_id]
    near = get_close_matches(dag_id, DEMOS, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise LookupError(f"there is no demonstration of {dag_id!r}; {hint}There are: {demos_text()}")


def demonstrate(story: Story, folder: Path, dags: Path, demo: Demo, *, keep_open: bool) -> None:
    """Run one example DAG in an Airflow of its own, show what came of it, and check it.

    :param folder: for Airflow and for what the DAG reads and writes.
    :param dags: the folder of the example DAGs.
    :raises DemoError: something is not as it should be.
    """
    story.title("A job server and a real Airflow")
    with demo.server() as server:
        story.say("job server", f"{server.url} is of the kind {demo.kind}: {_told(demo.options)}")
        variables = demo.prepare(folder / "data")
        connections = {demo.conn_id: server.connection}
        airflow = an_airflow(story, folder, dags, connections=connections, variables=variables)
        with airflow:
            story.say("Airflow", f"is healthy at {airflow.url}")
            run_and_check(story, airflow, demo, server)
            if keep_open:
                stay(story, airflow, demo.dag_id)
        story.say("Airflow", "stopped")


def run_and_check(story: Story, airflow: LocalAirflow, demo: Demo, server: FakeJobServer) -> None:
    """Run the DAG in a running Airflow, show what came of it, and check it.

    :raises DemoError: something is not as it should be.
    """
    demo.listen(airflow, server)
    run_id = watch_run(story, airflow, demo.dag_id, **demo.run)
    show_logs(story, airflow, demo.dag_id, run_id)
    manifests = manifests_of(airflow, demo.dag_id, run_id)
    for task, manifest in manifests.items():
        _show(story, task, manifest)
    story.title("The check")
    if problems := problems_of(demo, manifests, server):
        raise DemoError("; ".join(problems))
    if demo.webhook:
        tell_wake(story, airflow, demo.dag_id, run_id, server)
    story.say("server", "requests: " + ", ".join(_counts(server)) + "; none of the run's jobs is left there")
    if any(manifest["uris"] for manifest in manifests.values()):
        story.say("records", f"[green]{_sum(manifests):,}, as many as the files have[/]")
    if server.ledger.records.counts()["received"]:
        kept = server.ledger.records.counts()
        said = f"{kept['accepted']:,} accepted, {kept['refused']:,} refused, as the manifests say"
        story.say("uploads", f"[green]{said}[/]")


def manifests_of(airflow: AirflowApi, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
    """Return what the fetch tasks of a run returned, by task."""
    found = {}
    for instance in airflow.task_instances(dag_id, run_id):
        task_id, index = instance["task_id"], instance["map_index"]
        if task_id.rpartition(".")[2] == "fetch" and instance["state"] == "success":
            label = task_id if index < 0 else f"{task_id}[{index}]"
            found[label] = airflow.xcom(dag_id, run_id, task_id, map_index=index)
    return found


def problems_of(demo: Demo, manifests: Mapping[str, Mapping[str, Any]], server: FakeJobServer) -> list[str]:
    """Return what is not as it should be: records, files, rejects, jobs at the server."""
    found = []
    if not manifests:
        found.append("no fetch task returned a manifest")
    for task, manifest in manifests.items():
        written = sum(_records_in(_path(uri)) or 0 for uri in manifest["uris"])
        if (
            None not in {_records_in(_path(uri)) for uri in manifest["uris"]}
            and written != manifest["records"]
        ):
            found.append(f"{task}: the manifest says {manifest['records']} records, the files have {written}")
    if demo.records is not None and _sum(manifests) != demo.records:
        found.append(f"{_sum(manifests)} records came, not {demo.records}")
    if (told := sum(_told_rejects(one) for one in manifests.values())) != demo.rejected:
        found.append(f"{told} rejects were fetched, not {demo.rejected}")
    for task, manifest in manifests.items():
        found += [f"{task}: {problem}" for problem in _account_problems(manifest, server)]
    left = {manifest["submission_id"] for manifest in manifests.values()} & set(server.ledger.running_ids())
    found += [f"job {job_id} still runs at the server" for job_id in sorted(left)]
    return found


def _told_rejects(manifest: Mapping[str, Any]) -> int:
    return int((manifest["rejects"] or {}).get("records", 0))


def _account_problems(manifest: Mapping[str, Any], server: FakeJobServer) -> Iterator[str]:
    """Compare a manifest with the server's own account of the records that the job brought."""
    rejects = manifest["rejects"] or {}
    if rejects.get("accepted") is None:
        return
    kept = server.ledger.records.counts(manifest["submission_id"])
    for word, told in (
        ("accepted", rejects["accepted"]),
        ("refused", rejects["sent"] - rejects["accepted"]),
    ):
        if told != kept[word]:
            yield f"{told} records are {word}, at the job server {kept[word]}"


def _sum(manifests: Mapping[str, Mapping[str, Any]]) -> int:
    return sum(manifest["records"] or 0 for manifest in manifests.values())


def _show(story: Story, task: str, manifest: Mapping[str, Any]) -> None:
    story.title(f"The manifest that task {escape(task)} returned (XCom)")
    story.values(manifest)
    rejects = (manifest["rejects"] or {}).get("uri")
    for uri in [*manifest["uris"], *([rejects] if rejects else [])]:
        path = _path(uri)
        story.title(f"The first lines of {path.name}, {path.stat().st_size:,} bytes")
        for line in _first_lines(path):
            story.console.print("  " + escape(line[:_SHOWN_CHARACTERS]))


def _path(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def _first_lines(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as parquet

        rows = next(parquet.ParquetFile(path).iter_batches(batch_size=_SHOWN_LINES)).to_pylist()
        return [json.dumps(row, default=str, ensure_ascii=False) for row in rows]
    with path.open(errors="replace") as file:
        return [line.rstrip("\n") for _, line in zip(range(_SHOWN_LINES), file, strict=False)]


def _records_in(path: Path) -> int | None:
    """Count the records of a file; None: of a format whose records are not counted here."""
    if path.suffix == ".parquet":
        import pyarrow.parquet as parquet

        return int(parquet.ParquetFile(path).metadata.num_rows)
    if path.suffix != ".jsonl":
        return None
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _told(options: Mapping[str, Any]) -> str:
    shown = [f"{name} {value}" for name, value in options.items() if not name.endswith("_key")]
    return ", ".join(shown) or "its usual options"


def _counts(server: FakeJobServer) -> Iterator[str]:
    for purpose in PURPOSES:
        if number := server.ledger.count(purpose):
            yield f"{number} {purpose}"
