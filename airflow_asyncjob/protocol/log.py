"""The log of a job that failed: its end, as text that people read in the error."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from airflow_asyncjob.definition.document import parse_body
from airflow_asyncjob.definition.extract import MISSING, Headers, View, extract, find
from airflow_asyncjob.definition.models.extractor import Extractor
from airflow_asyncjob.definition.models.status import Log
from airflow_asyncjob.errors import DefinitionError, UnreadableError
from airflow_asyncjob.protocol.answers import said
from airflow_asyncjob.protocol.messages import Failed, Responded, Response

__all__ = ["log_in_answer", "read_log"]

_LONGEST_LOG = 2000
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def read_log(log: Log, event: Responded | Failed, captures: Mapping[str, Any]) -> tuple[str, str]:
    """Return the end of a log that was asked for, and why there is none; one of them is empty."""
    assert log.request is not None
    if isinstance(event, Failed) or not 200 <= event.response.code < 300:
        return "", said(event)
    response = event.response
    kind = log.request.response
    if log.path is None and kind == "auto" and not response.body.lstrip().startswith(b'"'):
        kind = "text"  # a log may well begin with "[" or "<", and is neither JSON nor XML then
    try:
        body = parse_body(response.body, kind, response.encoding)
        if log.path is not None:
            body = extract(log.path, _view(response, body, captures), single=False, where="status.log.path")
    except (UnreadableError, DefinitionError) as error:
        return "", f"{said(event)} ({error.message})"
    text = _end_of(body)
    return (text, "") if text else ("", f"{response.sent or 'the request'} answered with an empty log")


def log_in_answer(path: Extractor, view: View) -> str:
    """Return the end of a log that lies in the status answer itself; empty: there is none."""
    try:
        found = find(path, view, single=False)
    except (UnreadableError, DefinitionError):
        return ""
    return "" if found is MISSING else _end_of(found)


def _view(response: Response, body: Any, captures: Mapping[str, Any]) -> View:
    return View(response.code, Headers(response.headers), body, response.url, captures)


def _end_of(found: Any) -> str:
    """Return the last lines of a log; a list has one entry a line."""
    entries = found if isinstance(found, list) else [] if found is None else [found]
    lines = [e if isinstance(e, str) else json.dumps(e, ensure_ascii=False, default=str) for e in entries]
    text = _COLOUR.sub("", "\n".join(lines)).replace("\r\n", "\n")
    text = "".join(c for c in text if c.isprintable() or c in "\n\t").strip()
    if len(text) <= _LONGEST_LOG:
        return text
    end = text[1 - _LONGEST_LOG :]
    first, newline, rest = end.partition("\n")
    return f"…{rest if newline and rest and len(first) < _LONGEST_LOG // 2 else end}"
