"""asyncjob jobs: which jobs the API has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.cli.connection import check_url, connection_settings, other_connection
from airflow_asyncjob.cli.definitions import load_definition
from airflow_asyncjob.cli.given import given_inputs
from airflow_asyncjob.cli.hands import CommandLineHands
from airflow_asyncjob.cli.interrupts import Interrupted, Interrupts
from airflow_asyncjob.cli.outcome import ExitCode, print_json, tell
from airflow_asyncjob.cli.progress import Progress
from airflow_asyncjob.cli.run import run_names, write_trace
from airflow_asyncjob.cli.table import print_table
from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.inputs import resolve_inputs
from airflow_asyncjob.definition.render import members_used
from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.protocol import Listing
from airflow_asyncjob.transport.client import Wire
from airflow_asyncjob.transport.conceal import conceal
from airflow_asyncjob.transport.driver import run
from airflow_asyncjob.transport.trace import Trace

if TYPE_CHECKING:
    from airflow_asyncjob.definition.models.joblist import JobList

__all__ = ["JobsOptions", "list_jobs"]


@dataclass(frozen=True)
class JobsOptions:
    """What the command line said."""

    definition: str
    base_url: str | None = None
    set_inputs: tuple[str, ...] = ()
    as_json: bool = False
    trace: Path | None = None
    limit: int | None = None


def list_jobs(options: JobsOptions) -> int:
    """Ask the API for its jobs, show them, and return the exit code.

    :raises AsyncJobError: the definition, an option or the connection is wrong, or the API gives no list.
    """
    definition = load_definition(options.definition)
    if definition.list is None:
        raise DefinitionError(
            f"{options.definition} has no section 'list', which says how the API lists its jobs; add one, "
            "such as list: {request: {url: /jobs}, records: jobs, id: id, status: status}"
        )
    inputs = _inputs(definition, definition.list, given_inputs(options.set_inputs))
    settings = connection_settings(options.base_url)
    check_url(settings, definition.list.request.url)
    trace = Trace()
    write_trace(options.trace, trace)
    with Wire(
        settings, limits=definition.limits, auth=definition.auth, trace=trace, others=other_connection
    ) as wire:
        names = run_names(definition.name, datetime.now(UTC))
        listing = Listing(definition, inputs=inputs, names=names, limit=options.limit)
        try:
            with Interrupts() as interrupts, Progress() as progress:
                finish = conceal(
                    run(listing, CommandLineHands(listing, wire, interrupts, progress)), wire.redactor
                )
        except Interrupted:
            tell("asyncjob: interrupted")
            return ExitCode.INTERRUPTED
        finally:
            write_trace(options.trace, trace)
        if finish.error is not None:
            raise finish.error
        jobs = [{name: _safe(getattr(job, name), wire) for name in _TOLD} for job in listing.jobs]
    if options.as_json:
        print_json({"jobs": jobs})
    else:
        _show(jobs, _columns(definition, definition.list))
    return ExitCode.OK


def _inputs(definition: AsyncJob, section: JobList, given: dict[str, str]) -> dict[str, Any]:
    """Return the inputs that the request uses, and those that were given: the others are of the submit."""
    used = members_used(section.request, "inputs")
    declared = {
        name: one for name, one in definition.inputs.items() if used is None or name in used or name in given
    }
    return resolve_inputs(definition.model_copy(update={"inputs": declared}), given, from_text=True)


def _safe(value: Any, wire: Wire) -> Any:
    """Return what the API said, without what it repeats of the connection's secrets."""
    return wire.redactor.text(value) if isinstance(value, str) else value


def _columns(definition: AsyncJob, section: JobList) -> list[str]:
    """Return the columns that the definition has something to say in."""
    read = [name for name in ("submitted_at", "message", "marker") if getattr(section, name) is not None]
    mapped = section.status is not None and definition.status is not None
    told = ["state"] if mapped else []
    return ["id", *told, *(["raw_status"] if section.status is not None else []), *read]


_TOLD = ("id", "state", "raw_status", "submitted_at", "message", "marker")
_TITLES = {"raw_status": "status", "submitted_at": "submitted at"}


def _show(jobs: list[dict[str, Any]], columns: list[str]) -> None:
    print_table(
        [_TITLES.get(column, column) for column in columns],
        [[_cell(job, column) for column in columns] for job in jobs],
    )
    if not jobs:
        tell("asyncjob: the API has no jobs")


def _cell(job: dict[str, Any], column: str) -> str:
    value = job[column]
    if column == "state" and value is None:
        return "" if job["raw_status"] is None else "unknown"
    return "" if value is None else str(value)
