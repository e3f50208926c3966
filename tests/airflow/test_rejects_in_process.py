"""What the tasks of a group do where the API refuses records, in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_asyncjob import ResultDownloadOperator, async_job
from airflow_asyncjob.errors import DefinitionError, RejectsUnavailableError
from airflow_asyncjob.testing import FakeJobServer
from tests.airflow.in_process import Worker
from tests.airflow.test_tasks_in_process import JOB, STATUS

REJECTS: dict[str, Any] = {
    "request": {"url": "/jobs/{{ submission_id }}/rejects"},
    "records": "rejects",
    "key": "id",
    "reason": "reason",
}
IMPORT = {**JOB, "status": {**STATUS, "values": {**STATUS["values"], "partial": ["partial"]}}}
DELETE = {"method": "DELETE", "url": "/jobs/{{ submission_id }}/result"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
    with FakeJobServer("generic") as server:
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "http", "host": server.url}))
        yield server


def group(result: dict[str, Any], plan: dict[str, Any], to: Path | None, **arguments: Any) -> Worker:
    """Return a worker for a group ``job``."""
    job = {**IMPORT, "result": result, "delete": DELETE}
    given = {"destination": None if to is None else str(to), "deferrable": False, **arguments}
    with DAG("d") as dag:
        async_job(job=job, http_conn_id="shop", group_id="job", inputs={"plan": plan}, **given)
    return Worker(dag)


def run(worker: Worker) -> Any:
    """Run the three tasks."""
    worker.run("job.submit")
    worker.run("job.wait")
    return worker.run("job.fetch")


def test_a_partial_job_has_its_rejects_beside_the_result(
    server: FakeJobServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = {"target": "urls", "format": "csv", "rejects": REJECTS}
    manifest = run(group(result, {"ends": "partial", "rejects": 2}, tmp_path / "out.csv"))
    assert (manifest["state"], manifest["records"]) == ("partial", 3)
    assert manifest["rejects"] == {
        "uri": f"file://{tmp_path}/out.rejects.jsonl",
        "records": 2,
        "sent": None,
        "accepted": None,
        "by_stage": {"local": 0, "upload": 0, "job": 2},
        "unmatched": 0,
    }
    log = capsys.readouterr().out
    assert "The job is done in part (partial): some rows were refused" in log
    assert f"Refused: 2 of 5 (by the job 2). The reasons are in file://{tmp_path}/out.rejects.jsonl." in log


def test_an_import_gives_the_wait_its_id_and_the_fetch_its_rejects(
    server: FakeJobServer, tmp_path: Path
) -> None:
    worker = group({"rejects": REJECTS}, {"rejects": 1}, tmp_path / "contacts.parquet")
    manifest = run(worker)
    assert worker.xcoms["job.wait", "return_value"] == "job-1"
    assert (manifest["state"], manifest["uris"], manifest["records"]) == ("done", [], 0)
    assert [path.name for path in tmp_path.iterdir()] == ["contacts.rejects.jsonl"]
    assert server.ledger.count("delete") == 1


def test_on_rejects_fail_fails_once_all_is_written(server: FakeJobServer, tmp_path: Path) -> None:
    result = {"target": "urls", "format": "csv", "rejects": REJECTS, "on_rejects": "fail", "tolerated": "10%"}
    worker = group(result, {"rejects": 1}, tmp_path / "out.csv")
    with pytest.raises(AirflowFailException, match=r"^Refused: 1 of 4 \(by the job 1\).*Tolerated: 10%\.$"):
        run(worker)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.rejects.jsonl"]
    assert worker.xcoms["job.fetch", "rejects"]["records"] == 1
    assert server.ledger.count("delete") == 0


def test_rejects_that_do_not_come_are_asked_for_again_by_the_next_try(
    server: FakeJobServer, tmp_path: Path
) -> None:
    result = {"target": "urls", "format": "csv", "rejects": REJECTS}
    worker = group({**result}, {"rejects": 1}, tmp_path / "out.csv")
    worker.run("job.submit")
    worker.run("job.wait")
    server.faults.add("rejects", 503, headers={"Retry-After": "7200"})
    with pytest.raises(RejectsUnavailableError, match="The result is written"):
        worker.run("job.fetch")
    assert worker.run("job.fetch")["rejects"]["records"] == 1


@pytest.mark.parametrize("of_failed", [True, False])
def test_a_job_that_failed_gives_its_rejects_to_a_fetch_that_runs_all_the_same(
    server: FakeJobServer, tmp_path: Path, of_failed: bool
) -> None:
    result = {"target": "urls", "format": "csv", "rejects": {**REJECTS, "of_failed": of_failed}}
    plan = {"ends": "failed", "message": "too many", "rejects": 2}
    worker = group(result, plan, tmp_path / "out.csv", fetch={"trigger_rule": "all_done"})
    worker.run("job.submit")
    with pytest.raises(AirflowFailException) as waited:
        worker.run("job.wait")
    assert ("a fetch task with trigger_rule all_done writes them" in str(waited.value)) is of_failed
    with pytest.raises(AirflowFailException) as fetched:
        worker.run("job.fetch")
    said = "The job job-1 ended as failed: too many. It has no result."
    if of_failed:
        said += f" Refused: 2 records (by the job 2). The reasons are in file://{tmp_path}/out.rejects.jsonl."
        assert worker.xcoms["job.fetch", "rejects"]["records"] == 2
    assert str(fetched.value) == said
    assert (tmp_path / "out.rejects.jsonl").exists() is of_failed
    assert not (tmp_path / "out.csv").exists()


def test_flat_arguments(server: FakeJobServer, tmp_path: Path) -> None:
    worker = group({"target": "urls"}, {"rejects": 1}, None)
    job_id = worker.run("job.submit")
    with DAG("d") as dag:
        ResultDownloadOperator(
            task_id="fetch",
            http_conn_id="shop",
            target=job_id,
            submission_id=job_id,
            destination=str(tmp_path / "in.csv"),
            rejects=REJECTS,
            on_rejects="fail",
            tolerated=1,
        )
    assert Worker(dag).run("fetch")["rejects"]["records"] == 1


@pytest.mark.parametrize(
    ("result", "arguments", "said"),
    [
        (
            {"rejects": REJECTS, "on_rejects": "fail"},
            {},
            "result.on_rejects is fail, and only a fetch task looks at rejects: give destination",
        ),
        (
            {"rejects": REJECTS},
            {"destination": "x/in.csv", "output_format": "parquet"},
            "output_format parquet would be ignored: the job has no result of its own",
        ),
    ],
)
def test_what_the_dag_file_is_told(result: dict[str, Any], arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        group(result, {}, None, **arguments)


def test_mapped_jobs_need_a_folder_each_for_their_rejects() -> None:
    job = {**IMPORT, "result": {"rejects": REJECTS}}
    inputs = [{"note": "a"}, {"note": "b"}]
    with DAG("d"):
        with pytest.raises(DefinitionError, match="every mapped job would write the same file, x/"):
            async_job.partial(job=job, http_conn_id="shop", destination="x/").expand(inputs=inputs)
        async_job.partial(job=job, http_conn_id="shop", destination="x/{{ map_index }}/").expand(
            inputs=inputs
        )
