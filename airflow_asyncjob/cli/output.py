"""Where the result of a command-line run goes: files, or stdout."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from airflow_asyncjob.cli.progress import bytes_text
from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.models.result import Result
from airflow_asyncjob.definition.problems import counted
from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.results.manifest import Manifest
from airflow_asyncjob.results.plan import plan_output
from airflow_asyncjob.results.verdict import rejects_text
from airflow_asyncjob.results.write import check_destination

__all__ = ["STDOUT", "check_output", "check_writable", "local_path", "through_stdout", "written_text"]

STDOUT = "-"
_RECORDS = "records.jsonl"
"""What records are written to on their way to stdout."""


def check_output(definition: AsyncJob, destination: str | None, *, limit: int | None, as_json: bool) -> None:
    """Refuse, before anything is sent, what the end of the job would show to be impossible or pointless.

    :raises DefinitionError: the options contradict each other, or the definition; or its ``transform`` cannot
        be imported.
    :raises AsyncJobError: a package is missing.
    """
    if destination is None:
        if limit is not None:
            raise DefinitionError("--limit goes with --destination: without one nothing is downloaded")
        return
    if definition.result is None:
        raise DefinitionError(
            "--destination: the definition has no section result, so there is nothing to download"
        )
    if destination == STDOUT and as_json:
        raise DefinitionError("--destination - and --output json both want stdout: give a file")
    if limit is not None and not definition.result.is_there:
        raise DefinitionError("--limit would be ignored: the job has no result of its own, only rejects")
    if destination == STDOUT:
        raw = _is_raw(definition.result)
        if not raw:
            check_destination(_RECORDS, None, definition.result)
    else:
        raw = check_destination(destination, None, definition.result).format == "raw"
    if limit is not None and raw:
        raise DefinitionError(
            "--limit counts records, and the result is written raw, as the bytes come: give the definition's "
            "result a format (json, jsonl, csv), and the destination a suffix (.jsonl, .csv, .parquet)"
        )


def check_writable(definition: AsyncJob, destination: str | None) -> None:
    """Open a local destination and leave it as it was: better known now than when the job has run.

    Of another destination only the filesystem's package is looked for.

    :raises DestinationError: it cannot be written.
    """
    if destination is None or destination == STDOUT or definition.result is None:
        return
    from airflow_asyncjob.results.destination import as_destination
    from airflow_asyncjob.results.sink import Sink

    place = as_destination(destination)
    if place.fs is not None:
        return
    folder = plan_output(destination, None, definition.result).folder
    with Sink(place, folder=folder) as sink, sink.file("probe"):
        pass


def through_stdout(definition: AsyncJob, write: Callable[[str, str], Manifest]) -> Manifest:
    """Write a result aside and then to stdout, so that half a result never gets there.

    Records become JSON lines; raw results come one after the other, as they are. Rejects are for stdout where
    there is no result, and else only counted.

    :param write: takes a destination and an output format.
    """
    assert definition.result is not None
    with tempfile.TemporaryDirectory(prefix="asyncjob-") as folder:
        raw = _is_raw(definition.result)
        manifest = write(f"{folder}/", "raw") if raw else write(f"{folder}/{_RECORDS}", "jsonl")
        rejects = manifest.rejects or {}
        refused = [rejects["uri"]] if rejects.get("uri") and not definition.result.is_there else []
        for uri in [*manifest.uris, *refused]:
            with Path(local_path(uri)).open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer, 1024 * 1024)
        sys.stdout.buffer.flush()
    return replace(manifest, rejects={**rejects, "uri": None}) if rejects else manifest


def _is_raw(result: Result) -> bool:
    return result.is_there and result.format == "raw"


def local_path(uri: str) -> str:
    """Return a file URI as a path, as people write it; another URI as it is."""
    return os.path.relpath(uri.removeprefix("file://")) if uri.startswith("file://") else uri


def written_text(manifest: Manifest) -> str:
    """Return what was written, for people."""
    said = []
    if manifest.uris:
        records = "" if manifest.records is None else f"{counted(manifest.records, 'record')}, "
        files = "" if len(manifest.uris) == 1 else f" in {len(manifest.uris)} files"
        said.append(f"{records}{bytes_text(manifest.bytes)}{files}")
    if manifest.rejects:
        uri = manifest.rejects["uri"]
        said.append(rejects_text(manifest.rejects) + (f", see {local_path(uri)}" if uri else ""))
    return f"{manifest.state}: {'; '.join(said) or 'nothing to write'}"
