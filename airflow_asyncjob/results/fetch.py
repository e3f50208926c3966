"""From download targets to a file: the protocol decides on tries, waits and pages, the wire brings the
bytes, the writer takes them. The command line and Airflow's download task both do it with
:func:`fetch_result`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.definition.render import uses_name
from airflow_asyncjob.errors import DefinitionError, PagingError, UnreadableError
from airflow_asyncjob.protocol import Download, Pages, Submission, Wait, Woken, result_request
from airflow_asyncjob.results.hops import take_hops
from airflow_asyncjob.results.manifest import Manifest
from airflow_asyncjob.results.pages import pages_of
from airflow_asyncjob.results.resilient import Observe, ResilientSource
from airflow_asyncjob.results.write import check_destination, check_several, write_result
from airflow_asyncjob.transport.address import follow_link
from airflow_asyncjob.transport.conceal import conceal_error

if TYPE_CHECKING:
    from airflow_asyncjob.definition.models.paginate import Paginate
    from airflow_asyncjob.definition.models.request import Request
    from airflow_asyncjob.results.destination import RemotePath
    from airflow_asyncjob.results.source import Source
    from airflow_asyncjob.transport.client import Wire

__all__ = ["fetch_result", "targets_of"]

Received = Callable[[int, int], None]
"""Told the number of the download, from 1, and the bytes of it so far, in all its pages."""


def fetch_result(
    definition: AsyncJob,
    targets: str | Sequence[str],
    *,
    wire: Wire,
    inputs: Mapping[str, Any],
    names: Mapping[str, Any],
    submission: Submission | None,
    captures: Mapping[str, Any] | None = None,
    destination: str | os.PathLike[str] | RemotePath,
    output_format: str | None = None,
    limit: int | None = None,
    state: str = "done",
    observe: Observe | None = None,
    wait: Callable[[Wait], Woken] | None = None,
    received: Received | None = None,
) -> Manifest:
    """Download the result of a job and write it, whole or not at all.

    :param definition: its ``result`` section says how.
    :param targets: the download target, as the wait for the job gave it: text, or a list; empty: no data.
        Where the definition has ``result.steps``, they lead to the targets that count.
    :param inputs: the job's inputs, resolved.
    :param names: the frozen scalars of the run, for templates.
    :param submission: the job; None where the target alone is known.
    :param captures: those of the status answers; the submission's are added.
    :param destination: where to write; see :func:`~airflow_asyncjob.results.write_result`.
    :param output_format: one of raw, jsonl, csv, parquet; None: the destination's suffix decides.
    :param limit: write at most so many records; None: all. The rest is not downloaded.
    :param state: of the job, for the manifest. It becomes ``no_data`` when a rule of ``errors.result`` says
        so of every download.
    :param observe: sees every command before and after it is done, such as ``Narrator.observe``; but no
        ``Finish``, which a reader would take for the end of the job.
    :param wait: how to wait for the next try; None: sleep.
    :param received: is told how many bytes have come.
    :raises DefinitionError: there is no ``result`` section, or a target that is no address.
    :raises ExchangeError: the API did not give the result.
    :raises ResultError: the result cannot be read, or not be written; several raw results for one file are
        refused before the first of them is asked for.
    """
    if definition.result is None:
        raise DefinitionError(f"{definition.name or 'the definition'} has no section 'result' to download by")
    job: dict[str, Any] = {"inputs": inputs, "names": names, "submission": submission, "captures": captures}
    if definition.result.steps is not None and targets:
        found = take_hops(definition, job, wire, observe=observe, wait=wait)
        targets, job["captures"] = found.target, found.captures
    listed = targets_of(definition, targets)
    check_several(check_destination(destination, output_format, definition.result), destination, len(listed))
    downloads = _Downloads(definition, job, wire, observe, wait, received)
    with closing(downloads.of(listed)) as opened:
        return write_result(
            opened,
            definition.result,
            destination,
            output_format=output_format,
            limit=limit,
            decompressed_bytes=definition.limits.decompressed_bytes,
            state=state,
            submission_id="" if submission is None else submission.id,
        )


@dataclass(frozen=True)
class _Downloads:
    """The downloads of one job.

    :param job: what :class:`Download` is told of it.
    """

    definition: AsyncJob
    job: Mapping[str, Any]
    wire: Wire
    observe: Observe | None
    wait: Callable[[Wait], Woken] | None
    received: Received | None

    def of(self, targets: Sequence[str]) -> Generator[Source, None, None]:
        """Yield the downloads of all targets, each when the one before was read."""
        assert self.definition.result is not None
        paginate = self.definition.result.paginate
        for number, target in enumerate(targets, start=1):
            if paginate is not None:
                yield from self._pages(paginate, number, target)
                continue
            with closing(self._source(number, Download(self.definition, target, **self.job))) as source:
                if source.open():
                    yield source

    def _pages(self, paginate: Paginate, number: int, target: str) -> Generator[Source, None, None]:
        limits, redactor = self.definition.limits, self.wire.redactor

        def source_of(request: Request, page: Mapping[str, Any], before: int) -> ResilientSource:
            download = Download(self.definition, target, **self.job, request=request, page=page)
            return self._source(number, download, before)

        def follow(url: str, link: str) -> str:
            return follow_link(self.wire.settings.base_url, url, link)

        pages = Pages(paginate, result_request(self.definition, target), limits, follow=follow)
        try:
            yield from pages_of(pages, source_of, page_bytes=limits.page_bytes)
        except (PagingError, UnreadableError) as error:
            conceal_error(error, redactor)
            raise

    def _source(self, number: int, download: Download, before: int = 0) -> ResilientSource:
        """Return a download that tells how much has come.

        :param before: bytes that came of this target before, in its earlier pages.
        """
        received = self.received
        told = (lambda size: None) if received is None else (lambda size: received(number, before + size))
        return ResilientSource(download, self.wire, observe=self.observe, wait=self.wait, received=told)


def targets_of(definition: AsyncJob, targets: str | Sequence[str]) -> list[str]:
    """Return one text for each download.

    A request without ``{{ download_target }}`` in it is one download, whatever the targets say; so is the
    status answer (``from: status``). A target without a request is asked for as it is, so it has to be an
    address: a URL, or a path at the connection's host.

    :raises DefinitionError: a target is no address, and no ``result.request`` says what to do with it.
    """
    listed = [targets] if isinstance(targets, str) else list(targets)
    assert definition.result is not None
    request = definition.result.request
    if definition.result.from_ is not None:
        return listed[:1]
    if request is not None:
        return listed if uses_name(request, "download_target") else listed[:1]
    for target in listed:
        if "/" not in target:
            raise DefinitionError(
                f"the download target {target[:100]!r} is no address: neither a URL nor a path with a slash. "
                "When it is an ID, give result a request, such as {url: '/files/{{ download_target }}'}"
            )
    return listed
