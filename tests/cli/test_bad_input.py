"""What an API or a file can get wrong: one table, each with what is said about it.

Mistakes in definitions have their own table, ``tests/definition/invalid_definitions.yaml``.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.cli.run import RunOptions, run_job
from tests.servers.scripted import Reply, running, turns

ROWS = [{"n": 1}]
STATUS: dict[str, Any] = {
    "request": {"url": "/jobs/{{ submission_id }}"},
    "path": "status",
    "values": {"running": "running", "done": "done", "failed": "failed"},
    "poll_wait": 0.01,
    "poll_error_budget": 0,
}
BASE: dict[str, Any] = {
    "submit": {"request": {"url": "/jobs"}, "id": "id"},
    "status": STATUS,
    "result": {"target": "url", "format": "json"},
    "limits": {"retries": 0},
}
PLAIN: dict[str, Any] = {
    "POST /jobs": {"id": "7"},
    "GET /jobs/7": {"status": "done", "url": "/file"},
    "GET /file": ROWS,
}
HTML = Reply(200, "<!DOCTYPE html><html><body>Sign in</body></html>", {"content-type": "text/html"})
BOMB = """<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><r>&b;</r>"""
EXTERNAL = (
    """<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r><n>&x;</n></r>"""
)
DEEP_XML = "<a>" * 300 + "</a>" * 300


@dataclass(frozen=True)
class Bad:
    """An answer, and what is said about it.

    :param says: regular expressions that the message holds.
    :param over: sections that replace those of the plain definition.
    """

    routes: Mapping[str, Any]
    says: tuple[str, ...]
    over: Mapping[str, Any] = field(default_factory=dict)
    exit_code: int = 1


def result(**fields: Any) -> dict[str, Any]:
    return {"result": {"target": "url", **fields}}


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    with io.BytesIO() as whole:
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return whole.getvalue()


def submit(body: Any, *says: str, **over: Any) -> Bad:
    return Bad({"POST /jobs": body}, says, over)


def poll(body: Any, *says: str, **over: Any) -> Bad:
    return Bad({"GET /jobs/7": body}, says, over)


def file(body: Any, *says: str, **fields: Any) -> Bad:
    return Bad({"GET /file": body}, says, result(**fields) if fields else {})


CSV = {"format": "csv"}
BOMBED = b"a\n" + (b"x" * 1_000_000 + b"\n") * 200
"""Deflate makes a thousandth of it."""
XML_RECORDS = {"format": "xml", "records": "/r/n"}
OAUTH = {"auth": {"type": "oauth2", "token_url": "/token"}}

TABLE: dict[str, Bad] = {
    # The submit.
    "submit: no ID": submit({"job": 7}, "submit.id", "matches nothing", "'job'", "nothing is sent again"),
    "submit: an ID that is null": submit({"id": None}, "submit.id", "is null"),
    "submit: an ID that is empty": submit({"id": "  "}, "empty text"),
    "submit: an ID that is a list": submit({"id": ["7"]}, "expected text or a number", "a list"),
    "submit: an ID that is true": submit({"id": True}, "expected text or a number"),
    "submit: an ID with a line break": submit({"id": "7\r\nX-Evil: 1"}, "control character"),
    "submit: an ID that is a page": submit({"id": "x" * 9000}, "9,000 characters"),
    "submit: HTML": submit(HTML, "HTML instead of JSON", "Sign in"),
    "submit: half of a JSON document": submit('{"id": "7', "is not JSON"),
    "submit: nothing": submit(Reply(202), "the body is empty"),
    "submit: NaN": submit('{"id": NaN}', "NaN is not a JSON value"),
    "submit: a number without end": submit('{"id": 1e999}', "too large for a number"),
    "submit: JSON of 100,000 levels": submit("[" * 100_000, "nested too deeply|is not JSON"),
    "submit: 400": submit(Reply(400, {"detail": "segment unknown"}), "refused the submit", "segment unknown"),
    "submit: 401": submit(Reply(401, "who?"), "credentials", "who\\?"),
    "submit: 403": submit(Reply(403, "no"), "does not allow"),
    "submit: 404": submit(Reply(404, "no such thing"), "Correct the URL or the method"),
    "submit: 405": submit(Reply(405, ""), "Correct the URL or the method"),
    "submit: a redirect to a login": submit(
        Reply(302, "", {"location": "/login"}), "Redirects of a submit are not followed"
    ),
    "submit: 500": submit(Reply(500, "oops"), "not known whether the submit was accepted", "oops"),
    "submit: 429 to the end": submit(Reply(429, "slow down"), "did not work", "429", "Nothing was accepted"),
    "submit: 10 MB of JSON": submit('{"id": "' + "x" * 10_000_000 + '"}', "limits.response_bytes"),
    "submit: an entity bomb": submit(BOMB, "DOCTYPE", "refused"),
    "submit: an external entity": submit(EXTERNAL, "DOCTYPE", "refused"),
    "submit: XML of 300 levels": submit(DEEP_XML, "nested more than 200 elements"),
    "submit: XML that is cut": submit("<r><id>7</id>", "is not XML"),
    "submit: two IDs where one is wanted": submit(
        {"jobs": [{"id": 1}, {"id": 2}]},
        "matches 2 values",
        submit={"request": {"url": "/jobs"}, "id": "jobs[].id"},
    ),
    # The poll.
    "poll: a status that is not mapped": poll({"status": "paused"}, "'paused'", "running: 'running'"),
    "poll: a status of another case": poll({"status": "Done"}, "'Done'", "not mapped"),
    "poll: a status of another type": poll({"status": 1}, "the status 1", "not mapped"),
    "poll: no status": poll({"state": "done"}, "matches nothing", "'state'"),
    "poll: HTML": poll(HTML, "HTML instead of JSON"),
    "poll: nothing": poll(Reply(200), "the body is empty"),
    "poll: 404": poll(Reply(404, "unknown"), "does not know the job"),
    "poll: 410": Bad({"GET /jobs/7": Reply(410, "gone")}, ("is gone at the API",), exit_code=4),
    "poll: 400": poll(Reply(400, "bad ID"), "refused the poll", "bad ID"),
    "poll: a redirect": poll(
        Reply(301, "", {"location": "/elsewhere"}), "redirects of a poll are not followed"
    ),
    "poll: 503 to the end": poll(Reply(503, "down"), "poll_error_budget", "down", "may be well"),
    "poll: a 10 MB error page": poll(Reply(502, "<html>" + "x" * 10_000_000), "502", "poll_error_budget"),
    "poll: done, without a target": poll({"status": "done"}, "where its result lies cannot be read", "'url'"),
    "poll: done, with a target that is an object": poll(
        {"status": "done", "url": {"href": "/file"}}, "expected text or a number"
    ),
    "poll: a job that vanished": Bad(
        {"GET /jobs/7": turns({"status": "running"}, Reply(404, "unknown"))},
        ("does not know it any more",),
        exit_code=4,
    ),
    # The target.
    "target: a scheme that is not asked": poll({"status": "done", "url": "file:///etc/passwd"}, "file"),
    "target: with credentials in it": poll(
        {"status": "done", "url": "http://u:p@127.0.0.1:1/file"}, "credentials|user"
    ),
    "target: a name that does not exist": poll(
        {"status": "done", "url": "http://no-such-host.invalid/file"}, "no-such-host.invalid"
    ),
    "target: link-local": poll({"status": "done", "url": "http://169.254.169.254/latest"}, "169.254.169.254"),
    "target: an ID without a request": Bad(
        {"GET /jobs/7": {"status": "done", "url": "id7"}}, ("'id7' is no address",), exit_code=2
    ),
    # The download.
    "file: 404": file(Reply(404, "expired"), "refused the download", "expired"),
    "file: 500": file(Reply(500, "oops"), "did not work", "oops"),
    "file: a redirect in a circle": file(Reply(302, "", {"location": "/file"}), "more than 30 redirects"),
    "file: shorter than was said": file(
        Reply(200, "[1", {"content-encoding": "gzip"}), "gzip|decompress|encoding"
    ),
    "file: HTML instead of JSON": file(HTML, "HTML|not JSON"),
    "file: HTML instead of CSV": file(HTML, "HTML", **CSV),
    "file: a JSON error instead of CSV": file({"error": "no rows for you"}, "JSON", "no rows for you", **CSV),
    "file: XML instead of CSV": file("<Error><Code>AccessDenied</Code></Error>", "XML", **CSV),
    "file: JSON that is cut": file('[{"n": 1}, {"n"', "breaks off"),
    "file: JSON with something after it": file("[] []", "after the document there is more"),
    "file: not JSON": file("n=1", "not JSON|not a list"),
    "file: no list at the path": file(
        {"rows": {"x": 1}}, "has no field data", format="json", records="data.rows"
    ),
    "file: a JSON record that is a number": file([1], "not an object", format="json"),
    "file: JSON Lines with a line that is cut": file('{"n": 1}\n{"n":', "line 2|record 1", format="jsonl"),
    "file: CSV with a ragged row": file("a,b\n1,2\n3\n", "record 2 has 1 values", "2 names", **CSV),
    "file: CSV with a column twice": file("a,a\n1,2\n", "more than once", **CSV),
    "file: CSV that ends in a quote": file('a\n"open', "within a quoted value", **CSV),
    "file: CSV in another encoding": file("a\nM\xfcller\n".encode("latin-1"), "UTF-8|encoding", **CSV),
    "file: a value of another type": file(
        "a\nx1\n", "record 1", "'x1' is not of type integer", format="csv", types={"a": "integer"}
    ),
    "file: a column that is not there": file("a\n1\n", "primary_key names b", format="csv", primary_key="b"),
    "file: half of a gzip": file(
        gzip.compress(b"a\n" + b"1\n" * 9999)[:-20], "cut|ends|breaks|truncated", **CSV
    ),
    "file: a gzip with a wrong checksum": file(
        gzip.compress(b"a\n1\n")[:-8] + bytes(8), "checksum|CRC|damaged", **CSV
    ),
    "file: a gzip bomb": file(gzip.compress(BOMBED), "times|decompressed", **CSV),
    "file: a zip of two files": file(
        zipped({"a.csv": "a\n1\n", "b.csv": "a\n2\n"}), "member", "b.csv", **CSV
    ),
    "file: a zip without the member": file(
        zipped({"a.csv": "a\n1\n"}), "x\\*", "a.csv", format="csv", member="x*"
    ),
    "file: a zip that is empty": file(zipped({}), "no file|empty|holds", **CSV),
    "file: a zip bomb": file(zipped({"a.csv": BOMBED}), "times|decompressed", **CSV),
    "file: an XML entity bomb": file(BOMB, "DOCTYPE|document type", **XML_RECORDS),
    "file: an external entity": file(EXTERNAL, "DOCTYPE|document type", **XML_RECORDS),
    "file: XML that is cut": file("<r><n><a>1</a></n><n>", "breaks off|cut|ends", **XML_RECORDS),
    "file: XML with another root": file("<Error>no</Error>", "Error", **XML_RECORDS),
    # Pages.
    "pages: without an end": file(
        {"rows": ROWS, "next": "/file"},
        "again|twice|circle|before",
        format="json",
        records="rows",
        paginate={"next": "next"},
    ),
    "pages: too many": Bad(
        {
            "GET /file": {"rows": ROWS, "next": "/filex"},
            "GET /filex+": lambda asked: {"rows": ROWS, "next": f"{asked.path}x"},
        },
        ("limits.pages",),
        {
            **result(format="json", records="rows", paginate={"next": "next"}),
            "limits": {"retries": 0, "pages": 3},
        },
    ),
    # Credentials.
    "token: HTML": Bad({"POST /token": HTML}, ("HTML|token",), OAUTH),
    "token: 500": Bad({"POST /token": Reply(500, "oops")}, ("500", "token"), OAUTH),
    "token: refused": Bad(
        {"POST /token": Reply(401, {"error": "invalid_client"})}, ("invalid_client",), OAUTH
    ),
    "token: none in the answer": Bad({"POST /token": {"scope": "all"}}, ("access_token|token",), OAUTH),
}


def test_the_table_is_long_enough() -> None:
    assert len(TABLE) >= 60


@pytest.mark.parametrize("title", TABLE)
def test_bad_input_gets_a_named_error(
    title: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = TABLE[title]
    definition = tmp_path / "job.yaml"
    definition.write_text(json.dumps(BASE | dict(bad.over)))
    destination = tmp_path / "rows.jsonl"
    monkeypatch.setenv("ASYNCJOB_CONN", json.dumps({"login": "me", "password": "secret-password"}))
    with running(PLAIN | dict(bad.routes)) as script:
        code = run_job(RunOptions(str(definition), script.base, (), str(destination), as_json=True))
    printed = capsys.readouterr()
    said = json.loads(printed.out.splitlines()[-1])["message"]
    assert code == bad.exit_code, said
    for pattern in bad.says:
        assert re.search(pattern, said), said
    assert len(said) < 3000
    hidden = ("secret-password", base64.b64encode(b"me:secret-password").decode())
    assert not any(secret in printed.out + printed.err for secret in hidden)
    assert list(tmp_path.iterdir()) == [definition], "nothing half-written stays"
