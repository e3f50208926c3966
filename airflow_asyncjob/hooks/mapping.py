"""What would go wrong in a mapped group: values that are no list, files that two jobs would write."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath

from airflow_asyncjob.definition.problems import kind_of, shown
from airflow_asyncjob.errors import DefinitionError

if TYPE_CHECKING:
    from airflow_asyncjob.definition import AsyncJob

__all__ = ["check_files", "check_lists"]

_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_DIFFERS = re.compile(r"\bmap_index\b|\bmacros\.(?:uuid|random)\b")
"""What is another value in each mapped job; other macros and what else ``ti`` has need not be."""
_MEMBER = re.compile(r"""\binputs(?:\.(?!get\b)(\w+)|\[\s*['"](\w+)['"]\s*\])""")


def check_lists(mapped: Mapping[str, Any]) -> None:
    """Check that each mapped argument has a value for each job. (Airflow would map over a mapping's items.)

    :raises DefinitionError: it is neither a list nor the output of a task.
    """
    wrong = [
        f"{name}: expand takes a list with a value for each job, or the output of a task; given is "
        f"{kind_of(value)}, {shown(value)}. Write {name}=[...], or give {name} to partial if it is the same "
        "for every job"
        for name, value in mapped.items()
        if not isinstance(value, (list, tuple)) and not hasattr(value, "resolve")
    ]
    if wrong:
        raise DefinitionError("\n".join(wrong))


def check_files(definition: AsyncJob, mapped: Mapping[str, Any], destination: Any) -> None:
    """Check that no two jobs of a mapped group write the same file, as far as the DAG file tells.

    ``expand`` makes every combination of what is mapped. A folder takes the names that the API gives.

    :param mapped: the arguments of ``expand``.
    :param destination: the one of ``partial``, where ``destination`` is not mapped.
    :raises DefinitionError: two jobs would write one file.
    """
    others = {name: value for name, value in mapped.items() if name != "destination" and not _is_one(value)}
    given = mapped.get("destination", [destination])
    if not isinstance(given, (list, tuple)):
        if others and not _is_one(given):
            raise DefinitionError(
                f"{_and(others)} and destination are mapped, which makes every combination: jobs that differ "
                f"in {_and(others)} only would write the same file. Give destination to partial, as a "
                "template over what differs, such as /data/{{ inputs.NAME }}.csv"
            )
        return
    files = Counter(str(value) for value in given if isinstance(value, (str, PurePath, ObjectStoragePath)))
    for file, times in files.items():
        if not file.endswith("/") or (definition.result is not None and definition.result.rejects):
            _check_file(definition, file, times, others, crossed="destination" in mapped)


def _check_file(
    definition: AsyncJob, file: str, times: int, others: Mapping[str, Any], *, crossed: bool
) -> None:
    code = " ".join(_TEMPLATE.findall(file))
    if _DIFFERS.search(code):
        return
    by_id = re.search(r"\bsubmission_id\b", code) is not None
    if by_id and "http_conn_id" not in others:
        return
    if times > 1:
        _refuse(f"destination is given {times} times, and {times} jobs", file)
    if not others:
        return
    if by_id:
        _refuse("jobs of several connections, whose APIs may give the same ID,", file)
    if set(others) != {"inputs"} or not re.search(r"\binputs\b", code):
        _refuse(f"jobs that differ in {_and(others)} only" if crossed else "every mapped job", file)
    same = _same(definition, code, others["inputs"])
    if same:
        _refuse(f"jobs with the same {same}", file)


def _refuse(who: str, file: str) -> None:
    raise DefinitionError(
        f"{who} would write the same file, {file}: put {{{{ map_index }}}} or what differs, such as "
        "{{ submission_id }} or {{ inputs.NAME }}, into destination"
    )


def _same(definition: AsyncJob, code: str, inputs: Any) -> str:
    """Return the inputs that a destination uses, where two jobs give them the same values; else nothing."""
    if not isinstance(inputs, Sequence) or not all(isinstance(given, Mapping) for given in inputs):
        return ""
    names = sorted({found[1] or found[2] for found in _MEMBER.finditer(code)})
    whole = len(re.findall(r"\binputs\b", code)) > len(_MEMBER.findall(code))
    seen = Counter(
        repr(given if whole else [given.get(name, _default(definition, name)) for name in names])
        for given in inputs
    )
    used = "inputs" if whole else _and([f"inputs.{name}" for name in names])
    return used if max(seen.values(), default=0) > 1 else ""


def _default(definition: AsyncJob, name: str) -> Any:
    return definition.inputs[name].default if name in definition.inputs else None


def _is_one(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 1


def _and(names: Mapping[str, Any] | Sequence[str]) -> str:
    return " and ".join(names)
