"""ZIP archives, and the limits of what archives may expand to."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.errors import FormatError, TruncatedError
from tests.results.given import SENT, read_back, write


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def error(data: bytes, path: Path, **arguments: Any) -> str:
    with pytest.raises(FormatError) as caught:
        write(data, path, **{"format": "csv", **arguments})
    assert not path.exists()
    return caught.value.message


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl", "a.csv"])
def test_one_file_in_an_archive_is_the_result(tmp_path: Path, name: str, method: int) -> None:
    data = zipped({"folder/": b"", "__MACOSX/._x.csv": b"\0", "folder/x.csv": b"id\n007\n"}, method)
    assert write(data, tmp_path / name, format="csv", piece=7).records == 1
    assert read_back(tmp_path / name) == [{"id": "007"}]


def test_gzip_within_an_archive_is_undone(tmp_path: Path) -> None:
    data = zipped({"x.jsonl.gz": gzip.compress(b'{"id": 1}\n') + gzip.compress(b'{"id": 2}\n')})
    write(data, tmp_path / "a.jsonl", format="jsonl")
    assert read_back(tmp_path / "a.jsonl") == [{"id": 1}, {"id": 2}]


def test_members_by_a_pattern_become_one_file(tmp_path: Path) -> None:
    data = zipped({"1.csv": b"id,n\n1,a\n", "readme.txt": b"hello", "2.csv": b"n,id\nb,2\n"})
    write(data, tmp_path / "a.jsonl", format="csv", member="*.csv")
    assert read_back(tmp_path / "a.jsonl") == [{"id": "1", "n": "a"}, {"id": "2", "n": "b"}]
    write(data, tmp_path / "b.jsonl", format="csv", member="2.csv")
    assert read_back(tmp_path / "b.jsonl") == [{"id": "2", "n": "b"}]


def test_which_file_is_asked_for_when_there_are_several(tmp_path: Path) -> None:
    data = zipped({"1.csv": b"id\n1\n", "2.csv": b"id\n2\n"})
    message = error(data, tmp_path / "a.csv")
    assert message.startswith(f"{SENT}: the ZIP archive holds 2 files, and nothing says which are the result")
    assert "1.csv, 2.csv. Set member to a name or a pattern, such as *.csv." in message
    assert "no file of the ZIP archive matches member '*.json'; it holds: 1.csv, 2.csv" in error(
        data, tmp_path / "a.csv", member="*.json"
    )
    assert "the ZIP archive holds no file" in error(zipped({}), tmp_path / "a.csv")


def test_a_fault_within_names_the_member(tmp_path: Path) -> None:
    message = error(zipped({"x.csv": b"a,b\n1\n"}), tmp_path / "a.csv")
    assert message.startswith(f"{SENT}, x.csv in it: the result cannot be read as csv: record 1 has 1 values")


def test_a_damaged_archive_is_an_error(tmp_path: Path) -> None:
    data = bytearray(zipped({"x.csv": b"id\n" + b"1\n" * 50}, zipfile.ZIP_STORED))
    data[60] ^= 1
    assert "the ZIP archive is damaged" in error(bytes(data), tmp_path / "a.csv")
    encrypted = bytearray(zipped({"x.csv": b"id\n1\n"}))
    encrypted[6] |= 1
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    assert "the file is encrypted" in error(bytes(encrypted), tmp_path / "a.csv")


@pytest.mark.parametrize("missing", [1, 30, 100])
def test_an_archive_that_was_cut_off_may_be_fetched_again(tmp_path: Path, missing: int) -> None:
    data = zipped({"x.csv": b"id\n" + bytes(range(48, 58)) * 50})
    with pytest.raises(TruncatedError, match=r"no readable directory at its end .* cut off") as caught:
        write(data[:-missing], tmp_path / "a.csv", format="csv")
    assert caught.value.retryable


def test_raw_keeps_an_archive(tmp_path: Path) -> None:
    data = zipped({"1.csv": b"", "2.csv": b""})
    write(data, tmp_path / "a.zip", format="raw")
    assert (tmp_path / "a.zip").read_bytes() == data


def test_a_bomb_is_refused_unless_its_size_is_expected(tmp_path: Path) -> None:
    large = b"id\n" + b"1\n" * 35_000_000
    packed = gzip.compress(large)
    message = error(packed, tmp_path / "a.parquet", piece=len(packed))
    assert f"{len(packed):,} bytes expand to more than" in message
    assert "limits.decompressed_bytes" in message
    done = write(
        packed,
        tmp_path / "a.parquet",
        format="csv",
        piece=len(packed),
        decompressed_bytes=len(large),
        limit=9,
    )
    assert done.records == 9


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda data: zipped({"a": data})])
def test_the_largest_size_after_decompression_is_a_setting(tmp_path: Path, pack: Any) -> None:
    data = pack(b"id\n" + b"1\n" * 1000)
    assert write(data, tmp_path / "a.csv", format="csv", decompressed_bytes=2003).records == 1000
    message = error(data, tmp_path / "b.csv", decompressed_bytes=2002)
    assert "more than 2,002 bytes after decompression, which limits.decompressed_bytes allows" in message
