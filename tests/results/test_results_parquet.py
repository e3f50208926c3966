from __future__ import annotations

import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.errors import FormatError
from tests.results.given import parquet_types, read_back, write

BIG = 2**53 + 1


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["a", None, ""], "string", ["a", None, ""]),
        ([True, False, None], "bool", [True, False, None]),
        ([1, -5, None], "int64", [1, -5, None]),
        ([2**63 - 1, -(2**63)], "int64", [2**63 - 1, -(2**63)]),
        ([1, 2.5, None], "double", [1.0, 2.5, None]),
        ([None, None], "string", [None, None]),
        ([{"a": 1.5}, [1, "x"], None], "string", ['{"a":1.5}', '[1,"x"]', None]),
        # What no single type holds unchanged becomes JSON text, each value by itself.
        ([1, "1"], "string", ["1", '"1"']),
        ([True, 1], "string", ["true", "1"]),
        (["x", {"a": None}], "string", ['"x"', '{"a":null}']),
        ([BIG, 0.5], "string", [str(BIG), "0.5"]),
        ([2**63, 1], "string", [str(2**63), "1"]),
        ([10**30], "string", [str(10**30)]),
    ],
)
def test_columns_have_the_type_that_changes_no_value(
    tmp_path: Path, values: list[Any], kind: str, expected: list[Any]
) -> None:
    for order in (slice(None), slice(None, None, -1)):
        lines = "\n".join(json.dumps({"id": 1, "v": value}) for value in values[order])
        write(lines.encode(), tmp_path / "a.parquet", format="jsonl")
        assert parquet_types(tmp_path / "a.parquet") == {"id": "int64", "v": kind}
        assert [row["v"] for row in read_back(tmp_path / "a.parquet")] == expected[order]


def test_mixed_values_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = b'{"a": 1, "b": "x", "c": [1]}\n{"a": "x", "b": 1, "c": {}}\n'
    with caplog.at_level(logging.WARNING):
        write(data, tmp_path / "a.parquet", format="jsonl", types={"b": "string"})
    assert [record.getMessage() for record in caplog.records] == [
        "field a holds text, whole numbers: it is written as JSON text; name it in types to have one type"
    ]


def test_fields_may_come_and_go(tmp_path: Path) -> None:
    data = b'{"b": 1}\n{"a": 2, "b": 3}\n{}\n{"c": null}\n'
    write(data, tmp_path / "a.parquet", format="jsonl", types={"z": "date"})
    assert parquet_types(tmp_path / "a.parquet") == {
        "b": "int64",
        "a": "int64",
        "c": "string",
        "z": "date32[day]",
    }
    assert [(row["a"], row["b"]) for row in read_back(tmp_path / "a.parquet")] == [
        (None, 1),
        (2, 3),
        (None, None),
        (None, None),
    ]
    write(data, tmp_path / "a.csv", format="jsonl", types={"z": "date"})
    assert (tmp_path / "a.csv").read_text() == "b,a,c,z\n1,,,\n3,2,,\n,,,\n,,,\n"


@pytest.mark.parametrize("fmt", ["csv", "jsonl"])
def test_the_primary_key_is_in_the_metadata(tmp_path: Path, fmt: str) -> None:
    import pyarrow.parquet

    data = b"id,day\n1,2\n1,2\n" if fmt == "csv" else b'{"id": 1, "day": 2}\n{"id": 1, "day": 2}\n'
    manifest = write(data, tmp_path / "a.parquet", format=fmt, primary_key=["id", "day"])
    metadata = pyarrow.parquet.read_schema(tmp_path / "a.parquet").metadata
    assert metadata[b"primary_key"] == b'["id", "day"]'
    assert manifest.primary_key == ("id", "day")
    assert manifest.records == 2
    write(data, tmp_path / "b.parquet", format=fmt)
    assert not pyarrow.parquet.read_schema(tmp_path / "b.parquet").metadata


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_primary_key_that_no_record_has_is_an_error(tmp_path: Path, name: str) -> None:
    found = "and none of the 2 records has such" if name == "a.jsonl" else "and the columns are: id"
    with pytest.raises(FormatError, match=f"primary_key names key, {found}"):
        write(b'{"id": 1}\n{"id": 2}\n', tmp_path / name, format="jsonl", primary_key=["id", "key"])
    assert list(tmp_path.iterdir()) == []
    assert write(b"", tmp_path / name, format="jsonl", primary_key=["id", "key"]).records == 0


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_names_that_are_values_are_refused(tmp_path: Path, name: str) -> None:
    data = "".join(json.dumps({f"key{number}": number}) + "\n" for number in range(10_001))
    with pytest.raises(FormatError) as caught:
        write(data.encode(), tmp_path / name, format="jsonl")
    assert "more than 10000 different fields" in str(caught.value)
    assert "with select" in str(caught.value)
    assert write(data.encode(), tmp_path / "a.jsonl", format="jsonl").records == 10_001


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
@pytest.mark.parametrize("select", [None, {"a": "a"}])
def test_text_that_is_no_text_is_an_error(tmp_path: Path, name: str, select: dict[str, str] | None) -> None:
    with pytest.raises(
        FormatError, match="one of records 1 to 2 cannot be written: it holds a lone surrogate"
    ):
        write(b'{"a": "x"}\n{"a": "\\ud800"}\n', tmp_path / name, format="jsonl", select=select)


def test_json_lines_cannot_hold_it_either_once_it_was_selected(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="record 2 cannot be written: it holds a lone surrogate"):
        write(b'{"a": "x"}\n{"a": "\\ud800"}\n', tmp_path / "a.jsonl", format="jsonl", select={"a": "a"})


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl"])
def test_records_nested_too_deep_are_an_error_and_no_crash(tmp_path: Path, name: str) -> None:
    # How deep is too deep depends on how deep the caller is: some of these can be read and not written.
    for depth in range(600, 1001, 20):
        data = b'{"a": ' + b"[" * depth + b"]" * depth + b"}\n"
        for arguments in ({}, {"select": {"a": "a"}}):
            with suppress(FormatError):
                write(data, tmp_path / name, format="jsonl", **arguments)
    with pytest.raises(FormatError, match="nested too deep"):
        write(data * 2, tmp_path / "b", output_format=name.removeprefix("a."), format="jsonl")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_records_without_any_field_need_a_format_without_columns(tmp_path: Path, name: str) -> None:
    with pytest.raises(FormatError, match="none of the 2 records has a field"):
        write(b"{}\n{}\n", tmp_path / name, format="jsonl")
    assert write(b"{}\n{}\n", tmp_path / "a.jsonl", format="jsonl").records == 2


def test_row_groups_are_bounded(tmp_path: Path) -> None:
    import pyarrow.parquet

    rows = b"".join(b"%d,%s\n" % (number, b"x" * 200) for number in range(200_000))
    write(b"id,text\n" + rows, tmp_path / "a.parquet", format="csv", piece=2**20)
    metadata = pyarrow.parquet.read_metadata(tmp_path / "a.parquet")
    assert metadata.num_rows == 200_000
    assert metadata.num_row_groups >= 2
    assert max(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups)) < 32 * 2**20


def test_values_that_repeat_get_a_dictionary_and_keys_do_not(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write(
        "\n".join(["id,country", *(f"{number},AT" for number in range(1000))]).encode(),
        tmp_path / "a.parquet",
        format="csv",
    )
    group = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0)
    assert [group.column(place).has_dictionary_page for place in range(2)] == [False, True]
