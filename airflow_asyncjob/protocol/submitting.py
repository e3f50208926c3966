"""Submitting: what the job machine does until the job is accepted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_asyncjob.errors import TemplateError
from airflow_asyncjob.protocol import endings
from airflow_asyncjob.protocol.answers import Answer, Reading, failure
from airflow_asyncjob.protocol.checkpoint import Cut
from airflow_asyncjob.protocol.course import called, done_before, leg_of, why_repeatable
from airflow_asyncjob.protocol.judge import judge_submit
from airflow_asyncjob.protocol.messages import Command, Failed, Purpose, Responded, Send
from airflow_asyncjob.protocol.parts import Plan, Planned
from airflow_asyncjob.protocol.seeking import Seeking
from airflow_asyncjob.protocol.steps import pause_of
from airflow_asyncjob.protocol.submit import read_submit
from airflow_asyncjob.protocol.targets import secret_place
from airflow_asyncjob.protocol.transitions import Phase, Verdict

__all__ = ["Submitting"]

_MAYBE_ACCEPTED = (Answer.UNSETTLED, Answer.GARBLED, Answer.NO_MATCH)


class Submitting(Seeking):
    """The part of :class:`~airflow_asyncjob.protocol.job.Job` that submits, in one request or by steps.

    Before each request an intent is stored that says which one; with it what the ones before it captured.
    """

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._answered = False

    def _open_unknown(self) -> Verdict:
        facts, submit = self._facts, self.definition.submit
        if self._stop:
            return self._stop_verdict()
        assert submit is not None
        facts.since = self._now if facts.since is None else facts.since
        findable = self._findable and not self._keyed
        if facts.unsure and not self._keyed and not findable and submit.on_uncertain == "fail":
            return Verdict.BARRED
        if facts.deadline is not None and self._now >= facts.deadline and not facts.unsure:
            return Verdict.OVERDUE
        if facts.not_before is not None and facts.not_before > max(self._latest, self._now):
            return Verdict.FORBIDDEN
        if facts.unsure and findable:
            return Verdict.SOUGHT
        if facts.unsure:
            return Verdict.LOST if self._keyed else Verdict.RISKED
        return Verdict.FRESH

    def _stop_verdict(self) -> Verdict:
        if self._facts.submission is not None:
            return Verdict.STOP
        maybe = self._facts.unsure or self._facts.begun_steps
        return Verdict.STOP_UNSURE if maybe else Verdict.STOP_UNSENT

    # The upload ---------------------------------------------------------------------------------------------

    def _enter_plan(self) -> Command | Verdict:
        submit, facts = self.definition.submit, self._facts
        if submit is None or submit.upload is None or facts.plan is not None:
            return Verdict.PLANNED
        return Plan(submit.upload, self._names, anew=not self._begun, md5=submit.names_md5)

    @property
    def _begun(self) -> bool:
        """Whether something of this submission was sent, as far as is known."""
        return self._facts.begun_steps or self._facts.unsure

    def _judge_plan(self, event: Planned | Failed) -> Verdict:
        submit, facts = self.definition.submit, self._facts
        assert submit is not None
        if isinstance(event, Planned):
            plan = event.plan
            cut = Cut(mark=plan.mark, parts=len(plan.parts), records=plan.records, rejected=plan.rejected)
            error = endings.not_the_same(submit, facts, cut) if self._begun else None
            error = error or endings.too_many_parts(submit, cut)
            if error is None:
                facts.plan, facts.upload = plan, cut
                return Verdict.PLANNED
            self._take(Reading(Answer.REFUSED, error=error))
        else:
            self._take(failure(event, "the upload"))
        return Verdict.REFUSED

    # Sending ------------------------------------------------------------------------------------------------

    def _judge_submit(self, event: Responded | Failed) -> Verdict:
        facts = self._facts
        assert self._leg is not None
        reading = self._take(read_submit(self.definition, event, self._leg, self._now, keyed=self._keyed))
        self._answered = isinstance(event, Responded)
        if reading.answer in _MAYBE_ACCEPTED:
            facts.unsure = True
        facts.not_before = None if reading.wait is None else self._now + reading.wait
        self._until = self._now + pause_of(reading, facts.tries + 1, self._seed)
        return judge_submit(
            reading,
            keyed=self._keyed,
            tries_left=self.definition.limits.retries - facts.tries,
            until=self._until,
            latest=self._latest,
            refreshed=self._refreshed,
            findable=self._findable,
        )

    def _enter_record_intent(self) -> Command | Verdict:
        self._expect_answer()
        return self._record()

    def _enter_submit(self) -> Command | Verdict:
        assert self.definition.submit is not None
        self._answered = False
        try:
            leg = self._leg = leg_of(self.definition.submit, self._facts, self._submit_names())
        except TemplateError as error:
            self._reading = Reading(Answer.REFUSED, error=error)
            return Verdict.REFUSED
        if leg.empty:
            self._reading = Reading(Answer.GOOD, kept=leg.skipped(self._facts.step_captures))
            return Verdict.STEPPED
        status = self.definition.status
        early = status is not None and status.from_ == "submit"
        return Send(
            Purpose.SUBMIT,
            leg.request,
            leg.names,
            where=f"{leg.place}.request",
            step=leg.label,
            secret=secret_place(self.definition) if early else None,
        )

    def _do_keep_step(self) -> None:
        assert self._leg is not None
        assert self._reading is not None
        facts, leg = self._facts, self._leg
        skipped = leg.empty
        facts.step_captures = dict(self._reading.kept or {})
        if leg.ends_step:
            facts.step, facts.item = leg.follows, 0
        else:
            facts.item += 1
        facts.unsure, facts.settled_at, facts.tries = False, None, 0
        if not skipped:  # which asked nobody: what the step before it was told holds on
            facts.not_before = None if self._reading.wait is None else self._now + self._reading.wait
        self._refreshed = False
        self._refusals = self._reading.refusals

    def _do_fail(self) -> None:
        super()._do_fail()
        facts, reading = self._facts, self._reading
        refused = reading is not None and reading.answer in (Answer.REFUSED, Answer.DENIED)
        submitting = self.phase in (Phase.SUBMIT, Phase.SUBMIT_REFRESH)
        if submitting and refused and self._answered and facts.begun_steps:
            done = done_before(self.definition.submit, facts)
            self.notes.append(
                f"The {self._called} was refused: the next try begins with the first step again. What was "
                f"done before ({done}) is left at the API."
            )
            facts.forget_steps()
            facts.left_at = None if self.definition.list is None else self._now

    @property
    def _called(self) -> str:
        return called(self.definition.submit, self._facts)

    def _do_say_repeated(self) -> None:
        key, submit = self._facts.key, self.definition.submit
        if submit is not None and submit.steps is not None:
            text = f"The {self._called} may have been done already. It is sent again, which does no harm"
            self.notes.append(f"{text}: {why_repeatable(submit, self._facts)}.")
            return
        self.notes.append(
            "An earlier submit may have been accepted. It is sent again with the same key "
            f"({key}), so that no second job can come of it."
        )

    def _do_take_risk(self) -> None:
        self._facts.unsure = False
        earlier = "An earlier submit may have been accepted"
        again = "It is submitted again (on_uncertain: resubmit): the job may now exist twice."
        if self.definition.submit is not None and self.definition.submit.steps is not None:
            earlier = f"The {self._called} may have been done already"
            again = "It is sent again (on_uncertain: resubmit): what it makes may now exist twice."
        self.notes.append(f"{earlier}, and this API has no idempotency key. {again}")

    def _do_bar(self) -> None:
        self._error = endings.barred(self.definition, self._facts)

    def _do_forbid(self) -> None:
        facts = self._facts
        if self.phase is Phase.SUBMIT:
            facts.not_before = self._until
        problem = self._reading.problem if self._reading else ""
        until = facts.not_before or self._until
        self._error = endings.forbidden(self.definition, facts, until, self._latest, problem)

    def _do_fail_tries(self) -> None:
        assert self._reading is not None
        self._error = endings.no_tries_left(self.definition, self._facts, self._reading)

    def _do_keep_submission(self) -> None:
        assert self._reading is not None
        facts, submission = self._facts, self._reading.submission
        assert submission is not None
        if facts.upload is not None:
            cut = facts.upload
            submission = replace(submission, mark=cut.mark, records=cut.records, left_out=cut.rejected)
        facts.submission, facts.begun = submission, submission.submitted_at
        facts.unsure, facts.not_before, facts.since, facts.tries = False, None, None, 0
        facts.settled_at = facts.left_at = None
        facts.forget_steps()
        self._refreshed = False
        self._refusals = self._reading.refusals

    def _do_no_data(self) -> None:
        self._facts.outcome = endings.nothing_to_wait_for(self._facts, self._now)

    def _do_keep_early_end(self) -> None:
        facts = self._facts
        assert facts.submission is not None
        assert facts.submission.outcome is not None
        early = facts.submission.outcome
        facts.captures.update(early.captures)
        facts.raw_status, facts.message, facts.progress = early.raw_status, early.message, early.progress
        facts.outcome = replace(early, captures=dict(facts.all_captures()))

    def _do_fail_mute(self) -> None:
        self._error = endings.mute(self._facts)
