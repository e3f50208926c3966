"""What the API gets of a record: ``fields``, ``types`` and ``required``, compiled once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from airflow_asyncjob.definition.models.upload import Upload
from airflow_asyncjob.definition.problems import kind_of, shown
from airflow_asyncjob.definition.values import MISSING
from airflow_asyncjob.errors import SourceError
from airflow_asyncjob.results.shape import calculates, plain_field
from airflow_asyncjob.results.values import as_type
from airflow_asyncjob.uploads.readers import Chunk, Reader

__all__ = ["Mapper", "Unmappable", "needs_exact"]


class Unmappable(ValueError):
    """A record cannot be sent; the text says which field, and why."""


class Mapper:
    """Makes the API's fields of the caller's records.

    :raises SourceError: ``fields`` names a column that the source lacks.
    """

    def __init__(self, upload: Upload, reader: Reader) -> None:
        self._types = upload.types
        self._required = upload.required
        self._from_text = reader.from_text
        self._fields = None if upload.fields is None else _compiled(upload.fields)
        self._check(upload, reader)
        self._row = _row_getter(self._fields, reader.columns)

    def records(self, chunk: Chunk, start: int) -> Iterator[dict[str, Any] | Unmappable]:
        """Yield what becomes of each record of a chunk, or why it cannot be sent."""
        finish = self._finish if self._types or self._required else None
        if chunk.names is not None and self._row is not None:
            names, row = self._row
            for value in chunk.values[start:] if start else chunk.values:
                mapped = dict(zip(names, row(value), strict=True))
                yield mapped if finish is None else finish(mapped)
            return
        for at in range(start, len(chunk.values)):
            yield self._mapped(chunk.record(at))

    def _mapped(self, record: Any) -> dict[str, Any] | Unmappable:
        if not isinstance(record, Mapping):
            return Unmappable(f"it is {kind_of(record)}, not a mapping with fields")
        if self._fields is None:
            return self._finish(dict(record))
        mapped = {}
        for name, find in self._fields.items():
            try:
                value = find(record)
            except ValueError as error:
                return Unmappable(f"field {name}: {error}")
            if value is not MISSING:
                mapped[name] = value
        return self._finish(mapped)

    def _finish(self, mapped: dict[str, Any]) -> dict[str, Any] | Unmappable:
        for name, kind in self._types.items():
            if name in mapped:
                try:
                    mapped[name] = as_type(mapped[name], kind, from_text=self._from_text)
                except (ValueError, RecursionError) as error:
                    return Unmappable(f"field {name}: {shown(mapped[name])} is not of type {kind}: {error}")
        for name in self._required:
            value = mapped.get(name)
            if value is None or value == "":
                is_there = "empty" if value == "" else "null" if name in mapped else "not there"
                return Unmappable(f"field {name} is required, and is {is_there}")
        return mapped

    def _check(self, upload: Upload, reader: Reader) -> None:
        """Find names that no record of a source in columns has."""
        if not reader.columns:
            return
        named: dict[str, Sequence[str]] = {"key": upload.key}
        if upload.fields is None:
            named |= {"types": tuple(upload.types), "required": upload.required}
        else:
            named["fields"] = [
                plain for path in upload.fields.values() if (plain := plain_field(_compile(path)))
            ]
        for place, names in named.items():
            unknown = [name for name in names if name not in reader.columns]
            if unknown:
                raise SourceError(
                    f"{reader.name} has no column {', '.join(map(repr, unknown))}, which "
                    f"submit.upload.{place} names. Its columns are: {', '.join(reader.columns)}. Correct "
                    f"submit.upload.{place}."
                )


def needs_exact(upload: Upload) -> bool:
    """Return whether numbers may come as ``Decimal``: functions of JMESPath only know floats."""
    return upload.fields is None or not any(
        calculates(_compile(path).parsed) for path in upload.fields.values()
    )


def _row_getter(
    fields: Mapping[str, Any] | None, columns: Sequence[str] | None
) -> tuple[Sequence[str], Callable[[Any], Sequence[Any]]] | None:
    """Return how a row of columns becomes a record without looking at names; None: it does not."""
    if not columns:
        return None
    if fields is None:
        return columns, tuple
    plain = [getattr(find, "plain", None) for find in fields.values()]
    if None in plain:
        return None
    places = [list(columns).index(name) for name in plain if name is not None]
    getter = itemgetter(*places)
    if len(places) == 1:
        return list(fields), lambda row: (getter(row),)
    return list(fields), getter


class _Named:
    """A field of the record, by its name."""

    def __init__(self, name: str) -> None:
        self.plain = name

    def __call__(self, record: Mapping[str, Any]) -> Any:
        return record.get(self.plain, MISSING)


class _Searched:
    """What a JMESPath finds; of names with dots between them, nothing where a name is not there."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._compiled = _compile(path)
        self._names = _dotted(self._compiled.parsed)

    def __call__(self, record: Mapping[str, Any]) -> Any:
        if self._names is None:
            return self._searched(record)
        value: Any = record
        for name in self._names:
            value = value.get(name, MISSING) if isinstance(value, Mapping) else MISSING
        return value

    def _searched(self, record: Mapping[str, Any]) -> Any:
        import jmespath.exceptions

        try:
            return self._compiled.search(record)
        except jmespath.exceptions.JMESPathError as error:
            raise ValueError(f"{self._path} fails: {error}") from None


def _compiled(fields: Mapping[str, str]) -> dict[str, Callable[[Mapping[str, Any]], Any]]:
    found: dict[str, Callable[[Mapping[str, Any]], Any]] = {}
    for name, path in fields.items():
        plain = plain_field(_compile(path))
        found[name] = _Searched(path) if plain is None else _Named(plain)
    return found


def _compile(path: str) -> Any:
    import jmespath

    from airflow_asyncjob.definition.paths import record_path

    return jmespath.compile(record_path(path))


def _dotted(tree: Any) -> list[str] | None:
    if tree["type"] == "field":
        return [tree["value"]]
    if tree["type"] != "subexpression":
        return None
    parts = [_dotted(child) for child in tree["children"]]
    return None if None in parts else [name for part in parts for name in part or ()]
