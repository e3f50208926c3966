"""What a drive ends with quotes answers, and an answer may repeat a secret."""

from __future__ import annotations

import traceback

import pytest

from airflow_asyncjob.errors import AsyncJobError, UncertainError, UnreadableError
from airflow_asyncjob.protocol.messages import Finish, Outcome, Submission
from airflow_asyncjob.transport.conceal import conceal, conceal_error
from airflow_asyncjob.transport.redact import Redactor

SECRET = "planted-secret-1"


def test_an_error_loses_the_secret_also_in_its_traceback() -> None:
    redactor = Redactor([SECRET])

    def submit() -> None:
        try:
            raise UnreadableError(f"path 'id' matches nothing in: hello {SECRET}")
        except UnreadableError as error:
            conceal_error(error, redactor)
            raise AsyncJobError("the submit went wrong") from error

    with pytest.raises(AsyncJobError) as raised:
        submit()
    told = "".join(traceback.format_exception(raised.value))
    assert "matches nothing in: hello ***" in told
    assert SECRET not in told.split("raise UnreadableError", 1)[1].split("\n", 1)[1]


def test_an_error_keeps_what_else_it_says() -> None:
    error = UncertainError(f"lost; sent {SECRET}", may_resubmit=False)
    finish = conceal(Finish(error=error), Redactor([SECRET]))
    assert finish.error is error
    assert (str(error), error.may_resubmit) == ("lost; sent ***", False)


def test_messages_lose_secrets_and_the_target_stays() -> None:
    outcome = Outcome(
        state="failed",
        target=f"https://files/{SECRET}",
        raw_status=f"no {SECRET}",
        message=SECRET,
        progress={"step": [f"saw {SECRET}", 7]},
        polls=3,
        log=f"line 1\nused {SECRET}",
    )
    told = conceal(Finish(outcome=outcome), Redactor([SECRET])).outcome
    assert told is not None
    assert (told.message, told.raw_status, told.polls) == ("***", "no ***", 3)
    assert told.log == "line 1\nused ***"
    assert told.progress == {"step": ["saw ***", 7]}
    assert told.target == f"https://files/{SECRET}", "the download needs it"


def test_an_end_that_the_submit_told_loses_secrets_too() -> None:
    submission = Submission("7", 1.0, outcome=Outcome("failed", [], message=f"saw {SECRET}"))
    told = conceal(Finish(submission=submission), Redactor([SECRET])).submission
    assert told == Submission("7", 1.0, outcome=Outcome("failed", [], message="saw ***"))
    assert conceal(Finish(submission=Submission("7", 1.0)), Redactor([SECRET])).submission is not None
