"""The faults that "Test your DAG" shows are taken by a server of every kind, and each of them happens."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.testing.server import KINDS, Kind
from tests.docs.pages import ROOT

SHOWN = re.findall(
    r"^\| [^|]+ \| `(server\.faults\.add\(.*\))` \|$",
    (ROOT / "docs" / "how-to" / "test-your-dag.md").read_text(),
    re.MULTILINE,
)


def test_the_page_shows_faults() -> None:
    assert len(SHOWN) == 11


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_takes_the_faults_and_has_the_parts_that_the_page_names(
    kind: Kind, fake_job_server: Callable[..., FakeJobServer]
) -> None:
    server = fake_job_server(kind)
    for expression in SHOWN:
        eval(expression, {"server": server})
    assert server.connection["host"] == server.url
    assert (server.ledger.accepted(), server.ledger.running()) == (0, 0)
    assert server.ledger.records.counts()["received"] == 0


@pytest.mark.parametrize("expression", SHOWN)
def test_a_fault_that_is_shown_happens(expression: str) -> None:
    with FakeJobServer("generic") as server, httpx.Client(base_url=server.url) as client:
        job = client.post("/jobs", json={"rows": 1}).json()["id"]
        eval(expression, {"server": server})
        requests: dict[str, tuple[str, str]] = {
            "submit": ("POST", "/jobs"),
            "poll": ("GET", f"/jobs/{job}"),
            "result": ("GET", f"/jobs/{job}/result/1"),
            "any": ("GET", f"/jobs/{job}"),
        }
        method, path = requests[re.findall(r'add\("(\w+)"', expression)[0]]
        seen = _seen(client, method, path)
        if "refuse" not in expression:
            assert server.ledger.entries()[-1].fault is not None
        assert seen != "as it should be" or "slow" in expression


def _seen(client: httpx.Client, method: str, path: str) -> Any:
    try:
        answer = client.request(method, path)
    except httpx.TransportError as error:
        return type(error).__name__
    sound = answer.is_success and (path.endswith("/result/1") or answer.content.startswith(b'{"'))
    return "as it should be" if sound else answer.status_code
