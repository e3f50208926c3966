"""Sources: lists and files of every format, and what is wrong with those that cannot be read."""

from __future__ import annotations

import datetime
import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_asyncjob.definition.models.upload import Upload
from airflow_asyncjob.errors import EmptySourceError, SourceError, UploadError
from airflow_asyncjob.transport.upload import Source
from airflow_asyncjob.uploads import PartReader, plan_upload
from tests.uploads.given import bodies, named, plan, rejects, upload, written

ROWS = [{"a": "1", "b": "x"}, {"a": "2", "b": "ü\n"}]


def sent(rows: Any, **fields: Any) -> list[Any]:
    """Return the records of the one JSON part that is sent."""
    (body,) = bodies(upload(**fields), rows)
    return list(json.loads(body))


def refused(rows: Any, kind: type[UploadError] = SourceError, **fields: Any) -> str:
    with pytest.raises(kind) as caught:
        plan(upload(**fields), rows)
    return caught.value.message


@pytest.mark.parametrize(
    "name",
    ["r.csv", "r.tsv", "r.json", "r.jsonl", "r.ndjson", "r.parquet", "r.csv.gz", "r.json.gz", "R.JSONL.GZ"],
)
def test_the_suffix_says_how_a_file_is_read(name: str, tmp_path: Path) -> None:
    lower = written(tmp_path / name.lower(), ROWS)
    path = str(Path(lower).rename(tmp_path / name))
    assert sent(path) == ROWS


def test_a_list_is_sent_as_it_is() -> None:
    assert sent([{"a": 1}, {"b": [None, 1.5]}]) == [{"a": 1}, {"b": [None, 1.5]}]


def test_a_suffix_that_says_nothing_is_an_error() -> None:
    assert refused("/data/contacts.xls") == (
        "The suffix of /data/contacts.xls does not say how it is read; known are .csv, .tsv, .json, .jsonl, "
        ".ndjson, .parquet, all but the last also with .gz. Set submit.upload.read.format to one of: csv, "
        "tsv, json, jsonl, parquet."
    )


def test_read_says_how_a_file_of_any_name_is_written(tmp_path: Path) -> None:
    path = tmp_path / "export.txt"
    path.write_bytes("report of today\nid;näme\n7;'a;b'\n".encode("cp1252"))
    read = {"format": "csv", "encoding": "cp1252", "csv": {"delimiter": ";", "quote": "'", "skip_lines": 1}}
    assert sent(str(path), read=read) == [{"id": "7", "näme": "a;b"}]


def test_columns_have_the_names_that_read_gives(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("1,2\n3,4\n")
    read = {"csv": {"header": ["x", "y"]}}
    assert sent(str(path), read=read) == [{"x": "1", "y": "2"}, {"x": "3", "y": "4"}]


def test_records_of_json_lie_at_a_path(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('{"data": {"items": [{"n": 1.10}, {"n": 12345678901234567890123}]}}')
    (body,) = bodies(upload(read={"records": "data.items"}), str(path))
    assert body == b'[{"n":1.10},{"n":12345678901234567890123}]', "each digit is kept"


def test_values_of_parquet_become_those_of_json(tmp_path: Path) -> None:
    day, at = datetime.date(2026, 1, 31), datetime.datetime(2026, 1, 31, 12, 0, 0, 500_000)  # noqa: DTZ001
    table = pa.table(
        {
            "text": pa.array(["ü"]).dictionary_encode(),
            "day": [day],
            "time": pa.array([at], pa.timestamp("ns")),
            "zoned": pa.array([at], pa.timestamp("us", "Europe/Berlin")),
            "price": [Decimal("1.50")],
            "nan": [float("nan")],
            "tags": [["a", "b"]],
            "nested": [{"day": day, "nan": float("nan")}],
            "bytes": [b"text"],
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    (body,) = bodies(upload(), str(tmp_path / "rows.parquet"))
    assert json.loads(body, parse_float=str) == [
        {
            "text": "ü",
            "day": "2026-01-31",
            "time": "2026-01-31T12:00:00.500000",
            "zoned": "2026-01-31T12:00:00.500000Z",
            "price": "1.50",
            "nan": None,
            "tags": ["a", "b"],
            "nested": {"day": "2026-01-31", "nan": None},
            "bytes": "text",
        }
    ]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("r.csv", b"a,b\n1,2\n1,2,3\n", "as csv: record 2 has 3 values, and the header has 2 names: '1,2,3'"),
        ("r.csv", b"a,a\n1,2\n", "as csv: the header names 'a' more than once"),
        ("r.csv", b'a,b\n1,"2\n', "as csv: it ends within a quoted value, after record 0"),
        ("r.csv", "a\nü\n".encode("latin-1"), "as csv: line 2 is not UTF-8 (byte 0xfc)"),
        ("r.tsv", "a\n1\n".encode("utf-16"), "as tsv: it is text in UTF-16"),
        ("r.json", b'[{"a": 1}, {"a": ', "as json: the document breaks off after record 1"),
        ("r.json", b'{"a": {"b": 1}, "c"}', "as json: after record 0 it is not JSON"),
        ("r.json", b"3", "as json: the document is a number, not a list of records or a record"),
        ("r.jsonl", b'{"a": 1}\n{"a": 2}\n{"a" 3}\n', "as jsonl: record 3 in line 3 is not JSON"),
        ("r.jsonl", b"<!DOCTYPE html><html>", "as jsonl: an HTML page came instead of data"),
        (
            "r.json",
            b'[{"n": 1' + b"0" * 4300 + b"}]",
            'the field "n" has 4,301 digits, and at most 4,300 are read',
        ),
        (
            "r.jsonl",
            b'{"n": [-1' + b"0" * 4300 + b"]}\n",
            "a whole number has 4,301 digits, and at most 4,300",
        ),
        ("r.parquet", b"PAR1 and no more", "cannot be read as parquet: "),
        (
            "r.csv.gz",
            gzip.compress(b"a\n" + bytes(range(256)) * 90, mtime=0)[:50],
            "its gzip archive ends early. It may not be written whole: let the task wait for it.",
        ),
        (
            "r.csv.gz",
            gzip.compress(b"a\n1\n", mtime=0) + b"more",
            "its gzip archive is damaged, or followed by",
        ),
    ],
)
def test_a_file_that_is_not_as_declared_is_an_error(
    name: str, data: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    message = refused(str(path))
    assert f"The file {path}" in message
    assert said in message
    assert "result" not in message
    assert "API" not in message


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (pa.array([9 * 10**14], pa.timestamp("s")), "cannot be read as parquet: "),
        (pa.array([5000, 5001], pa.time64("ns")), "record 2, field a: it holds a time of day with nanosec"),
        (
            pa.array([[0, 1]], pa.list_(pa.time64("ns"))),
            "record 1, field a: it holds a time of day with nano",
        ),
        (pa.array([5], pa.timestamp("s", "Nowhere/City")), "'Nowhere/City'"),
    ],
)
def test_a_value_that_python_has_not_is_an_error_of_the_file(
    values: pa.Array, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.parquet"
    pq.write_table(pa.table({"a": values}), path)
    message = refused(str(path))
    assert message.startswith(f"The file {path} cannot be read as parquet: ")
    assert said in message
    assert message.endswith("Write it again, or say in submit.upload.read what it is.")


def test_a_duration_in_nanoseconds_is_sent_in_microseconds(tmp_path: Path) -> None:
    path = tmp_path / "r.parquet"
    pq.write_table(pa.table({"a": pa.array([86_400_000_001_007], pa.duration("ns"))}), path)
    assert bodies(upload(), str(path)) == [b'[{"a":"P1DT0.000001S"}]']


def test_a_column_that_a_parquet_file_has_twice_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "r.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
    assert refused(str(path)) == (
        f"The file {path} cannot be read as parquet: it has more than one column 'a'. Write it again, each "
        "column with a name of its own."
    )


def test_a_ragged_row_is_found_where_csv_goes_up_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "1,2\n" * 100_000 + "1\n")
    message = refused(str(path), format="csv", part_bytes=1000)
    assert "record 100001 has 1 values, and the header has 2 names: '1'" in message
    assert message.endswith("Correct the file, or say in submit.upload.read how it is written.")


def test_the_advice_is_about_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1\n")
    assert refused(str(path)) == (
        f"The file {path} cannot be read as csv: record 1 has 1 values, and the header has 2 names: '1'. "
        "Correct the file, or say in submit.upload.read how it is written."
    )


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("r.csv", b""),
        ("r.csv", b"a,b\n"),
        ("r.csv", b"\xef\xbb\xbfa,b\r\n\r\n"),
        ("r.json", b"[]"),
        ("r.json", b""),
        ("r.parquet", b""),
        ("r.jsonl", b""),
        ("r.jsonl", b"\n\n"),
        ("r.json", b'{"rows": null}'),
    ],
)
@pytest.mark.parametrize("format", ["json", "csv"])
def test_an_empty_source_is_an_error(name: str, data: bytes, format: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    read = {"records": "rows"} if b"rows" in data else {}
    assert refused(str(path), EmptySourceError, read=read, format=format) == (
        f"The file {path} is empty: there are no records to send. Nothing was sent. Look at the task that "
        "made it, or skip the job when there is nothing to send."
    )


def test_an_empty_list_is_an_error_and_so_is_an_empty_parquet_file(tmp_path: Path) -> None:
    assert refused([], EmptySourceError).startswith("The list of records is empty: there are no records")
    pq.write_table(pa.table({"a": pa.array([], pa.string())}), tmp_path / "r.parquet")
    assert "r.parquet is empty" in refused(str(tmp_path / "r.parquet"), EmptySourceError)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    message = refused(str(tmp_path / "rows.csv"), UploadError)
    assert message.startswith(f"The file {tmp_path}/rows.csv cannot be read: No such file or directory.")


@pytest.mark.parametrize("rows", [7, None, {"source": "x.csv"}, ""])
def test_a_source_that_is_none_is_an_error(rows: Any) -> None:
    message = refused(rows)
    assert message.startswith("submit.upload.source: '{{ inputs.rows }}' gave ")
    assert (
        "Expected a list of records, the path or URI of a file, or a piece that a plan returned." in message
    )


@pytest.mark.parametrize("rows", [[{"a": "1", "b": "2"}, {"a": "3"}], [{"b": "2", "a": "1"}]])
def test_a_byte_order_mark_is_not_part_of_the_first_name(rows: Any, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("\ufeffa,b\n1,2\n3,4\n")
    assert [json.loads(body) for body in bodies(upload(part_records=1), str(path))] == [
        [{"a": "1", "b": "2"}],
        [{"a": "3", "b": "4"}],
    ]


@pytest.mark.parametrize("where", ["fields", "required", "types", "key"])
def test_a_column_that_a_file_lacks_is_an_error(where: str, tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", ROWS)
    given = {"fields": {"x": "c"}, "required": "c", "types": {"c": "integer"}, "key": "c"}[where]
    assert refused(path, **{where: given}) == (
        f"The file {path} has no column 'c', which submit.upload.{where} names. Its columns are: a, b. "
        f"Correct submit.upload.{where}."
    )


class Failing:
    """A storage whose file cannot be read beyond its first bytes."""

    def __init__(self, data: bytes, good: int) -> None:
        self._data, self._good = data, good

    def find(self, path: str) -> Source:
        return Source("s3://lake/rows.csv", len(self._data), lambda: _File(self._data, self._good))  # type: ignore[arg-type, return-value]


class _File:
    def __init__(self, data: bytes, good: int) -> None:
        self._data, self._at, self._good = data, 0, good

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def seek(self, offset: int) -> None:
        self._at = offset

    def read(self, size: int) -> bytes:
        if self._at >= self._good:
            raise ConnectionError("the storage hung up")
        piece = self._data[self._at : self._at + min(size, 50)]
        self._at += len(piece)
        return piece


def storage(data: bytes, good: int) -> Any:
    return Failing(data, good).find


def test_a_storage_that_fails_is_an_error_that_may_pass() -> None:
    data = b"a,b\n" + b"1,2\n" * 100
    with pytest.raises(UploadError) as caught:
        plan_upload(upload(), named("s3://lake/rows.csv"), storage(data, 200))
    assert caught.value.message == (
        "The file s3://lake/rows.csv cannot be read: the storage hung up. Try again later."
    )
    assert caught.value.retryable


@pytest.mark.parametrize("up", [upload(part_bytes=60), upload(part_bytes=60, format="csv")])
def test_a_storage_of_any_kind_is_read_by_its_open_files(up: Upload) -> None:
    data = b"a,b\n" + b"1,2\n" * 100
    find = storage(data, len(data) + 1)
    planned = plan_upload(up, named("s3://lake/rows.csv"), find)
    reader = PartReader(up, named("s3://lake/rows.csv"), find, planned)
    assert len(reader.body(len(planned.parts))) == planned.parts[-1].bytes
    opened: BinaryIO | _File = find("").open()
    assert opened.read(3) == b"a,b"


def test_times_of_any_unit_are_sent_to_the_microsecond(tmp_path: Path) -> None:
    table = pa.table(
        {
            "at": pa.array([1_999], pa.timestamp("ns")),
            "within": pa.array([{"for": [2_001]}], pa.struct({"for": pa.list_(pa.duration("ns"))})),
            "time": pa.array([3_000], pa.time64("ns")),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    assert sent(str(tmp_path / "rows.parquet")) == [
        {"at": "1970-01-01T00:00:00.000001", "within": {"for": ["PT0.000002S"]}, "time": "00:00:00.000003"}
    ]


def test_a_record_that_is_no_mapping_is_kept_in_its_reject() -> None:
    found = rejects(upload(), [1, "x", {"a": 1}, [2], None])
    assert [(reject.number, reject.record) for reject in found] == [(1, 1), (2, "x"), (4, [2]), (5, None)]
