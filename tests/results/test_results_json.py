from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_asyncjob.errors import FormatError, TruncatedError
from airflow_asyncjob.results.formats.json import read
from airflow_asyncjob.results.jsontext import dumps, loads
from airflow_asyncjob.results.source import Body
from tests.results.given import SENT, Given, read_back, write

SCALAR = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUE = st.recursive(SCALAR, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
RECORD = st.dictionaries(st.text(max_size=4), VALUE, max_size=4)


def records(data: bytes, path: str | None = None, *, piece: int = 7, exact: bool = True) -> list[Any]:
    """Read as the writer does, in pieces so small that every value is cut somewhere."""
    body = Body(Given(data), "json", Given(data, piece=piece).chunks())
    return [value for value, _ in read(body, path, exact=exact)]


@given(
    wanted=st.lists(RECORD, max_size=5),
    before=st.dictionaries(st.text(max_size=3).filter(lambda name: name != "data"), VALUE, max_size=2),
    after=VALUE,
    indent=st.sampled_from([None, 2]),
    piece=st.integers(1, 40),
)
def test_records_at_a_path_in_pieces_of_any_size(
    wanted: list[Any], before: dict[str, Any], after: Any, indent: int | None, piece: int
) -> None:
    document = {**before, "data": {"x": after, "items": wanted, "y": after}, "z": after}
    text = json.dumps(document, indent=indent, ensure_ascii=bool(indent))
    data = text.encode("utf-8", "replace")
    expected = json.loads(data, parse_float=Decimal)["data"]["items"]
    assert records(data, "data.items", piece=piece) == expected


@given(wanted=st.lists(RECORD, max_size=3), cut=st.integers(1, 200), path=st.sampled_from([None, "data"]))
@example(wanted=[{"a": 1.5e-7}], cut=4, path=None)
@example(wanted=[{"a": "\ud800"}], cut=7, path=None)
def test_a_document_that_is_cut_anywhere_is_no_whole(wanted: list[Any], cut: int, path: str | None) -> None:
    data = json.dumps({"data": wanted} if path else wanted).encode()
    data = data[: max(1, len(data) - cut)]
    with pytest.raises(TruncatedError) as caught:
        records(data, path)
    assert "the document breaks off after record" in str(caught.value)
    assert caught.value.retryable


@pytest.mark.parametrize(
    "data", [b'{"data":', b'{"data": {"items"', b'{"data": {"items": ', b'{"data": {"x": "a', b"{"]
)
def test_a_document_that_is_cut_on_the_way_to_its_records(data: bytes) -> None:
    with pytest.raises(TruncatedError, match="breaks off after record 0"):
        records(data, "data.items")


@given(VALUE)
def test_text_keeps_every_digit(value: Any) -> None:
    text = json.dumps(value)
    assert loads(dumps(loads(text))) == loads(text)


@pytest.mark.parametrize(
    "number",
    ["0.1", "1.10", "123456789012345678901234567890", "-0.0", "1E+400", "5E-324", "12345678901234567.89"],
)
def test_numbers_come_out_as_they_went_in(tmp_path: Path, number: str) -> None:
    data = f'{{"data": [\n{{"n": {number},\n"l": [{number}]}}]}}'.encode()
    write(data, tmp_path / "a.jsonl", format="json", records="data")
    assert (tmp_path / "a.jsonl").read_text() == f'{{"n":{number},"l":[{number}]}}\n'
    write(data, tmp_path / "a.csv", format="json", records="data")
    assert (tmp_path / "a.csv").read_text() == f"n,l\n{number},[{number}]\n"


def test_a_record_on_one_line_keeps_its_text(tmp_path: Path) -> None:
    write(b'[{"a": 1.50, "b": "\\u00e9\\ud800"} ,{"a":1e2}]', tmp_path / "a.jsonl", format="json")
    assert (tmp_path / "a.jsonl").read_bytes() == b'{"a": 1.50, "b": "\\u00e9\\ud800"}\n{"a":1e2}\n'


@pytest.mark.parametrize(
    ("document", "path", "expected"),
    [
        ([], None, []),
        ({"a": 1}, None, [{"a": 1}]),
        ({"data": {"a": 1}}, "data", [{"a": 1}]),
        ({"data": None}, "data", []),
        (None, None, []),
        ({"item": [1], "data": {"item": [2]}}, "data.item", [2]),
        ({"data.items": [1], "data": {"items": [2]}}, "data.items", [2]),
        ({"a": {"data": [1]}, "data": [2]}, "data", [2]),
        ({"a": '"}]', "b": ["\\", '\\"', "["], "data": [2]}, "data", [2]),
    ],
)
def test_where_records_lie(document: Any, path: str | None, expected: list[Any]) -> None:
    for piece in (1, 5, 1000):
        assert records(json.dumps(document).encode(), path, piece=piece) == expected


@pytest.mark.parametrize(
    ("data", "path", "says"),
    [
        (
            "",
            None,
            "the body is empty; it is empty. If that means that there are no data, map the job's status",
        ),
        (" \n", None, "the body is empty"),
        ('{"total": 0, "rows": []}', "items", "the document has no field items; its fields are: total, rows"),
        ("{}", "items", "the document has no field items; its fields are: none"),
        ('{"data": {"rows": []}}', "data.items", "data has no field items; its fields are: rows"),
        ('{"data": []}', "data.items", "data is a list, not an object with the field items"),
        ('{"data": null}', "data.items", "data is null, not an object with the field items"),
        ('{"data": "x"}', "data", "data is a text, not a list of records or a record"),
        ("12", None, "the document is a number, not a list of records or a record"),
        ("[{}] {}", None, "after the document there is more"),
        ('{"a": 1}\n{"a": 2}\n', None, "if each line is one, set format: jsonl"),
        ("[{}, ]", None, "after record 1 it is not JSON: Expecting value at ']'"),
        ("[{} {}]", None, "after record 1 it is not JSON: ']' was expected and '{' came"),
        ("{a: 1}", None, "it is not JSON: Expecting property name enclosed in double quotes"),
        ("{a: 1}", "data", "it is not JSON: the name of a field was expected and 'a' came"),
        ("[{'a': 1}]" + " " * 100, None, "after record 0 it is not JSON"),
        ('[{"a": NaN}]', None, "NaN is not JSON"),
        (
            '[{"a": {"b": 1%s}}]' % ("0" * 4300),
            None,
            'the field "b" has 4,301 digits, and at most 4,300 are read',
        ),
        ('[{"a": -Infinity}]', None, "-Infinity is not JSON"),
        ('[{"a": "\n"}]' + " " * 100, None, "Invalid control character"),
        ("<html><body>Sign in</body></html>", None, "an HTML page came instead of data"),
        ("nothing here, sorry for that", None, "it is not JSON"),
        ("[" + "9" * 5000 + "]", None, "it is not JSON: a whole number has 5,000 digits"),
        ("[" * 100_000 + "]" * 100_000, None, "after record 0 it is not JSON: it is nested too deep"),
    ],
)
def test_what_is_not_there_or_no_json(data: str, path: str | None, says: str) -> None:
    for piece in (1, 100_000):
        with pytest.raises(FormatError) as caught:
            records(data.encode(), path, piece=piece)
        message = str(caught.value)
        assert message.startswith(f"{SENT}: the result cannot be read as json: ")
        assert says in message
        assert not caught.value.retryable


def test_a_list_within_a_large_object_asks_for_its_path() -> None:
    data = b'{"meta": 1, "data": [' + b'{"a": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},' * 750_000
    with pytest.raises(FormatError) as caught:
        records(data, piece=2**20)
    assert "larger than 32 MiB" in str(caught.value)
    assert "set records to its path" in str(caught.value)
    with pytest.raises(TruncatedError, match="after record 750000"):
        records(data, "data", piece=2**20)


def test_what_is_passed_over_may_be_large() -> None:
    other = b'["' + b"x" * (35 * 2**20) + b'\\"]"]'
    data = b'{"included": ' + other + b', "data": [{"a": 1}], "more": ' + other + b"}"
    assert records(data, "data", piece=2**20) == [{"a": 1}]


def test_numbers_as_floats_must_be_finite() -> None:
    assert records(b"[[1.5, 2]]", exact=False) == [[1.5, 2]]
    with pytest.raises(FormatError, match="1e400 does not fit a double"):
        records(b"[[1e400]]", exact=False)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_record_that_is_no_object_is_an_error(tmp_path: Path, name: str) -> None:
    for value, said in (("[1]", "a list"), ("null", "null"), ('"x"', "a text"), ("1.5", "a number")):
        with pytest.raises(FormatError) as caught:
            write(f'[{{"a": 1}}, {value}]'.encode(), tmp_path / name, format="json")
        assert f"record 2 is {said}, not an object with fields" in str(caught.value)
        assert "make fields of it with select" in str(caught.value)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_several_documents_become_one_in_their_order(tmp_path: Path, name: str) -> None:
    sources = [b'[{"a": "1"}, {"a": "2"}]', b"[]", b'{"a": "1"}']
    manifest = write(sources, tmp_path / name, format="json")
    assert manifest.records == 3
    assert [row["a"] for row in read_back(tmp_path / name)] == ["1", "2", "1"]
