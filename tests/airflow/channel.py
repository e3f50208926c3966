"""The triggerer's supervisor as a trigger sees it: XComs and the states of tasks, in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    DagRunStateResult,
    GetDagRunState,
    GetTaskStates,
    GetXCom,
    OKResponse,
    SetXCom,
    TaskStatesResult,
    XComResult,
)

__all__ = ["Channel"]


class Channel:
    """Answers a trigger's questions.

    :param xcoms: by task and key; written, too.
    :param state: of the waiting task; ``run``: of its run.
    :param refuses: every write of an XCom fails.
    """

    def __init__(
        self,
        xcoms: dict[tuple[str, str], Any],
        *,
        state: str = "deferred",
        run: str = "running",
        refuses: bool = False,
    ) -> None:
        self.xcoms = xcoms
        self.state = state
        self.run = run
        self.refuses = refuses
        self.written: list[str] = []

    async def asend(self, message: Any) -> Any:
        if isinstance(message, SetXCom):
            self.written.append(message.key)
            if self.refuses:
                raise RuntimeError("API_SERVER_ERROR: the database is full")
            self.xcoms[message.task_id, message.key] = json.loads(json.dumps(message.value))
            return OKResponse(ok=True)
        if isinstance(message, GetXCom):
            return XComResult(key=message.key, value=self.xcoms.get((message.task_id, message.key)))
        if isinstance(message, GetDagRunState):
            return DagRunStateResult(state=self.run)
        assert isinstance(message, GetTaskStates), message
        assert message.task_ids is not None
        return TaskStatesResult(task_states={"run": {message.task_ids[0]: self.state}})

    @contextmanager
    def open(self) -> Iterator[Channel]:
        """Be the channel of this process."""
        before = getattr(task_runner, "SUPERVISOR_COMMS", None)
        task_runner.SUPERVISOR_COMMS = self  # type: ignore[attr-defined]
        try:
            yield self
        finally:
            task_runner.SUPERVISOR_COMMS = before  # type: ignore[attr-defined]
