"""Where the records of a JSON document lie: below lists of lists, and in texts that hold JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_asyncjob.definition.record_path import json_levels
from airflow_asyncjob.errors import FormatError, TruncatedError
from airflow_asyncjob.results.formats.json import read
from airflow_asyncjob.results.source import Body
from tests.results.given import Given, write

A, B, C = {"id": 1}, {"id": 2}, {"id": 'ö\n"\\😀'}


def records(document: Any, path: str | None, piece: int = 3, *, ascii_only: bool = True) -> list[Any]:
    data = json.dumps(document, ensure_ascii=ascii_only).encode()
    body = Body(Given(data), "json", Given(data, piece=piece).chunks())
    return [value for value, _ in read(body, path)]


def inside(value: Any) -> str:
    return json.dumps(value)


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("piece", [1, 5, 1000])
@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"pages": [{"items": [A]}, {"items": []}, {"items": [B, C]}], "x": [1]}, "pages[*].items"),
        ([[A, B], [], [C]], "[*]"),
        ([[[A], [B]], [[C]]], "[*][*]"),
        ({"x": {"a": A, "b": [B, C]}}, "x.*"),
        ([{"n": 1}, {"items": [A, B]}, None, {"items": None}, {"items": [C]}], "[*].items"),
        ({"body": inside([A, B, C]), "more": 1}, "body | fromjson"),
        ({"body": inside({"x": {"rows": [A, B, C]}, "y": "z"})}, "body | fromjson | x.rows"),
        ([{"body": inside([A, B])}, {"body": inside(C)}], "[*].body | fromjson"),
        ({"body": inside({"b": inside([A, B, C])})}, "body|fromjson|b|fromjson"),
        (inside([A, B, C]), "fromjson"),
    ],
)
def test_records_below(document: Any, path: str, piece: int, ascii_only: bool) -> None:
    assert records(document, path, piece, ascii_only=ascii_only) == [A, B, C]


@given(value=st.text(), piece=st.integers(1, 30), ascii_only=st.booleans())
def test_a_text_within_a_text_keeps_every_character(value: str, piece: int, ascii_only: bool) -> None:
    inner = json.dumps([{"a": value}], ensure_ascii=not ascii_only)
    assert records({"b": inner}, "b | fromjson", piece, ascii_only=ascii_only) == [{"a": value}]


def test_nulls_on_the_way_are_no_records() -> None:
    assert records({"pages": None}, "pages[*].items") == []
    assert records({"body": None}, "body | fromjson") == []
    assert records([], "[*].items") == []


@pytest.mark.parametrize(
    ("document", "path", "says"),
    [
        ([{"n": 1}, {"n": 2}], "[*].items", "[*] has no field items; its fields are: n"),
        ({"a": 1}, "a[*]", "a is a number, not a list or an object"),
        ({"a": [1]}, "a[*].b", "a[*] is a number, not an object with the field b"),
        ({"a": [1]}, "a | fromjson", "a is a list, not a text that holds JSON"),
        ({"a": ""}, "a | fromjson", "a is an empty text"),
        ({"a": "{}"}, "a | fromjson | b", "a | fromjson has no field b"),
        ({"a": "[{}] x"}, "a | fromjson", "after the document there is more"),
        ({"a": "[1, oops]"}, "a | fromjson", "it is not JSON"),
        ({"a": "x"}, "a", "a is a text, not a list of records or a record"),
    ],
)
def test_what_is_not_there_says_where(document: Any, path: str, says: str) -> None:
    with pytest.raises(FormatError) as caught:
        records(document, path)
    assert says in caught.value.message


def test_a_text_that_breaks_off(tmp_path: Path) -> None:
    with pytest.raises(TruncatedError, match="breaks off"):
        write(b'{"a": "[{}, {\\"b\\": 1', tmp_path / "a.jsonl", format="json", records="a | fromjson")
    with pytest.raises(FormatError, match="escape in a text"):
        write(b'{"a": "[\\x]"}', tmp_path / "a.jsonl", format="json", records="a | fromjson")


def test_what_is_passed_over_may_be_of_any_depth_and_a_record_not(tmp_path: Path) -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    assert (
        write(b'{"x": ' + deep + b', "a": [{}]}', tmp_path / "a.jsonl", format="json", records="a").records
        == 1
    )
    for kind, data in (("json", b'{"a": [{"b": ' + deep + b"}]}"), ("jsonl", deep)):
        with pytest.raises(FormatError, match="it is nested too deep"):
            write(data, tmp_path / "b.jsonl", format=kind, records="a" if kind == "json" else None)


@pytest.mark.parametrize(
    "path", ["", ".", "a.", ".a", "a[0]", "a[*]b", "a | b", "a |", "a||b", "a.[", "a & b"]
)
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(ValueError, match="is not a dotted path of names"):
        json_levels(path)
