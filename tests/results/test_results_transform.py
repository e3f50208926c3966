"""transform: the user's own Python on records and batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.errors import DefinitionError, FormatError, ResultError
from airflow_asyncjob.results import check_destination
from tests.results.given import parquet_types, read_back, write

PATH = "tests.results.transforms"
CSV = b"id,name\n1,Ann\n2,Lee\n"
INPUTS = [("csv", CSV), ("jsonl", b'{"id":"1","name":"Ann"}\n{"id":"2","name":"Lee"}\n')]
OUTPUTS = ["a.csv", "a.jsonl", "a.parquet"]


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize(("kind", "data"), INPUTS)
@pytest.mark.parametrize(
    ("name", "ids"), [("only_ann", ["1"]), ("twice", ["1", "1b", "2", "2b"]), ("an_object", ["1", "2"])]
)
def test_a_callable_on_records(
    tmp_path: Path, kind: str, data: bytes, output: str, name: str, ids: list[str]
) -> None:
    done = write(data, tmp_path / output, format=kind, transform=f"{PATH}:{name}", primary_key="id")
    assert done.records == len(ids)
    assert [row["id"] for row in read_back(tmp_path / output)] == ids


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize(("kind", "data"), INPUTS)
@pytest.mark.parametrize(("name", "sizes"), [("on_batches", ["3", "3"]), ("on_tables", ["None"])])
def test_a_callable_on_batches(
    tmp_path: Path, kind: str, data: bytes, output: str, name: str, sizes: list[str]
) -> None:
    done = write(data, tmp_path / output, format=kind, transform=f"{PATH}:{name}")
    assert done.records == len(sizes)
    rows = read_back(tmp_path / output)
    assert [str(row.get("size")) for row in rows] == sizes
    assert rows[0]["name"] == "Ann"


def test_what_it_makes_has_the_declared_types(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {
        "format": "csv",
        "transform": f"{PATH}:upper",
        "types": {"day": "date", "id": "integer"},
    }
    write(CSV, tmp_path / "a.parquet", **arguments)
    assert parquet_types(tmp_path / "a.parquet") == {"id": "int64", "name": "string", "day": "date32[day]"}
    assert read_back(tmp_path / "a.parquet")[1]["name"] == "LEE"
    write(CSV, tmp_path / "b.parquet", format="csv", transform=f"{PATH}:counted")
    assert parquet_types(tmp_path / "b.parquet") == {"name": "string", "n": "int64"}
    with pytest.raises(ResultError, match=r"made record 1 with n: '3x', which is not of type integer"):
        write(
            b'{"name": "A"}',
            tmp_path / "c.jsonl",
            format="jsonl",
            transform=f"{PATH}:adds_n",
            types={"n": "integer"},
        )


def test_types_and_infer_come_before_a_callable_on_batches(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"types": {"id": "integer"}, "transform": f"{PATH}:on_tables"}
    write(CSV, tmp_path / "a.parquet", format="csv", **arguments)
    assert parquet_types(tmp_path / "a.parquet")["id"] == "int64"
    write(CSV, tmp_path / "b.parquet", format="csv", infer=True, transform=f"{PATH}:on_tables")
    assert parquet_types(tmp_path / "b.parquet")["id"] == "int64"


def test_duplicates_are_told_after_it(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"drop_duplicates": True, "primary_key": "n"}
    done = write(CSV, tmp_path / "a.jsonl", format="csv", transform=f"{PATH}:counted", **arguments)
    assert done.records == 1
    with pytest.raises(FormatError, match="primary_key names idd"):
        write(CSV, tmp_path / "a.jsonl", format="csv", transform=f"{PATH}:counted", primary_key="idd")
    with pytest.raises(FormatError, match=r"primary_key names idd, and the columns are: id, name\."):
        write(CSV, tmp_path / "a.jsonl", format="csv", transform=f"{PATH}:on_tables", primary_key="idd")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("fails", "failed on record 1: KeyError: 'missing'"),
        ("gives_a_number", "gave a value of type int for record 1: expected a dict with names as keys, None"),
        ("gives_bytes", "gave for record 1, field x, a value of type bytes: expected text, a number"),
        ("gives_nan", "gave for record 1, field x, the number nan: expected"),
        ("gives_rows_for_batches", "gave a value of type list for batch 1: expected a pyarrow.RecordBatch"),
        (
            "gives_other_columns",
            "gave other columns for batch 2 than before: id2 string, name2 string, and before: id0",
        ),
    ],
)
def test_what_it_must_not_do_is_said_with_the_record(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(ResultError) as caught:
        write(CSV, tmp_path / "a.parquet", format="csv", transform=f"{PATH}:{name}")
    assert caught.value.message.startswith(f"transform {PATH}:{name} {says}")
    assert not (tmp_path / "a.parquet").exists()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("no_such_module:x", "cannot be imported: ModuleNotFoundError"),
        (f"{PATH}:no_such_name", "cannot be imported: AttributeError"),
        (f"{PATH}:not_callable", "is a value of type int, not a callable"),
    ],
)
def test_what_cannot_be_called_is_told_before_anything_is_sent(tmp_path: Path, path: str, says: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        check_destination(tmp_path / "a.csv", None, Records(format="csv", transform=path))
    assert caught.value.message.startswith(f"transform {path} {says}")


def test_raw_would_ignore_it(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"transform would be ignored: .* is written raw"):
        check_destination(tmp_path / "a.bin", None, Records(format="csv", transform="a:b"))
