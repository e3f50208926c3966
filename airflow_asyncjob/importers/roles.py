"""Which of the pasted requests is which, and which part of their URLs is the job's ID."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from airflow_asyncjob.importers.curl import CurlRequest

__all__ = ["Roles", "assign_roles", "origin_of", "segments"]

_RESULT_WORDS = frozenset(
    [
        "content",
        "data",
        "document",
        "download",
        "export",
        "file",
        "files",
        "output",
        "outputs",
        "result",
        "results",
    ]
)
_STATUS_WORDS = frozenset(["check", "poll", "progress", "state", "status"])
_CANCEL_WORDS = frozenset(["abort", "cancel", "dismiss", "kill", "stop"])
_LOGIN = re.compile(r"(?:^|/)(?:oauth2?|login|signin|sessions?|tokens?|authenticate)(?:/|$)", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"^(?:\$\{?\w+\}?|\{+\s*\w+\s*\}+|<[^<>]+>|:[A-Za-z]\w*|[A-Z][A-Z0-9]*_[A-Z0-9_]*)$"
)
_VERSION = re.compile(r"^v?\d{1,2}(?:\.\d+)*$")
_ID_SHAPE = re.compile(r"^(?=.*\d)[\w.:~-]{2,}$")


@dataclass
class Roles:
    """The requests by what they do.

    :param job_id: the literal or placeholder that is the job's ID in later requests; None: none was found.
    :param unused: the ones without a role.
    """

    submit: CurlRequest
    status: CurlRequest | None = None
    result: CurlRequest | None = None
    cancel: CurlRequest | None = None
    delete: CurlRequest | None = None
    job_id: str | None = None
    unused: list[CurlRequest] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def assign_roles(requests: list[CurlRequest]) -> Roles:
    """Return who is who: the first that changes something submits, what follows asks, fetches or cancels."""
    rest = list(requests)
    notes = []
    changing = [request for request in rest if request.method not in ("GET", "HEAD")]
    if len(changing) > 1 and _is_login(changing[0]):
        login = changing.pop(0)
        notes.append(f"line {login.line}: a login was left out; put its token into the connection's password")
        rest.remove(login)
    submit = changing[0] if changing else rest[0]
    if not changing:
        notes.append(
            f"line {submit.line}: no command changes anything (POST, PUT); the first one was taken to submit"
        )
    at = next(index for index, request in enumerate(rest) if request is submit)
    roles = Roles(submit=submit, unused=rest[:at], notes=notes)
    later = rest[at + 1 :]
    roles.job_id = find_job_id(submit, later)
    _assign_later(roles, later)
    return roles


def find_job_id(submit: CurlRequest, later: list[CurlRequest]) -> str | None:
    """Return the text that is the job's ID in the later requests; None when nothing looks like one."""
    known = set(segments(submit)) | {value for _, value in submit.params}
    depth = len(segments(submit))
    votes: Counter[str] = Counter()
    for request in later:
        if origin_of(request) != origin_of(submit):
            continue
        here = segments(request)
        follows = here[:depth] == segments(submit) and len(here) > depth
        for value in [*here, *(value for _, value in request.params)]:
            if value in known or _VERSION.match(value) or not value:
                continue
            if _PLACEHOLDER.match(value):
                votes[value] += 3
            elif _ID_SHAPE.match(value):
                votes[value] += 2
        if follows and here[depth] not in _RESULT_WORDS | _STATUS_WORDS | _CANCEL_WORDS:
            votes[here[depth]] += 2
    return votes.most_common(1)[0][0] if votes else None


def segments(request: CurlRequest) -> list[str]:
    """Return the parts of a request's path, decoded."""
    return [unquote(part) for part in urlsplit(request.url).path.split("/") if part]


def origin_of(request: CurlRequest) -> str:
    """Return scheme, host and port of a request, as in a URL."""
    parts = urlsplit(request.url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _is_login(request: CurlRequest) -> bool:
    return "grant_type" in (request.body or "") or bool(_LOGIN.search(urlsplit(request.url).path))


def _assign_later(roles: Roles, later: list[CurlRequest]) -> None:
    asking: list[CurlRequest] = []
    for request in later:
        last = (segments(request) or [""])[-1].lower()
        if last in _CANCEL_WORDS or (request.method == "DELETE" and len(asking) < 2):
            roles.cancel, replaced = request, roles.cancel
            roles.unused += [replaced] if replaced else []
        elif request.method == "DELETE":
            roles.delete, replaced = request, roles.delete
            roles.unused += [replaced] if replaced else []
        elif request.method == "HEAD":
            roles.unused.append(request)
        else:
            asking.append(request)
    near = [request for request in asking if origin_of(request) == origin_of(roles.submit)]
    roles.status = min(near, key=_likely_status, default=None)
    downloads = [request for request in asking if request is not roles.status]
    if downloads:
        roles.result = downloads[-1]
        roles.unused += downloads[:-1]


def _likely_status(request: CurlRequest) -> int:
    """Return a rank; among equals the first one wins."""
    last = (segments(request) or [""])[-1].lower()
    return 0 if last in _STATUS_WORDS else 2 if last in _RESULT_WORDS else 1
