"""The downloads of one job, of its result or of its rejects: steps, targets, pages, tries."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.definition.render import uses_name
from airflow_asyncjob.errors import DefinitionError, PagingError, UnreadableError
from airflow_asyncjob.protocol import Download, Pages, Wait, Woken, result_request
from airflow_asyncjob.results.hops import take_hops
from airflow_asyncjob.results.pages import pages_of
from airflow_asyncjob.results.resilient import Observe, ResilientSource
from airflow_asyncjob.transport.address import follow_link
from airflow_asyncjob.transport.conceal import conceal_error

if TYPE_CHECKING:
    from airflow_asyncjob.definition.models.paginate import Paginate
    from airflow_asyncjob.definition.models.request import Request
    from airflow_asyncjob.results.source import Source
    from airflow_asyncjob.transport.client import Wire

__all__ = ["Downloads", "Received", "targets_of"]

Received = Callable[[int, int], None]
"""Told the number of the download, from 1, and the bytes of it so far, in all its pages."""


@dataclass(frozen=True)
class Downloads:
    """The downloads of one job.

    :param definition: its ``result`` says how.
    :param job: what :class:`~airflow_asyncjob.protocol.Download` is told of it.
    :param observe: sees every command before and after it is done; None: nobody does.
    :param wait: how to wait for the next try; None: sleep.
    :param received: is told how many bytes have come; None: nobody is.
    """

    definition: AsyncJob
    job: Mapping[str, Any]
    wire: Wire
    observe: Observe | None = None
    wait: Callable[[Wait], Woken] | None = None
    received: Received | None = None

    def found(self, targets: str | Sequence[str]) -> tuple[Downloads, list[str]]:
        """Return the targets that count, and the downloads that know what the steps to them captured.

        :param targets: as the wait for the job gave them; empty: no data.
        :raises ExchangeError: the API does not answer a step as it should.
        :raises DefinitionError: a step cannot be rendered, or a target is no address.
        """
        assert self.definition.result is not None
        if self.definition.result.steps is None or not targets:
            return self, targets_of(self.definition, targets)
        led = take_hops(self.definition, self.job, self.wire, observe=self.observe, wait=self.wait)
        knowing = replace(self, job={**self.job, "captures": led.captures})
        return knowing, targets_of(self.definition, led.target)

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
        assert self.definition.result is not None

        def source_of(request: Request, page: Mapping[str, Any], before: int) -> ResilientSource:
            download = Download(self.definition, target, **self.job, request=request, page=page)
            return self._source(number, download, before)

        def follow(url: str, link: str) -> str:
            return follow_link(self.wire.settings.base_url, url, link)

        first, section = result_request(self.definition, target), self.definition.result.section
        pages = Pages(paginate, first, limits, section=section, follow=follow)
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
                f"When it is an ID, give {definition.result.section} a request, such as "
                "{url: '/files/{{ download_target }}'}"
            )
    return listed
