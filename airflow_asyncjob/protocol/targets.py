"""Where the result of a job lies, as the last poll tells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_asyncjob.definition.extract import MISSING, View, extract, find
from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.definition.models.extractor import Extractor
from airflow_asyncjob.definition.models.paginate import PAGE_NAMES
from airflow_asyncjob.definition.templates import inspect, render_url
from airflow_asyncjob.protocol.answers import as_text
from airflow_asyncjob.protocol.messages import Submission

__all__ = ["discreet", "find_target", "is_too_large", "read_target", "secret_place"]

_LARGEST_KEPT = 24 * 1024
_PLAIN_LIST = re.compile(r"([\w.-]+)\[")


def read_target(
    definition: AsyncJob, view: View, submission: Submission, names: Mapping[str, Any]
) -> str | list[str]:
    """Return what ``result.target`` finds, or the URL of the fixed request, or the submission ID (also where
    steps lead to the target, which the download takes).

    :raises UnreadableError: nothing is there, or something that is neither text nor a number.
    :raises TemplateError: the URL of the fixed request cannot be rendered.
    """
    result = definition.result
    if result is not None and result.steps is not None:
        return submission.id
    if result is not None and result.target is not None:
        return find_target(result.target, view, names)
    if result is not None and result.request is not None:
        url = result.request.url
        # What the connection says, and which page it is, is known when the request is sent, and not before.
        if not inspect(url).names.intersection(("connection", *PAGE_NAMES)):
            return render_url(url, names, where="result.request.url") or submission.id
    return submission.id


def discreet(definition: AsyncJob, target: str | list[str], submission: Submission) -> str | list[str]:
    """Return what may be kept and handed on of a target: the submission ID where the target is a secret."""
    secret = definition.result is not None and definition.result.secret
    return submission.id if secret and target else target


def secret_place(definition: AsyncJob) -> Extractor | None:
    """Return where an answer with the job's state holds a target that is a secret; None: it is none."""
    result = definition.result
    return result.target if result is not None and result.secret else None


def is_too_large(target: str | list[str]) -> bool:
    """Return whether these targets are too many to be stored: they are asked for again instead."""
    return isinstance(target, list) and sum(map(len, target)) > _LARGEST_KEPT


def find_target(
    extractor: Extractor, view: View, names: Mapping[str, Any], *, where: str = "result.target"
) -> str | list[str]:
    """Return the download targets that an answer names.

    :param where: where the extractor stands, for messages.
    :raises UnreadableError: nothing is there, or something that is neither text nor a number.
    :raises TemplateError: the target is a template that cannot be rendered.
    """
    if _is_of_an_empty_list(extractor, view):
        return []
    value = extract(extractor, view, names=names, single=False, where=where)
    if isinstance(value, list):
        return [as_text(item, f"{where}[{place}]") for place, item in enumerate(value)]
    return as_text(value, where)


def _is_of_an_empty_list(extractor: Extractor, view: View) -> bool:
    """Return whether a path such as ``files[].url`` is asked of an answer with ``"files": []``.

    That is no data. A path that matches nothing in a list that has items is a mistake.
    """
    match = None if extractor.path is None else _PLAIN_LIST.match(extractor.path)
    if match is None:
        return False
    inside = find(Extractor(path=match.group(1)), view)
    return inside is not MISSING and inside == []
