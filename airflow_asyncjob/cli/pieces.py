"""Runs of several jobs: an upload that is more than one job takes goes up in pieces, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_asyncjob.cli.output import STDOUT
from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.inputs import source_input
from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.results.plan import without_suffix
from airflow_asyncjob.transport.upload import Find
from airflow_asyncjob.uploads import pieces_of

__all__ = ["inputs_of_jobs", "numbered"]


def inputs_of_jobs(
    definition: AsyncJob, inputs: dict[str, Any], names: Mapping[str, Any], find: Find
) -> list[dict[str, Any]]:
    """Return the inputs of each job that a run takes: one job, unless a file is over the limits of one.

    :param names: the template names of the run.
    :param find: finds the file.
    :raises UploadError: the file cannot be cut.
    """
    upload = definition.submit.upload if definition.submit is not None else None
    if upload is None or (upload.job_bytes is None and upload.job_records is None):
        return [inputs]
    name = source_input(definition)
    if not isinstance(inputs.get(name), str):
        return [inputs]
    pieces = pieces_of(upload, {**names, "inputs": inputs}, find)
    return [inputs] if len(pieces) == 1 else [{**inputs, name: piece} for piece in pieces]


def numbered(destination: str | None, number: int) -> str | None:
    """Return where the result of one of several jobs goes: ``out.2.jsonl`` for ``out.jsonl``.

    :param destination: of the run; None: there is none.
    :raises DefinitionError: it is stdout, which takes one result.
    """
    if destination is None:
        return None
    if destination == STDOUT:
        raise DefinitionError(
            "--destination -: the upload takes several jobs, and stdout the result of one: give a file; each "
            "job gets its name with a number"
        )
    if destination.endswith("/"):
        return f"{destination}{number}/"
    bare = without_suffix(destination)
    return f"{bare}.{number}{destination[len(bare) :]}"
