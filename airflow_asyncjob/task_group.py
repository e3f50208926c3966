"""``async_job``: one call is one job, as one Airflow task group (submit, wait, fetch)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator, TaskGroup

from airflow_asyncjob.definition.flat import UNSET
from airflow_asyncjob.definition.problems import did_you_mean
from airflow_asyncjob.definition.rejects import with_rejects
from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.hooks.definitions import (
    check_inputs,
    connection_id,
    either,
    job_retries_of,
    load_definition,
    seconds,
)
from airflow_asyncjob.hooks.mapping import check_files, check_lists
from airflow_asyncjob.hooks.uploads import reads_refusals
from airflow_asyncjob.operators.download import ResultDownloadOperator
from airflow_asyncjob.operators.submit import AsyncSubmitOperator
from airflow_asyncjob.results.plan import check_output
from airflow_asyncjob.sensors.status import AsyncStatusSensor

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_asyncjob.definition import AsyncJob
    from airflow_asyncjob.hooks.definitions import JobSource

__all__ = ["async_job"]

_MAPPABLE = ("inputs", "destination", "http_conn_id")
_OPERATOR_ARGUMENTS = frozenset(inspect.signature(BaseOperator.__init__).parameters)


class _AsyncJobGroup:
    """A task group that submits one asynchronous job, waits for it, and downloads its result.

    ``fetch`` is there when a ``destination`` is given. The tasks are ``group["submit"]``, ``group["wait"]``
    and ``group["fetch"]``; ``group["fetch"].output["uris"]`` are the written files.
    ``async_job.partial(...)`` takes the same arguments, and its ``.expand(inputs=[...])`` maps the group as
    a whole, so that no job holds up another.

    With ``job_retries`` the group has one task ``submit`` that waits for the job too (and ``fetch``): only a
    task that does both can submit a job again that has failed.
    """

    def __call__(
        self,
        *,
        job: JobSource,
        http_conn_id: Any = None,
        inputs: Any = None,
        destination: Any = None,
        output_format: str | None = None,
        group_id: str | None = None,
        tooltip: str | None = None,
        deferrable: bool = True,
        mode: str = "poke",
        initial_wait: Any = UNSET,
        poll_wait: Any = UNSET,
        poke_interval: Any = UNSET,
        timeout: Any = UNSET,
        soft_fail: bool = False,
        skip_on_no_data: bool = False,
        job_retries: int | None = None,
        job_retry_wait: Any = None,
        submission_id: Any = None,
        submit: Mapping[str, Any] | None = None,
        wait: Mapping[str, Any] | None = None,
        fetch: Mapping[str, Any] | None = None,
        **task_args: Any,
    ) -> TaskGroup:
        """Return the task group.

        :param job: the definition: a packaged name, the path of a file (a relative one is looked for beside
            the DAG file first), a mapping, or an object.
        :param http_conn_id: the Airflow connection; None: the definition's ``connection``. Templated.
        :param inputs: values of the definition's inputs. Templated.
        :param destination: path or URI (``s3://conn_id@bucket/key``) of the result. Templated; its
            templates see also ``inputs``, ``submission_id`` and ``map_index``. None: the result is not
            downloaded.
        :param output_format: ``raw``, ``jsonl``, ``csv`` or ``parquet``; None: the destination's suffix
            decides.
        :param group_id: None: made from the definition's name.
        :param tooltip: None: the definition's description.
        :param deferrable: wait in the triggerer, which costs no worker.
        :param mode: with ``deferrable=False``: ``reschedule`` or ``poke``.
        :param initial_wait: seconds, or text with a unit, to the first poll; unset: the definition's.
        :param poll_wait: the same, between polls. ``poke_interval`` is the same.
        :param timeout: the same, from the submission to the deadline.
        :param soft_fail: a job that fails or times out skips what follows instead of failing it.
        :param skip_on_no_data: skip ``fetch`` where there are no data, instead of writing nothing.
        :param job_retries: how often a job that failed at the API is submitted again; given (also 0), the
            group submits and waits in one task. None: a failed job fails the group.
        :param job_retry_wait: seconds, or text with a unit, between the end of a job that failed and the next
            submit; None: 60 seconds.
        :param submission_id: the ID of a job that runs already: nothing is submitted, and it is carried on.
            Templated, such as ``{{ params.submission_id or '' }}``, to give it to one run. Empty or None: the
            group submits.
        :param submit: further arguments of the submit task alone.
        :param wait: further arguments of the wait task alone, such as ``{"pool": "exports"}``.
        :param fetch: further arguments of the fetch task alone.
        :param task_args: arguments of every operator (``retries``, ``pool``, callbacks ...), for all three
            tasks.
        :raises DefinitionError: the definition or an argument is wrong.
        """
        given = {name: value for name, value in locals().items() if name not in ("self", "task_args")}
        return _Plan(task_args, **given).create()

    def partial(self, **arguments: Any) -> _Partial:
        """Return the group with these arguments fixed, those of the call; its ``expand`` maps it."""
        return _Partial(arguments)


class _Partial:
    """An ``async_job`` that is still to be mapped."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._arguments = dict(arguments)

    def expand(self, **mapped: Any) -> TaskGroup:
        """Return one group for each value, all at once: a slow or failed job holds up no other.

        :param mapped: ``inputs``, ``destination`` or ``http_conn_id``: a list, or the output of a task.
            Several of them make every combination.
        :raises DefinitionError: something else is mapped, an argument is given twice, a value is no list,
            or two of the jobs would write the same file.
        """
        wrong = [name for name in mapped if name not in _MAPPABLE]
        if wrong or not mapped:
            raise DefinitionError(
                f"async_job can be expanded over {', '.join(_MAPPABLE)}; given: "
                f"{', '.join(wrong) or 'nothing'}"
            )
        twice = [name for name in mapped if name in self._arguments]
        if twice:
            raise DefinitionError(f"{', '.join(twice)}: given to partial and to expand; keep one of them")
        known: dict[str, Any] = {**(_AsyncJobGroup.__call__.__kwdefaults__ or {}), "job": None}
        named = {name: value for name, value in self._arguments.items() if name in known}
        others = {name: value for name, value in self._arguments.items() if name not in known}
        if "job" not in named:
            raise DefinitionError("job is required: give it to partial")
        return _Plan(others, **(known | named)).create(mapped)


class _Plan:
    """One group, checked before a task of it is made."""

    def __init__(self, task_args: Mapping[str, Any], **options: Any) -> None:
        if "task_id" in task_args:
            raise DefinitionError(
                "task_id: async_job makes a group of tasks, which have the names submit, wait and fetch in "
                f"it; give group_id={task_args['task_id']!r}"
            )
        unknown = [name for name in task_args if name not in _OPERATOR_ARGUMENTS]
        if unknown:
            valid = [name for name in options if name != "self"]
            raise DefinitionError(
                "\n".join(f"{name}: unknown argument; {did_you_mean(name, valid)}" for name in unknown)
                + "; and the arguments of every Airflow operator"
            )
        self._definition = with_rejects(load_definition(options["job"], _current_dag(), partial=False))
        poll_wait, synonym = options["poll_wait"], options["poke_interval"]
        options["poll_wait"] = either("poll_wait", poll_wait, "poke_interval", synonym)
        self._options = options
        self._in_one = options["job_retries"] is not None
        if self._in_one:
            _refuse_what_waits_apart(options)
        else:
            job_retries_of(None, options["job_retry_wait"], waits=False)
        self._task_args = dict(task_args)

    def create(self, mapped: Mapping[str, Any] | None = None) -> TaskGroup:
        """Create the group: once, or mapped over these values."""
        mapped = mapped or {}
        if mapped and self._options["submission_id"] is not None:
            raise DefinitionError(
                "submission_id names one job, and expand makes one for each value: all of them would carry "
                "the same one on. Give it to a group that is not mapped"
            )
        self._check(mapped)
        group_id: str = self._options["group_id"] or _identifier(self._definition.name)
        tooltip: str = self._options["tooltip"] or self._definition.description
        self._rendered = {name for name, value in mapped.items() if isinstance(value, (list, tuple))}
        fixed = {name: self._options[name] for name in _MAPPABLE if name not in mapped}
        if mapped:
            # Not at the top: it loads operators that a DAG file may have no use for.
            from airflow.sdk import task_group

            factory = task_group(group_id=group_id, tooltip=tooltip)(self._tasks)
            return cast("TaskGroup", factory.partial(**fixed).expand(**mapped))
        with TaskGroup(group_id, tooltip=tooltip, add_suffix_on_collision=True) as created:
            self._tasks(**fixed)
        return created

    def _check(self, mapped: Mapping[str, Any]) -> None:
        definition, options = self._definition, self._options
        check_lists(mapped)
        every = {name: _values(mapped, options, name) for name in _MAPPABLE}
        for conn_id in every["http_conn_id"]:
            connection_id(conn_id, definition)
        for inputs in every["inputs"]:
            check_inputs(definition, inputs)
        if mapped:
            check_files(definition, mapped, options["destination"])
        if options["destination"] is None and "destination" not in mapped:
            _refuse_what_fetches(options)
            if definition.result is not None and definition.result.on_rejects == "fail":
                raise DefinitionError(
                    "result.on_rejects is fail, and only a fetch task looks at rejects: give destination, "
                    "beside which they are written"
                )
        for destination in every["destination"]:
            if destination is None:
                continue
            if definition.result is None:
                raise DefinitionError(
                    f"destination is given, and {definition.name or 'the definition'} has no section "
                    "'result', which says how to download; add one, or remove destination"
                )
            if isinstance(destination, str):
                _refuse_unknown_id(definition, destination)
                check_output(destination, options["output_format"], definition.result)

    def _tasks(self, inputs: Any, destination: Any, http_conn_id: Any) -> None:
        """Create the tasks, inside the group. The arguments stand for one of many values where they are
        mapped.
        """
        options = self._options
        inputs = self._late("inputs", inputs)
        common = {"job": self._definition, "http_conn_id": self._late("http_conn_id", http_conn_id)}
        beside = self._late("destination", destination)
        more = {"submission_id": options["submission_id"]}
        if destination is not None and reads_refusals(self._definition):
            more["rejects"] = beside
        waited = (
            self._in_one_task(common, inputs, more)
            if self._in_one
            else self._in_two_tasks(common, inputs, more)
        )
        if destination is None:
            return
        fetch = ResultDownloadOperator(
            **_merged(
                common,
                {"task_id": "fetch", "inputs": inputs, "target": waited.output},
                {"destination": beside},
                {name: options[name] for name in ("output_format", "skip_on_no_data")},
                self._task_args,
                options["fetch"],
            )
        )
        waited >> fetch

    def _in_one_task(self, common: Mapping[str, Any], inputs: Any, more: Mapping[str, Any]) -> BaseOperator:
        options = self._options
        names = ("deferrable", "job_retries", "job_retry_wait")
        given = {name: seconds(options[name]) for name in _TIMES if options[name] is not UNSET}
        return AsyncSubmitOperator(
            **_merged(
                common,
                {"task_id": "submit", "inputs": inputs, "wait_for_completion": True},
                {name: options[name] for name in names},
                {"status": given} if given else None,
                more,
                self._task_args,
                options["submit"],
            )
        )

    def _in_two_tasks(self, common: Mapping[str, Any], inputs: Any, more: Mapping[str, Any]) -> BaseOperator:
        options = self._options
        submit = AsyncSubmitOperator(
            **_merged(
                common,
                {"task_id": "submit", "inputs": inputs, "deferrable": options["deferrable"]},
                more,
                self._task_args,
                options["submit"],
            )
        )
        wait = AsyncStatusSensor(
            **_merged(
                common,
                {"task_id": "wait", "inputs": inputs, "submission_id": submit.output},
                {name: options[name] for name in ("deferrable", "mode", "soft_fail")},
                {name: options[name] for name in _TIMES if options[name] is not UNSET},
                self._task_args,
                options["wait"],
            )
        )
        submit >> wait
        return wait

    def _late(self, name: str, value: Any) -> Any:
        return _RenderedLate(value) if name in self._rendered else value


_TIMES = ("initial_wait", "poll_wait", "timeout")


class _RenderedLate:
    """A mapped value that was written in the DAG file: its templates are rendered, which Airflow does not
    do itself.

    Values that come from another task are data, and stay as they are.
    """

    renders = True
    """Told to the tasks: a text among these values comes from a template."""

    def __init__(self, argument: Any) -> None:
        self._argument = argument

    def iter_references(self) -> Any:
        """Name the tasks that the value comes from, as Airflow asks."""
        return self._argument.iter_references()

    def resolve(self, context: Mapping[str, Any]) -> Any:
        """Return this task's value, rendered."""
        task = context["ti"].task
        return task.render_template(
            self._argument.resolve(context), context, task.get_dag().get_template_env()
        )

    def __repr__(self) -> str:
        return "one of the mapped values"


def _values(mapped: Mapping[str, Any], options: Mapping[str, Any], name: str) -> Sequence[Any]:
    """Return the values of an argument that are known when the DAG is parsed."""
    if name not in mapped:
        return [options[name]]
    value = mapped[name]
    return list(value) if isinstance(value, (list, tuple)) else []


def _refuse_what_waits_apart(options: Mapping[str, Any]) -> None:
    """Refuse what only a task of its own for waiting could do."""
    instead = {
        "wait": "give its arguments to submit",
        "mode": "its task submit defers, or with deferrable=False stays on the worker",
        "soft_fail": "let what follows have a trigger_rule instead",
    }
    usual = {"mode": "poke", "soft_fail": False, "wait": None}
    wrong = [f"{name}: {instead[name]}" for name, value in usual.items() if options[name] != value]
    if wrong:
        raise DefinitionError(
            "a group with job_retries has no wait task, which these are for:\n" + "\n".join(wrong)
        )


def _refuse_unknown_id(definition: AsyncJob, destination: str) -> None:
    """Refuse a destination that names what is not known yet when the upload is answered."""
    if reads_refusals(definition) and re.search(r"\{\{[^}]*\bsubmission_id\b", destination):
        raise DefinitionError(
            f"destination {destination}: the answers to the upload refuse records, which are kept beside it "
            "before there is a submission_id. Tell the jobs apart by {{ map_index }} or an input"
        )


def _refuse_what_fetches(options: Mapping[str, Any]) -> None:
    """Refuse what only the fetch task could do, in a group that has none."""
    usual = {"output_format": None, "skip_on_no_data": False, "fetch": None}
    wrong = [name for name, value in usual.items() if options[name] != value]
    if wrong:
        raise DefinitionError(
            f"{', '.join(wrong)} would be ignored: without destination nothing is downloaded, and the group "
            f"has no fetch task. Give destination, or remove {', '.join(wrong)}"
        )


def _merged(*parts: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for part in parts if part for name, value in part.items()}


def _identifier(name: str) -> str:
    """Return the group's ID: what Airflow allows in it (letters, numbers, dashes, underscores) of the job's
    name.
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or "async_job"


def _current_dag() -> DAG | None:
    from airflow.sdk.definitions._internal.contextmanager import DagContext

    return DagContext.get_current()


async_job = _AsyncJobGroup()
