"""The trace: every exchange of one job, without secrets and without people's data."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

__all__ = ["EXCERPT_CHARACTERS", "Exchange", "Trace", "shape_of"]

EXCERPT_CHARACTERS = 1024
_SHAPE_BYTES = 1024 * 1024
_SHAPE_KEYS = 30
_SHAPE_DEPTH = 4
# A key that is no plain name may be data itself: an address, a customer's number.
_NAME = re.compile(r"[A-Za-z_@#$][\w.\-:]{0,60}")


@dataclass(frozen=True)
class Exchange:
    """One request and what came of it. Every text in it has been through the redactor.

    :param step: which one of several requests, such as ``upload 2 of 5``; empty: it is the only one.
    :param started_at: seconds since the epoch.
    :param elapsed: seconds.
    :param request_shape: of the request's body: names and types, no values; None: no body.
    :param code: None when no answer came.
    :param response_bytes: of the answer's body, after Content-Encoding; of a download, what was read.
    :param response: up to 1024 characters of a submit or status answer, or of any error answer; empty for
        others.
    :param fault: how it failed; None when it was answered.
    """

    purpose: str
    method: str
    url: str
    started_at: float
    elapsed: float
    request_headers: Mapping[str, str] = field(default_factory=dict)
    request_bytes: int = 0
    request_shape: Any = None
    code: int | None = None
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_bytes: int = 0
    response: str = ""
    fault: str | None = None
    detail: str = ""
    step: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object; the start also as text in UTC."""
        started = datetime.fromtimestamp(self.started_at, UTC).isoformat(timespec="milliseconds")
        return {**asdict(self), "started": started, "elapsed": round(self.elapsed, 4)}


class Trace:
    """The exchanges of one job, the first and the last ones when there are many.

    :param limit: how many are kept, half from the start and half from the end.
    """

    def __init__(self, limit: int = 400) -> None:
        self._first_kept = (limit + 1) // 2
        self._first: list[Exchange] = []
        self._last: deque[Exchange] = deque(maxlen=limit // 2)
        self._seen = 0
        self._told: list[Callable[[Exchange], object]] = []

    def follow(self, tell: Callable[[Exchange], object]) -> None:
        """Have every exchange from now on told as soon as it is noted."""
        self._told.append(tell)

    def __len__(self) -> int:
        return self._seen

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """The kept exchanges in their order."""
        return (*self._first, *self._last)

    def add(self, exchange: Exchange) -> None:
        """Note an exchange."""
        self._seen += 1
        if len(self._first) < self._first_kept:
            self._first.append(exchange)
        else:
            self._last.append(exchange)
        for tell in self._told:
            tell(exchange)

    def to_dict(self) -> dict[str, Any]:
        """Return the trace as a JSON object: version, exchanges, left_out (how many in the middle)."""
        kept = [exchange.to_dict() for exchange in self.exchanges]
        return {"version": 1, "exchanges": kept, "left_out": self._seen - len(kept)}

    def to_json(self) -> str:
        """Return the trace as JSON text, indented for people."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"


def shape_of(body: bytes | None, content_type: str | None) -> Any:
    """Return names and types of a body, without its values; None: there is no body."""
    if not body:
        return None
    kind = (content_type or "").split(";", 1)[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        pairs = parse_qsl(body[:_SHAPE_BYTES].decode("utf-8", "replace"), keep_blank_values=True)
        return _shape(dict(pairs), 0)
    if "json" in kind and len(body) <= _SHAPE_BYTES:
        try:
            return _shape(json.loads(body), 0)
        except ValueError:
            pass
    return f"{kind or 'body'} of {len(body):,} bytes"


def _shape(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        if depth >= _SHAPE_DEPTH:
            return f"object of {len(value)}"
        named = {
            (key if _NAME.fullmatch(key) else "…"): _shape(item, depth + 1)
            for key, item in islice(value.items(), _SHAPE_KEYS)
        }
        return named | ({"…": f"{len(value) - _SHAPE_KEYS} more"} if len(value) > _SHAPE_KEYS else {})
    if isinstance(value, list):
        return (
            f"list of {len(value)}"
            if not value or depth >= _SHAPE_DEPTH
            else [_shape(value[0], depth + 1), f"{len(value)} in all"]
        )
    if isinstance(value, str):
        return f"string of {len(value)}"
    return {bool: "boolean", int: "integer", float: "number", type(None): "null"}[type(value)]
