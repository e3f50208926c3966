"""Records that a task uploads, in this process: parts, crashes between them, and plans for several jobs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, XComArg
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_asyncjob import AsyncSubmitOperator, UploadPlanOperator, async_job
from airflow_asyncjob.errors import DefinitionError, InputError, UncertainError
from airflow_asyncjob.testing import FakeJobServer
from tests.airflow.in_process import Worker

JOB: dict[str, Any] = {
    "name": "import",
    "inputs": {"contacts": {"type": "records"}, "plan": {"type": "object", "default": {}}},
    "submit": {
        "upload": {
            "source": "{{ inputs.contacts }}",
            "key": "email",
            "part_records": 2,
            "job_records": 6,
        },
        "steps": [
            {
                "name": "create",
                "request": {"url": "/imports", "json": "{{ inputs.plan }}"},
                "capture": {"id": "id"},
            },
            {
                "name": "send",
                "each": "{{ parts }}",
                "request": {"url": "/imports/{{ captures.id }}/data", "part": True},
            },
            {"name": "start", "request": {"url": "/imports/{{ captures.id }}/start"}},
        ],
        "id": "id",
    },
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {"running": ["queued", "running"], "done": ["succeeded"], "failed": ["failed"]},
        "initial_wait": 0.2,
        "poll_wait": 0.2,
    },
}
PEOPLE = [{"email": f"p{number}@example.com", "name": "Ann"} for number in range(5)]
NAMES = [person["email"] for person in PEOPLE]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJobServer]:
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
    with FakeJobServer("generic") as server:
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "http", "host": server.url}))
        yield server


@pytest.fixture
def people(tmp_path: Path) -> str:
    path = tmp_path / "people.csv"
    path.write_text("email,name\n" + "".join(f"{name},Ann\n" for name in NAMES))
    return str(path)


def submit(contacts: Any, job: dict[str, Any] = JOB, **arguments: Any) -> Worker:
    """Return a worker for one task ``submit``; what it stores stays for the next try."""
    given = {"inputs": {"contacts": contacts}, "retries": 2, **arguments}
    with DAG("d") as dag:
        AsyncSubmitOperator(task_id="submit", job=job, http_conn_id="shop", **given)
    return Worker(dag)


def test_a_file_is_uploaded_in_parts_and_the_job_started(server: FakeJobServer, people: str) -> None:
    assert submit(people).run("submit") == "job-1"
    assert server.ledger.records.accepted() == NAMES
    assert server.ledger.count("upload") == 3


def test_a_list_of_another_task_is_uploaded_and_kept_nowhere(
    server: FakeJobServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with DAG("d") as dag:
        made = BaseOperator(task_id="made")
        async_job(job=JOB, http_conn_id="shop", group_id="job", inputs={"contacts": XComArg(made)})
    worker = Worker(dag)
    worker.xcoms["made", "return_value"] = PEOPLE
    assert worker.run("job.submit") == "job-1"
    assert worker.run("job.wait") == "job-1"
    assert worker.deferrals == 1
    assert server.ledger.records.accepted() == NAMES
    assert "example.com" not in json.dumps(worker.stores)
    assert "example.com" not in caplog.text


def test_a_list_of_records_is_in_no_argument_of_a_trigger(server: FakeJobServer) -> None:
    job = {**JOB, "status": {**JOB["status"], "initial_wait": 3600}}
    worker = submit(PEOPLE, job, wait_for_completion=True)
    task, context = worker.prepared("submit")
    with pytest.raises(TaskDeferred) as caught:
        task.execute(context)
    path, arguments = caught.value.trigger.serialize()
    assert path.endswith("AsyncStatusTrigger")
    assert arguments["inputs"] == {"plan": {}}
    assert "example.com" not in json.dumps(arguments)


def test_the_next_try_goes_on_after_the_last_acknowledged_part(server: FakeJobServer, people: str) -> None:
    server.faults.add("upload", "answer", nth=3, code=503, times=20)
    worker = submit(people, {**JOB, "limits": {"retries": 0}})
    with pytest.raises(UncertainError):
        worker.run("submit")
    assert server.ledger.records.accepted() == NAMES[:4]
    server.faults.clear()
    assert worker.run("submit") == "job-1"
    assert server.ledger.records.accepted() == NAMES
    assert len({entry.job_id for entry in server.ledger.entries("upload")}) == 1


def test_a_source_that_changed_between_two_tries_ends_the_task(server: FakeJobServer, people: str) -> None:
    server.faults.add("upload", "answer", nth=2, code=503, times=20)
    worker = submit(people, {**JOB, "limits": {"retries": 0}})
    with pytest.raises(UncertainError):
        worker.run("submit")
    server.faults.clear()
    with Path(people).open("a") as file:
        file.write("late@example.com,Bob\n")
    with pytest.raises(AirflowFailException, match="The source of the upload changed between two tries"):
        worker.run("submit")
    assert server.ledger.records.accepted() == NAMES[:2]
    assert server.ledger.count("start") == 0


def test_a_source_that_changes_between_two_parts_is_not_sent_as_a_mixture(
    server: FakeJobServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, large = server.ledger.records.add, "x" * 1_500_000  # more than is read ahead
    path = tmp_path / "people.jsonl"
    path.write_text("".join(json.dumps({**person, "note": large}) + "\n" for person in PEOPLE))

    def changed(*given: Any) -> None:
        path.write_text(path.read_text().replace("Ann", "Eve"))
        taken(*given)

    monkeypatch.setattr(server.ledger.records, "add", changed)
    with pytest.raises(AirflowFailException, match=r"changed in mid-upload: part [23] of 3"):
        submit(str(path)).run("submit")
    assert server.ledger.records.accepted() in (NAMES[:2], NAMES[:4])
    assert server.ledger.count("start") == 0


class TestRefused:
    """Records that the answers to an upload refuse: kept beside the destination until the download."""

    def job(self, **plan: Any) -> dict[str, Any]:
        create, send, start = JOB["submit"]["steps"]
        create = {
            **create,
            "request": {**create["request"], "json": {"refuse": {NAMES[3]: "no such person"}}},
        }
        rejects = {"records": "errors", "key": "email", "index": "row", "reason": "message"}
        steps = [create, {**send, "rejects": rejects}, start]
        return {**JOB, "submit": {**JOB["submit"], "steps": steps}}

    def test_they_are_written_beside_the_destination_and_merged(
        self, server: FakeJobServer, people: str, tmp_path: Path
    ) -> None:
        with DAG("d") as dag:
            async_job(
                job=self.job(),
                http_conn_id="shop",
                group_id="job",
                inputs={"contacts": people},
                destination=f"{tmp_path}/{{{{ inputs.contacts[-10:-4] }}}}.import",
            )
        worker = Worker(dag)
        worker.run("job.submit")
        parts = tmp_path / "people.import.rejects.parts"
        assert [file.name for file in parts.iterdir()] == ["00002.jsonl"]
        (line,) = map(json.loads, (parts / "00002.jsonl").read_text().splitlines())
        assert (line["key"], line["number"], line["reason"]) == ({"email": NAMES[3]}, 4, "no such person")
        worker.run("job.wait")
        manifest = worker.run("job.fetch")
        assert manifest["rejects"]["by_stage"] == {"local": 0, "upload": 1, "job": 0}
        (line,) = map(json.loads, (tmp_path / "people.import.rejects.jsonl").read_text().splitlines())
        assert line["record"] == {"email": NAMES[3], "name": "Ann"}
        assert not parts.exists()

    def test_a_submission_that_begins_anew_forgets_what_another_was_told(
        self, server: FakeJobServer, people: str, tmp_path: Path
    ) -> None:
        parts = tmp_path / "x.rejects.parts"
        parts.mkdir()
        (parts / "00009.jsonl").write_text("{}")
        server.faults.add("upload", "answer", nth=3, code=503, times=20)
        worker = submit(people, {**self.job(), "limits": {"retries": 0}}, rejects=f"{tmp_path}/x.csv")
        with pytest.raises(UncertainError):
            worker.run("submit")
        assert [file.name for file in parts.iterdir()] == ["00002.jsonl"]
        server.faults.clear()
        assert worker.run("submit") == "job-1"
        assert [file.name for file in parts.iterdir()] == ["00002.jsonl"]

    def test_a_place_is_needed_and_only_then(self, people: str, tmp_path: Path) -> None:
        with pytest.raises(DefinitionError, match="nothing says where they are kept: give rejects"):
            submit(people, self.job())
        with pytest.raises(
            DefinitionError, match="rejects would be ignored: no step of the submit of import"
        ):
            submit(people, rejects="/tmp/x.csv")
        with DAG("d"), pytest.raises(DefinitionError, match="before there is a submission_id"):
            async_job(
                job=self.job(),
                http_conn_id="shop",
                inputs={"contacts": people},
                destination="/x/{{ submission_id }}.csv",
            )


class TestPlan:
    """The planner: descriptions of pieces, never a record."""

    def plan(self, job: dict[str, Any] = JOB, **arguments: Any) -> Worker:
        with DAG("d") as dag:
            UploadPlanOperator(task_id="plan", job=job, **arguments)
        return Worker(dag)

    def test_each_piece_is_one_job_and_together_they_send_everything(
        self, server: FakeJobServer, tmp_path: Path
    ) -> None:
        names = [f"p{number}@example.com" for number in range(14)]
        path = tmp_path / "people.csv"
        path.write_text("email,name\n" + "".join(f"{name},Ann\n" for name in names))
        pieces = self.plan(inputs={"contacts": str(path), "plan": {"part_records": 2}}).run("plan")
        assert [piece["contacts"]["records"] for piece in pieces] == [6, 6, 2]
        assert "example.com" not in json.dumps(pieces)
        for number, piece in enumerate(pieces, 1):
            assert piece["plan"] == {"part_records": 2}
            with DAG("d") as dag:
                AsyncSubmitOperator(task_id="submit", job=JOB, http_conn_id="shop", inputs=piece)
            assert Worker(dag).run("submit") == f"job-{number}"
        assert server.ledger.records.accepted() == names

    def test_a_file_that_changed_since_the_plan_is_not_sent(self, server: FakeJobServer, people: str) -> None:
        (piece,) = self.plan(inputs={"contacts": people}).run("plan")
        Path(people).write_text(Path(people).read_text().replace("Ann", "Eve"))
        with pytest.raises(AirflowFailException, match="is not what it was when its pieces were planned"):
            submit(piece["contacts"]).run("submit")
        assert server.ledger.count() == 0

    def test_what_one_job_does_not_take_points_to_the_planner(
        self, server: FakeJobServer, people: str
    ) -> None:
        upload = {**JOB["submit"]["upload"], "job_records": 3}
        with pytest.raises(AirflowFailException, match=r"it takes 2 jobs\. .*UploadPlanOperator"):
            submit(people, {**JOB, "submit": {**JOB["submit"], "upload": upload}}).run("submit")
        assert server.ledger.count() == 0

    def test_a_list_cannot_be_planned(self) -> None:
        with pytest.raises(AirflowFailException, match="A list of records is not planned"):
            self.plan(inputs={"contacts": PEOPLE}).run("plan")

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ({"job": {**JOB, "submit": {"request": {"url": "/x"}, "id": "id"}}}, "import uploads nothing"),
            ({"source_input": "contact"}, "source_input 'contact': import takes its records from"),
            ({"inputs": {"contact": "x"}}, "inputs.contact: unknown input"),
        ],
    )
    def test_what_is_wrong_is_told_when_the_dag_is_parsed(self, arguments: Any, says: str) -> None:
        with pytest.raises((DefinitionError, InputError), match=says):
            self.plan(**{"inputs": {"contacts": "x.csv"}, **arguments})

    def test_the_input_that_a_piece_replaces_may_have_to_be_named(self, people: str) -> None:
        upload = {**JOB["submit"]["upload"], "source": "{{ inputs.contacts or inputs.plan }}"}
        job = {**JOB, "submit": {**JOB["submit"], "upload": upload}}
        with pytest.raises(DefinitionError, match="which is not one input: give source_input"):
            self.plan(job, inputs={"contacts": people})
        (piece,) = self.plan(job, inputs={"contacts": people}, source_input="contacts").run("plan")
        assert piece["contacts"]["source"] == people
