"""CSV as APIs write it down: delimiters, quotes, headers, encodings; and tables that are none."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.errors import FormatError, TruncatedError
from airflow_asyncjob.results.formats.dialect import Dialect
from tests.results.given import read_back, write

ANN = {"id": "00123", "name": "Ann", "note": "a, b"}


@pytest.mark.parametrize("piece", [1, 7, 1000])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize(
    ("data", "arguments"),
    [
        (b"id\tname\tnote\n00123\tAnn\ta, b\n", {"format": "tsv"}),
        (b"id;name;note\n00123;Ann;a, b\n", {"format": "csv", "csv": {"delimiter": ";"}}),
        (b"id|name|note\r\n00123|'Ann'|a, b\r\n", {"csv": {"delimiter": "|", "quote": "'"}}),
        (b"id,name,note\n00123,Ann,a\\, b\n", {"csv": {"quote": None, "escape": "\\"}}),
        (b'id,name,note\n00123,Ann,"a, b"\n', {"csv": {"escape": "\\"}}),
        (b'00123,Ann,"a, b"\n', {"csv": {"header": ["id", "name", "note"]}}),
        (b'Report "x\n\nid,name,note\n00123,Ann,"a, b"', {"csv": {"skip_lines": 2}}),
        (b'junk\n00123,Ann,"a, b"', {"csv": {"skip_lines": 1, "header": ["id", "name", "note"]}}),
    ],
)
def test_one_table_in_many_dialects(
    tmp_path: Path, data: bytes, arguments: dict[str, Any], name: str, piece: int
) -> None:
    assert write(data, tmp_path / name, piece=piece, **{"format": "csv", **arguments}).records == 1
    assert read_back(tmp_path / name) == [ANN]


CELL = st.text(st.sampled_from("ab0 ;'\",\n\r\\\té"), max_size=6)


@pytest.mark.parametrize(
    ("dialect", "style"),
    [
        ({"delimiter": ";"}, {"delimiter": ";"}),
        ({"quote": "'"}, {"quotechar": "'"}),
        ({"escape": "\\"}, {"escapechar": "\\", "doublequote": False}),
        ({"delimiter": "\t"}, {"delimiter": "\t"}),
    ],
)
@given(rows=st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=8), piece=st.integers(1, 50))
def test_a_block_ends_where_a_record_ends_in_every_dialect(
    dialect: dict[str, Any], style: dict[str, Any], rows: list[list[str]], piece: int
) -> None:
    reader = Dialect(Records.model_validate({"format": "csv", "csv": dialect}))

    def written(count: int) -> bytes:
        out = io.StringIO(newline="")
        csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n", **style).writerows(rows[:count])
        return out.getvalue().encode()

    data = written(len(rows))
    ends = {len(written(count)) for count in range(len(rows) + 1)}
    for size in range(len(data) + 1):
        assert reader.end_of_records(data[:size]) in ends


def test_values_that_are_never_quoted_keep_their_quotes(tmp_path: Path) -> None:
    data = b'size\tnote\n"5\t6"\n"\t"x"\n'
    write(data, tmp_path / "a.jsonl", format="tsv", csv={"quote": None})
    assert read_back(tmp_path / "a.jsonl") == [{"size": '"5', "note": '6"'}, {"size": '"', "note": '"x"'}]


def test_empty_values_between_tabs_are_a_record(tmp_path: Path) -> None:
    assert write(b"a\tb\n\t\n1\t2\n\t", tmp_path / "a.jsonl", format="tsv").records == 3
    assert read_back(tmp_path / "a.jsonl")[0] == {"a": "", "b": ""}


def test_named_columns_of_an_empty_table(tmp_path: Path) -> None:
    write(b"", tmp_path / "a.csv", format="csv", csv={"header": ["id", "name"]})
    assert (tmp_path / "a.csv").read_bytes() == b"id,name\n"


@pytest.mark.parametrize("piece", [1, 5, 1000])
@pytest.mark.parametrize(
    "encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-8"]
)
def test_encodings(tmp_path: Path, encoding: str, piece: int) -> None:
    data = "id;städte\n1;Köln\n".encode(encoding)
    write(data, tmp_path / "a.csv", format="csv", encoding=encoding, csv={"delimiter": ";"}, piece=piece)
    assert (tmp_path / "a.csv").read_text() == "id,städte\n1,Köln\n"


def test_encodings_of_lines_of_json(tmp_path: Path) -> None:
    write('{"a": "Köln"}\n'.encode("utf-16"), tmp_path / "a.csv", format="jsonl", encoding="utf-16")
    assert (tmp_path / "a.csv").read_text() == "a\nKöln\n"


def test_what_is_not_in_its_encoding_says_where(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"line 3 is not ascii \(byte 0xc3\)"):
        write("a\nb\nö\n".encode(), tmp_path / "a.csv", format="csv", encoding="ascii")
    with pytest.raises(TruncatedError, match="ends within a character, in line 2"):
        write("a\nb".encode("utf-16")[:-1], tmp_path / "a.csv", format="csv", encoding="utf-16")
    with pytest.raises(FormatError, match=r"it is not utf-16: UTF-16 stream does not start with BOM"):
        write(b"a\nb\n", tmp_path / "a.csv", format="csv", encoding="utf-16")
    with pytest.raises(FormatError, match=r"it is text in UTF-16; .* Set encoding: utf-16\."):
        write("a\nb".encode("utf-16"), tmp_path / "a.csv", format="csv")


def test_a_page_in_another_encoding_is_a_page_too(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="an HTML page came instead of data"):
        write("<html>x".encode("utf-16"), tmp_path / "a.csv", format="csv", encoding="utf-16")


@pytest.mark.parametrize("kind", ["csv", "tsv"])
@pytest.mark.parametrize("output", ["a.csv", "a.jsonl", "a.parquet"])
def test_an_error_document_is_not_a_table_without_records(tmp_path: Path, kind: str, output: str) -> None:
    with pytest.raises(FormatError) as caught:
        write(b'{"error":"the report has expired"}', tmp_path / output, format=kind)
    assert "JSON came instead, which is usually the API's error in place of a result" in caught.value.message
    assert "the report has expired" in caught.value.message
    assert not (tmp_path / output).exists()


@pytest.mark.parametrize("head", ["[id],[name]", "<id,name", "{id},{name}"])
def test_a_table_may_have_brackets_in_its_header(tmp_path: Path, head: str) -> None:
    assert write(f"{head}\n".encode(), tmp_path / "a.csv", format="csv").records == 0


def test_a_table_without_a_header_may_begin_with_json_in_a_value(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"format": "tsv", "csv": {"header": ["a", "b"], "quote": None}}
    write(b'{"x": 1}\t2\n', tmp_path / "a.jsonl", **arguments)
    assert read_back(tmp_path / "a.jsonl") == [{"a": '{"x": 1}', "b": "2"}]
    for data in (b'{"error": "expired"}', b"<?xml version='1.0'?>\n<Error/>"):
        with pytest.raises(FormatError, match="came instead, which is usually the API's error"):
            write(data, tmp_path / "b.jsonl", format="csv", csv={"header": ["a"]})


@example(text='a\n"b"\n')
@given(text=st.text(alphabet='",\n\ra', max_size=30))
def test_a_look_from_quote_to_quote_finds_the_same_end_as_the_grammar(text: str) -> None:
    block = f"{text}\n".encode()
    grammar = Dialect(Records(format="csv"))
    match = grammar._records.match(block)
    assert match is not None
    assert Dialect(Records(format="csv")).end_of_records(block) == match.end()
