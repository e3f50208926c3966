"""A real rclone, from submit to result: booleans for a state, polls by POST, integer IDs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Asyncjob, until
from tests.servers.driving import Driven, asking_for, records_in
from tests.servers.rclone import LOGIN, PASSWORD, Rclone

SLOW_BYTES = 60_000_000  # a minute at the server's speed


@pytest.fixture
def call(asyncjob: Asyncjob, rclone: Rclone) -> Driven:
    return Driven(asyncjob, "rclone_call", rclone.url, {"login": LOGIN, "password": PASSWORD})


def copy(folder: Path, name: str = "from") -> dict[str, str]:
    return {"srcFs": str(folder / name), "dstFs": str(folder / "to")}


def slow(folder: Path) -> dict[str, str]:
    (folder / "from").mkdir()
    with (folder / "from" / "large").open("wb") as file:
        file.truncate(SLOW_BYTES)
    return copy(folder)


def test_a_listing_becomes_records(call: Driven, tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    for name in ("a.txt", "Zoë.csv"):
        (tmp_path / "from" / name).write_text("x" * 7)
    ran = call.run(
        "--destination",
        "files.jsonl",
        command="operations/list",
        parameters={"fs": str(tmp_path / "from"), "remote": ""},
    )
    assert ran.code == 0, ran.stderr
    assert (ran.last["state"], ran.last["records"]) == ("done", 2)
    found = {record["Name"]: record["Size"] for record in records_in(tmp_path / "files.jsonl")}
    assert found == {"a.txt": 7, "Zoë.csv": 7}


def test_a_copy_is_done(call: Driven, tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "a.txt").write_text("hello")
    ran = call.run(command="sync/copy", parameters=copy(tmp_path))
    assert (ran.code, ran.last["state"]) == (0, "done"), ran.stderr
    assert (tmp_path / "to" / "a.txt").read_text() == "hello"


def test_a_job_that_fails_says_why(call: Driven, tmp_path: Path) -> None:
    ran = call.run(command="sync/copy", parameters=copy(tmp_path, "nowhere"))
    assert (ran.code, ran.last["state"]) == (4, "failed")
    assert ran.last["message"].endswith("ended as failed: directory not found")


def test_a_timeout_stops_the_job(call: Driven, rclone: Rclone, tmp_path: Path) -> None:
    ran = call.run(changes={"status": {"timeout": 1}}, command="sync/copy", parameters=slow(tmp_path))
    assert (ran.code, ran.last["state"]) == (5, "timed_out")
    left = rclone.job(ran.last["submission_id"])
    assert (left["finished"], left["success"]) == (True, False)


def test_ctrl_c_stops_the_job(call: Driven, rclone: Rclone, tmp_path: Path) -> None:
    ran = call.interrupted(rclone.running, command="sync/copy", parameters=slow(tmp_path))
    assert (ran.code, ran.last["state"]) == (130, "cancelled")
    left = rclone.job(ran.last["submission_id"])
    assert (left["finished"], left["success"]) == (True, False)
    assert "context canceled" in left["error"]


def test_a_job_that_somebody_stops_is_cancelled(call: Driven, rclone: Rclone, tmp_path: Path) -> None:
    process = call.start(command="sync/copy", parameters=slow(tmp_path))
    until(rclone.running)
    for job in rclone.running():
        rclone.call("job/stop", jobid=int(job))
    ran = call.asyncjob.end(process)
    assert (ran.code, ran.last["state"]) == (4, "cancelled")
    assert "context canceled" in ran.last["message"]


def test_an_unknown_job_ends_the_wait(call: Driven) -> None:
    ran = call.run(changes=asking_for("{{ 987654 }}"), command="rc/noop")
    assert (ran.code, ran.last["state"]) == (1, "error")
    assert "rclone says: job not found." in ran.last["message"]
    assert "/job/status" in ran.last["message"]


def test_a_wrong_password_is_told_as_such(call: Driven) -> None:
    call.connection["password"] = "wrong-one"
    ran = call.run(command="rc/noop")
    assert (ran.code, ran.last["state"], ran.last["submission_id"]) == (1, "error", None)
    assert "401" in ran.last["message"]
    assert "wrong-one" not in ran.stdout + ran.stderr
