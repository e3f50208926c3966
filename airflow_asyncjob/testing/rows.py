"""Result files of the generic fake API: rows that can be computed again by whoever checks them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain
from typing import Any, BinaryIO, Literal

__all__ = ["FIELDS", "RowFormat", "expected_rows", "share", "write_rows"]

RowFormat = Literal["csv", "json", "jsonl"]
FIELDS = ("id", "tag", "name", "amount", "note")
_NAMES = ("Ada", "Müller, Jörg", 'Li "Lee" Wei', "Zoë\nBonnaire", "Олена", "", "山田 太郎")


def expected_rows(rows: int, tag: str = "", *, start: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the rows of a job's result.

    ``id`` is text with leading zeros, ``name`` holds commas, quotes, a line break and other scripts,
    ``amount`` is a number, ``note`` is empty in every second row (null in JSON).

    :param rows: how many, in all files of the job together.
    :param tag: the plan's ``tag``.
    :param start: number of the first one.
    """
    for number in range(start, start + rows):
        yield {
            "id": f"{number:08d}",
            "tag": tag,
            "name": _NAMES[number % len(_NAMES)],
            "amount": number * 0.25,
            "note": None if number % 2 else f"row {number}",
        }


def share(rows: int, files: int, part: int) -> tuple[int, int]:
    """Return the number of the first row and the number of rows of one file.

    :param part: number of the file, counted from 1.
    """
    first, last = rows * (part - 1) // files, rows * part // files
    return first, last - first


def write_rows(out: BinaryIO, rows: Iterator[dict[str, Any]], row_format: RowFormat, *, zipped: bool) -> None:
    """Write rows in a format, one at a time.

    :param zipped: as gzip, without a time stamp, so that the same rows are the same bytes.
    """
    with gzip.GzipFile("", "wb", 1, out, mtime=0) if zipped else nullcontext(out) as file:
        for text in _texts(rows, row_format):
            file.write(text.encode())


def _texts(rows: Iterator[dict[str, Any]], row_format: RowFormat) -> Iterator[str]:
    if row_format == "csv":
        buffer = io.StringIO()
        first = next(rows, None)
        writer = csv.DictWriter(buffer, FIELDS if first is None else list(first), lineterminator="\n")
        writer.writeheader()
        rows = rows if first is None else chain([first], rows)
        for row in rows:
            writer.writerow(row)
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
        yield buffer.getvalue()
    elif row_format == "jsonl":
        for row in rows:
            yield json.dumps(row, ensure_ascii=False) + "\n"
    else:
        yield "["
        for number, row in enumerate(rows):
            yield ("," if number else "") + "\n" + json.dumps(row, ensure_ascii=False)
        yield "\n]\n"
