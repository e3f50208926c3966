"""The imports of the catalogue over the command line: every record accepted, or refused with its reason."""

from __future__ import annotations

import csv
import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.errors import RefusedError
from airflow_asyncjob.testing import FakeJobServer
from airflow_asyncjob.testing.server import Kind
from tests.cli.command import Asyncjob
from tests.testing.vendors import Vendor, driven

Start = Callable[..., FakeJobServer]


@pytest.fixture
def vendor(asyncjob: Asyncjob, fake_job_server: Start) -> Callable[..., Vendor]:
    def start(name: str, kind: Kind, **options: Any) -> Vendor:
        return Vendor(name, fake_job_server(kind, seconds=0.1, **options), asyncjob)

    return start


def people(count: int) -> list[dict[str, str]]:
    """Return contacts between 60 bytes and 4 KB, among them three that an API or we refuse."""
    rows = [
        {"email": f"c{number}@example.com", "first": "Ünï" * (number % 7), "last": "x" * (number % 60) ** 2}
        for number in range(count)
    ]
    rows[3]["email"], rows[5]["email"] = "nobody", ""
    rows[8] = dict(rows[7])
    return rows


def renamed(rows: list[dict[str, str]], **names: str) -> list[dict[str, str]]:
    return [{new: row[old] for new, old in names.items()} for row in rows]


def written(vendor: Vendor, rows: list[dict[str, str]], name: str) -> str:
    """Write rows as the suffix of the name says."""
    path = vendor.folder / name
    if name.endswith(".jsonl"):
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return name
    with gzip.open(path, "wt") if name.endswith(".gz") else path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return name


def reasons(vendor: Vendor, name: str = "out/rejects.jsonl") -> dict[tuple[str, str], str]:
    """Return the rejects: stage and key to reason."""
    found = {}
    for line in vendor.lines(name):
        (key,) = line["key"].values()
        found[line["stage"], key] = line["reason"]
        assert line["record"] is not None, "the caller's record is beside the reason"
    return found


# Eloqua -------------------------------------------------------------------------------------------------


def eloqua(vendor: Callable[..., Vendor], count: int = 300, **options: Any) -> tuple[Vendor, str]:
    one = vendor("eloqua/contacts_import", "eloqua", **options)
    rows = renamed(people(count), emailAddress="email", firstName="first", lastName="last")
    return one, written(one, rows, "c.jsonl")


def test_eloqua_takes_parts_under_its_limit_and_starts_once(vendor: Callable[..., Vendor]) -> None:
    one, contacts = eloqua(vendor, request_bytes=8000)
    ran = one.run("--destination", "out/", contacts=contacts, upload={"part_bytes": 8000})
    assert (ran.code, ran.last["state"]) == (3, "partial"), ran.stderr
    assert reasons(one) == {
        ("local", ""): "field emailAddress is required, and is empty",
        ("job", "nobody"): "ELQ-00002 Invalid email address.",
        ("job", "c7@example.com"): "ELQ-00026 Duplicate identifier.",
    }
    told = ran.last["rejects"]
    assert (told["records"], told["unmatched"], told["sent"], told["accepted"]) == (3, 0, 299, 297)
    assert told["by_stage"] == {"local": 1, "upload": 0, "job": 2}
    ledger = one.server.ledger
    sizes = [entry.size for entry in ledger.entries("upload")]
    assert max(sizes) <= 8000
    assert len(sizes) > 20
    assert [ledger.count("submit"), ledger.count("start"), ledger.accepted()] == [1, 1, 1]
    assert ledger.records.accepted() == [
        f"c{number}@example.com" for number in range(300) if number not in (3, 5, 8)
    ]
    assert ledger.records.counts()["received"] == 299


def test_eloqua_gets_further_imports_for_more_than_one_takes(vendor: Callable[..., Vendor]) -> None:
    one, contacts = eloqua(vendor, staging_bytes=60_000)
    upload = {"part_bytes": 8000, "job_bytes": 60_000}
    ran = one.run("--destination", "out/", contacts=contacts, upload=upload)
    assert ran.code == 3, ran.stderr
    told = [job["rejects"] for job in ran.last["jobs"]]
    assert [sum(each[name] for each in told) for name in ("sent", "accepted", "records")] == [299, 297, 3]
    ledger = one.server.ledger
    assert ledger.accepted() == ledger.count("start") == len(told) == 7
    assert len(set(ledger.records.accepted())) == 297


def test_eloqua_refuses_them_all(vendor: Callable[..., Vendor]) -> None:
    one = vendor("eloqua/contacts_import", "eloqua")
    rows = [{"emailAddress": f"nobody {number}", "firstName": "", "lastName": ""} for number in range(5)]
    contacts = written(one, rows, "c.csv")
    changed = {"result": {"on_rejects": "fail"}}
    ran = one.run("--destination", "out/", contacts=contacts, changed=changed)
    assert ran.code == 1
    assert "Not one was accepted" in ran.stderr
    assert len(one.lines("out/rejects.jsonl")) == 5


def test_eloqua_that_failed_shows_its_log(vendor: Callable[..., Vendor]) -> None:
    one, contacts = eloqua(vendor, fails=True)
    ran = one.run("--destination", "out/", contacts=contacts)
    assert (ran.code, ran.last["state"]) == (4, "failed")
    assert "ELQ-00107 There was an error processing the sync." in ran.stderr


def test_eloqua_hears_of_nothing_before_the_login_is_right(vendor: Callable[..., Vendor]) -> None:
    one, contacts = eloqua(vendor)
    ran = one.run("--destination", "out/", contacts=contacts, connection={"password": "other"})
    assert ran.code == 1
    assert "Login required" in ran.stderr
    assert [entry.purpose for entry in one.server.ledger.entries()] == ["submit"]


def test_a_part_that_eloqua_has_twice_is_counted_once(vendor: Callable[..., Vendor]) -> None:
    one, contacts = eloqua(vendor, count=40)
    one.server.faults.add("upload", "lost")
    ran = one.run("--destination", "out/", contacts=contacts)
    assert ran.code == 3, ran.stderr
    assert one.server.ledger.count("upload") == 2
    accepted = one.server.ledger.records.accepted()
    assert len(accepted) == len(set(accepted)) == 37


def test_a_part_that_eloqua_refuses_is_named_and_the_next_try_begins_anew(tmp_path: Path) -> None:
    rows = renamed(people(40), emailAddress="email", firstName="first", lastName="last")
    definition = AsyncJob.load("eloqua/contacts_import").to_dict()
    definition["submit"]["upload"]["part_bytes"] = 8000
    with driven("eloqua", definition, {"seconds": 60}, contacts=rows) as (client, server):
        server.faults.add("upload", 413, nth=2, body='"Storage space exceeded."')
        error = client.drive().error
        assert isinstance(error, RefusedError)
        assert "Storage space exceeded." in error.message
        assert "upload 2 of" in error.message
        assert server.ledger.accepted() == 0
        again = client.drive(checkpoint=client.hands.stored[-1])
        assert again.outcome is not None
        assert again.outcome.state == "partial"
        assert (server.ledger.count("submit"), server.ledger.accepted()) == (2, 1)
        assert len(server.ledger.records.accepted()) == 37


# Salesforce ---------------------------------------------------------------------------------------------


def salesforce(vendor: Callable[..., Vendor], **options: Any) -> tuple[Vendor, str]:
    one = vendor("salesforce/bulk_ingest", "salesforce", **options)
    rows = renamed(people(40), External_Id__c="email", Email="email", LastName="last")
    return one, written(one, rows, "c.csv")


def test_salesforce_is_sent_a_csv_and_names_the_records_that_failed(vendor: Callable[..., Vendor]) -> None:
    one, records = salesforce(vendor)
    ran = one.run("--destination", "out/", records=records)
    assert (ran.code, ran.last["state"]) == (3, "partial"), ran.stderr
    found = reasons(one)
    assert found["local", ""] == "field External_Id__c is required, and is empty"
    assert found["job", "nobody"].startswith("INVALID_EMAIL_ADDRESS")
    assert found["job", "c7@example.com"].startswith("DUPLICATE_VALUE")
    assert found["job", "c0@example.com"].startswith("REQUIRED_FIELD_MISSING")
    counts = one.server.ledger.records.counts()
    assert (counts["received"], counts["accepted"], counts["refused"]) == (39, 36, 3)
    purposes = [entry.purpose for entry in one.server.ledger.entries() if entry.purpose != "poll"]
    assert purposes == ["other", "submit", "upload", "start", "rejects"]


def test_salesforce_that_failed_on_its_way_names_what_it_never_processed(
    vendor: Callable[..., Vendor],
) -> None:
    one, records = salesforce(vendor, fails=True, processed=10)
    ran = one.run("--destination", "out/", records=records)
    assert (ran.code, ran.last["raw_status"]) == (4, "Failed")
    assert "retried too often" in ran.stderr
    unprocessed = [line for line in one.lines("out/rejects.jsonl") if line["stage"] == "job"]
    assert {line["reason"] for line in unprocessed} == {"not processed"}
    assert len(unprocessed) == 29


def test_salesforce_gets_a_job_for_each_upload(vendor: Callable[..., Vendor]) -> None:
    one, records = salesforce(vendor, upload_bytes=20_000)
    upload = {"part_bytes": 20_000, "job_bytes": 20_000}
    ran = one.run("--destination", "out/", records=records, upload=upload)
    assert ran.code == 3, ran.stderr
    ledger = one.server.ledger
    assert ledger.count("upload") == ledger.accepted() == 2
    assert max(entry.size for entry in ledger.entries("upload")) <= 20_000
    assert ledger.records.counts()["received"] == 39


# SendGrid -----------------------------------------------------------------------------------------------


def sendgrid(vendor: Callable[..., Vendor], name: str, file: str, **options: Any) -> tuple[Vendor, str]:
    one = vendor(f"sendgrid/{name}", "sendgrid", **options)
    rows = renamed(people(40), email="email", first_name="first", last_name="last")
    return one, written(one, rows, file)


COLUMNS = ["email", "first_name", None]


@pytest.mark.parametrize("file", ["c.csv", "c.jsonl", "c.csv.gz"])
def test_sendgrid_gets_one_file_without_credentials(vendor: Callable[..., Vendor], file: str) -> None:
    one, contacts = sendgrid(vendor, "contacts_import", file)
    ran = one.run("--destination", "out/", contacts=contacts, columns=COLUMNS, list_ids=["l-1"])
    assert (ran.code, ran.last["state"]) == (3, "partial"), ran.stderr
    assert {line["number"]: line["reason"] for line in one.lines("out/rejects.jsonl")} == {
        4: "email is not a valid address",
        6: "at least one identifier is required",
    }
    ledger = one.server.ledger
    (upload,) = ledger.entries("upload")
    assert (upload.host, "authorization" in upload.headers) == ("files", False)
    asked = json.loads(ledger.entries("submit")[0].body)
    assert asked == {"file_type": "csv", "list_ids": ["l-1"], "field_mappings": ["_rf2_T", "_rf3_T", None]}
    assert ledger.records.counts()["accepted"] == 38


def test_a_csv_goes_to_sendgrid_byte_for_byte(vendor: Callable[..., Vendor]) -> None:
    one, contacts = sendgrid(vendor, "contacts_import", "c.csv")
    assert one.run(contacts=contacts, columns=COLUMNS).code == 3
    (upload,) = one.server.ledger.entries("upload")
    data = (one.folder / contacts).read_bytes()
    assert upload.size == len(data)
    assert data.decode().startswith(upload.body)


def test_a_large_file_goes_to_sendgrid_without_being_in_memory(tmp_path: Path) -> None:
    path, line = tmp_path / "c.csv", b'c@example.com,"' + b"x" * 100_000 + b'"\n'
    with path.open("wb") as file:
        file.write(b"email,first_name\n")
        for _ in range(700):
            file.write(line)
    given = {"contacts": str(path), "columns": ["email", "first_name"]}
    with driven("sendgrid", "sendgrid/contacts_import", {"seconds": 60}, **given) as (client, server):
        tracemalloc.start()
        outcome = client.outcome()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        (upload,) = server.ledger.entries("upload")
    assert outcome.state == "done"
    assert upload.size == path.stat().st_size > 64 * 1024 * 1024
    assert peak < 32 * 1024 * 1024


def test_an_upload_address_that_expired_is_asked_for_anew_by_the_next_try() -> None:
    rows = renamed(people(40), email="email", first_name="first")
    given = {"contacts": rows, "columns": ["email", "first_name"]}
    with driven("sendgrid", "sendgrid/contacts_import", {"seconds": 60}, **given) as (client, server):
        server.faults.add("upload", 503, headers={"Retry-After": "3600"})
        error = client.drive().error
        assert isinstance(error, RefusedError)
        assert "Request has expired" in error.message
        again = client.drive(checkpoint=client.hands.stored[-1])
        assert again.outcome is not None
        assert again.outcome.state == "partial"
        assert server.ledger.count("submit") == 2
        assert server.ledger.records.counts()["received"] == 40


def test_a_column_that_sendgrid_does_not_know_is_told_by_name(vendor: Callable[..., Vendor]) -> None:
    one, contacts = sendgrid(vendor, "contacts_import", "c.csv")
    ran = one.run(contacts=contacts, columns=["email", "nickname", None])
    assert ran.code == 1
    assert "field_mappings" in ran.stderr
    assert one.server.ledger.accepted() == 0


def test_columns_that_are_not_those_of_the_file_fail_the_import(vendor: Callable[..., Vendor]) -> None:
    one, contacts = sendgrid(vendor, "contacts_import", "c.csv")
    ran = one.run(contacts=contacts, columns=["email"])
    assert (ran.code, ran.last["state"]) == (4, "failed")


def test_sendgrid_takes_contacts_as_json(vendor: Callable[..., Vendor]) -> None:
    one, contacts = sendgrid(vendor, "contacts_upsert", "c.jsonl")
    ran = one.run("--destination", "out/", contacts=contacts, list_ids=["l-1"])
    assert (ran.code, ran.last["state"]) == (3, "partial"), ran.stderr
    assert len(one.lines("out/rejects.jsonl")) == 2
    assert one.server.ledger.entries("submit")[0].body.startswith('{"contacts":[{"email":')


def test_sendgrid_gets_as_many_requests_as_its_limits_want(vendor: Callable[..., Vendor]) -> None:
    one, contacts = sendgrid(vendor, "contacts_upsert", "c.jsonl", request_contacts=10, request_bytes=20_000)
    limits = {"part_bytes": 20_000, "job_bytes": 20_000, "part_records": 10, "job_records": 10}
    ran = one.run("--destination", "out/", contacts=contacts, upload=limits)
    assert ran.code == 3, ran.stderr
    ledger = one.server.ledger
    assert max(entry.size for entry in ledger.entries("submit")) <= 20_000
    assert ledger.accepted() == 4
    assert ledger.records.counts()["received"] == 40


def test_sendgrid_hears_of_nothing_without_its_key(vendor: Callable[..., Vendor]) -> None:
    one, contacts = sendgrid(vendor, "contacts_upsert", "c.jsonl")
    ran = one.run("--destination", "out/", contacts=contacts, connection={"password": "SG.other"})
    assert ran.code == 1
    assert "authorization grant is invalid" in ran.stderr
    assert one.server.ledger.accepted() == 0
