"""Paths: JMESPath into a body, and paths of XML local names."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jmespath
import jmespath.exceptions
import jmespath.functions

from airflow_asyncjob.definition.problems import did_you_mean, shown
from airflow_asyncjob.definition.values import MISSING
from airflow_asyncjob.errors import DefinitionError, UnreadableError

__all__ = ["Matches", "check_path", "check_record_path", "path_value", "record_path"]


class Matches(list[Any]):
    """What a path that can match several values matched."""


def check_path(path: str) -> None:
    """Check the syntax of a path.

    :raises DefinitionError: it is neither a JMESPath nor a path of XML local names; the message does not
        name the field.
    """
    if path.startswith("/"):
        _xml_steps(path)
    else:
        _compiled(_as_jmespath(path), path)


def check_record_path(path: str) -> None:
    """Check the syntax of a path into a record, which is JMESPath and nothing else.

    :raises DefinitionError: it is none; the message does not name the field.
    """
    _compiled(record_path(path), path)


def record_path(path: str) -> str:
    """Return a path into a record as JMESPath has it: ``@id``, an attribute of XML, is written in quotes."""
    return _as_jmespath(path, text=False)


def path_value(path: str, body: Any) -> Any:
    """Return what a path finds: a value, MISSING, or :class:`Matches` of a path that can match several.

    :raises UnreadableError: a function of the path does not take what is in the body.
    """
    if path.startswith("/"):
        return _walk_xml(_xml_steps(path), body)
    compiled, several = _prepared(path)
    try:
        value = compiled.search(body, _OPTIONS)
    except jmespath.exceptions.JMESPathError as error:
        raise UnreadableError(f"path {path!r} does not work on this answer: {error}") from None
    if several:
        return Matches(_collapsed(item) for item in value or ())
    if value is None and not _present(compiled.parsed, body):
        return MISSING
    return _collapsed(value)


def _collapsed(value: Any) -> Any:
    """Return the text of an XML element that has attributes and text only; of a list of them, of each."""
    if isinstance(value, dict) and "#text" in value and all(key[:1] in "@#" for key in value):
        return value["#text"]
    return [_collapsed(item) for item in value] if isinstance(value, list) else value


@functools.lru_cache(maxsize=1024)
def _prepared(path: str) -> tuple[Any, bool]:
    """Return a path compiled, and whether it can match several values."""
    compiled = _compiled(_as_jmespath(path), path)
    return compiled, _can_match_several(compiled.parsed)


@functools.lru_cache(maxsize=1024)
def _compiled(jmes: str, path: str) -> Any:
    try:
        compiled = jmespath.compile(jmes)
    except jmespath.exceptions.JMESPathError as error:
        said = str(error).splitlines()[0] if str(error) else "empty"
        raise DefinitionError(f"{shown(path)} is not a JMESPath: {said}") from None
    except RecursionError:
        raise DefinitionError(f"{shown(path)} is not a JMESPath: nested too deeply") from None
    for name in _functions(compiled.parsed):
        if name not in _FUNCTIONS:
            valid = did_you_mean(name, sorted(_FUNCTIONS - {_TEXT}))
            raise DefinitionError(f"{shown(path)} is not a JMESPath: there is no function {name}; {valid}")
    return compiled


class _Functions(jmespath.functions.Functions):
    """The functions of JMESPath, and the text of an XML element, be it with attributes or without."""

    @jmespath.functions.signature({"types": []})
    def _func__text(self, element: Any) -> Any:
        return element.get("#text") if isinstance(element, dict) else element


_TEXT = "_text"
_OPTIONS = jmespath.Options(custom_functions=_Functions())
_FUNCTIONS = frozenset(_Functions.FUNCTION_TABLE)

_QUOTED_OR_ATTRIBUTE = re.compile(
    r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`)|(^|\.)@([A-Za-z_][\w:-]*)|(\.)@"""
)


def _as_jmespath(path: str, *, text: bool = True) -> str:
    """Write ``Feed.@id``, an attribute, and ``Feed.@``, the text of an element, as JMESPath has them."""

    def written(match: re.Match[str]) -> str:
        quoted, before, attribute, whole = match.groups()
        if quoted or (whole and not text):
            return match[0]
        return f".{_TEXT}(@)" if whole else f'{before}"@{attribute}"'

    return _QUOTED_OR_ATTRIBUTE.sub(written, path)


def _functions(tree: Any) -> Iterator[str]:
    if isinstance(tree, Mapping):
        if tree.get("type") == "function_expression":
            yield tree["value"]
        for child in tree.get("children", ()):
            yield from _functions(child)


_SEVERAL = {"projection", "value_projection", "filter_projection", "flatten"}


def _can_match_several(tree: Mapping[str, Any]) -> bool:
    if tree["type"] in ("pipe", "subexpression", "index_expression"):
        return _can_match_several(tree["children"][-1])
    return tree["type"] in _SEVERAL


def _present(tree: Mapping[str, Any], body: Any) -> bool:
    """Return whether a plain path (names and positions only) leads to a value, be it null."""
    return _step(tree, body) is not MISSING


def _step(tree: Mapping[str, Any], value: Any) -> Any:
    match tree["type"]:
        case "current" | "identity":
            return value
        case "field":
            return value.get(tree["value"], MISSING) if isinstance(value, Mapping) else MISSING
        case "index":
            inside = isinstance(value, list) and -len(value) <= tree["value"] < len(value)
            return value[tree["value"]] if inside else MISSING
        case "subexpression" | "index_expression":
            for child in tree["children"]:
                value = _step(child, value)
            return value
    return MISSING


_XML_STEP = re.compile(r"[^\W\d][\w.-]*")


@functools.lru_cache(maxsize=1024)
def _xml_steps(path: str) -> tuple[str, ...]:
    steps = tuple(path.removeprefix("/").split("/"))
    for position, step in enumerate(steps):
        name = step.removeprefix("@") if position == len(steps) - 1 else step
        if not _XML_STEP.fullmatch(name):
            raise DefinitionError(
                f"{shown(path)} is not a path of XML names: {shown(step)} is wrong; write /Parent/Child or "
                "/Parent/Child/@attribute, names without prefix"
            )
    return steps


def _walk_xml(steps: tuple[str, ...], body: Any) -> Matches:
    level = [body]
    for step in steps:
        level = [item for node in level for item in _children(node, step)]
    return Matches(_collapsed(item) for item in level)


def _children(node: Any, step: str) -> list[Any]:
    if not isinstance(node, Mapping):
        return []
    found: list[Any] = []
    for key, value in node.items():
        local = _local(key)
        if local == step:
            found.extend(value if isinstance(value, list) else [value])
    return found


def _local(key: str) -> str:
    attribute = "@" if key.startswith("@") else ""
    return attribute + key.removeprefix("@").rpartition(":")[2]
