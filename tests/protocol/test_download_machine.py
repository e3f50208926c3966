"""The machine for one download target: every row of its table, waits, credentials, bodies that break off."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.errors import DefinitionError, RefusedError, TruncatedError, UnreachableError
from airflow_asyncjob.protocol import (
    BodyBroken,
    BodyEnded,
    Download,
    Event,
    Finish,
    Outcome,
    Purpose,
    Receive,
    Refresh,
    Send,
    Submission,
    Wait,
)
from airflow_asyncjob.protocol.transitions import Phase, Verdict
from tests.protocol.driving import (
    BAD_URL,
    CHANGED,
    DENIED,
    LOST,
    NOT_SENT,
    NOW,
    SORRY,
    UNCHANGED,
    W,
    answer,
    definition,
)
from tests.protocol.walking import Row, Walk, check_all_rows, check_row

P, V = Phase, Verdict
GOOD = answer(200)
ENDED = BodyEnded()
BROKEN = BodyBroken("GET https://files.example.com/1", "1000 of 5000 bytes")
NEVER = {"limits": {"retries": 0}}
NO_ROWS = {"errors": {"result": [{"when": "code == 204", "then": "no_data"}]}}


class Fetch(Walk[Download]):
    def __init__(self, *changes: dict[str, Any], target: str = "https://files.example.com/1") -> None:
        super().__init__(
            Download(
                definition(*changes),
                target,
                inputs={"a": 1},
                names={"ds": "2026-01-01"},
                submission=Submission("7", NOW, {"token": "t"}),
                captures={"shard": 3},
            )
        )


ROWS: list[Row] = [
    (P.START, V.FRESH, P.FETCH, Send, lambda: Fetch()),
    (P.FETCH, V.OPEN, P.RECEIVE, Receive, lambda: Fetch().tell(GOOD)),
    (P.FETCH, V.NOTHING, P.FINISHED, Finish, lambda: Fetch(NO_ROWS).tell(answer(204))),
    (P.FETCH, V.DENIED, P.FETCH_REFRESH, Refresh, lambda: Fetch().tell(DENIED)),
    (P.FETCH, V.AGAIN, P.FETCH_PAUSE, Wait, lambda: Fetch().tell(SORRY)),
    (P.FETCH, V.EXHAUSTED, P.FINISHED, Finish, lambda: Fetch(NEVER).tell(SORRY)),
    (P.FETCH, V.REFUSED, P.FINISHED, Finish, lambda: Fetch().tell(answer(404))),
    (P.FETCH_REFRESH, V.CHANGED, P.FETCH, Send, lambda: Fetch().tell(DENIED, CHANGED)),
    (P.FETCH_REFRESH, V.UNCHANGED, P.FINISHED, Finish, lambda: Fetch().tell(DENIED, UNCHANGED)),
    (P.FETCH_PAUSE, V.WOKEN, P.FETCH, Send, lambda: Fetch().tell(NOT_SENT, W)),
    (P.RECEIVE, V.WHOLE, P.FINISHED, Finish, lambda: Fetch().tell(GOOD, ENDED)),
    (P.RECEIVE, V.AGAIN, P.FETCH_PAUSE, Wait, lambda: Fetch().tell(GOOD, BROKEN)),
    (P.RECEIVE, V.EXHAUSTED, P.FINISHED, Finish, lambda: Fetch(NEVER).tell(GOOD, BROKEN)),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_a_row_is_taken_and_leads_where_it_says(row: Row) -> None:
    check_row(row)


def test_the_rows_here_are_all_rows_of_the_table() -> None:
    check_all_rows(ROWS, Download)


def test_the_target_is_asked_for_as_it_is_and_streamed() -> None:
    send = Fetch(target="https://files.example.com/a%20b?sig=x%2By").command
    assert isinstance(send, Send)
    assert (send.purpose, send.stream, send.request.method) == (Purpose.RESULT, True, "GET")
    assert send.names["download_target"] == "https://files.example.com/a%20b?sig=x%2By"
    from airflow_asyncjob.definition.render import render_request

    assert render_request(send.request, send.names).url == "https://files.example.com/a%20b?sig=x%2By"


def test_the_names_are_those_of_the_job() -> None:
    send = Fetch().command
    assert isinstance(send, Send)
    assert send.names["captures"] == {"token": "t", "shard": 3}
    assert send.names["submission_id"] == "7"
    assert send.names["inputs"] == {"a": 1}
    assert send.names["ds"] == "2026-01-01"


def test_the_definition_s_own_request_is_used() -> None:
    send = Fetch({"result": {"request": {"url": "/files/{{ download_target }}"}}}, target="f1").command
    assert isinstance(send, Send)
    assert send.request.url == "/files/{{ download_target }}"
    assert send.where == "result.request"


def test_without_a_target_and_a_request_there_is_nothing_to_ask() -> None:
    with pytest.raises(DefinitionError, match=r"no download target\. Give result\.target or result\.request"):
        Fetch(target="")


def test_a_whole_body_is_the_end() -> None:
    assert Fetch().tell(GOOD, ENDED).command == Finish(outcome=Outcome("done", "https://files.example.com/1"))


def test_no_data_by_a_rule_is_no_error() -> None:
    assert Fetch(NO_ROWS).tell(answer(204)).command == Finish(outcome=Outcome("no_data", []))


def test_a_body_that_breaks_off_is_fetched_again_from_the_start() -> None:
    fetch = Fetch().tell(GOOD)
    assert fetch.command == Receive(again=False)
    fetch.tell(BROKEN, W, GOOD)
    assert fetch.command == Receive(again=True)
    assert isinstance(fetch.tell(ENDED).command, Finish)


def test_a_body_that_breaks_off_for_ever_is_truncated() -> None:
    fetch = Fetch({"limits": {"retries": 2}}).tell(GOOD, BROKEN, W, GOOD, BROKEN, W, GOOD, BROKEN)
    error = fetch.error
    assert isinstance(error, TruncatedError)
    assert error.retryable
    for text in [
        "3 tries of the download did not work",
        "GET https://files.example.com/1",
        "1000 of 5000 bytes",
    ]:
        assert text in error.message


def test_tries_wait_longer_and_longer() -> None:
    fetch, waits = Fetch(), []
    for event in (SORRY, NOT_SENT, LOST):
        fetch.tell(event)
        command = fetch.command
        assert isinstance(command, Wait)
        assert command.reason == "the next try of the download"
        waits.append(int(command.until - fetch.now))
        fetch.tell(W)
    assert waits == [1, 2, 4]


def test_a_retry_after_is_obeyed_up_to_an_hour() -> None:
    command = Fetch().tell(answer(503, None, {"retry-after": "3000"})).command
    assert isinstance(command, Wait)
    assert command.until == NOW + 3000
    error = Fetch().tell(answer(503, None, {"retry-after": "4000"})).error
    assert isinstance(error, UnreachableError)
    assert error.retryable
    assert "The API wants no request before 2023-11-14 23:20:00 UTC" in error.message


def test_no_answer_after_every_try_says_how_many_there_were() -> None:
    error = Fetch({"limits": {"retries": 1}}).tell(NOT_SENT, W, NOT_SENT).error
    assert isinstance(error, UnreachableError)
    assert "2 tries of the download did not work" in error.message
    assert "connection refused" in error.message
    assert "limits.retries" in error.message


@pytest.mark.parametrize("code", [401, 403])
def test_credentials_are_fetched_again_once(code: int) -> None:
    event = answer(code, {"error": "expired"})
    error = Fetch().tell(event, CHANGED, event).error
    assert isinstance(error, RefusedError)
    assert "a link to a result may also have expired" in error.message
    assert f"answered {code}" in error.message


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (answer(404), "expired, or was deleted"),
        (answer(410), "expired, or was deleted"),
        (answer(302), "The redirect was not followed"),
        (answer(400, {"e": "bad"}), "Correct result.target or result.request"),
        (BAD_URL, "Cannot send the download"),
    ],
)
def test_what_cannot_succeed_is_not_repeated(event: Event, says: str) -> None:
    error = Fetch().tell(event).error
    assert isinstance(error, RefusedError)
    assert says in error.message


def test_rules_of_a_result_come_first() -> None:
    rules = {
        "errors": {
            "result": [
                {"when": "body.code == 'ResultNotReady'", "then": "retry", "wait": 33},
                {"when": "code == 500", "then": "fail", "message": "broken for good"},
                {"when": "code == 203", "then": "accept"},
            ]
        }
    }
    early = Fetch(rules).tell(answer(404, {"code": "ResultNotReady"})).command
    assert isinstance(early, Wait)
    assert early.until == NOW + 33
    error = Fetch(rules).tell(answer(500, {})).error
    assert isinstance(error, RefusedError)
    assert "broken for good" in error.message
    assert isinstance(Fetch(rules).tell(answer(203)).command, Receive)
