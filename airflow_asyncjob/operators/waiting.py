"""Waiting for a job inside a task: deferred, rescheduled, or on the worker. The sensor and the submit share
it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowRescheduleException,
    TaskDeferralTimeout,
)

from airflow_asyncjob.definition.inputs import without_records
from airflow_asyncjob.definition.rejects import names_rejects_of_failed
from airflow_asyncjob.definition.webhook import polled_as_net
from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.hooks import state
from airflow_asyncjob.hooks.moved import MOVED, moves, newer
from airflow_asyncjob.hooks.names import map_index_of
from airflow_asyncjob.hooks.records import finish_of, status_xcom, submission_of
from airflow_asyncjob.hooks.state import FOR_MARK, WAIT, Wish
from airflow_asyncjob.hooks.task import Situation
from airflow_asyncjob.hooks.upstream import STATUS, SUBMISSION
from airflow_asyncjob.hooks.wake import why_of
from airflow_asyncjob.hooks.worker import LongWait, Stopped, WorkerHands
from airflow_asyncjob.operators.ending import CancelsJob

if TYPE_CHECKING:
    from airflow_asyncjob.definition import AsyncJob
    from airflow_asyncjob.protocol import Checkpoint, Finish, Job, Outcome, Submission
    from airflow_asyncjob.transport import Wire

__all__ = ["WaitsForJob", "quiet_seconds"]

_SEEN_BY_SCHEDULER = 5.0
"""Seconds in which a busy scheduler sees that a task's process has ended."""
_NET_SECONDS = 600.0


def quiet_seconds() -> float:
    """Return the seconds after a deferral or a reschedule in which Airflow must not start the task again.

    Under LocalExecutor the process of the task lingers for up to ``[workers] min_heartbeat_interval``; a task
    that is queued again before the scheduler has seen its end fails with "state attribute is queued".
    """
    return float(conf.getfloat("workers", "min_heartbeat_interval")) + _SEEN_BY_SCHEDULER


class WaitsForJob(CancelsJob):
    """Mixin of a task that waits for one job and returns its download target.

    The job's checkpoint is kept in the task state store under ``asyncjob.wait``: submission, deadline, next
    poll. So a retry, a reschedule and a triggerer that starts again carry on with the same deadline; a
    user's clear of the task attaches to the same job with a new one.
    """

    pushed_keys: ClassVar[tuple[str, ...]] = (SUBMISSION, STATUS)
    deferrable: bool
    mode: str = "poke"

    def wait_for_job(
        self,
        context: Mapping[str, Any],
        submission: Submission,
        *,
        key: str = "",
        attempt: int = 1,
        at_once: bool = False,
    ) -> Any:
        """Wait for a job from here on, and return its target; leaves by a deferral or reschedule where
        asked to.

        :param key: the idempotency key of its submission; empty: it is only attached to.
        :param at_once: poll now, whenever the next poll is due.
        """
        from airflow_asyncjob.protocol import Goal, Job

        now = self._situation(context)
        checkpoint = self._so_far(now, submission, key, attempt)
        if at_once:
            checkpoint = checkpoint.due(time.time())
        self._keep(now, checkpoint.to_dict())
        job = Job(
            self.definition,
            Goal.ENDED,
            inputs=now.inputs,
            names=now.names,
            key=checkpoint.key,
            checkpoint=checkpoint,
            attempt=checkpoint.attempt,
        )
        if self._keeper is not None:
            self._keeper.notes.begin(checkpoint.key or submission.id, submission)
        with self._open_wire() as wire:
            self._note_link(wire, now, submission)
            finish = self._drive(now, job, wire, leave=self.deferrable or self.mode == "reschedule")
        self._keep_end(finish)
        return self.conclude(context, finish, submission)

    def execute_complete(self, context: Mapping[str, Any], event: Mapping[str, Any]) -> Any:
        """Take what the trigger found out; or, where somebody woke the task, look at the job now."""
        why = why_of(event)
        if why is not None:
            return self._look_now(context, event, why)
        submission, finish = submission_of(event["submission"]), finish_of(event)
        now = self._situation(context)
        if "checkpoint" in event:
            self._keep(now, event["checkpoint"])
        if self._keeper is not None:
            self._keeper.resume(submission)
        self._note_link_again(now, submission)
        self._keep_end(finish)
        if finish.outcome is not None:
            self._say_end(submission, finish.outcome)
        return self.conclude(context, finish, submission)

    def _keep_end(self, finish: Finish) -> None:
        if self._keeper is not None:
            self._keeper.ended(finish)

    def conclude(self, context: Mapping[str, Any], finish: Finish, submission: Submission) -> Any:
        """Push the XComs and return the target, or raise what Airflow understands."""
        if finish.outcome is None:
            assert finish.error is not None
            raise finish.error
        outcome = finish.outcome
        context["ti"].xcom_push(SUBMISSION, submission.to_dict())
        context["ti"].xcom_push(STATUS, status_xcom(outcome))
        self._note_result(outcome)
        self.raise_for(context, outcome, submission)
        if outcome.state == "partial":
            self._say_partial(outcome)
        return outcome.target

    def raise_for(self, context: Mapping[str, Any], outcome: Outcome, submission: Submission) -> None:
        """Raise where a job ended without a result."""
        from airflow_asyncjob.protocol import error_for

        error = error_for(outcome, submission_id=submission.id, name=self.definition.name)
        if error is None:
            return
        if outcome.state == "failed" and names_rejects_of_failed(self.definition):
            raise type(error)(
                f"{error.message} The API names the records that it refused: a fetch task with trigger_rule "
                "all_done writes them, and then fails too."
            )
        raise error

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Mapping[str, Any]
    ) -> Any:
        """Resume, also where the deferral itself timed out: the trigger's deadline should prevent that."""
        try:
            return BaseOperator.resume_execution(self, next_method, next_kwargs, context)  # type: ignore[arg-type]
        except TaskDeferralTimeout:
            return self.resume_after_net(context)

    def resume_after_net(self, context: Mapping[str, Any]) -> Any:
        """Carry on where the trigger did not answer long after the deadline: look once more, then cancel.

        Airflow tells a deferral that timed out nothing of the job, so it is read from the task state store.
        """
        checkpoint = self._stored(context)
        if checkpoint is None:
            raise AirflowException("the trigger did not answer in time, and nothing is stored of the job")
        self.log.warning(
            "The trigger did not answer in time: is a triggerer running? Looking at the job once more."
        )
        return self._carry_on(context, checkpoint)

    def _look_now(self, context: Mapping[str, Any], event: Mapping[str, Any], why: str) -> Any:
        """Poll once; then it has ended, or the task defers again with the same deadline.

        A trigger's counters end with it: failed polls in a row are counted anew.
        """
        checkpoint = self._stored(context) or {"submission": event.get("submission")}
        if checkpoint.get("submission") is None:
            raise AirflowException(f"the task was woken ({why}), and nothing is stored of its job")
        self.log.info("Woken (%s): looking at the job now.", why)
        return self._carry_on(context, checkpoint, at_once=True)

    def _stored(self, context: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the checkpoint that this wait has stored; None: there is none."""
        found = state.load(context["task_state_store"], WAIT, Wish.of(context["ti"]), self.log)
        return None if found is None else found.data["checkpoint"]

    def _carry_on(
        self, context: Mapping[str, Any], checkpoint: Mapping[str, Any], *, at_once: bool = False
    ) -> Any:
        return self.wait_for_job(
            context,
            submission_of(checkpoint["submission"]),
            key=checkpoint.get("key", ""),
            attempt=checkpoint.get("attempt", 1),
            at_once=at_once,
        )

    # How far it is
    # ------------------------------------------------------------------------------------------------

    def _so_far(self, now: Situation, submission: Submission, key: str, attempt: int) -> Checkpoint:
        """Return the stored checkpoint of this job, or a first one."""
        from airflow_asyncjob.protocol import Checkpoint

        assert self.definition.status is not None
        found = state.load(now.store, WAIT, now.wish, self.log)
        begin = time.time() if now.wish.cleared_before else submission.submitted_at
        if found is not None:
            checkpoint = Checkpoint.from_dict(self._newest(now, found.data["checkpoint"]))
            same = checkpoint.submission is not None and checkpoint.submission.id == submission.id
            same = same and checkpoint.attempt == attempt  # an API may give the next job the same ID
            if found.current and same:
                return checkpoint
            begin = time.time() if same else submission.submitted_at
            if same:
                self.log.info("Cleared: this attaches to job %s with a new deadline.", submission.id)
        return Checkpoint(
            phase="submitted",
            key=key,
            attempt=attempt,
            submission=submission,
            deadline=begin + self.definition.status.timeout,
        )

    def _newest(self, now: Situation, checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a stored checkpoint, or what the trigger of this try has noted since."""
        if not moves(self.definition.to_dict()):
            return checkpoint
        ti = now.ti
        return newer(checkpoint, ti.xcom_pull(task_ids=ti.task_id, key=MOVED, map_indexes=map_index_of(ti)))

    def _keep(self, now: Situation, checkpoint: Mapping[str, Any]) -> None:
        state.save(now.store, WAIT, now.wish, {"checkpoint": dict(checkpoint)})

    def stored_submission(self, context: Mapping[str, Any], submission_id: str) -> Submission | None:
        """Return the submission of this ID that an earlier try or reschedule of this task noted; None: none
        did.
        """
        checkpoint = self._stored(context)
        if checkpoint is None or checkpoint.get("submission", {}).get("id") != submission_id:
            return None
        return submission_of(checkpoint["submission"])

    # Driving it
    # ---------------------------------------------------------------------------------------------------

    def _drive(self, now: Situation, job: Job, wire: Wire, *, leave: bool) -> Finish:
        from airflow_asyncjob.transport import run
        from airflow_asyncjob.transport.conceal import conceal

        narrator = self._narrator(wire, job, leaves=leave)
        hands = WorkerHands(
            wire,
            narrator,
            store=partial(self._keep, now),
            longest_wait=0.0 if leave else None,
            stop=self._stop,
        )
        try:
            return conceal(run(job, hands), wire.redactor)
        except LongWait as long:
            narrator.flush()
            checkpoint = job.checkpoint.to_dict()
            self._keep(now, checkpoint)
            self._keep_for_mark(now, wire)
            if self.deferrable:
                self._defer_to_trigger(now, wire, job, checkpoint)
            again = max(long.until, time.time() + quiet_seconds())
            raise AirflowRescheduleException(_moment(again)) from None  # type: ignore[no-untyped-call]
        except Stopped:
            narrator.flush()
            self._cancel_if_marked(now, job, wire)
            raise AirflowException("Airflow ended this task while it waited for the job") from None

    def _defer_to_trigger(
        self, now: Situation, wire: Wire, job: Job, checkpoint: Mapping[str, Any]
    ) -> NoReturn:
        from airflow_asyncjob.triggers.status import AsyncStatusTrigger

        self._refuse_secrets(wire, self.definition, now.inputs, checkpoint)
        trigger = AsyncStatusTrigger(
            **self._followed_by(now),
            checkpoint=checkpoint,
            quiet=quiet_seconds(),
            deferral=uuid.uuid4().hex,
        )
        assert job.deadline is not None
        net = max(job.deadline - time.time(), 0.0) + _NET_SECONDS + self._longest_wait
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=net))

    def _followed_by(self, now: Situation) -> dict[str, Any]:
        """Return what another process needs to know of the job, beside how far it is: plain JSON."""
        return {
            "definition": self.definition.to_dict(),
            "http_conn_id": self.http_conn_id,
            "inputs": without_records(self.definition, now.inputs),
            "names": dict(now.names),
        }

    def _keep_for_mark(self, now: Situation, wire: Wire) -> None:
        """Keep what a cancel needs, for a mark that comes while no process has the job: between two polls, in
        the queue, between two tries. The API server reads it then (``airflow_asyncjob.plugin.ordering``).
        """
        if self.definition.cancel is None:
            return
        kept = self._followed_by(now)
        if wire.redactor.would_change({name: kept[name] for name in ("definition", "inputs")}):
            self.log.warning(
                "The definition or the inputs hold what looks like a secret, so they are not kept: where a "
                "user marks this task failed while no process has it, the job is not cancelled."
            )
            return
        if state.data_of(now.store.get(state.key_of(FOR_MARK))) != kept:
            state.save(now.store, FOR_MARK, now.wish, kept)

    @property
    def _longest_wait(self) -> float:
        """Seconds between two polls at most; the last look after the deadline comes no sooner."""
        status = polled_as_net(self.definition).status
        assert status is not None
        return (status.longest_wait or max(status.poll_wait, _NET_SECONDS)) * (1 + status.jitter)

    def _refuse_secrets(
        self,
        wire: Wire,
        definition: AsyncJob,
        inputs: Mapping[str, Any],
        checkpoint: Mapping[str, Any],
        *,
        task_id: str | None = None,
    ) -> None:
        """Refuse to defer with a secret: trigger arguments lie in Airflow's database as plain text.

        :param task_id: the task that is to defer; None: this one.
        :raises DefinitionError: one of the arguments holds what looks like a secret of the connection.
        """
        arguments = {
            "definition": definition.to_dict(),
            "inputs": without_records(definition, inputs),
            "checkpoint": checkpoint,
        }  # not the names of the run: they are Airflow's own, and a weak password may be part of one
        found = wire.redactor.would_change(arguments)
        if found:
            who = f"Nothing is sent: {task_id} could not defer" if task_id else "This task cannot defer"
            raise DefinitionError(
                f"{who}: {', '.join(found)} holds what looks like a secret, and what a "
                "deferred task keeps lies in Airflow's database as plain text. Take the value from the "
                "connection when the request is sent, as {{ connection.extra.NAME }} or by auth; or set "
                "deferrable=False."
            )

    # What it says
    # -------------------------------------------------------------------------------------------------

    def _note_result(self, outcome: Outcome) -> None:
        first = outcome.target if isinstance(outcome.target, str) else next(iter(outcome.target), "")
        self.result_url = first if first.startswith(("http://", "https://")) and "?" not in first else ""

    def _say_end(self, submission: Submission, outcome: Outcome) -> None:
        """Say how the job ended in the log of the worker: the triggerer has a section of its own there."""
        from airflow_asyncjob.transport.narrate import ended

        targets = 1 if isinstance(outcome.target, str) else len(outcome.target)
        status = "" if outcome.raw_status is None else f" Status {outcome.raw_status!r},"
        self.log.info(
            "%s.%s %d download target%s.",
            ended(outcome, submission.id),
            status,
            targets,
            "" if targets == 1 else "s",
        )

    def _say_partial(self, outcome: Outcome) -> None:
        said = f": {outcome.message}" if outcome.message else ""
        self.log.warning("The job is done in part (%s)%s", outcome.raw_status, said)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
