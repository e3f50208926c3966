from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_asyncjob.definition.models.records import ColumnType
from airflow_asyncjob.errors import FormatError
from airflow_asyncjob.results.columns import typed_column
from airflow_asyncjob.results.source import Body
from airflow_asyncjob.results.table import filled
from airflow_asyncjob.results.values import as_type
from tests.results.given import SENT, Given, parquet_types, read_back, write

GOOD: list[tuple[ColumnType, Any, Any]] = [
    ("string", "00123", "00123"),
    ("string", "", ""),
    ("string", 5, "5"),
    ("string", Decimal("1.10"), "1.10"),
    ("string", True, "true"),
    ("string", {"a": [Decimal("1.0")]}, '{"a":[1.0]}'),
    ("integer", "00123", 123),
    ("integer", " +7 ", 7),
    ("integer", "-9223372036854775808", -(2**63)),
    ("integer", 9223372036854775807, 2**63 - 1),
    ("integer", Decimal("5.0"), 5),
    ("integer", "", None),
    ("integer", "  ", None),
    ("number", "1.50", Decimal("1.50")),
    ("number", ".5", Decimal("0.5")),
    ("number", "-1e3", Decimal("-1E+3")),
    ("number", 3, 3),
    ("number", Decimal("0.1"), Decimal("0.1")),
    ("boolean", "TRUE", True),
    ("boolean", "no", False),
    ("boolean", 0, False),
    ("boolean", True, True),
    ("date", "2026-11-22", "2026-11-22"),
    ("datetime", "2026-11-22T10:31:05Z", "2026-11-22T10:31:05Z"),
    ("datetime", "2026-11-22 10:31:05", "2026-11-22T10:31:05Z"),
    ("datetime", "2026-11-22T10:31:05.123456789+02:00", "2026-11-22T08:31:05.123456Z"),
    ("datetime", "2026-11-22", "2026-11-22T00:00:00Z"),
    ("json", "", None),
    ("json", None, None),
]
BAD: list[tuple[ColumnType, Any, str]] = [
    ("integer", "1.0", "not a whole number"),
    ("integer", "1,000", "not a whole number"),
    ("integer", "0x1A", "not a whole number"),
    ("integer", "١٢", "not a whole number"),
    ("integer", True, "not a whole number"),
    ("integer", Decimal("1.5"), "not a whole number"),
    ("integer", [1], "not a whole number"),
    ("integer", "9223372036854775808", "does not fit 64 bits; declare it as string"),
    ("integer", Decimal("1E+999999"), "does not fit 64 bits"),
    ("number", "1.2.3", "not a number"),
    ("number", "NaN", "not a number"),
    ("number", "inf", "not a number"),
    ("number", "1_000", "not a number"),
    ("number", False, "not a number"),
    ("number", "1e400", "does not fit a double"),
    ("number", 10**400, "does not fit a double"),
    ("boolean", "maybe", "not one of true, false"),
    ("boolean", 2, "not one of true, false"),
    ("boolean", Decimal(1), "not one of true, false"),
    ("date", "22.11.2026", "not a date as 2026-11-22"),
    ("date", "2026-02-30", "day"),
    ("date", "20261122", "not a date"),
    ("date", 20261122, "not a date"),
    ("datetime", "now", "not a time in ISO 8601"),
    ("datetime", 1764000000, "not text in ISO 8601"),
    ("datetime", "0001-01-01T00:00:00+14:00", "not a time"),
]


@pytest.mark.parametrize(("kind", "value", "expected"), GOOD)
def test_values_that_are_of_a_type(kind: ColumnType, value: Any, expected: Any) -> None:
    found = as_type(value, kind, from_text=isinstance(value, str))
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("kind", "value", "why"), BAD)
def test_values_that_are_not(kind: ColumnType, value: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        as_type(value, kind, from_text=isinstance(value, str))


def test_json_is_parsed_from_text_only() -> None:
    assert as_type('{"a": 1.50}', "json", from_text=True) == {"a": Decimal("1.50")}
    assert as_type("[1", "json", from_text=False) == "[1"
    with pytest.raises(ValueError, match="Expecting"):
        as_type("[1", "json", from_text=True)


KINDS: list[ColumnType] = ["string", "integer", "number", "boolean", "date", "datetime", "json"]
NEARLY = st.one_of(
    st.integers(-(2**66), 2**66).map(str),
    st.floats().map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=6).map(str),
    st.dates().map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.text(st.sampled_from("0123456789-+.eExT: naif"), max_size=8),
    st.sampled_from(["", " ", "0x10", "-0", "00", "1e5", "2026-02-30", "true", "[1]", "9" * 30]),
)


@given(values=st.lists(NEARLY, max_size=6), kind=st.sampled_from(KINDS))
def test_a_column_is_read_exactly_as_its_values_are(values: list[str], kind: ColumnType) -> None:
    """What Arrow does in one go must be what is documented for single values, errors included."""
    import pyarrow as pa

    body = Body(Given(b"x"), "csv", iter([b"x"]))
    column = pa.array(values, pa.string())
    expected: Any = []
    try:
        expected.extend(as_type(value, kind, from_text=True) for value in values)
    except ValueError:
        number = len(expected) + 1
        with pytest.raises(FormatError, match=f"record {number}, field f: "):
            typed_column(column, kind, "f", body, text=False)
        with pytest.raises(FormatError, match=f"record {number}, field f: "):
            typed_column(column, kind, "f", body, text=True)
        return
    found = typed_column(column, kind, "f", body, text=False)
    assert found.equals(filled(expected, kind))
    assert typed_column(column, kind, "f", body, text=True).type == pa.string()


def test_types_in_a_parquet_file(tmp_path: Path) -> None:
    data = (
        b'i,n,b,d,t,j,s,x\n007,1.50,yes,2026-11-22,2026-11-22T10:31:05+01:00,"[1, 2.50]",007,007\n,,,,,,,\n'
    )
    types = {
        "i": "integer",
        "n": "number",
        "b": "boolean",
        "d": "date",
        "t": "datetime",
        "j": "json",
        "s": "string",
    }
    write(data, tmp_path / "a.parquet", format="csv", types=types)
    assert parquet_types(tmp_path / "a.parquet") == {
        "i": "int64",
        "n": "double",
        "b": "bool",
        "d": "date32[day]",
        "t": "timestamp[us, tz=UTC]",
        "j": "string",
        "s": "string",
        "x": "string",
    }
    first, second = read_back(tmp_path / "a.parquet")
    assert first["i"] == 7
    assert first["n"] == 1.5
    assert first["b"] is True
    assert first["d"] == dt.date(2026, 11, 22)
    assert first["t"] == dt.datetime(2026, 11, 22, 9, 31, 5, tzinfo=dt.UTC)
    assert first["j"] == "[1,2.50]"
    assert (first["s"], first["x"]) == ("007", "007")
    assert second == {"i": None, "n": None, "b": None, "d": None, "t": None, "j": None, "s": "", "x": ""}


def test_types_in_text(tmp_path: Path) -> None:
    data = b'i,n,t,j\n007,01.50,2026-11-22 10:31:05,"[1, 2.50]"\n,,,\n'
    types = {"i": "integer", "n": "number", "t": "datetime", "j": "json"}
    write(data, tmp_path / "a.csv", format="csv", types=types)
    assert (tmp_path / "a.csv").read_text() == 'i,n,t,j\n7,1.50,2026-11-22T10:31:05Z,"[1,2.50]"\n,,,\n'
    write(data, tmp_path / "a.jsonl", format="csv", types=types)
    assert (tmp_path / "a.jsonl").read_text() == (
        '{"i":7,"n":1.50,"t":"2026-11-22T10:31:05Z","j":[1,2.50]}\n{"i":null,"n":null,"t":null,"j":null}\n'
    )


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_day_that_does_not_exist(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        FormatError, match="record 2, field d: '2026-02-30' is not of type date: day is out of range"
    ):
        write(b"d\n2026-02-28\n2026-02-30\n", tmp_path / name, format="csv", types={"d": "date"})


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize(
    ("data", "arguments"),
    [
        (b"id,n\n1,1\n2,x\n", {"format": "csv"}),
        (b'{"n": 1}\n{"n": "x"}\n', {"format": "jsonl"}),
        (b'{"d": [{"n": 1}, {"n": "x"}]}', {"format": "json", "records": "d"}),
        (b'{"m": 1}\n{"m": "x"}\n', {"format": "jsonl", "select": {"n": "m"}}),
    ],
)
def test_a_bad_value_names_record_field_value_and_type(
    tmp_path: Path, name: str, data: bytes, arguments: dict[str, Any]
) -> None:
    good = data.replace(b'"x"', b"3").replace(b",x", b",3")
    with pytest.raises(FormatError) as caught:
        write([good, data], tmp_path / name, types={"n": "integer"}, **arguments)
    message = str(caught.value)
    assert message.startswith(SENT)
    assert "record 2, field n: 'x' is not of type integer: it is not a whole number" in message
    assert "Change types (n: integer)" in message
    assert list(tmp_path.iterdir()) == []
