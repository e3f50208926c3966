"""What the answer to a poll says of the state: values, rules, unknown words, answers that say nothing."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_asyncjob.errors import (
    UnknownStatusError,
    UnreadableError,
)
from airflow_asyncjob.protocol import Wait
from tests.protocol.driving import (
    BUSY,
    SORRY,
    answer,
    error_of,
    goes_on,
    outcome_of,
    polling,
)


def by_rules(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"status": {"path": None, "values": None, "rules": list(rules), **more}}


def mapped(path: Any, **values: Any) -> dict[str, Any]:
    """Return a change that maps only these values."""
    empty = dict.fromkeys(("running", "done", "no_data", "partial", "failed", "timed_out", "cancelled"))
    return {"status": {"path": path, "values": {**empty, **values}}}


# States -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("nothing", "no_data"),
        ("broken", "failed"),
        ("expired", "timed_out"),
        ("stopped", "cancelled"),
    ],
)
def test_states_without_a_result_have_an_empty_target(word: str, state: str) -> None:
    outcome = outcome_of(answer(200, {"status": word, "message": "because", "urls": ["/x"]}))
    assert (outcome.state, outcome.target, outcome.raw_status) == (state, [], word)
    assert outcome.message == "because"


@pytest.mark.parametrize(("word", "state"), [("ready", "done"), ("some", "partial")])
def test_states_with_a_result_have_its_target(word: str, state: str) -> None:
    outcome = outcome_of(answer(200, {"status": word, "urls": ["/a", "/b"]}))
    assert (outcome.state, outcome.target) == (state, ["/a", "/b"])
    assert outcome.sent == "GET https://api.example.com/jobs/7"
    assert outcome.waited == 1000.0
    assert outcome.polls == 1


def test_timed_out_by_the_api_cancels_nothing() -> None:
    drive = polling().tell(answer(200, {"status": "expired"}))
    assert drive.until_finish().outcome is not None
    assert [send.purpose for _, send in drive.sent] == ["poll"]


@pytest.mark.parametrize(
    ("raw", "values", "state"),
    [
        (2, {"running": [0, 1], "failed": [2]}, "failed"),
        (False, {"running": [False], "failed": [0]}, None),
        (0, {"running": [False], "failed": [0]}, "failed"),
        ("1", {"running": ["1"], "failed": [1]}, None),
        (1.0, {"running": ["x"], "failed": [1.0]}, "failed"),
    ],
)
def test_values_are_compared_by_type_too(raw: Any, values: dict[str, Any], state: str | None) -> None:
    event = answer(200, {"status": raw})
    if state is None:
        goes_on(event, mapped("status", **values))
    else:
        assert outcome_of(event, mapped("status", **values)).state == state


def test_the_status_may_be_a_header_or_the_code() -> None:
    by_header = mapped({"header": "X-State"}, running=["r"], failed=["f"])
    assert outcome_of(answer(200, None, {"x-state": "f"}), by_header).state == "failed"
    by_code = mapped({"code": True}, running=[202], failed=[500], no_data=[204])
    assert goes_on(answer(202), by_code).job.raw_status == 202
    assert outcome_of(answer(204), by_code).state == "no_data"
    assert outcome_of(answer(500, {"e": 1}), by_code).state == "failed"


def test_an_unmapped_error_code_is_an_error_answer_also_where_the_code_is_the_status() -> None:
    by_code = mapped({"code": True}, running=[202], failed=[500])
    drive = goes_on(answer(503), by_code)
    assert drive.job.facts.errors == 1


def test_an_absent_status_may_be_mapped_as_null() -> None:
    values = mapped("status", running=[None], failed=["f"])
    assert goes_on(answer(200, {"other": 1}), values).job.facts.errors == 0
    assert goes_on(answer(200, {"status": None}), values).job.facts.errors == 0


@pytest.mark.parametrize(
    ("body", "found"), [({"status": None}, "is null"), ({"state": "x"}, "matches nothing")]
)
def test_a_null_status_is_not_an_absent_one(body: dict[str, Any], found: str) -> None:
    trouble = goes_on(answer(200, body)).job.facts.trouble
    assert f"status.path: path 'status' {found}; the body has '{next(iter(body))}'" in trouble


@pytest.mark.parametrize("body", [b"", b"  \n", b"null"])
def test_a_200_that_says_nothing_is_a_failed_poll_even_where_null_is_mapped(body: bytes) -> None:
    values = mapped("status", running=[None], failed=["f"])
    assert goes_on(answer(200, body), values).job.facts.errors == 1


def test_an_empty_answer_decides_nothing_by_rules_either() -> None:
    rules = by_rules(
        {"when": "body.done", "state": "failed"}, {"when": "body.state == 'wait'", "state": "running"}
    )
    assert goes_on(answer(200), rules).job.facts.errors == 1


# Rules --------------------------------------------------------------------------------------------------


def test_rules_come_before_the_path_and_the_first_true_one_decides() -> None:
    rules = {
        "status": {
            "rules": [
                {
                    "when": "body.finished and not body.success",
                    "state": "failed",
                    "message": "{{ body.error }}!",
                },
                {"when": "body.finished", "state": "no_data"},
            ]
        }
    }
    outcome = outcome_of(
        answer(200, {"status": "busy", "finished": True, "success": False, "error": "E1"}), rules
    )
    assert (outcome.state, outcome.message, outcome.raw_status) == ("failed", "E1!", "busy")
    assert outcome_of(answer(200, {"finished": True, "success": True}), rules).state == "no_data"
    assert goes_on(answer(200, {"status": "busy", "finished": False}), rules).job.facts.errors == 0


def test_a_rule_reads_an_error_answer_only_when_it_looks_at_the_code() -> None:
    rules = by_rules(
        {"when": "not body.pending", "state": "failed"}, {"when": "code == 404", "state": "no_data"}
    )
    assert goes_on(answer(503, {"error": "x"}), rules).job.facts.errors == 1
    assert goes_on(SORRY, rules).job.facts.errors == 1
    assert outcome_of(answer(404, {"pending": True}), rules).state == "no_data"
    assert outcome_of(answer(200, {"pending": False}), rules).state == "failed"


def test_a_redirect_is_an_answer() -> None:
    rules = by_rules({"when": "code == 303", "state": "done"}, {"when": "code == 200", "state": "running"})
    result = {"result": {"target": {"header": "location"}}}
    html = b"<html>See other</html>"
    assert outcome_of(answer(303, html, {"location": "/r/1"}), rules, result).target == "/r/1"


def test_a_redirect_that_says_nothing_is_named() -> None:
    error = error_of(answer(302, b"<html>moved</html>"), {"status": {"poll_error_budget": 0}})
    assert "the answer is a redirect" in error.message


def test_a_rule_that_does_not_fit_a_good_answer_is_a_failed_poll() -> None:
    rules = by_rules({"when": "body.count + 1 > 2", "state": "failed"}, poll_error_budget=0)
    error = error_of(answer(200, {"count": "x"}), rules)
    assert isinstance(error, UnreadableError)
    assert "status.rules[0].when" in error.message


def test_no_true_rule_is_an_unknown_status() -> None:
    error = error_of(answer(200, {"x": 1}), by_rules({"when": "body.done", "state": "done"}))
    assert isinstance(error, UnknownStatusError)
    assert "no rule of status.rules is true" in error.message


def test_a_rule_that_does_not_fit_an_error_answer_is_not_true() -> None:
    rules = by_rules({"when": "code == 503 and body.count + 1 > 2", "state": "failed"})
    assert goes_on(answer(503, {"count": "x"}), rules).job.facts.errors == 1


def test_a_message_of_a_rule_that_cannot_be_rendered_gives_way_to_the_section_s() -> None:
    rules = by_rules({"when": "body.end", "state": "failed", "message": "{{ body.reason }}"}, message="text")
    assert outcome_of(answer(200, {"end": True, "text": "as it says"}), rules).message == "as it says"


# Unknown ------------------------------------------------------------------------------------------------


def test_an_unknown_status_says_the_value_the_path_and_what_is_mapped() -> None:
    error = error_of(answer(200, {"status": "READY"}))
    assert isinstance(error, UnknownStatusError)
    assert not error.retryable
    for text in [
        "'READY' (text) at path 'status'",
        "running: 'busy'",
        "done: 'ready'",
        "status.values",
        "https://",
    ]:
        assert text in error.message


def test_unknown_may_be_read_as_running_so_many_times_in_a_row() -> None:
    changes = {"status": {"unknown": "running", "unknown_times": 2}}
    drive = polling(changes)
    odd = answer(200, {"status": "odd"})
    for event in (odd, odd, BUSY, odd, odd):
        drive.tell(event)
        assert isinstance(drive.command, Wait)
        assert drive.job.raw_status == ("odd" if event is odd else "busy")
        drive.until_send()
    error = drive.tell(odd).until_finish().error
    assert isinstance(error, UnknownStatusError)
