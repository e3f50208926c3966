"""Secrets planted wherever a job has room for one, and servers that answer with all that they were sent.

The job is ``dags/planted_job.yaml``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow_asyncjob.testing import FakeJobServer

JOB = Path(__file__).with_name("dags") / "planted_job.yaml"
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
    words = {
        "late": "running",
        "cancelled": "running",
        "failed": "failed",
        "strange": f"denied for {EXTRA['url_secret']}",
    }
    faults.add("poll", 200, body=status(words.get(way, "succeeded")), times=None)
    faults.add("cancel", 500, body=said, times=None)
    if way == "refused":
        faults.add("result", 403, body=said, times=None)
    else:
        faults.add("result", "truncate")


@contextmanager
def serving(way: str) -> Iterator[tuple[FakeJobServer, dict[str, Any]]]:
    """Run the server of one way in which it treats the job; give it, and its connection.

    Those that do not end have a login without a password, which then is an API key.
    """
    with FakeJobServer("generic") as server:
        login = (
            {"login": LOGIN_AS_KEY}
            if way in ("late", "cancelled")
            else {"login": "ann", "password": PASSWORD}
        )
        plan_the_answers(way, server, login.get("password", LOGIN_AS_KEY))
        yield server, {"conn_type": "http", "host": server.url, **login, "extra": EXTRA}


def assert_sent(server: FakeJobServer) -> None:
    """Show that the secrets were in the requests, so that they could have come out."""
    (first, *_) = server.ledger.entries("submit")
    assert EXTRA["param_token"] in first.query
    assert EXTRA["body_secret"] in first.body
    assert all(EXTRA["url_secret"] in poll.query for poll in server.ledger.entries("poll"))
