"""What a submit's own answer says of the job's end, where the definition wants it (``status.from``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_asyncjob.definition.extract import View
from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.definition.problems import shown
from airflow_asyncjob.errors import DefinitionError, UnreadableError
from airflow_asyncjob.protocol.messages import Outcome, Submission
from airflow_asyncjob.protocol.status import look_at, raw_status, true_rule
from airflow_asyncjob.protocol.targets import discreet, is_too_large

__all__ = ["with_end"]


def with_end(
    definition: AsyncJob, view: View, submission: Submission, names: Mapping[str, Any], sent: str
) -> tuple[Submission, tuple[str, ...]]:
    """Return a new submission with how its job ended, as far as the submit's answer says, and notes.

    It is read as the answer to a poll is. What it does not say is no mistake where there is a poll.

    :param view: the answer.
    :param names: the names that the submit's request saw.
    :param sent: method and URL for people, secrets removed.
    """
    status = definition.status
    if status is None or status.from_ is None or submission.no_data:
        return submission, ()
    seeing = {**names, "submission_id": submission.id, "captures": submission.captures}
    seen = replace(view, captures=submission.captures)
    try:
        rule = true_rule(status, seen, good=True)
        raw = raw_status(status, seen)
        state = rule.state if rule else status.values.state_of(raw)
        if state is None or state == "running":
            said = f"it says {shown(raw)}" if state else f"{shown(raw)} is not mapped"
            return submission, () if status.request else (f"{_DOES_NOT_TELL}: {said}",)
        message = rule.message if rule else None
        look, notes = look_at(definition, seen, submission, seeing, state, raw, message)
    except (UnreadableError, DefinitionError) as error:
        return submission, (f"{_DOES_NOT_TELL}: {error.message}",)
    target = discreet(definition, look.target, submission)
    if is_too_large(target):
        return submission, (f"{_DOES_NOT_TELL}: it names more download targets than are stored",)
    outcome = Outcome(
        state=look.state,
        target=target,
        raw_status=look.raw_status,
        message=look.message,
        progress=look.progress,
        expires_at=look.expires_at,
        captures=look.captures,
        sent=sent,
        log=look.log,
    )
    return replace(submission, outcome=outcome), notes


_DOES_NOT_TELL = "The answer to the submit does not tell how the job ended (status.from: submit)"
