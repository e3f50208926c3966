"""Summary, preview, and what two processes kept of one job: bounds, and what counts."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from airflow_asyncjob.panel import (
    PREVIEW_BYTES,
    SUMMARY_BYTES,
    Book,
    Summary,
    merged,
    preview_of,
)

DOWNLOAD = {
    "records": 5,
    "bytes": 120,
    "seconds": 0.4,
    "uris": ["s3://lake/a.parquet"],
    "files": 1,
    "rejects": None,
    "sha256": "f" * 64,
    "format": "parquet",
}
FULL = Summary(
    kind="fetch",
    of="key",
    definition="sendgrid/contacts_export",
    conn_id="sendgrid",
    submission_id="7",
    state="downloaded",
    raw_status="ready",
    message="all well",
    progress=100,
    submitted_at=1.0,
    started_at=2.0,
    updated_at=3.0,
    next_poll_at=4.0,
    deadline=5.0,
    ended_at=6.0,
    polls=7,
    failed_polls=8,
    unknown=9,
    remote_url="https://app.example.com/jobs/7",
    can_cancel=True,
    download=DOWNLOAD,
    trouble="3 polls in a row failed",
)


def test_a_summary_comes_back_as_it_was_written() -> None:
    blank = Summary("submit")
    same = [
        field.name for field in fields(Summary) if getattr(FULL, field.name) == getattr(blank, field.name)
    ]
    assert same == [], "every field is given"
    plain = json.loads(json.dumps(FULL.to_dict()))
    assert Summary.from_dict(plain) == FULL
    assert Summary.from_dict({**plain, "version": 2, "later": 1}) == FULL
    assert [Summary.from_dict(other) for other in (None, "x", {}, {"kind": 5})] == [None] * 4


@pytest.mark.parametrize(
    "long",
    [
        {"message": "й" * 10_000},
        {"raw_status": {"deep": ["x" * 5000]}},
        {"progress": "y" * 5000, "trouble": "z" * 5000, "remote_url": "https://u/" + "q" * 4000},
        {
            "download": {
                **DOWNLOAD,
                "uris": [f"s3://lake/part-{n}.parquet" for n in range(1000)],
                "files": 1000,
            }
        },
        {"submission_id": "i" * 4000, "definition": "d" * 4000, "of": "k" * 4000, "message": "й" * 500},
    ],
)
def test_a_summary_stays_under_its_bound(long: dict[str, Any]) -> None:
    plain = replace(FULL, **long).to_dict()
    assert len(json.dumps(plain)) <= SUMMARY_BYTES
    again = Summary.from_dict(plain)
    assert again is not None
    assert (again.kind, again.state, again.polls) == ("fetch", "downloaded", 7)
    if "download" in long:
        assert again.download is not None
        assert again.download["files"] == 1000
        assert again.download["uris"][0] == "s3://lake/part-0.parquet"


def test_counts_and_times_are_no_news() -> None:
    quiet = replace(FULL, polls=9, updated_at=9.0, next_poll_at=10.0, progress=50, failed_polls=0)
    assert not replace(quiet, message="51 %", trouble="4 polls in a row failed").differs(FULL)
    for news in ({"state": "error"}, {"raw_status": "gone"}, {"of": "other"}, {"trouble": None}):
        assert replace(FULL, **news).differs(FULL)
    assert FULL.differs(None)


def book(of: str, *starts: float) -> Book:
    made = Book(of)
    for at in starts:
        made.add({"purpose": "poll", "method": "GET", "url": f"/{at}", "started_at": at, "code": 200})
        made.read_as(at, f"at {at}", "running", 200)
    return made


def test_what_worker_and_trigger_kept_is_united() -> None:
    worker = (replace(FULL, updated_at=10.0, state="running").to_dict(), book("key", 1.0, 2.0).to_dict())
    trigger = (replace(FULL, updated_at=20.0, state="done").to_dict(), book("key", 2.0, 3.0).to_dict())
    for order in ((worker, trigger), (trigger, worker), (trigger, (None, None), worker, trigger)):
        kept = merged(*order)
        assert kept.summary is not None
        assert kept.summary.state == "done"
        plain = kept.book.to_dict()
        assert [one["started_at"] for one in plain["exchanges"]] == [1.0, 2.0, 3.0]
        assert [one[0] for one in plain["polls"]] == [1.0, 2.0, 3.0]


def test_what_only_the_older_summary_knows_stays() -> None:
    older = replace(FULL, updated_at=10.0).to_dict()
    waiting = Summary("fetch", of="key", state="running", started_at=9.0, updated_at=20.0, polls=7)
    summary = merged((older, None), (waiting.to_dict(), None)).summary
    assert summary is not None
    assert (summary.remote_url, summary.raw_status, summary.started_at) == (FULL.remote_url, "ready", 2.0)
    polled = replace(waiting, polls=8).to_dict()
    summary = merged((older, None), (polled, None)).summary
    assert summary is not None
    assert (summary.raw_status, summary.message, summary.deadline) == (None, None, 5.0)


def test_what_is_kept_of_another_job_is_not_mixed_in() -> None:
    old = (replace(FULL, updated_at=10.0, of="old").to_dict(), book("old", 1.0).to_dict())
    new = (replace(FULL, updated_at=20.0, of="new").to_dict(), book("new", 5.0).to_dict())
    plain = merged(old, new).book.to_dict()
    assert [one["started_at"] for one in plain["exchanges"]] == [5.0]
    assert merged((None, None)).summary is None


def test_a_preview_is_bounded_in_rows_columns_and_cells() -> None:
    plain = preview_of([{"id": 1, "name": "Ann"}, {"id": 2, "mail": None}])
    assert plain["columns"] == ["id", "name", "mail"]
    assert plain["rows"] == [[1, "Ann", None], [2, None, None]]
    wide = preview_of([{f"c{n}": "й" * 1000 for n in range(500)} for _ in range(100)])
    assert len(json.dumps(wide)) <= PREVIEW_BYTES
    assert (len(wide["columns"]), wide["left_out"]) == (60, 440)
    assert preview_of([{"at": object}])["rows"][0][0].startswith("<class")
