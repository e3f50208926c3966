"""Listing: the machine that asks the API for its list of jobs, page after page."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_asyncjob.definition.extract import MISSING, Headers, View, extract, find
from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.definition.models.extractor import Extractor
from airflow_asyncjob.definition.models.joblist import JobList
from airflow_asyncjob.definition.models.rules import State
from airflow_asyncjob.definition.problems import kind_of, shown
from airflow_asyncjob.errors import (
    AsyncJobError,
    DefinitionError,
    RefusedError,
    UnreadableError,
)
from airflow_asyncjob.protocol.answers import (
    Answer,
    Reading,
    Seen,
    as_text,
    denied,
    failure,
    put_off,
    ruled_out,
    said,
    see,
    transient,
)
from airflow_asyncjob.protocol.fetching import Fetching
from airflow_asyncjob.protocol.messages import (
    Command,
    Failed,
    Finish,
    Outcome,
    Purpose,
    Responded,
    Response,
    Send,
)
from airflow_asyncjob.protocol.pages import Pages
from airflow_asyncjob.protocol.transitions import LIST_TABLE, Verdict
from airflow_asyncjob.protocol.waits import retry_after

__all__ = ["ListedJob", "Listing"]

_NO_VIEW = View(200, Headers({}), None, "")


@dataclass(frozen=True)
class ListedJob:
    """One job of the API's list.

    :param id: its submission ID.
    :param state: what ``status.values`` make of its raw status; None: nothing, or there is none.
    :param raw_status: the API's own word; None: it says none.
    :param submitted_at: as the API writes it; None: it does not.
    :param message: the API's message; None: there is none.
    :param marker: what the submit marked it with; None: nothing.
    :param view: what the list says of it, to read more of it.
    """

    id: str
    state: State | None = None
    raw_status: Any = None
    submitted_at: Any = None
    message: Any = None
    marker: Any = None
    view: View = field(default=_NO_VIEW, repr=False, compare=False)


class Listing(Fetching):
    """The API's list of jobs. ``jobs`` has those that were read, in the API's order.

    ``Finish`` comes with the outcome ``done``, or with an error.

    :param definition: how to talk to the API.
    :param inputs: values of inputs, for the request.
    :param names: the frozen scalars of the run, for templates.
    :param limit: no page is asked for once there are so many jobs; None: all.
    :raises DefinitionError: the definition does not say how the API lists its jobs.
    """

    table = LIST_TABLE
    what = "the list of jobs"

    def __init__(
        self,
        definition: AsyncJob,
        *,
        inputs: Mapping[str, Any],
        names: Mapping[str, Any],
        limit: int | None = None,
    ) -> None:
        super().__init__(definition, inputs=inputs, names=names)
        if definition.list is None:
            name = definition.name or "the definition"
            raise DefinitionError(f"{name} has no section 'list', which says how the API lists its jobs")
        self.jobs: list[ListedJob] = []
        self._list = definition.list
        self._limit = limit
        paginate = definition.list.paginate
        request, limits = definition.list.request, definition.limits
        self._pages = None if paginate is None else Pages(paginate, request, limits, section="list")
        self._more = False

    def _read(self, event: Responded | Failed) -> Reading:
        if isinstance(event, Failed):
            return failure(event, self.what)
        try:
            return self._answered(event)
        except AsyncJobError as error:
            return Reading(Answer.REFUSED, said(event), error)

    def _answered(self, event: Responded) -> Reading:
        code, rules = event.response.code, self.definition.errors.list
        seen = see(event.response, self._list.request.response, rules, {}, "errors.list")
        wait = retry_after(event.response.headers, self._now)
        then = seen.rule.then if seen.rule else None
        if then == "retry":
            return put_off(seen, event, wait)
        if then == "fail":
            return ruled_out(seen, event, self.what)
        if then is not None or 200 <= code < 300:
            found = [] if then == "no_data" else _jobs(self.definition, self._list, seen, event)
            self._more = self._turned(event.response, found)
            return Reading(Answer.GOOD, notes=seen.notes)
        if code in (401, 403):
            return denied(event, self.what)
        if transient(code):
            return Reading(Answer.UNSETTLED, said(event), wait=wait, notes=seen.notes)
        error = RefusedError(
            f"The API refused {self.what}: {said(event)}. Expected a code of 2xx. Correct list.request, or "
            "the connection's address."
        )
        return Reading(Answer.REFUSED, said(event), error, notes=seen.notes)

    def _good(self, reading: Reading) -> Verdict:
        self._refreshed, self._tries = False, 0
        return Verdict.OPEN if self._more else Verdict.WHOLE

    def _kept(self, found: list[ListedJob]) -> list[ListedJob]:
        """Return the jobs of a page that are wanted."""
        return found

    def _cut(self, limit: int) -> None:
        del self.jobs[limit:]

    def _turned(self, response: Response, found: list[ListedJob]) -> bool:
        """Keep the jobs of a page; return whether another page is to be asked for."""
        self.jobs += self._kept(found)
        if self._limit is not None and len(self.jobs) >= self._limit:
            self._cut(self._limit)
            return False
        if self._pages is None:
            return False
        digest = hashlib.sha256(response.body).digest()
        return self._pages.turn(response, response.body, records=len(found), digest=digest)

    def _do_keep_end(self) -> None:
        self._finish = Finish(outcome=Outcome("done", []))

    def _enter_fetch(self) -> Command:
        if self._pages is None:
            return Send(Purpose.LIST, self._list.request, self._names, where="list.request")
        names = {**self._names, **self._pages.names()}
        return Send(Purpose.LIST, self._pages.request, names, where="list.request")


def _jobs(definition: AsyncJob, section: JobList, seen: Seen, event: Responded) -> list[ListedJob]:
    """Return the jobs of one answer.

    :raises UnreadableError: there is no list, or a job without an ID.
    """
    try:
        if seen.trouble is not None:
            raise seen.trouble
        return [
            _job(definition, section, View(seen.view.code, seen.view.headers, record, seen.view.url), number)
            for number, record in enumerate(_records(section.records, seen.view))
        ]
    except UnreadableError as error:
        raise UnreadableError(
            f"The list of jobs cannot be read: {error.message}. {said(event)}. Correct list.records or "
            "what is read of each job (or list.request.response)."
        ) from None


def _records(extractor: Extractor | None, view: View) -> list[Any]:
    where = "list.records"
    found = view.body if extractor is None else find(extractor, view, single=False, where=where)
    if found is None:
        return []
    if found is MISSING:
        assert extractor is not None
        extract(extractor, view, where=where)  # says what is there instead
    if isinstance(found, Mapping) and extractor is not None:
        return [found]  # the only element of its name in XML
    if not isinstance(found, list):
        raise UnreadableError(f"{where}: expected a list, and there is {kind_of(found)}: {shown(found)}")
    return found


def _job(definition: AsyncJob, section: JobList, view: View, number: int) -> ListedJob:
    def read(field: str) -> Any:
        extractor: Extractor | None = getattr(section, field)
        value = None if extractor is None else find(extractor, view, where=f"list.{field}")
        return None if value is MISSING else value

    where = f"list.id (job {number + 1} of the list)"
    raw = read("status")
    known = definition.status.values.state_of(raw) if definition.status is not None else None
    return ListedJob(
        id=as_text(extract(section.id, view, where=where), where),
        state=None if raw is None else known,
        raw_status=raw,
        submitted_at=read("submitted_at"),
        message=read("message"),
        marker=read("marker"),
        view=view,
    )
