"""AsyncStatusTrigger: waits for one job in the triggerer, which costs no worker.

The class path is public API: waiting tasks hold it, with these arguments, across an upgrade of the package.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_asyncjob.errors import AsyncJobError, ConnectionSetupError
from airflow_asyncjob.hooks.moved import moves, newer, note, noted
from airflow_asyncjob.hooks.records import event_of
from airflow_asyncjob.hooks.worker import narrator_of
from airflow_asyncjob.protocol.messages import Finish, Stored

if TYPE_CHECKING:
    from airflow_asyncjob.protocol import Goal, Job
    from airflow_asyncjob.protocol.messages import (
        BodyBroken,
        BodyEnded,
        Command,
        Event,
        Failed,
        Receive,
        Refresh,
        Refreshed,
        Responded,
        Send,
        Store,
        Wait,
        Woken,
    )
    from airflow_asyncjob.transport import AsyncWire, ConnectionSettings, Narrator

__all__ = ["AsyncStatusTrigger"]

T = TypeVar("T")

_AIRFLOW_WAITS = (2.0, 8.0, 20.0)
"""Seconds between questions for the connection, or for an XCom. The worker found the connection a moment ago,
and Airflow tells an API server that does not answer and a connection that does not exist in the same words.
"""


class AsyncStatusTrigger(BaseTrigger):
    """Polls a job until it ends, its deadline is over, or too many polls in a row failed; then fires one
    event.

    What it does NOT do: submit (a trigger can run twice), or store anything but captures that have moved: the
    times in its arguments are absolute, so a restarted triggerer neither starts the initial wait again nor
    moves the deadline. Counters start where the arguments say. Where status answers are captured (a status
    URL that each answer names anew), the XCom ``asyncjob.wait`` holds how far the wait has come.

    When a user marks the waiting task or its run failed, the remote job is cancelled, where the definition
    says how. A task that is cleared attaches to the same job, so nothing is cancelled then; nor when the
    triggerer stops.

    :param definition: the job's definition, as ``AsyncJob.to_dict`` gives it.
    :param http_conn_id: the Airflow connection; its secrets are fetched when the trigger runs.
    :param inputs: the job's inputs, resolved.
    :param names: the frozen scalars of the run, for templates.
    :param checkpoint: the job so far, as ``Checkpoint.to_dict`` gives it: the submission, the deadline, the
        next poll.
    :param quiet: seconds from its start in which no event is fired: Airflow's LocalExecutor fails a task that
        is resumed before the scheduler has seen the end of the worker's process that deferred it. Counted
        from the start, because it begins after the deferral, however slow the machine is.
    """

    def __init__(
        self,
        *,
        definition: Mapping[str, Any],
        http_conn_id: str,
        inputs: Mapping[str, Any],
        names: Mapping[str, Any],
        checkpoint: Mapping[str, Any],
        quiet: float = 0.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.definition = dict(definition)
        self.http_conn_id = http_conn_id
        self.inputs = dict(inputs)
        self.names = dict(names)
        self.checkpoint = dict(checkpoint)
        self.quiet = quiet
        self._left: dict[str, Any] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and all arguments: plain JSON without secrets."""
        return (
            "airflow_asyncjob.triggers.status.AsyncStatusTrigger",
            {
                "definition": self.definition,
                "http_conn_id": self.http_conn_id,
                "inputs": self.inputs,
                "names": self.names,
                "checkpoint": self.checkpoint,
                "quiet": self.quiet,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the job; yield one event with the outcome, or with what went wrong."""
        from airflow_asyncjob.protocol import Goal
        from airflow_asyncjob.transport.driver import wait_until

        self._warm_up()
        quiet_until = time.time() + self.quiet
        try:
            finish = await self._drive(Goal.ENDED)
        except AsyncJobError as error:
            finish = Finish(error=error)
        except Exception:
            await wait_until(quiet_until)
            raise
        await wait_until(quiet_until)
        event = event_of(finish, self.checkpoint["submission"], self._left)
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    def _warm_up(self) -> None:
        """Ask for the state of the task once in a process, and forget the answer.

        The first such question takes Airflow about four seconds, and ``on_kill`` has one: asked here, a job
        is cancelled promptly also when the task is marked failed just after its trigger has started.
        """
        if _WARM or not self.definition.get("cancel") or self.task_instance is None:
            return
        _WARM.append(True)
        _kept(asyncio.create_task(self._ask_in_vain(), name="warm up the channel to Airflow"))

    async def _ask_in_vain(self) -> None:
        try:
            await self._task_state()
        except Exception as error:  # on_kill asks again, and says what is wrong
            self.log.debug("The state of the task is not known yet: %s", error)

    async def on_kill(self) -> None:
        """Cancel the remote job when a user marked the task or its run failed.

        Airflow gives about one second: the work goes on in a task of its own.
        """
        name = f"cancel job {self._submission_id}"
        await asyncio.shield(_kept(asyncio.create_task(self._cancel_if_failed(), name=name)))

    async def _cancel_if_failed(self) -> None:
        from airflow_asyncjob.protocol import Goal

        try:
            if not self.definition.get("cancel"):
                return
            state = await self._task_state()
            if state != "failed":
                self.log.info("The task is %s: the remote job goes on.", state or "cleared")
                return
            self.log.info("The task was marked failed: cancelling job %s.", self._submission_id)
            finish = await self._drive(Goal.CANCELLED)
            if finish.error is not None:
                self.log.error("%s", finish.error.message)
        except AsyncJobError as error:
            self.log.error("Job %s could not be cancelled: %s", self._submission_id, error.message)
        except Exception:
            self.log.exception("Job %s could not be cancelled.", self._submission_id)

    async def _task_state(self) -> str | None:
        """Return the state of the waiting task as it is now; None: cleared, or gone."""
        from airflow.sdk.execution_time.comms import GetTaskStates, TaskStatesResult
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

        ti = self.task_instance
        if ti is None:
            return None
        map_index = -1 if ti.map_index is None else ti.map_index
        answer = await SUPERVISOR_COMMS.asend(
            GetTaskStates(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=map_index)
        )
        if not isinstance(answer, TaskStatesResult):
            raise RuntimeError(f"Airflow did not tell the state of the task: {answer}")
        states = answer.task_states.get(ti.run_id, {})
        found = states.get(ti.task_id if map_index < 0 else f"{ti.task_id}_{map_index}")
        return None if found is None else str(found)

    async def _drive(self, goal: Goal) -> Finish:
        from airflow_asyncjob.hooks.refresh_tokens import AsyncVariableTokens
        from airflow_asyncjob.transport import AsyncWire, arun
        from airflow_asyncjob.transport.conceal import conceal

        settings = await self._patiently(self._reload)
        job = self._job(goal, await self._patiently(self._so_far))
        definition = job.definition
        async with AsyncWire(
            settings,
            limits=definition.limits,
            auth=definition.auth,
            reload=self._reload,
            others=_settings_of,
            tokens=AsyncVariableTokens(),
        ) as wire:
            narrator = narrator_of(wire, self.log.log, job)
            try:
                finish = conceal(await arun(job, _TriggerHands(wire, narrator, self._note)), wire.redactor)
            finally:
                narrator.flush()
        if finish.error is not None and moves(self.definition):
            self._left = job.checkpoint.to_dict()
        return finish

    async def _so_far(self) -> Mapping[str, Any]:
        """Return the checkpoint of the arguments, or what an earlier start of this trigger has noted."""
        if self.task_instance is None or not moves(self.definition):
            return self.checkpoint
        return newer(self.checkpoint, await noted(self.task_instance))

    async def _note(self, checkpoint: Mapping[str, Any]) -> None:
        """Note captures that have moved. A job is not given up because that does not work now."""
        if self.task_instance is None or not moves(self.definition):
            return
        try:
            await note(self.task_instance, checkpoint)
        except Exception as error:
            self.log.warning(
                "How far the wait has come could not be written as an XCom: %s. A triggerer that starts "
                "again would go on from an earlier answer.",
                error,
            )

    def _job(self, goal: Goal, so_far: Mapping[str, Any]) -> Job:
        from airflow_asyncjob.definition import AsyncJob
        from airflow_asyncjob.protocol import Checkpoint, Job

        checkpoint = Checkpoint.from_dict(so_far)
        return Job(
            AsyncJob.load(self.definition, partial=True),
            goal,
            inputs=self.inputs,
            names=self.names,
            key=checkpoint.key,
            checkpoint=checkpoint,
            attempt=checkpoint.attempt,
        )

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what Airflow is asked for; it is asked again where it cannot tell just now."""
        for pause in _AIRFLOW_WAITS:
            try:
                return await ask()
            except (ConnectionSetupError, AirflowRuntimeError) as error:
                self.log.warning("%s. Asking again in %g s.", error, pause)
                await asyncio.sleep(pause)
        return await ask()

    async def _reload(self) -> ConnectionSettings:
        return await _settings_of(self.http_conn_id)

    @property
    def _submission_id(self) -> str:
        return str((self.checkpoint.get("submission") or {}).get("id", ""))


async def _settings_of(conn_id: str) -> ConnectionSettings:
    from airflow_asyncjob.hooks.asyncjob import AsyncJobHook

    return await AsyncJobHook(conn_id).aget_settings()


_WARM: list[bool] = []
"""Not empty: a trigger of this process has asked Airflow for a state already."""
_BESIDE: set[asyncio.Task[None]] = set()
"""Cancels and questions under way: the event loop itself keeps only weak references to its tasks."""


def _kept(task: asyncio.Task[None]) -> asyncio.Task[None]:
    """Keep a task until it is done."""
    _BESIDE.add(task)
    task.add_done_callback(_BESIDE.discard)
    return task


class _TriggerHands:
    """The hands of a trigger: its arguments cannot be changed, so that only what has moved is noted."""

    def __init__(
        self, wire: AsyncWire, narrator: Narrator, note: Callable[[Mapping[str, Any]], Awaitable[None]]
    ) -> None:
        self._wire = wire
        self._narrator = narrator
        self._note = note

    async def send(self, command: Send) -> Responded | Failed:
        return await self._wire.send(command)

    async def wait(self, command: Wait) -> Woken:
        from airflow_asyncjob.transport.driver import wait_until

        return await wait_until(command.until)

    async def store(self, command: Store) -> Stored:
        await self._note(command.checkpoint)
        return Stored()

    async def refresh(self, command: Refresh) -> Refreshed:
        return await self._wire.refresh()

    async def receive(self, command: Receive) -> BodyEnded | BodyBroken:
        raise NotImplementedError("a job has no body to hand on")

    def observe(self, command: Command, event: Event | None) -> None:
        self._narrator.observe(command, event)
