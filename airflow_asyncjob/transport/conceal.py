"""Takes secrets out of what a drive ends with: the layers that quote answers there know no secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.protocol.messages import Finish, Outcome

if TYPE_CHECKING:
    from airflow_asyncjob.errors import AsyncJobError
    from airflow_asyncjob.transport.redact import Redactor

__all__ = ["conceal", "conceal_error", "concealed", "concealed_checkpoint"]

_QUOTED = ("raw_status", "message", "progress", "log")


def conceal_error(error: AsyncJobError, redactor: Redactor) -> None:
    """Take secrets out of an error's message, in place: a traceback shows the error that was raised first."""
    safe = redactor.text(error.message)
    if safe != error.message:
        error.message = safe
        error.args = (safe, *error.args[1:])


def conceal(finish: Finish, redactor: Redactor) -> Finish:
    """Return what a drive ended with, without secrets in its error and its messages.

    The download target and the captures stay as the API gave them: a later request needs them.
    """
    if finish.error is not None:
        conceal_error(finish.error, redactor)
    submission = finish.submission
    if submission is not None and submission.outcome is not None:
        early = _without_secrets(submission.outcome, redactor)
        return replace(finish, submission=replace(submission, outcome=early))
    if finish.outcome is None:
        return finish
    return replace(finish, outcome=_without_secrets(finish.outcome, redactor))


def _without_secrets(outcome: Outcome, redactor: Redactor) -> Outcome:
    return replace(outcome, **{name: concealed(getattr(outcome, name), redactor) for name in _QUOTED})


def concealed_checkpoint(checkpoint: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """Return a checkpoint, as ``Checkpoint.to_dict`` gives it, whose outcomes quote no secret.

    Only what people read is changed: a target and captures stay as the API gave them.
    """
    safe = dict(checkpoint)
    if isinstance(safe.get("outcome"), Mapping):
        quoted = {
            name: concealed(safe["outcome"][name], redactor) for name in _QUOTED if name in safe["outcome"]
        }
        safe["outcome"] = {**safe["outcome"], **quoted}
    if isinstance(safe.get("submission"), Mapping):
        safe["submission"] = concealed_checkpoint(safe["submission"], redactor)
    return safe


def concealed(value: Any, redactor: Redactor) -> Any:
    """Return a JSON value without secrets."""
    if isinstance(value, str):
        return redactor.text(value)
    if isinstance(value, Mapping):
        return {redactor.text(str(name)): concealed(item, redactor) for name, item in value.items()}
    return [concealed(item, redactor) for item in value] if isinstance(value, list) else value
