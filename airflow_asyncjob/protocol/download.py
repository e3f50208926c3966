"""Download: the machine for one download target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.errors import AsyncJobError, DefinitionError, TruncatedError
from airflow_asyncjob.protocol.answers import Answer, Reading
from airflow_asyncjob.protocol.classify import download_of, read_download
from airflow_asyncjob.protocol.fetching import Fetching
from airflow_asyncjob.protocol.messages import (
    BodyBroken,
    BodyEnded,
    Command,
    Event,
    Failed,
    Finish,
    Outcome,
    Purpose,
    Receive,
    Responded,
    Send,
)
from airflow_asyncjob.protocol.transitions import DOWNLOAD_TABLE, Verdict

__all__ = ["Download", "result_request"]

_GET_TARGET = Request(url="{{ download_target }}")


def result_request(definition: AsyncJob, target: str) -> Request:
    """Return the request that fetches a target: the definition's own (``result.request``, or with ``from:
    status`` that of the status), or a GET of the target.

    :raises DefinitionError: the definition says neither, and the target is no URL or path.
    """
    result = definition.result
    if result is not None and result.from_ == "status":
        assert definition.status is not None
        assert definition.status.request is not None
        return definition.status.request
    if result is not None and result.request is not None:
        return result.request
    if not target:
        raise DefinitionError("There is no download target. Give result.target or result.request.")
    return _GET_TARGET


class Download(Fetching):
    """One download target, fetched whole.

    :param definition: how to talk to the API.
    :param target: the download target: a URL, a relative path, or an ID for ``result.request``.
    :param request: what to send; None: as :func:`result_request` says.
    :param page: the template names of a page, see :class:`~airflow_asyncjob.protocol.Pages`; None: there are
        no pages.
    :param job: see :class:`Fetching`.
    :raises DefinitionError: there is no target and no request.

    ``Receive`` follows a good head; its body is told as ``BodyEnded`` or ``BodyBroken``, and a broken one is
    fetched again from the start. ``Finish`` comes with the outcome ``done`` (or ``no_data``, as a rule of
    ``errors.result`` says), or with an error.
    """

    table = DOWNLOAD_TABLE

    def __init__(
        self,
        definition: AsyncJob,
        target: str,
        *,
        request: Request | None = None,
        page: Mapping[str, Any] | None = None,
        **job: Any,
    ) -> None:
        super().__init__(definition, **job)
        self.target = self._seed = target
        self._request = result_request(definition, target) if request is None else request
        of_status = definition.result is not None and definition.result.from_ == "status"
        self.what = download_of(self.section)
        self._where = "status.request" if of_status else f"{self.section}.request"
        self._names |= {"download_target": target, **(page or {})}
        self._broken: BodyBroken | None = None
        self._received = False

    def _judge(self, event: Event) -> Verdict:
        if isinstance(event, BodyEnded):
            return Verdict.WHOLE
        if isinstance(event, BodyBroken):
            self._broken = event
            return self._again(Reading(Answer.UNSETTLED, f"{event.sent} broke off: {event.detail}"))
        return super()._judge(event)

    def _read(self, event: Responded | Failed) -> Reading:
        self._broken = None
        return read_download(
            self.definition, self._request, event, self._captures, self._now, section=self.section
        )

    def _good(self, reading: Reading) -> Verdict:
        return Verdict.OPEN

    def _do_keep_end(self) -> None:
        self._finish = Finish(outcome=Outcome("done", self.target))

    def _worn_out(self, text: str, reading: Reading) -> AsyncJobError:
        if self._broken is None:
            return super()._worn_out(text, reading)
        return TruncatedError(f"{text} Expected the whole body. Nothing of it is kept; try again later.")

    def _enter_fetch(self) -> Command:
        return Send(Purpose.RESULT, self._request, self._names, stream=True, where=self._where)

    def _enter_receive(self) -> Command:
        again, self._received = self._received, True
        return Receive(again)
