"""Flat arguments: the same schema, written as arguments of a task instead of sections of a file."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from airflow_asyncjob.definition.job import AsyncJob
from airflow_asyncjob.definition.models.request import BODY_KINDS
from airflow_asyncjob.definition.problems import InvalidDefinition, Path, Problem, did_you_mean, path_text

__all__ = [
    "RESULT_ARGUMENTS",
    "STATUS_ARGUMENTS",
    "SUBMIT_ARGUMENTS",
    "UNSET",
    "Section",
    "Unset",
    "override",
    "result_section",
    "status_section",
    "submit_section",
]

Section = Literal["submit", "status", "result"]


class Unset(enum.Enum):
    """The type of :data:`UNSET`."""

    UNSET = "unset"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""An argument that was not given, so that the definition decides. (None is a value: null.)"""


def _request_arguments(section: Section) -> dict[str, Path]:
    names = ("method", "json", "form", "xml", "text", "headers", "response", "auth")
    return {
        "endpoint": (section, "request", "url"),
        # Not "params": that is an argument of every Airflow operator, and means something else there.
        "query_params": (section, "request", "params"),
        **{name: (section, "request", name) for name in names},
    }


SUBMIT_ARGUMENTS: Mapping[str, Path] = {
    **_request_arguments("submit"),
    "multipart": ("submit", "request", "multipart"),
    "file": ("submit", "request", "file"),
    "part": ("submit", "request", "part"),
    "upload": ("submit", "upload"),
    "steps": ("submit", "steps"),
    "submission_id_path": ("submit", "id"),
    "captures": ("submit", "capture"),
    "on_uncertain": ("submit", "on_uncertain"),
}
"""Argument of a submit task: the field that it sets."""

STATUS_ARGUMENTS: Mapping[str, Path] = {
    **_request_arguments("status"),
    "status_path": ("status", "path"),
    "running_values": ("status", "values", "running"),
    "done_values": ("status", "values", "done"),
    "no_data_values": ("status", "values", "no_data"),
    "partial_values": ("status", "values", "partial"),
    "failed_values": ("status", "values", "failed"),
    "timed_out_values": ("status", "values", "timed_out"),
    "cancelled_values": ("status", "values", "cancelled"),
    "rules": ("status", "rules"),
    "unknown": ("status", "unknown"),
    "unknown_times": ("status", "unknown_times"),
    "message_path": ("status", "message"),
    "log": ("status", "log"),
    "progress_path": ("status", "progress"),
    "expires_at_path": ("status", "expires_at"),
    "captures": ("status", "capture"),
    "initial_wait": ("status", "initial_wait"),
    "poll_wait": ("status", "poll_wait"),
    "growth": ("status", "growth"),
    "longest_wait": ("status", "longest_wait"),
    "jitter": ("status", "jitter"),
    "timeout": ("status", "timeout"),
    "queued": ("status", "queued"),
    "queue_timeout": ("status", "queue_timeout"),
    "poll_error_budget": ("status", "poll_error_budget"),
    "webhook": ("status", "webhook"),
    "download_target_path": ("result", "target"),
    "result_request": ("result", "request"),
    "secret": ("result", "secret"),
    "cancel": ("cancel",),
}
"""Argument of a waiting task: the field that it sets."""

RESULT_ARGUMENTS: Mapping[str, Path] = {
    **_request_arguments("result"),
    "steps": ("result", "steps"),
    "target_path": ("result", "target"),
    "secret": ("result", "secret"),
    "result_from": ("result", "from"),
    "format": ("result", "format"),
    "records_path": ("result", "records"),
    "select": ("result", "select"),
    "types": ("result", "types"),
    "primary_key": ("result", "primary_key"),
    "snake_case": ("result", "snake_case"),
    "infer": ("result", "infer"),
    "transform": ("result", "transform"),
    "drop_duplicates": ("result", "drop_duplicates"),
    "encoding": ("result", "encoding"),
    "csv": ("result", "csv"),
    "member": ("result", "member"),
    "paginate": ("result", "paginate"),
    "preview_rows": ("result", "preview_rows"),
    "rejects": ("result", "rejects"),
    "on_rejects": ("result", "on_rejects"),
    "tolerated": ("result", "tolerated"),
    "delete": ("delete",),
}
"""Argument of a download task: the field that it sets."""

_ARGUMENTS: Mapping[Section, Mapping[str, Path]] = {
    "submit": SUBMIT_ARGUMENTS,
    "status": STATUS_ARGUMENTS,
    "result": RESULT_ARGUMENTS,
}


def submit_section(**flat: Any) -> dict[str, Any]:
    """Return the part of a definition that the arguments of a submit task give; see :data:`SUBMIT_ARGUMENTS`.

    :raises DefinitionError: an argument does not exist.
    """
    return _section("submit", flat)


def status_section(**flat: Any) -> dict[str, Any]:
    """Return the part of a definition that the arguments of a waiting task give; see
    :data:`STATUS_ARGUMENTS`.

    :raises DefinitionError: an argument does not exist.
    """
    return _section("status", flat)


def result_section(**flat: Any) -> dict[str, Any]:
    """Return the part of a definition that the arguments of a download task give; see
    :data:`RESULT_ARGUMENTS`.

    :raises DefinitionError: an argument does not exist.
    """
    return _section("result", flat)


def override(
    job: AsyncJob | None,
    section: Section,
    flat: Mapping[str, Any],
    sections: Mapping[str, Any] | None = None,
) -> AsyncJob:
    """Return a definition in which the arguments that were given replace their fields.

    A body replaces the body of another kind, and steps a request. Everything else that the definition says
    stays.

    :param job: the definition; None: the arguments alone make one.
    :param section: the task whose arguments these are.
    :param flat: argument: value; those that are :data:`UNSET` are passed over.
    :param sections: further sections, as a definition has them; those that are :data:`UNSET` are passed over.
        A mapping for ``status`` or ``result`` is laid over the one of ``job``.
    :raises DefinitionError: an argument does not exist or is wrong, called by the name of the argument; all
        are shown.
    """
    base = job.to_dict() if job is not None else {}
    given = _section(section, flat)
    further = _given(sections or {})
    if job is not None and not given and not further:
        return job
    for name, value in further.items():
        over = name in ("status", "result") and isinstance(value, Mapping)
        base[name] = {**base.get(name, {}), **value} if over else value
    _without_other_bodies(base, given, section)
    _without_other_way(base, given)
    return AsyncJob.from_parts(_merged(base, given, _fields(section, flat)), name_of=_naming(section))


def _given(flat: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flat.items() if value is not UNSET}


def _fields(section: Section, flat: Mapping[str, Any]) -> set[Path]:
    return {_ARGUMENTS[section][name] for name in _given(flat)}


def _section(section: Section, flat: Mapping[str, Any]) -> dict[str, Any]:
    arguments = _ARGUMENTS[section]
    given = _given(flat)
    unknown = [
        Problem((name,), f"unknown argument; {did_you_mean(name, list(arguments))}")
        for name in given
        if name not in arguments
    ]
    if unknown:
        raise InvalidDefinition(unknown)
    result: dict[str, Any] = {}
    for name, value in given.items():
        *parents, last = arguments[name]
        holder = result
        for parent in parents:
            holder = holder.setdefault(str(parent), {})
        holder[str(last)] = value
    return result


def _without_other_bodies(base: dict[str, Any], given: Mapping[str, Any], section: Section) -> None:
    bodies = [kind for kind in BODY_KINDS if kind in given.get(section, {}).get("request", {})]
    if bodies:
        request = base.get(section, {}).get("request", {})
        for kind in BODY_KINDS:
            request.pop(kind, None)


def _without_other_way(base: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Take away the request of a submit that is done in steps now, and the other way round."""
    for way, other in (("request", "steps"), ("steps", "request")):
        if way in given.get("submit", {}):
            base.get("submit", {}).pop(other, None)


def _merged(base: Any, given: Any, fields: set[Path], path: Path = ()) -> Any:
    """Put the given fields into the base; a mapping that is a field's value replaces the whole field."""
    if path in fields or not isinstance(base, Mapping) or not isinstance(given, Mapping):
        return given
    merged = dict(base)
    for key, value in given.items():
        merged[key] = _merged(base[key], value, fields, (*path, key)) if key in base else value
    return merged


def _naming(section: Section) -> Callable[[Path], str]:
    by_path = {path: name for name, path in _ARGUMENTS[section].items()}
    by_path["status", "values"] = "done_values"  # the one that every job has stands for all of them

    def name_of(path: Path) -> str:
        for length in range(len(path), 0, -1):
            argument = by_path.get(path[:length])
            if argument is not None:
                return path_text((argument, *path[length:]))
        return path_text(path)

    return name_of
