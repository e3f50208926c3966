"""AsyncSubmitOperator: submits one job, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airflow_asyncjob.definition.flat import SUBMIT_ARGUMENTS, UNSET
from airflow_asyncjob.errors import (
    AsyncJobError,
    CheckpointError,
    DefinitionError,
    JobError,
    JobFailedError,
    JobTimeoutError,
    JobVanishedError,
)
from airflow_asyncjob.hooks import state
from airflow_asyncjob.hooks.callback import callback_names
from airflow_asyncjob.hooks.definitions import definition_of, job_retries_of
from airflow_asyncjob.hooks.links import AsyncJobLink, RemoteJobLink, ResultLink
from airflow_asyncjob.hooks.names import idempotency_key
from airflow_asyncjob.hooks.task import Situation, translated
from airflow_asyncjob.hooks.uploads import TaskUpload, check_rejects
from airflow_asyncjob.hooks.upstream import SUBMISSION, deferring_after, fetching_after, unrendered
from airflow_asyncjob.hooks.worker import LongWait, Stopped, WorkerHands, narrator_of
from airflow_asyncjob.operators.adopting import adopted_by_hand
from airflow_asyncjob.operators.ending import EndedInSubmit
from airflow_asyncjob.operators.waiting import WaitsForJob

if TYPE_CHECKING:
    from airflow_asyncjob.hooks.definitions import JobSource
    from airflow_asyncjob.protocol import Checkpoint, Finish, Job, Outcome, Submission
    from airflow_asyncjob.transport import Wire

__all__ = ["AsyncSubmitOperator"]

_RECORD = "submit"
_SLEPT_THROUGH = 30.0
"""Seconds that a worker sleeps while an API wants no submit; a longer wait defers the task."""
_SUBMITTED_AGAIN = (JobFailedError, JobVanishedError)
"""How a job ends after which ``job_retries`` submits another one: not when somebody stopped it, nor when it
was too slow and may run on.
"""


class _NextJob(Exception):
    """The job failed, and this try of the task submits another one."""


class AsyncSubmitOperator(EndedInSubmit, WaitsForJob, BaseOperator):
    """Submits one job, and returns its ID.

    Before the request an intent is stored in the task state store, after it the submission: a retry, also
    of a worker that was killed in between, finds the job and does not submit again. Where the outcome of a
    request was lost, the definition's idempotency key, or ``on_uncertain``, decides. A user's clear of this
    task submits anew on purpose; it first looks at the job that it replaces, and cancels it when it still
    runs (where ``status`` and ``cancel`` are known).

    With ``wait_for_completion=True`` it is submit and wait in one task, and returns the download target.
    There, and only there, a job that failed can be submitted again: by ``job_retries``, or without them by a
    retry of the task.

    XCom: the return value is the submission ID (or the download target). Key ``submission``: ``{id,
    submitted_at, captures}``; an :class:`AsyncStatusSensor` finds it through ``submit.output``. When it
    waited, key ``status`` as of the sensor.

    :param job: the definition: a packaged name, a path (a relative one is looked for beside the DAG file
        first), a mapping, or an object. The flat arguments below override its fields.
    :param http_conn_id: the Airflow connection; None: the definition's ``connection``. Templated.
    :param inputs: values of the definition's inputs. Templated.
    :param endpoint: URL of the request, relative to the connection or absolute. A template of the
        definition's kind.
    :param method: POST unless given. ``json``, ``form``, ``xml``, ``text``, ``multipart``, ``file`` or
        ``part``: the body. ``query_params``, ``headers``, ``response``: as in a definition.
    :param upload: the records that are sent, as in a definition; with ``part=True`` or in ``steps``.
    :param steps: requests in a row, instead of one with ``endpoint``; as in a definition.
    :param auth: ``none`` or ``connection`` for this request; or a mapping, as the definition's ``auth``.
    :param submission_id_path: where the ID lies in the answer. ``captures``: what else to keep of it.
    :param on_uncertain: ``resubmit`` or ``fail``, when the answer was lost and the API has no idempotency
        key.
    :param status: section of a definition, laid over the one of ``job``: how to ask for the status.
    :param result: the same for the result, which ``wait_for_completion`` reads the target from.
    :param cancel: the request that cancels a job.
    :param wait_for_completion: wait for the job in this task.
    :param job_retries: with ``wait_for_completion``: how often a job that failed at the API (or vanished
        there) is submitted again, each time as a new job with a key of its own. When the last one has failed,
        so has the task, whatever its ``retries`` say: they are for errors on the way. A job that was
        cancelled or timed out is not submitted again. None: each of the task's ``retries`` submits a job that
        failed again.
    :param job_retry_wait: seconds, or text with a unit, between the end of a job that failed and the next
        submit; None: 60 seconds. A wait of more than 30 seconds defers the task.
    :param deferrable: wait in the triggerer, for the job and for an API that wants no submit for more than
        30 seconds.
    :param rejects: destination of the download after this task, a path or URI: what the answers to the upload
        refuse is kept beside it until then, as ``NAME.rejects.parts/00001.jsonl``, one file a part. Needed
        where a step of the submit has ``rejects``. Templated; its templates see also ``inputs`` and
        ``map_index``.
    :param submission_id: the ID of a job that runs already, or a mapping ``{id, submitted_at, captures}``:
        this task then submits nothing, says so, and the job is carried on (after a disaster, such as a lost
        database of Airflow). Waits are counted from now where ``submitted_at`` is not known. Empty or None:
        it submits. Templated, such as ``{{ params.submission_id or '' }}``.
    """

    template_fields: Sequence[str] = ("http_conn_id", "inputs", "rejects", "submission_id")
    kind = "submit"
    late_field = "rejects"
    template_fields_renderers: ClassVar[dict[str, str]] = {"inputs": "json"}
    operator_extra_links = (AsyncJobLink(), RemoteJobLink(), ResultLink())
    ui_color = "#d9edf7"

    def __init__(
        self,
        *,
        job: JobSource | None = None,
        http_conn_id: str | None = None,
        inputs: Any = None,
        endpoint: Any = UNSET,
        method: Any = UNSET,
        json: Any = UNSET,
        form: Any = UNSET,
        xml: Any = UNSET,
        text: Any = UNSET,
        multipart: Any = UNSET,
        file: Any = UNSET,
        part: Any = UNSET,
        upload: Any = UNSET,
        steps: Any = UNSET,
        query_params: Any = UNSET,
        headers: Any = UNSET,
        response: Any = UNSET,
        auth: Any = UNSET,
        submission_id_path: Any = UNSET,
        captures: Any = UNSET,
        on_uncertain: Any = UNSET,
        status: Any = UNSET,
        result: Any = UNSET,
        cancel: Any = UNSET,
        wait_for_completion: bool = False,
        job_retries: int | None = None,
        job_retry_wait: Any = None,
        deferrable: bool = True,
        rejects: Any = None,
        submission_id: Any = None,
        **kwargs: Any,
    ) -> None:
        given = locals()
        flat = {name: given[name] for name in SUBMIT_ARGUMENTS}
        sections = {"status": status, "result": result, "cancel": cancel}
        definition = definition_of(job, "submit", flat, dag=kwargs.get("dag"), sections=sections)
        if wait_for_completion and definition.status is None:
            raise DefinitionError(
                "wait_for_completion needs to know how to ask for the status: give job= with a status "
                "section, or status= with one"
            )
        self.job_retries, self.job_retry_wait = job_retries_of(
            job_retries, job_retry_wait, waits=wait_for_completion
        )
        check_rejects(definition, rejects)
        super().__init__(**kwargs)
        self.rejects = rejects
        self.submission_id = submission_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self._describe(definition, http_conn_id, inputs)

    def execute(self, context: Mapping[str, Any]) -> Any:
        """Submit, or find what an earlier try submitted; return the ID, or the target when it waits."""
        with translated(), self._kept(context):
            return self._with_next_jobs(context, partial(self._one_job, context))

    def _with_next_jobs(self, context: Mapping[str, Any], step: Callable[[], Any]) -> Any:
        """Do a step, and submit a job after each that failed, as long as ``job_retries`` allows."""
        while True:
            try:
                return step()
            except _NextJob:
                step = partial(self._one_job, context)

    def _one_job(self, context: Mapping[str, Any]) -> Any:
        now = self._situation(context)
        checkpoint, submit_at = self._so_far_submitted(now)
        if self._keeper is not None:
            self._keeper.notes.begin(checkpoint.key, checkpoint.submission, state="submitting")
        if checkpoint.submission is None:
            self._refuse_lost_code(context)
        with self._open_wire() as wire:
            if self.wait_for_completion and self.deferrable:
                self._refuse_secrets(wire, self.definition, now.inputs, {})
            elif checkpoint.submission is None:
                self._refuse_for_waits(now, wire)
            submission = self._submit(now, wire, checkpoint, submit_at)
            self._note_link(wire, now, submission)
        if not self.wait_for_completion:
            return submission.id
        return self.wait_for_job(context, submission, key=checkpoint.key, attempt=checkpoint.attempt)

    def _refuse_for_waits(self, now: Situation, wire: Wire) -> None:
        """Refuse secrets that a waiting task after this one could not defer with, before anything is sent."""
        for wait in deferring_after(now.context):
            same = wait.inputs is unrendered(now.context, "inputs") or wait.inputs == self.inputs
            self._refuse_secrets(wire, wait.definition, now.inputs if same else {}, {}, task_id=wait.task_id)

    def _refuse_lost_code(self, context: Mapping[str, Any]) -> None:
        """Refuse a ``transform`` that the download after this task would not find.

        Its module is looked for, and not imported: it may be heavy, and only the download runs it. A download
        that Airflow runs elsewhere (another queue, executor or image) has a Python of its own.
        """
        from airflow_asyncjob.definition.imported import find_module

        for fetch in fetching_after(context):
            path = fetch.definition.result.transform if fetch.definition.result else None
            same = all(
                getattr(fetch, name) == getattr(self, name)
                for name in ("queue", "executor", "executor_config")
            )
            if path is None or not same:
                continue
            try:
                find_module(path, "transform")
            except DefinitionError as error:
                raise DefinitionError(
                    f"Nothing is sent, since {fetch.task_id} would fail: {error}"
                ) from error

    def resume_submit(self, context: Mapping[str, Any], event: Any = None) -> Any:
        """Go on after a long Retry-After, or the wait after a job that failed."""
        return self.execute(context)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Mapping[str, Any]
    ) -> Any:
        """Take what the trigger found out."""
        resume = partial(super().resume_execution, next_method, next_kwargs, context)
        with translated(), self._kept(context, resumed=True):
            return self._with_next_jobs(context, resume)

    # Submitting
    # ---------------------------------------------------------------------------------------------------

    def _so_far_submitted(self, now: Situation) -> tuple[Checkpoint, float]:
        """Return what an earlier try of the same wish stored, or a first checkpoint; and when the job may be
        submitted, seconds since the epoch.
        """
        from airflow_asyncjob.protocol import Checkpoint

        found = state.load(now.store, _RECORD, now.wish, self.log)
        adopted = adopted_by_hand(self.submission_id, found, self.log)
        if adopted is not None:
            checkpoint = Checkpoint(phase="submitted", key=idempotency_key(now.ti, 1), submission=adopted)
            self._keep_submit(now, checkpoint.to_dict())
            return checkpoint, 0.0
        if found is not None and found.current:
            checkpoint = Checkpoint.from_dict(found.data["checkpoint"])
            if checkpoint.submission is not None:
                self.log.info(
                    "An earlier try of this task submitted job %s: it is carried on.",
                    checkpoint.submission.id,
                )
            return checkpoint, float(found.data.get("submit_at", 0.0))
        if found is not None:
            self._end_replaced(now, found.data)
        return Checkpoint(phase="idle", key=idempotency_key(now.ti, 1)), 0.0

    def _submit(self, now: Situation, wire: Wire, checkpoint: Checkpoint, submit_at: float) -> Submission:
        from airflow_asyncjob.protocol import Goal, Job
        from airflow_asyncjob.transport import run
        from airflow_asyncjob.transport.conceal import conceal

        job = Job(
            self.definition,
            Goal.SUBMITTED,
            inputs=now.inputs,
            names={**now.names, **callback_names(self.definition, now.names, self.http_conn_id, wire)},
            key=checkpoint.key,
            checkpoint=checkpoint,
            attempt=checkpoint.attempt,
        )
        upload = TaskUpload(wire, self.rejects)
        hands = WorkerHands(
            wire,
            self._narrator(wire, job),
            store=partial(self._keep_submit, now),
            keep_refusals=upload.keep,
            longest_wait=_SLEPT_THROUGH if self.deferrable else None,
            stop=self._stop,
        )
        try:
            self._await_next_job(hands, submit_at)
            self._submitting = True
            with upload:
                finish = conceal(run(job, hands, plan=upload.plan), wire.redactor)
        except LongWait as wait:
            self._keep_submit(now, job.checkpoint.to_dict(), submit_at)
            self._defer_until(wait.until)
        except Stopped:
            raise AirflowException(self._left_undone(job)) from None
        finally:
            self._submitting = False
        if finish.submission is None:
            assert finish.error is not None
            raise finish.error
        self._end_if_marked(now, wire, finish.submission)
        now.ti.xcom_push(SUBMISSION, finish.submission.to_dict())
        return finish.submission

    def _left_undone(self, job: Job) -> str:
        """Return what Airflow's end of this task left, for people."""
        from airflow_asyncjob.protocol.course import done_before

        done = done_before(self.definition.submit, job.facts)
        if not done:
            return "Airflow ended this task before the job was submitted"
        return (
            f"Airflow ended this task between the steps of the submit. What was done ({done}) is left at the "
            "API: a retry of the task carries on after it; without the ID of a submission no cancel can be "
            "sent"
        )

    def _await_next_job(self, hands: WorkerHands, submit_at: float) -> None:
        """Wait between a job that failed and the next; a clock that was set back makes it no longer."""
        from airflow_asyncjob.protocol.messages import Wait

        until = min(submit_at, time.time() + self.job_retry_wait)
        if until > time.time():
            wait = Wait(until, "the next job")
            hands.observe(wait, None)
            hands.wait(wait)

    def _keep_submit(self, now: Situation, checkpoint: Mapping[str, Any], submit_at: float = 0.0) -> None:
        later = {"submit_at": submit_at} if submit_at else {}
        state.save(now.store, _RECORD, now.wish, {"checkpoint": dict(checkpoint), **later})

    def _defer_until(self, until: float) -> None:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        self.log.info("Nothing is submitted for so long that the worker is given back until then.")
        moment = datetime.fromtimestamp(until, UTC)
        self.defer(trigger=DateTimeTrigger(moment=moment), method_name="resume_submit")

    # After a clear, and after a failure
    # -----------------------------------------------------------------------------

    def _end_replaced(self, now: Situation, data: Mapping[str, Any]) -> None:
        """Look at the job that this one replaces, and cancel it when it still runs. Best effort: it stops
        nothing.
        """
        from airflow_asyncjob.protocol import Checkpoint, Goal, Job
        from airflow_asyncjob.protocol.course import done_before
        from airflow_asyncjob.transport import run

        try:
            checkpoint = Checkpoint.from_dict(data["checkpoint"])
            done = done_before(self.definition.submit, checkpoint)
        except CheckpointError as error:
            self.log.warning("The job that this one replaces cannot be looked at: %s", error)
            return
        old = checkpoint.submission
        if old is None:
            if done:
                self.log.warning(
                    "The task was cleared between the steps of a submit, and begins with the first again. "
                    "What was done (%s) is left at the API.",
                    done,
                )
            elif checkpoint.phase == "intent":
                self.log.warning(
                    "The task was cleared while it was not known whether its submit (key %s) was accepted: a "
                    "job may run at the API beside the new one. Its ID is not known, so it is not cancelled.",
                    checkpoint.key,
                )
            return
        self.log.info("The task was cleared: a new job replaces job %s.", old.id)
        if self.definition.status is None and self.definition.cancel is None:
            self.log.warning(
                "Job %s may still run: without status and cancel in the definition nobody can tell.", old.id
            )
            return
        try:
            job = Job(
                self.definition, Goal.REPLACED, inputs=now.inputs, names=now.names, key="", submission=old
            )
            with self._open_wire() as wire:
                hands = WorkerHands(wire, narrator_of(wire, self.log.log, job), stop=self._stop)
                finish = run(job, hands)
                if finish.error is not None:
                    raise finish.error
        except AsyncJobError as error:
            self.log.warning("Job %s, which is replaced, may still run: %s", old.id, error)

    def conclude(self, context: Mapping[str, Any], finish: Finish, submission: Submission) -> Any:
        """Return the target; note a job that is lost, so that the next submit is of a new one."""
        if isinstance(finish.error, JobError):
            self._give_up(context, finish.error, submission)
        return super().conclude(context, finish, submission)

    def raise_for(self, context: Mapping[str, Any], outcome: Outcome, submission: Submission) -> None:
        """Raise where a job ended without a result."""
        from airflow_asyncjob.protocol import error_for

        ti = context["ti"]
        retried = self.job_retries is None and ti.try_number <= ti.max_tries
        error = error_for(
            outcome,
            submission_id=submission.id,
            name=self.definition.name,
            advice="The next try of this task submits a new job." if retried else "",
        )
        if error is not None:
            self._give_up(context, error, submission)

    def _give_up(self, context: Mapping[str, Any], error: JobError, submission: Submission) -> NoReturn:
        """Note that this job is over and without a result: the next one is a new attempt, with a key of its
        own. Then raise what brings the next one, or ends the task.
        """
        from airflow_asyncjob.protocol import Checkpoint

        now = self._situation(context)
        found = state.load(now.store, _RECORD, now.wish, self.log)
        attempt = Checkpoint.from_dict(found.data["checkpoint"]).attempt if found else 1
        allowed = self.job_retries or 0
        again = attempt <= allowed and isinstance(error, _SUBMITTED_AGAIN)
        new = Checkpoint(phase="idle", key=idempotency_key(now.ti, attempt + 1), attempt=attempt + 1)
        self._keep_submit(now, new.to_dict(), time.time() + self.job_retry_wait if again else 0.0)
        if again:
            self.log.warning(
                "%s It was job %d of at most %d (job_retries: %d): a new one is submitted.",
                error.message if isinstance(error, JobVanishedError) else f"Job {submission.id} failed.",
                attempt,
                allowed + 1,
                allowed,
            )
            raise _NextJob
        if isinstance(error, JobTimeoutError):
            raise error
        if self.job_retries is None:
            raise AirflowException(error.message) from error
        jobs = "1 job was" if attempt == 1 else f"{attempt} jobs were"
        raise AirflowFailException(f"{error.message} {jobs} submitted (job_retries: {allowed}).") from error
