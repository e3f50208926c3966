"""A fresh download target, where the one that the wait found has expired or is a secret that was not kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.protocol import Finish, Goal, Job, Outcome, Submission, error_for
from airflow_asyncjob.protocol.times import moment

__all__ = ["fresh_outcome"]


def fresh_outcome(
    definition: AsyncJob,
    targets: str | Sequence[str],
    *,
    expires_at: float | None,
    submission: Submission,
    inputs: Mapping[str, Any],
    names: Mapping[str, Any],
    drive: Callable[[Job], Finish],
    say: Callable[[int, str], object],
    now: float,
) -> Outcome | None:
    """Look at the job once more where its target must not be used as it is.

    A target that has expired as its job said (or as the clock here has it) is still tried where there is no
    fresh one: the answer to the download decides.

    :param targets: the download target, as the wait for the job gave it.
    :param expires_at: until when the job said that it can be used, seconds since the epoch; None: it did not.
    :param submission: the job, with the captures of its status answers.
    :param inputs: the job's inputs, resolved.
    :param names: the frozen scalars of the run, for templates.
    :param drive: does what the look asks for, and returns how it finished.
    :param say: takes a level of :mod:`logging` and a line for the log.
    :param now: seconds since the epoch.
    :returns: the outcome as it is now, its captures included; None: the target is used as it is.
    :raises AsyncJobError: the target is a secret, and no fresh one was found.
    """
    result = definition.result
    if result is None or result.target is None or not targets:
        return None
    if not result.secret:
        can_ask = definition.status is not None and definition.status.request is not None
        if not can_ask or expires_at is None or expires_at > now:
            return None
        say(logging.INFO, f"The download target expired at {moment(expires_at)}: asking for a fresh one")
    finish = drive(Job(definition, Goal.TARGET, inputs=inputs, names=names, key="", submission=submission))
    error = finish.error
    if finish.outcome is not None:
        error = error_for(finish.outcome, submission_id=submission.id, name=definition.name)
    if error is None:
        return finish.outcome
    if result.secret:
        raise error
    say(logging.WARNING, f"There is no fresh download target, and the old one is tried: {error.message}")
    return None
