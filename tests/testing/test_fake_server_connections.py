"""The HTTP side of FakeJobServer: ports, connections, threads."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from airflow_asyncjob.testing import FakeJobServer

REPOSITORY = Path(__file__).parents[2]


def test_it_takes_a_free_port_and_gives_it_back() -> None:
    with FakeJobServer() as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        port = server.port
        assert httpx.get(f"{server.url}/jobs").json() == {"jobs": []}
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/jobs")
    with FakeJobServer(port=port) as again:
        assert again.port == port


def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_open() -> None:
    with FakeJobServer() as first:
        second = FakeJobServer("sendgrid", port=first.port)
        with pytest.raises(OSError, match="in use"):
            second.start()


def test_the_port_is_known_only_while_it_runs() -> None:
    server = FakeJobServer()
    with pytest.raises(RuntimeError, match="call start"):
        _ = server.url
    with server, pytest.raises(RuntimeError, match="runs already"):
        server.start()


def test_an_unknown_kind_or_option_is_an_error_that_lists_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="'sengrid' of fake server; valid: generic, sendgrid"):
        FakeJobServer("sengrid")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no option 'contact'; valid: contacts, files, seconds"):
        FakeJobServer("sendgrid", contact=1)


def test_one_connection_carries_many_requests() -> None:
    with FakeJobServer() as server:
        client = HTTPConnection("127.0.0.1", server.port)
        client.connect()
        opened = client.sock
        for _ in range(3):
            client.request("GET", "/jobs")
            assert client.getresponse().read() == b'{"jobs": []}\n'
        assert client.sock is opened
        client.close()


def test_a_hundred_clients_at_once_are_all_served() -> None:
    clients = 100
    together = threading.Barrier(clients)

    def submit(number: int) -> str:
        with httpx.Client(base_url=server.url) as client:
            together.wait(30)
            job = client.post("/jobs", json={"tag": str(number)}).json()
            return str(client.get(job["url"]).text)

    with FakeJobServer() as server, ThreadPoolExecutor(clients) as pool:
        results = list(pool.map(submit, range(clients)))
        assert server.ledger.accepted() == clients
        assert server.ledger.count("result") == clients
    assert [f"00000000,{number}," in result for number, result in enumerate(results)] == [True] * clients


def test_stop_ends_every_thread_also_of_idle_and_held_connections() -> None:
    before = set(threading.enumerate())
    with FakeJobServer("sendgrid", contacts=1) as server:
        idle = socket.create_connection(("127.0.0.1", server.port))
        server.faults.add("any", "slow", seconds=3600)
        held = socket.create_connection(("127.0.0.1", server.port))
        held.sendall(b"GET /v3/marketing/contacts/exports HTTP/1.1\r\nHost: x\r\n\r\n")
        with httpx.Client(timeout=30) as client:
            while server.ledger.count() == 0:
                client.get(f"{server.url}/_faults")
        assert set(threading.enumerate()) > before
    assert set(threading.enumerate()) == before
    idle.close()
    held.close()


def test_what_is_left_when_it_stops_is_nothing(tmp_path: Path) -> None:
    script = """
import gc, os, tempfile
from http.client import HTTPConnection
from airflow_asyncjob.testing import FakeJobServer
with FakeJobServer() as server:
    for fault in (None, "reset", "lost", "truncate", "slow"):
        if fault:
            server.faults.add("result", fault, **({"seconds": 0} if fault == "slow" else {}))
        client = HTTPConnection("127.0.0.1", server.port)
        try:
            client.request("POST", "/jobs", "{}")
            client.getresponse().read()
            client.request("GET", "/jobs/job-1/result/1")
            client.getresponse().read()
        except Exception:
            pass
        client.close()
    server.faults.add("any", "refuse")
gc.collect()
assert os.listdir(tempfile.gettempdir()) == [], os.listdir(tempfile.gettempdir())
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": str(REPOSITORY), "TMPDIR": str(tmp_path)},
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_chunked_request_is_refused_with_the_reason() -> None:
    with FakeJobServer() as server:
        answer = httpx.post(f"{server.url}/jobs", content=iter([b"{}"]))
        assert answer.status_code == 411
        assert "Content-Length" in answer.json()["error"]
        assert server.ledger.count() == 0


def test_a_request_that_breaks_off_is_not_executed() -> None:
    with FakeJobServer() as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{}")
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
        assert (server.ledger.count(), server.ledger.accepted()) == (0, 0)


def test_the_ledger_keeps_order_times_headers_and_bodies() -> None:
    with FakeJobServer() as server:
        httpx.post(
            f"{server.url}/jobs?trace=1",
            json={"rows": 1},
            headers={"Idempotency-Key": "k", "Authorization": "Bearer t", "X-Other": "no"},
        )
        httpx.get(f"{server.url}/nowhere")
        submit, other = server.ledger.entries()
    assert (submit.purpose, submit.method, submit.path, submit.query) == (
        "submit",
        "POST",
        "/jobs",
        "trace=1",
    )
    assert (submit.code, submit.job_id, submit.created, submit.fault) == (201, "job-1", True, None)
    assert submit.headers["authorization"] == "Bearer t"
    assert submit.headers["idempotency-key"] == "k"
    assert "x-other" not in submit.headers
    assert submit.body == '{"rows":1}'
    assert (other.purpose, other.code) == ("other", 404)
    assert submit.at <= other.at


def test_the_ledger_counts_by_purpose_and_job() -> None:
    with FakeJobServer() as server, httpx.Client(base_url=server.url) as client:
        for seconds in (0, 3600):
            client.post("/jobs", json={"run_for": seconds})
        for job in ("job-1", "job-1", "job-2"):
            client.get(f"/jobs/{job}")
        ledger = server.ledger
        assert (ledger.count(), ledger.count("poll"), ledger.count("poll", job_id="job-1")) == (5, 3, 2)
        assert (ledger.accepted(), ledger.job_ids()) == (2, ["job-1", "job-2"])
        assert (ledger.running(), ledger.running_ids()) == (1, ["job-2"])
        assert client.get("/_ledger").json() == ledger.to_dict()
