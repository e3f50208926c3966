"""Transform: a Python callable of the user's, on records or on batches of them."""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_asyncjob.definition.imported import import_callable
from airflow_asyncjob.errors import ResultError
from airflow_asyncjob.results.source import Row

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Transform", "load_transform", "plain_value"]

_LEAVES = (str, int, Decimal, type(None))


@dataclass(frozen=True)
class Transform:
    """A callable, found.

    :param path: where it was imported from, for messages.
    :param call: the callable.
    :param takes: what it is called with: ``row`` (a dict), or ``batch`` or ``table`` of pyarrow.
    """

    path: str
    call: Callable[[Any], Any]
    takes: typing.Literal["row", "batch", "table"]

    def rows(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield what it makes of each record: a dict, None (the record is left out), or a list of dicts.

        :raises ResultError: it fails, or gives something else; the message has the record's number.
        """
        for number, (record, _) in enumerate(rows, 1):
            made = self._called(record, f"record {number}")
            for each in made if isinstance(made, list) else [made]:
                if each is None and made is None:
                    continue
                if not isinstance(each, dict) or not all(isinstance(name, str) for name in each):
                    raise ResultError(
                        f"transform {self.path} gave {_named(each)} for record {number}: expected a dict "
                        "with names as keys, None to leave the record out, or a list of dicts"
                    )
                yield {name: self._plain(value, name, number) for name, value in each.items()}, None

    def batches(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield what it makes of each batch: a batch or table of pyarrow, or None (the batch is left out).

        :raises ResultError: it fails, gives something else, or columns that differ from those before.
        """
        import pyarrow as pa

        schema = None
        for number, batch in enumerate(batches, 1):
            given = pa.Table.from_batches([batch]) if self.takes == "table" else batch
            made = self._called(given, f"batch {number}")
            if made is None:
                continue
            if not isinstance(made, (pa.RecordBatch, pa.Table)):
                raise ResultError(
                    f"transform {self.path} gave {_named(made)} for batch {number}: expected a "
                    "pyarrow.RecordBatch, a pyarrow.Table, or None to leave the batch out"
                )
            schema = made.schema if schema is None else schema
            if not made.schema.equals(schema):
                raise ResultError(
                    f"transform {self.path} gave other columns for batch {number} than before: "
                    f"{_columns(made.schema)}, and before: {_columns(schema)}. Each batch must get the same"
                )
            yield from made.to_batches() if isinstance(made, pa.Table) else [made]

    def _called(self, given: Any, what: str) -> Any:
        try:
            return self.call(given)
        except Exception as error:
            raise ResultError(
                f"transform {self.path} failed on {what}: {type(error).__name__}: {error}"
            ) from error

    def _plain(self, value: Any, name: str, number: int) -> Any:
        try:
            return plain_value(value)
        except ValueError as error:
            raise ResultError(
                f"transform {self.path} gave for record {number}, field {name}, {error}: expected text, a "
                "number, true or false, None, a date, or a list or dict of these"
            ) from None


def load_transform(path: str | None) -> Transform | None:
    """Import a callable.

    :param path: ``package.module:name``; None: there is none.
    :raises DefinitionError: it cannot be imported, or is none.
    """
    if path is None:
        return None
    call = import_callable(path, "transform")
    return Transform(path, call, _taken(call))


def plain_value(value: Any) -> Any:
    """Return a value as JSON types; dates and times as text in ISO 8601.

    :raises ValueError: it is of another type, or not finite; the message names it.
    """
    if isinstance(value, (datetime, date)):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, _LEAVES):
        if isinstance(value, Decimal) and not value.is_finite():
            raise ValueError(f"the number {value}")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"the number {value}")
        return value
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: plain_value(item) for key, item in value.items()}
    raise ValueError(_named(value))


def _taken(call: Any) -> typing.Literal["row", "batch", "table"]:
    """Return what the annotation of the first parameter says."""
    function = call if inspect.isroutine(call) or inspect.isclass(call) else type(call).__call__
    try:
        hints = typing.get_type_hints(function)
        first = next(name for name in inspect.signature(call).parameters)
    except (NameError, TypeError, ValueError, StopIteration):
        return "row"
    hint = hints.get(first)
    name = getattr(hint, "__name__", "") if getattr(hint, "__module__", "").startswith("pyarrow") else ""
    return "batch" if name == "RecordBatch" else "table" if name == "Table" else "row"


def _named(value: Any) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _columns(schema: Any) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
