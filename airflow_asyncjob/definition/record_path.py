"""Where the records of a JSON or XML document lie: paths that can be followed while the document streams."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from airflow_asyncjob.definition.problems import shown

__all__ = ["Level", "json_levels", "xml_levels"]

_PART = re.compile(
    r"""(?P<name>[^.\[\]*|&@`'"\s](?:[^.\[\]*|&@`'"]*[^.\[\]*|&@`'"\s])?)|(?P<each>\[\*\]|\*)"""
)
_FROM_JSON = "fromjson"
_XML = re.compile(r"(?:/[^/\s@*\[\]]+)+")


@dataclass(frozen=True)
class Level:
    """One step down into a JSON document.

    :param kind: ``name``: the field of an object; ``each``: every element of a list, or every value of an
        object; ``fromjson``: the document that a text holds.
    :param name: of the field.
    """

    kind: Literal["name", "each", "fromjson"]
    name: str = ""


def json_levels(path: str) -> tuple[Level, ...]:
    """Return the levels of a path such as ``data.items``, ``pages[*].rows`` or ``payload | fromjson | rows``.

    :raises ValueError: it is none; the message does not name the field.
    """
    levels: list[Level] = []
    segments = [segment.strip() for segment in path.split("|")]
    for position, segment in enumerate(segments):
        if segment == _FROM_JSON:
            levels.append(Level("fromjson"))
            continue
        if position and segments[position - 1] != _FROM_JSON:
            raise ValueError(_wrong(path))
        levels += _dotted(segment, path)
    return tuple(levels)


def xml_levels(path: str) -> tuple[str, ...]:
    """Return the local names of a path such as ``/Report/Orders/Order``.

    :raises ValueError: it is none; the message does not name the field.
    """
    if not _XML.fullmatch(path):
        raise ValueError(
            f"{shown(path)} is not a path of XML names from the root to one record, such as "
            "/Report/Orders/Order"
        )
    return tuple(name.rpartition(":")[2] for name in path[1:].split("/"))


def _dotted(segment: str, path: str) -> list[Level]:
    levels: list[Level] = []
    at = 0
    while at < len(segment) or not levels:
        if levels and segment[at] == ".":
            at += 1
        elif levels and not segment.startswith("[", at):
            raise ValueError(_wrong(path))
        match = _PART.match(segment, at)
        if match is None:
            raise ValueError(_wrong(path))
        levels.append(Level("each") if match["each"] else Level("name", match["name"]))
        at = match.end()
    return levels


def _wrong(path: str) -> str:
    return (
        f"{shown(path)} is not a dotted path of names, such as data.items; [*] stands for every element of a "
        "list, and payload | fromjson reads JSON that lies in a text"
    )
