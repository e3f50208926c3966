from __future__ import annotations

from pathlib import Path

import pytest

from airflow_asyncjob.errors import FormatError, TruncatedError
from tests.results.given import SENT, read_back, write


@pytest.mark.parametrize("piece", [1, 4, 1000])
def test_records_pass_as_they_are(tmp_path: Path, piece: int) -> None:
    data = b'\xef\xbb\xbf{"a": 1.50, "a": 2, "b": "\\ud800"}\r\n\n  {"n":12345678901234567890123}  \n{}'
    manifest = write(data, tmp_path / "a.jsonl", format="jsonl", piece=piece)
    assert manifest.records == 3
    assert (tmp_path / "a.jsonl").read_bytes() == (
        b'{"a": 1.50, "a": 2, "b": "\\ud800"}\n{"n":12345678901234567890123}\n{}\n'
    )


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_an_empty_body_holds_no_records(tmp_path: Path, name: str) -> None:
    assert write(b"", tmp_path / name, format="jsonl").records == 0
    assert write(b"\n \r\n", tmp_path / name, format="jsonl").records == 0
    assert read_back(tmp_path / name) == []


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"a": 1}\n\n{"a": }\n', "record 2 in line 3 is not JSON: Expecting value"),
        (b'{"a": 1}\n{"a": NaN}\n', "record 2 in line 2 is not JSON: NaN is not JSON"),
        (b'[\n{"a": 1}\n]\n', "record 1 in line 1 is not JSON"),
        (b'[{"a": 1}]\n', "record 1 is a list, not an object"),
        (b'{"a": ' + b"9" * 5000 + b"}\n", 'record 1 in line 1 is not JSON: the field "a" has 5,000 digits'),
        (b"[" * 100_000 + b"\n", "record 1 in line 1 is not JSON: it is nested too deep"),
        (b'{"a": "\xff"}\n', "line 1 is not UTF-8"),
        (b"<html>\n<body>\n", "an HTML page came"),
        (b"(\xb5/\xfd....", "Zstandard"),
    ],
)
def test_what_is_no_json_lines(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    with pytest.raises(FormatError) as caught:
        write(data, tmp_path / name, format="jsonl")
    assert str(caught.value).startswith(f"{SENT}: the result cannot be read as jsonl: ")
    assert says in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_document_instead_of_lines_says_so(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="if the whole is one document, set format: json"):
        write(b'[\n{"a": 1}\n]\n', tmp_path / "a.jsonl", format="jsonl")


def test_a_last_line_that_breaks_off_may_be_fetched_again(tmp_path: Path) -> None:
    with pytest.raises(TruncatedError, match="record 2 breaks off in line 2") as caught:
        write(b'{"a": 1}\n{"a": "x', tmp_path / "a.jsonl", format="jsonl")
    assert caught.value.retryable


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    data = b'{"a": 1}\n{"a": "' + b"x" * (33 * 2**20)
    with pytest.raises(FormatError, match="the line after record 1 is longer than 32 MiB"):
        write(data, tmp_path / "a.jsonl", format="jsonl", piece=2**20)


def test_limit_stops_there(tmp_path: Path) -> None:
    data = b'{"a": 1}\n{"a": 2}\nnot JSON\n'
    assert write([data, data], tmp_path / "a.jsonl", format="jsonl", limit=2).records == 2
    assert read_back(tmp_path / "a.jsonl") == [{"a": 1}, {"a": 2}]
