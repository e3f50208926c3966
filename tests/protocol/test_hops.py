"""The machine for the steps to a result: every row of its table, captures, items, targets."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.errors import RefusedError, TemplateError, UnreachableError, UnreadableError
from airflow_asyncjob.protocol import (
    Event,
    Finish,
    Hops,
    Outcome,
    Purpose,
    Refresh,
    Send,
    Submission,
    Wait,
)
from airflow_asyncjob.protocol.transitions import Phase, Verdict
from tests.protocol.driving import (
    CHANGED,
    DENIED,
    HTML,
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
NEVER = {"limits": {"retries": 0}}
NO_ROWS = {"errors": {"result": [{"when": "code == 204", "then": "no_data"}]}}
LIST = {"name": "list", "request": {"url": "/jobs/{{ submission_id }}/files"}, "capture": {"ids": "ids"}}
LINK = {
    "name": "link",
    "each": "{{ captures.ids }}",
    "request": {"method": "POST", "url": "/links", "json": {"file": "{{ item }}"}},
    "capture": {"tokens": "token"},
}


class Steps(Walk[Hops]):
    def __init__(self, *changes: dict[str, Any], steps: Any = (LIST, LINK), target: Any = "url") -> None:
        result = {"target": target, "steps": list(steps)}
        super().__init__(
            Hops(
                definition({"result": result}, *changes),
                inputs={},
                names={"ds": "2026-01-01"},
                submission=Submission("7", NOW, {"region": "eu"}),
                captures={"shard": 3},
            )
        )


IDS = answer(200, {"ids": ["a", "b"]})
A, B = (answer(200, {"url": f"/f/{name}", "token": name}) for name in "AB")

ROWS: list[Row] = [
    (P.START, V.FRESH, P.FETCH, Send, lambda: Steps()),
    (P.FETCH, V.STEPPED, P.FETCH, Send, lambda: Steps().tell(IDS)),
    (P.FETCH, V.ENDED, P.FINISHED, Finish, lambda: Steps().tell(IDS, A, B)),
    (P.FETCH, V.NOTHING, P.FINISHED, Finish, lambda: Steps(NO_ROWS).tell(answer(204))),
    (P.FETCH, V.DENIED, P.FETCH_REFRESH, Refresh, lambda: Steps().tell(DENIED)),
    (P.FETCH, V.AGAIN, P.FETCH_PAUSE, Wait, lambda: Steps().tell(SORRY)),
    (P.FETCH, V.EXHAUSTED, P.FINISHED, Finish, lambda: Steps(NEVER).tell(LOST)),
    (P.FETCH, V.REFUSED, P.FINISHED, Finish, lambda: Steps().tell(answer(404))),
    (P.FETCH_REFRESH, V.CHANGED, P.FETCH, Send, lambda: Steps().tell(DENIED, CHANGED)),
    (P.FETCH_REFRESH, V.UNCHANGED, P.FINISHED, Finish, lambda: Steps().tell(DENIED, UNCHANGED)),
    (P.FETCH_PAUSE, V.WOKEN, P.FETCH, Send, lambda: Steps().tell(NOT_SENT, W)),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_a_row_is_taken_and_leads_where_it_says(row: Row) -> None:
    check_row(row)


def test_the_rows_here_are_all_rows_of_the_table() -> None:
    check_all_rows(ROWS, Hops)


def test_a_step_sees_the_job_and_is_called_by_its_place() -> None:
    send = Steps().send
    assert (send.purpose, send.stream, send.where) == (Purpose.RESULT, False, "result.steps[0].request")
    assert send.step == "list"
    assert send.names["captures"] == {"region": "eu", "shard": 3}
    assert (send.names["submission_id"], send.names["ds"], send.names["inputs"]) == ("7", "2026-01-01", {})
    assert "item" not in send.names


def test_each_repeats_a_step_and_makes_lists() -> None:
    walk = Steps().tell(IDS)
    assert (walk.send.names["item"], walk.send.step) == ("a", "link 1 of 2")
    walk.tell(A)
    assert (walk.send.names["item"], walk.send.step) == ("b", "link 2 of 2")
    assert walk.send.names["captures"]["tokens"] == ["A"]
    outcome = walk.tell(B).outcome
    assert (outcome.state, outcome.target) == ("done", ["/f/A", "/f/B"])
    assert outcome.captures == {"region": "eu", "shard": 3, "ids": ["a", "b"], "tokens": ["A", "B"]}


def test_each_over_nothing_is_passed_over() -> None:
    empty = answer(200, {"ids": []})
    assert Steps().tell(empty).outcome == Outcome(
        "no_data", [], captures={"region": "eu", "shard": 3, "ids": [], "tokens": []}
    )
    last = {"name": "last", "request": {"url": "/all", "params": {"t": "{{ captures.tokens | length }}"}}}
    walk = Steps(steps=(LIST, LINK, last)).tell(empty)
    assert (walk.send.step, walk.send.names["captures"]["tokens"]) == ("last", [])
    assert walk.tell(A).outcome.target == "/f/A"


def test_the_targets_of_all_items_become_one_list() -> None:
    many = [answer(200, {"urls": urls, "token": 1}) for urls in (["/1", "/2"], [], ["/3"])]
    walk = Steps(target="urls[]").tell(answer(200, {"ids": [1, 2, 3]}), *many)
    assert walk.outcome.target == ["/1", "/2", "/3"]


def test_a_target_that_is_a_template_sees_every_capture_and_is_made_once() -> None:
    walk = Steps(target="/files?tokens={{ captures.tokens | join(',') }}").tell(IDS, A, B)
    assert walk.outcome.target == "/files?tokens=A,B"


def test_a_fixed_request_needs_no_target() -> None:
    fixed = {"result": {"target": None, "request": {"url": "/all/{{ captures.tokens | first }}"}}}
    outcome = Steps(fixed).tell(IDS, A, B).outcome
    assert (outcome.target, outcome.captures["tokens"]) == ("7", ["A", "B"])


def test_tries_and_credentials_begin_anew_with_each_step() -> None:
    one = {"limits": {"retries": 1}}
    walk = Steps(one).tell(SORRY, W, DENIED, CHANGED, IDS, SORRY, W, DENIED, CHANGED, A, SORRY, W, B)
    assert walk.outcome.target == ["/f/A", "/f/B"]


def test_waits_are_those_of_a_download() -> None:
    command = Steps().tell(answer(503, None, {"retry-after": "120"})).command
    assert isinstance(command, Wait)
    assert (command.until, command.reason) == (NOW + 120, "the next try of the step 'list' of the result")


@pytest.mark.parametrize(
    ("events", "kind", "says"),
    [
        ([answer(404)], RefusedError, "The API refused the step 'list' of the result"),
        (
            [IDS, answer(400, {"e": 1})],
            RefusedError,
            r"the step 'link 1 of 2' .* Correct result\.steps\.",
        ),
        ([SORRY, W, SORRY], UnreachableError, "2 tries of the step 'list' of the result did not work"),
        (
            [IDS, A, LOST, W, LOST],
            UnreachableError,
            "2 tries of the step 'link 2 of 2' of the result did not",
        ),
        ([HTML, W, HTML], UnreadableError, "is HTML instead of"),
        ([answer(200, {"ids": "a"})], TemplateError, r"result\.steps\[1\]\.each: .* gave text, and a list"),
        ([answer(200, {})], UnreadableError, r"result\.steps\[0\]\.capture\.ids: path 'ids' matches nothing"),
        ([IDS, answer(200, {"url": "/a"})], UnreadableError, r"steps\[1\]\.capture\.tokens: path 'token'"),
        ([IDS, answer(200, {"token": 1})], UnreadableError, r"result\.target: path 'url' matches nothing"),
        ([DENIED, CHANGED, DENIED], RefusedError, "for the step 'list' of the result"),
    ],
)
def test_what_goes_wrong_is_said_with_the_step(events: list[Event], kind: type[Exception], says: str) -> None:
    error = Steps({"limits": {"retries": 1}}).tell(*events).error
    assert isinstance(error, kind)
    with pytest.raises(kind, match=says):
        raise error


def test_a_list_is_captured_whole() -> None:
    several = {**LIST, "capture": {"ids": "files[].id"}}
    walk = Steps(steps=(several, LINK)).tell(answer(200, {"files": [{"id": 1}, {"id": 2}]}))
    assert isinstance(walk.error, UnreadableError)
    assert "with | [0] (a list is captured whole, by the path to the list itself)" in walk.error.message
    whole = {**LIST, "capture": {"ids": "files"}}
    walk = Steps(steps=(whole, LINK)).tell(answer(200, {"files": [{"id": 1}, {"id": 2}]}))
    assert walk.send.names["item"] == {"id": 1}
