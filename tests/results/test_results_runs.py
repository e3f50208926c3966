"""JSON records read many at once are the same as read one by one."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_asyncjob.errors import FormatError
from airflow_asyncjob.results.formats import json as json_format
from airflow_asyncjob.results.formats import jsonl
from airflow_asyncjob.results.jsontext import dumps, loads
from airflow_asyncjob.results.source import Body
from tests.results.given import Given, parquet_types, read_back, write

LEAF = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
# Names and values that look like what stands between two records.
VALUE = st.recursive(
    LEAF | st.sampled_from(['},{"id":', '"}, {"id": 1}]', "\\", "[{"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "a"]), inner, max_size=2)
    ),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(st.sampled_from(["id", "a", "b"]), VALUE, max_size=3), max_size=12)


@settings(max_examples=300)
@given(records=RECORDS, piece=st.integers(1, 200), indent=st.sampled_from([None, 1]))
def test_a_list_read_in_runs(records: list[dict[str, Any]], piece: int, indent: int | None) -> None:
    text = json.dumps({"x": [{"id": 0}], "data": records, "y": 1}, indent=indent)
    body = Body(Given(text.encode()), "json", Given(text.encode(), piece=piece).chunks())
    found = list(json_format.read(body, "data"))
    assert [value for value, _ in found] == loads(text)["data"]
    assert body.records == len(records)
    for value, line in found:
        assert line is None or loads(line.decode()) == value


@given(records=RECORDS, piece=st.integers(1, 200), end=st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_lines_read_in_runs(records: list[dict[str, Any]], piece: int, end: str) -> None:
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    data = end.join(lines).encode()
    body = Body(Given(data), "jsonl", Given(data, piece=piece).chunks())
    assert list(jsonl.read(body)) == [(loads(line), line.encode()) for line in lines]


@pytest.mark.parametrize(
    "lines",
    [
        ['{"a": 1},{"b": 2}', '{"c": 3}'],
        ["[1", "2]"],
        ['{"a": 1},{"b": 2}', "[1", "2]"],
        ['{"a": 1}', '{"a": [1', "2]}"],
        ['{"a": 1}]', '[{"a": 1}'],
    ],
)
def test_lines_that_are_documents_only_together(tmp_path: Path, lines: list[str]) -> None:
    for name in ("a.jsonl", "a.parquet"):
        with pytest.raises(FormatError, match=r"record \d in line \d is not JSON"):
            write("\n".join([*lines, "{}", ""]).encode(), tmp_path / name, format="jsonl")


MANY = [{"id": number, "text": f"text {number}", "part": [{"id": 1}, {"id": 2}]} for number in range(30_000)]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_many_records_with_objects_in_them(tmp_path: Path, name: str, indent: int | None) -> None:
    data = json.dumps({"data": MANY}, indent=indent).encode()
    done = write(data, tmp_path / name, format="json", records="data", piece=65_536)
    assert done.records == len(MANY)
    rows = read_back(tmp_path / name)
    assert [int(row["id"]) for row in rows] == list(range(len(MANY)))
    part = rows[-1]["part"]
    assert (json.loads(part) if isinstance(part, str) else part) == [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_numbers_keep_their_digits_where_they_are_text(tmp_path: Path, name: str) -> None:
    odd = [
        '{"n": 1.10, "m": "x"}',
        '{"n": 1e400, "m": 2.50}',
        '{"n": 123456789012345678901234567890, "m": null}',
    ]
    write("\n".join([*odd, *odd]).encode(), tmp_path / name, format="jsonl")
    rows = read_back(tmp_path / name)
    if name == "a.jsonl":
        assert (tmp_path / name).read_text().splitlines() == [*odd, *odd]
    else:
        assert [Decimal(row["n"]) for row in rows[:3]] == [
            Decimal("1.10"),
            Decimal("1E+400"),
            123456789012345678901234567890,
        ]
        assert [row["n"] for row in rows[:1]] == ["1.10"]
        assert [row["m"] for row in rows[:2]] == (["x", "2.50"] if name == "a.csv" else ['"x"', "2.50"])


def test_declared_text_keeps_the_digits_of_a_number(tmp_path: Path) -> None:
    data = b'{"price": 1.10, "n": 1.50}\n' * 3
    write(data, tmp_path / "a.parquet", format="jsonl", types={"price": "string"})
    assert read_back(tmp_path / "a.parquet")[0] == {"price": "1.10", "n": 1.5}


def test_fields_are_chosen_and_typed_as_columns(tmp_path: Path) -> None:
    data = json.dumps([{"Id": "7", "When": "2026-11-22", "Rest": 1}, {"Id": None}, {}]).encode()
    arguments: dict[str, Any] = {
        "select": {"id": "Id", "day": "When"},
        "types": {"id": "integer", "day": "date"},
    }
    write(data, tmp_path / "a.parquet", format="json", **arguments)
    assert parquet_types(tmp_path / "a.parquet") == {"id": "int64", "day": "date32[day]"}
    assert [row["id"] for row in read_back(tmp_path / "a.parquet")] == [7, None, None]
    with pytest.raises(FormatError, match="record 3, field id: 'x' is not of type integer"):
        write(
            [data[:-1].replace(b", {}", b', {"Id": "x"}') + b"]"],
            tmp_path / "b.parquet",
            format="json",
            **arguments,
        )


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_what_is_no_record_is_told_by_its_number(tmp_path: Path, name: str) -> None:
    rows = [{"id": 1}] * 5000
    for data, kind in (
        (json.dumps([*rows, 7, *rows]).encode(), "json"),
        ("\n".join(map(dumps, [*rows, 7, *rows])).encode(), "jsonl"),
    ):
        with pytest.raises(FormatError, match="record 5001 is a number, not an object with fields"):
            write(data, tmp_path / name, format=kind)


FLAT = [
    ['{"a": "2026-11-22T10:31:05Z", "b": 1}', '{"b": 2.5}', '{"c": true}', '{"b": 9007199254740993}'],
    ['{"a": "2026-11-22"}', '{"a": "x"}', '{"a": null}', '{"a": 7}'],
    ['{"a": 1}', '{"b": 1.50, "a": 2}', '{"a": "\\ud83d\\ude00 \\u00e4"}', "{}"],
    ['{"a": 12345678901234567890}', '{"a": 0.1}', '{"a": -0}', '{"a": 1e2}'],
    ['{"a": 1, "a": 2}', '{"a": 3}', '{"a": {"b": [1.10]}}', '{"a": "{"}'],
    ['{"b": [], "a": 1}', '{"a": 2} ', '{"a": ":[1]"}', '{"a": "\\": [1]"}'],
    ['{"z": null, "a": 10}', '{"a": 20, "y": "t"}', '{"y": "2026-11-22"}', '{"y": null}'],
]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("lines", FLAT)
def test_flat_lines_make_the_same_table_as_a_list_of_the_same_records(
    tmp_path: Path, lines: list[str], end: str
) -> None:
    import pyarrow.parquet as pq

    for start in range(len(lines)):
        some = [*lines[start:], *lines[:start]]
        bodies = [(line + end).encode() for line in some]
        write(b"".join(bodies), tmp_path / "whole.parquet", format="jsonl", piece=10_000)
        write(bodies, tmp_path / "parts.parquet", format="jsonl", piece=10_000)
        write(f"[{','.join(some)}]".encode(), tmp_path / "list.parquet", format="json")
        expected = pq.read_table(tmp_path / "list.parquet")
        assert pq.read_table(tmp_path / "whole.parquet").equals(expected)
        assert pq.read_table(tmp_path / "parts.parquet").equals(expected)


@given(records=RECORDS)
def test_any_lines_make_the_same_table_as_a_list(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]]
) -> None:
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("any")
    records = [{"id": 1}, *records]
    lines = [json.dumps(record).encode() + b"\n" for record in records]
    try:
        write(json.dumps(records).encode(), folder / "list.parquet", format="json")
    except FormatError as error:
        with pytest.raises(FormatError, match=error.message[-30:].replace(".", "[.]")):
            write(b"".join(lines), folder / "a.parquet", format="jsonl")
        return
    write(b"".join(lines), folder / "a.parquet", format="jsonl", piece=10_000)
    write(lines, folder / "b.parquet", format="jsonl", piece=10_000)
    expected = pq.read_table(folder / "list.parquet")
    assert pq.read_table(folder / "a.parquet").equals(expected)
    assert pq.read_table(folder / "b.parquet").equals(expected)
