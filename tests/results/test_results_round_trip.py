"""Rows of any content survive every way from an input format to an output format."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.results.given import read_back, write

# Carriage returns are left out of CSV cells only where a reader of the tests would change them.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
CELL = st.one_of(
    TEXT, st.sampled_from(["", " ", '"', ",", "\n", "\r\n", 'a"b', "00123", "null", "1e5", "=1+1"])
)
# A table whose first name begins so is taken for a JSON or XML document.
NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5).filter(
    lambda name: name.strip() and name.lstrip()[0] not in "{[<"
)
NUMBER = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
LEAF = st.none() | st.booleans() | NUMBER | TEXT
NESTED = st.lists(LEAF, max_size=2) | st.dictionaries(TEXT, LEAF, max_size=2)
PIECE = st.integers(1, 60)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    names = draw(st.lists(NAME, min_size=1, max_size=4, unique=True))
    return names, draw(st.lists(st.lists(CELL, min_size=len(names), max_size=len(names)), max_size=6))


def as_csv(names: list[str], rows: list[list[str]], quoting: int) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=quoting, lineterminator="\r\n")
    writer.writerows([names, *rows])
    return out.getvalue().encode()


@settings(max_examples=150)
@given(
    table=tables(),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    output=st.sampled_from(["a.csv", "a.csv.gz", "a.jsonl", "a.jsonl.gz", "a.parquet"]),
    packed=st.booleans(),
    piece=PIECE,
    times=st.integers(1, 3),
)
def test_from_csv(
    table: tuple[list[str], list[list[str]]], quoting: int, output: str, packed: bool, piece: int, times: int
) -> None:
    names, rows = table
    data = as_csv(names, rows, quoting)
    data = gzip.compress(data) if packed else data
    with tempfile.TemporaryDirectory() as folder:
        manifest = write([data] * times, Path(folder) / output, format="csv", piece=piece)
        found = read_back(Path(folder) / output)
        size = (Path(folder) / output).stat().st_size
    assert found == [dict(zip(names, row, strict=True)) for row in rows] * times
    assert manifest.records == len(rows) * times
    assert manifest.bytes == size


@st.composite
def documents(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Records with fields that come and go; a field keeps its kind, as the mixed ones have their own test."""
    kinds = draw(
        st.dictionaries(NAME, st.sampled_from(["text", "int", "number", "bool", "nested"]), max_size=4)
    )
    values = {
        "text": TEXT,
        "int": st.integers(-(2**63), 2**63 - 1),
        "number": NUMBER,
        "bool": st.booleans(),
        "nested": NESTED,
    }
    one = st.fixed_dictionaries({}, optional={name: st.none() | values[kind] for name, kind in kinds.items()})
    return draw(st.lists(one, max_size=6))


@settings(max_examples=150)
@given(
    records=documents(),
    lines=st.booleans(),
    output=st.sampled_from(["a.jsonl", "a.jsonl.gz", "a.parquet", "a.csv"]),
    piece=PIECE,
)
@example(records=[{"text": None}, {}], lines=True, output="a.parquet", piece=1)
def test_from_json(records: list[dict[str, Any]], lines: bool, output: str, piece: int) -> None:
    text = "\n".join(map(json.dumps, records)) if lines else json.dumps({"data": {"items": records}})
    assume(output.startswith("a.jsonl") or not records or any(records))
    arguments = {"format": "jsonl"} if lines else {"format": "json", "records": "data.items"}
    with tempfile.TemporaryDirectory() as folder:
        manifest = write(text.encode(), Path(folder) / output, piece=piece, **arguments)
        found = read_back(Path(folder) / output)
    assert manifest.records == len(records) == len(found)
    names = list(dict.fromkeys(name for record in records for name in record))
    if output.startswith("a.jsonl"):
        assert found == records
    elif output == "a.csv":
        assert found == [{name: cell(record.get(name)) for name in names} for record in records]
    else:
        for before, after in zip(records, found, strict=True):
            assert list(after) == names
            for name in names:
                assert same(before.get(name), after[name])


def cell(value: Any) -> str:
    """Return what a CSV cell holds, as it is documented."""
    if value is None or isinstance(value, str):
        return value or ""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(value) if isinstance(value, (bool, int)) else exact(text)


def exact(text: str) -> str:
    """Return JSON text with its numbers in the spelling of Decimal, which keeps every digit."""
    from airflow_asyncjob.results.jsontext import dumps

    return dumps(json.loads(text, parse_float=Decimal))


def same(before: Any, after: Any) -> bool:
    if isinstance(before, (list, dict)):
        return bool(json.loads(after) == before)
    return bool(before == after)


@settings(max_examples=60)
@given(
    table=tables(),
    first=st.sampled_from(["csv", "jsonl", "csv.gz"]),
    second=st.sampled_from(["csv", "parquet"]),
)
def test_what_was_written_can_be_read_again(
    table: tuple[list[str], list[list[str]]], first: str, second: str
) -> None:
    names, rows = table
    with tempfile.TemporaryDirectory() as folder:
        one, two = Path(folder) / f"one.{first}", Path(folder) / f"two.{second}"
        write(as_csv(names, rows, csv.QUOTE_MINIMAL), one, format="csv")
        write(one.read_bytes(), two, format=first.removesuffix(".gz"))
        if rows:
            assert read_back(two) == [dict(zip(names, row, strict=True)) for row in rows]
