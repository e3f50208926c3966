from __future__ import annotations

import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.errors import FormatError, TruncatedError
from airflow_asyncjob.results.formats.dialect import Dialect
from tests.results.given import SENT, read_back, write

CELL = st.text(st.sampled_from("ab0 \",\n\r;\t'é"), max_size=6)


def as_csv(rows: list[list[str]], quoting: int = csv.QUOTE_MINIMAL, end: str = "\n") -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=quoting, lineterminator=end).writerows(rows)
    return out.getvalue().encode()


@given(
    rows=st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=8),
    # Python's writer leaves a lone carriage return bare when lines end in a line feed: those are quoted all.
    style=st.sampled_from([(csv.QUOTE_MINIMAL, "\r\n"), (csv.QUOTE_ALL, "\r\n"), (csv.QUOTE_ALL, "\n")]),
)
def test_a_block_ends_where_a_record_ends(rows: list[list[str]], style: tuple[int, str]) -> None:
    quoting, end = style
    data = as_csv(rows, quoting, end)
    ends = {0} | {len(as_csv(rows[:count], quoting, end)) for count in range(len(rows) + 1)}
    for size in range(len(data) + 1):
        found = Dialect(Records(format="csv")).end_of_records(data[:size])
        assert found in ends
        # What is held back is one record at most, so that memory stays flat.
        assert not [each for each in ends if found < each <= size]


@pytest.mark.parametrize("piece", [1, 3, 10_000])
def test_values_stay_as_they_are(tmp_path: Path, piece: int) -> None:
    data = (
        b'\xef\xbb\xbfid,"full, name",note\r\n00123,"Ann ""A"" Lee","two\r\nlines"\r\n1e5, padded ,\r\n'
        b'true,"",NULL\r\n'
    )
    write(data, tmp_path / "a.jsonl", format="csv", piece=piece)
    assert read_back(tmp_path / "a.jsonl") == [
        {"id": "00123", "full, name": 'Ann "A" Lee', "note": "two\r\nlines"},
        {"id": "1e5", "full, name": " padded ", "note": ""},
        {"id": "true", "full, name": "", "note": "NULL"},
    ]


def test_quotes_within_a_value_that_is_not_quoted_are_text(tmp_path: Path) -> None:
    write(b'size,note\n5" pipe,x\n6" pipe,"a, b"\n', tmp_path / "a.jsonl", format="csv")
    assert read_back(tmp_path / "a.jsonl") == [
        {"size": '5" pipe', "note": "x"},
        {"size": '6" pipe', "note": "a, b"},
    ]


@pytest.mark.parametrize("data", [b"id,name", b"id,name\n", b"\r\n\nid,name\r\n\r\n", b"\xef\xbb\xbfid,name"])
@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl"])
def test_a_header_alone_is_a_file_without_records(tmp_path: Path, data: bytes, name: str) -> None:
    manifest = write(data, tmp_path / name, format="csv")
    assert manifest.records == 0
    assert read_back(tmp_path / name) == []
    if name == "a.csv":
        assert (tmp_path / name).read_bytes() == b"id,name\n"


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl"])
def test_an_empty_body_holds_no_records(tmp_path: Path, name: str) -> None:
    assert write(b"", tmp_path / name, format="csv").records == 0
    assert read_back(tmp_path / name) == []
    assert write([b"", b"\n", b"id\n1\n", b""], tmp_path / name, format="csv").records == 1
    assert read_back(tmp_path / name) == [{"id": "1"}]


def test_blank_lines_are_no_records_and_an_empty_value_is_one(tmp_path: Path) -> None:
    write(b'id\n1\n\n""\n2\n\n', tmp_path / "a.csv", format="csv")
    assert (tmp_path / "a.csv").read_bytes() == b'id\n1\n""\n2\n'


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl"])
def test_several_become_one_with_columns_matched_by_name(tmp_path: Path, name: str) -> None:
    sources = [b"id,name\n1,Ann\n", b"name,id\nLee,2\nAnn,1\n", b'"id","name"\n', b"id,name\n1,Ann\n"]
    manifest = write(sources, tmp_path / name, format="csv")
    assert manifest.records == 4
    ann, lee = {"id": "1", "name": "Ann"}, {"id": "2", "name": "Lee"}
    assert read_back(tmp_path / name) == [ann, lee, ann, ann]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl"])
def test_a_differing_header_is_an_error_that_says_which(tmp_path: Path, name: str) -> None:
    with pytest.raises(FormatError) as caught:
        write([b"id,name\n1,Ann\n", b"id,mail,tel\n2,x,y\n"], tmp_path / name, format="csv")
    message = str(caught.value)
    assert message.startswith(SENT)
    assert "header differs from the one of the first result" in message
    assert "it lacks name and it has mail, tel besides" in message
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"a,b\n1,2\n3\n", ["record 2 has 1 values, and the header has 2 names: '3'", "must be quoted"]),
        (b"a,b\n1,2\n\n3,4,5\n", ["record 2 has 3 values, and the header has 2 names: '3,4,5'"]),
        (b"a,b,a\n1,2,3\n", ["the header names 'a' more than once", "format: raw"]),
        (b"a,,\n1,2,3\n", ["the header names '' more than once"]),
        (b"a,b\n1,\xff\n", ["line 2 is not UTF-8 (byte 0xff)", "Set encoding to what the API sends"]),
        (b'a,b\n1,"x\ny"\n1,\xe9t\xe9\n', ["line 4 is not UTF-8 (byte 0xe9)"]),
        (b"\xff\xfea\0,\0b\0", ["text in UTF-16"]),
        (b"," * 10_000 + b"\n1\n", ["the header cannot be read: it has more than 10000 columns"]),
        (b"x" * 200_000 + b"\n1\n", ["the header cannot be read: field larger than field limit"]),
        (
            b"  <!DOCTYPE html><html><body>Sign in</body></html>",
            ["an HTML page came", "login or an error page"],
        ),
        (b"\n<HTML><body>Sign in</body></html>", ["an HTML page came"]),
        (b"PAR1rest", ["a Parquet file"]),
        (b'{"error": {"code": 17}}', ["JSON came instead", 'starts with \'{"error": {"code": 17}}\'']),
        (b'\xef\xbb\xbf [{"message": "expired"}]', ["JSON came instead", "set format: json"]),
        (b"[]", ["JSON came instead"]),
        (b"<?xml version='1.0'?><Error>x</Error>", ["XML came instead", "usually the API's error"]),
        (b"<Error><Code>AccessDenied</Code></Error>", ["XML came instead", "AccessDenied"]),
        (b"BZh91AY", ["bzip2"]),
    ],
)
def test_what_is_no_csv_says_where_and_what_to_do(
    tmp_path: Path, name: str, data: bytes, says: list[str]
) -> None:
    with pytest.raises(FormatError) as caught:
        write(data, tmp_path / name, format="csv")
    message = str(caught.value)
    assert message.startswith(f"{SENT}: the result cannot be read as csv: ")
    assert "; it starts with " in message
    for part in says:
        assert part in message
    assert not caught.value.retryable
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'a,b\n1,2\n3,"open\n4,5\n', "ends within a quoted value, after record 1"),
        ("a,b\n1,é".encode()[:-1], "ends within a character, in line 2"),
    ],
)
def test_what_ends_early_may_be_fetched_again(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(TruncatedError, match=says) as caught:
        write(data, tmp_path / "a.csv", format="csv")
    assert caught.value.retryable
    assert "fetch it again" in str(caught.value)


def test_the_record_of_a_ragged_row_is_counted_over_blocks(tmp_path: Path) -> None:
    rows = b"".join(b'%d,"name, %d"\n' % (number, number) for number in range(200_000))
    assert len(rows) > 3 * 2**20
    with pytest.raises(FormatError, match="record 200001 has 1 values"):
        write(b"id,name\n" + rows + b"alone\n", tmp_path / "a.csv", format="csv", piece=100_000)


def test_a_quote_that_is_never_closed_does_not_fill_the_memory(tmp_path: Path) -> None:
    data = b'a,b\n1,2\n3,"' + b"x\n" * (20 * 2**20)
    with pytest.raises(FormatError) as caught:
        write(data, tmp_path / "a.csv", format="csv", piece=2**20)
    assert "the record after record 1 is longer than 32 MiB" in str(caught.value)
    assert "A quote may not be closed" in str(caught.value)


@pytest.mark.parametrize("filling", [b'""', b","])
def test_a_record_of_millions_of_quotes_or_fields_needs_no_memory_to_be_cut(filling: bytes) -> None:
    record = b'"' + filling * 4_000_000 + b'"\n'
    block = record * 2
    tracemalloc.start()
    try:
        assert Dialect(Records(format="csv")).end_of_records(block) == len(block)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_large_value_is_fine(tmp_path: Path) -> None:
    text = b"line, one\n" * 800_000
    write(b'a,b\n1,"' + text + b'"\n2,x\n', tmp_path / "a.parquet", format="csv", piece=65_536)
    rows = read_back(tmp_path / "a.parquet")
    assert rows[0]["b"] == text.decode()
    assert rows[1] == {"a": "2", "b": "x"}


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"select": {"a": "id", "b": "nmae"}}, "select names nmae, and the columns are: id, name"),
        ({"types": {"age": "integer"}}, "types names age, and the columns are: id, name"),
        ({"primary_key": ["id", "key"]}, "primary_key names key, and the columns are: id, name"),
    ],
)
def test_a_name_that_is_no_column_is_an_error(
    tmp_path: Path, name: str, arguments: dict[str, object], says: str
) -> None:
    with pytest.raises(FormatError) as caught:
        write(b"id,name\n", tmp_path / name, format="csv", **arguments)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_limit_stops_there_and_reads_no_further(tmp_path: Path, name: str) -> None:
    from airflow_asyncjob.definition.models.records import Records
    from airflow_asyncjob.results import write_result
    from tests.results.given import Given

    first = Given(b"id\n" + b"".join(b"%d\n" % number for number in range(500_000)), piece=50_000)
    second = Given(b"id\nnot read\n")
    manifest = write_result([first, second], Records(format="csv"), tmp_path / name, limit=3)
    assert manifest.records == 3
    assert [row["id"] for row in read_back(tmp_path / name)] == ["0", "1", "2"]
    assert first.closed
    assert first.asked < len(first.data) // first.piece
    assert second.asked == 0
