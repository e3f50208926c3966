"""What one exchange gave, before counters and deadlines are considered: the common part for every request."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_asyncjob.definition.document import parse_body
from airflow_asyncjob.definition.extract import MISSING, Headers, View, find
from airflow_asyncjob.definition.models.extractor import Extractor
from airflow_asyncjob.definition.models.request import ResponseKind
from airflow_asyncjob.definition.models.rules import ErrorRule, State
from airflow_asyncjob.definition.problems import kind_of, shown
from airflow_asyncjob.definition.templates import evaluate, render
from airflow_asyncjob.errors import AsyncJobError, DefinitionError, RefusedError, UnreadableError
from airflow_asyncjob.protocol.messages import Failed, Fault, Responded, Response, Submission
from airflow_asyncjob.protocol.parts import Refusals

__all__ = [
    "Answer",
    "Look",
    "Reading",
    "Seen",
    "as_text",
    "capture",
    "denied",
    "failure",
    "put_off",
    "ruled_out",
    "said",
    "see",
    "size_of",
    "transient",
]

_LONGEST_EXCERPT = 300
_LONGEST_LINE = 8 * 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LARGEST_CAPTURES = 8 * 1024
"""Characters of JSON that one answer may leave: a checkpoint is small."""


class Answer(enum.StrEnum):
    """What an exchange says about its own request."""

    GOOD = "good"
    NOT_DONE = "not_done"
    """Certainly not done, and the same request may work later."""
    UNSETTLED = "unsettled"
    """It may have been done; the same request may work later."""
    GARBLED = "garbled"
    """A good code, and a body that cannot be read: HTML, broken JSON, nothing."""
    NO_MATCH = "no_match"
    """A good code and a body, and not what the definition reads in it."""
    DENIED = "denied"
    """401 or 403."""
    MISSING = "missing"
    """404."""
    GONE = "gone"
    """410: it was there."""
    REFUSED = "refused"
    """Certainly not done, and asking again is pointless."""
    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"
    """A status that is not mapped."""
    BROKEN = "broken"
    """The job ended well, and where its result lies cannot be read."""


@dataclass(frozen=True)
class Look:
    """What a good poll says of the job."""

    state: State
    raw_status: Any = None
    message: str = ""
    progress: Any = None
    expires_at: float | None = None
    captures: Mapping[str, Any] = field(default_factory=dict)
    target: str | list[str] = field(default_factory=list)
    queued: bool = False
    """It has not started yet."""
    log: str = ""
    """The end of its log, where it failed and the answer has it."""


@dataclass(frozen=True)
class Reading:
    """One exchange, read.

    :param answer: what it says.
    :param problem: what was sent and what came, for people; empty when all is well.
    :param error: what to end with when this is final; None when all is well.
    :param wait: seconds that the API asks to wait (Retry-After); None: it does not.
    :param pause: seconds that a rule of the definition gives instead of the usual backoff; None: no rule
        does.
    :param submission: the job that a submit created.
    :param kept: what the steps of a submit have captured so far; None: this was the last, or no step.
    :param refusals: the records that an answer to an upload refused; None: nothing reads them.
    :param look: what a poll saw.
    :param notes: for the log.
    """

    answer: Answer
    problem: str = ""
    error: AsyncJobError | None = None
    wait: float | None = None
    pause: float | None = None
    submission: Submission | None = None
    kept: Mapping[str, Any] | None = None
    refusals: Refusals | None = None
    look: Look | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """An answer with its body parsed and the section's error rules asked.

    :param trouble: why the body cannot be read; None when it can (then ``view.body`` is its value).
    :param rule: the first error rule that is true.
    """

    view: View
    trouble: UnreadableError | None
    rule: ErrorRule | None
    notes: tuple[str, ...]


def see(
    response: Response,
    kind: ResponseKind,
    rules: Iterable[ErrorRule],
    captures: Mapping[str, Any],
    where: str,
) -> Seen:
    """Parse an answer and ask the error rules, which come before the usual reading of HTTP codes.

    A rule that cannot be evaluated on this answer is not true, and is noted.
    """
    trouble, body = None, None
    try:
        body = parse_body(response.body, kind, response.encoding)
    except UnreadableError as error:
        trouble = error
    view = View(response.code, Headers(response.headers), body, response.url, captures)
    notes: list[str] = []
    for number, rule in enumerate(rules):
        try:
            if evaluate(rule.when, view.names(), where=f"{where}[{number}].when"):
                return Seen(view, trouble, rule, tuple(notes))
        except UnreadableError as error:
            notes.append(error.message)
    return Seen(view, trouble, None, tuple(notes))


def transient(code: int) -> bool:
    """Return whether the same request may work later, by its code alone."""
    return code >= 500 or code in (408, 425, 429)


def said(event: Responded | Failed) -> str:
    """Return what was sent and what came of it, for people."""
    if isinstance(event, Failed):
        return f"{event.sent or 'the request'} had no usable answer: {event.detail}"
    response = event.response
    text = " ".join(response.excerpt.split())
    if len(text) > _LONGEST_EXCERPT:
        text = text[:_LONGEST_EXCERPT] + "..."
    came = (
        f": {text}" if text else f", with {len(response.body)} bytes" if response.body else ", without a body"
    )
    return f"{response.sent or 'the request'} answered {response.code}{came}"


def ruled_out(seen: Seen, event: Responded, what: str) -> Reading:
    """Return what a rule ``then: fail`` means.

    :param what: what was tried, such as ``the submit``.
    """
    assert seen.rule is not None
    text = said(event)
    message = rule_message(seen.rule.message, seen.view)
    reason = f"{message.rstrip('.')}. " if message else ""
    error = RefusedError(f"A rule of the definition ends {what} (when: {seen.rule.when}). {reason}{text}")
    return Reading(Answer.REFUSED, _with_message(text, message), error, notes=seen.notes)


def put_off(seen: Seen, event: Responded, wait: float | None, answer: Answer = Answer.NOT_DONE) -> Reading:
    """Return what a rule ``then: retry`` means: to be asked again, after the rule's wait.

    :param wait: seconds that the API asks to wait; None: it does not.
    :param answer: what it says of the request.
    """
    assert seen.rule is not None
    problem = _with_message(said(event), rule_message(seen.rule.message, seen.view))
    return Reading(answer, problem, wait=wait, pause=seen.rule.wait, notes=seen.notes)


def _with_message(text: str, message: str) -> str:
    """Return what came, and what a rule says of it where it says something."""
    return f"{text} ({message})" if message else text


def rule_message(template: str | None, view: View) -> str:
    """Return the message of a rule; empty when it has none, or it cannot be rendered on this answer."""
    if template is None:
        return ""
    try:
        return str(render(template, view.names(), where="message"))
    except DefinitionError:
        return ""


def denied(event: Responded, what: str) -> Reading:
    """Return what 401 and 403 mean."""
    text, bare = said(event), event.response.bare
    if event.response.code == 401:
        word = "wants credentials" if bare else "does not accept the credentials of the connection"
    else:
        word = "does not allow this" + ("" if bare else " with the credentials of the connection")
    correct = "Correct the connection's login and password, or its rights at the API."
    advice = f"{bare}." if bare else f"They were fetched again, to no avail. {correct}"
    error = RefusedError(f"The API {word}, for {what}: {text}. {advice}")
    return Reading(Answer.DENIED, text, error)


def failure(event: Failed, what: str) -> Reading:
    """Return what an exchange without an answer means, where nothing but the answer is at stake.

    :param what: what was tried, such as ``the poll``.
    """
    text = said(event)
    if event.fault is Fault.REFUSED:
        return Reading(Answer.REFUSED, text, event.error or RefusedError(f"Cannot send {what}: {text}"))
    if event.fault is Fault.TOO_LARGE:
        return Reading(Answer.REFUSED, text, UnreadableError(f"Cannot read the answer to {what}: {text}"))
    answer = Answer.NOT_DONE if event.fault is Fault.NOT_SENT else Answer.UNSETTLED
    return Reading(answer, text)


def capture(
    extractors: Mapping[str, Extractor], view: View, names: Mapping[str, Any], where: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the captures that an answer gives, and a note for each that it does not.

    A capture that is absent is no error yet: the job exists, and is not given up for a value that is perhaps
    never used. The request that needs it fails by name.
    """
    found: dict[str, Any] = {}
    notes = []
    left = _LARGEST_CAPTURES
    for name, extractor in extractors.items():
        try:
            value = find(extractor, view, names=names, where=f"{where}.{name}")
        except (UnreadableError, DefinitionError) as error:
            notes.append(error.message)
            continue
        if value is MISSING:
            notes.append(f"{where}.{name}: {extractor.describe()} matches nothing")
            continue
        size = size_of(value)
        if size is None or size > left:
            notes.append(
                f"{where}.{name}: not kept, since it is not JSON, or more than {_LARGEST_CAPTURES} "
                "characters are captured from one answer"
            )
            continue
        left -= size
        found[name] = value
    return found, tuple(notes)


def size_of(value: Any) -> int | None:
    """Return the length of a value as JSON; None when it is not JSON."""
    try:
        return len(value) if isinstance(value, str) else len(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return None


def as_text(value: Any, where: str) -> str:
    """Return an ID or a target as text; numbers are written as JSON writes them.

    :raises UnreadableError: it is empty, neither text nor a number, or more than a line: a page, say.
    """
    if isinstance(value, str) and value.strip():
        return _line(value.strip(), where)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    what = "empty text" if isinstance(value, str) else kind_of(value)
    raise UnreadableError(f"{where}: expected text or a number, and there is {what}: {shown(value)}")


def _line(text: str, where: str) -> str:
    if len(text) > _LONGEST_LINE:
        what = f"a text of {len(text):,} characters"
    elif not _CONTROL.search(text):
        return text
    else:
        what = "text with a line break or another control character"
    raise UnreadableError(f"{where}: expected an ID or an address, and there is {what}: {shown(text)}")
