"""From download targets to a file: the protocol decides on tries, waits and pages, the wire brings the
bytes, the writer takes them. The command line and Airflow's download task both do it with
:func:`fetch_result`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.errors import AsyncJobError, DefinitionError, RejectsUnavailableError, UploadError
from airflow_asyncjob.protocol import Submission, Wait, Woken
from airflow_asyncjob.results.downloads import Downloads, Received
from airflow_asyncjob.results.manifest import Manifest
from airflow_asyncjob.results.rejects import Accounting, fetch_rejects
from airflow_asyncjob.results.resilient import Observe
from airflow_asyncjob.results.verdict import rejects_told
from airflow_asyncjob.results.write import check_destination, check_several, write_result

if TYPE_CHECKING:
    from airflow_asyncjob.results.destination import RemotePath
    from airflow_asyncjob.transport.client import Wire

__all__ = ["fetch_result"]


def fetch_result(
    definition: AsyncJob,
    targets: str | Sequence[str],
    *,
    wire: Wire,
    inputs: Mapping[str, Any],
    names: Mapping[str, Any],
    submission: Submission | None,
    captures: Mapping[str, Any] | None = None,
    destination: str | os.PathLike[str] | RemotePath | None,
    output_format: str | None = None,
    limit: int | None = None,
    state: str = "done",
    observe: Observe | None = None,
    wait: Callable[[Wait], Woken] | None = None,
    received: Received | None = None,
    account: Accounting | None = None,
) -> Manifest:
    """Download the result of a job and write it, whole or not at all.

    :param definition: its ``result`` section says how.
    :param targets: the download target, as the wait for the job gave it: text, or a list; empty: no data.
        Where the definition has ``result.steps``, they lead to the targets that count.
    :param inputs: the job's inputs, resolved.
    :param names: the frozen scalars of the run, for templates.
    :param submission: the job; None where the target alone is known.
    :param captures: those of the status answers; the submission's are added.
    :param destination: where to write; see :func:`~airflow_asyncjob.results.write_result`. None, for a job
        without a result of its own: its rejects are counted only.
    :param output_format: one of raw, jsonl, csv, parquet; None: the destination's suffix decides.
    :param limit: write at most so many records; None: all. The rest is not downloaded.
    :param state: of the job, for the manifest. With ``no_data`` its rejects are not asked for, with any other
        than ``done`` and ``partial`` only they are. It becomes ``no_data`` when a rule of ``errors.result``
        says so of every download.
    :param observe: sees every command before and after it is done, such as ``Narrator.observe``; but no
        ``Finish``, which a reader would take for the end of the job.
    :param wait: how to wait for the next try; None: sleep.
    :param received: is told how many bytes have come.
    :param account: of the records that the job was given, see
        :class:`~airflow_asyncjob.uploads.account.Account`; None: it was given none.
    :raises DefinitionError: there is no ``result`` section, or a target that is no address.
    :raises ExchangeError: the API did not give the result. Its rejects are written all the same, if they can
        be, and the message says so.
    :raises RejectsUnavailableError: the result is written, and its rejects could not be.
    :raises ResultError: the result cannot be read, or not be written; several raw results for one file are
        refused before the first of them is asked for.
    """
    if definition.result is None:
        raise DefinitionError(f"{definition.name or 'the definition'} has no section 'result' to download by")
    job: dict[str, Any] = {"inputs": inputs, "names": names, "submission": submission, "captures": captures}
    downloads = Downloads(definition, job, wire, observe, wait, received)
    submission_id = "" if submission is None else submission.id
    manifest = Manifest(state, (), 0, 0, None, "jsonl", submission_id=submission_id)
    if destination is not None:
        check_destination(destination, output_format, definition.result)

    def with_rejects(manifest: Manifest) -> Manifest:
        if definition.result is None or (definition.result.rejects is None and account is None):
            return manifest
        quiet = replace(downloads, received=None)
        found = fetch_rejects(quiet, destination, state=state, account=account)
        return replace(manifest, rejects=found)

    if definition.result.is_there and state in ("done", "partial", "no_data"):
        assert destination is not None
        try:
            manifest = _written(downloads, targets, destination, output_format, limit, manifest)
        except DefinitionError:
            raise
        except AsyncJobError as error:
            _tell_also(error, with_rejects, manifest)
            raise
    try:
        return with_rejects(manifest)
    except AsyncJobError as error:
        written = f"The result is written ({', '.join(manifest.uris[:5])}). " if manifest.uris else ""
        raise RejectsUnavailableError(f"{written}{_unknown(error)}", retryable=error.retryable) from error


def _written(
    downloads: Downloads,
    targets: str | Sequence[str],
    destination: str | os.PathLike[str] | RemotePath,
    output_format: str | None,
    limit: int | None,
    manifest: Manifest,
) -> Manifest:
    """Download and write the result.

    :param manifest: what is known of it before.
    """
    definition, result = downloads.definition, downloads.definition.result
    assert result is not None
    downloads, listed = downloads.found(targets)
    check_several(check_destination(destination, output_format, result), destination, len(listed))
    with closing(downloads.of(listed)) as opened:
        return write_result(
            opened,
            result,
            destination,
            output_format=output_format,
            limit=limit,
            decompressed_bytes=definition.limits.decompressed_bytes,
            state=manifest.state,
            submission_id=manifest.submission_id,
        )


def _tell_also(error: AsyncJobError, fetch: Callable[[Manifest], Manifest], manifest: Manifest) -> None:
    """Fetch the rejects in spite of a result that could not be had, and say in its error what they are."""
    try:
        found = fetch(manifest)
    except AsyncJobError as other:
        told = _unknown(other)
    else:
        if not found.rejects or not found.rejects["records"]:
            return
        told = rejects_told(found)
    error.message = f"{error.message} {told}"
    error.args = (error.message, *error.args[1:])


def _unknown(error: AsyncJobError) -> str:
    where = "" if isinstance(error, UploadError) else " (result.rejects)"
    return f"Which records were refused is not known{where}: {error.message}"
