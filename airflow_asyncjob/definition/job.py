"""AsyncJob: a definition, from a file, a packaged name, a mapping or an object."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, ValidationError

from airflow_asyncjob.definition.check import DEEPEST, check, check_complete, shape_problems
from airflow_asyncjob.definition.explain import explain
from airflow_asyncjob.definition.models.job import JobModel
from airflow_asyncjob.definition.problems import InvalidDefinition, Path, Problem, kind_of
from airflow_asyncjob.definition.values import PLAIN
from airflow_asyncjob.errors import DefinitionError

__all__ = ["AsyncJob"]


class AsyncJob(JobModel):
    """How to talk to one kind of asynchronous job. A YAML file and this object are the same thing.

    Making one checks everything that :meth:`load` checks, but for sections that are missing.

    :raises DefinitionError: the definition has mistakes; all of them are shown.
    """

    def __init__(self, /, **sections: Any) -> None:
        problems = list(shape_problems(sections))
        data = _plain_data(sections)
        problems += check(data)
        try:
            super().__init__(**data)
        except ValidationError as error:
            found = explain(error, JobModel, data)
            found += _behind_unknown_fields(found, data)
            raise InvalidDefinition(_worth_saying([*found, *problems])) from None
        if problems:
            raise InvalidDefinition(_worth_saying(problems))

    @classmethod
    def load(
        cls, source: str | FilePath | Mapping[str, Any] | AsyncJob, *, partial: bool = False
    ) -> AsyncJob:
        """Return the definition that a path, a packaged name, a mapping or an object gives.

        :param source: a path (.yaml, .yml, .json), the name of a packaged definition such as
            ``sendgrid/contacts_export``, a mapping, or an object.
        :param partial: accept a definition that is part of a whole: without a ``submit`` or a ``status``
            section, or without ``inputs``, which are not checked then.
        :raises DefinitionError: the file cannot be read, or the definition has mistakes; all of them are
            shown, with file and line.
        """
        if isinstance(source, AsyncJob):
            return cls._whole(source.to_dict(), partial)
        if isinstance(source, Mapping):
            return cls._whole(source, partial)
        from airflow_asyncjob.definition.loading import read_source

        loaded, name = read_source(source)
        if not isinstance(loaded.data, Mapping):
            raise DefinitionError(
                f"{name}:1: a definition is a mapping of sections, not {kind_of(loaded.data)}"
            )
        return cls._whole(loaded.data, partial, source=name, lines=loaded.lines)

    @classmethod
    def _whole(
        cls,
        data: Mapping[str, Any],
        partial: bool,
        *,
        source: str | None = None,
        lines: Mapping[Path, int] | None = None,
        name_of: Callable[[Path], str] | None = None,
    ) -> AsyncJob:
        problems = list(shape_problems(data))
        sections: dict[str, Any] = _plain_data(data)
        if not partial:
            sections.setdefault("inputs", {})
            problems.extend(check_complete(sections))
        try:
            job = cls(**sections)
        except InvalidDefinition as error:
            problems.extend(error.problems)
        if problems:
            raise InvalidDefinition(_worth_saying(problems), source=source, lines=lines, name_of=name_of)
        return job

    @classmethod
    def from_parts(cls, data: Mapping[str, Any], *, name_of: Callable[[Path], str]) -> AsyncJob:
        """Return the definition that flat arguments make; it may be part of a whole.

        :param name_of: the argument that stands for a path, for messages.
        :raises DefinitionError: the arguments have mistakes; all of them are shown.
        """
        return cls._whole(data, True, name_of=name_of)

    def to_dict(self) -> dict[str, Any]:
        """Return this definition as plain JSON values: only what was given, in the words of a file."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _behind_unknown_fields(found: list[Problem], data: Any) -> list[Problem]:
    """Return what is wrong besides: a section is looked at as a whole only where it has no unknown field."""
    unknown = {problem.path for problem in found if problem.final}
    if not unknown:
        return []
    known = _without(data, unknown, ())
    try:
        JobModel(**known)
    except ValidationError as error:
        return explain(error, JobModel, known)
    return []


def _without(value: Any, unknown: set[Path], path: Path) -> Any:
    if isinstance(value, dict):
        return {
            key: _without(item, unknown, (*path, key))
            for key, item in value.items()
            if (*path, key) not in unknown
        }
    if isinstance(value, list):
        return [_without(item, unknown, (*path, position)) for position, item in enumerate(value)]
    return value


def _worth_saying(problems: list[Problem]) -> list[Problem]:
    """Leave out what follows from another problem, such as what is inside of a field that does not exist."""
    final = {problem.path for problem in problems if problem.final}
    return [
        problem
        for problem in problems
        if not any(
            problem.path[:length] in final for length in range(len(problem.path) + (not problem.final))
        )
    ]


def _plain_data(value: Any, depth: int = 0) -> Any:
    """Return mappings as dicts with text as keys, models as what made them, and nothing that is strange."""
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True, exclude_unset=True)
    if depth > DEEPEST:
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain_data(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain_data(item, depth + 1) for item in value]
    return value if isinstance(value, (*PLAIN, datetime.timedelta)) else None
