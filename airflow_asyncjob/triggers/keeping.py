"""Keeps what a trigger sees of a job as XComs of the waiting task; see ``airflow_asyncjob.panel``.

A trigger cannot write the task state store. Airflow keeps the XComs while the task is deferred and when it
resumes, and the worker takes them over then; where a user's mark ends the task, they stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.hooks.following import Follower
from airflow_asyncjob.hooks.keeping import tags_of
from airflow_asyncjob.hooks.metrics import Metrics
from airflow_asyncjob.hooks.names import instance_names
from airflow_asyncjob.hooks.notes import Notes
from airflow_asyncjob.hooks.records import submission_of
from airflow_asyncjob.panel import SUMMARY, TRACE

if TYPE_CHECKING:
    from airflow_asyncjob.protocol import Finish, Job
    from airflow_asyncjob.transport import Narrator

__all__ = ["TriggerKeeper"]

_LAST_WRITE = 15.0
"""Seconds that the end of a wait waits for its last write: the first one in a process takes about four."""


class TriggerKeeper:
    """Writes beside the polls, one write at a time; no poll waits for one.

    :param ti: the waiting task's instance, as the trigger knows it.
    :param definition: as ``AsyncJob.to_dict`` gives it.
    :param checkpoint: of the job, as ``Checkpoint.to_dict`` gives it. A key in it says that the waiting task
        is the one that submitted.
    """

    def __init__(
        self,
        ti: Any,
        definition: Mapping[str, Any],
        conn_id: str,
        checkpoint: Mapping[str, Any],
        log: Any,
    ) -> None:
        from airflow.observability import stats

        self.notes = Notes("submit" if checkpoint.get("key") else "wait", definition, conn_id)
        submission = submission_of(checkpoint["submission"])
        self.notes.begin(str(checkpoint.get("key") or submission.id), submission)
        self.notes.known(self.notes.summary)
        self.metrics = Metrics(tags_of(ti, self.notes), stats)
        self._ti = ti
        self._log = log
        self._read = False
        self._again = False
        self._warned = False
        self._writing: asyncio.Task[None] | None = None

    def beside(self, narrator: Narrator, job: Job) -> Follower:
        """Return a narrator that also keeps how far the job is."""
        return Follower(
            narrator, self.notes, job, metrics=self.metrics, write=self._write_soon, log=self._log
        )

    async def finish(self, finish: Finish) -> None:
        """Write the end, and wait for that, but not for long."""
        if finish.error is not None:
            self.notes.failed(finish.error.message)
        self._write_soon()
        if self._writing is None:
            return
        try:
            await asyncio.wait_for(asyncio.shield(self._writing), _LAST_WRITE)
        except TimeoutError as error:
            self._say(error)

    def _write_soon(self) -> None:
        """Write once the write that is under way is done."""
        if not self.notes.may_write():
            return
        self._again = True
        if self._writing is None or self._writing.done():
            name = f"keep job {self.notes.summary.submission_id} for the UI"
            self._writing = asyncio.create_task(self._write(), name=name)

    async def _write(self) -> None:
        try:
            while self._again:
                self._again = False
                kept = await self._kept_before()
                summary, trace = self.notes.plain(*kept)
                self.notes.written()
                await self._set(TRACE, trace)
                await self._set(SUMMARY, summary)
        except Exception as error:
            self._say(error)

    async def _kept_before(self) -> list[tuple[Any, Any]]:
        """Return what an earlier start of this trigger kept."""
        from airflow.sdk.execution_time.xcom import XCom

        if self._read:
            return []
        key = instance_names(self._ti)
        kept = [(await XCom.aget_one(key=SUMMARY, **key), await XCom.aget_one(key=TRACE, **key))]
        self._read = True
        return kept

    async def _set(self, name: str, value: Any) -> None:
        from airflow.sdk.execution_time.xcom import XCom

        await XCom.aset(name, value, **instance_names(self._ti))

    def _say(self, error: Exception) -> None:
        self.notes.refused()
        if not self._warned:
            self._warned = True
            self._log.warning(
                "What happens to the job cannot be kept for the UI (XCom: %r). The wait goes on.", error
            )
