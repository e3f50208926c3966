from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_asyncjob.errors import FormatError, TruncatedError
from airflow_asyncjob.results.gzipped import GzipReader
from tests.results.given import SENT, Given, write


def expanded(data: bytes, piece: int, *, tail: bool = True) -> bytes:
    reader = GzipReader(Given(data), tail=tail)
    out = b""
    for start in range(0, len(data), piece):
        out += b"".join(reader.feed(data[start : start + piece]))
    return out + b"".join(reader.finish())


@given(members=st.lists(st.binary(max_size=300), min_size=1, max_size=4), piece=st.integers(1, 50))
def test_members_in_pieces_of_any_size(members: list[bytes], piece: int) -> None:
    data = b"".join(map(gzip.compress, members))
    assert expanded(data, piece) == b"".join(members)
    assert expanded(data + b"\0" * 7, piece) == b"".join(members)


@given(content=st.binary(max_size=300), missing=st.integers(1, 30))
def test_an_archive_that_ends_early_is_no_whole(content: bytes, missing: int) -> None:
    data = gzip.compress(b"first") + gzip.compress(content)
    cut = max(len(gzip.compress(b"first")) + 1, len(data) - missing)
    with pytest.raises(TruncatedError) as caught:
        expanded(data[:cut], 10)
    assert str(caught.value).startswith(f"{SENT}: the gzip archive ends early, in member 2")


def test_a_bad_checksum_is_an_error() -> None:
    data = bytearray(gzip.compress(b"content"))
    data[-8] ^= 1
    with pytest.raises(FormatError, match=r"archive is damaged \(.*incorrect data check"):
        expanded(bytes(data), 100)


def test_something_after_the_archive_is_an_error_unless_bytes_are_kept() -> None:
    data = gzip.compress(b"content") + b"Fatal error"
    with pytest.raises(FormatError, match="damaged after member 1"):
        expanded(data, 5)
    assert expanded(data, 5, tail=False) == b"content"


def test_a_bomb_comes_out_in_small_pieces() -> None:
    packer = zlib.compressobj(wbits=31)
    data = b"".join(packer.compress(bytes(2**20)) for _ in range(200)) + packer.flush()
    assert len(data) < 2**18
    reader = GzipReader(Given(data))
    sizes = [len(piece) for piece in reader.feed(data)] + [len(piece) for piece in reader.finish()]
    assert sum(sizes) == 200 * 2**20
    assert max(sizes) <= 2**20


@pytest.mark.parametrize("piece", [1, 2, 1000])
def test_records_are_found_in_an_archive_by_its_bytes(tmp_path: Path, piece: int) -> None:
    data = gzip.compress(b"id,name\n1,Ann\n") + gzip.compress(b"2,Lee\n")
    manifest = write(data, tmp_path / "a.csv", format="csv", piece=piece)
    assert manifest.records == 2
    assert (tmp_path / "a.csv").read_bytes() == b"id,name\n1,Ann\n2,Lee\n"


def test_a_truncated_archive_leaves_nothing(tmp_path: Path) -> None:
    data = gzip.compress(b"id,name\n1,Ann\n")[:-5]
    for name, arguments in (("a.csv", {"format": "csv"}), ("a.bin", {})):
        with pytest.raises(TruncatedError) as caught:
            write(data, tmp_path / name, **arguments)
        assert caught.value.retryable
    assert list(tmp_path.iterdir()) == []


def test_the_same_records_are_the_same_archive(tmp_path: Path) -> None:
    first = write(b"id\n1\n", tmp_path / "a.csv.gz", format="csv")
    second = write(b"id\n1\n", tmp_path / "other.csv.gz", format="csv", piece=1)
    assert first.sha256 == second.sha256
