"""Results become files: the one entry to everything in this package."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sized
from itertools import chain

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.definition.models.result import Result
from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.results.destination import RemotePath, as_destination
from airflow_asyncjob.results.formats import raw
from airflow_asyncjob.results.manifest import Manifest
from airflow_asyncjob.results.pipeline import Pipeline
from airflow_asyncjob.results.plan import OutputPlan, plan_output
from airflow_asyncjob.results.sink import Sink
from airflow_asyncjob.results.source import Source
from airflow_asyncjob.results.table import require_arrow
from airflow_asyncjob.results.transform import load_transform
from airflow_asyncjob.results.unpack import open_bodies

__all__ = ["check_destination", "check_several", "write_result"]

_KEPT = 16 * 1024 * 1024


def write_result(
    sources: Iterable[Source],
    records: Records,
    destination: str | os.PathLike[str] | RemotePath,
    *,
    output_format: str | None = None,
    limit: int | None = None,
    decompressed_bytes: int | None = None,
    state: str = "done",
    submission_id: str = "",
) -> Manifest:
    """Write results to a destination, whole or not at all.

    Several sources become one file of records, in their order, duplicates kept; raw, they become files of a
    folder. Where there are no data (``state`` is ``no_data``, or there is no source) nothing is written, and
    a file that is there stays as it is. Memory does not grow with the results.

    :param sources: the downloads; each is opened after the one before was read.
    :param records: how they are read.
    :param destination: local path, URI, or a path on an fsspec filesystem; its suffix says what is written,
        see
        :func:`~airflow_asyncjob.results.plan_output`.
    :param output_format: raw, jsonl, csv or parquet; None: by the suffix.
    :param limit: write at most so many records, and read no further; None: all.
    :param decompressed_bytes: largest size of one download that is read as records, after decompression;
        None: any, but what expands 1,000 times, beyond 64 MiB, is refused.
    :param state: how the job ended, for the manifest.
    :param submission_id: for the manifest.
    :raises DefinitionError: the arguments contradict each other.
    :raises FormatError: the bytes are not of the declared format.
    :raises TruncatedError: they end too early.
    :raises DestinationError: the destination cannot be written.
    """
    plan = check_destination(destination, output_format, records)
    _check_limit(limit, plan)
    # Once it freed so large a block, glibc keeps smaller ones that were freed (mallopt(3), the dynamic mmap
    # threshold); else it gives each piece of a download back to the system, and every page is made anew.
    bytes(_KEPT)
    place = as_destination(destination)
    if isinstance(sources, Sized):
        check_several(plan, destination, len(sources))
    opened = iter(sources)
    first = None if state == "no_data" else next(opened, None)
    if first is None:
        return Manifest("no_data", (), 0, 0, None, plan.format, None, submission_id, records.primary_key)
    with Sink(place, folder=plan.folder) as sink:
        count = None
        if plan.format == "raw":
            raw.write(chain([first], opened), sink, plan, place.uri)
        else:
            with sink.file(compress=plan.gzip) as out:
                bodies = open_bodies(chain([first], opened), records, decompressed_bytes)
                count = Pipeline(records, plan, limit, place.uri).write(bodies, out)
        uris = sink.commit()
        return Manifest(
            state, uris, count, sink.bytes, sink.sha256, plan.format, None, submission_id, records.primary_key
        )


def check_destination(
    destination: str | os.PathLike[str] | RemotePath, output_format: str | None, records: Records
) -> OutputPlan:
    """Check everything about the output that can be known before anything is sent, and return the plan.

    :raises DefinitionError: see :func:`~airflow_asyncjob.results.plan_output`; or ``transform`` cannot be
        imported.
    :raises DestinationError: there is no filesystem for the URI; the message names the extra to install.
    :raises ResultError: pyarrow is needed and not installed; the message names the extra.
    """
    uri = destination.uri if isinstance(destination, RemotePath) else os.fspath(destination)
    plan = plan_output(uri, output_format, records)
    as_destination(destination)
    refused = records.rejects if isinstance(records, Result) else None
    if records.tabular or plan.format in ("csv", "parquet") or (refused is not None and refused.tabular):
        require_arrow()
    if plan.format != "raw":
        load_transform(records.transform)
    return plan


def check_several(plan: OutputPlan, destination: str | os.PathLike[str] | RemotePath, number: int) -> None:
    """Refuse several results for one file of raw bytes, before the first of them is downloaded.

    :param number: how many results there are.
    :raises DestinationError: there are several, and one file.
    """
    if plan.format == "raw" and not plan.folder and number > 1:
        raise raw.too_many(as_destination(destination).uri)


def _check_limit(limit: int | None, plan: OutputPlan) -> None:
    if limit is None:
        return
    if plan.format == "raw":
        raise DefinitionError(
            "limit counts records, and raw bytes have none: give the destination the suffix .parquet, "
            ".jsonl or .csv, or remove limit"
        )
    if limit < 1:
        raise DefinitionError(f"limit is {limit}: give a number of records from 1, or remove it")
