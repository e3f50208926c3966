"""No secret in stdout, stderr or the trace of asyncjob."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_asyncjob.testing import FakeJobServer
from tests.cli.command import DEFINITION, Asyncjob

SECRET = "open-sesame-4711"


def connection(**fields: Any) -> str:
    return json.dumps({"host": "https://elsewhere.example.com", "password": SECRET, **fields})


@pytest.mark.parametrize(
    ("auth", "fields", "section"),
    [
        ("basic", {"login": "user"}, None),
        ("bearer", {}, {"type": "bearer"}),
        ("api_key", {}, {"type": "api_key", "header": "X-API-Key"}),
        ("api_key", {}, {"type": "api_key", "query": "api_key"}),
    ],
)
@pytest.mark.parametrize("broken", [False, True])
def test_credentials_reach_the_api_and_nothing_else(
    asyncjob: Asyncjob, auth: Any, fields: dict[str, str], section: dict[str, str] | None, broken: bool
) -> None:
    credential = f"user:{SECRET}" if auth == "basic" else SECRET
    with FakeJobServer("generic", auth=auth, credential=credential) as server:
        if broken:
            server.faults.add("poll", 401, body=f'{{"error": "{SECRET} is not welcome"}}', times=None)
        ran = asyncjob.run(
            server, "--destination", "out.jsonl", "--trace", "trace.json",
            connection=connection(**fields), auth=section,
        )  # fmt: skip
        assert ran.code == (1 if broken else 0), ran.stderr
        trace = (asyncjob.folder / "trace.json").read_text()
        for text in (ran.stdout, ran.stderr, trace):
            assert SECRET not in text
        purposes = [exchange["purpose"] for exchange in json.loads(trace)["exchanges"]]
        assert purposes[0] == "submit"
        assert purposes[-1] == ("poll" if broken else "delete")
        assert len(purposes) == server.ledger.count()


def test_wrong_credentials_stop_at_the_first_answer(asyncjob: Asyncjob) -> None:
    with FakeJobServer("generic", auth="bearer", credential="right") as server:
        ran = asyncjob.run(server, connection=connection(), auth={"type": "bearer"})
        assert ran.code == 1
        assert ran.last["error"] == "RefusedError"
        assert "401" in ran.last["message"]
        assert SECRET not in ran.stdout + ran.stderr
        assert server.ledger.count() == 1


def test_a_uri_works_like_json(asyncjob: Asyncjob) -> None:
    with FakeJobServer("generic", auth="basic", credential=f"user:{SECRET}") as server:
        host = server.url.removeprefix("http://")
        job = asyncjob.define()
        ran = asyncjob("run", job, "--output", "json", connection=f"http://user:{SECRET}@{host}")
        assert ran.code == 0, ran.stderr
        assert ran.last["state"] == "done"


def test_a_trace_is_written_of_a_run_that_fails(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    server.faults.add("submit", 404, times=None)
    assert asyncjob.run(server, "--trace", "trace.json").code == 1
    (exchange,) = json.loads((asyncjob.folder / "trace.json").read_text())["exchanges"]
    assert (exchange["purpose"], exchange["code"]) == ("submit", 404)


def test_no_secret_goes_to_another_origin(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    with FakeJobServer("generic") as other:
        status = {**DEFINITION["status"], "request": {"url": f"{other.url}/jobs/{{{{ submission_id }}}}"}}
        other.faults.add("poll", "answer", code=200, body='{"status": "succeeded", "urls": []}', times=None)
        ran = asyncjob.run(server, status=status, connection=connection(login="user"))
        assert ran.code == 0, ran.stderr
        assert "authorization" in server.ledger.entries("submit")[0].headers
        assert "authorization" not in other.ledger.entries("poll")[0].headers


def test_what_the_api_repeats_of_a_secret_is_hidden(asyncjob: Asyncjob, server: FakeJobServer) -> None:
    plan = {"ends": "failed", "message": f"the key {SECRET} may not export", "words": {"failed": "failed"}}
    ran = asyncjob.run(server, plan=plan, connection=connection(login="user"))
    assert ran.code == 4
    assert ran.last["message"] == "the job job-1 ended as failed: the key *** may not export"
    assert SECRET not in ran.stdout + ran.stderr


def test_a_request_takes_the_credentials_of_another_connection_from_the_environment(
    asyncjob: Asyncjob, server: FakeJobServer
) -> None:
    with FakeJobServer("generic", auth="bearer", credential="store-secret") as store:
        auth = {"connection": "my-store", "type": "bearer"}
        status = {
            **DEFINITION["status"],
            "request": {"url": f"{store.url}/jobs/{{{{ submission_id }}}}", "auth": auth},
        }
        store.faults.add("poll", "answer", code=200, body='{"status": "succeeded", "urls": []}', times=None)
        asyncjob.environment["ASYNCJOB_CONN_MY_STORE"] = json.dumps(
            {"host": store.url, "password": "store-secret"}
        )
        own = connection(login="user")
        ran = asyncjob.run(server, "--trace", "trace.json", status=status, connection=own)
        assert ran.code == 0, ran.stderr
        assert store.ledger.entries("poll")[0].headers["authorization"] == "Bearer store-secret"
        trace = (asyncjob.folder / "trace.json").read_text()
        assert "store-secret" not in ran.stdout + ran.stderr + trace

        del asyncjob.environment["ASYNCJOB_CONN_MY_STORE"]
        known = server.ledger.count()
        ran = asyncjob.run(server, status=status, connection=own)
        assert ran.code == 2
        assert ran.last["error"] == "ConnectionSetupError"
        assert "ASYNCJOB_CONN_MY_STORE" in ran.last["message"]
        assert server.ledger.count() == known


def test_a_connection_for_the_download_is_missed_before_the_submit_where_there_is_a_download(
    asyncjob: Asyncjob, server: FakeJobServer
) -> None:
    auth = {"connection": "my-store", "type": "bearer"}
    result = {"target": "urls", "format": "csv", "request": {"url": "{{ download_target }}", "auth": auth}}
    ran = asyncjob.run(server, "--destination", "out.jsonl", result=result)
    assert ran.code == 2
    assert "ASYNCJOB_CONN_MY_STORE" in ran.last["message"]
    assert server.ledger.count() == 0
    assert asyncjob.run(server, result=result).code == 0
