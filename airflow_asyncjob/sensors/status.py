"""AsyncStatusSensor: waits until a remote job has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)

from airflow_asyncjob.definition.flat import STATUS_ARGUMENTS, UNSET
from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.hooks.definitions import definition_of, either, seconds
from airflow_asyncjob.hooks.links import AsyncJobLink, RemoteJobLink, ResultLink
from airflow_asyncjob.hooks.records import submission_given
from airflow_asyncjob.hooks.task import translated
from airflow_asyncjob.hooks.upstream import find_submission
from airflow_asyncjob.operators.waiting import WaitsForJob

if TYPE_CHECKING:
    from airflow_asyncjob.hooks.definitions import JobSource
    from airflow_asyncjob.protocol import Submission

__all__ = ["AsyncStatusSensor"]


class AsyncStatusSensor(WaitsForJob, BaseSensorOperator):
    """Waits until a remote job has ended, and returns its download target.

    Deferred by default: the triggerer polls, and no worker is taken. With ``deferrable=False`` it is an
    ordinary sensor: ``mode="reschedule"`` gives the worker back between polls (which are then at least ten
    seconds apart), ``mode="poke"`` keeps it.

    A job that failed or was cancelled fails the task at once, without retries: the same job cannot get
    better. At the deadline the job is cancelled, where the definition says how, and the task ends with
    ``AirflowSensorTimeout``. A failure of ours (too many polls in a row failed, a lost worker) is retried
    as ``retries`` says, and attaches to the same job. A user who marks the waiting task failed cancels the
    job; one who clears it does not.

    XCom: the return value is the download target (text, or a list of texts; ``[]`` where there are no
    data). Key ``status``: ``{state, raw_status, message, progress, polls, waited, expires_at, captures}``;
    key ``submission`` as of the submit. The submission ID stands for a target that the definition calls a
    secret. Where status answers are captured, key ``asyncjob.wait`` holds how far the wait has come.

    :param submission_id: ``submit.output`` of an :class:`AsyncSubmitOperator`; or an ID by hand (waits are
        then counted from the first look); or a mapping ``{id, submitted_at, captures}``. Templated.
    :param job: the definition; the flat arguments below override its fields.
    :param http_conn_id: the Airflow connection; None: the definition's ``connection``. Templated.
    :param inputs: values of the definition's inputs. Templated.
    :param deferrable: wait in the triggerer.
    :param mode: with ``deferrable=False``: ``poke`` or ``reschedule``.
    :param initial_wait: from the submission to the first poll, seconds or text with a unit.
    :param poll_wait: between polls; ``poke_interval`` is the same.
    :param timeout: from the submission to the deadline. (Not the sensor's usual seven days: the
        definition's, or a day.)
    :param queue_timeout: from the submission; a job that is still in one of the states ``queued`` then is
        cancelled, and has timed out.
    :param log: where the log of a job that failed lies, a mapping with ``request`` and ``path``.
    :param secret: the download target is neither kept nor returned: the submission ID stands for it. The
        download then needs ``status``, ``target_path`` and ``secret`` too.
    :param soft_fail: skip instead of failing, where the job failed or timed out.
    :param never_fail: skip instead of failing, whatever went wrong.
    :param silent_fail: polls that fail never end the task before the deadline.
    :param exponential_backoff: the same as ``growth=2``; ``max_wait`` is the same as ``longest_wait``.
    :param status_path: where the raw status lies; the other arguments are those of the definition's
        ``status`` section.
    """

    template_fields: Sequence[str] = ("http_conn_id", "inputs", "submission_id")
    kind = "wait"
    template_fields_renderers: ClassVar[dict[str, str]] = {"inputs": "json"}
    operator_extra_links = (AsyncJobLink(), RemoteJobLink(), ResultLink())
    ui_color = "#dff0d8"

    def __init__(
        self,
        *,
        submission_id: Any,
        job: JobSource | None = None,
        http_conn_id: str | None = None,
        inputs: Any = None,
        deferrable: bool = True,
        mode: str = "poke",
        endpoint: Any = UNSET,
        method: Any = UNSET,
        json: Any = UNSET,
        form: Any = UNSET,
        xml: Any = UNSET,
        text: Any = UNSET,
        query_params: Any = UNSET,
        headers: Any = UNSET,
        response: Any = UNSET,
        auth: Any = UNSET,
        status_path: Any = UNSET,
        running_values: Any = UNSET,
        done_values: Any = UNSET,
        no_data_values: Any = UNSET,
        partial_values: Any = UNSET,
        failed_values: Any = UNSET,
        timed_out_values: Any = UNSET,
        cancelled_values: Any = UNSET,
        rules: Any = UNSET,
        unknown: Any = UNSET,
        unknown_times: Any = UNSET,
        message_path: Any = UNSET,
        log: Any = UNSET,
        progress_path: Any = UNSET,
        expires_at_path: Any = UNSET,
        captures: Any = UNSET,
        download_target_path: Any = UNSET,
        result_request: Any = UNSET,
        secret: Any = UNSET,
        cancel: Any = UNSET,
        initial_wait: Any = UNSET,
        poll_wait: Any = UNSET,
        poke_interval: Any = UNSET,
        growth: Any = UNSET,
        exponential_backoff: bool = False,
        longest_wait: Any = UNSET,
        max_wait: Any = UNSET,
        jitter: Any = UNSET,
        timeout: Any = UNSET,
        queued: Any = UNSET,
        queue_timeout: Any = UNSET,
        poll_error_budget: Any = UNSET,
        webhook: Any = UNSET,
        silent_fail: bool = False,
        **kwargs: Any,
    ) -> None:
        given = locals()
        flat = {name: given[name] for name in STATUS_ARGUMENTS} | {
            "initial_wait": seconds(initial_wait),
            "poll_wait": either("poll_wait", poll_wait, "poke_interval", poke_interval),
            "growth": 2.0 if exponential_backoff and growth is UNSET else growth,
            "longest_wait": either("longest_wait", longest_wait, "max_wait", max_wait),
            "timeout": seconds(timeout),
            "queue_timeout": seconds(queue_timeout),
            "poll_error_budget": _UNBOUNDED if silent_fail else poll_error_budget,
        }
        definition = definition_of(job, "status", flat, dag=kwargs.get("dag"))
        assert definition.status is not None
        super().__init__(
            poke_interval=definition.status.poll_wait,
            timeout=definition.status.timeout,
            mode=mode,
            silent_fail=silent_fail,
            **kwargs,
        )
        self.deferrable = deferrable
        self.submission_id = submission_id
        self._describe(definition, http_conn_id, inputs)

    def execute(self, context: Mapping[str, Any]) -> Any:
        """Wait, and return the download target."""
        return self._softly(context, lambda: self.wait_for_job(context, self._submission(context)))

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Mapping[str, Any]
    ) -> Any:
        """Take what the trigger found out."""
        return self._softly(
            context,
            lambda: super(AsyncStatusSensor, self).resume_execution(next_method, next_kwargs, context),
            resumed=True,
        )

    def _submission(self, context: Mapping[str, Any]) -> Submission:
        """Return the job to wait for: as the submit noted it, else as given."""
        from airflow_asyncjob.protocol import Submission

        submission_id = submission_given(self.submission_id, time.time())
        if isinstance(submission_id, Submission):
            return submission_id
        found = find_submission(context, submission_id) or self.stored_submission(context, submission_id)
        if found is not None:
            return found
        if not submission_id:
            raise DefinitionError(
                f"submission_id is {self.submission_id!r}: there is no job to wait for. Give submit.output "
                "of an AsyncSubmitOperator, or an ID; a task before this one that returned nothing gives None"
            )
        self.log.info("Job %s was given by hand: its waits are counted from now.", submission_id)
        return Submission(submission_id, time.time())

    def _softly(self, context: Mapping[str, Any], step: Callable[[], Any], *, resumed: bool = False) -> Any:
        """Do a step as Airflow's sensors do: ``soft_fail`` and ``never_fail`` turn failures into skips."""
        try:
            with translated(), self._kept(context, resumed=resumed):
                return step()
        except (AirflowSkipException, AirflowRescheduleException, TaskDeferred):
            raise
        except (AirflowSensorTimeout, AirflowTaskTimeout, AirflowFailException) as error:
            if self.soft_fail or self.never_fail:
                option = "soft_fail" if self.soft_fail else "never_fail"
                raise AirflowSkipException(f"Skipped, because {option} is set: {error}") from error
            raise
        except Exception as error:
            if self.never_fail:
                raise AirflowSkipException(f"Skipped, because never_fail is set: {error}") from error
            raise


_UNBOUNDED = 1_000_000_000
