"""What the answer to a cancel, a delete or a download means. Submit and status have files of their own.

Error rules of the definition come first, then HTTP codes (RFC 9110, section 15), then what the body says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.definition.models.rules import ErrorRule
from airflow_asyncjob.errors import AsyncJobError, RefusedError
from airflow_asyncjob.protocol.answers import (
    Answer,
    Reading,
    Seen,
    denied,
    failure,
    put_off,
    ruled_out,
    said,
    see,
    transient,
)
from airflow_asyncjob.protocol.messages import Failed, Responded
from airflow_asyncjob.protocol.waits import retry_after

__all__ = ["download_of", "read_download", "read_hop", "read_stop", "result_of"]

_NAMES = {
    "result": ("the result", "the download", "a link to a result"),
    "result.rejects": ("the rejects", "the download of the rejects", "a link to rejects"),
}


def result_of(section: str) -> str:
    """Return what a section of the definition fetches, for messages."""
    return _NAMES[section][0]


def download_of(section: str) -> str:
    """Return what the download of a section is called in messages."""
    return _NAMES[section][1]


def read_stop(
    request: Request,
    rules: Iterable[ErrorRule],
    event: Responded | Failed,
    captures: Mapping[str, Any],
    now: float,
    *,
    what: str,
    gone: Iterable[int],
) -> Reading:
    """Read the answer to a cancel or a delete.

    :param what: ``the cancel`` or ``the delete``.
    :param gone: codes that say that there is nothing left to do.
    """
    if isinstance(event, Failed):
        reading = failure(event, what)
        return reading if reading.error else _with_error(reading, what)
    code = event.response.code
    seen = see(event.response, request.response, rules, captures, f"errors.{what.removeprefix('the ')}")
    wait = retry_after(event.response.headers, now)
    then = seen.rule.then if seen.rule else None
    if then == "retry":
        return _with_error(put_off(seen, event, wait), what)
    if then == "fail":
        return ruled_out(seen, event, what)
    if then is not None or 200 <= code < 300:
        return Reading(Answer.GOOD, said(event))
    if code in gone:
        return Reading(Answer.GONE, said(event))
    if code in (401, 403):
        return denied(event, what)
    if transient(code):
        return _with_error(Reading(Answer.UNSETTLED, said(event), wait=wait), what)
    return _with_error(Reading(Answer.REFUSED, said(event)), what)


def _with_error(reading: Reading, what: str) -> Reading:
    error: AsyncJobError = RefusedError(
        f"Could not carry out {what}: {reading.problem}. Expected a code of 2xx."
    )
    return replace(reading, error=error)


def read_download(
    definition: AsyncJob,
    request: Request,
    event: Responded | Failed,
    captures: Mapping[str, Any],
    now: float,
    *,
    section: str,
) -> Reading:
    """Read the head of a download; its body is judged where it is read.

    :param section: of the definition, for messages: ``result`` or ``result.rejects``.
    """
    return _read(definition, request, event, captures, now, section, None)[0]


def read_hop(
    definition: AsyncJob,
    request: Request,
    event: Responded | Failed,
    captures: Mapping[str, Any],
    now: float,
    *,
    section: str,
    what: str,
) -> tuple[Reading, Seen | None]:
    """Read the answer to a step that leads to the result; a redirect is an answer, and perhaps the one.

    :param section: of the definition, for messages: ``result`` or ``result.rejects``.
    :param what: the step, for messages.
    :return: with the answer itself where it is good.
    """
    return _read(definition, request, event, captures, now, section, what)


def _read(
    definition: AsyncJob,
    request: Request,
    event: Responded | Failed,
    captures: Mapping[str, Any],
    now: float,
    section: str,
    step: str | None,
) -> tuple[Reading, Seen | None]:
    hop, what = step is not None, step or download_of(section)
    if isinstance(event, Failed):
        return failure(event, what), None
    code = event.response.code
    rules = f"errors.{section.rpartition('.')[2]}"
    seen = see(event.response, request.response, definition.errors.result, captures, rules)
    wait = retry_after(event.response.headers, now)
    then = seen.rule.then if seen.rule else None
    if then == "retry":
        return put_off(seen, event, wait), None
    if then == "fail":
        return ruled_out(seen, event, what), None
    if then == "no_data":
        return Reading(Answer.ENDED, said(event), notes=seen.notes), None
    if then == "accept" or 200 <= code < (400 if hop else 300):
        return Reading(Answer.GOOD, notes=seen.notes), seen
    if code in (401, 403):
        link = _NAMES[section][2]
        expired = "" if hop else f" ({link} may also have expired: poll again for a fresh one)"
        return denied(event, f"{what}{expired}"), None
    if transient(code):
        return Reading(Answer.UNSETTLED, said(event), wait=wait, notes=seen.notes), None
    if code in (404, 410):
        gone = (
            ("The result is", "it has expired, or was deleted")
            if section == "result"
            else ("The rejects are", "they have expired, or were deleted")
        )
        advice = f"{gone[0]} not there (any more): {gone[1]}. Run the job again."
    elif 300 <= code < 400:
        advice = "The redirect was not followed: its address is not allowed, or there were too many."
    else:
        fields = "steps" if hop else f"target or {section}.request"
        advice = f"Correct {section}.{fields}."
    error = RefusedError(f"The API refused {what}: {said(event)}. Expected a code of 2xx. {advice}")
    return Reading(Answer.REFUSED, said(event), error, notes=seen.notes), None
