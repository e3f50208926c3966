"""Keeps what happens to a job in the task state store, from a worker; see ``airflow_asyncjob.panel``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException, TaskDeferred

from airflow_asyncjob.errors import AsyncJobError
from airflow_asyncjob.hooks.metrics import Metrics
from airflow_asyncjob.hooks.names import map_index_of
from airflow_asyncjob.hooks.notes import Notes
from airflow_asyncjob.panel import PREVIEW, SUMMARY, TRACE, Summary, preview_of

if TYPE_CHECKING:
    from airflow_asyncjob.protocol import Finish, Submission
    from airflow_asyncjob.results.manifest import Manifest

__all__ = ["WorkerKeeper", "tags_of"]


def tags_of(ti: Any, notes: Notes) -> dict[str, str]:
    """Return the tags of the metrics of a task instance."""
    return {
        "dag_id": str(ti.dag_id),
        "task_id": str(ti.task_id),
        "conn_id": notes.summary.conn_id,
        "definition": notes.summary.definition,
    }


class WorkerKeeper:
    """Writes the notes of a task instance while a worker runs it.

    What was kept before is read with the first write: by earlier tries, and, where the task resumes, by its
    trigger. A store that refuses is named once in the log, and asked again after a minute at the earliest.

    :param context: Airflow's task context.
    :param resumed: the task was deferred before, so that its trigger may have kept something.
    """

    def __init__(self, context: Mapping[str, Any], notes: Notes, log: Any, *, resumed: bool = False) -> None:
        self.notes = notes
        self.metrics = Metrics(tags_of(context["ti"], notes))
        self._ti = context["ti"]
        self._store = context.get("task_state_store")
        self._log = log
        self._resumed = resumed
        self._read = False
        self._warned = False

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Keep what happens in a part of the task, however that is left."""
        try:
            yield
        except TaskDeferred:
            self.write()
            raise
        except AirflowRescheduleException:
            self.write_if_due()
            raise
        except AirflowSkipException:
            self.write()
            raise
        except Exception as error:
            self.notes.failed(error.message if isinstance(error, AsyncJobError) else str(error))
            self.write()
            raise
        else:
            self.write()

    def resume(self, submission: Submission) -> None:
        """Take up the job that the trigger waited for."""
        known = None
        try:
            known = Summary.from_dict(self._store.get(SUMMARY)) if self._store is not None else None
        except Exception as error:
            self._say(error)
        same = known is not None and known.submission_id == submission.id
        self.notes.begin(known.of if same and known is not None else submission.id, submission)

    def ended(self, finish: Finish) -> None:
        """Note how the wait for the job ended, and count it."""
        if finish.outcome is None:
            self.metrics.ended("error", None)
            return
        self.notes.ended(finish.outcome)
        self.metrics.ended(str(finish.outcome.state), finish.outcome.waited)

    def downloaded(self, manifest: Manifest, seconds: float) -> None:
        """Note what was written, and count it.

        :param seconds: the download and the writing took.
        """
        self.notes.downloaded(manifest, seconds)
        self.metrics.downloaded(
            size=manifest.bytes,
            records=manifest.records,
            rejects=(manifest.rejects or {}).get("records"),
            seconds=seconds,
        )

    def write_if_due(self) -> None:
        """Write where there is news to what was written last, be it by another process."""
        if self._store is None or not self.notes.may_write():
            return
        try:
            self.notes.known(Summary.from_dict(self._store.get(SUMMARY)))
        except Exception as error:
            self._say(error)
            return
        if self.notes.due():
            self.write()

    def write(self) -> None:
        """Write the summary and the trace."""
        if self._store is None or not self.notes.may_write():
            return
        try:
            summary, trace = self.notes.plain(*self._kept_before())
            self._store.set(TRACE, trace)
            self._store.set(SUMMARY, summary)
            self._read = True
            self.notes.written()
        except Exception as error:
            self._say(error)

    def write_preview(self, manifest: Manifest, rows: int) -> None:
        """Write the first rows of a result, in place of those of an earlier one.

        :param rows: 0: none.
        """
        if not rows or self._store is None:
            return
        from airflow_asyncjob.hooks.preview import first_rows

        try:
            self._store.set(PREVIEW, preview_of(first_rows(manifest, rows)))
        except Exception as error:
            self._log.warning("The first rows of the result cannot be kept for the UI: %r", error)

    def _kept_before(self) -> list[tuple[Any, Any]]:
        if self._read:
            return []
        kept = [(self._store.get(SUMMARY), self._store.get(TRACE))] if self._store is not None else []
        if self._resumed:
            kept.append((self._pulled(SUMMARY), self._pulled(TRACE)))
        return kept

    def _pulled(self, key: str) -> Any:
        return self._ti.xcom_pull(task_ids=self._ti.task_id, key=key, map_indexes=map_index_of(self._ti))

    def _say(self, error: Exception) -> None:
        self.notes.refused()
        if not self._warned:
            self._warned = True
            self._log.warning(
                "What happens to the job cannot be kept for the UI (task state store: %r). The job goes on.",
                error,
            )
