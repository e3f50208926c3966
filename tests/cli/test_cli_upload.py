"""asyncjob run with records to upload: from a file or JSON, part by part, and what it says when it cannot."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_asyncjob.testing import FakeJobServer
from tests.cli.command import DEFINITION, Asyncjob, Ran

UPLOAD: dict[str, Any] = {
    "source": "{{ inputs.contacts }}",
    "key": "email",
    "required": ["email"],
    "part_bytes": 300,
    "part_records": 4,
}
STEPS: list[dict[str, Any]] = [
    {
        "name": "create",
        "request": {"url": "/imports", "json": "{{ inputs.plan }}"},
        "capture": {"id": "id"},
    },
    {
        "name": "send",
        "each": "{{ parts }}",
        "request": {
            "method": "PUT",
            "url": "/imports/{{ captures.id }}/data/{{ part.number }}",
            "part": True,
        },
    },
    {"name": "start", "request": {"url": "/imports/{{ captures.id }}/start"}},
]
IMPORT: dict[str, Any] = {
    **DEFINITION,
    "inputs": {**DEFINITION["inputs"], "contacts": {"type": "records"}},
    "submit": {"upload": UPLOAD, "steps": STEPS, "id": "id"},
    "errors": {"submit": [{"when": "code == 599", "then": "retry", "wait": 0.1}]},
}
PEOPLE = [{"email": f"p{number}@example.com", "name": f"Person {number}"} for number in range(10)]


@pytest.fixture
def imports(asyncjob: Asyncjob, server: FakeJobServer) -> Any:
    def run(contacts: str, *more: str, plan: dict[str, Any] | None = None, **upload: Any) -> Ran:
        submit = {**IMPORT["submit"], "upload": {**UPLOAD, **upload}}
        name = asyncjob.write({**IMPORT, "submit": submit})
        given = ("--set", f"contacts={contacts}", "--set", f"plan={json.dumps(plan or {})}")
        return asyncjob("run", name, "--base-url", server.url, *given, *more)

    return run


def accepted(server: FakeJobServer) -> list[str]:
    return server.ledger.records.accepted()


def test_a_file_goes_up_in_parts_under_the_limits(
    imports: Any, asyncjob: Asyncjob, server: FakeJobServer
) -> None:
    lines = ["email,name", *(f"{person['email']},{person['name']}" for person in PEOPLE), ",Nobody"]
    (asyncjob.folder / "people.csv").write_text("\n".join(lines))
    ran = imports("people.csv", plan={"part_bytes": 300, "part_records": 4})
    assert ran.code == 0, ran.stderr
    assert accepted(server) == [person["email"] for person in PEOPLE]
    sizes = [entry.size for entry in server.ledger.entries("upload")]
    assert len(sizes) == 3
    assert max(sizes) <= 300
    assert f"Upload: 10 records in 3 parts, {sum(sizes)} bytes, 1 more cannot be sent" in ran.stderr
    assert "send 2 of 3: PUT " in ran.stderr
    assert "p4@example.com" not in ran.stderr


@pytest.mark.parametrize("at", [False, True])
def test_records_may_be_json_or_a_file_with_json(
    imports: Any, asyncjob: Asyncjob, server: FakeJobServer, at: bool
) -> None:
    (asyncjob.folder / "people.txt").write_text(json.dumps(PEOPLE))
    ran = imports("@people.txt" if at else json.dumps(PEOPLE))
    assert ran.code == 0, ran.stderr
    assert accepted(server) == [person["email"] for person in PEOPLE]


def test_a_part_that_was_lost_is_sent_again_and_taken_once(imports: Any, server: FakeJobServer) -> None:
    server.faults.add("upload", "lost", nth=2)
    ran = imports(json.dumps(PEOPLE))
    assert ran.code == 0, ran.stderr
    assert accepted(server) == [person["email"] for person in PEOPLE]
    assert server.ledger.count("upload") == 4


def test_a_part_that_is_refused_in_the_middle_is_named(imports: Any, server: FakeJobServer) -> None:
    server.faults.add("upload", "answer", nth=2, code=422, body=b'{"error": "row 2 is bad"}')
    ran = imports(json.dumps(PEOPLE))
    assert ran.code == 1
    assert "The API refused the step 'send 2 of 3' of the submit (records 5 to 8): PUT " in ran.stderr
    assert 'answered 422: {"error": "row 2 is bad"}' in ran.stderr
    assert "1 part was acknowledged before it (the records up to 4)." in ran.stderr
    assert accepted(server) == [person["email"] for person in PEOPLE[:4]]
    assert server.ledger.count("start") == 0


@pytest.mark.parametrize(
    ("contacts", "upload", "says"),
    [
        ("nowhere.csv", {}, "nowhere.csv cannot be read: No such file or directory"),
        ("@nowhere.json", {}, "contacts=@nowhere.json: the file nowhere.json cannot be read: No such file"),
        ("[]", {}, "is empty: there are no records to send. Nothing was sent."),
        ('[{"name": "Nobody"}]', {}, "has no record that can be sent; of 1 the first is record 1"),
        (json.dumps(PEOPLE), {"job_records": 4}, "takes no more than job_records 4: it takes 3 jobs"),
        (json.dumps(PEOPLE), {"part_bytes": 2}, "no record fits. Nothing was sent. Raise part_bytes"),
        ('[{"email": ""}]', {"on_invalid": "fail"}, "record 1 (email ''): "),
    ],
)
def test_what_cannot_be_sent_is_told_before_the_api_hears_of_it(
    imports: Any, server: FakeJobServer, contacts: str, upload: dict[str, Any], says: str
) -> None:
    ran = imports(contacts, **upload)
    assert ran.code in (1, 2)
    assert says in ran.stderr.replace("\n", " ")
    assert server.ledger.count() == 0


class TestSeveralJobs:
    """A file that is more than one job takes."""

    @pytest.fixture
    def contacts(self, asyncjob: Asyncjob) -> str:
        lines = ["email,name", *(f"{person['email']},{person['name']}" for person in PEOPLE)]
        (asyncjob.folder / "people.csv").write_text("\n".join(lines))
        return "people.csv"

    def test_goes_up_in_pieces_one_job_after_the_other(
        self, imports: Any, asyncjob: Asyncjob, server: FakeJobServer, contacts: str
    ) -> None:
        plan = {"job": {"rows": 2}}
        ran = imports(contacts, "--destination", "out.csv", "--output", "json", plan=plan, job_records=6)
        assert ran.code == 0, ran.stderr
        assert accepted(server) == [person["email"] for person in PEOPLE]
        assert "asyncjob: job 1 of 2\n" in ran.stderr
        assert [one["submission_id"] for one in ran.last["jobs"]] == ["job-1", "job-2"]
        assert (ran.last["state"], ran.last["not_submitted"]) == ("done", 0)
        assert sorted(path.name for path in asyncjob.folder.glob("out*")) == ["out.1.csv", "out.2.csv"]

    def test_stops_at_the_first_job_that_does_not_end_well(
        self, imports: Any, server: FakeJobServer, contacts: str
    ) -> None:
        ran = imports(contacts, plan={"job": {"ends": "failed"}}, job_records=4)
        assert ran.code == 4
        assert "2 jobs of 3 not submitted, since this one did not end well" in ran.stderr
        assert server.ledger.accepted() == 1

    def test_does_not_fit_on_stdout(self, imports: Any, server: FakeJobServer, contacts: str) -> None:
        ran = imports(contacts, "--destination", "-", job_records=4)
        assert ran.code == 2
        assert "--destination -: the upload takes several jobs, and stdout the result of one" in ran.stderr
        assert server.ledger.count() == 0
