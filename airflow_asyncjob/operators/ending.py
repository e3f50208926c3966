"""When Airflow ends a task on a worker: what becomes of its remote job."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowException

from airflow_asyncjob.hooks.marks import marks_that_cancel, state_now
from airflow_asyncjob.hooks.task import JobTask, Situation
from airflow_asyncjob.hooks.worker import WorkerHands

if TYPE_CHECKING:
    from airflow_asyncjob.protocol import Job, Submission
    from airflow_asyncjob.transport import Wire

__all__ = ["CancelsJob", "EndedInSubmit"]


class CancelsJob(JobTask):
    """Mixin of a task whose job is cancelled when a user ends the task."""

    def _cancel_if_marked(self, now: Situation, job: Job, wire: Wire) -> bool:
        """Cancel the remote job when a user marked this task as one of the states that end it; not for a
        clear or a shutdown. Return whether it was marked so.

        Airflow kills the process five seconds after it asked it to end, so that a cancel is hardly repeated.
        """
        from airflow_asyncjob.transport import run
        from airflow_asyncjob.transport.conceal import conceal

        marks = marks_that_cancel(self.definition.to_dict().get("cancel"))
        try:
            marked = state_now(now.context) if marks else None
        except Exception as error:  # the job is noted, and must not be lost by a question
            self.log.warning("Whether a user ended this task is not known: %s", error)
            return False
        if marked is None or marked not in marks:
            return False
        self.log.info("The task was marked %s: cancelling the job.", marked)
        job.cancel(time.time())
        finish = conceal(run(job, WorkerHands(wire, self._narrator(wire, job))), wire.redactor)
        if finish.error is not None:
            self.log.error("%s", finish.error.message)
        return True


class EndedInSubmit(CancelsJob):
    """Mixin of the submit: Airflow may end it while the request is on its way.

    The request is not broken off, since its answer names the job: without that nobody could cancel it.
    """

    _submitting = False
    """Whether a submit is under way."""

    def on_kill(self) -> None:
        """Note that Airflow wants this process to end, and say what that leaves open."""
        super().on_kill()
        if self._submitting:
            # Not here: a signal handler that logs may wait for a lock that this very thread holds.
            threading.Thread(target=self._say_open_end, name="say what is left open", daemon=True).start()

    def _say_open_end(self) -> None:
        self.log.warning(
            "Airflow ends this task while its submit is under way. When the answer comes within the seconds "
            "that Airflow gives, the job is noted, and is cancelled where the task was marked failed. Where "
            "no line after this one names a job, one may run at the API: look there."
        )

    def _end_if_marked(self, now: Situation, wire: Wire, submission: Submission) -> None:
        """Cancel a job that was accepted while a user ended the task, and end the task.

        Airflow tells the process of a mark at its next heartbeat only, which may come too late: so it is
        asked. After a clear the next try replaces the job, which is noted; a worker that is shut down has
        done its work.
        """
        from airflow_asyncjob.protocol import Goal, Job

        names, inputs = now.names, now.inputs
        job = Job(self.definition, Goal.CANCELLED, inputs=inputs, names=names, key="", submission=submission)
        if self._cancel_if_marked(now, job, wire):
            raise AirflowException(f"Airflow ended this task while it submitted job {submission.id}")
