"""How large a value is where Airflow keeps it."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["cut", "size_of"]


def size_of(value: Any) -> int:
    """Return the bytes of a JSON value as Airflow's task state store counts them: one for each character of
    ``json.dumps``, which writes what is not ASCII as six or twelve.
    """
    return len(json.dumps(value))


def cut(value: Any, limit: int) -> Any:
    """Return a JSON value whose JSON text is at most ``limit`` bytes: itself, or the start of its text.

    :param limit: 16 or more.
    """
    if value is None or size_of(value) <= limit:
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    while size_of(text + "…") > limit:
        text = text[: max(min(len(text) - 1, limit * len(text) // size_of(text)), 0)]
    return text + "…"
