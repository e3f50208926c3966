"""JSON Lines: one JSON document a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from airflow_asyncjob.errors import FormatError
from airflow_asyncjob.results.flat import FlatReader
from airflow_asyncjob.results.jsontext import decoder, dumps, explained
from airflow_asyncjob.results.runs import Run, decoded, one_by_one, raw_values
from airflow_asyncjob.results.sink import Writable
from airflow_asyncjob.results.source import RECORD_LIMIT, Body, Row

__all__ = ["read", "read_runs", "write"]

_AT_ONCE = 2 * 1024 * 1024


def read(body: Body, *, exact: bool = True) -> Iterator[Row]:
    """Yield the documents with their own text. Blank lines are skipped; an empty body holds no records.

    :param exact: numbers with a fraction as ``Decimal``; else as floats.
    :raises FormatError: a line is not JSON, or is larger than 32 MiB.
    :raises TruncatedError: the last line breaks off.
    """
    return one_by_one(read_runs(body, exact=exact), body)


def read_runs(
    body: Body, *, exact: bool, rough: bool = False, flat: FlatReader | None = None, above: int = 0
) -> Iterator[Run]:
    """Yield the documents in runs; see :func:`read`. The caller counts them.

    :param rough: numbers with a fraction may be floats, where these hold them; the text is at hand anyway.
    :param flat: makes columns of what is flat; None: all become records.
    :param above: how many lines lie before the body, for messages.
    """
    number = above
    for text, ended in _blocks(body, 0 if flat is None else _AT_ONCE):
        run = None if flat is None else _columns(text.strip(), flat)
        if run is not None:
            number += run.size
            yield run
            continue
        lines = text.split(b"\n")
        texts = [text for line in lines if (text := line.strip())]
        block = b"[" + b",".join(texts) + b"]"
        # What is one list together need not have been one document a line.
        values = decoded(block, exact=exact and not rough) if texts and raw_values(block) == texts else None
        if values is not None:
            number += len(lines)
            yield Run(values, block, [*texts])
            continue
        for position, line in enumerate(lines, 1):
            number += 1
            text = line.strip()
            if text:
                whole = ended or position < len(lines)
                value = _document(body, text, number, exact=exact, whole=whole)
                yield Run([value], b"[" + text + b"]", [text])


def _columns(lines: bytes, flat: FlatReader) -> Run | None:
    batch = flat.read(lines)
    return None if batch is None else Run([], lines=lines, batch=batch)


def _document(body: Body, text: bytes, number: int, *, exact: bool, whole: bool) -> Any:
    record = body.records + 1
    try:
        return decoder(exact=exact).decode(text.decode())
    except RecursionError:
        fault = "it is nested too deep"
    except ValueError as error:
        if not whole:
            raise body.truncated(f"record {record} breaks off in line {number}") from None
        fault = explained(error, text.decode(errors="replace"))
    raise body.wrong(
        f"record {record} in line {number} is not JSON: {fault}",
        "Each line must be one JSON document; if the whole is one document, set format: json",
    )


def write(out: Writable, rows: Iterable[Row]) -> int:
    """Write one record a line and return how many. A record that brings its own text keeps it."""
    count = 0
    for record, text in rows:
        count += 1
        out.write(_encoded(record, count) if text is None else text)
        out.write(b"\n")
    return count


def _encoded(record: Any, number: int) -> bytes:
    try:
        return dumps(record).encode()
    except UnicodeEncodeError:
        raise FormatError(
            f"record {number} cannot be written: it holds a lone surrogate (such as \\ud800), which is not "
            "text. Leave the field out with select, or have the API correct it."
        ) from None
    except RecursionError:
        raise FormatError(f"record {number} cannot be written: it is nested too deep.") from None


def _blocks(body: Body, least: int) -> Iterator[tuple[bytes, bool]]:
    """Yield blocks of whole lines, and whether the last of them was ended; its line break is left out.

    :param least: bytes of a block that is not the last one; what came in one piece is one block at least.
    """
    parts: list[bytes] = []
    size = line = 0
    for chunk in body.text():
        parts.append(chunk)
        size += len(chunk)
        end = chunk.rfind(b"\n")
        line = line + len(chunk) if end < 0 else len(chunk) - end - 1
        if end >= 0 and size >= least:
            parts[-1] = chunk[:end]
            yield b"".join(parts), True
            parts, size = [chunk[end + 1 :]], line
        if line > RECORD_LIMIT:
            raise body.wrong(
                f"the line after record {body.records} is longer than {RECORD_LIMIT // 2**20} MiB",
                "Each line must be one JSON document; if the whole is one document, set format: json",
            )
    block = b"".join(parts)
    end = block.rfind(b"\n")
    if end >= 0:
        yield block[:end], True
    if block[end + 1 :]:
        yield block[end + 1 :], False
