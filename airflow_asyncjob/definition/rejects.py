"""The rejects of a job, fetched as a result of their own."""

from __future__ import annotations

from typing import ClassVar

from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.definition.models.rejects import Rejects
from airflow_asyncjob.definition.models.result import Result

__all__ = ["ENTRY", "names_rejects_of_failed", "rejects_job", "with_rejects"]

ENTRY = "entry"
"""The field with the API's own entry, beside ``key``, ``index``, ``reason`` and ``when``."""
_PATHS = ("key", "index", "reason", "when")
_SHARED = (
    "steps",
    "target",
    "request",
    "paginate",
    "format",
    "encoding",
    "csv",
    "member",
    "records",
)


class _RejectsAsResult(Result):
    section: ClassVar[str] = "result.rejects"


def names_rejects_of_failed(definition: AsyncJob) -> bool:
    """Return whether the rejects of a job that failed can be fetched."""
    rejects = definition.result.rejects if definition.result is not None else None
    return rejects is not None and rejects.of_failed


def with_rejects(definition: AsyncJob) -> AsyncJob:
    """Return the definition; one that uploads and has no result with the rejects of its upload as that."""
    uploads = definition.submit is not None and definition.submit.upload is not None
    if definition.result is not None or not uploads:
        return definition
    return definition.model_copy(update={"result": Result(rejects=Rejects(**{"from": "upload"}))})


def rejects_job(definition: AsyncJob) -> AsyncJob:
    """Return a definition whose result is the rejects of this one: whatever fetches results fetches them.

    Its records have what the paths of ``result.rejects`` find in an entry, and the entry itself.

    :param definition: with ``result.rejects``.
    """
    assert definition.result is not None
    assert definition.result.rejects is not None
    rejects = definition.result.rejects
    paths = {name: getattr(rejects, name) for name in _PATHS if getattr(rejects, name) is not None}
    shared = {name: getattr(rejects, name) for name in _SHARED if name in rejects.model_fields_set}
    assert rejects.from_ != "upload"
    given = {"format": rejects.format, "from": rejects.from_, **shared, "select": {**paths, ENTRY: "@"}}
    result = _RejectsAsResult(**given)
    errors = definition.errors.model_copy(update={"result": definition.errors.rejects})
    return definition.model_copy(update={"result": result, "errors": errors})
