"""Going on with a body that broke off: what may be asked for, and whether the answer fits.

RFC 9110: sections 8.8 (validators), 13.1.5 (If-Range), 14 (ranges) and 15.3.7 (206). Where one of its
conditions does not hold, the body is fetched from its start: bytes of two results are never put together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from airflow_asyncjob.protocol.messages import Response, Resume
from airflow_asyncjob.protocol.times import http_date

__all__ = ["end_of", "misfit", "resume_of"]

_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e]*"')
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.IGNORECASE)
_OLDER = 1.0
"""Seconds that a Last-Modified has to lie before its answer's Date, to be a strong validator (8.8.2.2)."""


def resume_of(first: Response, received: int | None) -> Resume | None:
    """Return how to go on with a body; None: it has to be fetched from its start.

    :param first: the head of its answer, to a GET without a range.
    :param received: bytes of it that came, as they came from the network; None: they were damaged.
    """
    headers = first.headers
    if not received or first.code != 200 or headers.get("accept-ranges", "").strip().lower() == "none":
        return None
    tag = headers.get("etag")
    if tag is not None:
        # With a weak tag a date may not be used either: 13.1.5, "has no entity tag for".
        return Resume(received, tag) if _STRONG_TAG.fullmatch(tag) else None
    date = headers.get("last-modified", "")
    changed, sent = http_date(date), http_date(headers.get("date", ""))
    if changed is None or sent is None or sent - changed < _OLDER:
        return None
    return Resume(received, date)


def misfit(first: Response, resume: Resume, answer: Response) -> str:
    """Return why a 206 is not the rest of the body that was asked for, for people; empty: it is.

    :param first: the head of the answer that broke off.
    """
    told = answer.headers.get("content-range", "")
    found = _CONTENT_RANGE.fullmatch(told.strip())
    length = _length_of(first)
    if found is None or int(found[1]) != resume.at or int(found[2]) < resume.at:
        return f"its Content-Range is {told[:80]!r}"
    total = length if found[3] == "*" else int(found[3])
    if total is None or int(found[2]) != total - 1 or length not in (None, total):
        return f"its Content-Range is {told[:80]!r}, and the first answer had {length or 'no'} Content-Length"
    if _length_of(answer) not in (None, total - resume.at):
        return f"its Content-Length is {answer.headers['content-length'][:20]}, not {total - resume.at}"
    if urlsplit(first.url).path != urlsplit(answer.url).path:
        return "a redirect led to another address than before"
    return _other(first, resume, answer)


def _other(first: Response, resume: Resume, answer: Response) -> str:
    tagged = resume.validator.startswith('"')
    name = "etag" if tagged else "last-modified"
    validator = answer.headers.get(name)
    if validator not in (None, resume.validator):
        return f"its {name} is {validator[:80]!r}, and was {resume.validator[:80]!r}"
    before, now = _coding(first.headers), _coding(answer.headers)
    # An answer to If-Range may leave out what the first one said (15.3.7). A strong tag is of one coding
    # only (8.8.3.3), a date of all of them.
    if now != before and (now or not tagged):
        return f"its Content-Encoding is {now!r}, and was {before!r}"
    return ""


def end_of(answer: Response) -> int:
    """Return how many bytes the whole body has, of a 206 that fits."""
    found = _CONTENT_RANGE.fullmatch(answer.headers["content-range"].strip())
    assert found is not None
    return int(found[2]) + 1


def _length_of(response: Response) -> int | None:
    text = response.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _coding(headers: Mapping[str, str]) -> str:
    return headers.get("content-encoding", "").strip().lower().replace("identity", "")
