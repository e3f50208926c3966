"""How a job, or an attempt at one, ends: the outcomes and the errors, and what they say to people."""

from __future__ import annotations

from dataclasses import replace

from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.definition.models.submit import Submit
from airflow_asyncjob.definition.problems import counted, shown
from airflow_asyncjob.errors import (
    AsyncJobError,
    DefinitionError,
    JobCancelledError,
    JobError,
    JobFailedError,
    JobTimeoutError,
    PollBudgetError,
    RefusedError,
    UncertainError,
    UnreachableError,
    UploadError,
)
from airflow_asyncjob.protocol.answers import Answer, Look, Reading
from airflow_asyncjob.protocol.checkpoint import Cut
from airflow_asyncjob.protocol.course import called, done_before
from airflow_asyncjob.protocol.facts import Facts
from airflow_asyncjob.protocol.messages import Outcome
from airflow_asyncjob.protocol.times import moment

__all__ = [
    "barred",
    "blind",
    "ended",
    "error_for",
    "forbidden",
    "mute",
    "no_target_found",
    "no_tries_left",
    "not_adopted",
    "not_sought",
    "not_started",
    "not_stopped",
    "not_the_same",
    "nothing_to_wait_for",
    "over_budget",
    "stopped",
    "timed_out",
    "too_many_parts",
    "with_word",
]

# Outcomes ---------------------------------------------------------------------------------------------------


def ended(facts: Facts, look: Look, now: float) -> Outcome:
    """Return the outcome that a poll saw."""
    return Outcome(
        state=look.state,
        target=look.target,
        raw_status=look.raw_status,
        message=look.message,
        progress=facts.progress,
        polls=facts.polls,
        waited=_waited(facts, now),
        expires_at=look.expires_at,
        captures=dict(facts.all_captures()),
        sent=facts.sent,
        log=look.log,
    )


def timed_out(facts: Facts, deadline: float, now: float) -> Outcome:
    """Return the outcome of a job that did not end before the deadline."""
    parts = [f"not ended before the deadline, {moment(deadline)}"]
    if facts.submission is None:
        return _ours(facts, "timed_out", f"not submitted before the deadline, {moment(deadline)}", now)
    if facts.trouble:
        parts.append(f"the last look failed: {facts.trouble}")
    elif facts.polls:
        parts.append(f"the last status was {shown(facts.raw_status)}")
    else:
        parts.append("it was never seen")
    if facts.message:
        parts.append(facts.message)
    return _ours(facts, "timed_out", "; ".join(parts), now)


def not_started(facts: Facts, deadline: float, now: float) -> Outcome:
    """Return the outcome of a job that was queued for longer than the definition allows.

    :param deadline: when it had to have started, seconds since the epoch.
    """
    parts = [
        f"not started before {moment(deadline)} (status.queue_timeout)",
        f"the last status was {shown(facts.raw_status)}",
        facts.message,
    ]
    return _ours(facts, "timed_out", "; ".join(part for part in parts if part), now)


def stopped(facts: Facts, message: str, now: float) -> Outcome:
    """Return the outcome of a job that somebody wished to stop."""
    return _ours(facts, "cancelled", message, now)


def nothing_to_wait_for(facts: Facts, now: float) -> Outcome:
    """Return the outcome of a submit that was answered with "there are no data"."""
    return _ours(facts, "no_data", "the API said so when the job was submitted", now)


def _ours(facts: Facts, state: str, message: str, now: float) -> Outcome:
    return Outcome(
        state=state,  # type: ignore[arg-type]
        target=[],
        raw_status=facts.raw_status,
        message=message,
        progress=facts.progress,
        polls=facts.polls,
        waited=_waited(facts, now),
        captures=dict(facts.all_captures()),
        sent=facts.sent,
    )


def _waited(facts: Facts, now: float) -> float:
    return max(0.0, now - facts.submission.submitted_at) if facts.submission else 0.0


def with_word(outcome: Outcome, word: str) -> Outcome:
    """Return the outcome with one more thing said."""
    return replace(outcome, message=f"{outcome.message}; {word}" if outcome.message else word)


# Errors of an attempt ---------------------------------------------------------------------------------------


def barred(definition: AsyncJob, facts: Facts) -> UncertainError:
    """Return the error for a submit whose outcome an earlier process lost, and that must not be repeated."""
    what = called(definition.submit, facts)
    earlier = "An earlier submit of this job" if what == "submit" else f"The {what} of this job"
    return UncertainError(
        f"{earlier}{_called(definition)} was sent, or was about to be, and nobody knows "
        "whether the API accepted it. Nothing is sent again (on_uncertain: fail): look at the API for the "
        "job. If there is none, submit anew (clear the submit task).",
        may_resubmit=False,
    )


def not_sought(definition: AsyncJob, facts: Facts, error: AsyncJobError) -> UncertainError:
    """Return the error for a list that could tell whether a submit was accepted, and cannot be read.

    :param error: what the look at the list ended with.
    """
    again = (
        "A retry of the task asks the list again" if error.retryable else "Correct list, and clear the task"
    )
    return UncertainError(
        f"It is not known whether the {called(definition.submit, facts)} was accepted, and the API's list of "
        f"jobs, which could tell, cannot be read: {error.message.rstrip('.')}. Nothing is sent again (as it "
        f"would be where there is no list). {again}.",
        may_resubmit=error.retryable,
    )


def list_too_late(until: float, latest: float, problem: str) -> UnreachableError:
    """Return the error for a list that puts off longer than the job may wait to be accepted.

    :param until: when it could be asked again, seconds since the epoch.
    :param problem: the last request and its answer.
    """
    return UnreachableError(
        f"{problem}. Expected a code of 2xx. The next look could be at {moment(until)}, and this job may "
        f"wait to be accepted until {moment(latest)} (status.timeout after its first submit)"
    )


def not_adopted(facts: Facts, job_id: str, error: AsyncJobError) -> UncertainError:
    """Return the error for a step that was done, as the list says, without what the steps after it need.

    :param job_id: of the job that the list has.
    """
    return UncertainError(
        f"The API's list has the job {shown(job_id)}, which is marked {facts.key!r}, so that nothing is sent "
        f"again; what the next steps need cannot be read in the list: {error.message.rstrip('.')}. Look at "
        "the job, carry it on by hand (submission_id) or remove it, and then clear the task.",
        may_resubmit=False,
    )


def not_the_same(submit: Submit, facts: Facts, cut: Cut) -> UploadError | None:
    """Return the error for an upload whose parts are not those it began with; None: they are the same.

    :param cut: how the source is cut now.
    """
    before = facts.upload
    if before is None or before.mark == cut.mark:
        return None
    done = done_before(submit, facts) or "none that is known"
    return UploadError(
        f"The source of the upload changed between two tries of the submit: it gave {_parts(before)}, and "
        f"now gives {_parts(cut)} (or other records, or they are written in another way). What was sent and "
        f"what would be sent do not belong together, so that nothing more is sent. Done are: {done}. Let the "
        "source be as it was, or start a new job (clear the submit task), which sends all of it; what was "
        "done is left at the API."
    )


def too_many_parts(submit: Submit, cut: Cut) -> UploadError | None:
    """Return the error for an upload that one request cannot send; None: it can, or there are steps."""
    if submit.request is None or not submit.request.part or cut.parts <= 1:
        return None
    return UploadError(
        f"The upload takes {cut.parts:,} requests with {counted(cut.records, 'record')}, and submit.request "
        "sends one. Make a job of each piece: set job_bytes and job_records of submit.upload to what one "
        "request takes, and map the job over the output of an UploadPlanOperator. Or, where the API takes "
        "several parts for one job, give submit.steps with a step that has each: '{{ parts }}'."
    )


def _parts(cut: Cut) -> str:
    return f"{counted(cut.parts, 'part')} with {counted(cut.records, 'record')}"


def mute(facts: Facts) -> DefinitionError:
    """Return the error for a job of which only the submit's answer could have told, and did not."""
    return DefinitionError(
        f"The answer to the submit did not tell how the job {_id(facts)} ended (the log of the submit has "
        "what it said), and there is no status.request to ask with. Map what it said in status.values or "
        "status.rules, or add status.request; the job at the API is left as it is."
    )


def blind(definition: AsyncJob, facts: Facts, problem: str) -> UncertainError:
    """Return the error for a stop while it is not known whether there is a job."""
    done = done_before(definition.submit, facts)
    if done:
        open_one = f", and it is not known whether the {called(definition.submit, facts)} was"
        doubt = open_one if facts.unsure else ""
        return UncertainError(
            f"Stopped between the steps of the submit: done are {done}{doubt}. What they made is left at the "
            "API; without the ID of a submission it cannot be cancelled from here: look for it there."
        )
    resubmit = definition.submit is not None and definition.submit.on_uncertain == "resubmit"
    said = f": {problem}" if problem else ""
    return UncertainError(
        f"Stopped while it was not known whether the submit was accepted{said}. A job may run at the API; "
        "without its ID it cannot be cancelled from here: look for it there.",
        may_resubmit=resubmit,
    )


def forbidden(definition: AsyncJob, facts: Facts, until: float, latest: float, problem: str) -> AsyncJobError:
    """Return the error for a Retry-After that is longer than the job may wait to be accepted."""
    said = f": {problem}" if problem else ""
    text = (
        f"The API wants no submit before {moment(until)}{said}. That is after {moment(latest)}, until when "
        "this job may wait."
    )
    if facts.unsure:
        return UncertainError(
            f"{text} It is not known whether an earlier submit was accepted: look at the API."
        )
    return RefusedError(
        f"{text} {_so_far(definition, facts)} Submit later, or give status.timeout more time."
    )


def no_tries_left(definition: AsyncJob, facts: Facts, reading: Reading) -> AsyncJobError:
    """Return the error for a submit that was repeated as often as it may be."""
    what = called(definition.submit, facts)
    count = f"The {what}"
    if facts.tries:
        count = f"{facts.tries + 1} {'submits' if what == 'submit' else f'tries of the {what}'} in a row"
    if facts.unsure:
        return UncertainError(
            f"{count} did not work, and it is not known whether one was accepted; the last: "
            f"{reading.problem}. A retry sends the same idempotency key again, so that no second job can "
            "come of it."
            if what == "submit"
            else f"{count} did not work, and it is not known whether one was done; the last: "
            f"{reading.problem}. A retry sends the same again, which does no harm."
        )
    return UnreachableError(
        f"{count} did not work; the last: {reading.problem}. {_so_far(definition, facts)} Expected a code of "
        "2xx. "
        "Look whether the API is well and the connection's address is right, or raise limits.retries "
        f"({definition.limits.retries})."
    )


def no_target_found(facts: Facts, reading: Reading) -> UnreachableError:
    """Return the error for a job that has ended, and whose target cannot be asked for."""
    count = f"{facts.tries + 1} looks" if facts.tries else "a look"
    word = reading.look.raw_status if reading.look else None
    last = reading.problem or f"its status is {shown(word)} again"
    return UnreachableError(
        f"The job {_id(facts)} has ended, and {count} for its download target did not find it; the last: "
        f"{last}. Try again later."
    )


def _so_far(definition: AsyncJob, facts: Facts) -> str:
    """Return what is done of a submit that did not work."""
    done = done_before(definition.submit, facts)
    return f"Done before: {done}; a retry carries on after that." if done else "Nothing was accepted."


def over_budget(definition: AsyncJob, facts: Facts, reading: Reading) -> AsyncJobError:
    """Return the error for too many failed polls in a row.

    An error of the definition or of the ID shows itself in every poll, and no later process can do better.
    """
    assert definition.status is not None
    count = f"{facts.errors} polls in a row failed" if facts.errors > 1 else "A poll failed"
    only = facts.kinds == {reading.answer}
    if only and facts.polls == 0 and reading.answer is Answer.MISSING:
        return RefusedError(
            f"The API does not know the job {_id(facts)}: {count}; the last: {reading.problem}. Correct the "
            "URL of status.request, or submit.id."
        )
    if only and facts.polls == 0 and reading.answer is Answer.NO_MATCH and reading.error is not None:
        return reading.error
    return PollBudgetError(
        f"{count}, more than status.poll_error_budget ({definition.status.poll_error_budget}) allows; the "
        f"last: {reading.problem}. The job {_id(facts)} may be well, and is left as it is: a retry attaches "
        "to it."
    )


def not_stopped(facts: Facts, definition: AsyncJob, reading: Reading | None) -> AsyncJobError:
    """Return the error for a job that should be stopped, and could not be."""
    if definition.cancel is None:
        return DefinitionError(
            f"The job {_id(facts)} cannot be stopped: the definition{_called(definition)} has no cancel "
            "request. It may run on at the API."
        )
    problem = f": {reading.problem}" if reading is not None else ""
    kind = (
        UnreachableError
        if reading is None or reading.answer in (Answer.NOT_DONE, Answer.UNSETTLED)
        else RefusedError
    )
    return kind(
        f"The job {_id(facts)} could not be stopped{problem}. It may run on at the API: cancel it there."
    )


def _id(facts: Facts) -> str:
    return shown(facts.submission.id) if facts.submission else "(without ID)"


def _called(definition: AsyncJob) -> str:
    return f" {definition.name}" if definition.name else ""


# Errors of a job --------------------------------------------------------------------------------------------

_ADVICE = {
    "failed": "The same job cannot get better: correct its inputs, and submit a new one.",
    "cancelled": "Submit a new one if it is still wanted.",
    "timed_out": "Give it more time (status.timeout, status.queue_timeout), or look at the API for why it is "
    "slow.",
}
_KINDS: dict[str, type[JobError]] = {
    "failed": JobFailedError,
    "cancelled": JobCancelledError,
    "timed_out": JobTimeoutError,
}


def error_for(
    outcome: Outcome, *, submission_id: str = "", name: str = "", advice: str = ""
) -> JobError | None:
    """Return the error that an outcome means to the caller; None for done, no_data and partial.

    :param submission_id: the job's ID, for the message.
    :param name: the definition's name, for the message; empty when it has none.
    :param advice: what to do; empty: what the state itself suggests.
    """
    kind = _KINDS.get(outcome.state)
    if kind is None:
        return None
    words = {"timed_out": "timed out", "cancelled": "was cancelled", "failed": "failed"}
    parts = [
        f"The job{f' {submission_id}' if submission_id else ''}{f' ({name})' if name else ''} "
        f"{words[outcome.state]}"
    ]
    if outcome.raw_status is not None:
        parts.append(f"the API's status is {shown(outcome.raw_status)}")
    if outcome.sent:
        parts.append(f"asked with {outcome.sent}")
    if outcome.message:
        parts.append(f"message: {outcome.message}")
    return kind(
        f"{'; '.join(parts)}. After {outcome.waited:.0f} s and {counted(outcome.polls, 'poll')}. "
        f"{advice or _ADVICE[outcome.state]}{outcome.log_told}"
    )
