"""Flat JSON Lines as columns: Arrow reads a block of them several times as fast as records are made of it.

Whatever Arrow might read in another way than the grammar of JSON says, or change, is left to the readers of
records: nested values, several types in one field, numbers that a double does not hold, a name that comes
twice, lone surrogates, and lines that are documents only together.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FlatReader"]

# All that is left of lines that are flat is {} and the line break; and that with one look at each byte.
_BUT_MARKS = bytes(set(range(256)) - set(b"{}\n"))
# As in "name": [1]; the same within a text only costs the speed.
_NESTED = re.compile(rb'"\s*:\s*[\[{]')
_SURROGATE = re.compile(rb"\\u[dD]")
_EXACT = 2.0**53


class FlatReader:
    """Reads blocks of lines into columns, as long as they are flat. Nothing is told where they are not."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._gave_up = False

    def read(self, block: bytes) -> pa.RecordBatch | None:
        """Return one record for each line, in columns by order of appearance; None: read them as records.

        Columns are of type null, boolean, int64, double or string. Each text is as it came, also a date.
        """
        if self._gave_up:
            return None
        # Arrow crashes on a null in place of the first record.
        if not block.startswith(b"{") or not block.endswith(b"}"):
            return None
        marks = block.translate(None, _BUT_MARKS)
        lines = marks.count(b"\n") + 1
        plain = marks == (b"{}\n" * lines)[:-1]
        if not plain and not _separate(block, lines):
            return None
        # Before Arrow sees it: how deep it can go is not known.
        if (b"[" in block or marks.count(b"{") != lines) and _NESTED.search(block):
            self._gave_up = True
            return None
        if b"\\" in block and _SURROGATE.search(block):
            return None
        batch = self._parsed(block)
        self._gave_up = batch is None
        if batch is None or batch.num_rows != lines or not _unchanged(batch):
            return None
        # So many records need all of these braces, each line two, unless one of them is a null.
        full = any(not column.null_count for column in batch.columns)
        return batch if full or not plain or _separate(block, lines) else None

    def _parsed(self, block: bytes) -> pa.RecordBatch | None:
        import pyarrow as pa

        plain = {pa.null(), pa.bool_(), pa.int64(), pa.float64(), pa.string()}
        try:
            batch = self._once(block)
            names = batch.schema.names
            # Text that looks like a date was taken for one.
            others = [field.name for field in batch.schema if field.type not in plain]
            if others:
                self._texts += others
                batch = self._once(block).select(names)
        except pa.ArrowException:
            return None
        return batch if all(field.type in plain for field in batch.schema) else None

    def _once(self, block: bytes) -> pa.RecordBatch:
        import pyarrow as pa
        import pyarrow.json

        schema = pa.schema([(name, pa.string()) for name in self._texts]) if self._texts else None
        table = pyarrow.json.read_json(
            pa.BufferReader(block),
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(block) + 1),
            parse_options=pyarrow.json.ParseOptions(explicit_schema=schema),
        )
        return table.combine_chunks().to_batches()[0]


def _separate(block: bytes, lines: int) -> bool:
    """Whether each line is a document of its own: text in JSON holds no line break, and after } only the
    next document begins with {.
    """
    ends = block.count(b"}\n{") + (block.count(b"}\r\n{") if b"\r" in block else 0)
    return ends == lines - 1


def _unchanged(batch: pa.RecordBatch) -> bool:
    """Whether no number lost a digit of its whole part, as a large whole number beside a fraction would.

    Nor may it be NaN or infinite: Arrow reads these words too, which are not JSON.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for column in batch.columns:
        if pa.types.is_floating(column.type):
            if pc.all(pc.is_finite(column)).as_py() is False:
                return False
            ends = pc.min_max(column).as_py()
            if ends["min"] is not None and not -_EXACT < ends["min"] <= ends["max"] < _EXACT:
                return False
    return True
