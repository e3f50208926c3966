"""Places: which names a template or an expression may use in which part of a definition."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from airflow_asyncjob.definition.models.paginate import PAGE_NAMES
from airflow_asyncjob.definition.problems import nearest
from airflow_asyncjob.definition.templates import EXPR_NAMES, RUN_NAMES

__all__ = [
    "LINKED",
    "Place",
    "knowing",
    "of_files",
    "refusal",
    "with_callback",
    "with_item",
    "with_part",
    "with_upload",
    "without",
]


@dataclass(frozen=True)
class Place:
    """What is known in one part of a definition.

    :param names: names that are known there.
    :param label: the part, for messages.
    :param password: whether ``connection.password`` is known there.
    :param captures: names of the captures that are known there; None: those that the sections make.
    :param of_connection: the only fields of ``connection`` that are known there; None: all but the password.
    """

    names: tuple[str, ...]
    label: str
    password: bool = False
    captures: tuple[str, ...] | None = None
    of_connection: tuple[str, ...] | None = None


SENT = ("connection", "request_id")
"""What a request gets when it is sent."""
SUBMIT_REQUEST = Place(("inputs", "idempotency_key", *SENT, *RUN_NAMES), "the submit")
SUBMIT_ID = Place(("inputs", "idempotency_key", "captures", *RUN_NAMES), "the submission ID")
SUBMIT_CAPTURE = Place(("inputs", "idempotency_key", *RUN_NAMES), "a capture of the submit")
UPLOAD = Place(("inputs", *RUN_NAMES), "the upload, which is cut before anything is sent")
LATER_REQUEST = Place(("inputs", "submission_id", "captures", *SENT, *RUN_NAMES), "this request")
LATER_VALUE = Place(("inputs", "submission_id", "captures", *RUN_NAMES), "this value")
LINKED = ("host", "port", "schema")
"""Fields of the connection that everybody may see."""
LINK = Place((*LATER_VALUE.names, "connection"), "the link", of_connection=LINKED)
DOWNLOAD = Place((*LATER_REQUEST.names, "download_target"), "the download")
PAGE = Place((*DOWNLOAD.names, *PAGE_NAMES), "the download of a page")
LOGIN = Place((*SENT, "captures"), "the login", password=True)
CREDENTIALS = Place(("connection",), "the credentials", password=True)
FIRST_ANSWER = Place(tuple(name for name in EXPR_NAMES if name != "captures"), "the answer to a submit")
LIST_REQUEST = Place(("inputs", *SENT, *RUN_NAMES), "the list of jobs")
LIST_PAGE = Place((*LIST_REQUEST.names, *PAGE_NAMES), "a page of the list of jobs")
PAGE_ANSWER = Place(FIRST_ANSWER.names, "a page")
LIST_ANSWER = Place(FIRST_ANSWER.names, "the list of jobs")
LATER_ANSWER = Place(EXPR_NAMES, "an answer")
EVENT = Place(("headers", "body"), "the event of a webhook")
SIGNED = Place(("body", "timestamp", "headers"), "what is signed of an event")


def without(place: Place, name: str) -> Place:
    """Return a place that does not know one of the names."""
    return replace(place, names=tuple(known for known in place.names if known != name))


def knowing(place: Place, captures: Iterable[str]) -> Place:
    """Return a place that knows these captures, and no others."""
    names = place.names if "captures" in place.names else (*place.names, "captures")
    return replace(place, names=names, captures=tuple(captures))


def with_item(place: Place) -> Place:
    """Return a place inside of a step with ``each``."""
    return replace(place, names=(*place.names, "item"))


def with_callback(place: Place) -> Place:
    """Return a place in a submit of a definition with a webhook."""
    return replace(place, names=(*place.names, "callback_url"))


def with_part(place: Place) -> Place:
    """Return a place in a request that sends, or goes with, a part of an upload."""
    return replace(place, names=(*place.names, "part"))


def with_upload(place: Place) -> Place:
    """Return a place in a submit that has an upload."""
    return replace(place, names=(*place.names, "upload"))


def of_files(place: Place, *, item: bool = True) -> Place:
    """Return a place for the path of a file, which an answer of the API must not choose.

    :param item: whether ``item`` is known, where there is one: not if it comes from an answer.
    """
    known = ("inputs", *(("item",) if item else ()), *RUN_NAMES)
    label = "the path of a file, which an answer must not choose"
    return replace(place, names=tuple(name for name in place.names if name in known), label=label)


_NOT_YET = {
    "item": "there is one in a step with each only",
    **dict.fromkeys(PAGE_NAMES, "it is known in a request with `paginate` beside it only"),
    "submission_id": "there is no submission before the submit is answered",
    "captures": "nothing is captured before the submit is answered",
    "download_target": "the target is known in result.request only",
    "idempotency_key": "only the submit knows it; keep it with submit.capture, such as {key: '{{ "
    "idempotency_key }}'}",
    "callback_url": "there is one in the submit of a definition with `status.webhook` only",
    "part": "there is one in the request that sends a part of `submit.upload` only",
    "parts": "it stands alone, as each: '{{ parts }}' of a step of a submit with `upload`",
    "upload": "it is known in the requests of a submit with `upload` only",
    "connection": "the connection is known in requests only, when they are sent",
    "request_id": "each request gets its own when it is sent",
}


_LIKE = 0.7
"""How alike a misspelled name and the right one are; Airflow's ``params`` is less like ``part``."""


def refusal(name: str, place: Place) -> str:
    """Return why a name cannot be used in a place, and what can."""
    valid = f"Valid here: {', '.join(place.names)}"
    if name in _NOT_YET:
        return f"{name!r} is not known in {place.label}: {_NOT_YET[name]}. {valid}"
    if name in EXPR_NAMES and "inputs" in place.names:
        read = "an answer is read by a path or {expr: ...}, and kept with capture"
        return f"{name!r} is not known in {place.label}: {read}. {valid}"
    meant = _meant(name, place)
    if "inputs" in place.names:
        pass_it = f"pass its value through inputs, as {{{{ inputs.{name} }}}}"
        then = f": {meant} Otherwise {pass_it}" if meant else f"; {pass_it}"
        return f"{name!r} is not a name of this package{then}. {valid}"
    return f"{name!r} is not known in {place.label}{f': {meant}' if meant else '.'} {valid}"


def _meant(name: str, place: Place) -> str:
    """Return the question whether a misspelled name is meant; empty where none is like it."""
    known = (known for known in (*place.names, *_NOT_YET) if known != "parts")  # so like Airflow's ``params``
    meant = nearest(name, tuple(known), likeness=_LIKE)
    if meant is None:
        return ""
    question = f"did you mean {meant!r}?"
    return question if meant in place.names else f"{question} (Not known here: {_NOT_YET[meant]}.)"
