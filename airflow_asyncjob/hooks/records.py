"""Submissions and outcomes as they travel: XCom, task state store, trigger arguments, trigger events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from airflow_asyncjob import errors
from airflow_asyncjob.errors import (
    AsyncJobError,
    CheckpointError,
    DefinitionError,
    PollBudgetError,
    UncertainError,
)

if TYPE_CHECKING:
    from airflow_asyncjob.protocol.messages import Finish, Outcome, Submission

__all__ = ["event_of", "finish_of", "outcome_of", "status_xcom", "submission_given", "submission_of"]

_VERSION = 1


def submission_of(data: Mapping[str, Any]) -> Submission:
    """Return the submission that :meth:`Submission.to_dict` wrote.

    Fields that a later version added are passed over: the ID is what counts.
    """
    from airflow_asyncjob.protocol.messages import Submission

    told = _known(data, Submission)
    if told.get("outcome") is not None:
        told["outcome"] = outcome_of(told["outcome"])
    return Submission(**told)


def outcome_of(data: Mapping[str, Any]) -> Outcome:
    """Return an outcome from its fields; those that a later version added are passed over."""
    from airflow_asyncjob.protocol.messages import Outcome

    return Outcome(**_known(data, Outcome))


def _known(data: Mapping[str, Any], kind: type[Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in data.items() if name in names}


def submission_given(given: Any, now: float) -> Submission | str:
    """Return what a task was given as ``submission_id``: a submission, or the ID alone (empty: none).

    :param now: seconds since the epoch; counts as ``submitted_at`` where a mapping names none.
    :raises DefinitionError: it is neither.
    """
    from airflow_asyncjob.protocol.messages import Submission

    if given is None or (isinstance(given, (str, int)) and not isinstance(given, bool)):
        return "" if given is None else str(given)
    if isinstance(given, Mapping) and isinstance(given.get("id"), (str, int)):
        try:
            return Submission.from_dict({"submitted_at": now, **_known(given, Submission)})
        except CheckpointError as error:
            raise DefinitionError(f"submission_id: {error.message}") from error
    hint = " Map the task over a list, with expand." if isinstance(given, Sequence) else ""
    raise DefinitionError(
        f"submission_id is {str(given)[:200]!r}, of type {type(given).__name__}: expected an ID, or a "
        f"mapping with id and submitted_at, as submit.output gives.{hint}"
    )


def status_xcom(outcome: Outcome) -> dict[str, Any]:
    """Return the XCom ``status`` of a waiting task."""
    return {
        "state": outcome.state,
        "raw_status": outcome.raw_status,
        "message": outcome.message,
        "progress": outcome.progress,
        "polls": outcome.polls,
        "waited": round(outcome.waited, 3),
        "expires_at": outcome.expires_at,
        "captures": dict(outcome.captures),
    }


def event_of(
    finish: Finish, submission: Mapping[str, Any], checkpoint: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what a trigger tells the worker: how the job ended, or what went wrong. No body is in it.

    :param submission: the job, as :meth:`Submission.to_dict` gives it.
    :param checkpoint: how far the wait has come, for the next try of the task; None: it has to know nothing.
    """
    event: dict[str, Any] = {"version": _VERSION, "submission": dict(submission)}
    if checkpoint is not None:
        event["checkpoint"] = dict(checkpoint)
    if finish.outcome is not None:
        outcome = {field.name: getattr(finish.outcome, field.name) for field in fields(finish.outcome)}
        return {**event, "outcome": {**outcome, "captures": dict(finish.outcome.captures)}}
    error = finish.error or AsyncJobError("the trigger ended without an outcome")
    told: dict[str, Any] = {"kind": type(error).__name__, "message": error.message}
    if isinstance(error, UncertainError):
        told["may_resubmit"] = error.may_resubmit
    return {**event, "error": told}


def finish_of(event: Mapping[str, Any]) -> Finish:
    """Return what :func:`event_of` told."""
    from airflow_asyncjob.protocol.messages import Finish

    if "outcome" in event:
        return Finish(outcome=outcome_of(event["outcome"]))
    told = event["error"]
    kind = getattr(errors, str(told["kind"]), PollBudgetError)
    if not (isinstance(kind, type) and issubclass(kind, AsyncJobError)):
        kind = PollBudgetError
    if issubclass(kind, UncertainError):
        return Finish(error=kind(told["message"], may_resubmit=bool(told.get("may_resubmit", True))))
    return Finish(error=kind(told["message"]))
