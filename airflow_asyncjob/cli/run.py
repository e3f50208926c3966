"""asyncjob run: one job from submit to file."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.cli.connection import check_address, check_others, connection_settings, other_connection
from airflow_asyncjob.cli.definitions import check_callback, load_definition
from airflow_asyncjob.cli.given import given_inputs, read_files
from airflow_asyncjob.cli.hands import CommandLineHands
from airflow_asyncjob.cli.interrupts import AnswerTimeout, Interrupted, Interrupts
from airflow_asyncjob.cli.outcome import CODE_OF_STATE, ExitCode, code_of, error_object, print_json, tell
from airflow_asyncjob.cli.output import (
    STDOUT,
    check_output,
    check_writable,
    local_path,
    through_stdout,
    written_text,
)
from airflow_asyncjob.cli.pieces import inputs_of_jobs, numbered
from airflow_asyncjob.cli.progress import Progress, bytes_text
from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.inputs import resolve_inputs
from airflow_asyncjob.definition.problems import counted
from airflow_asyncjob.definition.rejects import names_rejects_of_failed, with_rejects
from airflow_asyncjob.errors import AsyncJobError, DefinitionError, JobError, UnreadableError
from airflow_asyncjob.protocol import Failed, Goal, Job, Outcome, Plan, Planned, Submission
from airflow_asyncjob.results.fetch import fetch_result
from airflow_asyncjob.results.fresh import fresh_outcome
from airflow_asyncjob.results.verdict import rejects_told, verdict_on
from airflow_asyncjob.transport.client import Wire
from airflow_asyncjob.transport.driver import run
from airflow_asyncjob.transport.narrate import Narrator
from airflow_asyncjob.transport.trace import Trace
from airflow_asyncjob.uploads.account import account_of
from airflow_asyncjob.uploads.job import Uploading

if TYPE_CHECKING:
    from airflow_asyncjob.results.manifest import Manifest

__all__ = ["RunOptions", "run_job", "run_names", "write_trace"]

_ANSWER_SECONDS = 30.0
"""How long the answer to a cancel, or to a delete after the result is safe, is waited for."""


@dataclass(frozen=True)
class RunOptions:
    """What the command line said."""

    definition: str
    base_url: str | None = None
    set_inputs: tuple[str, ...] = ()
    destination: str | None = None
    as_json: bool = False
    trace: Path | None = None
    limit: int | None = None
    submission_id: str | None = None


def run_job(options: RunOptions) -> int:
    """Drive one job to its end, tell what came of it, and return the exit code.

    :raises AsyncJobError: before anything was sent: the definition, an option or the connection is wrong.
    """
    definition = with_rejects(load_definition(options.definition))
    check_callback(definition)
    inputs = resolve_inputs(
        definition, read_files(definition, given_inputs(options.set_inputs)), from_text=True
    )
    check_output(definition, options.destination, limit=options.limit, as_json=options.as_json)
    settings = connection_settings(options.base_url)
    check_address(settings, definition)
    only_rejects = definition.result is not None and not definition.result.is_there
    check_others(definition, download=options.destination is not None or only_rejects)
    check_writable(definition, options.destination)
    trace = Trace()
    write_trace(options.trace, trace)
    with Wire(
        settings, limits=definition.limits, auth=definition.auth, trace=trace, others=other_connection
    ) as wire:
        names = run_names(definition.name, datetime.now(UTC))
        jobs = inputs_of_jobs(definition, inputs, names, wire.find)
        runs = [_Run(options, definition, inputs, names, wire)]
        if len(jobs) > 1 and options.submission_id is not None:
            raise DefinitionError(
                f"--submission-id names one job, and these inputs make {len(jobs)}; give the records of that "
                "one"
            )
        if len(jobs) > 1:
            places = [numbered(options.destination, number) for number in range(1, len(jobs) + 1)]
            runs = [
                _Run(replace(options, destination=place), definition, one, names, wire)
                for one, place in zip(jobs, places, strict=True)
            ]
        try:
            return _run_all(options, runs)
        finally:
            write_trace(options.trace, trace)


def _run_all(options: RunOptions, runs: list[_Run]) -> int:
    """Drive one job after the other; the first that does not end well is the last. Return the exit code."""
    done: list[dict[str, Any]] = []
    worst: int = ExitCode.OK
    for number, one in enumerate(runs, 1):
        if len(runs) > 1:
            tell(f"asyncjob: job {number} of {len(runs)}")
        said, code = one.to_the_end()
        texts = {
            key: one.safe(said[key]) for key in ("message", "raw_status") if isinstance(said.get(key), str)
        }
        done.append({**said, **texts})
        if not options.as_json:
            sys.stdout.write("".join(f"{line}\n" for line in one.lines))
            sys.stdout.flush()
        tell(f"asyncjob: {done[-1]['message']}", code)
        worst = max(worst, code)
        if code not in (ExitCode.OK, ExitCode.PARTIAL):
            break
    left = len(runs) - len(done)
    if left:
        tell(
            f"asyncjob: {counted(left, 'job')} of {len(runs)} not submitted, since this one did not end well"
        )
    if options.as_json:
        several = {"state": done[-1]["state"], "jobs": done, "not_submitted": left}
        print_json(done[0] if len(runs) == 1 else several)
    return worst


def run_names(name: str, now: datetime) -> dict[str, Any]:
    """Return the template names of a run on the command line: those of a run that Airflow starts now, in UTC.

    :param name: of the definition.
    :param now: with a time zone.
    """
    moment = now.astimezone(UTC)
    text = moment.isoformat(timespec="seconds")
    return {
        "run_id": f"cli__{moment.isoformat()}",
        "dag_id": "cli",
        "task_id": name or "run",
        "map_index": -1,
        "ds": moment.date().isoformat(),
        "ts": text,
        "logical_date": text,
        "data_interval_start": text,
        "data_interval_end": text,
    }


def _with_message(text: str, outcome: Outcome) -> str:
    """Return what was done, and what the API said of the job where it said something."""
    return f"{text}; the API says: {outcome.message}" if outcome.message else text


def write_trace(path: Path | None, trace: Trace) -> None:
    """Write the trace; also before the first request: a path that cannot be written is better known then.

    :param path: None: nobody wants it.
    :raises DestinationError: it cannot be written.
    """
    if path is None:
        return
    from airflow_asyncjob.errors import DestinationError

    try:
        path.write_text(trace.to_json(), encoding="utf-8")
    except OSError as error:
        raise DestinationError(f"--trace {path} cannot be written: {error.strerror}") from None


class _Run:
    """One job on the command line."""

    def __init__(
        self,
        options: RunOptions,
        definition: AsyncJob,
        inputs: dict[str, Any],
        names: dict[str, Any],
        wire: Wire,
    ) -> None:
        self.options = options
        self.definition = definition
        self.inputs = inputs
        self.wire = wire
        self.names = names
        self.interrupts = Interrupts()
        self.progress = Progress()
        self.ended = False
        self.lines: list[str] = []
        self.refused: dict[int, Sequence[Mapping[str, Any]]] = {}
        known = options.submission_id
        adopted = None if known is None else Submission(known, time.time())
        self.job = self._job(Goal.ENDED, key=str(uuid.uuid4()), submission=adopted)

    def _job(self, goal: Goal, *, key: str = "", submission: Submission | None = None) -> Job:
        return Job(
            self.definition, goal, inputs=self.inputs, names=self.names, key=key, submission=submission
        )

    @property
    def submission(self) -> Submission | None:
        """The job at the API; None while none is known."""
        return self.job.facts.submission

    def safe(self, text: str) -> str:
        """Return text of the API for people: it may repeat what it was sent."""
        return self.wire.redactor.text(text)

    @property
    def known(self) -> dict[str, str | None]:
        """What an object about this run says in any case."""
        return {"submission_id": None if self.submission is None else self.submission.id}

    def to_the_end(self) -> tuple[dict[str, Any], int]:
        """Drive the job; return what came of it, and the exit code."""
        with self.interrupts:
            try:
                with self.progress:
                    return self._drive()
            except KeyboardInterrupt:
                return self._cancelled(f"left at once.{self._may_run()}"), ExitCode.INTERRUPTED

    def _drive(self) -> tuple[dict[str, Any], int]:
        try:
            return self._finished(self._wait_for_job())
        except Interrupted:
            return self._cancelled(self._stop()), ExitCode.INTERRUPTED
        except AsyncJobError as error:
            over = isinstance(error, JobError) or (isinstance(error, UnreadableError) and error.job_ended)
            left = "" if over else self._may_run()
            return {**error_object(error, **self.known), "message": f"{error.message}{left}"}, code_of(error)

    def _wait_for_job(self) -> Outcome:
        with Uploading(self.wire) as uploading:
            finish = run(self.job, self._hands(self.job), plan=self._planner(uploading))
        # A signal that came while the answer to the submit was awaited.
        with self.interrupts.opened():
            pass
        if finish.error is not None:
            raise finish.error
        assert finish.outcome is not None
        self.ended = True
        return finish.outcome

    def _planner(self, uploading: Uploading) -> Callable[[Plan], Planned | Failed]:
        """Return what cuts an upload; it may take long, sends nothing, and may be interrupted."""

        def plan(command: Plan) -> Planned | Failed:
            self.progress.doing("reading what is to be uploaded")
            with self.interrupts.opened():
                return uploading.plan(command)

        return plan

    def _hands(self, job: Job) -> CommandLineHands:
        return CommandLineHands(job, self.wire, self.interrupts, self.progress, self.refused)

    # A job that ended ------------------------------------------------------------------------------

    def _finished(self, outcome: Outcome) -> tuple[dict[str, Any], int]:
        about: dict[str, Any] = {**self.known, "raw_status": outcome.raw_status}
        code, result = CODE_OF_STATE[outcome.state], self.definition.result
        if outcome.state not in ("done", "partial", "no_data"):
            text = self._ended_text(outcome)
            if outcome.state == "failed" and names_rejects_of_failed(self.definition):
                text = f"{text}. {self._refused_by_failed(outcome, about)}"
            return {"state": outcome.state, "message": text, **about}, code
        if self.options.destination is None and (result is None or result.is_there):
            targets = [outcome.target] if isinstance(outcome.target, str) else outcome.target
            self.lines = targets
            why = "nothing was downloaded: there is no --destination" if targets else "there are no data"
            text = _with_message(f"{outcome.state}: {why}", outcome)
            return {"state": outcome.state, "message": text, **about, "target": outcome.target}, code
        manifest = self._fetch(outcome)
        assert result is not None
        if self.options.destination != STDOUT:
            self.lines = [local_path(uri) for uri in manifest.uris]
        said = {**manifest.to_dict(), "message": _with_message(written_text(manifest), outcome)}
        error = verdict_on(result, manifest).error
        if error is not None:
            said |= {"message": f"{said['message']}. {error.message}", "error": type(error).__name__}
            return said, ExitCode.ERROR
        self._delete()
        refused = manifest.rejects is not None and manifest.rejects["records"] > 0
        return said, ExitCode.PARTIAL if refused and result.on_rejects != "ignore" else code

    def _refused_by_failed(self, outcome: Outcome, about: dict[str, Any]) -> str:
        """Fetch the rejects of a job that failed, and return what there is to say of them.

        :param about: gets their counts.
        """
        if self.options.destination is None:
            return "The API names the records that it refused: give a --destination, beside which they go"
        try:
            manifest = self._fetch(outcome)
        except AsyncJobError as error:
            return error.message
        about["rejects"] = manifest.to_dict()["rejects"]
        return rejects_told(manifest)

    def _ended_text(self, outcome: Outcome) -> str:
        said = outcome.message or f"the API says {outcome.raw_status!r}, and no message"
        return f"the job {self.known['submission_id']} ended as {outcome.state}: {said}{outcome.log_told}"

    def _fetch(self, outcome: Outcome) -> Manifest:
        destination = self.options.destination
        narrator = Narrator(lambda level, text: self.progress.line(self.safe(text)))
        outcome = self._fresh(outcome)
        names, refused = {**self.names, "inputs": self.inputs}, self.refused

        def write(to: str | None, output_format: str | None = None) -> Manifest:
            return fetch_result(
                self.definition,
                outcome.target,
                wire=self.wire,
                inputs=self.inputs,
                names=self.names,
                submission=self.submission,
                captures=outcome.captures,
                destination=to,
                output_format=output_format,
                limit=self.options.limit,
                state=outcome.state,
                observe=narrator.observe,
                received=self._received(outcome.target),
                account=account_of(
                    self.definition,
                    names,
                    self.wire.find,
                    lambda: chain(*refused.values()),
                    self.submission,
                ),
            )

        with self.interrupts.opened():
            if destination != STDOUT:
                return write(destination)
            self.progress.pause()
            return through_stdout(self.definition, write)

    def _fresh(self, outcome: Outcome) -> Outcome:
        """Return the outcome with a target that can be used now."""
        assert self.submission is not None
        fresh = fresh_outcome(
            self.definition,
            outcome.target,
            expires_at=outcome.expires_at,
            submission=replace(self.submission, captures=outcome.captures),
            inputs=self.inputs,
            names=self.names,
            drive=lambda job: run(job, self._hands(job)),
            say=lambda level, text: self.progress.line(self.safe(text)),
            now=time.time(),
        )
        return outcome if fresh is None else fresh

    def _received(self, targets: str | list[str]) -> Callable[[int, int], None]:
        files = 1 if isinstance(targets, str) else len(targets)

        def show(number: int, size: int) -> None:
            which = f"file {number} of {files}, " if files > 1 else ""
            self.progress.doing(f"downloading: {which}{bytes_text(size)}")

        return show

    def _delete(self) -> None:
        """Let the API forget the job. The result is safe: nothing that happens here is an error."""
        if self.definition.delete is None:
            return
        job = self._job(Goal.DELETED, submission=self.submission)
        try:
            with self.interrupts.bounded(_ANSWER_SECONDS):
                finish = run(job, self._hands(job))
        except AnswerTimeout:
            self.progress.line(f"The API did not answer the delete within {_ANSWER_SECONDS:g} s")
            return
        if finish.error is not None:
            self.progress.line(f"The job was not deleted at the API: {self.safe(finish.error.message)}")

    # A job that is left ----------------------------------------------------------------------------

    def _stop(self) -> str:
        """Ask the API to stop the job, and return what came of it."""
        if self.ended:
            return "interrupted during the download; the job had ended at the API"
        self.progress.line("Ctrl-C: stopping. Ctrl-C again leaves at once")
        self.job.cancel(time.time())
        try:
            with self.interrupts.bounded(_ANSWER_SECONDS):
                finish = run(self.job, self._hands(self.job))
        except AnswerTimeout:
            return f"the API did not answer the cancel within {_ANSWER_SECONDS:g} s.{self._may_run()}"
        if finish.error is not None:
            return finish.error.message
        assert finish.outcome is not None
        return finish.outcome.message or f"interrupted; the job is {finish.outcome.state}"

    def _may_run(self) -> str:
        running = self.submission is not None and not self.ended
        return f"\nThe job {self.known['submission_id']} may still run at the API." if running else ""

    def _cancelled(self, message: str) -> dict[str, Any]:
        return {"state": "cancelled", "message": message, **self.known}
