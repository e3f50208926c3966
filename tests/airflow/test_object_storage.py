"""Results to S3, as ``s3://conn_id@bucket/key``: a real S3 server, a real Airflow."""

from __future__ import annotations

import hashlib
import io
import re
from typing import Any

import pytest

from airflow_asyncjob.testing import FakeJobServer, expected_rows
from airflow_asyncjob.testing.local_airflow import LocalAirflow
from tests.servers.moto import Moto

DAG = "object_storage"
BUCKET = "lake"


@pytest.fixture(scope="module")
def s3(moto: Moto, airflow: LocalAirflow) -> Any:
    client = moto.s3()
    client.create_bucket(Bucket=BUCKET)
    airflow.set_connection("aws_lake", moto.connection())
    return client


def keys(s3: Any, prefix: str) -> list[str]:
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]


def run(airflow: LocalAirflow, folder: str, **plan: Any) -> tuple[str, str]:
    run_id = airflow.trigger(DAG, {"folder": f"s3://aws_lake@{BUCKET}/{folder}", "plan": plan})
    return run_id, airflow.wait_for_run(DAG, run_id)


def fetch_log(airflow: LocalAirflow, run_id: str) -> str:
    return airflow.task_log(DAG, run_id, "job.fetch")


def test_a_result_of_several_files_becomes_one_object(airflow: LocalAirflow, s3: Any) -> None:
    import pyarrow.parquet as parquet

    run_id, state = run(airflow, "good", rows=30_000, files=3, gzip=True, tag="s3")
    assert state == "success", fetch_log(airflow, run_id)
    assert keys(s3, "good/") == ["good/rows.parquet"]
    body = s3.get_object(Bucket=BUCKET, Key="good/rows.parquet")["Body"].read()
    rows = parquet.read_table(io.BytesIO(body)).to_pylist()
    assert [row["id"] for row in rows] == [row["id"] for row in expected_rows(30_000)]
    assert rows[0]["id"] == "00000000"
    manifest = airflow.xcom(DAG, run_id, "job.fetch")
    assert manifest["uris"] == [f"s3://aws_lake@{BUCKET}/good/rows.parquet"]
    assert (manifest["records"], manifest["bytes"]) == (30_000, len(body))
    assert manifest["sha256"] == hashlib.sha256(body).hexdigest()
    assert airflow.files_with("test-secret-key") == [], "the connection's password is nowhere"


def test_a_download_that_is_cut_every_time_leaves_no_object_and_no_upload(
    airflow: LocalAirflow, s3: Any, job_server: FakeJobServer
) -> None:
    job_server.faults.add("result", "truncate", times=None)
    try:
        run_id, state = run(airflow, "bad", rows=30_000)
    finally:
        job_server.faults.clear()
    assert state == "failed"
    assert re.search(r"tries of the download did not work; the last: .*broke off", fetch_log(airflow, run_id))
    assert airflow.states(DAG, run_id)["job.fetch"] == "failed"
    assert keys(s3, "bad/") == []
    assert s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []


def test_a_bucket_that_does_not_exist_is_named(airflow: LocalAirflow, s3: Any) -> None:
    run_id = airflow.trigger(DAG, {"folder": "s3://aws_lake@no-such-bucket/x", "plan": {"rows": 1}})
    assert airflow.wait_for_run(DAG, run_id) == "failed"
    assert "s3://aws_lake@no-such-bucket/x/rows.parquet cannot be written" in fetch_log(airflow, run_id)
