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
from airflow_asyncjob.hooks.marks import SKIPPED, as_marked, marks_that_cancel
from airflow_asyncjob.hooks.moved import moves, newer, note, noted
from airflow_asyncjob.hooks.orders import settle_order
from airflow_asyncjob.hooks.records import event_of
from airflow_asyncjob.hooks.wake import noted_wake
from airflow_asyncjob.hooks.worker import narrator_of
from airflow_asyncjob.protocol.messages import Finish, Stored

if TYPE_CHECKING:
    from airflow_asyncjob.hooks.following import Follower
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
    from airflow_asyncjob.triggers.keeping import TriggerKeeper

__all__ = ["AsyncStatusTrigger"]

T = TypeVar("T")

_AIRFLOW_WAITS = (2.0, 8.0, 20.0)
"""Seconds between questions for the connection, or for an XCom. The worker found the connection a moment ago,
and Airflow tells an API server that does not answer and a connection that does not exist in the same words.
"""
_HELD_MARGIN = 1.0
"""Seconds that a wake may take from its decision to be held until a trigger can read that."""


class AsyncStatusTrigger(BaseTrigger):
    """Polls a job until it ends, its deadline is over, or too many polls in a row failed; then fires one
    event.

    What it does NOT do: submit (a trigger can run twice), or store anything but captures that have moved: the
    times in its arguments are absolute, so a restarted triggerer neither starts the initial wait again nor
    moves the deadline. Counters start where the arguments say. Where status answers are captured (a status
    URL that each answer names anew), the XCom ``asyncjob.wait`` holds how far the wait has come.

    A job whose API sends events (``status.webhook``, and their secret is in the connection) is looked at once
    at the start, and then less often, as the net below them.

    A wake in its quiet seconds, which cannot resume the task, makes it poll when they are over.

    When a user marks the waiting task or its run failed, the remote job is cancelled, where the definition
    says how; when it is marked a success, only where the definition asks for that (``on_mark_success``). A
    task that is cleared attaches to the same job, so nothing is cancelled then; nor when the triggerer stops,
    or a wake (see :mod:`airflow_asyncjob.hooks.wake`) resumes the task.

    :param definition: the job's definition, as ``AsyncJob.to_dict`` gives it.
    :param http_conn_id: the Airflow connection; its secrets are fetched when the trigger runs.
    :param inputs: the job's inputs, resolved.
    :param names: the frozen scalars of the run, for templates.
    :param checkpoint: the job so far, as ``Checkpoint.to_dict`` gives it: the submission, the deadline, the
        next poll.
    :param quiet: seconds from its start in which no event is fired: Airflow's LocalExecutor fails a task that
        is resumed before the scheduler has seen the end of the worker's process that deferred it. Counted
        from the start, because it begins after the deferral, however slow the machine is.
    :param deferral: what names this deferral, and no other: a wake says by it whom it has resumed.
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
        deferral: str = "",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.definition = dict(definition)
        self.http_conn_id = http_conn_id
        self.inputs = dict(inputs)
        self.names = dict(names)
        self.checkpoint = dict(checkpoint)
        self.quiet = quiet
        self.deferral = deferral
        self._left: dict[str, Any] | None = None
        self._keeper: TriggerKeeper | None = None

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
                "deferral": self.deferral,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the job; yield one event with the outcome, or with what went wrong."""
        from airflow_asyncjob.protocol import Goal
        from airflow_asyncjob.transport.driver import wait_until

        self._warm_up()
        quiet_until = time.time() + self.quiet
        woken = asyncio.Event()
        heeding = asyncio.create_task(self._heed_held_wake(woken), name="look for a wake that was held")
        try:
            finish = await self._drive(Goal.ENDED, woken)
        except AsyncJobError as error:
            finish = Finish(error=error)
        except Exception:
            await wait_until(quiet_until)
            raise
        finally:
            heeding.cancel()
        if self._keeper is not None:
            await self._keeper.finish(finish)
        await wait_until(quiet_until)
        event = event_of(finish, self.checkpoint["submission"], self._left)
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    def _hears(self, settings: ConnectionSettings) -> bool:
        """Return whether the API's events can wake this wait: their secret is in the connection then."""
        from airflow_asyncjob.definition.signature import Keys

        return (self.definition.get("status") or {}).get("webhook") is not None and bool(
            Keys.of(settings.extra)
        )

    def _look_first(self, woken: asyncio.Event) -> None:
        """Look at the job as soon as this trigger has started, unless the API has asked for a pause.

        An event that came before the task waited woke nobody. This look comes after the wait can be seen, so
        that an event comes either before it, and the job has ended then, or finds the wait.
        """
        if (self.checkpoint.get("not_before") or 0.0) <= time.time():
            woken.set()

    async def _heed_held_wake(self, woken: asyncio.Event) -> None:
        """Poll at once, when the quiet seconds are over, where somebody asked for it within them."""
        if self.task_instance is None or not self.deferral:
            return
        await asyncio.sleep(self.quiet + _HELD_MARGIN)
        try:
            wake = await noted_wake(self.task_instance, self.deferral)
        except Exception as error:  # the next poll comes anyway
            self.log.debug("Whether a wake was held is not known: %s", error)
            return
        if wake is not None and wake.held:
            self.log.info("Woken (%s) just after the wait began: looking at the job now.", wake.why)
            woken.set()

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
        """Cancel the remote job when a user marked the task or its run as one of the states that end it.

        Airflow gives about one second: the work goes on in a task of its own.
        """
        name = f"cancel job {self._submission_id}"
        await asyncio.shield(_kept(asyncio.create_task(self.cancel_if_marked(), name=name)))

    async def cancel_if_marked(self) -> bool:
        """Cancel the job where a user's mark asks for that.

        :return: True: nothing is left to do. False: the job may run on, and the log says why.
        """
        from airflow_asyncjob.protocol import Goal

        try:
            cancel = self.definition.get("cancel")
            if not cancel:
                return True
            state = await self._persistently(self._task_state)
            if state is None or state not in marks_that_cancel(cancel):
                self.log.info("The task is %s: the remote job goes on.", state or "cleared")
                return True
            if await self._persistently(self._was_woken):
                self.log.info("The task was woken, and its worker has ended it: nothing is cancelled.")
                return True
            self.log.info("The task was marked %s: cancelling job %s.", state, self._submission_id)
            finish = await self._drive(Goal.CANCELLED)
            if self._keeper is not None:
                await self._keeper.finish(finish)
            if finish.error is not None:
                self.log.error("%s", finish.error.message)
                return False
            await self._settle()
            return True
        except AsyncJobError as error:
            self.log.error("Job %s could not be cancelled: %s", self._submission_id, error.message)
        except Exception:
            self.log.exception("Job %s could not be cancelled.", self._submission_id)
        return False

    async def _settle(self) -> None:
        """Note that the job is cancelled, where that was ordered in case this trigger would not do it."""
        if self.task_instance is None:
            return
        try:
            await settle_order(self.task_instance, self.deferral)
        except Exception as error:
            self.log.warning("The order to cancel stays open, and a cancel may be sent again: %s", error)

    async def _was_woken(self) -> bool:
        """Return whether a wake ended this trigger: its task has gone on, and may have failed since."""
        if self.task_instance is None:
            return False
        wake = await noted_wake(self.task_instance, self.deferral)
        return wake is not None and not wake.held

    async def _task_state(self) -> str | None:
        """Return the state of the waiting task as it is now, and as it counts for its job.

        None: it was cleared, or is gone.
        """
        from airflow.sdk.execution_time.comms import (
            DagRunStateResult,
            GetDagRunState,
            GetTaskStates,
            TaskStatesResult,
        )
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
        state = None if found is None else str(found)
        if state != SKIPPED:
            return state
        run = await SUPERVISOR_COMMS.asend(GetDagRunState(dag_id=ti.dag_id, run_id=ti.run_id))
        if not isinstance(run, DagRunStateResult):
            raise RuntimeError(f"Airflow did not tell the state of the run: {run}")
        return as_marked(state, run.state)

    async def _drive(self, goal: Goal, woken: asyncio.Event | None = None) -> Finish:
        from airflow_asyncjob.hooks.refresh_tokens import AsyncVariableTokens
        from airflow_asyncjob.transport import AsyncWire, arun
        from airflow_asyncjob.transport.conceal import conceal

        settings = await self._patiently(self._reload)
        hears = self._hears(settings)
        job = self._job(goal, await self._patiently(self._so_far), hears=hears)
        if hears and woken is not None:
            self._look_first(woken)
        definition = job.definition
        async with AsyncWire(
            settings,
            limits=definition.limits,
            auth=definition.auth,
            reload=self._reload,
            others=_settings_of,
            tokens=AsyncVariableTokens(),
        ) as wire:
            narrator = self._beside(wire, narrator_of(wire, self.log.log, job), job)
            try:
                finish = conceal(
                    await arun(job, _TriggerHands(wire, narrator, self._note, woken)), wire.redactor
                )
            finally:
                narrator.flush()
        if finish.error is not None and moves(self.definition):
            self._left = job.checkpoint.to_dict()
        return finish

    def _beside(self, wire: AsyncWire, narrator: Narrator, job: Job) -> Narrator | Follower:
        """Return a narrator that keeps for the UI how far the job is; the job does not depend on it."""
        try:
            if self._keeper is None and self.task_instance is not None:
                from airflow_asyncjob.triggers.keeping import TriggerKeeper

                self._keeper = TriggerKeeper(
                    self.task_instance, self.definition, self.http_conn_id, self.checkpoint, self.log
                )
            if self._keeper is None:
                return narrator
            self._keeper.notes.follow(wire)
            return self._keeper.beside(narrator, job)
        except Exception as error:
            self.log.warning("What happens to the job cannot be kept for the UI: %r", error)
            return narrator

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

    def _job(self, goal: Goal, so_far: Mapping[str, Any], *, hears: bool = False) -> Job:
        from airflow_asyncjob.definition import AsyncJob
        from airflow_asyncjob.definition.webhook import polled_as_net
        from airflow_asyncjob.protocol import Checkpoint, Job

        checkpoint = Checkpoint.from_dict(so_far)
        definition = AsyncJob.load(self.definition, partial=True)
        return Job(
            polled_as_net(definition) if hears else definition,
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

    async def _persistently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what decides about a cancel; Airflow is asked again whatever went wrong with that."""
        for pause in _AIRFLOW_WAITS:
            try:
                return await ask()
            except Exception as error:
                self.log.warning("Airflow did not answer: %s. Asking again in %g s.", error, pause)
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
_BESIDE: set[asyncio.Task[Any]] = set()
"""Cancels and questions under way: the event loop itself keeps only weak references to its tasks."""


def _kept(task: asyncio.Task[T]) -> asyncio.Task[T]:
    """Keep a task until it is done."""
    _BESIDE.add(task)
    task.add_done_callback(_BESIDE.discard)
    return task


class _TriggerHands:
    """The hands of a trigger: its arguments cannot be changed, so that only what has moved is noted."""

    def __init__(
        self,
        wire: AsyncWire,
        narrator: Narrator | Follower,
        note: Callable[[Mapping[str, Any]], Awaitable[None]],
        woken: asyncio.Event | None,
    ) -> None:
        self._wire = wire
        self._narrator = narrator
        self._note = note
        self._woken = woken

    async def send(self, command: Send) -> Responded | Failed:
        if self._woken is not None:  # this look is the one that was asked for
            self._woken.clear()
        return await self._wire.send(command)

    async def wait(self, command: Wait) -> Woken:
        from airflow_asyncjob.transport.driver import wait_until

        return await wait_until(command.until, woken=self._woken)

    async def store(self, command: Store) -> Stored:
        from airflow_asyncjob.transport.conceal import concealed_checkpoint

        await self._note(concealed_checkpoint(command.checkpoint, self._wire.redactor))
        return Stored()

    async def refresh(self, command: Refresh) -> Refreshed:
        return await self._wire.refresh()

    async def receive(self, command: Receive) -> BodyEnded | BodyBroken:
        raise NotImplementedError("a job has no body to hand on")

    def observe(self, command: Command, event: Event | None) -> None:
        self._narrator.observe(command, event)
