from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.errors import DefinitionError, DestinationError, ResultError
from airflow_asyncjob.results import check_destination, write_result
from tests.results.given import Broken, Given, read_back, write

CSV = Records(format="csv", primary_key="id")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl.gz", "a.csv.gz"])
def test_the_manifest_is_of_what_was_written(tmp_path: Path, name: str) -> None:
    import hashlib

    manifest = write_result([Given(b"id\n1\n")], CSV, tmp_path / name, state="partial", submission_id="job-7")
    data = (tmp_path / name).read_bytes()
    assert manifest.to_dict() == {
        "state": "partial",
        "uris": [f"file://{tmp_path / name}"],
        "records": 1,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "format": name.split(".")[1],
        "rejects": None,
        "submission_id": "job-7",
        "primary_key": ["id"],
    }
    assert json.loads(json.dumps(manifest.to_dict())) == manifest.to_dict()


@pytest.mark.parametrize("name", ["a.csv", "a.bin"])
def test_no_data_writes_nothing_and_leaves_what_is_there(tmp_path: Path, name: str) -> None:
    records = CSV if name == "a.csv" else Records()
    (tmp_path / name).write_bytes(b"of yesterday")
    unread = Given(b"id\n1\n")
    for manifest in (
        write_result([], records, tmp_path / name, submission_id="7"),
        write_result([unread], records, tmp_path / name, state="no_data", submission_id="7"),
    ):
        assert manifest.state == "no_data"
        assert (manifest.uris, manifest.records, manifest.bytes, manifest.sha256) == ((), 0, 0, None)
        assert manifest.submission_id == "7"
    assert unread.asked == 0
    assert (tmp_path / name).read_bytes() == b"of yesterday"
    write_result([], records, tmp_path / "new" / name)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl"])
def test_an_error_of_the_exchange_passes_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"of yesterday")
    source = Broken(b"id\n" + b"1\n" * 500_000, piece=10_000)
    with pytest.raises(ConnectionResetError, match="the other side hung up"):
        write_result([Given(b"id\n0\n"), source], CSV, tmp_path / name)
    assert source.closed
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"of yesterday"


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    class Interrupted(Given):
        def chunks(self) -> Iterator[bytes]:
            yield from super().chunks()
            raise KeyboardInterrupt

    for name in ("a.csv", "a.parquet", "a.jsonl", "a.csv.gz"):
        with pytest.raises(KeyboardInterrupt):
            write_result([Interrupted(b"id\n1\n" * 1000)], CSV, tmp_path / "new" / name)
    assert list(tmp_path.iterdir()) == []


def test_sources_are_opened_one_after_the_other(tmp_path: Path) -> None:
    sources = [Given(b"id\n1\n") for _ in range(3)]

    def given() -> Iterator[Given]:
        for number, source in enumerate(sources):
            assert all(before.closed for before in sources[:number])
            yield source

    assert write_result(given(), CSV, tmp_path / "a.parquet").records == 3


def test_duplicates_are_kept(tmp_path: Path) -> None:
    write([b"id\n1\n", b"id\n1\n"], tmp_path / "a.csv", format="csv", primary_key="id")
    assert read_back(tmp_path / "a.csv") == [{"id": "1"}, {"id": "1"}]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_counts_from_one(tmp_path: Path, limit: int) -> None:
    with pytest.raises(DefinitionError, match=f"limit is {limit}: give a number of records from 1"):
        write(b"", tmp_path / "a.csv", format="csv", limit=limit)


def test_limit_counts_over_all_sources(tmp_path: Path) -> None:
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        assert write([b"id\n1\n2\n", b"id\n3\n4\n"], tmp_path / name, format="csv", limit=3).records == 3
        assert [row["id"] for row in read_back(tmp_path / name)] == ["1", "2", "3"]
        assert write([b'[{"a": 1}, {"a": 2}]'] * 3, tmp_path / name, format="json", limit=3).records == 3


def test_the_output_can_be_checked_before_anything_is_sent(tmp_path: Path) -> None:
    assert check_destination(tmp_path / "a.csv", None, CSV).format == "csv"
    with pytest.raises(DefinitionError, match="primary_key would be ignored"):
        check_destination(tmp_path / "a.bin", None, CSV)
    with pytest.raises(DestinationError, match="no filesystem for nowhere://"):
        check_destination("nowhere://a/b.csv", None, CSV)


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name, records in (("a.parquet", Records(format="jsonl")), ("a.jsonl", CSV), ("a.csv", CSV)):
        with pytest.raises(ResultError) as caught:
            write_result([Given(b"id\n1\n")], records, tmp_path / name)
        assert "pip install 'airflow-asyncjob[parquet]'" in str(caught.value)
        assert not caught.value.retryable
    assert write(b'{"a": 1}\n', tmp_path / "a.jsonl", format="jsonl").records == 1
    assert write(b'[{"a": 1}]', tmp_path / "a.jsonl", format="json", select={"b": "a"}).records == 1
    assert write(b"x", tmp_path / "a.bin").bytes == 1
