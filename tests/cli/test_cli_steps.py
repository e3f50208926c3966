"""asyncjob run with a submit by steps, against servers of two origins."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.command import Asyncjob
from tests.cli.imports_api import DEFINITION, Imports, running_imports


@pytest.fixture
def imports() -> Iterator[tuple[Imports, str]]:
    with running_imports() as running:
        yield running


CONNECTION = json.dumps({"host": "HOST", "login": "ann", "password": "open-sesame"})


def run(asyncjob: Asyncjob, url: str, *more: str) -> Any:
    path = asyncjob.write(DEFINITION)
    given = ("--set", 'parts=["one", "two"]', "--output", "json", *more)
    return asyncjob("run", path, *given, connection=CONNECTION.replace("HOST", url))


def test_a_job_is_created_uploaded_and_started(asyncjob: Asyncjob, imports: tuple[Imports, str]) -> None:
    api, url = imports
    ran = run(asyncjob, url, "--trace", "trace.json")
    assert ran.code == 0, ran.stderr
    assert ran.last["submission_id"] == "7"
    assert api.lines == [
        "POST /imports",
        "PUT /bucket/7",
        "PUT /bucket/7",
        "POST /imports/7/start",
        "GET /imports/7",
    ]
    assert [asked.body for asked in api.asked[1:3]] == [b"one", b"two"]
    assert json.loads(api.asked[3].body) == {"tags": ["tag-one", "tag-two"]}
    key = api.asked[0].headers["idempotency-key"]
    assert api.asked[3].headers["idempotency-key"] == f"{key}-start"
    for line in ("create: POST ", "upload 1 of 2: PUT ", "upload 2 of 2: PUT ", "start: POST "):
        assert line in ran.stderr
    exchanges = json.loads((asyncjob.folder / "trace.json").read_text())["exchanges"]
    assert [exchange["step"] for exchange in exchanges] == [
        "create",
        "upload 1 of 2",
        "upload 2 of 2",
        "start",
        "",
    ]


def test_the_credentials_stay_at_home(asyncjob: Asyncjob, imports: tuple[Imports, str]) -> None:
    api, url = imports
    ran = run(asyncjob, url)
    assert ran.code == 0, ran.stderr
    home = int(url.rpartition(":")[2])
    assert [asked.port == home for asked in api.asked] == [True, False, False, True, True]
    assert ["authorization" in asked.headers for asked in api.asked] == [True, False, False, True, True]
    assert "abcdef0123456789" not in ran.stderr + ran.stdout


def test_a_step_that_is_refused_says_which(asyncjob: Asyncjob, imports: tuple[Imports, str]) -> None:
    api, url = imports
    api.answers = {"POST /imports/7/start": 403}
    ran = run(asyncjob, url)
    assert ran.code == 1
    assert (
        "The API does not allow this with the credentials of the connection, for the step 'start' of the"
        in (ran.last["message"])
    )
    assert "What was done before (create, upload) is left at the API." in ran.stderr


def test_a_signal_between_the_steps_says_what_is_done(
    asyncjob: Asyncjob, imports: tuple[Imports, str]
) -> None:
    api, url = imports
    asked, signalled = threading.Event(), threading.Event()

    def meanwhile(line: str) -> None:
        if line.startswith("PUT "):
            asked.set()
            assert signalled.wait(30)

    api.meanwhile = meanwhile
    given = ("--set", 'parts=["one", "two"]', "--output", "json", "--base-url", url)
    process = asyncjob.start("run", asyncjob.write(DEFINITION), *given)
    assert asked.wait(30)
    process.send_signal(signal.SIGINT)
    signalled.set()
    ran = asyncjob.end(process)
    assert ran.code == 130, ran.stderr
    assert api.lines == ["POST /imports", "PUT /bucket/7"], "the answer that was on its way is read, no more"
    assert ran.last["message"] == (
        "Stopped between the steps of the submit: done are create, 1 item of upload. What they made is left "
        "at the API; without the ID of a submission it cannot be cancelled from here: look for it there."
    )


def test_a_file_is_sent_from_where_the_command_runs(asyncjob: Asyncjob, imports: tuple[Imports, str]) -> None:
    api, url = imports
    (asyncjob.folder / "rows.csv").write_bytes(b"a,b")
    submit = {
        "request": {
            "url": "/imports",
            "multipart": {"kind": "orders", "rows": {"file": "{{ inputs.parts[0] }}"}},
        },
        "id": "id",
    }
    path = asyncjob.write({**DEFINITION, "submit": submit})
    given = ("--set", 'parts=["rows.csv"]', "--base-url", url, "--output", "json", "--trace", "trace.json")
    ran = asyncjob("run", path, *given)
    assert ran.code == 0, ran.stderr
    assert b'name="rows"; filename="rows.csv"\r\nContent-Type: text/csv\r\n\r\na,b\r\n' in api.asked[0].body
    exchange = json.loads((asyncjob.folder / "trace.json").read_text())["exchanges"][0]
    assert exchange["request_shape"] == {"kind": "string of 6", "rows": "text/csv of 3 bytes"}
    (asyncjob.folder / "rows.csv").unlink()
    ran = asyncjob("run", path, *given)
    assert ran.code == 1
    assert "The file rows.csv cannot be read: No such file or directory." in ran.last["message"]
    assert len(api.asked) == 2
