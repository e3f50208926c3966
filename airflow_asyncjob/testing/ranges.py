"""Parts of a result, for a client whose download broke off (RFC 9110, sections 13.1.5 and 14)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Literal

from airflow_asyncjob.testing.api import Received, Reply

__all__ = ["Ranges", "with_ranges"]

Ranges = Literal["etag", "weak", "date", "refused"]
_FROM = re.compile(r"bytes=(\d+)-")


def with_ranges(reply: Reply, request: Received, kind: Ranges | None, changed_at: float) -> Reply:
    """Return a result with its validator, or the part of it that the request asks for.

    :param kind: the validator, as :class:`~airflow_asyncjob.testing.GenericOptions` has it; None: there is
        none, and no range.
    :param changed_at: when the result was made, seconds since the epoch.
    """
    if kind is None:
        return reply
    headers = {**reply.headers, **_validator(reply, kind, changed_at)}
    whole = replace(reply, headers=headers)
    found = _FROM.fullmatch(request.headers.get("range", ""))
    if found is None or kind == "refused" or not _is_it(request.headers.get("if-range"), headers):
        return whole
    first, length = int(found[1]), reply.whole
    if first >= length:
        return Reply(416, b"", {"Content-Range": f"bytes */{length}"}, job_id=reply.job_id)
    headers["Content-Range"] = f"bytes {first}-{length - 1}/{length}"
    return replace(whole, code=206, headers=headers, part=(first, length - first))


def _validator(reply: Reply, kind: Ranges, changed_at: float) -> dict[str, str]:
    ranges = {"Accept-Ranges": "none" if kind == "refused" else "bytes"}
    if kind == "date":
        return {**ranges, "Last-Modified": formatdate(changed_at, usegmt=True)}
    body = reply.body.read_bytes() if isinstance(reply.body, Path) else reply.body
    tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    return {**ranges, "ETag": f"W/{tag}" if kind == "weak" else tag}


def _is_it(wanted: str | None, headers: Mapping[str, str]) -> bool:
    """Say whether If-Range names the result as it is: a weak tag never does (13.1.5)."""
    return wanted is None or (
        not wanted.startswith("W/") and wanted in (headers.get("ETag"), headers.get("Last-Modified"))
    )
