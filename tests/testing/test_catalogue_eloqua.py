"""eloqua/contacts_export over the command line against the fake of Eloqua's Bulk API."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.testing import FakeJobServer, contact
from tests.cli.command import Asyncjob
from tests.testing.vendors import Vendor, driven


@pytest.fixture
def export(asyncjob: Asyncjob, fake_job_server: Callable[..., FakeJobServer]) -> Vendor:
    server = fake_job_server("eloqua", contacts=25, seconds=0.1)
    return Vendor("eloqua/contacts_export", server, asyncjob)


def test_an_export_is_defined_synced_polled_and_read_page_by_page(export: Vendor) -> None:
    fields = {"email": "C_EmailAddress", "zip": "C_Zip_Postal", "made": "CreatedAt"}
    ran = export.run("--destination", "c.jsonl", fields=fields, page_size=10)
    assert ran.code == 0, ran.stderr
    assert (ran.last["state"], ran.last["records"], ran.last["submission_id"]) == ("done", 25, "1")
    assert export.lines("c.jsonl") == [
        {"email": one["EMAIL"], "zip": one["POSTAL_CODE"], "made": one["CREATED_AT"]}
        for one in map(contact, range(25))
    ]
    ledger = export.server.ledger
    assert [entry.purpose for entry in ledger.entries() if entry.purpose != "poll"] == [
        *("submit", "start"),
        *["result"] * 3,
    ]
    assert [entry.query for entry in ledger.entries("result")] == [
        f"limit=10&offset={offset}" for offset in (0, 10, 20)
    ]
    asked = json.loads(ledger.entries("submit")[0].body)
    assert asked["fields"]["zip"] == "{{Contact.Field(C_Zip_Postal)}}"
    assert asked["name"].startswith("asyncjob ")
    assert "filter" not in asked


def test_a_filter_is_written_with_single_braces(export: Vendor) -> None:
    wanted = "'{Contact.Field(C_Country)}' = 'NO' AND '{Contact.CreatedAt}' > '2026-01-01'"
    assert export.run(filter=wanted).code == 0
    asked = json.loads(export.server.ledger.entries("submit")[0].body)
    assert asked["filter"] == (
        "'{{Contact.Field(C_Country)}}' = 'NO' AND '{{Contact.CreatedAt}}' > '2026-01-01'"
    )


def test_a_sync_that_failed_shows_its_log(export: Vendor) -> None:
    export.server.options.fails = True
    ran = export.run("--destination", "c.jsonl")
    assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (4, "failed", "error")
    assert "ELQ-00107 There was an error processing the sync." in ran.stderr
    assert not (export.folder / "c.jsonl").exists()


@pytest.mark.parametrize("wrong", [{"password": "other"}, {"login": "user.name"}])
def test_a_wrong_login_is_told_in_eloquas_words_and_asked_once(export: Vendor, wrong: Any) -> None:
    ran = export.run("--destination", "c.jsonl", connection=wrong)
    assert ran.code == 1
    assert "401" in ran.stderr
    assert "Login required" in ran.stderr
    assert export.server.ledger.count() == 1


def test_a_field_that_eloqua_does_not_know_is_told_by_name(export: Vendor) -> None:
    ran = export.run(fields={"email": "EmailAddress"})
    assert ran.code == 1
    assert "fields.email" in ran.stderr
    assert export.server.ledger.accepted() == 0


def test_faults_on_the_way_change_nothing(tmp_path: Path) -> None:
    with driven("eloqua", "eloqua/contacts_export", {"contacts": 25, "seconds": 60}, page_size=10) as (
        client,
        server,
    ):
        server.faults.add("submit", "lost")
        server.faults.add("poll", "garbage")
        server.faults.add("poll", 429, headers={"Retry-After": "100"})
        server.faults.add("result", "truncate", nth=2)
        server.faults.add("result", 503)
        manifest = client.fetch(client.outcome(), tmp_path / "c.jsonl")
        assert manifest.records == 25
        assert server.faults.active() == []
        assert (server.ledger.accepted(), server.ledger.count("submit")) == (1, 2)
