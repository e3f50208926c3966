"""Athena, its result in S3, and Step Functions of a real moto that verifies signatures."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Asyncjob, until
from tests.servers.driving import Driven, asking_for, records_in
from tests.servers.moto import REGION, Moto
from tests.servers.scripted import running, turns

BUCKET = "athena-results"
ROWS = [["id", "name"], ["00001", "Zoë"], ["00002", "a, b"]]


def connection(aws: Moto) -> dict[str, Any]:
    return {"login": aws.login, "password": aws.password, "extra": {"region_name": REGION}}


# Athena -------------------------------------------------------------------------------------


@pytest.fixture
def query(asyncjob: Asyncjob, aws: Moto) -> Iterator[Driven]:
    aws.s3().create_bucket(Bucket=BUCKET)
    aws.athena_runs_for(1)
    yield Driven(asyncjob, "aws/athena_query", aws.url, connection(aws))
    aws.athena_runs_for(1)


def inputs() -> dict[str, str]:
    return {"query": "SELECT id, name FROM people", "output_location": f"s3://{BUCKET}/of tests/"}


def test_the_rows_of_a_query_come_from_s3(query: Driven, aws: Moto, tmp_path: Path) -> None:
    aws.next_result(ROWS)
    ran = query.run("--destination", "rows.csv", **inputs())
    assert (ran.code, ran.last["state"], ran.last["records"]) == (0, "done", 2), ran.stderr
    with (tmp_path / "rows.csv").open(newline="") as file:
        assert list(csv.reader(file)) == ROWS
    assert f"/{BUCKET}/of%20tests/{ran.last['submission_id']}.csv" in ran.stderr
    assert aws.password not in ran.stdout + ran.stderr


def test_a_query_that_is_refused_says_why(query: Driven) -> None:
    ran = query.run(work_group="nowhere", **inputs())
    assert (ran.code, ran.last["submission_id"]) == (1, None)
    assert "WorkGroup does not exist" in ran.last["message"]


def test_a_query_without_its_file_is_an_error(query: Driven) -> None:
    ran = query.run("--destination", "rows.csv", **inputs())
    assert (ran.code, ran.last["state"]) == (1, "error")
    assert "404" in ran.last["message"]
    assert "NoSuchKey" in ran.last["message"]


def test_ctrl_c_stops_the_query(query: Driven, aws: Moto) -> None:
    aws.athena_runs_for(1000)
    athena = aws.client("athena")
    before = set(athena.list_query_executions()["QueryExecutionIds"])
    ran = query.interrupted(
        lambda: set(athena.list_query_executions()["QueryExecutionIds"]) - before, **inputs()
    )
    assert (ran.code, ran.last["state"]) == (130, "cancelled")
    status = athena.get_query_execution(QueryExecutionId=ran.last["submission_id"])["QueryExecution"]
    assert status["Status"]["State"] == "CANCELLED"


def test_a_query_that_somebody_stops_is_cancelled(query: Driven, aws: Moto) -> None:
    aws.athena_runs_for(1000)
    athena = aws.client("athena")
    before = set(athena.list_query_executions()["QueryExecutionIds"])
    process = query.start(**inputs())
    until(lambda: set(athena.list_query_executions()["QueryExecutionIds"]) - before)
    for found in set(athena.list_query_executions()["QueryExecutionIds"]) - before:
        athena.stop_query_execution(QueryExecutionId=found)
    ran = query.asyncjob.end(process)
    assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (4, "cancelled", "CANCELLED")


def test_a_wrong_secret_is_told_as_such(query: Driven) -> None:
    query.connection["password"] = "wrong-one"
    ran = query.run(**inputs())
    assert (ran.code, ran.last["state"], ran.last["submission_id"]) == (1, "error", None)
    assert "403" in ran.last["message"]
    assert "SignatureDoesNotMatch" in ran.last["message"]
    assert "wrong-one" not in ran.stdout + ran.stderr


def test_a_query_that_nobody_submitted_is_an_error(query: Driven) -> None:
    changes = asking_for("{{ 'no-such-query' }}") | {"status": {"poll_error_budget": 0}}
    ran = query.run(changes=changes, **inputs())
    assert (ran.code, ran.last["state"]) == (1, "error")
    assert "answered 500" in ran.last["message"], "moto's way; Amazon answers 400"


def test_a_query_that_fails_says_why(asyncjob: Asyncjob) -> None:
    """moto's queries end as SUCCEEDED or CANCELLED only (its states, and its API to set them, know no other),
    so this one fails as Amazon's documentation of QueryExecutionStatus says.
    """
    reason = "COLUMN_NOT_FOUND: line 1:8: Column 'idd' cannot be resolved"
    status = {"State": "FAILED", "StateChangeReason": reason, "AthenaError": {"ErrorCategory": 2}}
    failed = {"QueryExecution": {"QueryExecutionId": "q-1", "Status": status}}
    with running({"POST /": turns({"QueryExecutionId": "q-1"}, failed)}) as api:
        keys = {"login": "AKIA", "password": "test-secret-key", "extra": {"region_name": REGION}}
        ran = Driven(asyncjob, "aws/athena_query", api.base, keys).run(**inputs())
    assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (4, "failed", "FAILED")
    assert reason in ran.last["message"]
    assert [asked.headers["x-amz-target"].rpartition(".")[2] for asked in api.asked] == [
        "StartQueryExecution",
        "GetQueryExecution",
    ]


# Step Functions -----------------------------------------------------------------------------

MACHINES: dict[str, tuple[dict[str, Any], str]] = {
    "rows": ({"Rows": {"Type": "Pass", "OutputPath": "$.rows", "End": True}}, "Rows"),
    "fails": ({"Fail": {"Type": "Fail", "Error": "DiskFull", "Cause": "no space at row 7"}}, "Fail"),
    "waits": ({"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}, "Wait"),
}


@pytest.fixture(scope="session")
def machines(aws: Moto) -> dict[str, str]:
    return {name: aws.state_machine(name, states, first) for name, (states, first) in MACHINES.items()}


@pytest.fixture
def execution(asyncjob: Asyncjob, aws: Moto) -> Driven:
    return Driven(asyncjob, "aws_step_functions", aws.url, connection(aws))


def test_the_output_of_an_execution_becomes_records(
    execution: Driven, machines: dict[str, str], tmp_path: Path
) -> None:
    rows = [{"id": "00001", "name": "Zoë"}, {"id": "00002", "name": "b"}]
    ran = execution.run("--destination", "rows.jsonl", state_machine=machines["rows"], input={"rows": rows})
    assert (ran.code, ran.last["state"], ran.last["records"]) == (0, "done", 2), ran.stderr
    assert records_in(tmp_path / "rows.jsonl") == rows


def test_an_execution_that_fails_says_why(execution: Driven, machines: dict[str, str]) -> None:
    ran = execution.run("--destination", "rows.jsonl", state_machine=machines["fails"])
    assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (4, "failed", "FAILED")
    assert ran.last["message"].endswith("ended as failed: DiskFull: no space at row 7")


def test_a_timeout_stops_the_execution(execution: Driven, machines: dict[str, str], aws: Moto) -> None:
    ran = execution.run(changes={"status": {"timeout": 1}}, state_machine=machines["waits"])
    assert (ran.code, ran.last["state"]) == (5, "timed_out")
    left = aws.client("stepfunctions").describe_execution(executionArn=ran.last["submission_id"])
    assert left["status"] == "ABORTED"


def test_an_unknown_execution_is_refused(execution: Driven, machines: dict[str, str]) -> None:
    unknown = machines["rows"].replace(":stateMachine:", ":execution:") + ":no-such-execution"
    ran = execution.run(
        changes=asking_for(f"{{{{ '{unknown}' }}}}"), state_machine=machines["rows"], input={"rows": []}
    )
    assert (ran.code, ran.last["state"]) == (1, "error")
    assert "Execution Does Not Exist" in ran.last["message"]


def test_a_state_machine_that_is_not_there_is_refused(execution: Driven, machines: dict[str, str]) -> None:
    ran = execution.run(state_machine=machines["rows"] + "-not")
    assert (ran.code, ran.last["submission_id"]) == (1, None)
    assert "State Machine Does Not Exist" in ran.last["message"]
