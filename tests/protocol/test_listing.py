"""The machine that lists jobs: every row of its table, what it reads of a job, pages, rules, errors."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.errors import (
    DefinitionError,
    PagingError,
    RefusedError,
    UnreachableError,
    UnreadableError,
)
from airflow_asyncjob.protocol import (
    Finish,
    ListedJob,
    Listing,
    Purpose,
    Refresh,
    Send,
    Wait,
)
from airflow_asyncjob.protocol.transitions import Phase, Verdict
from tests.protocol.driving import (
    BAD_URL,
    CHANGED,
    DENIED,
    HTML,
    LOST,
    NOW,
    SORRY,
    TOO_LARGE,
    UNCHANGED,
    W,
    answer,
    definition,
)
from tests.protocol.walking import Row, Walk, check_all_rows, check_row

P, V = Phase, Verdict
LIST: dict[str, Any] = {"request": {"url": "/jobs"}, "records": "jobs", "id": "id", "status": "status"}
PAGED = {"list": {"paginate": {"next": "next"}}}
ONE = {"id": 7, "status": "busy"}
GOOD = answer(200, {"jobs": [ONE]})
MORE = answer(200, {"jobs": [{"id": 1}], "next": "/jobs?after=1"})
NEVER = {"limits": {"retries": 0}}


class Asked(Walk[Listing]):
    def __init__(self, *changes: dict[str, Any], limit: int | None = None) -> None:
        job = definition({"list": LIST}, *changes)
        super().__init__(Listing(job, inputs={"a": 1}, names={"ds": "2026-01-01"}, limit=limit))

    @property
    def jobs(self) -> list[ListedJob]:
        assert self.error is None
        return self.machine.jobs


ROWS: list[Row] = [
    (P.START, V.FRESH, P.FETCH, Send, lambda: Asked()),
    (P.FETCH, V.OPEN, P.FETCH, Send, lambda: Asked(PAGED).tell(MORE)),
    (P.FETCH, V.WHOLE, P.FINISHED, Finish, lambda: Asked().tell(GOOD)),
    (P.FETCH, V.DENIED, P.FETCH_REFRESH, Refresh, lambda: Asked().tell(DENIED)),
    (P.FETCH, V.AGAIN, P.FETCH_PAUSE, Wait, lambda: Asked().tell(SORRY)),
    (P.FETCH, V.EXHAUSTED, P.FINISHED, Finish, lambda: Asked(NEVER).tell(LOST)),
    (P.FETCH, V.REFUSED, P.FINISHED, Finish, lambda: Asked().tell(answer(404))),
    (P.FETCH_REFRESH, V.CHANGED, P.FETCH, Send, lambda: Asked().tell(DENIED, CHANGED)),
    (P.FETCH_REFRESH, V.UNCHANGED, P.FINISHED, Finish, lambda: Asked().tell(DENIED, UNCHANGED)),
    (P.FETCH_PAUSE, V.WOKEN, P.FETCH, Send, lambda: Asked().tell(SORRY, W)),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_a_row_is_taken_and_leads_where_it_says(row: Row) -> None:
    check_row(row)


def test_the_rows_here_are_all_rows_of_the_table() -> None:
    check_all_rows(ROWS, Listing)


# What is read -------------------------------------------------------------------------------------------


def test_everything_that_is_known_of_a_job_is_read() -> None:
    fields = {
        "submitted_at": "created",
        "message": "error.text",
        "marker": {"path": "tags", "regex": "k=(.*)"},
    }
    body = {
        "jobs": [{**ONE, "created": "2026-01-01", "error": {"text": "slow"}, "tags": "k=abc"}, {"id": "8"}]
    }
    asked = Asked({"list": fields}).tell(answer(200, body))
    assert asked.jobs == [
        ListedJob("7", "running", "busy", "2026-01-01", "slow", "abc"),
        ListedJob("8"),
    ]


def test_the_request_says_what_it_is_for() -> None:
    send = Asked().send
    assert (send.purpose, send.where, send.stream) == (Purpose.LIST, "list.request", False)
    assert send.names == {"inputs": {"a": 1}, "ds": "2026-01-01", "captures": {}}


def test_a_status_that_is_not_mapped_is_shown_as_it_is() -> None:
    (job,) = Asked().tell(answer(200, {"jobs": [{"id": 7, "status": "odd"}]})).jobs
    assert (job.state, job.raw_status) == (None, "odd")


@pytest.mark.parametrize("body", [{"jobs": []}, {"jobs": None}])
def test_there_may_be_no_jobs(body: Any) -> None:
    assert Asked().tell(answer(200, body)).jobs == []


def test_the_whole_body_may_be_the_list() -> None:
    assert Asked({"list": {"records": None}}).tell(answer(200, [ONE])).jobs[0].id == "7"


@pytest.mark.parametrize("count", [1, 2])
def test_xml_lists_one_job_as_it_lists_several(count: int) -> None:
    body = b"<jobs>" + b'<job ref="7"><state>busy</state></job>' * count + b"</jobs>"
    fields = {"records": "/jobs/job", "id": "@ref", "status": "state"}
    assert [job.id for job in Asked({"list": fields}).tell(answer(200, body)).jobs] == ["7"] * count


def test_the_id_may_lie_in_an_address() -> None:
    fields = {"id": {"path": "href", "regex": "jobs/([^/]+)$"}}
    asked = Asked({"list": fields}).tell(answer(200, {"jobs": [{"href": "https://h/jobs/7a"}]}))
    assert asked.jobs[0].id == "7a"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (answer(200, {"items": []}), "list.records: path 'jobs' matches nothing"),
        (answer(200, {"jobs": "none"}), "list.records: expected a list, and there is text: 'none'"),
        (
            answer(200, {"jobs": [ONE, {"name": "x"}]}),
            "list.id (job 2 of the list): path 'id' matches nothing",
        ),
        (answer(200, {"jobs": [{"id": None}]}), "list.id (job 1 of the list): path 'id' is null"),
        (answer(200, {"jobs": [{"id": []}]}), "list.id (job 1 of the list): expected text or a number"),
        (HTML, "HTML"),
        (TOO_LARGE, "more than 8388608 bytes"),
    ],
)
def test_an_answer_that_cannot_be_read_says_why(event: Any, said: str) -> None:
    error = Asked().tell(event).error
    assert isinstance(error, UnreadableError)
    assert said in error.message
    assert "https://api.example.com/jobs/7" in error.message


# Rules and errors ---------------------------------------------------------------------------------------


def test_rules_come_first() -> None:
    rules = [
        {"when": "code == 404", "then": "no_data"},
        {"when": "code == 400", "then": "accept"},
        {"when": "body.error == 'LOCKED'", "then": "retry", "wait": 9},
        {"when": "code == 203", "then": "fail", "message": "a copy"},
    ]
    errors = {"errors": {"list": rules}}
    assert Asked(errors).tell(answer(404)).jobs == []
    assert Asked(errors).tell(answer(400, {"jobs": [ONE]})).jobs[0].id == "7"
    locked = Asked(errors).tell(answer(409, {"error": "LOCKED"})).command
    assert isinstance(locked, Wait)
    assert locked.until == NOW + 9
    failed = Asked(errors).tell(answer(203, {"jobs": []})).error
    assert "A rule of the definition ends the list of jobs (when: code == 203). a copy" in failed.message


def test_what_is_refused_says_what_came() -> None:
    error = Asked().tell(answer(404, {"error": "no such path"})).error
    assert isinstance(error, RefusedError)
    assert (
        "The API refused the list of jobs: GET https://api.example.com/jobs/7 answered 404" in error.message
    )
    assert "Correct list.request" in error.message
    assert isinstance(Asked().tell(BAD_URL).error, RefusedError)


def test_tries_and_long_waits_are_bounded() -> None:
    error = Asked({"limits": {"retries": 1}}).tell(SORRY, W, SORRY).error
    assert isinstance(error, UnreachableError)
    assert "2 tries of the list of jobs did not work" in error.message
    patient = Asked().tell(answer(503, {}, {"retry-after": "86400"})).error
    assert isinstance(patient, UnreachableError)


# Pages --------------------------------------------------------------------------------------------------


def test_pages_are_followed() -> None:
    asked = Asked(PAGED).tell(MORE)
    assert asked.send.names["next"] == "https://api.example.com/jobs?after=1"
    assert [job.id for job in asked.tell(GOOD).jobs] == ["1", "7"]


def test_each_page_has_tries_and_credentials_of_its_own() -> None:
    asked = Asked(PAGED, {"limits": {"retries": 1}}).tell(SORRY, W, DENIED, CHANGED, MORE)
    assert [job.id for job in asked.tell(SORRY, W, DENIED, CHANGED, GOOD).jobs] == ["1", "7"]


def test_pages_by_number_end_with_an_empty_one() -> None:
    numbered = {"list": {"request": {"params": {"page": "{{ page }}"}}, "paginate": {}}}
    asked = Asked(numbered)
    assert asked.send.names["page"] == 1
    assert asked.tell(GOOD).send.names["page"] == 2
    assert len(asked.tell(answer(200, {"jobs": []})).jobs) == 1


def test_enough_jobs_end_the_pages() -> None:
    assert [job.id for job in Asked(PAGED, limit=1).tell(MORE).jobs] == ["1"]
    assert len(Asked(limit=1).tell(answer(200, {"jobs": [ONE, ONE]})).jobs) == 1


def test_pages_that_go_in_a_circle_are_an_error_of_the_list() -> None:
    error = Asked(PAGED).tell(MORE, MORE).error
    assert isinstance(error, PagingError)
    assert "the pages go round in a circle" in error.message
    assert "list.paginate.next" in error.message


def test_a_definition_without_a_list_is_told() -> None:
    with pytest.raises(DefinitionError, match="example/export has no section 'list', which says how the API"):
        Listing(definition(), inputs={}, names={})
