"""A task in this process, with as much of a task instance as the operators ask for.

What Airflow itself does (scheduling, retries, storing) is proved in the real Airflow; this is for what a
task does with what it is given: templates, messages, exceptions. Rendering, deferring and resuming are done
by the code of Airflow itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred

from airflow_asyncjob.hooks.wake import event_for
from tests.airflow.channel import Channel

__all__ = ["Worker"]


class Store(dict[str, Any]):
    """The part of Airflow's task state store that is used, as a dict."""

    set = dict.__setitem__


class Instance:
    """The part of Airflow's task instance that is used."""

    def __init__(self, worker: Worker, task: Any) -> None:
        self.dag_id, self.run_id, self.task_id, self.map_index = task.dag_id, "run", task.task_id, -1
        self.try_number, self.max_tries = 1, task.retries
        self.task = task
        self._worker = worker
        self._xcoms = worker.xcoms

    def get_task_states(self, **asked: Any) -> dict[str, dict[str, str]]:
        return {self.run_id: {self.task_id: self._worker.state}}

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        return self._worker.run_state

    def xcom_push(self, key: str, value: Any) -> None:
        self._xcoms[self.task_id, key] = value

    def xcom_pull(self, task_ids: Any = None, key: str = "return_value", **options: Any) -> Any:
        one = [task_ids] if isinstance(task_ids, str) else list(task_ids)
        values = [self._xcoms.get((task_id, key), options.get("default")) for task_id in one]
        return values[0] if isinstance(task_ids, str) else values


class Worker:
    """Runs the tasks of a DAG one by one.

    :param wakes: so many deferrals are ended by a wake, not by their trigger.
    :param context: what templates see besides ``ti``, such as ``params``.

    ``channel`` is what a trigger may ask Airflow by; None: it has no task instance, and asks nothing.
    """

    def __init__(self, dag: DAG, *, wakes: int = 0, **context: Any) -> None:
        self.channel: Channel | None = None
        self.dag = dag
        self.xcoms: dict[tuple[str, str], Any] = {}
        self.stores: dict[str, Store] = {}
        self.deferrals = 0
        self.wakes = wakes
        self.state = "running"
        """What Airflow says that the state of a running task is; somebody may have marked it."""
        self.run_state = "running"
        self.triggers: list[dict[str, Any]] = []
        """Arguments of the triggers that the tasks deferred to."""
        self._context = context

    def run(self, task_id: str) -> Any:
        """Run a task to its end, the trigger it defers to included; return what it returns."""
        returned = self._run(*self.prepared(task_id))
        self.xcoms[task_id, "return_value"] = returned
        return returned

    def prepared(self, task_id: str) -> tuple[Any, dict[str, Any]]:
        """Return a task, rendered, and its context, both before it is executed."""
        written: Any = self.dag.get_task(task_id)
        task = written.prepare_for_execution()
        context: dict[str, Any] = {
            **self._context,
            "ti": Instance(self, task),
            "task_state_store": self.stores.setdefault(task_id, Store()),
        }
        task.render_template_fields(context)
        return task, context

    def _run(self, task: Any, context: Mapping[str, Any]) -> Any:
        step = partial(task.execute, context)
        while True:
            try:
                return step()
            except TaskDeferred as deferred:
                self.deferrals += 1
                event = asyncio.run(self._event(task, deferred))
                # As Airflow does it: another process, with the task as the DAG file has it, rendered anew.
                again, context = self.prepared(task.task_id)
                arguments = {**(deferred.kwargs or {}), "event": event}
                step = partial(again.resume_execution, deferred.method_name, arguments, context)

    async def _event(self, task: Any, deferred: TaskDeferred) -> Any:
        path, arguments = deferred.trigger.serialize()
        trigger = type(deferred.trigger)(**arguments)
        assert path == f"{type(trigger).__module__}.{type(trigger).__name__}"
        self.triggers.append(arguments)
        if self.deferrals <= self.wakes:
            return event_for("webhook", arguments["checkpoint"]["submission"])
        if self.channel is None:
            return await self._first(trigger)
        trigger.task_instance = Instance(self, task)
        with self.channel.open():
            return await self._first(trigger)

    async def _first(self, trigger: Any) -> Any:
        async for event in trigger.run():
            return event.payload
        raise AssertionError("the trigger ended without an event")
