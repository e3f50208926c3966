"""From the arguments of a task to its definition, when the DAG is parsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.flat import UNSET, Section, override
from airflow_asyncjob.definition.models.base import parse_duration
from airflow_asyncjob.definition.problems import did_you_mean
from airflow_asyncjob.definition.rejects import with_rejects
from airflow_asyncjob.definition.templates import is_template
from airflow_asyncjob.definition.values import typed
from airflow_asyncjob.errors import DefinitionError, InputError

if TYPE_CHECKING:
    JobSource = str | PathLike[str] | Mapping[str, Any] | AsyncJob

__all__ = [
    "check_inputs",
    "connection_id",
    "definition_of",
    "either",
    "job_retries_of",
    "load_definition",
    "seconds",
]

_FILE_SUFFIXES = (".yaml", ".yml", ".json")
_JOB_RETRY_WAIT = 60.0


def load_definition(job: JobSource, dag: Any = None, *, partial: bool = True) -> AsyncJob:
    """Return the definition that ``job=`` names.

    A relative path is looked for beside the DAG file first, since the working folder of an Airflow process is
    anybody's guess.

    :param dag: Airflow's DAG; None: outside of one.
    :raises DefinitionError: it cannot be read, or has mistakes.
    """
    if isinstance(job, (str, PathLike)):
        return _from_source(*_found(job, dag), partial)
    # An object was checked when it was made, but for sections that it lacks.
    return job if isinstance(job, AsyncJob) and partial else AsyncJob.load(job, partial=partial)


def _found(job: str | PathLike[str], dag: Any) -> tuple[str | Path, int]:
    """Return where a definition lies, and when it was changed; 0 where that is not known."""
    path, fileloc = Path(job), getattr(dag, "fileloc", None)
    if path.suffix.lower() not in _FILE_SUFFIXES:
        return (path if isinstance(job, PathLike) else job), 0
    beside = path if path.is_absolute() or not fileloc else Path(fileloc).parent / path
    path = beside if beside.is_file() else path
    return path, path.stat().st_mtime_ns if path.is_file() else 0


@lru_cache(maxsize=64)
def _from_source(source: str | Path, changed_at: int, partial: bool) -> AsyncJob:
    """Load a definition once for a DAG file that uses it many times."""
    return AsyncJob.load(source, partial=partial)


def definition_of(
    job: JobSource | None,
    section: Section,
    flat: Mapping[str, Any],
    *,
    dag: Any = None,
    sections: Mapping[str, Any] | None = None,
) -> AsyncJob:
    """Return the definition that ``job=`` and the flat arguments of a task make.

    :param section: the section that the task is about.
    :param flat: argument: value, :data:`UNSET` where it was not given. ``auth`` may be a mapping, as in a
        definition; with ``connection`` in it, as in a request of one.
    :param sections: further sections, as a definition has them; a mapping is laid over what ``job`` says.
    :raises DefinitionError: something is wrong, or nothing describes the section.
    """
    base = None if job is None else load_definition(job, dag)
    flat, further = _without_auth(flat, dict(sections or {}))
    if section == "result" and base is not None:
        base = with_rejects(base)
    if section == "result" and base is None and not _given(flat):
        base = AsyncJob(result={})  # the bytes of a download as they come need no description
    if base is None and not _given(flat):
        raise DefinitionError(
            f"nothing says how to {_DOES[section]}: give job= (a packaged name, a path, a mapping or an "
            f"AsyncJob), or the arguments {_ARGUMENTS[section]}"
        )
    definition = override(base, section, flat, further)
    if getattr(definition, section) is None:
        raise DefinitionError(
            f"{definition.name or 'the definition'} has no section {section!r}, which says how to "
            f"{_DOES[section]}; add it, or give the arguments {_ARGUMENTS[section]}"
        )
    return definition


_DOES = {
    "submit": "submit the job",
    "status": "ask for the status of the job",
    "result": "download the result",
}
_ARGUMENTS = {
    "submit": "endpoint and submission_id_path",
    "status": "endpoint, status_path, done_values and what else the status needs",
    "result": "format and what else the result needs",
}


def _given(flat: Mapping[str, Any]) -> bool:
    return any(value is not UNSET for value in flat.values())


def _without_auth(
    flat: Mapping[str, Any], further: dict[str, Any]
) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """``auth`` as a word, or with a ``connection``, is about one request; else it is the definition's."""
    auth = flat.get("auth")
    if not isinstance(auth, Mapping) or "connection" in auth:
        return flat, further
    return {**flat, "auth": UNSET}, {**further, "auth": flat["auth"]}


def connection_id(http_conn_id: Any, definition: AsyncJob) -> Any:
    """Return the connection to use: the argument wins over the definition's ``connection``.

    :raises DefinitionError: neither names one.
    """
    chosen = http_conn_id or definition.connection
    if not chosen:
        raise DefinitionError(
            "no connection is named: give http_conn_id, or set connection in "
            f"{definition.name or 'the definition'}"
        )
    return chosen


def check_inputs(definition: AsyncJob, inputs: Any) -> None:
    """Check inputs when the DAG is parsed, as far as they are known: names always, types of what is no
    template.

    :param inputs: a mapping; anything else (the output of a task) is only known at run time.
    :raises InputError: all mistakes.
    """
    if "inputs" not in definition.model_fields_set:
        return
    given = {} if inputs is None else inputs
    if not isinstance(given, Mapping):
        return
    mistakes = [
        f"inputs.{name}: unknown input; {did_you_mean(str(name), list(definition.inputs))}"
        for name in given
        if name not in definition.inputs
    ]
    for name, declared in definition.inputs.items():
        if name not in given:
            if declared.is_required:
                mistakes.append(f"inputs.{name}: required, and not given; it is of type {declared.type}")
        elif given[name] is not None and _is_known(given[name]):
            try:
                typed(declared.type, given[name], declared.format)
            except ValueError as error:
                mistakes.append(f"inputs.{name}: {error}")
    if mistakes:
        raise InputError("\n".join(mistakes))


def _is_known(value: Any) -> bool:
    """Whether a value is what it will be at run time: no template, no reference to another task."""
    if isinstance(value, str):
        return not is_template(value)
    if isinstance(value, Mapping):
        return all(_is_known(item) for item in value.values())
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return all(_is_known(item) for item in value)
    return not hasattr(value, "resolve")


def seconds(value: Any) -> Any:
    """Return a ``timedelta``, which Airflow users write for durations, as seconds; anything else as it is."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def job_retries_of(retries: Any, wait: Any, *, waits: bool) -> tuple[int | None, float]:
    """Return how often a job that failed is submitted again (None: nothing says so), and after how many
    seconds.

    :param wait: seconds, text with a unit, a ``timedelta``, or None for the default.
    :param waits: whether the task waits for its job.
    :raises DefinitionError: they are no such numbers, or nothing would come of them.
    """
    if retries is None:
        if wait is not None:
            raise DefinitionError("job_retry_wait would be ignored: it goes with job_retries")
        return None, 0.0
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise DefinitionError(f"job_retries is {retries!r}; expected a whole number, 0 or more")
    if not waits:
        raise DefinitionError(
            "job_retries needs wait_for_completion=True: only the task that waits for a job sees it fail"
        )
    try:
        return retries, _JOB_RETRY_WAIT if wait is None else parse_duration(wait)
    except ValueError as error:
        raise DefinitionError(f"job_retry_wait: {error}") from None


def either(name: str, value: Any, synonym: str, other: Any) -> Any:
    """Return the value of an argument that has two names.

    :raises DefinitionError: both are given.
    """
    if value is not UNSET and other is not UNSET:
        raise DefinitionError(f"{name} and {synonym} are the same; give one of them")
    return seconds(other if value is UNSET else value)
