"""Runs: many records of JSON at once.

msgspec decodes a run several times as fast as the standard library decodes its records; what it does not take
is read one by one, and gets its exact error there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from airflow_asyncjob.results.jsontext import dumps, loads
from airflow_asyncjob.results.source import Body, Row

__all__ = ["Run", "block_of_lines", "block_values", "decoded", "one_by_one", "raw_values", "runs_of_rows"]

_AT_ONCE = 1000


@dataclass(frozen=True)
class Run:
    """Records that came one after the other.

    :param values: the records.
    :param block: a JSON list of exactly these, where it is at hand.
    :param texts: of each, its own text where that is on one line; empty: not at hand.
    :param batch: a ``pyarrow.RecordBatch`` of the records in place of ``values``, which are empty then; see
        :mod:`airflow_asyncjob.results.flat`.
    :param lines: with ``batch``: the text of the records, one a line.
    """

    values: list[Any]
    block: bytes | None = None
    texts: list[bytes | None] | None = None
    batch: Any = None
    lines: bytes = b""

    @property
    def size(self) -> int:
        """How many records there are."""
        return len(self.values) if self.batch is None else int(self.batch.num_rows)

    def exact_values(self) -> list[Any]:
        """Return the records with every digit of their numbers."""
        return block_values(self.as_block(), exact=True)

    def as_block(self) -> bytes:
        """Return a JSON list of the records.

        :raises RecursionError: one is nested too deep.
        """
        if self.block is not None:
            return self.block
        return f"[{','.join(map(dumps, self.values))}]".encode("utf-8", "surrogatepass")


def block_of_lines(lines: bytes) -> bytes:
    """Return a JSON list of documents that stand one a line, none of them blank."""
    return b"[" + lines.replace(b"\n", b",") + b"]"


def decoded(block: bytes, *, exact: bool) -> list[Any] | None:
    """Return the values of a JSON list, or None where the standard library has to read it.

    :param exact: numbers with a fraction as ``Decimal``; else as floats.
    """
    return _tried(_decoders()[exact], block)


def block_values(block: bytes, *, exact: bool) -> list[Any]:
    """Return the values of a list that is certainly JSON; ``exact`` as in :func:`decoded`."""
    values = decoded(block, exact=exact)
    return list(loads(block.decode("utf-8", "surrogatepass"))) if values is None else values


def raw_values(block: bytes) -> list[bytes] | None:
    """Return the texts of the values of a JSON list; None where it is none, or cannot be told."""
    found = _tried(_decoders()[2], block)
    return None if found is None else list(map(bytes, found))


def one_by_one(runs: Iterable[Run], body: Body) -> Iterator[Row]:
    """Yield the records of runs, and count them."""
    for run in runs:
        for value, text in zip(run.values, run.texts or [None] * len(run.values), strict=True):
            body.records += 1
            yield value, text


def runs_of_rows(rows: Iterable[Row]) -> Iterator[Run]:
    """Yield rows in runs; text that came with every one of them is kept."""
    values: list[Any] = []
    texts: list[bytes | None] = []
    for value, text in rows:
        values.append(value)
        texts.append(text)
        if len(values) == _AT_ONCE:
            yield _run(values, texts)
            values, texts = [], []
    if values:
        yield _run(values, texts)


def _run(values: list[Any], texts: list[bytes | None]) -> Run:
    known = [text for text in texts if text is not None]
    return Run(values, b"[" + b",".join(known) + b"]" if len(known) == len(texts) else None, texts)


def _tried(decode: Callable[[bytes], list[Any]], block: bytes) -> list[Any] | None:
    import msgspec

    try:
        return decode(block)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None


@cache
def _decoders() -> tuple[Callable[[bytes], Any], ...]:
    import msgspec

    return (
        msgspec.json.Decoder(list[Any]).decode,
        msgspec.json.Decoder(list[Any], float_hook=Decimal).decode,
        msgspec.json.Decoder(list[msgspec.Raw]).decode,
    )
