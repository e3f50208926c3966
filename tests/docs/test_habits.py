"""Every example of "Your API's habit" is run, against a server that has this habit."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from airflow_asyncjob.cli.run import RunOptions, run_job
from tests.docs.pages import ROOT
from tests.servers.scripted import Reply, Scripted, running, turns

PAGE = ROOT / "docs" / "how-to" / "your-apis-habit.md"
ROWS = [{"n": 1}, {"n": 2}]
BASE: dict[str, Any] = {
    "submit": {"request": {"url": "/jobs"}, "id": "id"},
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {"running": "running", "done": "done", "failed": "failed"},
    },
    "result": {"target": "url", "format": "json"},
}
"""What an example leaves out."""
PLAIN: dict[str, Any] = {
    "POST /jobs": {"id": "7"},
    "GET /jobs/7": turns({"status": "running"}, {"status": "done", "url": "/files/7"}),
    "GET /files/7": ROWS,
}
"""An API without a habit."""


@dataclass(frozen=True)
class Habit:
    """What the server does, and what must come of it.

    :param routes: laid over those of an API without a habit.
    :param inputs: as of ``--set``; FOLDER is where the files lie.
    :param environment: variables; ELSEWHERE is the server of another origin.
    :param files: files of the user, by name.
    :param says: what the last line of the output says, as a regular expression; empty: not looked at.
    """

    routes: Mapping[str, Any] = field(default_factory=dict)
    rows: list[Any] | None = field(default_factory=lambda: ROWS)
    exit_code: int = 0
    says: str = ""
    inputs: tuple[str, ...] = ()
    check: Callable[[Scripted], None] = lambda script: None
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def examples() -> dict[str, dict[str, Any]]:
    """Return the definition below each heading of the page."""
    found = {}
    for title, text in re.findall(
        r"^### (.+?)$.*?^```yaml\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE
    ):
        found[title] = YAML(typ="safe").load(text)
    return found


XML = "<R xmlns='urn:feeds'>{}</R>"


def elements(text: str, *names: str) -> str:
    for name in reversed(names):
        text = f"<{name}>{text}</{name}>"
    return text


def zipped(files: Mapping[str, str]) -> bytes:
    with io.BytesIO() as whole:
        with zipfile.ZipFile(whole, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return whole.getvalue()


def chosen(asked: Any) -> Any:
    return {"status": "done", "url": "/files/7"}


def same_key(script: Scripted) -> None:
    first, second = script.of("POST /jobs")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


def asks_for_fresh_answers(script: Scripted) -> None:
    assert {poll.headers["cache-control"] for poll in script.of("GET /jobs/7")} == {"no-store"}


def uploaded_in_order(script: Scripted) -> None:
    assert [part.json for part in script.of("PUT /jobs/7/parts")] == [[{"n": 1}], [{"n": 2}]]
    (start,) = script.of("POST /jobs/7/start")
    assert start.json == {"tags": ["a", "b"]}


def uploaded_elsewhere(script: Scripted) -> None:
    (upload,) = OTHER[0].of("PUT /bucket/f1")
    assert upload.json == [{"n": 1}]
    assert upload.headers["x-upload"] == "one-time"
    assert "authorization" not in upload.headers
    assert script.of("POST /jobs")[0].json == {"file": "f1"}


def sent_as_a_form(script: Scripted) -> None:
    (asked,) = script.of("POST /jobs")
    assert asked.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="kind"\r\n\r\norders' in asked.body
    assert b'name="rows"; filename="rows.csv"\r\nContent-Type: text/csv\r\n\r\nn\n1\n' in asked.body


def wps(inside: str, after: str = "") -> str:
    return (
        "<wps:ExecuteResponse xmlns:wps='urn:wps' xmlns:xlink='urn:xlink'>"
        f"<wps:Status><wps:{inside}>x</wps:{inside}></wps:Status>{after}</wps:ExecuteResponse>"
    )


OUTPUTS = elements("<wps:Reference xlink:href='BASE/files/7'/>", "wps:ProcessOutputs", "wps:Output")

HABITS: dict[str, Habit] = {
    "The ID is in the Location header": Habit(
        {"POST /jobs": Reply(201, "null", {"location": "BASE/jobs/7?f=json"})}
    ),
    "The ID is a number": Habit(
        {
            "POST /tasks": Reply(202, {"ID": 7, "State": 0}),
            "GET /tasks/7": turns({"State": 1}, {"State": 2, "url": "/files/7"}),
        }
    ),
    "The ID is the whole body": Habit({"POST /jobs": "7\n"}),
    "The ID is deep in XML": Habit(
        {
            r"POST /\?Action=SubmitFeed": elements(
                "7", "SubmitFeedResponse", "SubmitFeedResult", "FeedSubmissionInfo", "FeedSubmissionId"
            ).replace("<SubmitFeedResponse>", "<SubmitFeedResponse xmlns='urn:feeds'>"),
            r"GET /\?Action=GetFeedSubmissionList&Id=7": turns(
                *(
                    "<GetFeedSubmissionListResponse><GetFeedSubmissionListResult><FeedSubmissionInfo>"
                    f"<FeedProcessingStatus>{word}</FeedProcessingStatus></FeedSubmissionInfo>"
                    "</GetFeedSubmissionListResult></GetFeedSubmissionListResponse>"
                    for word in ("_IN_PROGRESS_", "_DONE_")
                )
            ),
            r"GET /\?Action=GetFeedSubmissionResult&Id=7": ROWS,
        },
        check=lambda script: _equal(script.asked[0].body, b"<Feed><Sku>A&amp;B</Sku></Feed>"),
    ),
    "The client chooses the ID": Habit(
        {"PUT /jobs/[0-9a-f-]{36}": Reply(204), "GET /jobs/[0-9a-f-]{36}": chosen},
        check=lambda script: _equal(script.asked[0].path, script.asked[1].path),
    ),
    "A key in a header makes a repeat harmless": Habit(
        {"POST /jobs": turns(Reply(500, "lost"), {"id": "7"})}, check=same_key
    ),
    "A job is created first, and started by a second request": Habit(
        {"PUT /jobs/7/start": Reply(202)},
        check=lambda script: _equal(list(map(str, script.asked[:2])), ["POST /jobs", "PUT /jobs/7/start"]),
    ),
    "Data is uploaded between create and start": Habit(
        {
            "PUT /jobs/7/parts": turns(Reply(200, "", {"etag": "a"}), Reply(200, "", {"etag": "b"})),
            "POST /jobs/7/start": Reply(202),
        },
        check=uploaded_in_order,
    ),
    "An answer names where to upload, and with which headers": Habit(
        {
            "POST /uploads": lambda asked: {
                "id": "f1",
                "upload": {"url": f"{OTHER[0].base}/bucket/f1", "headers": {"token": "one-time"}},
            }
        },
        check=uploaded_elsewhere,
        environment={"ASYNCJOB_CONN": '{"login": "me", "password": "secret-password"}'},
    ),
    "The data are a file": Habit(
        inputs=("path=FOLDER/rows.csv",),
        files={"rows.csv": "n\n1\n"},
        check=lambda script: _equal(
            [(asked.body, asked.headers["content-type"]) for asked in script.of("POST /jobs")],
            [(b"n\n1\n", "text/csv")],
        ),
    ),
    "The data are a file in a form": Habit(
        inputs=("path=FOLDER/rows.csv",), files={"rows.csv": "n\n1\n"}, check=sent_as_a_form
    ),
    "An error is a 200": Habit({"POST /jobs": {"error": {"text": "no such list"}}}, None, 1, "no such list"),
    "A busy API answers 200, and means later": Habit(
        {"POST /jobs": turns({"code": "BUSY"}, {"code": "OK", "id": "7"})},
        check=lambda script: _equal(len(script.of("POST /jobs")), 2),
    ),
    "A job that runs already is a 409": Habit({"POST /jobs": Reply(409, {"existing": {"id": "7"}})}),
    "There is nothing to do, and the submit says so": Habit({"POST /jobs": Reply(204)}, None, 0),
    "The answer to the submit may already say done": Habit(
        {"POST /jobs": {"id": "7", "status": "done", "url": "/files/7"}},
        check=lambda script: _equal(len(script.asked), 2),
    ),
    "The submit does it all at once": Habit(
        {"POST /jobs": {"id": "7", "status": "failed"}}, None, 4, "'failed'"
    ),
    "A job may stand in a queue for ever": Habit(
        {"GET /jobs/7": {"status": "queued"}, "DELETE /jobs/7": Reply(204)},
        None,
        5,
        "queue",
        check=lambda script: _equal(str(script.asked[-1]), "DELETE /jobs/7"),
    ),
    "Each answer says where to ask next": Habit(
        {
            "POST /jobs": Reply(202, {"id": "7"}, {"Operation-Location": "BASE/operations/a"}),
            "GET /operations/a": {"status": "running", "nextUri": "/operations/b"},
            "GET /operations/b": {"status": "done", "url": "/files/7"},
        }
    ),
    "The poll is a POST": Habit(
        {"POST /job/status": turns({"status": "running"}, {"status": "done", "url": "/files/7"})},
        check=lambda script: _equal(script.of("POST /job/status")[0].json, {"jobid": "7"}),
    ),
    "The poll is JSON-RPC": Habit(
        {
            "POST /rpc": turns(
                {"result": {"state": "RUNNING"}}, {"error": {"code": -32000, "message": "no such job"}}
            )
        },
        None,
        1,
        "no such job",
    ),
    "The status is a header": Habit(
        {
            "GET /jobs/7": turns(
                Reply(200, {}, {"X-Job-State": "working"}),
                Reply(200, {"url": "/files/7"}, {"X-Job-State": "finished"}),
            )
        }
    ),
    "The status is the HTTP code": Habit(
        {"GET /jobs/7": turns(Reply(202), Reply(200, "done")), "GET /jobs/7/result": ROWS}
    ),
    "The status is the whole body": Habit(
        {"GET /jobs/7/state": turns("QUEUED", "RUNNING\n", "DONE\n"), "GET /jobs/7/result": ROWS}
    ),
    "The end is a redirect": Habit(
        {"GET /jobs/7": turns({"status": "working"}, Reply(303, "", {"location": "BASE/files/7"}))}
    ),
    "Why it failed is in a log": Habit(
        {"GET /jobs/7": {"status": "failed"}, "GET /jobs/7/log": "started\ndisk full at row 12\n"},
        None,
        4,
        "disk full at row 12",
    ),
    "The key is absent until the end": Habit(
        {"GET /jobs/7": turns({"id": 7}, {"outcome": ""}, {"outcome": "ok", "url": "/files/7"})}
    ),
    "Booleans say how it ended": Habit(
        {
            "POST /job/status": turns(
                {"finished": False, "success": True},
                {"finished": True, "success": True, "error": "disk full"},
            )
        },
        None,
        4,
        "disk full",
    ),
    "A finished job vanishes": Habit(
        {
            "GET /queue/7": turns({"position": 1}, Reply(404, {"error": "not queued"})),
            "GET /finished/7": ROWS,
        }
    ),
    "The status is one of a list": Habit(
        {
            "GET /jobs": turns(
                *(
                    {"jobs": [{"id": "6", "status": "failed"}, {"id": "7", "status": word}]}
                    for word in ("running", "done")
                )
            ),
            "GET /jobs/7/result": ROWS,
        }
    ),
    "The status is the name of an element": Habit(
        {"GET /wps/7": turns(wps("ProcessStarted"), wps("ProcessSucceeded", OUTPUTS))}
    ),
    "The content type is wrong": Habit(
        {
            "GET /jobs/7": turns(
                Reply(200, {"status": "running"}, {"content-type": "text/html"}),
                Reply(200, {"status": "done", "url": "/files/7"}, {"content-type": "text/plain"}),
            )
        }
    ),
    "The status may come from a cache": Habit(check=asks_for_fresh_answers),
    "The target is a list of files": Habit(
        {
            "GET /jobs/7": {"status": "done", "files": [{"url": "/a"}, {"url": "/b"}]},
            "GET /a": [{"n": 1}],
            "GET /b": [{"n": 2}],
        }
    ),
    "The target is a relative path": Habit({"GET /jobs/7": {"status": "done", "file": "files/7"}}),
    "The target is an ID": Habit(
        {"GET /jobs/7": {"status": "done", "result": {"document_id": "d 1"}}, "GET /documents/d%201": ROWS}
    ),
    "The last status answer holds the records": Habit(
        {"GET /jobs/7": turns({"status": "running"}, {"status": "done", "rows": ROWS})}
    ),
    "The result has an end, and its address too": Habit(
        {
            "GET /jobs/7": turns(
                {"status": "done", "url": "/old", "valid_until": "2020-01-01T00:00:00Z"},
                {"status": "done", "url": "/files/7"},
            ),
            "GET /old": Reply(403, "expired"),
        }
    ),
    "The address of the result is a secret": Habit(
        {
            "GET /jobs/7": turns(
                {"status": "done", "url": "/once?signature=1"}, {"status": "done", "url": "/files/7"}
            )
        }
    ),
    "The target is on another host or port": Habit(
        {"GET /jobs/7": lambda asked: {"status": "done", "url": f"{OTHER[0].base}/elsewhere"}},
        check=lambda script: _equal("authorization" in OTHER[0].asked[-1].headers, False),
        environment={"ASYNCJOB_CONN": '{"login": "me", "password": "secret-password"}'},
    ),
    "The result lies at a fixed address": Habit(
        {"GET /jobs/7": {"status": "done"}, "GET /jobs/7/result": ROWS}
    ),
    "The result is several requests away": Habit(
        {
            "GET /jobs/7": turns({"status": "running"}, {"status": "done"}),
            "GET /jobs/7/outputs": {"outputs": [{"id": "a"}, {"id": "b"}]},
            "POST /outputs/a/link": {"url": "/files/a"},
            "POST /outputs/b/link": {"url": "/files/b"},
            "GET /files/a": [{"n": 1}],
            "GET /files/b": [{"n": 2}],
        }
    ),
    "The result is an object in S3": Habit(
        {
            "GET /jobs/7": {"status": "done", "output_location": "s3://lake/jobs/7 b.json"},
            "GET /lake/jobs/7%20b.json": ROWS,
        }
    ),
    "The pages are linked in the body": Habit(
        {
            "GET /files/7": {"rows": [{"n": 1}], "links": {"next": "/files/7?p=b"}},
            r"GET /files/7\?p=b": {"rows": [{"n": 2}], "links": {"next": None}},
        }
    ),
    "The pages are linked in a header": Habit(
        {
            "GET /files/7": Reply(200, [{"n": 1}], {"link": '</files/7?page=2>; rel="next"'}),
            r"GET /files/7\?page=2": Reply(200, [{"n": 2}], {"link": '</files/7>; rel="prev"'}),
        }
    ),
    "The next page has a cursor": Habit(
        {
            "GET /files/7": {"rows": [{"n": 1}], "next_cursor": "b=="},
            r"GET /files/7\?cursor=b%3D%3D": {"rows": [{"n": 2}], "next_cursor": ""},
        }
    ),
    "The next page has a locator in a header": Habit(
        {
            "GET /files/7": Reply(200, "n\n1\n", {"x-locator": "MTA"}),
            r"GET /files/7\?locator=MTA": Reply(200, "n\n2\n", {"x-locator": "null"}),
        }
    ),
    "The pages have numbers": Habit(
        {
            r"GET /files/7\?page=1": [{"n": 1}],
            r"GET /files/7\?page=2": [{"n": 2}],
            r"GET /files/7\?page=3": [],
        }
    ),
    "The pages begin at an offset": Habit(
        {
            r"GET /files/7\?offset=0&limit=1": [{"n": 1}],
            r"GET /files/7\?offset=1&limit=1": [{"n": 2}],
            r"GET /files/7\?offset=2&limit=1": [],
        }
    ),
    "The records are deep in the document": Habit(
        {"GET /files/7": {"data": {"report": {"rows": [{"number": {"value": 1}}, {"number": {"value": 2}}]}}}}
    ),
    "Lists lie in lists": Habit({"GET /files/7": {"pages": [{"rows": [{"n": 1}]}, {"rows": [{"n": 2}]}]}}),
    "JSON lies in a text of JSON": Habit({"GET /files/7": {"payload": json.dumps(ROWS)}}),
    "The records are XML": Habit(
        {
            "GET /files/7": "<r:Report xmlns:r='urn:r'><r:Orders><r:Order number='1'/>"
            "<r:Order number='2'/></r:Orders></r:Report>"
        }
    ),
    "Names are in CamelCase, and types are not told": Habit(
        {"GET /files/7": "OrderID,ZipCode\n1,00123\n2,12345\n"},
        [{"order_id": 1, "zip_code": "00123"}, {"order_id": 2, "zip_code": "12345"}],
    ),
    "Records come twice": Habit({"GET /files/7": [{"n": 1}, {"n": 1}, {"n": 2}]}),
    "No data is a 404 of the download": Habit(
        {"GET /files/7": Reply(404, {"reason": "empty result"})}, None, 0
    ),
    "An error comes in place of the result": Habit(
        {"GET /files/7": {"error": "try later"}}, None, 1, "JSON came instead.*try later"
    ),
    "The file is TSV": Habit({"GET /files/7": "n\n1\n2\n"}),
    "The CSV is of a spreadsheet's kind": Habit(
        {"GET /files/7": "Report\r\n\r\nn;name\r\n01;M\u00fcller \\; Co\r\n".encode("cp1252")},
        [{"n": "01", "name": "M\u00fcller ; Co"}],
    ),
    "The CSV has no header": Habit({"GET /files/7": "1,one\n"}, [{"n": 1, "name": "one"}]),
    "The file is compressed": Habit(
        {"GET /files/7": gzip.compress(b'{"n": 1}\n') + gzip.compress(b'{"n": 2}\n')}
    ),
    "A ZIP holds several files": Habit(
        {"GET /files/7": zipped({"README.txt": "see data", "data1.csv": "n\n1\n", "data2.csv": "n\n2\n"})}
    ),
    "The credentials are several headers": Habit(
        check=lambda script: _equal(
            {(asked.headers["x-client"], asked.headers["x-secret"]) for asked in script.asked},
            {("me", "secret-password")},
        ),
        environment={"ASYNCJOB_CONN": '{"login": "me", "password": "secret-password"}'},
    ),
    "The key is in the query": Habit(
        {
            r"POST /jobs\?key=k-4711": {"id": "7"},
            r"GET /jobs/7\?key=k-4711": {"status": "done", "url": "/files/7"},
            r"GET /files/7\?key=k-4711": ROWS,
        },
        environment={"ASYNCJOB_CONN": '{"password": "k-4711"}'},
    ),
    "A login gives a token": Habit(
        {"POST /login": {"token": "t-1"}},
        check=lambda script: _equal(
            [(str(asked), asked.headers.get("x-session")) for asked in script.asked[:2]],
            [("POST /login", None), ("POST /jobs", "t-1")],
        ),
        environment={"ASYNCJOB_CONN": '{"login": "me", "password": "a-habit"}'},
    ),
    "The token is one of OAuth 2": Habit(
        {"POST /token": {"access_token": "t-2", "token_type": "bearer", "expires_in": 3600}},
        check=lambda script: _equal(
            [asked.headers["authorization"] for asked in script.asked[1:]], ["Bearer t-2"] * 4
        ),
        environment={"ASYNCJOB_CONN": '{"login": "me", "password": "a-habit"}'},
    ),
    "The download has credentials of its own": Habit(
        {"GET /jobs/7": lambda asked: {"status": "done", "url": f"{OTHER[0].base}/elsewhere"}},
        check=lambda script: _equal(
            OTHER[0].of("GET /elsewhere")[-1].headers["authorization"], "Bearer of-the-store"
        ),
        environment={
            "ASYNCJOB_CONN_STORE": '{"host": "ELSEWHERE", "password": "of-the-store", '
            '"extra": {"auth": {"type": "bearer"}}}'
        },
    ),
    "One request takes no credentials": Habit(
        check=lambda script: _equal(
            ["authorization" in asked.headers for asked in script.asked], [True, True, True, False]
        ),
        environment={"ASYNCJOB_CONN": '{"login": "me", "password": "secret-password"}'},
    ),
    "Only so many requests a second": Habit(),
    "The API should forget the job": Habit(
        {"DELETE /jobs/7": Reply(204)},
        check=lambda script: _equal(str(script.asked[-1]), "DELETE /jobs/7"),
    ),
}
OTHER: list[Scripted] = []
"""The server of another origin."""


def _equal(found: Any, expected: Any) -> None:
    assert found == expected


def test_every_habit_is_run() -> None:
    assert list(examples()) == list(HABITS)


@pytest.fixture(scope="module", autouse=True)
def other_origin() -> Any:
    with running({"GET /elsewhere": ROWS, "PUT /bucket/f1": Reply(200)}) as other:
        OTHER.append(other)
        yield
        OTHER.clear()


@pytest.mark.parametrize("title", examples())
def test_a_habit_is_said_as_the_page_says(
    title: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    habit = HABITS[title]
    definition = tmp_path / "job.yaml"
    definition.write_text(json.dumps(_quick(BASE | examples()[title])))
    destination = tmp_path / "rows.jsonl"
    for name, value in habit.environment.items():
        monkeypatch.setenv(name, value.replace("ELSEWHERE", OTHER[0].base))
    for name, text in habit.files.items():
        (tmp_path / name).write_text(text)
    inputs = tuple(text.replace("FOLDER", str(tmp_path)) for text in habit.inputs)
    with running(PLAIN | dict(habit.routes)) as script:
        code = run_job(RunOptions(str(definition), script.base, inputs, str(destination), as_json=True))
    printed = capsys.readouterr()
    assert code == habit.exit_code, printed.err
    said = json.loads(printed.out.splitlines()[-1])
    assert re.search(habit.says, said["message"]), said
    rows = (
        [json.loads(line) for line in destination.read_text().splitlines()] if destination.exists() else None
    )
    assert rows == habit.rows
    habit.check(script)


def _quick(definition: dict[str, Any]) -> dict[str, Any]:
    """Let the polls of an example follow each other fast, and a mistake end it: the page shows no waits."""
    status = {"poll_wait": 0.01, "poll_error_budget": 0, **definition["status"]}
    return {**definition, "status": status}
