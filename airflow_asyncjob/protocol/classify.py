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

__all__ = ["read_download", "read_hop", "read_stop"]

_DOWNLOAD = "the download"


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
    definition: AsyncJob, request: Request, event: Responded | Failed, captures: Mapping[str, Any], now: float
) -> Reading:
    """Read the head of a download; its body is judged where it is read."""
    return _read(definition, request, event, captures, now, _DOWNLOAD)[0]


def read_hop(
    definition: AsyncJob,
    request: Request,
    event: Responded | Failed,
    captures: Mapping[str, Any],
    now: float,
    *,
    what: str,
) -> tuple[Reading, Seen | None]:
    """Read the answer to a step that leads to the result; a redirect is an answer, and perhaps the one.

    :param what: the step, for messages.
    :return: with the answer itself where it is good.
    """
    return _read(definition, request, event, captures, now, what)


def _read(
    definition: AsyncJob,
    request: Request,
    event: Responded | Failed,
    captures: Mapping[str, Any],
    now: float,
    what: str,
) -> tuple[Reading, Seen | None]:
    if isinstance(event, Failed):
        return failure(event, what), None
    hop = what != _DOWNLOAD
    code = event.response.code
    seen = see(event.response, request.response, definition.errors.result, captures, "errors.result")
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
        expired = "" if hop else " (a link to a result may also have expired: poll again for a fresh one)"
        return denied(event, f"{what}{expired}"), None
    if transient(code):
        return Reading(Answer.UNSETTLED, said(event), wait=wait, notes=seen.notes), None
    if code in (404, 410):
        advice = "The result is not there (any more): it has expired, or was deleted. Run the job again."
    elif 300 <= code < 400:
        advice = "The redirect was not followed: its address is not allowed, or there were too many."
    else:
        advice = f"Correct {'result.steps' if hop else 'result.target or result.request'}."
    error = RefusedError(f"The API refused {what}: {said(event)}. Expected a code of 2xx. {advice}")
    return Reading(Answer.REFUSED, said(event), error, notes=seen.notes), None
