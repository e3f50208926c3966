"""Course: which request of several steps comes next, what it knows, and what its answer leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_asyncjob.definition.extract import View, extract
from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.definition.models.extractor import Extractor
from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.definition.models.steps import Step
from airflow_asyncjob.definition.models.submit import Submit
from airflow_asyncjob.definition.parts import PartInfo, Plan
from airflow_asyncjob.definition.problems import kind_of, shown
from airflow_asyncjob.definition.render import uses_name
from airflow_asyncjob.definition.templates import render
from airflow_asyncjob.errors import CheckpointError, TemplateError
from airflow_asyncjob.protocol.checkpoint import Checkpoint
from airflow_asyncjob.protocol.facts import Facts

__all__ = [
    "Leg",
    "called",
    "captured",
    "done_before",
    "findable",
    "items_of",
    "known_step",
    "leg_of",
    "repeatable",
    "why_repeatable",
]

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Methods that do the same when they are sent twice (RFC 9110, 9.2.2). Of a single submit nothing is known:
there are APIs that begin a job by GET."""


@dataclass(frozen=True)
class Leg:
    """One request of a submit, or of the steps to a result.

    :param request: what is sent.
    :param place: of what the request belongs to in the definition, such as ``submit.steps[1]``.
    :param names: the template names that it sees.
    :param step: the step; None: the submit is a single request.
    :param follows: the name of the step after it; empty: there is none.
    :param items: what ``each`` gave; None: the step has none.
    :param item: number of the item, from 0.
    :param section: whose steps they are, for messages.
    :param part: the part of the upload that it is about; None: it is about none.
    """

    request: Request
    place: str
    names: Mapping[str, Any]
    step: Step | None = None
    follows: str = ""
    items: Sequence[Any] | None = None
    item: int = 0
    section: str = "the submit"
    part: PartInfo | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to send: the list is empty, or shorter than it was."""
        return self.items is not None and self.item >= len(self.items)

    @property
    def ends_step(self) -> bool:
        """Whether the step is done with it."""
        return self.items is None or self.item + 1 >= len(self.items)

    @property
    def is_last(self) -> bool:
        """Whether the course ends with it: the job is submitted, or the result found."""
        return self.ends_step and not self.follows

    @property
    def capture(self) -> Mapping[str, Extractor]:
        """What is kept of the answer for the steps after it."""
        return {} if self.step is None else self.step.capture

    @property
    def label(self) -> str:
        """The step for people, such as ``upload 2 of 5``; empty for a single request."""
        if self.step is None:
            return ""
        of = "" if self.items is None else f" {self.item + 1} of {len(self.items)}"
        return f"{self.step.name}{of}"

    @property
    def what(self) -> str:
        """What was tried, for messages, such as ``the step 'upload 2 of 5' of the submit``."""
        tried = f"the step {self.label!r} of {self.section}" if self.step else self.section
        return tried if self.part is None else f"{tried} ({_records_of(self.part)})"

    def kept(self, before: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
        """Return the captures of all steps so far, this answer's among them.

        :param before: those before it. With ``each``, one value for each item is added to a list.
        :param found: those of this answer.
        """
        if self.items is None:
            return {**before, **found}
        lists = {name: before.get(name, []) if self.item else [] for name in self.capture}
        return {**before, **{name: [*old, found[name]] for name, old in lists.items()}}

    def skipped(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """Return the captures of all steps so far where there is nothing to send."""
        return {**before, **{name: before.get(name, []) if self.item else [] for name in self.capture}}


def captured(view: View, leg: Leg) -> dict[str, Any]:
    """Return what the steps so far captured, the one with this answer among them.

    Other than elsewhere, a capture that is absent is an error: a step is there for the ones after it.

    :raises UnreadableError: nothing or null is there, or more than one match.
    :raises TemplateError: a capture is a template that cannot be rendered.
    """
    before = leg.names.get("captures", {})
    seen = replace(view, captures=before)
    found = {
        name: extract(extractor, seen, names=leg.names, where=f"{leg.place}.capture.{name}")
        for name, extractor in leg.capture.items()
    }
    return leg.kept(before, found)


def known_step(submit: Submit | None, name: str) -> int:
    """Return the number of the step that a checkpoint names; the first where it names none.

    :raises CheckpointError: the definition has no such step.
    """
    if not name:
        return 0
    names = [step.name for step in (submit.steps if submit and submit.steps else ())]
    if name in names:
        return names.index(name)
    raise CheckpointError(
        f"The stored checkpoint was written before the step {name!r} of the submit, and the definition has "
        f"no such step (it has: {', '.join(names) or 'none'}). Give the definition its steps back, or start "
        "a new job (clear the submit task); look at the API first, since a job may have been begun there."
    )


def leg_of(submit: Submit, facts: Facts, names: Mapping[str, Any]) -> Leg:
    """Return the request that comes next.

    :param names: what the request of a submit sees, but for ``captures`` and ``item``.
    :raises TemplateError: ``each`` cannot be rendered, is no list, or is empty in the last step.
    """
    plan = facts.plan
    if plan is not None:
        names = {**names, "upload": _upload_names(plan)}
    if submit.steps is None:
        assert submit.request is not None
        if plan is None or not submit.request.part:
            return Leg(submit.request, "submit", names)
        part = plan.parts[0]
        return Leg(submit.request, "submit", {**names, "part": _part_names(part)}, part=part)
    number = known_step(submit, facts.step)
    step, place = submit.steps[number], f"submit.steps[{number}]"
    follows = submit.steps[number + 1].name if number + 1 < len(submit.steps) else ""
    names = {**names, "captures": facts.step_captures}
    if step.each is None:
        return Leg(step.request, place, names, step, follows)
    if plan is not None and step.each_part:
        return _leg_of_part(Leg(step.request, place, names, step, follows, plan.parts, facts.item))
    items = items_of(step.each, names, f"{place}.each")
    if facts.item >= len(items) and not follows:
        done = f", of which {facts.item} were sent before" if facts.item else ""
        raise TemplateError(
            f"{place}.each: {shown(step.each)} gave a list of {len(items)}{done}: the last step sends "
            "nothing, and so nothing submits the job"
        )
    if facts.item < len(items):
        names = {**names, "item": items[facts.item]}
    return Leg(step.request, place, names, step, follows, items, facts.item)


def _leg_of_part(leg: Leg) -> Leg:
    """Return the request of a step for one part of the upload, with what its templates see of it."""
    if leg.empty:
        return leg
    assert leg.items is not None
    part: PartInfo = leg.items[leg.item]
    return replace(leg, part=part, names={**leg.names, "part": _part_names(part)})


def _part_names(part: PartInfo) -> Mapping[str, Any]:
    """Return what templates see as ``part``."""
    fields = ("number", "records", "bytes", "first", "last", "count", "md5", "sha256")
    return {name: getattr(part, name) for name in fields}


def _upload_names(plan: Plan) -> Mapping[str, Any]:
    """Return what templates see as ``upload``."""
    return {"parts": len(plan.parts), "records": plan.records, "bytes": plan.bytes}


def _records_of(part: PartInfo) -> str:
    """Return the records of a part for people, such as ``records 1,001 to 2,000``."""
    if part.records == 1:
        return f"record {part.first:,}"
    return f"records {part.first:,} to {part.first + part.records - 1:,}"


def items_of(each: str, names: Mapping[str, Any], where: str) -> Sequence[Any]:
    """Return the list over which a step is repeated.

    :param where: of the template, for messages, such as ``submit.steps[1].each``.
    :raises TemplateError: it cannot be rendered, or gives something else.
    """
    items = render(each, names, where=where)
    if not isinstance(items, (list, tuple)):
        raise TemplateError(f"{where}: {shown(each)} gave {kind_of(items)}, and a list is expected")
    return items


def repeatable(definition: AsyncJob, facts: Facts) -> bool:
    """Return whether the request that comes next may be sent again when nobody knows what came of it.

    It may when it carries the idempotency key, and the API heeds it (``submit.idempotency``). A step may
    besides when its method says so; and ``again`` of a step has the last word.
    """
    submit = definition.submit
    assert submit is not None
    number = known_step(submit, facts.step)
    request = submit.requests[number]
    if submit.steps is not None and submit.steps[number].again is not None:
        return submit.steps[number].again is True
    if submit.steps is not None and request.method in _IDEMPOTENT:
        return True
    known = submit.idempotency is not False and not findable(definition, facts)
    return known and bool(facts.key) and uses_name(request, "idempotency_key")


def findable(definition: AsyncJob, facts: Facts) -> bool:
    """Return whether the API's list shows what the request that comes next has made, by our own mark.

    That is the first request with the idempotency key in it, where the list reads a mark of each job: a later
    step with the key makes nothing that the list would not show before. An API that knows the key by itself
    (``submit.idempotency``) needs no look.
    """
    submit, listed = definition.submit, definition.list
    if submit is None or listed is None or listed.marker is None or submit.idempotency or not facts.key:
        return False
    marking = [uses_name(request, "idempotency_key") for request in submit.requests]
    number = known_step(submit, facts.step)
    single = submit.steps is None or submit.steps[number].each is None
    return single and any(marking) and marking.index(True) == number


def why_repeatable(submit: Submit, facts: Facts) -> str:
    """Return why the step that comes next may be sent again, for people."""
    step = (submit.steps or ())[known_step(submit, facts.step)]
    if step.again:
        return "the definition says that it may be repeated (again: true)"
    return f"it has the same key ({facts.key}), or a method that may be repeated"


def called(submit: Submit | None, facts: Facts) -> str:
    """Return what comes next, for people: ``submit``, or ``step 'start' of the submit``."""
    if submit is None or submit.steps is None:
        return "submit"
    return f"step {submit.steps[known_step(submit, facts.step)].name!r} of the submit"


def done_before(submit: Submit | None, facts: Facts | Checkpoint) -> str:
    """Return the steps that are done, for people, such as ``create, 2 items of upload``; empty: none.

    :raises CheckpointError: the definition has no such step.
    """
    if submit is None or submit.steps is None:
        return ""
    number = known_step(submit, facts.step)
    done = [step.name for step in submit.steps[:number]]
    if facts.item:
        what = "part" if submit.steps[number].each_part else "item"
        done.append(f"{facts.item} {what}{'s' * (facts.item > 1)} of {submit.steps[number].name}")
    return ", ".join(done)
