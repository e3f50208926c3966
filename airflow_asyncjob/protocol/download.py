"""Download: the machine for one download target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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
    Response,
    Resume,
    Send,
)
from airflow_asyncjob.protocol.resuming import end_of, misfit, resume_of
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

    ``Receive`` follows a good head; its body is told as ``BodyEnded`` or ``BodyBroken``. A broken one goes on
    where it broke off, if the API says that it is the same (:mod:`~airflow_asyncjob.protocol.resuming`); else
    it is fetched again from its start. ``Finish`` comes with the outcome ``done`` (or ``no_data``, as a rule
    of ``errors.result`` says), or with an error.
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
        self._first: Response | None = None
        self._resume: Resume | None = None
        self._end: int | None = None

    def _judge(self, event: Event) -> Verdict:
        if isinstance(event, BodyEnded):
            if self._end in (None, event.received):
                return Verdict.WHOLE
            sent = self._first.sent if self._first else "the download"
            detail = (
                f"{event.received or 0:,} bytes came in all, and its Content-Range announced {self._end:,}"
            )
            event = BodyBroken(sent, detail)
        if isinstance(event, BodyBroken):
            self._broken = event
            ranged = self._first is not None and self._request.method == "GET"  # RFC 9110, 14.2
            self._resume = resume_of(self._first, event.received) if self._first and ranged else None
            return self._again(Reading(Answer.UNSETTLED, f"{event.sent} broke off: {event.detail}"))
        return super()._judge(event)

    def _read(self, event: Responded | Failed) -> Reading:
        self._broken = None
        reading = read_download(
            self.definition, self._request, event, self._captures, self._now, section=self.section
        )
        if self._resume is not None and isinstance(event, Responded):
            return self._resumed(self._resume, event.response, reading)
        if reading.answer is Answer.GOOD and isinstance(event, Responded):
            self._first, self._end = event.response, None
        return reading

    def _resumed(self, resume: Resume, answer: Response, reading: Reading) -> Reading:
        """Read the answer to a request for the rest of a body."""
        assert self._first is not None
        from_start = "it is fetched from its start"
        if answer.code == 416 and reading.answer is not Answer.ENDED:
            self._resume = None
            problem = f"{answer.sent} answered 416 to bytes={resume.at}-"
            return Reading(Answer.UNSETTLED, problem, notes=(f"{problem}; {from_start}",))
        if reading.answer is not Answer.GOOD:
            return reading
        if answer.code != 206:
            self._resume, self._first, self._end = None, answer, None
            note = f"{answer.sent}: the rest of the body, from byte {resume.at:,} on, was not to be had alone"
            return replace(reading, notes=(*reading.notes, f"{note}, and it comes from its start again"))
        wrong = misfit(self._first, resume, answer)
        if wrong:
            self._resume = None
            problem = f"{answer.sent} answered 206 to bytes={resume.at}-, which does not fit: {wrong}"
            return Reading(Answer.UNSETTLED, problem, notes=(f"{problem}; {from_start}",))
        self._end = end_of(answer)
        note = f"{answer.sent}: the download goes on from byte {resume.at:,} of {self._end:,}"
        return replace(reading, notes=(*reading.notes, note))

    def _good(self, reading: Reading) -> Verdict:
        return Verdict.OPEN

    def _do_keep_end(self) -> None:
        self._finish = Finish(outcome=Outcome("done", self.target))

    def _worn_out(self, text: str, reading: Reading) -> AsyncJobError:
        if self._broken is None:
            return super()._worn_out(text, reading)
        return TruncatedError(f"{text} Expected the whole body. Nothing of it is kept; try again later.")

    def _enter_fetch(self) -> Command:
        return Send(
            Purpose.RESULT, self._request, self._names, stream=True, where=self._where, resume=self._resume
        )

    def _enter_receive(self) -> Command:
        again, self._received = self._received, True
        return Receive(again, goes_on=self._resume is not None)
