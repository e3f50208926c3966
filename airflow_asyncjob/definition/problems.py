"""Problems: mistakes found in a definition, each with its place, shown all at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_asyncjob.errors import DefinitionError

__all__ = [
    "InvalidDefinition",
    "Path",
    "Problem",
    "counted",
    "did_you_mean",
    "kind_of",
    "nearest",
    "not_a",
    "path_text",
    "shown",
]

Path = tuple[str | int, ...]
"""Keys and list positions from the top of a definition."""

_SHOWN_CHARS = 80
_CREDENTIALS = re.compile(r"//[^/@\s]+@")


@dataclass(frozen=True)
class Problem:
    """One mistake.

    :param path: where it is, from the top of the definition.
    :param message: the value and what would be valid; names of fields inside
        or beside it stand in backticks, to be called as the reader knows them.
    :param final: nothing else about this field, or inside it, is worth saying.
    """

    path: Path
    message: str
    final: bool = False


class InvalidDefinition(DefinitionError):
    """A definition with one mistake or more; the message has a line for each.

    :param problems: the mistakes.
    :param source: file or packaged name that the definition came from; None for Python objects.
    :param lines: path: line number in the file, for as many paths as are known.
    :param name_of: how a path is called in the message; None: :func:`path_text`.
    """

    def __init__(
        self,
        problems: Iterable[Problem],
        *,
        source: str | None = None,
        lines: Mapping[Path, int] | None = None,
        name_of: Callable[[Path], str] | None = None,
    ) -> None:
        self.problems = _ordered(problems, lines or {})
        naming = name_of or path_text
        super().__init__("\n".join(_line(p, source, lines or {}, naming) for p in self.problems))

    def __reduce__(self) -> tuple[type[DefinitionError], tuple[str]]:
        return DefinitionError, (self.message,)  # what arrives in another process is the message


def _ordered(problems: Iterable[Problem], lines: Mapping[Path, int]) -> tuple[Problem, ...]:
    unique = {(p.path, p.message): p for p in problems}
    return tuple(sorted(unique.values(), key=lambda p: _line_of(p.path, lines) or 0))


def _line_of(path: Path, lines: Mapping[Path, int]) -> int | None:
    for length in range(len(path), -1, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def _line(
    problem: Problem, source: str | None, lines: Mapping[Path, int], name_of: Callable[[Path], str]
) -> str:
    number = _line_of(problem.path, lines)
    place = "" if source is None else source + (f":{number}" if number else "") + ": "
    name = name_of(problem.path)
    parts = problem.message.split("`")
    for position in range(1, len(parts), 2):
        parts[position] = _sibling(problem.path, parts[position], name_of)
    return place + (f"{name}: " if name else "") + "".join(parts)


def _sibling(path: Path, field: str, name_of: Callable[[Path], str]) -> str:
    """Name a field inside or beside the one at ``path`` as the reader knows it."""
    for near in ((*path, field), (*path[:-1], field)):
        if name_of(near) not in (path_text(near), path_text((name_of(path), field))):
            return name_of(near)
    return field


def path_text(path: Path) -> str:
    """Return a path as people write it: ``status.values.done[0]``; empty for the whole definition."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def shown(value: Any) -> str:
    """Return a value for a message, shortened."""
    text = (
        {True: "true", False: "false", None: "null"}.get(value)
        if value is None or isinstance(value, bool)
        else None
    )
    text = _CREDENTIALS.sub("//***@", text or repr(value))
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 record``, ``2,000 records``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def kind_of(value: Any) -> str:
    """Return what a value is, in words of YAML and JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return f"a Python {type(value).__name__}"


def not_a(value: Any, expected: str) -> str:
    """Return that a value is of another kind than expected, such as ``'x' is text, not a number``."""
    return (
        f"null is not {expected}" if value is None else f"{shown(value)} is {kind_of(value)}, not {expected}"
    )


def did_you_mean(name: str, valid: Sequence[str], *, label: str = "Valid") -> str:
    """Return the tail of a message about a wrong name: the nearest one, and all valid ones."""
    near = nearest(name, valid)
    listed = f"{label}: {', '.join(valid)}" if valid else f"{label}: none"
    return f"did you mean {near!r}? {listed}" if near else listed


def nearest(name: str, valid: Sequence[str], *, likeness: float = 0.6) -> str | None:
    """Return the valid name that a wrong one was probably meant to be; None: none is like it.

    :param likeness: from 0 (anything) to 1 (the same), as ``difflib`` measures it.
    """
    # Not at the top: a DAG file without a mistake needs no difflib, and every DAG file pays for the imports.
    import difflib

    return next(iter(difflib.get_close_matches(name, valid, n=1, cutoff=likeness)), None)
