"""Events of webhooks, sent to two processes of the API server over one real database of Airflow."""

from __future__ import annotations

import base64
import hmac
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_asyncjob.definition.callback import TaskName, callback_token
from airflow_asyncjob.testing.processes import free_port

pytestmark = pytest.mark.slow
PATIENCE = 300.0
SECRET, KEY = "s3cret-of-events", base64.b64encode(b"a key of standard webhooks").decode()
HMAC = {"type": "hmac", "header": "X-Signature"}
SIGNED: dict[str, Any] = {"id": "job", "when": "body.event == 'finished'", "auth": HMAC}
TIMED: dict[str, Any] = {
    "id": "job",
    "auth": {**HMAC, "signed": "{{ timestamp }}.{{ body }}", "timestamp": "X-Time"},
}
LOADED = 100
JOBS: list[dict[str, Any]] = [
    *(
        {"task_id": f"load_{n}", "submission_id": f"load-{n}", "conn_id": "loaded", "webhook": SIGNED}
        for n in range(LOADED)
    ),
    {"task_id": "plain", "submission_id": "plain", "conn_id": "shop", "webhook": SIGNED},
    {"task_id": "other", "submission_id": "other", "conn_id": "shop", "webhook": SIGNED},
    {"task_id": "twin", "submission_id": "other", "conn_id": "bakery", "webhook": SIGNED},
    {"task_id": "young", "submission_id": "young", "conn_id": "shop", "webhook": SIGNED, "quiet": 9999.0},
    {"task_id": "gone", "submission_id": "gone", "conn_id": "shop", "webhook": SIGNED, "state": "failed"},
    {"task_id": "deaf", "submission_id": "deaf", "conn_id": "shop", "webhook": None},
    {"task_id": "timed", "submission_id": "timed", "conn_id": "timed", "webhook": TIMED},
    {
        "task_id": "path",
        "submission_id": "path",
        "conn_id": "path",
        "webhook": {"id": "job", "auth": {"type": "path"}},
    },
    {
        "task_id": "called",
        "submission_id": "called",
        "conn_id": "shop",
        "webhook": {},
        "submit_task": "submit_called",
    },
    {"task_id": "both", "submission_id": "both", "conn_id": "shop", "webhook": {"auth": HMAC}},
    {"task_id": "some_1", "submission_id": "some-1", "conn_id": "some", "webhook": {**SIGNED, "id": "jobs"}},
    {"task_id": "some_2", "submission_id": "some-2", "conn_id": "some", "webhook": {**SIGNED, "id": "jobs"}},
    {"task_id": "secretless", "submission_id": "x", "conn_id": "secretless", "webhook": SIGNED},
]


@dataclass
class Server:
    url: str
    database: Path

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.database, timeout=PATIENCE) as connection:
            return connection.execute(statement).fetchall()

    def states(self) -> dict[str, str]:
        return dict(self.rows("select task_id, state from task_instance"))  # type: ignore[arg-type]

    def wakes(self) -> dict[str, dict[str, Any]]:
        found = self.rows("select task_id, value from xcom where key = 'asyncjob.woken'")
        return {task: json.loads(value) for task, value in found}

    def send(self, conn_id: str, body: Any, secret: str = SECRET, token: str = "", **headers: str) -> Any:
        """Send an event, and return the answer."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        told = {"X-Signature": hmac.digest(secret.encode(), content, "sha256").hex(), **headers}
        url = f"{self.url}/webhooks/{conn_id}" + (f"/{token}" if token else "")
        return httpx.post(url, content=content, headers=told, timeout=PATIENCE)

    def result(self, *args: Any, **kwargs: Any) -> tuple[int, str]:
        answer = self.send(*args, **kwargs)
        return answer.status_code, answer.json().get("result") or answer.json()["error"]


def finished(job: str) -> dict[str, str]:
    return {"event": "finished", "job": job}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give two API-server processes with this plugin's routes alone."""
    home = tmp_path_factory.mktemp("airflow")
    connections = {
        name: {"webhook_secret": SECRET} for name in ("shop", "bakery", "loaded", "timed", "path", "some")
    }
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW_CONN_SECRETLESS": json.dumps({"conn_type": "http"}),
        **{
            f"AIRFLOW_CONN_{name.upper()}": json.dumps({"conn_type": "http", "extra": extra})
            for name, extra in connections.items()
        },
    }
    python = sys.executable
    migrate = "from airflow.utils.db import initdb; initdb()"
    subprocess.run([python, "-c", migrate], env=env, check=True, timeout=PATIENCE)
    jobs = json.dumps(JOBS).encode()
    subprocess.run([python, "-m", "tests.plugin.waits"], env=env, input=jobs, check=True, timeout=PATIENCE)
    port = free_port(0)
    app = [
        "airflow_asyncjob.plugin.app:build_app",
        "--factory",
        "--workers",
        "2",
        "--timeout-worker-healthcheck",
        "120",
        "--port",
        str(port),
    ]
    process = subprocess.Popen([python, "-m", "uvicorn", "--host", "127.0.0.1", *app], env=env)
    try:
        running = Server(f"http://127.0.0.1:{port}", home / "airflow.db")
        _until_up(running, process)
        yield running
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _until_up(server: Server, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, "the server has ended"
        try:
            httpx.get(f"{server.url}/webhooks/shop", timeout=PATIENCE)
            return
        except httpx.TransportError:
            assert time.monotonic() < give_up
            time.sleep(0.2)


def test_an_event_wakes_the_task_that_waits_for_its_job(server: Server) -> None:
    assert server.result("shop", finished("plain")) == (202, "woken")
    assert server.states()["plain"] == "scheduled"
    assert server.wakes()["plain"]["why"] == "webhook"
    ((told,),) = server.rows("select next_kwargs from task_instance where task_id = 'plain'")
    assert '"woken": "webhook"' in told
    assert server.result("shop", finished("plain")) == (202, "not waiting"), "the second time"


def test_an_event_that_is_none_of_those_wakes_nobody(server: Server) -> None:
    before = server.states()
    assert server.result("shop", {"event": "begun", "job": "other"}) == (202, "ignored")
    assert server.result("shop", {"event": "finished"}) == (202, "ignored")
    assert server.result("shop", finished("nobody's")) == (202, "not waiting"), "early, or of others"
    assert server.result("shop", finished("gone")) == (202, "not waiting"), "cancelled"
    assert server.result("shop", finished("deaf")) == (202, "not waiting"), "without a webhook"
    assert server.result("shop", b"{") == (400, "unreadable")
    assert server.states() == before


def test_a_job_of_another_connection_is_not_woken(server: Server) -> None:
    assert server.result("shop", finished("other")) == (202, "woken")
    assert server.states()["twin"] == "deferred"


def test_a_wait_that_has_just_begun_is_left_to_its_trigger(server: Server) -> None:
    assert server.result("shop", finished("young")) == (202, "woken")
    assert server.states()["young"] == "deferred"
    assert server.wakes()["young"]["held"] is True


def test_a_forger_learns_nothing(server: Server) -> None:
    forged = [
        server.send("bakery", finished("other"), "wrong"),
        server.send("bakery", finished("nobody's"), "wrong"),
        server.send("nowhere", finished("other")),
        server.send("secretless", finished("x"), ""),
        server.send("shop", finished("other"), "wrong", token="x"),
        server.send("no%20name", finished("other")),
        server.send("shop", b"{", "wrong"),
    ]
    told = {(one.status_code, one.content, tuple(sorted(set(one.headers) - {"date"}))) for one in forged}
    assert len(told) == 1, told
    assert forged[0].status_code == 401
    assert forged[0].json() == {"error": "not authenticated"}
    assert server.states()["twin"] == "deferred"


def test_an_old_event_cannot_be_sent_again(server: Server) -> None:
    def sent(at: float) -> tuple[int, str]:
        body = json.dumps({"job": "timed"}).encode()
        signed = hmac.digest(SECRET.encode(), f"{at:.0f}.".encode() + body, "sha256").hex()
        return server.result("timed", body, **{"X-Time": f"{at:.0f}", "X-Signature": signed})

    assert sent(time.time() - 3600) == (401, "not authenticated")
    assert server.states()["timed"] == "deferred"
    assert sent(time.time()) == (202, "woken")


def test_the_secret_may_be_the_end_of_the_address(server: Server) -> None:
    assert server.result("path", {"job": "path"}, token="wrong") == (401, "not authenticated")
    assert server.result("path", {"job": "path"}, token=SECRET) == (202, "woken")


def test_an_address_of_one_task_wakes_that_task(server: Server) -> None:
    def token(task: str, run: str = "run_1", secret: str = SECRET) -> str:
        return callback_token(TaskName("exports", run, task, -1), "shop", secret)

    anything = b'{"whatever": 1}'
    for wrong in (token("submit_called", secret="x"), token("submit_called")[:-1], SECRET):
        assert server.result("shop", anything, "wrong", token=wrong)[0] == 401
    assert server.result("shop", anything, token=token("submit_called", "run_2")) == (202, "not waiting")
    assert server.result("shop", anything, token=token("submit_called")) == (202, "woken")
    assert server.states()["called"] == "scheduled"
    assert server.result("shop", anything, token=token("submit_called")) == (202, "not waiting")
    assert server.result("shop", anything, "wrong", token=token("both")) == (401, "not authenticated")
    assert server.result("shop", anything, token=token("both")) == (202, "woken"), "it waits in its submit"


def test_one_event_may_be_of_several_jobs(server: Server) -> None:
    told = {"event": "finished", "jobs": ["some-1", "x", "some-2"]}
    assert server.result("some", told) == (202, "woken")
    assert {server.states()[name] for name in ("some_1", "some_2")} == {"scheduled"}


def test_a_body_is_bounded(server: Server) -> None:
    assert server.result("shop", b"x" * 65537)[0] == 413
    pieces = (b"x" * 1000 for _ in range(70))
    answer = httpx.post(f"{server.url}/webhooks/shop", content=pieces, timeout=PATIENCE)
    assert answer.status_code == 413
    assert answer.json() == {"error": "an event has at most 65536 bytes"}
    assert server.result("shop", b" " * 65536)[0] == 202, "as large as that is allowed"


def test_only_post_is_taken(server: Server) -> None:
    assert httpx.get(f"{server.url}/webhooks/shop").status_code == 405


def test_a_thousand_events_twice_each_wake_each_of_a_hundred_tasks_once(server: Server) -> None:
    events = [finished(f"load-{n % LOADED}") for n in range(1000)] * 2

    def send(event: dict[str, str]) -> tuple[str, float]:
        give_up = time.monotonic() + PATIENCE
        while True:
            begun = time.monotonic()
            answer = server.send("loaded", event)
            if answer.status_code == 202:
                return answer.json()["result"], time.monotonic() - begun
            assert answer.status_code in (429, 503), answer.text
            assert time.monotonic() < give_up
            time.sleep(float(answer.headers["Retry-After"]))

    with ThreadPoolExecutor(16) as senders:
        answers = list(senders.map(send, events))
    assert Counter(result for result, _ in answers) == {"woken": LOADED, "not waiting": 2000 - LOADED}
    states = server.states()
    assert {states[f"load_{n}"] for n in range(LOADED)} == {"scheduled"}
    wakes = server.wakes()
    assert all(not wakes[f"load_{n}"]["held"] for n in range(LOADED))
    took = sorted(seconds for _, seconds in answers)
    print(f"2,000 events: median {took[1000] * 1000:.0f} ms, 99 % in {took[1980] * 1000:.0f} ms")


def test_a_flood_harms_no_other_connection(server: Server) -> None:
    with ThreadPoolExecutor(8) as senders:
        codes = list(senders.map(lambda n: server.send(f"guess_{n}", b"{}").status_code, range(100)))
    assert set(codes) <= {401, 429}, "how many of each depends on how fast this machine is"
    assert server.result("shop", finished("nobody's")) == (202, "not waiting")
