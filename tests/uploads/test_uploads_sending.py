"""Sending: bodies are made again as they were planned, from any part on; records are found again."""

from __future__ import annotations

import base64
import gzip
import hashlib
from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.definition.models.upload import Upload
from airflow_asyncjob.errors import SourceChangedError
from airflow_asyncjob.transport.upload import local_source
from airflow_asyncjob.uploads import PartReader, find_records, key_of, plan_upload
from tests.uploads.given import named, pieces, plan, read_back, upload, written

ROWS = [{"n": f"{number:05}", "t": "x" * (number % 50)} for number in range(3000)]
WAYS = [
    (".csv", {"format": "csv"}),
    (".csv.gz", {"format": "csv"}),
    (".csv", {"format": "json"}),
    (".jsonl", {"format": "xml", "wrap": {"r": "{{ record }}"}, "envelope": {"a": "{{ records }}"}}),
    (".json", {"format": "csv"}),
    (".parquet", {"format": "jsonl"}),
]


@pytest.mark.parametrize(("suffix", "fields"), WAYS, ids=str)
def test_parts_are_read_in_any_order(suffix: str, fields: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path / f"rows{suffix}", ROWS)
    up = upload(part_bytes=9000, **fields)
    planned = plan(up, path, md5=True)
    in_order = PartReader(up, named(path), local_source, planned)
    made = {part.number: in_order.body(part.number) for part in planned.parts}
    for part in planned.parts:
        body = made[part.number]
        assert hashlib.sha256(body).hexdigest() == part.sha256
        assert base64.b64encode(hashlib.md5(body).digest()).decode() == part.md5
    last = len(made)
    for number in (last, 3, 3, 4, 1, last - 1):
        assert in_order.body(number) == made[number]
        assert PartReader(up, named(path), local_source, planned).body(number) == made[number]


@pytest.mark.parametrize(("suffix", "format"), [(".csv", "csv"), (".csv.gz", "json"), (".jsonl", "json")])
def test_a_file_of_another_encoding_is_read_from_any_part_on(
    suffix: str, format: str, tmp_path: Path
) -> None:
    path = Path(written(tmp_path / f"rows{suffix.removesuffix('.gz')}", [{"n": "ü\n", "t": "€"}, *ROWS]))
    data = path.read_bytes().decode().encode("utf-16")
    path = tmp_path / f"other{suffix}"
    path.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
    up = upload(part_bytes=9000, format=format, read={"encoding": "utf-16", "csv": {"skip_lines": 0}})
    planned = plan(up, str(path))
    made = [
        PartReader(up, named(str(path)), local_source, planned).body(part.number) for part in planned.parts
    ]
    assert [row for body in made for row in read_back(format, body)] == [{"n": "ü\n", "t": "€"}, *ROWS]


@pytest.mark.parametrize("format", ["csv", "json"])
def test_lines_above_the_header_are_passed_over(format: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('a "report\nof today\n\nn,t\n' + "1,2\n3,4\n" * 100)
    up = upload(part_bytes=60, format=format, read={"csv": {"skip_lines": 2}})
    planned = plan(up, str(path))
    reader = PartReader(up, named(str(path)), local_source, planned)
    found = [row for part in planned.parts for row in read_back(format, reader.body(part.number))]
    assert found == [{"n": "1", "t": "2"}, {"n": "3", "t": "4"}] * 100


@pytest.mark.parametrize(("suffix", "fields"), WAYS, ids=str)
def test_a_file_that_changes_in_mid_upload_is_an_error(
    suffix: str, fields: dict[str, Any], tmp_path: Path
) -> None:
    path = written(tmp_path / f"rows{suffix}", ROWS)
    up = upload(part_bytes=9000, **fields)
    planned = plan(up, path)
    written(tmp_path / f"rows{suffix}", [*ROWS[:2900], {"n": "new", "t": ""}, *ROWS[2901:]])
    reader = PartReader(up, named(path), local_source, planned)
    reader.body(1)
    changed = next(part for part in planned.parts if part.first + part.records > 2901)
    with pytest.raises(SourceChangedError) as caught:
        reader.body(changed.number)
    assert caught.value.message == (
        f"The file {path} changed in mid-upload: part {changed.number} of {len(planned.parts)} (from record "
        f"{changed.first:,} on) is not what was planned. It was not sent; what was acknowledged before is at "
        "the API. Let the file stay as it is until the upload is done, then clear the task."
    )


@pytest.mark.parametrize("rows", [ROWS[:1000], ROWS[:1], [*ROWS, *ROWS]])
@pytest.mark.parametrize(("suffix", "fields"), WAYS[:4], ids=str)
def test_a_file_that_grows_or_shrinks_is_an_error_where_it_matters(
    suffix: str, fields: dict[str, Any], rows: list[dict[str, str]], tmp_path: Path
) -> None:
    path = written(tmp_path / f"rows{suffix}", ROWS)
    up = upload(part_bytes=9000, **fields)
    planned = plan(up, path)
    written(tmp_path / f"rows{suffix}", rows)
    reader = PartReader(up, named(path), local_source, planned)
    if len(rows) < len(ROWS):
        with pytest.raises(SourceChangedError):
            reader.body(len(planned.parts))
    else:
        for part in planned.parts[:-1]:
            assert len(reader.body(part.number)) == part.bytes


def test_the_last_bytes_of_a_part_come_only_when_it_is_what_was_planned(tmp_path: Path) -> None:
    rows = [{"n": f"{number:09}", "t": "x" * 500} for number in range(6000)]
    path = written(tmp_path / "rows.csv", rows)
    up = upload(format="csv")
    planned = plan(up, path)
    written(tmp_path / "rows.csv", [*rows[:-1], {"n": "000000000", "t": "y" * 500}])
    came: list[bytes] = []
    with pytest.raises(SourceChangedError):
        came.extend(PartReader(up, named(path), local_source, planned).chunks(1))
    assert 2**20 <= sum(map(len, came)) < planned.parts[0].bytes


def find(up: Upload, rows: Any, **asked: Any) -> list[tuple[int, int]]:
    found = find_records(up, named(rows), local_source, **asked)
    return [(record.number, record.sent) for record in found]


@pytest.mark.parametrize("format", ["json", "csv"])
def test_records_are_found_by_key_and_by_number(format: str, tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", ROWS[:100])
    up = upload(format=format, key="n", part_bytes=1000)
    assert find(up, path, keys={("00007",), ("unknown",)}, numbers={1, 100}) == [(1, 1), (8, 8), (100, 100)]
    assert find(up, path) == []
    (found,) = find_records(up, named(path), local_source, numbers={3})
    assert (found.key, dict(found.record)) == ({"n": "00002"}, ROWS[2])


def test_numbers_count_the_records_that_were_sent() -> None:
    rows = [{"n": 1}, {}, {"n": 3}, {"n": None}, {"n": 5}]
    up = upload(required="n", key="n")
    assert find(up, rows, numbers={1, 2, 3, 4}) == [(1, 1), (3, 2), (5, 3)]
    assert find(up, rows, keys={("5",), ("",)}, rejected={2, 4}) == [(5, 3)]


def test_records_of_a_piece_are_numbered_in_the_job_and_in_the_source(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", ROWS[:100])
    up = upload(job_records=40, key="n")
    piece = pieces(up, path)[1]
    assert find(up, piece, numbers={1, 40, 41}, keys={("00050",), ("00099",)}) == [
        (41, 1),
        (51, 11),
        (80, 40),
    ]


def test_a_key_is_text_as_an_api_says_it() -> None:
    assert key_of({"a": 7, "b": None, "c": True, "d": "x"}) == ("7", "", "true", "x")
    assert key_of(None) == ()


def test_a_piece_is_sent_like_a_file(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", ROWS)
    up = upload(format="csv", part_bytes=9000, job_bytes=30_000)
    whole = b"".join(
        PartReader(up, named(piece), local_source, planned).body(part.number).removeprefix(b"n,t\r\n")
        for piece in pieces(up, path)
        for planned in [plan_upload(up, named(piece), local_source)]
        for part in planned.parts
    )
    assert b"n,t\r\n" + whole == Path(path).read_bytes()
