"""Definitions driven through protocol and transport against the fake server, on a clock that never waits."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.errors import PollBudgetError, RefusedError, UncertainError, UnreachableError
from airflow_asyncjob.testing import SENDGRID_KEY, FakeClock, FakeJobServer, check_contacts, expected_contacts
from tests.testing.driving import Client, client_of


@dataclass
class Scene:
    """A client, the server that it talks to, and the clock of both."""

    client: Client
    server: FakeJobServer
    clock: FakeClock


@contextmanager
def sendgrid_scene(key: str = SENDGRID_KEY) -> Iterator[Scene]:
    # Downloads tell the time by the machine's clock, so this one starts with it.
    clock = FakeClock(time.time())
    with (
        FakeJobServer("sendgrid", clock=clock, contacts=500, files=2, seconds=100) as server,
        client_of("sendgrid/contacts_export", server.url, clock, password=key) as client,
    ):
        yield Scene(client, server, clock)


@pytest.fixture
def sendgrid() -> Iterator[Scene]:
    with sendgrid_scene() as scene:
        yield scene


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_sendgrid_from_submit_to_file(sendgrid: Scene, tmp_path: Path) -> None:
    outcome = sendgrid.client.outcome()
    assert (outcome.state, outcome.raw_status, len(outcome.target)) == ("done", "ready", 2)
    assert outcome.expires_at == pytest.approx(sendgrid.clock.time() + 3 * 24 * 3600, abs=200)
    manifest = sendgrid.client.fetch(outcome, tmp_path / "contacts.jsonl")
    assert (manifest.state, manifest.records, manifest.format) == ("done", 500, "jsonl")
    assert check_contacts(rows(tmp_path / "contacts.jsonl"), 500) == []
    ledger = sendgrid.server.ledger
    assert (ledger.accepted(), ledger.running(), ledger.count("result")) == (1, 0, 2)
    assert {entry.headers["authorization"] for entry in ledger.entries("poll")} == {f"Bearer {SENDGRID_KEY}"}
    assert [entry for entry in ledger.entries("result") if "authorization" in entry.headers] == []


def test_sendgrid_is_not_asked_before_its_time(sendgrid: Scene) -> None:
    sendgrid.client.outcome()
    entries = sendgrid.server.ledger.entries()
    waits = [later.at - earlier.at for earlier, later in pairwise(entries)]
    assert [entry.purpose for entry in entries] == ["submit", *["poll"] * (len(entries) - 1)]
    least = [30, 10, 15, 22.5, 33.75]
    assert len(waits) == 5
    assert all(wait >= wanted for wait, wanted in zip(waits, least, strict=True))
    assert all(wait <= wanted * 1.1 + 0.1 for wait, wanted in zip(waits, least, strict=True))


def test_sendgrids_own_words_come_with_a_failure(sendgrid: Scene) -> None:
    sendgrid.server.options.fails = True
    outcome = sendgrid.client.outcome()
    assert (outcome.state, outcome.raw_status) == ("failed", "failure")
    assert "the export could not be completed" in outcome.message


def test_polls_that_fail_do_not_fail_the_job(sendgrid: Scene) -> None:
    faults = sendgrid.server.faults
    faults.add("poll", 500)
    faults.add("poll", "html")
    faults.add("poll", "reset")
    faults.add("poll", "empty")
    faults.add("poll", 429, headers={"Retry-After": "120"})
    assert sendgrid.client.outcome().state == "done"
    assert faults.active() == []
    entries = sendgrid.server.ledger.entries("poll")
    limited = next(number for number, entry in enumerate(entries) if entry.code == 429)
    assert entries[limited + 1].at - entries[limited].at >= 120


def test_polls_that_never_answer_use_up_their_own_budget(sendgrid: Scene) -> None:
    sendgrid.server.faults.add("poll", 502, times=None)
    finish = sendgrid.client.drive()
    assert isinstance(finish.error, PollBudgetError)
    assert "502" in finish.error.message
    assert sendgrid.server.ledger.count("submit") == 1
    sendgrid.server.faults.clear()
    again = sendgrid.client.drive(checkpoint=sendgrid.client.hands.stored[-1])
    assert again.outcome is not None
    assert again.outcome.state == "done"
    assert sendgrid.server.ledger.accepted() == 1


def test_a_key_that_is_refused_ends_it_at_once() -> None:
    with sendgrid_scene("SG.not-mine") as scene:
        finish = scene.client.drive()
        assert isinstance(finish.error, RefusedError)
        assert "The provided authorization grant is invalid" in finish.error.message
        assert "SG.not-mine" not in finish.error.message
        assert (scene.server.ledger.count(), scene.server.ledger.accepted()) == (1, 0)


def test_an_answer_that_is_lost_is_a_risk_that_the_next_try_takes_and_tells(sendgrid: Scene) -> None:
    sendgrid.server.faults.add("submit", "lost")
    finish = sendgrid.client.drive()
    assert isinstance(finish.error, UncertainError)
    assert finish.error.may_resubmit
    assert sendgrid.server.ledger.accepted() == 1
    again = sendgrid.client.drive(checkpoint=sendgrid.client.hands.stored[-1])
    assert again.outcome is not None
    assert again.outcome.state == "done"
    assert sendgrid.server.ledger.accepted() == 2


@pytest.mark.parametrize("fault", ["truncate", "reset", 503])
def test_a_download_that_breaks_is_repeated_and_nothing_is_lost_or_doubled(
    sendgrid: Scene, tmp_path: Path, fault: Any
) -> None:
    outcome = sendgrid.client.outcome()
    sendgrid.server.faults.add("result", fault, nth=2)
    manifest = sendgrid.client.fetch(outcome, tmp_path / "contacts.csv")
    assert manifest.records == 500
    assert sendgrid.server.ledger.count("result") == 3
    assert sendgrid.server.faults.active() == []
    assert [entry for entry in tmp_path.iterdir() if entry.name != "contacts.csv"] == []


def test_files_that_have_expired_are_a_refusal_that_leaves_nothing(sendgrid: Scene, tmp_path: Path) -> None:
    outcome = sendgrid.client.outcome()
    sendgrid.clock.advance(4 * 24 * 3600)
    with pytest.raises(RefusedError, match="403"):
        sendgrid.client.fetch(outcome, tmp_path / "contacts.csv")
    assert list(tmp_path.iterdir()) == []
    assert sendgrid.server.ledger.count("result") <= 2


def test_the_whole_becomes_parquet_with_its_key(sendgrid: Scene, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    sendgrid.client.fetch(sendgrid.client.outcome(), tmp_path / "contacts.parquet")
    table = parquet.read_table(tmp_path / "contacts.parquet")
    assert check_contacts(table.to_pylist(), 500) == []
    assert set(map(str, table.schema.types)) == {"string"}
    assert any("CONTACT_ID" in value.decode() for value in table.schema.metadata.values())
    assert table.column("EXTERNAL_ID")[7].as_py() == next(expected_contacts(1, start=7))["EXTERNAL_ID"]


GENERIC = {
    "version": 1,
    "name": "fake/generic",
    "inputs": {"plan": {"type": "object", "default": {}}},
    "submit": {
        "request": {
            "url": "/jobs",
            "json": "{{ inputs.plan }}",
            "headers": {"Idempotency-Key": "{{ idempotency_key }}"},
        },
        "id": "id",
    },
    "status": {
        "request": {"url": "/jobs/{{ submission_id }}"},
        "path": "status",
        "values": {
            "running": ["queued", "running"],
            "done": "succeeded",
            "failed": "failed",
            "no_data": "no_data",
            "partial": "partial",
            "cancelled": "cancelled",
            "timed_out": "expired",
        },
        "message": "message",
        "progress": "progress",
        "timeout": 1000,
    },
    "result": {"target": "urls", "format": "csv"},
    "cancel": {"method": "DELETE", "url": "/jobs/{{ submission_id }}"},
}


@contextmanager
def generic(**plan: Any) -> Iterator[Scene]:
    clock = FakeClock()
    with FakeJobServer(clock=clock) as server, client_of(GENERIC, server.url, clock, plan=plan) as client:
        yield Scene(client, server, clock)


@pytest.mark.parametrize(
    ("ends", "state", "targets"),
    [
        ("done", "done", 2),
        ("partial", "partial", 2),
        ("no_data", "no_data", 0),
        ("failed", "failed", 0),
        ("cancelled", "cancelled", 0),
        ("expired", "timed_out", 0),
    ],
)
def test_every_end_of_the_generic_api_is_the_state_that_it_means(ends: str, state: str, targets: int) -> None:
    with generic(run_for=60, ends=ends, files=2, message="its own words") as scene:
        outcome = scene.client.outcome()
        assert outcome.state == state
        assert "its own words" in outcome.message
        if state in ("done", "partial", "no_data"):
            assert len(outcome.target) == targets
        assert scene.server.ledger.running() == 0


@pytest.mark.parametrize("fault", ["lost", "reset", 500])
def test_with_a_key_a_submit_is_repeated_and_the_job_exists_once(fault: Any) -> None:
    with generic(run_for=60) as scene:
        scene.server.faults.add("submit", fault)
        assert scene.client.outcome().state == "done"
        assert (scene.server.ledger.count("submit"), scene.server.ledger.accepted()) == (2, 1)


def test_a_server_that_is_away_for_a_while_ends_the_try_and_the_next_one_submits() -> None:
    with generic(run_for=60) as scene:
        scene.server.faults.add("any", "refuse")
        finish = scene.client.drive()
        assert isinstance(finish.error, UnreachableError)
        assert "refused" in finish.error.message
        scene.server.faults.clear()
        assert scene.client.outcome().state == "done"
        assert (scene.server.ledger.count("submit"), scene.server.ledger.accepted()) == (1, 1)


def test_a_job_that_takes_too_long_is_cancelled() -> None:
    with generic(run_for=5000) as scene:
        outcome = scene.client.outcome()
        assert outcome.state == "timed_out"
        assert (scene.server.ledger.running(), scene.server.ledger.count("cancel")) == (0, 1)
        assert (
            scene.server.ledger.entries("cancel")[0].at - scene.server.ledger.entries("submit")[0].at < 1100
        )
