"""What the three tasks share: connection, inputs, links, and an end that Airflow understands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout

from airflow_asyncjob.definition.inputs import resolve_inputs
from airflow_asyncjob.definition.templates import is_template
from airflow_asyncjob.definition.values import from_template
from airflow_asyncjob.errors import AsyncJobError, InputError, JobTimeoutError, UncertainError
from airflow_asyncjob.hooks.asyncjob import AsyncJobHook
from airflow_asyncjob.hooks.definitions import check_inputs, connection_id
from airflow_asyncjob.hooks.following import Follower
from airflow_asyncjob.hooks.keeping import WorkerKeeper
from airflow_asyncjob.hooks.names import map_index_of, run_names
from airflow_asyncjob.hooks.notes import Notes
from airflow_asyncjob.hooks.state import Wish
from airflow_asyncjob.hooks.upstream import unrendered
from airflow_asyncjob.hooks.worker import Stop, narrator_of

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator as Mixed

    from airflow_asyncjob.definition import AsyncJob
    from airflow_asyncjob.protocol import Job, Submission
    from airflow_asyncjob.transport import Narrator, Wire
else:
    Mixed = object

__all__ = ["JobTask", "Situation", "as_airflow", "translated"]


def as_airflow(error: AsyncJobError) -> Exception:
    """Return the exception that makes Airflow do the right thing: try again only what can succeed.

    What is retryable is raised as it is, and Airflow's ``retries`` apply.
    """
    if isinstance(error, JobTimeoutError):
        return AirflowSensorTimeout(error.message)
    final = not error.may_resubmit if isinstance(error, UncertainError) else not error.retryable
    return AirflowFailException(error.message) if final else error


@contextmanager
def translated() -> Iterator[None]:
    """Raise errors of this package as :func:`as_airflow` has them."""
    try:
        yield
    except AsyncJobError as error:
        told = as_airflow(error)
        if told is error:
            raise
        raise told from error


def _rendered(written: Any, inputs: Mapping[str, Any]) -> list[str]:
    """Return the inputs whose value is the text of a template, and not data of another task.

    :param written: the inputs as the DAG file has them.
    """
    if isinstance(written, Mapping):
        return [name for name, value in written.items() if isinstance(value, str) and is_template(value)]
    # Mapped, from the DAG file: a text that is no template was checked when that was parsed.
    return list(inputs) if getattr(written, "renders", False) else []


def _mapping_in(text: str) -> Any:
    """Return the mapping that a template for all inputs gave.

    :raises InputError: it gave something else.
    """
    try:
        return from_template("object", text)
    except ValueError as error:
        raise InputError(f"inputs: {error}") from None


@dataclass(frozen=True)
class Situation:
    """One task instance, as this process runs it.

    :param wish: what tells a clear from a retry.
    :param inputs: of the job, resolved.
    :param names: the frozen scalars of the run, for templates.
    """

    context: Mapping[str, Any]
    wish: Wish
    inputs: Mapping[str, Any]
    names: Mapping[str, Any]

    @property
    def ti(self) -> Any:
        """Airflow's task instance."""
        return self.context["ti"]

    @property
    def store(self) -> Any:
        """Airflow's task state store."""
        return self.context["task_state_store"]


class JobTask(Mixed):
    """Mixin of the operators and the sensor."""

    definition: AsyncJob
    http_conn_id: Any
    inputs: Any
    remote_job_url: str = ""
    result_url: str = ""
    kind: ClassVar[str]
    """What the task does with the job, for the UI: ``submit``, ``wait`` or ``fetch``."""
    late_field: ClassVar[str] = ""
    """The template field that sees the job; empty: there is none."""

    def _describe(self, definition: AsyncJob, http_conn_id: Any, inputs: Any) -> None:
        """Keep what every task has, checked as far as it is known when the DAG is parsed."""
        self.definition = definition
        self.http_conn_id = connection_id(http_conn_id, definition)
        self.inputs = inputs
        # The values of a mapped task come at run time, when execute tells Airflow not to try wrong ones
        # again.
        if not getattr(self, "_BaseOperator__from_mapped", False):
            check_inputs(definition, inputs)

    def _situation(self, context: Mapping[str, Any]) -> Situation:
        return Situation(context, Wish.of(context["ti"]), self._resolved_inputs(context), run_names(context))

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Any,
        jinja_env: Any,
        seen_oids: set[int],
    ) -> None:
        """Render :attr:`late_field` after the others: its templates see the job, also in a mapped task.

        Airflow calls this for mapped tasks as well, and ``render_template_fields`` only for others.
        """
        render, late = super()._do_render_template_fields, self.late_field
        if parent is not self or getattr(self, late, None) is None:
            render(parent, template_fields, context, jinja_env, seen_oids)
            return
        render(parent, [name for name in template_fields if name != late], context, jinja_env, seen_oids)
        with translated():
            names = cast("Any", {**context, **self._late_names(context)})
        render(parent, [late], names, jinja_env, seen_oids)

    def _late_names(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the templates of :attr:`late_field` see besides Airflow's own names."""
        return {"inputs": self._resolved_inputs(context), "map_index": map_index_of(context["ti"])}

    def _resolved_inputs(self, context: Mapping[str, Any]) -> dict[str, Any]:
        inputs, written = self.inputs, unrendered(context, "inputs")
        if isinstance(inputs, str) and isinstance(written, str):
            inputs = _mapping_in(inputs)
        if inputs is not None and not isinstance(inputs, Mapping):
            raise InputError(
                f"inputs is of type {type(inputs).__name__} at run time: {str(inputs)[:100]!r}; expected a "
                "mapping of names to values"
            )
        return resolve_inputs(self.definition, inputs, from_template=_rendered(written, inputs or {}))

    @contextmanager
    def _open_wire(self) -> Iterator[Wire]:
        """Open the connection; errors raised while it is open lose the secrets that an answer repeated."""
        from airflow_asyncjob.transport.conceal import conceal_error

        with AsyncJobHook(self.http_conn_id).get_conn(self.definition) as wire:
            if self._keeper is not None:
                self._keeper.notes.follow(wire)
            try:
                yield wire
            except AsyncJobError as error:
                conceal_error(error, wire.redactor)
                raise

    @contextmanager
    def _kept(self, context: Mapping[str, Any], *, resumed: bool = False) -> Iterator[WorkerKeeper]:
        """Keep for the UI what happens in here, and how it ends; see ``airflow_asyncjob.panel``.

        :param resumed: the task was deferred before.
        """
        notes = Notes(self.kind, self.definition.to_dict(), self.http_conn_id)
        keeper = self.__dict__["_keeper_of_run"] = WorkerKeeper(context, notes, self.log, resumed=resumed)
        with keeper.beside():
            yield keeper

    @property
    def _keeper(self) -> WorkerKeeper | None:
        return cast("WorkerKeeper | None", self.__dict__.get("_keeper_of_run"))

    def _narrator(self, wire: Wire, job: Job, *, leaves: bool = False) -> Narrator | Follower:
        """Return what writes the task log, and keeps for the UI how far the job is.

        :param leaves: the task leaves its waits to others, and what is kept is written then.
        """
        narrator, keeper = narrator_of(wire, self.log.log, job), self._keeper
        if keeper is None:
            return narrator
        write = None if leaves else keeper.write
        return Follower(narrator, keeper.notes, job, metrics=keeper.metrics, write=write, log=self.log)

    @property
    def _stop(self) -> Stop:
        return cast("Stop", self.__dict__.setdefault("_stop_flag", Stop()))

    def on_kill(self) -> None:
        """Note that Airflow wants this process to end; a wait on the worker looks at it twice a second."""
        self._stop.asked = True

    def _note_link(self, wire: Wire, now: Situation, submission: Submission) -> None:
        """Render the address of the job's page, for the link in the UI. A wrong one must not stop the job."""
        if self.definition.link is None:
            return
        from airflow_asyncjob.definition.places import LINKED
        from airflow_asyncjob.definition.templates import render_url
        from airflow_asyncjob.transport.address import join_url, parse_url

        known = {
            **now.names,
            "inputs": now.inputs,
            "submission_id": submission.id,
            "captures": submission.captures,
            "connection": {name: wire.settings.view()[name] for name in LINKED},
        }
        try:
            url = join_url(wire.settings.base_url, render_url(self.definition.link, known, where="link"))
            self.remote_job_url = wire.redactor.url(str(parse_url(url)))
            if self._keeper is not None:
                self._keeper.notes.linked(self.remote_job_url)
        except (AsyncJobError, ValueError) as error:
            self.log.warning("The link to the job cannot be made: %s", error)

    def _note_link_again(self, now: Situation, submission: Submission) -> None:
        """Render it where nothing else needs the connection: Airflow forgets a link when a task resumes."""
        if self.definition.link is None:
            return
        try:
            with self._open_wire() as wire:
                self._note_link(wire, now, submission)
        except AsyncJobError as error:
            self.log.warning("The link to the job cannot be made: %s", error.message)
