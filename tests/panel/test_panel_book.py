"""Book: what is kept of the exchanges and polls of a job, and what is left out when there is too much."""

from __future__ import annotations

import json
from typing import Any

from airflow_asyncjob.panel import TRACE_BYTES, Book


def exchange(purpose: str = "poll", at: float = 0.0, **fields: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "purpose": purpose,
        "method": "GET",
        "url": "https://api.example.com/jobs/7",
        "started_at": at,
        "elapsed": 0.1,
        "request_headers": {"accept": "*/*"},
        "code": 200,
        "response_headers": {"content-type": "application/json"},
        "response": '{"status": "running"}',
        "fault": None,
        "step": "",
    }
    return {**plain, **fields}


def poll(book: Book, at: float, status: str = "running", state: str = "running", **fields: Any) -> None:
    given = exchange(at=at, **{"response": json.dumps({"status": status}), **fields})
    book.add(given)
    book.read_as(at, status, state, given["code"])


def test_unchanged_polls_are_one_entry_with_a_count() -> None:
    book = Book("key")
    book.add(exchange("submit", 0.0))
    for at in range(1, 6):
        poll(book, float(at))
    poll(book, 6.0, "ready", "done")
    plain = book.to_dict()
    assert [(one["purpose"], one["count"], one.get("raw_status")) for one in plain["exchanges"]] == [
        ("submit", 1, None),
        ("poll", 5, "running"),
        ("poll", 1, "ready"),
    ]
    folded = plain["exchanges"][1]
    assert (folded["first_started_at"], folded["started_at"], folded["state"]) == (1.0, 5.0, "running")
    assert len(plain["polls"]) == 6
    assert plain["polls"][-1] == [6.0, "ready", "done", 200]
    assert (plain["left_out"], len(book)) == (0, 7)


def test_a_poll_that_failed_is_told_from_the_one_before() -> None:
    book = Book()
    poll(book, 1.0)
    poll(book, 2.0, code=503, state="error")
    poll(book, 3.0, code=None, fault="lost", state="error")
    plain = book.to_dict()
    assert [one["count"] for one in plain["exchanges"]] == [1, 1, 1]
    assert [one[3] for one in plain["polls"]] == [200, 503, 0]


def test_it_stays_under_the_bound_whatever_comes() -> None:
    book = Book("key")
    book.add(exchange("submit", 0.0, response="é" * 1024))
    for at in range(1, 3000):
        poll(book, float(at), f"step {at}", response="й" * 1024, url=f"https://api.example.com/{at}")
        if at in (5, 2000):
            poll(book, at + 0.5, "?", "error", code=500, response="ß" * 1024, detail="broken " * 50)
    plain = book.to_dict()
    assert len(json.dumps(plain)) <= TRACE_BYTES
    kept = plain["exchanges"]
    assert kept[0]["purpose"] == "submit"
    assert kept[0]["response"] == "é" * 1024, "the first submit stays whole"
    assert [one["started_at"] for one in kept if one["code"] == 500] == [5.5, 2000.5]
    assert kept[-1]["started_at"] == 2999.0
    assert len(plain["polls"]) == 200
    assert sum(one["count"] for one in kept) + plain["left_out"] == 3002


def test_polls_that_saw_nothing_new_go_before_the_pages_of_the_download() -> None:
    book = Book()
    for at in range(1, 100):
        poll(book, float(at), response=json.dumps({"percent": at, "pad": "x" * 900}))
    poll(book, 100.0, "ready", "done")
    for at in range(101, 110):
        book.add(exchange("result", float(at), response="", url=f"https://api.example.com/pages/{at}"))
    kept = book.to_dict()["exchanges"]
    polls = [one for one in kept if one["purpose"] == "poll"]
    assert polls[0]["started_at"] == 1.0, "the poll that saw the status first"
    assert polls[-1]["raw_status"] == "ready"
    assert len([one for one in kept if one["purpose"] == "result"]) == 9
    assert all(len(one["response"]) > 900 for one in polls[:-1]), "bodies stay as long as that is enough"


def test_a_download_of_many_pages_keeps_the_first_and_the_last() -> None:
    book = Book()
    for at in range(5000):
        book.add(exchange("result", float(at), response="", url=f"https://api.example.com/pages/{at}"))
    plain = book.to_dict()
    starts = [one["started_at"] for one in plain["exchanges"]]
    assert starts[:3] == [0.0, 1.0, 2.0]
    assert starts[-3:] == [4997.0, 4998.0, 4999.0]
    assert len(starts) + plain["left_out"] == 5000


def test_one_exchange_that_is_larger_than_everything_is_cut() -> None:
    book = Book()
    book.add(exchange("submit", 0.0, request_headers={"x-long": "y" * 100_000}, response="z" * 50_000))
    plain = book.to_dict()
    assert len(json.dumps(plain)) <= TRACE_BYTES
    assert plain["exchanges"][0]["method"] == "GET"
    assert plain["exchanges"][0]["request_headers"] == {}


def test_what_was_written_can_be_gone_on_with() -> None:
    book = Book("key", before=[{"submission_id": "6", "state": "failed"}])
    poll(book, 1.0)
    again = Book.from_dict(json.loads(json.dumps(book.to_dict())))
    poll(again, 2.0)
    plain = again.to_dict()
    assert (plain["of"], plain["before"]) == ("key", [{"submission_id": "6", "state": "failed"}])
    assert [one["count"] for one in plain["exchanges"]] == [2]
    assert Book.from_dict(None).to_dict()["exchanges"] == []
    assert Book.from_dict({"version": 99, "exchanges": [1]}).to_dict()["exchanges"] == []
