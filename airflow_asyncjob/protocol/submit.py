"""What the answer to a submit, or to one of its steps, means.

Error rules of the definition come first, then HTTP codes (RFC 9110, section 15), then what the body says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from airflow_asyncjob.definition.extract import MISSING, View, extract, find
from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.definition.models.submit import Submit
from airflow_asyncjob.definition.templates import inspect
from airflow_asyncjob.errors import (
    DefinitionError,
    RefusedError,
    TemplateError,
    UncertainError,
    UnreadableError,
)
from airflow_asyncjob.protocol.answers import (
    Answer,
    Reading,
    Seen,
    as_text,
    capture,
    denied,
    failure,
    put_off,
    ruled_out,
    said,
    see,
    size_of,
    transient,
)
from airflow_asyncjob.protocol.course import Leg, captured
from airflow_asyncjob.protocol.early import with_end
from airflow_asyncjob.protocol.messages import Failed, Fault, Responded, Submission
from airflow_asyncjob.protocol.parts import Refusals
from airflow_asyncjob.protocol.refusals import refused_in
from airflow_asyncjob.protocol.waits import retry_after

__all__ = ["read_submit"]

_LARGEST_CAPTURES = 32 * 1024
"""Characters of JSON that all steps of a submit may leave: a checkpoint is small."""
_SIGNATURES = ("x-amz-signature", "x-goog-signature", "signature", "sig")
"""Query parameters of pre-signed URLs: of Amazon S3, of Google Cloud Storage, of both before, of Azure."""
_SEE_OTHER = (302, 303)
"""Redirects that may tell where the new job is; the others say that nothing was done."""


def read_submit(
    definition: AsyncJob, event: Responded | Failed, leg: Leg, now: float, *, keyed: bool
) -> Reading:
    """Read the answer to a submit, or to a step of one.

    :param leg: what was sent.
    :param now: seconds since the epoch; becomes ``submitted_at``.
    :param keyed: the same request may be sent again when nobody knows what came of it.
    """
    submit = definition.submit
    assert submit is not None
    if isinstance(event, Failed):
        return _submit_failed(submit, event, leg)
    response = event.response
    seen = see(response, leg.request.response, definition.errors.submit, {}, "errors.submit")
    wait = retry_after(response.headers, now)
    then = seen.rule.then if seen.rule else None
    if then == "retry":
        return put_off(seen, event, wait)
    if then == "fail":
        return ruled_out(seen, event, leg.what)
    if then is not None or 200 <= response.code < 300 or response.code in _SEE_OTHER:
        return _accepted(definition, seen, event, leg, now, wait)
    if response.code in (400, 401, 403) and _is_presigned(response.url, leg):
        return _expired(seen, event, leg)
    if response.code in (401, 403):
        return denied(event, leg.what)
    if response.code == 429:
        return Reading(Answer.NOT_DONE, said(event), wait=wait, notes=seen.notes)
    # 409: another request with the same key is still being worked on
    # (draft-ietf-httpapi-idempotency-key-header, 2.6).
    if transient(response.code) or (keyed and response.code == 409):
        return Reading(
            Answer.UNSETTLED, said(event), unsure(submit, said(event), leg), wait=wait, notes=seen.notes
        )
    return _submit_refused(seen, event, leg)


def unsure(submit: Submit, problem: str, leg: Leg) -> UncertainError:
    """Return the error for a submit, or a step, of which nobody knows whether it was accepted."""
    resubmit = submit.on_uncertain == "resubmit"
    if leg.step is None:
        said = "the submit was accepted"
        wanted = f"an answer with the submission ID at {submit.id.describe()}"
        again = "A retry submits again (on_uncertain: resubmit), so that the job may then exist twice."
    else:
        said, wanted = f"{leg.what} was done", "a code of 2xx"
        again = (
            "A retry sends this step again (on_uncertain: resubmit), so that what it makes may then exist "
            "twice."
        )
    if not resubmit:
        again = (
            "Nothing is sent again (on_uncertain: fail): look at the API for the job. If there is none, "
            "submit anew."
        )
    return UncertainError(
        f"It is not known whether {said}: {problem}. Expected {wanted}. {again}", may_resubmit=resubmit
    )


def _submit_failed(submit: Submit, event: Failed, leg: Leg) -> Reading:
    if event.fault is Fault.LOST:
        return Reading(Answer.UNSETTLED, said(event), unsure(submit, said(event), leg))
    if event.fault is Fault.TOO_LARGE:
        return Reading(Answer.NO_MATCH, said(event), _illegible(said(event), "it is too large", leg))
    return failure(event, leg.what)


def _submit_refused(seen: Seen, event: Responded, leg: Leg) -> Reading:
    code = event.response.code
    if 300 <= code < 400:
        advice = "Redirects of a submit are not followed: correct the connection's address or the URL."
    elif code in (404, 405):
        advice = f"Correct the URL or the method of {leg.place}.request, or the connection's address."
    else:
        advice = "Correct the request or the inputs."
    text = f"The API refused {leg.what}: {said(event)}. Expected a code of 2xx. {advice}"
    return Reading(Answer.REFUSED, said(event), RefusedError(text + _before(leg)), notes=seen.notes)


def _is_presigned(url: str, leg: Leg) -> bool:
    """Return whether an earlier answer gave a URL with its own credentials in it, which end at a time."""
    given = inspect(leg.request.url).names & {"captures", "item"}
    return bool(given) and any(name.lower() in _SIGNATURES for name, _ in parse_qsl(urlsplit(url).query))


def _expired(seen: Seen, event: Responded, leg: Leg) -> Reading:
    text = (
        f"The URL of {leg.what} has expired, or does not allow this: {said(event)}. It is pre-signed: "
        "whoever gave it decides until when it can be used, and the connection's credentials change nothing. "
        "Begin again for a new one (clear the submit task). Where all parts take longer than it can be used, "
        "let a job have fewer of them (job_bytes or job_records of submit.upload)."
    )
    return Reading(Answer.REFUSED, said(event), RefusedError(text + _before(leg)), notes=seen.notes)


def _before(leg: Leg) -> str:
    """Return what was acknowledged before a part, for people; empty where no part was sent."""
    if leg.part is None:
        return ""
    number, last = leg.part.number - 1, leg.part.first - 1
    if not number:
        return " No part was acknowledged before it."
    parts = f"{number:,} part{' was' if number == 1 else 's were'}"
    return f" {parts} acknowledged before it (the records up to {last:,})."


def _accepted(
    definition: AsyncJob, seen: Seen, event: Responded, leg: Leg, now: float, wait: float | None
) -> Reading:
    submit = definition.submit
    assert submit is not None
    no_data = seen.rule is not None and seen.rule.then == "no_data"
    problem = said(event)
    if seen.trouble is not None and not no_data and not 300 <= event.response.code < 400:
        return Reading(Answer.GARBLED, problem, _illegible(problem, seen.trouble.message, leg), wait=wait)
    try:
        kept = leg.names.get("captures", {}) if no_data else _kept(seen.view, leg)
        refusals, refused = _refusals(submit, seen.view, leg)
        if not leg.is_last and not no_data:
            if event.response.code == 302 and not leg.capture and seen.rule is None:
                return _submit_refused(seen, event, leg)
            return Reading(
                Answer.GOOD, wait=wait, kept=kept, refusals=refusals, notes=(*seen.notes, *refused)
            )
        submission, notes = _submission(submit, seen, leg, kept, now, wait, no_data=no_data)
    except (UnreadableError, DefinitionError) as error:
        if (
            event.response.code == 302 and seen.rule is None
        ):  # how a login page is offered, more often than not
            return _submit_refused(seen, event, leg)
        return Reading(Answer.NO_MATCH, problem, _illegible(problem, error.message, leg), notes=seen.notes)
    submission, more = with_end(definition, seen.view, submission, leg.names, event.response.sent)
    notes = (*seen.notes, *refused, *notes, *more)
    return Reading(Answer.GOOD, submission=submission, refusals=refusals, notes=notes)


def _refusals(submit: Submit, view: View, leg: Leg) -> tuple[Refusals | None, tuple[str, ...]]:
    """Return the records of a part that an answer refused, with a line for the log; None: nothing reads them.

    :raises UnreadableError: where they should be is something else.
    """
    rejected = None if leg.step is None else leg.step.rejects
    if rejected is None or leg.part is None or submit.upload is None:
        return None, ()
    entries = refused_in(
        rejected,
        view.body,
        stage="upload",
        keys=submit.upload.key,
        first=leg.part.first,
        records=leg.part.records,
        where=f"{leg.place}.rejects",
    )
    if not entries:
        return Refusals(leg.part.number), ()
    line = f"{leg.label}: the API refused {len(entries):,} of its {leg.part.records:,} records"
    return Refusals(leg.part.number, entries), (line,)


def _kept(view: View, leg: Leg) -> dict[str, Any]:
    """Return what the steps so far captured, this one among them, as far as a checkpoint can hold it."""
    kept = captured(view, leg)
    size = size_of(kept)
    if size is None or size > _LARGEST_CAPTURES:
        raise UnreadableError(
            f"{leg.place}.capture: the captures of the steps are not JSON, or more than "
            f"{_LARGEST_CAPTURES:,} characters"
        )
    return kept


def _submission(
    submit: Submit,
    seen: Seen,
    leg: Leg,
    kept: Mapping[str, Any],
    now: float,
    wait: float | None,
    *,
    no_data: bool,
) -> tuple[Submission, tuple[str, ...]]:
    """Return the submission that an answer gives, with notes for the log.

    :raises UnreadableError: no ID can be read.
    """
    view = replace(seen.view, captures=kept)
    names = leg.names if leg.step is None else {**leg.names, "captures": kept}
    captures, notes = capture(submit.capture, view, names, "submit.capture")
    known = {**kept, **captures}
    view, names = replace(view, captures=known), {**leg.names, "captures": known}
    if no_data and not _has_id(submit, view, names):
        job_id = ""
    else:
        job_id = as_text(extract(submit.id, view, names=names, where="submit.id"), "submit.id")
    return Submission(job_id, now, captures, None if wait is None else now + wait, no_data), notes


def _has_id(submit: Submit, view: View, names: Mapping[str, Any]) -> bool:
    try:
        return find(submit.id, view, names=names) not in (MISSING, None)
    except TemplateError:  # of what a later step would have captured
        return False


def _illegible(problem: str, why: str, leg: Leg) -> UnreadableError:
    if leg.is_last:
        what, where = "the submission ID", f"submit.id (or {leg.place}.request.response)"
    else:
        what, where = "it", f"{leg.place}.capture (or {leg.place}.request.response)"
    return UnreadableError(
        f"{_capital(leg.what)} was answered, and {what} cannot be read: {why}. {problem}. A job may run at "
        f"the API, so that nothing is sent again: look there, and correct {where}."
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
