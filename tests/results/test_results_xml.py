"""XML records: the same trees as xmltodict makes, while the document streams."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
import xmltodict
from hypothesis import given
from hypothesis import strategies as st

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.errors import FormatError, TruncatedError
from airflow_asyncjob.results.formats import xml
from airflow_asyncjob.results.source import Body
from tests.results.given import SENT, Given, read_back, write

REPORT = b"""<?xml version="1.0"?>
<r:Report xmlns:r="urn:r"><Head><Order>not one</Order></Head>
<r:Orders><Order id="1"><Name>Ann</Name><Tag>a</Tag><Tag>b</Tag></Order>
<!-- between --><Order id="2"><Name lang="de">J&#246;rg</Name><Order>inner</Order></Order>
</r:Orders><r:Orders><Order/></r:Orders></r:Report>"""


@pytest.mark.parametrize("piece", [1, 10, 1000])
def test_elements_at_the_path_are_records(tmp_path: Path, piece: int) -> None:
    manifest = write(REPORT, tmp_path / "a.jsonl", format="xml", records="/Report/Orders/Order", piece=piece)
    assert manifest.records == 3
    assert read_back(tmp_path / "a.jsonl") == [
        {"@id": "1", "Name": "Ann", "Tag": ["a", "b"]},
        {"@id": "2", "Name": {"@lang": "de", "#text": "Jörg"}, "Order": "inner"},
        {},
    ]


def test_select_and_types_of_elements(tmp_path: Path) -> None:
    select = {"id": '"@id"', "name": "Name"}
    arguments: dict[str, Any] = {
        "records": "/Report/Orders/Order",
        "select": select,
        "types": {"id": "integer"},
    }
    write(REPORT, tmp_path / "a.parquet", format="xml", **arguments)
    rows = read_back(tmp_path / "a.parquet")
    assert [row["id"] for row in rows] == [1, 2, None]
    assert rows[0]["name"] == '"Ann"'


NAME = st.sampled_from(["a", "b", "n:c"])
TEXT = st.text(st.sampled_from("xyz <&>\n\té"), max_size=6)


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> str:
    name = draw(NAME)
    attributes = draw(st.dictionaries(NAME, st.text(st.sampled_from("xy<&"), max_size=3), max_size=2))
    inner = draw(
        st.lists(TEXT.map(escape) | (elements(depth=depth - 1) if depth else TEXT.map(escape)), max_size=4)
    )
    given = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<{name}{given}>{''.join(inner)}</{name}>"


@given(records=st.lists(elements(), max_size=4), piece=st.integers(1, 40))
def test_the_trees_are_those_of_xmltodict(records: list[str], piece: int) -> None:
    data = f"<all>{''.join(f'<r>{each}</r>' for each in records)}</all>".encode()
    body = Body(Given(data), "xml", Given(data, piece=piece).chunks())
    found = [value for value, _ in xml.read(body, "/all/r")]
    assert found == [xmltodict.parse(f"<r>{each}</r>")["r"] for each in records]


def test_a_record_of_text_alone(tmp_path: Path) -> None:
    write(b"<r><i>a</i><i>b</i></r>", tmp_path / "a.jsonl", format="xml", records="/r/i")
    assert read_back(tmp_path / "a.jsonl") == [{"#text": "a"}, {"#text": "b"}]


def test_the_root_may_be_the_record(tmp_path: Path) -> None:
    write(b"<r><i>a</i></r>", tmp_path / "a.jsonl", format="xml", records="/r")
    assert read_back(tmp_path / "a.jsonl") == [{"i": "a"}]


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ('<?xml version="1.0" encoding="utf-16"?><r><i>ö</i></r>'.encode("utf-16"), None),
        ('<?xml version="1.0" encoding="cp1252"?><r><i>ö</i></r>'.encode("cp1252"), None),
        ('<?xml version="1.0" encoding="utf-8"?><r><i>ö</i></r>'.encode("latin-1"), "latin-1"),
        ("\ufeff<r><i>ö</i></r>".encode(), None),
    ],
)
def test_a_document_names_its_encoding_and_the_definition_wins(
    tmp_path: Path, data: bytes, encoding: str | None
) -> None:
    write(data, tmp_path / "a.jsonl", format="xml", records="/r/i", encoding=encoding, piece=3)
    assert read_back(tmp_path / "a.jsonl") == [{"#text": "ö"}]


def test_no_element_at_the_path_is_no_records(tmp_path: Path) -> None:
    assert write(b"<r/>", tmp_path / "a.jsonl", format="xml", records="/r/a/b").records == 0


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the body is empty"),
        (b"<Error>expired</Error>", "its root is Error, and records begins with /r"),
        (b"<r><i></r>", "after record 0 it is not XML: mismatched tag: line 1"),
        (b'{"error": 1}', "it is not XML"),
        (b"<r><i>a</i></r><r/>", "after record 1 it is not XML: junk after document element"),
        (
            b'<!DOCTYPE r [<!ENTITY a "b">]><r><i>&a;</i></r>',
            "it has a document type (DOCTYPE), which is refused",
        ),
        (b"<r>" + b"<i>" * 300, "it is nested more than 200 elements deep"),
        (b"<html><body>Sign in", "an HTML page came instead of data"),
    ],
)
def test_what_is_no_such_xml_says_so(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(FormatError) as caught:
        write(data, tmp_path / "a.jsonl", format="xml", records="/r/i")
    assert caught.value.message.startswith(f"{SENT}: the result cannot be read as xml: ")
    assert says in caught.value.message
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "data", [b"<r><i>a</i><i>b", b"<r><i>a</i>", b"<r><i>a</i><!-- ", b"<r><i>a</i><i b='"]
)
def test_a_document_that_breaks_off_may_be_fetched_again(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(TruncatedError, match="the document breaks off after record 1"):
        write(data, tmp_path / "a.jsonl", format="xml", records="/r/i")


@pytest.mark.parametrize("start", [b"<r><i>", b"<r><i a='", b"<r><!-- "])
def test_what_never_ends_does_not_fill_the_memory(tmp_path: Path, start: bytes) -> None:
    with pytest.raises(FormatError, match="what follows record 0 is larger than 32 MiB"):
        write(start + b"x" * 40 * 2**20, tmp_path / "a.jsonl", format="xml", records="/r/i", piece=2**20)


def test_the_path_is_required() -> None:
    with pytest.raises(ValueError, match="required with xml"):
        Records(format="xml")
