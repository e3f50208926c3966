"""How a record is written in a part, and what stands around the records."""

from __future__ import annotations

import csv
import json
import math
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from airflow_asyncjob.definition.models.upload import Upload
from airflow_asyncjob.definition.problems import kind_of, shown
from airflow_asyncjob.definition.render import xml_of_tree
from airflow_asyncjob.definition.templates import render, text_of, whole_name
from airflow_asyncjob.results.values import as_cell
from airflow_asyncjob.uploads.mapping import Unmappable
from airflow_asyncjob.uploads.readers import Binary
from airflow_asyncjob.uploads.xmltext import element

__all__ = ["CONTENT_TYPES", "Encode", "Frame", "encoder_of", "frame_of"]

Encode = Callable[[Mapping[str, Any], int], bytes]
"""From the mapped record and its number among those sent to its bytes.

:raises Unmappable: it cannot be written so.
"""

CONTENT_TYPES: Mapping[str, str] = {
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "xml": "application/xml; charset=utf-8",
}
"""Content-Type of a part, by the format of the upload."""

_PLACE = "submit.upload.envelope"


@dataclass(frozen=True)
class Frame:
    """What stands before, between and after the records of a part."""

    head: bytes = b""
    between: bytes = b""
    tail: bytes = b""

    @property
    def size(self) -> int:
        """In bytes, without records."""
        return len(self.head) + len(self.tail)


def frame_of(upload: Upload, names: Mapping[str, Any], columns: Sequence[str]) -> Frame:
    """Return what stands around the records of each part.

    :param names: that the templates of the envelope see.
    :param columns: with csv: the names of the header.
    :raises TemplateError: the envelope cannot be rendered, or written.
    """
    if upload.format == "csv":
        return Frame(_csv_line(upload)(columns) if upload.csv.header else b"")
    if upload.format == "jsonl":
        return Frame()
    mark = secrets.token_hex(16)
    tree = _rendered(upload.envelope, names, mark, _PLACE)
    if upload.format == "xml":
        head, tail = xml_of_tree(tree, _PLACE).encode().split(mark.encode())
        return Frame(head, b"", tail)
    if tree is None:
        return Frame(b"[", b",", b"]")
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=text_of)
    head, tail = text.encode().split(f'"{mark}"'.encode())
    return Frame(head + b"[", b",", b"]" + tail)


def _rendered(tree: Any, names: Mapping[str, Any], mark: str, where: str) -> Any:
    """Return the envelope rendered, with a mark where the records go."""
    if isinstance(tree, str):
        return mark if whole_name(tree) == "records" else render(tree, names, where=where)
    if isinstance(tree, Mapping):
        return {
            render(key, names, where=where): _rendered(item, names, mark, f"{where}.{key}")
            for key, item in tree.items()
        }
    if isinstance(tree, (list, tuple)):
        return [_rendered(item, names, mark, f"{where}[{at}]") for at, item in enumerate(tree)]
    return tree


def encoder_of(upload: Upload, columns: Sequence[str]) -> Encode:
    """Return what writes a record.

    :param columns: with csv: the fields, in their order.
    """
    if upload.format == "csv":
        return _csv_encoder(upload, columns)
    nested = any("." in name for name in upload.fields or ())
    encode = _xml_encoder(upload.wrap) if upload.format == "xml" else _json_encoder(upload)
    return (lambda mapped, number: encode(_nested(mapped), number)) if nested else encode


def _nested(mapped: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in mapped.items():
        *outer, last = name.split(".")
        holder = tree
        for part in outer:
            holder = holder.setdefault(part, {})
        holder[last] = value
    return tree


# JSON -----------------------------------------------------------------------------------------------------


def _json_encoder(upload: Upload) -> Encode:
    import msgspec

    # Decimals keep their digits, and texts are not escaped beyond what JSON demands.
    plain = msgspec.json.Encoder(decimal_format="number").encode
    end = b"\n" if upload.format == "jsonl" else b""
    around = None if upload.wrap is None else _json_parts(upload.wrap)
    others = _beside(upload.wrap)

    def encode(mapped: Mapping[str, Any], number: int) -> bytes:
        _refuse_clash(mapped, others)
        try:
            data = plain(mapped)
            if b"null" in data:
                _refuse_infinite(mapped)
        except (UnicodeEncodeError, TypeError, ValueError, RecursionError) as error:
            raise _unwritable(mapped, plain, error) from None
        if around is None:
            return data + end
        own = {_NUMBER: str(number).encode(), _RECORD: data, _FIELDS: data[1:-1]}
        return b"".join([own.get(part, part) for part in around]) + end

    return encode


_RECORD, _FIELDS, _NUMBER = b"{{ record }}", b"{{ fields }}", b"{{ number }}"
"""What stands in the pieces around a record for itself, for its fields, and for its number."""
_SPREAD = "*"
"""The name in a tree under which a record's fields stand among the others."""


def _beside(tree: Any) -> frozenset[str] | None:
    """Return the names that the fields of a record stand among; None: they stand alone."""
    if isinstance(tree, Mapping):
        if whole_name(str(tree.get(_SPREAD))) == "record":
            return frozenset(tree) - {_SPREAD}
        tree = list(tree.values())
    found = [_beside(item) for item in tree] if isinstance(tree, (list, tuple)) else []
    return next((names for names in found if names is not None), None)


def _refuse_clash(mapped: Mapping[str, Any], others: frozenset[str] | None) -> None:
    if others is None:
        return
    if not mapped:
        raise Unmappable("it has no fields")
    for name in others.intersection(mapped):
        raise Unmappable(f"field {name}: submit.upload.wrap has a field of that name already")


def _json_parts(wrap: Any) -> list[bytes]:
    """Return the text around a record in pieces, with marks for the record and its number."""
    marks = {name: secrets.token_hex(16) for name in ("record", "number", "fields")}

    def marked(tree: Any) -> Any:
        if isinstance(tree, str):
            return marks.get(whole_name(tree) or "", tree)
        if isinstance(tree, Mapping):
            spread = whole_name(str(tree.get(_SPREAD))) == "record"
            return {
                key: marks["fields"] if spread and key == _SPREAD else marked(item)
                for key, item in tree.items()
            }
        return [marked(item) for item in tree] if isinstance(tree, (list, tuple)) else tree

    text = json.dumps(marked(wrap), ensure_ascii=False, separators=(",", ":"))
    text = text.replace(f'"{_SPREAD}":"{marks["fields"]}"', f'"{marks["fields"]}"')
    pieces = re.split(f'"({"|".join(marks.values())})"', text)
    special = {marks["record"]: _RECORD, marks["number"]: _NUMBER, marks["fields"]: _FIELDS}
    return [special.get(piece, piece.encode()) for piece in pieces if piece]


def _refuse_infinite(value: Any) -> None:
    """Find a number that JSON has not: it is written as null."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a number that JSON can hold")
    for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        _refuse_infinite(item)


def _unwritable(mapped: Mapping[str, Any], encode: Callable[[Any], bytes], error: Exception) -> Unmappable:
    for name, value in mapped.items():
        try:
            encode({name: value})
            _refuse_infinite(value)
        except UnicodeEncodeError:
            return Unmappable(f"field {name}: it holds a lone surrogate (such as \\ud800), which is not text")
        except RecursionError:
            return Unmappable(f"field {name}: it is nested too deep")
        except (TypeError, ValueError) as found:
            said = str(found) if isinstance(found, ValueError) else f"it is {_kind(value)}, {_NOT_JSON}"
            return Unmappable(f"field {name}: {said}")
    return Unmappable(f"it cannot be written as JSON: {error}")


def _kind(value: Any) -> str:
    return "bytes that are no text" if isinstance(value, Binary) else kind_of(value)


_NOT_JSON = "which JSON cannot hold"

# CSV ------------------------------------------------------------------------------------------------------


class _Echo:
    """What csv.writer writes to: the line is the value of its call."""

    @staticmethod
    def write(text: str) -> str:
        return text


def _csv_line(upload: Upload) -> Callable[[Sequence[Any]], bytes]:
    # With \r\n as the end of a line, both characters are quoted in a value.
    given = upload.csv
    writer = csv.writer(
        cast("Any", _Echo), delimiter=given.delimiter, quotechar=given.quote, lineterminator="\r\n"
    )
    writerow = cast("Callable[[Sequence[Any]], str]", writer.writerow)
    return lambda row: writerow(row)[:-2].encode() + b"\n"


def _csv_encoder(upload: Upload, columns: Sequence[str]) -> Encode:
    line = _csv_line(upload)
    known = set(columns)

    def encode(mapped: Mapping[str, Any], number: int) -> bytes:
        if not known.issuperset(mapped):
            others = ", ".join(repr(name) for name in mapped if name not in known)
            raise Unmappable(f"field {others}: no column has that name; the columns are {', '.join(columns)}")
        try:
            return line([as_cell(mapped.get(name)) for name in columns])
        except (UnicodeEncodeError, TypeError, ValueError, RecursionError, csv.Error):
            raise _wrong_cell(mapped) from None

    return encode


def _wrong_cell(mapped: Mapping[str, Any]) -> Unmappable:
    for name, value in mapped.items():
        try:
            (as_cell(value) or "").encode()
        except UnicodeEncodeError:
            return Unmappable(f"field {name}: it holds a lone surrogate (such as \\ud800), which is not text")
        except (TypeError, ValueError, RecursionError) as error:
            return Unmappable(f"field {name}: {shown(value)} cannot be written: {error}")
    return Unmappable("it cannot be written as CSV")


# XML ------------------------------------------------------------------------------------------------------


def _xml_encoder(wrap: Mapping[str, Any]) -> Encode:
    ((root, tree),) = wrap.items()

    def filled(tree: Any, mapped: Mapping[str, Any], number: int) -> Any:
        if isinstance(tree, str):
            name = whole_name(tree)
            return mapped if name == "record" else number if name == "number" else tree
        if isinstance(tree, Mapping):
            made: dict[str, Any] = {}
            for key, item in tree.items():
                value = filled(item, mapped, number)
                made |= value if key == _SPREAD and value is mapped else {key: value}
            return made
        return [filled(item, mapped, number) for item in tree] if isinstance(tree, (list, tuple)) else tree

    others = _beside(tree)

    def encode(mapped: Mapping[str, Any], number: int) -> bytes:
        _refuse_clash(mapped, others)
        try:
            return element(root, filled(tree, mapped, number)).encode()
        except ValueError as error:
            raise Unmappable(str(error)) from None
        except RecursionError:
            raise Unmappable("it is nested too deep") from None

    return encode
