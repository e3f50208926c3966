"""YAML 1.2 with positions: the core schema, where NO and on are text, and nothing that can be abused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.scanner import Scanner, ScannerError

from airflow_asyncjob.definition.problems import Path, shown
from airflow_asyncjob.errors import DefinitionError

__all__ = ["LARGEST_FILE", "Loaded", "read_json", "read_yaml"]

LARGEST_FILE = 256 * 1024
"""In bytes; a definition has a few thousand."""
MOST_VALUES = 20_000
"""After aliases are followed."""
DEEPEST = 60


@dataclass(frozen=True)
class Loaded:
    """A file's content.

    :param data: plain Python values.
    :param lines: path: line (from 1) on which it stands.
    """

    data: Any
    lines: Mapping[Path, int]


def read_yaml(content: bytes, source: str) -> Loaded:
    """Return what a YAML 1.2 document holds.

    :param source: the file, for messages.
    :raises DefinitionError: not YAML, more than one document, a key twice, a tag, or over a limit of this
        module.
    """
    text = _text(content, source)
    reader = _Reader(source)
    root = _composed(text, source)
    if root is None:
        raise DefinitionError(f"{source}: the file is empty; a definition is a mapping of sections")
    return Loaded(reader.value(root, (), 0), reader.lines)


def read_json(content: bytes, source: str) -> Loaded:
    """Return what a JSON document holds; lines are known as far as it is YAML too, which nearly all JSON is.

    :raises DefinitionError: not JSON, a key twice, or over a limit of this module.
    """
    text = _text(content, source)
    if not text.strip():
        raise DefinitionError(f"{source}: the file is empty; a definition is a mapping of sections")
    try:
        data = json.loads(text, object_pairs_hook=_no_key_twice, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise DefinitionError(
            f"{source}:{error.lineno}: not valid JSON: {error.msg} (column {error.colno})"
        ) from None
    except (ValueError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DefinitionError(f"{source}: not valid JSON: {said}") from None
    try:
        lines = read_yaml(content, source).lines
    except DefinitionError:
        lines = {}
    return Loaded(data, lines)


def _text(content: bytes, source: str) -> str:
    if len(content) > LARGEST_FILE:
        raise DefinitionError(
            f"{source}: the file is larger than {LARGEST_FILE} bytes, the most that a definition may have"
        )
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DefinitionError(
            f"{source}:{line}: the file is not UTF-8: {error.reason} (byte {error.start})"
        ) from None


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is given twice")
        found[key] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


class _Scanner(Scanner):
    """Stops at a depth that no definition has: brackets in brackets take time that grows by the square."""

    def fetch_flow_collection_start(self, *args: Any, **options: Any) -> None:
        if self.flow_level >= DEEPEST:
            raise ScannerError(None, None, f"nested more than {DEEPEST} levels deep", self.reader.get_mark())
        super().fetch_flow_collection_start(*args, **options)


def _composed(text: str, source: str) -> Node | None:
    reader = YAML(typ="safe", pure=True)
    reader.Scanner = _Scanner
    try:
        root: Node | None = reader.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}" if mark is not None else ""
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise DefinitionError(f"{source}{place}: not valid YAML: {said}") from None
    except (YAMLError, ValueError) as error:
        raise DefinitionError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise DefinitionError(f"{source}: not valid YAML: nested more than {DEEPEST} levels deep") from None
    return root


class _Reader:
    """Makes plain values of the nodes of one document, and remembers where they stand."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.lines: dict[Path, int] = {}
        self.values = 0
        self._open: set[int] = set()

    def value(self, node: Node, path: Path, depth: int) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        self.values += 1
        if self.values > MOST_VALUES:
            self._fail(node, f"the file has more than {MOST_VALUES} values once its aliases are followed")
        if depth > DEEPEST:
            self._fail(node, f"not valid YAML: nested more than {DEEPEST} levels deep")
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            self._fail(node, "an alias leads to a value that holds it")
        self._open.add(id(node))
        result: Any
        if isinstance(node, MappingNode):
            self._plain_tag(node, "map")
            result = self._mapping(node, path, depth)
        else:
            assert isinstance(node, SequenceNode)
            self._plain_tag(node, "seq")
            result = [
                self.value(item, (*path, position), depth + 1) for position, item in enumerate(node.value)
            ]
        self._open.discard(id(node))
        return result

    def _mapping(self, node: Any, path: Path, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._fail(key_node, "a key is text, not a list or a mapping")
            key = self._scalar(key_node)
            if key == "<<" and key_node.style is None:
                self._fail(
                    key_node,
                    "merge keys (<<) are not part of YAML 1.2; write the fields out, or use an alias as a "
                    "whole",
                )
            if key in found and type(key) in {type(k) for k in found if k == key}:
                self._fail(key_node, f"the key {shown(key)} is given twice")
            self.lines[(*path, str(key))] = key_node.start_mark.line + 1
            found[key] = self.value(value_node, (*path, str(key)), depth + 1)
        return found

    def _scalar(self, node: Any) -> Any:
        text = self._whole_characters(node)
        if _has_tag(node):
            self._plain_tag(node, "str")
            return text
        return _core_value(text) if node.style is None else text

    def _whole_characters(self, node: Any) -> str:
        """Join what was escaped as two surrogates, as JSON does."""
        text: str = node.value
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._fail(node, "an escape stands for half a character")

    def _plain_tag(self, node: Any, kind: str) -> None:
        if str(node.tag) != f"tag:yaml.org,2002:{kind}":
            self._fail(node, f"the tag {str(node.tag)!r} is not supported; write the value without it")

    def _fail(self, node: Node, message: str) -> NoReturn:
        raise DefinitionError(f"{self.source}:{node.start_mark.line + 1}: {message}")


def _has_tag(node: Any) -> bool:
    """Return whether a tag was written: ruamel keeps it in the same place as the one that it resolved
    itself.
    """
    mark = node.start_mark
    buffer = getattr(mark, "buffer", None)
    return buffer is not None and buffer[mark.pointer : mark.pointer + 1] == "!"


_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def _core_value(text: str) -> Any:
    """Return what a plain scalar means (YAML 1.2.2, section 10.3.2); infinity and NaN, which JSON lacks, are
    text.
    """
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text) and len(text) < 400:
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return text if number in (float("inf"), float("-inf")) else number
    return text
