"""Hops: the machine for the steps that lead to the result of a job that has ended (``result.steps``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_asyncjob.definition.extract import View
from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.errors import DefinitionError, TemplateError, UnreadableError
from airflow_asyncjob.protocol.answers import Answer, Reading, said
from airflow_asyncjob.protocol.classify import read_hop, result_of
from airflow_asyncjob.protocol.course import Leg, captured, items_of
from airflow_asyncjob.protocol.fetching import Fetching
from airflow_asyncjob.protocol.messages import Command, Failed, Finish, Outcome, Purpose, Responded, Send
from airflow_asyncjob.protocol.targets import find_target
from airflow_asyncjob.protocol.transitions import HOPS_TABLE, Verdict

__all__ = ["Hops"]


class Hops(Fetching):
    """The steps of ``result.steps``, one after the other, to the download targets.

    They only ask: one whose answer is lost is sent again, and a later process begins with the first.
    ``Finish`` comes with the outcome ``done``, which has the targets and the captures; with ``no_data``,
    where there are no targets or a rule of ``errors.result`` says so; or with an error.

    :param definition: how to talk to the API; its ``result`` has steps.
    :param job: see :class:`Fetching`.
    """

    table = HOPS_TABLE

    def __init__(self, definition: AsyncJob, **job: Any) -> None:
        super().__init__(definition, **job)
        assert definition.result is not None
        assert definition.result.steps is not None
        self._target = definition.result.target
        self._steps = definition.result.steps
        self._number = self._item = 0
        self._items: Sequence[Any] | None = None
        self._leg: Leg | None = None
        self._kept: Mapping[str, Any] = {}
        # Without a target the request is a fixed one, and is sent once whatever this says.
        self._found: str | list[str] = [] if self._target else self._seed or "result"

    @property
    def what(self) -> str:  # type: ignore[override]
        """What is tried, for messages."""
        assert self._leg is not None
        return self._leg.what

    def _next_leg(self) -> Leg:
        """Return the request that comes next.

        :raises TemplateError: ``each`` cannot be rendered, or is no list.
        """
        step, place = self._steps[self._number], f"{self.section}.steps[{self._number}]"
        if step.each is not None and self._items is None:
            self._items = items_of(step.each, self._names, f"{place}.each")
        later = self._steps[self._number + 1 :]
        names = {**self._names, "item": self._items[self._item]} if self._items else self._names
        follows = later[0].name if later else ""
        return Leg(
            step.request, place, names, step, follows, self._items, self._item, result_of(self.section)
        )

    def _enter_fetch(self) -> Command | Verdict:
        try:
            leg = self._leg = self._next_leg()
        except TemplateError as error:
            self._reading = Reading(Answer.REFUSED, error=error)
            return Verdict.REFUSED
        if leg.empty:
            self._kept = leg.skipped(self._captures)
            return self._stepped(leg)
        return Send(Purpose.RESULT, leg.request, leg.names, where=f"{leg.place}.request", step=leg.label)

    def _read(self, event: Responded | Failed) -> Reading:
        assert self._leg is not None
        leg = self._leg
        reading, seen = read_hop(
            self.definition,
            leg.request,
            event,
            self._captures,
            self._now,
            section=self.section,
            what=leg.what,
        )
        if seen is None:
            return reading
        assert isinstance(event, Responded)
        if seen.trouble is not None and event.response.code < 300:
            return self._unreadable(Answer.GARBLED, event, seen.trouble.message)
        try:
            self._kept = captured(seen.view, leg)
            if not leg.follows:
                self._take_targets(seen.view, leg)
        except (UnreadableError, DefinitionError) as error:
            return self._unreadable(Answer.REFUSED, event, error.message)
        return reading

    def _unreadable(self, answer: Answer, event: Responded, why: str) -> Reading:
        problem = said(event)
        error = UnreadableError(
            f"The answer to {self.what} cannot be read: {why}. {problem}. Correct "
            f"{self.section}.steps or {self.section}.target, or look at the API for the reason."
        )
        return Reading(answer, f"{problem} ({why})", error)

    def _take_targets(self, view: View, leg: Leg) -> None:
        """Read the targets in an answer of the last step; a template is rendered when all are there."""
        if self._target is None or (self._target.template is not None and not leg.ends_step):
            return
        names = {**self._names, "captures": self._kept}
        found = find_target(self._target, view, names, where=f"{self.section}.target")
        if self._items is None or self._target.template is not None:
            self._found = found
        else:
            before = [*self._found] if self._item else []
            self._found = [*before, *([found] if isinstance(found, str) else found)]

    def _good(self, reading: Reading) -> Verdict:
        assert self._leg is not None
        return self._stepped(self._leg)

    def _stepped(self, leg: Leg) -> Verdict:
        # An empty list skips its step, also where it is the last.
        return Verdict.ENDED if leg.is_last else Verdict.STEPPED

    def _do_keep_step(self) -> None:
        assert self._leg is not None
        self._captures = self._names["captures"] = dict(self._kept)
        self._tries, self._refreshed = 0, False
        if self._leg.ends_step:
            self._number, self._item, self._items = self._number + 1, 0, None
        else:
            self._item += 1

    def _do_keep_end(self) -> None:
        ended = Outcome("done", self._found, captures=self._kept)
        self._finish = Finish(outcome=ended if self._found else Outcome("no_data", [], captures=self._kept))
