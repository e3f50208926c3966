"""The account of uploaded records, and bodies that are too large for memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import httpx

from airflow_asyncjob.testing import FakeJobServer, Records, Refused


def test_each_record_is_accepted_or_refused_with_its_reason() -> None:
    records = Records()
    records.add("a", ["x", "y"], [Refused("a", 3, "z", "too old")])
    records.add("b", [], [Refused("b", 1, None, "no key"), Refused("b", 2, "w", "too old")])
    records.add("a", ["v"], [])
    assert records.accepted("a") == ["x", "y", "v"]
    assert [one.number for one in records.refused()] == [3, 1, 2]
    assert records.refused("b")[0] == Refused("b", 1, None, "no key")
    reasons = {"too old": 2, "no key": 1}
    assert records.counts() == {"received": 6, "accepted": 3, "refused": 3, "reasons": reasons}
    one = {"received": 4, "accepted": 3, "refused": 1, "reasons": {"too old": 1}}
    assert records.counts("a") == one


def test_the_ledger_has_the_account_and_the_size_of_each_body() -> None:
    with FakeJobServer() as server:
        httpx.post(f"{server.url}/jobs", content=b'{"rows": 1}')
        entries = server.ledger.entries("submit")
        told = httpx.get(f"{server.url}/_ledger").json()
    assert [(entry.size, entry.body) for entry in entries] == [(11, '{"rows": 1}')]
    assert told["records"] == {"received": 0, "accepted": 0, "refused": 0, "reasons": {}}


def test_a_large_body_is_not_kept_in_memory(tmp_path: Path) -> None:
    size = 32 * 1024 * 1024
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(size)
    with FakeJobServer() as server, path.open("rb") as file:
        tracemalloc.start()
        answer = httpx.put(f"{server.url}/else", content=file, headers={"Content-Length": str(size)})
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert answer.status_code == 404
    assert server.ledger.entries("other")[0].size == size
    assert peak < 8 * 1024 * 1024
