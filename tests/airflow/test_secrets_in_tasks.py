"""Secrets planted wherever a job has room for one, and looked for in all that its tasks leave.

The wire by itself is searched in tests/transport/test_secrets_nowhere.py; here it is what Airflow is given by
the three tasks and the trigger, in jobs that go well and wrong, against a server that answers with what
it was sent. The result file is left out: it is the user's data.
"""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk import DAG

from airflow_asyncjob import async_job
from airflow_asyncjob.operators import waiting
from airflow_asyncjob.testing import FakeJobServer
from tests.airflow.in_process import Worker

SECRETS = {
    "params": {"page_token": "{{ connection.extra.param_token }}"},
    "headers": {"X-Own-Key": "{{ connection.extra.header_secret }}"},
}
JOB: dict[str, Any] = {
    "name": "secrets",
    "inputs": {"control": {}},
    "submit": {
        "request": {
            "method": "POST",
            "url": "/jobs",
            "json": {"tag": "{{ connection.extra.body_secret }}", "message": "{{ inputs.control }}"},
            **SECRETS,
        },
        "id": "id",
    },
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}?sig={{ connection.extra.url_secret }}", **SECRETS},
        "path": "status",
        "values": {"running": ["queued", "running"], "done": ["succeeded"], "failed": ["failed"]},
        "message": "message",
        "poll_wait": 1,
        "poll_error_budget": 1,
        "timeout": "5m",
    },
    "result": {"target": "urls", "format": "csv", "secret": True},
    "cancel": {"method": "DELETE", "url": "/jobs/{{ submission_id }}", **SECRETS},
    "limits": {"retries": 1},
}
WAYS: dict[str, dict[str, Any]] = {
    "well": {},
    "denied": {},
    "silent": {},
    "failed": {},
    "late": {"timeout": 4},
    "strange": {"deferrable": False},
    "refused": {"deferrable": False},
}

PASSWORD = 'pl4nted pass/w"ord&0'
LOGIN_AS_KEY = "planted-login-as-key-1"
EXTRA = {
    "param_token": "planted-param-2",
    "header_secret": "planted-header-3",
    "body_secret": "planted-body-4",
    "url_secret": "planted-url-5",
}
SIGNATURE = "planted-signature-6-0123456789abcdef"
FOREIGN = "planted-foreign-7"
"""A token of the API's own, that no connection holds: an answer names it as one."""
CONTROL = "planted-control-8"
"""No secret: shows that the search finds what is there."""

SPELLINGS = sorted(
    {
        PASSWORD,
        quote(PASSWORD, safe=""),
        json.dumps(PASSWORD)[1:-1],
        base64.b64encode(f"ann:{PASSWORD}".encode()).decode(),
        base64.b64encode(f"{LOGIN_AS_KEY}:".encode()).decode(),
        LOGIN_AS_KEY,
        *EXTRA.values(),
        SIGNATURE,
        FOREIGN,
    }
)


def echo(own: str) -> dict[str, Any]:
    """Return what careless APIs say: all that they were sent.

    :param own: the secret that the login of this connection is.
    """
    return {
        "message": f"no access with {own} and {EXTRA['header_secret']}",
        "access_token": FOREIGN,
        "sent": EXTRA,
        "link": f"https://files.example.com/a?X-Amz-Signature={SIGNATURE}",
    }


def plan_the_answers(way: str, server: FakeJobServer, own: str) -> None:
    """Tell a server how it treats its one job."""
    faults, said = server.faults, json.dumps(echo(own))

    def status(word: str) -> str:
        signed = f"{server.url}/jobs/job-1/result/1?X-Amz-Signature={SIGNATURE}"
        return json.dumps({**echo(own), "status": word, "urls": [signed]})

    if way == "denied":
        faults.add("submit", 401, body=said, times=None)
        return
    faults.add("poll", 200, body=status("running"))
    faults.add("poll", 500, body=said, times=None if way == "silent" else 1)
    words = {"late": "running", "failed": "failed", "strange": f"denied for {EXTRA['url_secret']}"}
    faults.add("poll", 200, body=status(words.get(way, "succeeded")), times=None)
    faults.add("cancel", 500, body=said, times=None)
    if way == "refused":
        faults.add("result", 403, body=said, times=None)
    else:
        faults.add("result", "truncate")


ENDS = {
    "well": ("success", "success", "success"),
    "denied": ("failed", "upstream_failed", "upstream_failed"),
    "silent": ("success", "failed", "upstream_failed"),
    "failed": ("success", "failed", "upstream_failed"),
    "late": ("success", "failed", "upstream_failed"),
    "strange": ("success", "failed", "upstream_failed"),
    "refused": ("success", "success", "failed"),
}
"""How submit, wait and fetch end, for each way in which the server treats the job."""


@contextmanager
def serving(way: str) -> Iterator[tuple[FakeJobServer, dict[str, Any]]]:
    """Run the server of one way; give it, and its connection.

    One of them has a login without a password, which then is an API key.
    """
    with FakeJobServer("generic") as server:
        login = {"login": LOGIN_AS_KEY} if way == "late" else {"login": "ann", "password": PASSWORD}
        plan_the_answers(way, server, login.get("password", LOGIN_AS_KEY))
        yield server, {"conn_type": "http", "host": server.url, **login, "extra": EXTRA}


def assert_sent(server: FakeJobServer) -> None:
    """Show that the secrets were in the requests, so that they could have come out."""
    (first, *_) = server.ledger.entries("submit")
    assert EXTRA["param_token"] in first.query
    assert EXTRA["body_secret"] in first.body
    assert all(EXTRA["url_secret"] in poll.query for poll in server.ledger.entries("poll"))


@pytest.mark.parametrize("way", ENDS)
def test_no_secret_leaves_a_task(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: XComs, the state store, trigger arguments, logs, and errors with all their causes."""
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
    monkeypatch.setattr(waiting, "_SEEN_BY_SCHEDULER", 0.0)
    options = WAYS[way]
    with DAG("d") as dag:
        async_job(
            job=JOB,
            http_conn_id="hidden",
            inputs={"control": CONTROL},
            destination=f"{tmp_path}/rows.csv",
            group_id="job",
            **options,
        )
    worker, said, ends = Worker(dag), [], []
    with serving(way) as (server, connection):
        monkeypatch.setenv("AIRFLOW_CONN_HIDDEN", json.dumps(connection))
        for task_id in ("job.submit", "job.wait", "job.fetch"):
            if "failed" in ends:
                ends.append("upstream_failed")
                continue
            try:
                worker.run(task_id)
                ends.append("success")
            except Exception as error:
                ends.append("failed")
                said += traceback.format_exception(error)
        assert_sent(server)
    assert tuple(ends) == ENDS[way], said
    said = [line for line in said if "tests/airflow" not in line]
    everything = f"{worker.xcoms} {worker.stores} {worker.triggers} {said} {''.join(capsys.readouterr())}"
    assert CONTROL in everything or way == "denied", "what is no secret is seen"
    found = [text for text in SPELLINGS if text in everything]
    assert [everything[max(0, everything.index(text) - 150) :][:300] for text in found] == []
