"""asyncjob run against APIs with habits of their own, each told to it by a definition file alone."""

from __future__ import annotations

from airflow_asyncjob.testing import FakeJobServer
from tests.cli.command import DEFINITION, Asyncjob

STATUS = DEFINITION["status"]


# status.from: submit ------------------------------------------------------------------------


def test_a_job_that_ended_at_once_is_downloaded_without_a_poll(
    asyncjob: Asyncjob, server: FakeJobServer
) -> None:
    status = {name: value for name, value in STATUS.items() if name != "request"} | {"from": "submit"}
    ran = asyncjob.run(server, "--destination", "out.jsonl", plan={"rows": 4}, status=status)
    assert ran.code == 0, ran.stderr
    assert (ran.last["state"], ran.last["records"]) == ("done", 4)
    assert [entry.purpose for entry in server.ledger.entries()] == ["submit", "result", "delete"]


def test_a_job_that_failed_at_once_exits_4(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    plan = {"ends": "failed", "message": "no such segment"}
    ran = asyncjob.run(server, plan=plan, status={**STATUS, "from": "submit"})
    assert ran.code == 4
    assert ran.last["message"] == "the job job-1 ended as failed: no such segment"
    assert server.ledger.entries("poll") == []


def test_a_job_that_goes_on_is_polled(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    ran = asyncjob.run(server, plan={"run_for": 0.3}, status={**STATUS, "from": "submit"})
    assert ran.code == 0, ran.stderr
    assert server.ledger.entries("poll")


def test_a_job_that_goes_on_and_cannot_be_polled_is_a_mistake_of_the_definition(
    asyncjob: Asyncjob, server: FakeJobServer
) -> None:
    status = {name: value for name, value in STATUS.items() if name != "request"} | {"from": "submit"}
    ran = asyncjob.run(server, plan={"run_for": 60}, status=status)
    assert ran.code == 2
    assert "there is no status.request to ask with" in ran.last["message"]
    assert "The job job-1 may still run at the API." in ran.last["message"]
    assert "it says 'running'" in ran.stderr


# status.queue_timeout -----------------------------------------------------------------------


def test_a_job_that_never_starts_is_cancelled_and_exits_5(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    status = {**STATUS, "queued": ["queued"], "queue_timeout": 0.3}
    ran = asyncjob.run(server, plan={"queue_for": 600}, status=status)
    assert ran.code == 5
    assert ran.last["message"].startswith("the job job-1 ended as timed_out: not started before ")
    assert server.ledger.running() == 0
    assert len(server.ledger.entries("cancel")) == 1


# status.log ---------------------------------------------------------------------------------


def test_the_end_of_the_log_of_a_job_that_failed_is_shown(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    status = {**STATUS, "message": "status", "log": {"request": {"url": "/jobs"}, "path": "jobs[].message"}}
    ran = asyncjob.run(server, plan={"ends": "failed", "message": "row 1\nrow 2: disk full"}, status=status)
    assert ran.code == 4
    said = "the job job-1 ended as failed: failed\nThe end of the job's log:\nrow 1\nrow 2: disk full"
    assert ran.last["message"] == said
    assert said in ran.stderr


def test_a_log_that_is_not_there_hides_nothing(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    status = {**STATUS, "log": {"request": {"url": "/logs/{{ submission_id }}"}}}
    ran = asyncjob.run(server, plan={"ends": "failed", "message": "disk full"}, status=status)
    assert ran.code == 4
    assert ran.last["message"].startswith(
        "the job job-1 ended as failed: disk full; its log could not be read"
    )
    assert "/logs/job-1 answered 404" in ran.last["message"]
