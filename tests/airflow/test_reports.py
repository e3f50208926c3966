"""What the tasks tell Airflow of their jobs: metrics, asset events, lineage, the first rows of a result."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors
from airflow.sdk.lineage import HookLineageCollector
from airflow.sdk.observability import stats

from airflow_asyncjob import async_job
from airflow_asyncjob.panel import PREVIEW
from airflow_asyncjob.testing import FakeJobServer
from tests.airflow.in_process import Worker
from tests.airflow.statsd import StatsdServer

SECRET = "planted-secret-0123456789"
JOB: dict[str, Any] = {
    "name": "plain",
    "inputs": {"plan": {"type": "object", "default": {}}},
    "submit": {"request": {"url": "/jobs", "json": "{{ inputs.plan }}"}, "id": "id"},
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {"running": ["queued", "running"], "done": ["succeeded"], "failed": ["failed"]},
        "initial_wait": 0.1,
        "poll_wait": 0.1,
        "poll_error_budget": 1,
    },
    "result": {"target": "urls", "format": "csv"},
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    with FakeJobServer("generic") as server:
        connection = {"conn_type": "http", "host": server.url, "login": "me", "password": SECRET}
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(connection))
        yield server


def group(destination: Path, **arguments: Any) -> Worker:
    given = {"job": JOB, "http_conn_id": "shop", "group_id": "job", "deferrable": False, **arguments}
    with DAG("d") as dag:
        async_job(destination=str(destination), **given)
    return Worker(dag)


def run(worker: Worker) -> None:
    for task_id in ("job.submit", "job.wait", "job.fetch"):
        worker.run(task_id)


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatsdServer]:
    """Airflow's metrics of this process go there."""
    from airflow.sdk.observability.metrics import stats_utils

    with StatsdServer() as server:
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
        try:
            yield server
        finally:
            monkeypatch.undo()
            stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)


def test_metrics_reach_a_statsd_server(server: FakeJobServer, tmp_path: Path, reported: StatsdServer) -> None:
    server.faults.add("poll", 503)
    worker = group(tmp_path / "a.csv", inputs={"plan": {"run_for": 0.5}})
    run(worker)
    manifest = worker.xcoms["job.fetch", "return_value"]
    assert reported.values("submits", outcome="accepted") == ["1|c"]
    assert reported.values("jobs", state="done") == ["1|c"]
    assert reported.values("polls", state="error") == ["1|c"]
    assert reported.values("polls", state="done") == ["1|c"]
    polls = len(server.ledger.entries("poll"))
    assert len(reported.values("poll.duration")) == len(reported.values("poll.lateness")) == polls
    assert all(0 <= float(value.removesuffix("|ms")) < 60_000 for value in reported.values("poll.lateness"))
    assert reported.values("download.bytes") == [f"{manifest['bytes']}|c"]
    assert reported.values("download.records") == [f"{manifest['records']}|c"]
    assert (
        len(reported.values("download.duration")) == len(reported.values("job.duration", state="done")) == 1
    )
    ours = [figure.tags for figure in reported.figures()]
    told = {(tags["dag_id"], tags["conn_id"], tags["definition"]) for tags in ours}
    assert told == {("d", "shop", "plain")}
    assert {tags["task_id"] for tags in ours} == {"job.submit", "job.wait", "job.fetch"}


def test_a_submit_that_is_refused_and_a_wait_that_gives_up_are_counted(
    server: FakeJobServer, tmp_path: Path, reported: StatsdServer
) -> None:
    worker = group(tmp_path / "a.csv")
    server.faults.add("submit", 400)
    with pytest.raises(Exception, match="400"):
        worker.run("job.submit")
    worker.run("job.submit")
    server.faults.add("poll", 403, times=None)
    with pytest.raises(Exception, match="403"):
        worker.run("job.wait")
    assert [reported.values("submits", outcome=outcome) for outcome in ("failed", "accepted")] == [
        ["1|c"]
    ] * 2
    assert reported.values("jobs", state="error") == ["1|c"]


def test_a_written_result_is_an_asset_event_with_rows_and_bytes(
    server: FakeJobServer, tmp_path: Path
) -> None:
    lake, files = Asset("s3://lake/contacts"), AssetAlias("contact-files")
    worker = group(tmp_path / "a.csv", fetch={"outlets": [lake, files]})
    for task_id in ("job.submit", "job.wait"):
        worker.run(task_id)
    events = OutletEventAccessors()
    task, context = worker.prepared("job.fetch")
    manifest = task.execute({**context, "outlet_events": events})
    told = {
        "records": manifest["records"],
        "bytes": manifest["bytes"],
        "sha256": manifest["sha256"],
        "uri": f"file://{tmp_path}/a.csv",
        "files": 1,
        "state": "done",
        "submission_id": "job-1",
    }
    assert events[lake].extra == told
    (event,) = events[files].asset_alias_events
    assert (event.dest_asset_key.uri, event.extra) == (f"file://{tmp_path}/a.csv", told)


def test_hook_lineage_leads_from_the_api_to_the_file(
    server: FakeJobServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = HookLineageCollector()
    monkeypatch.setattr("airflow.sdk.lineage.get_hook_lineage_collector", lambda: collector)
    run(group(tmp_path / "a.csv"))
    lineage = collector.collected_assets
    assert [one.asset.uri for one in lineage.inputs] == [f"{server.url}/jobs"]
    # What the filesystem itself tells of its own writing is not ours.
    ours = [one.asset for one in lineage.outputs if "submission_id" in one.asset.extra]
    assert [one.uri for one in ours] == [f"file://{tmp_path}/a.csv"]
    assert SECRET not in repr(lineage)


def test_a_collector_that_breaks_is_no_harm(
    server: FakeJobServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise RuntimeError("no lineage today")

    monkeypatch.setattr("airflow.sdk.lineage.get_hook_lineage_collector", broken)
    run(group(tmp_path / "a.csv"))
    assert (tmp_path / "a.csv").exists()
    assert "cannot be told to Airflow: RuntimeError('no lineage today')" in capsys.readouterr().out


def test_openlineage_gets_its_facets(server: FakeJobServer, tmp_path: Path) -> None:
    if not os.environ.get("CI"):
        pytest.importorskip("airflow.providers.openlineage", reason="the provider is not installed")
    worker = group(tmp_path / "a.csv")
    for task_id in ("job.submit", "job.wait"):
        worker.run(task_id)
    task, context = worker.prepared("job.fetch")
    assert task.get_openlineage_facets_on_complete(context["ti"]) is None
    manifest = task.execute(context)
    lineage = task.get_openlineage_facets_on_complete(context["ti"])
    (source,), (written,) = lineage.inputs, lineage.outputs
    assert (source.namespace, source.name) == (server.url, "jobs")
    assert (written.namespace, written.name) == ("file", f"{tmp_path}/a.csv")
    facet = written.outputFacets["outputStatistics"]
    assert (facet.rowCount, facet.size) == (manifest["records"], manifest["bytes"])


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl.gz", "a.parquet"])
def test_the_first_rows_are_kept_where_the_definition_asks(
    server: FakeJobServer, tmp_path: Path, name: str
) -> None:
    job = {**JOB, "result": {**JOB["result"], "preview_rows": 3}}
    worker = group(tmp_path / name, job=job, inputs={"plan": {"rows": 10}})
    run(worker)
    preview = worker.stores["job.fetch"][PREVIEW]
    assert len(preview["rows"]) == 3
    assert len(preview["columns"]) == len(preview["rows"][0]) > 1
    assert worker.xcoms["job.fetch", "return_value"]["records"] == 10


def test_by_default_no_row_lands_in_the_database(server: FakeJobServer, tmp_path: Path) -> None:
    worker = group(tmp_path / "a.csv", inputs={"plan": {"rows": 10}})
    run(worker)
    assert PREVIEW not in worker.stores["job.fetch"]
    first_row = (tmp_path / "a.csv").read_text().splitlines()[1]
    assert first_row not in json.dumps([*worker.stores.values()])
