"""The rows of a job of the generic fake API, page by page, in the ways in which APIs do it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlencode

from airflow_asyncjob.testing.api import Received, Reply, json_reply
from airflow_asyncjob.testing.plan import Job
from airflow_asyncjob.testing.rows import expected_rows, write_rows

__all__ = ["rejects_page", "rows_page"]

_USUAL = 100
_MOST = 1000
_CURSOR = "after-"
_WHY = "the amount is not allowed"


def rows_page(job: Job, request: Received, address: str) -> Reply:
    """Answer ``GET /jobs/ID/rows``.

    :param address: of the rows, as the API names it.
    """
    return _page(job, request, address, "rows", job.plan.rows, partial(expected_rows, tag=job.plan.tag))


def rejects_page(job: Job, request: Received, address: str) -> Reply:
    """Answer ``GET /jobs/ID/rejects``.

    :param address: of the rejects, as the API names it.
    """
    given = job.plan.rejects
    total = len(given) if isinstance(given, list) else given

    def entries(count: int, *, start: int) -> Iterator[dict[str, Any]]:
        if isinstance(given, list):
            return iter(given[start : start + count])
        rows = enumerate(expected_rows(count, start=start), start)
        return ({"index": at, "id": row["id"], "code": 7, "reason": _WHY} for at, row in rows)

    return _page(job, request, address, "rejects", total, entries)


def _page(
    job: Job,
    request: Received,
    address: str,
    name: str,
    total: int,
    items: Callable[..., Iterator[dict[str, Any]]],
) -> Reply:
    """Answer with one page.

    :param name: of the list, in JSON.
    :param items: returns so many of them (``count``) from ``start`` on.
    """
    query = dict(request.query)
    try:
        limit, start = _window(query)
    except ValueError as error:
        return json_reply(400, {"error": str(error)}, job_id=job.id)
    count = max(0, min(limit, total - start))
    more = start + limit < total
    cursor = f"{_CURSOR}{start + limit}" if more else None
    kept = {"limit": limit, "format": query["format"]} if "format" in query else {"limit": limit}
    link = f"{address}?{urlencode({**kept, 'cursor': cursor})}" if more else None
    headers = {"X-Next-Cursor": cursor or "null"}
    if link:
        headers["Link"] = f'<{address}?limit={limit}>; rel="first", <{link}>; rel="next"'
    rows = items(count, start=start)
    if query.get("format", "json") == "json":
        page = {"total": total, "more": more, "cursor": cursor, "next": link, name: list(rows)}
        return json_reply(200, page, headers=headers, job_id=job.id)
    out = io.BytesIO()
    write_rows(out, rows, "csv" if query["format"] == "csv" else "jsonl", zipped=job.plan.gzip)
    return Reply(200, out.getvalue(), headers, job_id=job.id)


def _window(query: dict[str, str]) -> tuple[int, int]:
    """Return how many rows are asked for, and the number of the first.

    :raises ValueError: a parameter is wrong; the message says which.
    """
    limit = _number(query, "limit", _USUAL, 1, _MOST)
    cursor = query.get("cursor")
    if cursor is not None:
        if not cursor.removeprefix(_CURSOR).isdecimal():
            raise ValueError(f"there is no cursor {query['cursor']!r}")
        return limit, int(cursor.removeprefix(_CURSOR))
    if "page" in query:
        return limit, limit * (_number(query, "page", 1, 1) - 1)
    return limit, _number(query, "offset", 0, 0)


def _number(query: dict[str, str], name: str, usual: int, least: int, most: int | None = None) -> int:
    text = query.get(name, str(usual))
    if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
        upto = f" to {most}" if most is not None else " or more"
        raise ValueError(f"{name} is a whole number of {least}{upto}, not {text!r}")
    return int(text)
