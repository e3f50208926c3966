"""Seeking: what the job machine does to find a job whose submit had no answer, in the API's own list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_asyncjob.definition.problems import shown
from airflow_asyncjob.errors import DefinitionError, TemplateError, UnreadableError
from airflow_asyncjob.protocol import endings
from airflow_asyncjob.protocol.answers import Answer, Reading, capture
from airflow_asyncjob.protocol.course import Leg, captured, findable, leg_of, repeatable
from airflow_asyncjob.protocol.listing import ListedJob, Listing
from airflow_asyncjob.protocol.messages import Command, Event, Finish, Submission, Wait
from airflow_asyncjob.protocol.steps import Steps
from airflow_asyncjob.protocol.times import moment, read_time
from airflow_asyncjob.protocol.transitions import Verdict

__all__ = ["Seeking", "is_marked"]


class _Search(Listing):
    """The API's list, read as far as the page that has a job with our mark. ``jobs`` are those that have it.

    ``left`` are those that a refused submit left behind: carried on, they would be sent again what they have.

    :param mark: the idempotency key of the submit.
    :param left_at: when that was refused; None: none was. Without times in the list, any may be ours.
    """

    def __init__(self, *given: Any, mark: str, left_at: float | None, **named: Any) -> None:
        super().__init__(*given, **named, limit=1)
        self._mark, self._left_at = mark, left_at
        self.read = 0
        self.left: list[ListedJob] = []

    def _kept(self, found: list[ListedJob]) -> list[ListedJob]:
        self.read += len(found)
        ours: list[ListedJob] = []
        for job in found:
            if is_marked(job.marker, self._mark):
                (self.left if self._is_left(job) else ours).append(job)
        return ours

    def _is_left(self, job: ListedJob) -> bool:
        time = read_time(job.submitted_at)
        return self._left_at is not None and time is not None and time < self._left_at

    def _cut(self, limit: int) -> None:
        """Keep all of them: two jobs with one mark are to be told."""


class Seeking(Steps):
    """The part of :class:`~airflow_asyncjob.protocol.job.Job` that asks the list for a job of ours.

    A job with our mark is adopted as soon as it is seen. That there is none counts only from ``settled_at``
    on: ``list.settle`` after the end of the submit; and where an earlier process sent it, that ended
    ``limits.exchange_timeout`` after its intent at the latest, also when the process runs on unseen; and
    in any case ``list.settle`` after the first answer of the list, since a server that hung may answer that
    before it turns to a submit that it had received. A list that only puts off is asked as long as the job
    may wait to be accepted.
    """

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._leg: Leg | None = None
        self._search: _Search | None = None
        self._looked = False
        self._lost: Reading | None = None
        self._listed = 0
        self._known_habits: dict[str, tuple[bool, bool]] = {}

    @property
    def _keyed(self) -> bool:
        """Whether a repeat of what comes next is harmless: it carries the same key, or its method says so."""
        return self._habits[0]

    @property
    def _findable(self) -> bool:
        """Whether the API's list shows what comes next, once it was done."""
        return self._habits[1]

    @property
    def _habits(self) -> tuple[bool, bool]:
        step = self._facts.step
        if step not in self._known_habits:
            known = self.definition.submit is not None and repeatable(self.definition, self._facts)
            self._known_habits[step] = (known, findable(self.definition, self._facts))
        return self._known_habits[step]

    @property
    def _settle(self) -> float:
        assert self.definition.list is not None
        return self.definition.list.settle

    def _expect_answer(self) -> None:
        """Note until when the request that is about to be sent may bring forth a job unseen."""
        timeout = self.definition.limits.exchange_timeout
        self._facts.settled_at = self._now + timeout + self._settle if self._findable else None
        self._facts.list_answered = False

    def _do_say_sought(self) -> None:
        facts, self._looked = self._facts, False
        if facts.settled_at is None:  # stored by a version, or with a definition, that did not look
            self._expect_answer()
        assert facts.settled_at is not None
        self.notes.append(
            "An earlier submit may have been accepted: the API's list is asked for a job that is marked "
            f"{facts.key!r}. If there is none at {moment(facts.settled_at)}, it was not accepted."
        )

    def _enter_record_search(self) -> Command | Verdict:
        self._facts.settled_at, self._facts.list_answered = self._now + self._settle, False
        self._lost = self._reading
        return self._record()

    def _enter_search_pause(self) -> Command | Verdict:
        facts = self._facts
        until = (facts.settled_at if self._looked else facts.not_before) or 0.0
        if until <= self._now:
            return Verdict.WOKEN
        return Wait(until, "the next look for the job in the list")

    def _enter_search(self) -> Command:
        if self._search is None:
            names = {key: value for key, value in self._names.items() if key != "inputs"}
            self._search = _Search(
                self.definition,
                inputs=self._names["inputs"],
                names=names,
                mark=self._facts.key,
                left_at=self._facts.left_at,
            )
        return self._search.next(self._now)

    def _judge_search(self, event: Event) -> Verdict:
        assert self._search is not None
        self._search.tell(event, self._now)
        command = self._search.next(self._now)
        if isinstance(command, Finish):
            return self._judge_found(self._search, command)
        if isinstance(command, Wait):
            return self._judge_put_off(self._search, command.until)
        return Verdict.OPEN

    def _judge_put_off(self, search: _Search, until: float) -> Verdict:
        """Return what it means that the list is to be asked again at a time.

        Each process has tries of its own, and one that hands the job over at a long wait never spends them:
        what ends that is the time until when the job may wait to be accepted.
        """
        if until <= self._latest:
            self._facts.not_before = until
            return Verdict.OPEN
        self._search = None
        error = endings.list_too_late(until, self._latest, search.problem)
        self._take(Reading(Answer.REFUSED, error=endings.not_sought(self.definition, self._facts, error)))
        return Verdict.REFUSED

    def _judge_found(self, search: _Search, finish: Finish) -> Verdict:
        """Return what a whole look at the list means."""
        self._search, self._looked = None, True
        facts = self._facts
        self.notes.extend(search.notes)
        if finish.error is not None:
            self._take(
                Reading(Answer.REFUSED, error=endings.not_sought(self.definition, facts, finish.error))
            )
            return Verdict.REFUSED
        if search.left:
            left = ", ".join(shown(job.id) for job in search.left)
            self.notes.append(
                f"The API's list has {left} with the mark {facts.key!r}, from before the submit was refused "
                "and begun anew: left there."
            )
        if search.jobs:
            return self._judge_adopted(search.jobs)
        assert facts.settled_at is not None
        if not facts.list_answered:
            # A server that hung may answer this before it turns to the submit that it had received: only from
            # now on is it known to work, and has its time to settle.
            facts.list_answered = True
            facts.settled_at = max(facts.settled_at, self._now + self._settle)
        if self._now < facts.settled_at:
            return Verdict.AGAIN
        facts.unsure, facts.settled_at, facts.list_answered = False, None, False
        self._listed = search.read
        if facts.tries > self.definition.limits.retries:
            facts.tries -= 1
            self._reading = self._lost or Reading(Answer.UNSETTLED, "an earlier submit had no answer")
            return Verdict.EXHAUSTED
        return Verdict.SETTLED

    def _judge_adopted(self, jobs: list[ListedJob]) -> Verdict:
        facts, submit = self._facts, self.definition.submit
        assert submit is not None
        job = _oldest(jobs)
        if len(jobs) > 1:
            others = ", ".join(shown(other.id) for other in jobs if other is not job)
            self.notes.append(
                f"The list has {len(jobs)} jobs that are marked {facts.key!r}: the oldest, {shown(job.id)}, "
                f"is carried on. Look at {others}: it was submitted twice."
            )
        try:
            leg = self._leg = leg_of(submit, facts, self._submit_names())
            if not leg.is_last:
                kept = captured(job.view, leg)
                self._say_adopted(job, f"{leg.what} was done")
                self._take(Reading(Answer.GOOD, kept=kept))
                return Verdict.STEPPED
        except (UnreadableError, TemplateError, DefinitionError) as error:
            self._take(Reading(Answer.REFUSED, error=endings.not_adopted(facts, job.id, error)))
            return Verdict.REFUSED
        captures, notes = capture(submit.capture, job.view, leg.names, "submit.capture")
        submission = Submission(job.id, self._submitted_at(job), {**facts.step_captures, **captures})
        self._say_adopted(job, "the submit was accepted")
        self._take(Reading(Answer.GOOD, submission=submission, notes=notes))
        return Verdict.ACCEPTED

    def _submitted_at(self, job: ListedJob) -> float:
        """Return when the job was submitted: as the list says, where our own clock finds that possible."""
        since = self._facts.since if self._facts.since is not None else self._now
        said = read_time(job.submitted_at)
        return since if said is None else min(max(said, since), self._now)

    def _say_adopted(self, job: ListedJob, what: str) -> None:
        self.notes.append(
            f"The API's list has the job {shown(job.id)}, which is marked {self._facts.key!r}: {what}, and "
            "is not sent again."
        )

    def _do_say_not_there(self) -> None:
        self.notes.append(
            f"None of the {self._listed:,} jobs of the API's list is marked {self._facts.key!r}: the submit "
            "was not accepted, and is sent again."
        )


def is_marked(marker: Any, mark: str) -> bool:
    """Return whether a job carries our mark: alone, within a name, or among tags.

    :param marker: as the list gives it.
    :param mark: such as a UUID. Within a text it stands apart from other letters and digits, so that
        ``job-1`` is not found in ``job-12``.
    """
    if isinstance(marker, (list, tuple)):
        return any(is_marked(one, mark) for one in marker)
    if isinstance(marker, Mapping):
        return any(is_marked(one, mark) for one in marker.values())
    if not mark:
        return False
    text = marker if isinstance(marker, str) else str(marker)
    before, found, after = text.partition(mark)
    return bool(found) and not (before[-1:].isalnum() or after[:1].isalnum())


def _oldest(jobs: list[ListedJob]) -> ListedJob:
    """Return the job that was submitted first; where the list does not tell, the first of the list."""
    if any(read_time(job.submitted_at) is None for job in jobs):
        return jobs[0]
    return min(jobs, key=lambda job: read_time(job.submitted_at) or 0.0)
