from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_asyncjob.definition.models.records import Records
from airflow_asyncjob.errors import DefinitionError, FormatError
from airflow_asyncjob.results.shape import Shape
from tests.results.given import SENT, parquet_types, read_back, write

CSV = b'id,"First Name",n\n1,Ann,5\n2,Lee,\n'
JSONL = (
    b'{"id": 1, "p": {"name": "Ann"}, "n": 12345678901234567.25}\n'
    b'{"id": 2, "p": {}, "tags": ["a"], "n": 2.50}\n'
)
OUTPUTS = ["a.csv", "a.jsonl", "a.parquet"]


@pytest.mark.parametrize("name", OUTPUTS)
def test_select_chooses_renames_and_orders_columns(tmp_path: Path, name: str) -> None:
    select = {"n": "n", "name": '"First Name"', "again": "n"}
    manifest = write(
        CSV, tmp_path / name, format="csv", select=select, types={"again": "integer"}, primary_key="n"
    )
    assert manifest.primary_key == ("n",)
    rows = read_back(tmp_path / name)
    assert [list(row) for row in rows] == [["n", "name", "again"]] * 2
    assert [row["name"] for row in rows] == ["Ann", "Lee"]
    if name != "a.csv":
        assert [row["again"] for row in rows] == [5, None]


@pytest.mark.parametrize("name", OUTPUTS)
def test_select_may_calculate(tmp_path: Path, name: str) -> None:
    select = {
        "id": "id",
        "both": "join(' ', [id, \"First Name\"])",
        "fixed": "'x'",
        "many": "to_number(id) > `1`",
    }
    write(CSV, tmp_path / name, format="csv", select=select)
    rows = read_back(tmp_path / name)
    assert [(row["id"], row["both"], row["fixed"]) for row in rows] == [
        ("1", "1 Ann", "x"),
        ("2", "2 Lee", "x"),
    ]
    assert [row["many"] for row in rows] == (["false", "true"] if name == "a.csv" else [False, True])


@pytest.mark.parametrize("name", OUTPUTS)
def test_select_reaches_into_records_and_misses_are_null(tmp_path: Path, name: str) -> None:
    write(
        JSONL, tmp_path / name, format="jsonl", select={"name": "p.name", "tag": "tags[0]", "no": "nothing"}
    )
    none = "" if name == "a.csv" else None
    assert read_back(tmp_path / name) == [
        {"name": "Ann", "tag": none, "no": none},
        {"name": none, "tag": "a", "no": none},
    ]


def test_select_keeps_digits_that_it_only_passes_on(tmp_path: Path) -> None:
    write(JSONL, tmp_path / "a.jsonl", format="jsonl", select={"n": "n"})
    assert (tmp_path / "a.jsonl").read_text() == '{"n":12345678901234567.25}\n{"n":2.50}\n'


def test_functions_and_comparisons_see_numbers(tmp_path: Path) -> None:
    select = {"up": "ceil(n)", "more": "n > `3`", "text": "to_string(n)"}
    for arguments, data in (
        ({"format": "jsonl"}, JSONL),
        ({"format": "json"}, b"[" + JSONL.strip().replace(b"\n", b",") + b"]"),
    ):
        write(data, tmp_path / "a.jsonl", select=select, **arguments)
        rows = read_back(tmp_path / "a.jsonl")
        assert [(row["up"], row["more"]) for row in rows] == [(12345678901234568, True), (3, False)]
        assert rows[1]["text"] == "2.5"


def test_records_that_are_lists_become_fields(tmp_path: Path) -> None:
    write(b"[[1, 2], [3]]", tmp_path / "a.jsonl", format="json", select={"a": "[0]", "b": "[1]"})
    assert read_back(tmp_path / "a.jsonl") == [{"a": 1, "b": 2}, {"a": 3, "b": None}]


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_path_that_fails_names_the_record(tmp_path: Path, name: str) -> None:
    with pytest.raises(FormatError) as caught:
        write(b'{"a": "x"}\n{"a": 1}\n', tmp_path / name, format="jsonl", select={"n": "length(a)"})
    message = str(caught.value)
    assert message.startswith(SENT)
    assert "select of n (length(a)) fails on record 2" in message
    assert "Correct the path" in message


def test_a_path_that_is_no_jmespath_is_a_mistake_of_the_definition(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"select of a: 'b\.\.c' is not a JMESPath expression"):
        write(b"b\n1\n", tmp_path / "a.csv", format="csv", select={"a": "b..c"})


@pytest.mark.parametrize(
    ("select", "exact", "plain"),
    [
        (None, True, True),
        ({"a": "b"}, True, True),
        ({"a": '"b c"'}, True, True),
        ({"a": "b.c"}, True, False),
        ({"a": "b", "c": "d[0]"}, True, False),
        ({"a": "[b, c]"}, True, False),
        ({"a": "b > `1`"}, False, False),
        ({"a": "x[?b > `1`].c"}, False, False),
        ({"a": "{x: sum(b)}"}, False, False),
    ],
)
def test_what_a_select_needs(select: dict[str, str] | None, exact: bool, plain: bool) -> None:
    shape = Shape(Records(format="jsonl", select=select))
    assert (shape.exact, shape.plain) == (exact, plain)


def test_a_select_without_records_still_tells_the_columns(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"select": {"a": "x", "b": "y.z"}, "types": {"b": "date"}}
    for data, fmt in ((b"[]", "json"), (b"", "jsonl"), (b"", "csv")):
        write(data, tmp_path / "a.parquet", format=fmt, **arguments)
        assert parquet_types(tmp_path / "a.parquet") == {"a": "string", "b": "date32[day]"}
        write(data, tmp_path / "a.csv", format=fmt, **arguments)
        assert (tmp_path / "a.csv").read_text() == "a,b\n"


def test_a_record_stays_as_it_came_without_select(tmp_path: Path) -> None:
    write(JSONL, tmp_path / "a.jsonl", format="jsonl", primary_key="id")
    assert (tmp_path / "a.jsonl").read_bytes() == JSONL
    assert json.loads(JSONL.splitlines()[0])["id"] == 1
