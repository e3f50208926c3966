"""Callables that the tests of transform name by their import path."""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def upper(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "name": record["name"].upper(), "day": datetime.date(2026, 11, 22)}


def only_ann(record: dict[str, Any]) -> dict[str, Any] | None:
    return record if record["name"] == "Ann" else None


def twice(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [record, {**record, "id": f"{record['id']}b"}]


def counted(record: dict[str, Any]) -> dict[str, Any]:
    return {"name": record["name"], "n": len(record["name"])}


def adds_n(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "n": "3x"}


def on_batches(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.append_column("size", pc.utf8_length(batch.column("name")))


def on_tables(table: pa.Table) -> pa.Table | None:
    return table.filter(pc.equal(table["name"], "Ann"))


class Callable:
    """An object that is called."""

    def __call__(self, record: dict[str, Any]) -> dict[str, Any]:
        return {"id": record["id"]}


an_object = Callable()
not_callable = 5


def fails(record: dict[str, Any]) -> dict[str, Any]:
    return {"x": record["missing"]}


def gives_a_number(record: dict[str, Any]) -> Any:
    return 5


def gives_bytes(record: dict[str, Any]) -> dict[str, Any]:
    return {"x": b"1"}


def gives_nan(record: dict[str, Any]) -> dict[str, Any]:
    return {"x": float("nan")}


def gives_rows_for_batches(batch: pa.RecordBatch) -> Any:
    return []


def gives_other_columns(table: pa.Table) -> pa.Table:
    return table.rename_columns([f"{name}{table.num_rows}" for name in table.column_names])
