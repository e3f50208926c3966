"""The first rows of a result, where the definition asks for them (``result.preview_rows``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_asyncjob.panel.sizes import cut, size_of

__all__ = ["PREVIEW_BYTES", "preview_of"]

PREVIEW_BYTES = 16 * 1024
"""Of a preview as Airflow's task state store counts them, at most."""
_CELL_BYTES = 200
_COLUMNS = 60


def preview_of(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return ``{version, columns, rows, left_out}`` of the records that fit.

    Long values are cut, and columns after the 60th are left out (``left_out`` says how many); so are the last
    rows when all together are too large.
    """
    taken = list(records)
    names = list(dict.fromkeys(str(name) for record in taken for name in record))
    columns = names[:_COLUMNS]
    preview: dict[str, Any] = {
        "version": 1,
        "columns": [cut(name, _CELL_BYTES) for name in columns],
        "rows": [],
        "left_out": len(names) - len(columns),
    }
    room = PREVIEW_BYTES - size_of(preview)
    for record in taken:
        row = [cut(_plain(record.get(name)), _CELL_BYTES) for name in columns]
        room -= size_of(row) + 2
        if room < 0:
            break
        preview["rows"].append(row)
    return preview


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int, float, list, dict)):
        try:
            size_of(value)
        except (TypeError, ValueError):
            return str(value)
        return value
    return str(value)
