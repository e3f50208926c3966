"""What the answer to a poll means: the state of the job, and, once it ended well, where its result lies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_asyncjob.definition.extract import MISSING, View, describe_body, find
from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.definition.models.extractor import Extractor
from airflow_asyncjob.definition.models.rules import STATES, State, StatusRule
from airflow_asyncjob.definition.models.status import Status
from airflow_asyncjob.definition.problems import kind_of, shown
from airflow_asyncjob.definition.templates import evaluate, inspect
from airflow_asyncjob.errors import (
    DefinitionError,
    JobVanishedError,
    RefusedError,
    TemplateError,
    UnknownStatusError,
    UnreadableError,
)
from airflow_asyncjob.protocol.answers import (
    Answer,
    Look,
    Reading,
    Seen,
    capture,
    denied,
    failure,
    put_off,
    rule_message,
    ruled_out,
    said,
    see,
    transient,
)
from airflow_asyncjob.protocol.log import log_in_answer
from airflow_asyncjob.protocol.messages import Failed, Responded, Submission
from airflow_asyncjob.protocol.targets import read_target
from airflow_asyncjob.protocol.times import read_time
from airflow_asyncjob.protocol.waits import retry_after

__all__ = ["look_at", "raw_status", "read_poll", "true_rule"]

_LONGEST_MESSAGE = 2000


def read_poll(
    definition: AsyncJob,
    event: Responded | Failed,
    submission: Submission,
    names: Mapping[str, Any],
    now: float,
) -> Reading:
    """Read the answer to a poll.

    :param names: the names that the request saw; ``captures`` among them.
    :param now: seconds since the epoch.
    """
    status = definition.status
    assert status is not None
    assert status.request is not None
    if isinstance(event, Failed):
        return failure(event, "the poll")
    response = event.response
    seen = see(
        response, status.request.response, definition.errors.status, names["captures"], "errors.status"
    )
    wait = retry_after(response.headers, now)
    then = seen.rule.then if seen.rule else None
    if then == "retry":
        return put_off(seen, event, wait, Answer.UNSETTLED)
    if then == "fail":
        return ruled_out(seen, event, "the poll")
    if then == "no_data":
        assert seen.rule is not None
        return _looked(definition, seen, event, submission, names, "no_data", None, seen.rule.message, wait)
    good = then == "accept" or response.code < 400
    if seen.trouble is not None and (then == "accept" or 200 <= response.code < 300):
        return _unreadable(Answer.GARBLED, seen, event, seen.trouble.message, wait)
    try:
        rule = true_rule(status, seen.view, good=good)
        raw = raw_status(status, seen.view) if good or _reads_code(status) else None
    except UnreadableError as error:
        return _unreadable(Answer.NO_MATCH, seen, event, error.message, wait)
    if rule is not None:
        return _looked(definition, seen, event, submission, names, rule.state, raw, rule.message, wait)
    state = status.values.state_of(raw) if good or _reads_code(status) else None
    if state is None and not good:
        return _by_code(seen, event, wait)
    if _says_nothing(status, seen.view, raw, state):
        return _unreadable(Answer.NO_MATCH, seen, event, _nothing_there(status, seen.view), wait)
    if state is None:
        return _unknown(status, seen, event, raw, wait, names)
    return _looked(definition, seen, event, submission, names, state, raw, None, wait)


def true_rule(status: Status, view: View, *, good: bool) -> StatusRule | None:
    """Return the first rule that is true.

    Of an error answer (4xx, 5xx) only rules that look at ``code`` are asked: one such as ``not body.pending``
    would take any error page for the end of the job.
    """
    for number, rule in enumerate(status.rules):
        if not good and "code" not in inspect(rule.when, expression=True).names:
            continue
        try:
            if evaluate(rule.when, view.names(), where=f"status.rules[{number}].when"):
                return rule
        except UnreadableError:
            if good:
                raise
    return None


def _reads_code(status: Status) -> bool:
    return status.path is not None and status.path.code


def raw_status(status: Status, view: View) -> Any:
    """Return the raw status; None where there is none."""
    if status.path is None:
        return None
    value = find(status.path, view, where="status.path")
    return None if value is MISSING else value


def _says_nothing(status: Status, view: View, raw: Any, state: State | None) -> bool:
    """Return whether this answer has no status. An empty body never has one, even where null is mapped."""
    if view.body is None and (status.path is None or status.path.path is not None):
        return True
    return raw is None and state is None and status.path is not None


def _nothing_there(status: Status, view: View) -> str:
    if 300 <= view.code < 400:
        return "the answer is a redirect, and redirects of a poll are not followed"
    if status.path is None or view.body is None:
        return describe_body(view.body)
    found = "is null" if find(status.path, view, where="status.path") is None else "matches nothing"
    return f"status.path: {status.path.describe()} {found}; {describe_body(view.body)}"


def _unreadable(answer: Answer, seen: Seen, event: Responded, why: str, wait: float | None) -> Reading:
    problem = said(event)
    error = UnreadableError(
        f"The poll was answered, and the status cannot be read: {why}. {problem}. Correct status.path (or "
        "status.request), or look at the API for the reason. The job may be well."
    )
    return Reading(answer, f"{problem} ({why})", error, wait, notes=seen.notes)


def _unknown(
    status: Status,
    seen: Seen,
    event: Responded,
    raw: Any,
    wait: float | None,
    names: Mapping[str, Any],
) -> Reading:
    if status.path is None:
        what = "no rule of status.rules is true for the answer, and there is no status.path"
    else:
        mapped = "; ".join(
            f"{state}: {', '.join(shown(value) for value in getattr(status.values, state))}"
            for state in STATES
            if getattr(status.values, state)
        )
        where = status.path.describe()
        what = f"the status {shown(raw)} ({kind_of(raw)}) at {where} is not mapped. Mapped are {mapped}"
    error = UnknownStatusError(
        f"The API's status is unknown: {what}. {said(event)}. Add it to status.values (or status.rules) "
        "under the state that it means; the job at the API is left as it is."
    )
    captures, _ = capture(status.capture, seen.view, names, "status.capture")
    look = Look("running", _brief(raw), captures=captures)
    return Reading(Answer.UNKNOWN, said(event), error, wait, look=look, notes=seen.notes)


def _by_code(seen: Seen, event: Responded, wait: float | None) -> Reading:
    code, problem = event.response.code, said(event)
    if code in (401, 403):
        return denied(event, "the poll")
    if code == 404:
        error = JobVanishedError(
            f"The API answered for this job before, and does not know it any more: {problem}. It was deleted "
            "or has expired there. Submit anew."
        )
        return Reading(Answer.MISSING, problem, error, wait, notes=seen.notes)
    if code == 410:
        error = JobVanishedError(f"The job is gone at the API: {problem}. Submit anew.")
        return Reading(Answer.GONE, problem, error, notes=seen.notes)
    if transient(code):
        return Reading(Answer.UNSETTLED, problem, wait=wait, notes=seen.notes)
    refused = RefusedError(
        f"The API refused the poll: {problem}. Expected a code of 2xx. Correct status.request, or map the "
        "code with a rule under errors.status. The job at the API is left as it is."
    )
    return Reading(Answer.REFUSED, problem, refused, notes=seen.notes)


def _looked(
    definition: AsyncJob,
    seen: Seen,
    event: Responded,
    submission: Submission,
    names: Mapping[str, Any],
    state: State,
    raw: Any,
    message: str | None,
    wait: float | None,
) -> Reading:
    try:
        look, notes = look_at(definition, seen.view, submission, names, state, raw, message)
    except (UnreadableError, TemplateError) as error:
        return Reading(Answer.BROKEN, said(event), _no_target(error, state, event), wait=wait)
    answer = Answer.RUNNING if state == "running" else Answer.ENDED
    return Reading(answer, wait=wait, look=look, notes=seen.notes + notes)


def look_at(
    definition: AsyncJob,
    view: View,
    submission: Submission,
    names: Mapping[str, Any],
    state: State,
    raw: Any,
    message: str | None,
) -> tuple[Look, tuple[str, ...]]:
    """Return what an answer with a known state says of the job, and notes for the log.

    :param raw: the raw status; None where a rule decided without one.
    :param message: the template of the rule that decided; None: the section's message counts.
    :raises UnreadableError: the job ended well, and where its result lies cannot be read.
    :raises TemplateError: the same, for the URL of a fixed request.
    """
    status = definition.status
    assert status is not None
    captures, notes = capture(status.capture, view, names, "status.capture")
    target: str | list[str] = []
    if state in ("done", "partial"):
        seeing = {**names, "captures": {**names["captures"], **captures}}
        target = read_target(definition, view, submission, seeing)
        if target == [] and state == "done":
            state = "no_data"
    expires_at, more = _expires_at(status.expires_at, view)
    text = rule_message(message, view) or _message(status.message, view)
    progress = _brief(_lenient(status.progress, view))
    queued = state == "running" and status.is_queued(raw)
    in_answer = status.log is not None and status.log.request is None and state == "failed"
    log = log_in_answer(status.log.path, view) if in_answer and status.log and status.log.path else ""
    look = Look(state, _brief(raw), text, progress, expires_at, captures, target, queued, log)
    return look, (() if state == "running" else notes) + more


def _no_target(error: UnreadableError | TemplateError, state: State, event: Responded) -> UnreadableError:
    return UnreadableError(
        f"The job ended as {state}, and where its result lies cannot be read: {error.message}. "
        f"{said(event)}. Correct result.target; the job at the API is left as it is.",
        job_ended=True,
    )


def _lenient(extractor: Extractor | None, view: View, *, single: bool = True) -> Any:
    if extractor is None:
        return None
    try:
        value = find(extractor, view, single=single)
    except (UnreadableError, DefinitionError):
        return None
    return None if value is MISSING else value


def _brief(value: Any) -> Any:
    """Return a value of the API that is kept and shown: what is too long for that is cut."""
    if isinstance(value, (str, list, dict)) and len(str(value)) > _LONGEST_MESSAGE:
        return str(value)[:_LONGEST_MESSAGE]
    return value


def _message(extractor: Extractor | None, view: View) -> str:
    value = _lenient(extractor, view, single=False)
    if value is None:
        return ""
    values = value if isinstance(value, list) else [value]
    texts = [v if isinstance(v, str) else json.dumps(v, ensure_ascii=False, default=str) for v in values]
    return "; ".join(text.strip() for text in texts if text.strip())[:_LONGEST_MESSAGE]


def _expires_at(extractor: Extractor | None, view: View) -> tuple[float | None, tuple[str, ...]]:
    value = _lenient(extractor, view)
    if value is None:
        return None, ()
    moment = read_time(value)
    if moment is None:
        return None, (f"status.expires_at: {shown(value)} is not a time that is known here",)
    return moment, ()
