"""What a definition makes of one record: ``select`` and ``types``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.results.casing import Casing
from airflow_asyncjob.results.source import Body
from airflow_asyncjob.results.values import as_type

__all__ = ["Shape", "calculates", "plain_field"]

_CALCULATES = frozenset({"function_expression", "comparator"})


class Shape:
    """The ``select`` and ``types`` of a definition, compiled once.

    :param called: stands before the name of a path in messages.
    :raises DefinitionError: a path of ``select`` is not JMESPath.
    """

    def __init__(self, records: Records, called: str = "select of ") -> None:
        self.types = records.types
        self._tabular = records.tabular
        self._from_text = records.tabular or records.format == "xml"
        self._casing = Casing() if records.snake_case else None
        self._called = called
        self._paths = _compiled(records.select, called) if records.select else None

    @property
    def keeps(self) -> bool:
        """Whether a record stays as it came."""
        return self._paths is None and not self.types and self._casing is None

    @property
    def names(self) -> tuple[str, ...] | None:
        """The fields that every record will have; None when the records themselves decide."""
        return None if self._paths is None else tuple(self._paths)

    @property
    def fields(self) -> dict[str, str]:
        """New name: field, for what ``select`` only chooses or renames."""
        found = {name: plain_field(path) for name, path in (self._paths or {}).items()}
        return {name: field for name, field in found.items() if field is not None}

    @property
    def plain(self) -> bool:
        """Whether ``select`` does no more than that, so that columns can stay columns."""
        return len(self.fields) == len(self._paths or {})

    @property
    def columnar(self) -> bool:
        """Whether JSON records can be read into columns without a look at single ones."""
        return self.plain and self._casing is None

    @property
    def exact(self) -> bool:
        """Whether numbers may come as ``Decimal``. JMESPath functions and comparisons only know floats."""
        return self._paths is None or not any(calculates(path.parsed) for path in self._paths.values())

    def named(self, names: Sequence[str], body: Body) -> list[str]:
        """Return names of fields as the definition wants them, which is as they came unless ``snake_case``.

        :raises FormatError: two fields would have the same name.
        """
        return list(names) if self._casing is None else [self._casing.name(name, body) for name in names]

    def apply(self, value: Any, body: Body) -> dict[str, Any]:
        """Return the record as it is to be written.

        :raises FormatError: it is not a record, a path of ``select`` fails on it, or a value is not of its
            type.
        """
        record = _record(value, body) if self._paths is None else self._select(value, body)
        if self._casing is not None and not self._tabular:
            record = dict(zip(self.named(list(record), body), record.values(), strict=True))
        for name, kind in self.types.items():
            if name in record:
                try:
                    record[name] = as_type(record[name], kind, from_text=self._from_text)
                except (ValueError, RecursionError) as error:
                    raise bad_value(body, body.records, name, record[name], kind, str(error)) from None
        return record

    def refuse_others(self, values: Iterable[Any], body: Body) -> None:
        """Check that values are records; those before them have been counted in the body.

        :raises FormatError: one is not.
        """
        for value in values:
            body.records += 1
            _record(value, body)

    def _select(self, value: Any, body: Body) -> dict[str, Any]:
        import jmespath.exceptions

        record = {}
        for name, path in (self._paths or {}).items():
            try:
                record[name] = path.search(value)
            except jmespath.exceptions.JMESPathError as error:
                raise body.wrong(
                    f"{self._called}{name} ({path.expression}) fails on record {body.records}: {error}",
                    "Correct the path, or guard it against values of another type",
                ) from None
        return record


def bad_value(body: Body, record: int, name: str, value: Any, kind: str, why: str) -> Exception:
    """Return the error for a value that is not of its declared type."""
    shown = repr(value)
    return body.wrong(
        f"record {record}, field {name}: {shown[:80]}{'...' if len(shown) > 80 else ''} is not of type "
        f"{kind}: {why}",
        f"Change types ({name}: {kind}), for example to string, or have the API correct the value",
    )


def _record(value: Any, body: Body) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise body.wrong(
        f"record {body.records} is {_named(value)}, not an object with fields",
        "Point records to a list of objects, or make fields of it with select",
    )


def _named(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _compiled(select: dict[str, str], called: str) -> dict[str, Any]:
    import jmespath
    import jmespath.exceptions

    from airflow_asyncjob.definition.paths import record_path

    compiled = {}
    for name, path in select.items():
        try:
            compiled[name] = jmespath.compile(record_path(path))
        except jmespath.exceptions.JMESPathError as error:
            raise DefinitionError(
                f"{called}{name}: {path!r} is not a JMESPath expression: {error}"
            ) from error
    return compiled


def plain_field(path: Any) -> str | None:
    """Return the field that a compiled path names, and does nothing else; None: it does."""
    parsed = path.parsed
    return parsed["value"] if parsed["type"] == "field" else None


def calculates(node: Any) -> bool:
    """Return whether a parsed path calls a function or compares: these only know floats."""
    if not isinstance(node, dict):
        return False
    return node["type"] in _CALCULATES or any(calculates(child) for child in node["children"])
