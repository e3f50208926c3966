"""Formats: how a record and what is around the records are written."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import xmltodict
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_asyncjob.errors import TemplateError
from airflow_asyncjob.uploads.xmltext import element
from tests.uploads.given import bodies, plan, rejects, upload, written

ROWS: list[dict[str, Any]] = [{"a": 1, "b": "ü"}, {"a": None, "b": '"x",\r\n'}]


def test_json_is_a_list_of_the_records() -> None:
    assert bodies(upload(), ROWS) == ['[{"a":1,"b":"ü"},{"a":null,"b":"\\"x\\",\\r\\n"}]'.encode()]


def test_an_envelope_is_rendered_and_stands_around_each_part() -> None:
    envelope = {"{{ ds }}": ["{{ inputs.rows | length }}", True], "contacts": "{{ records }}", "end": None}
    head, tail = b'{"2026-11-22":[2,true],"contacts":[', b'],"end":null}'
    parts = bodies(upload(envelope=envelope, part_records=1), ROWS)
    assert parts == [
        head + b'{"a":1,"b":"\xc3\xbc"}' + tail,
        head + b'{"a":null,"b":"\\"x\\",\\r\\n"}' + tail,
    ]


def test_an_envelope_that_cannot_be_rendered_names_its_place() -> None:
    with pytest.raises(TemplateError, match=r"submit\.upload\.envelope\.list: .* 'run_id' is not known"):
        plan(upload(envelope={"list": "{{ run_id }}", "c": "{{ records }}"}), ROWS)


def test_a_record_is_wrapped_and_numbered_in_the_job() -> None:
    wrap = {"id": "{{ number }}", "list": [{"r": "{{ record }}"}], "fixed": [1, "x"]}
    parts = bodies(upload(wrap=wrap, part_records=1), [{"a": 1}, {"a": 2}])
    assert parts == [
        b'[{"id":1,"list":[{"r":{"a":1}}],"fixed":[1,"x"]}]',
        b'[{"id":2,"list":[{"r":{"a":2}}],"fixed":[1,"x"]}]',
    ]


def test_the_fields_of_a_record_may_stand_among_others() -> None:
    rows = [{"sku": "a", "n": 1}, {"sku": "b"}]
    before = upload(wrap={"id": "{{ number }}", "*": "{{ record }}"})
    assert bodies(before, rows) == [b'[{"id":1,"sku":"a","n":1},{"id":2,"sku":"b"}]']
    after = upload(format="jsonl", wrap={"x": [{"*": "{{ record }}", "id": "{{ number }}"}]})
    assert bodies(after, rows) == [b'{"x":[{"sku":"a","n":1,"id":1}]}\n{"x":[{"sku":"b","id":2}]}\n']
    wrap = {"Message": {"No": "{{ number }}", "*": "{{ record }}", "End": "yes"}}
    (body,) = bodies(upload(format="xml", wrap=wrap, envelope={"Feed": "{{ records }}"}), rows[1:])
    assert body.endswith(b"<Feed><Message><No>1</No><sku>b</sku><End>yes</End></Message></Feed>")


@pytest.mark.parametrize("layout", ["json", "xml"])
def test_a_field_that_is_there_already_and_none_at_all_are_refused(layout: str) -> None:
    around = {"wrap": {"M": {"id": "{{ number }}", "*": "{{ record }}"}}, "format": layout}
    envelope = {"envelope": {"Feed": "{{ records }}"}} if layout == "xml" else {}
    refused = rejects(upload(**around, **envelope), [{"id": 7}, {"sku": "b"}, {}])
    assert [(one.number, one.reason) for one in refused] == [
        (1, "field id: submit.upload.wrap has a field of that name already"),
        (3, "it has no fields"),
    ]


def test_json_lines_end_with_a_line_feed() -> None:
    assert bodies(upload(format="jsonl", wrap=["{{ record }}"]), ROWS) == [
        '[{"a":1,"b":"ü"}]\n[{"a":null,"b":"\\"x\\",\\r\\n"}]\n'.encode()
    ]


def test_csv_has_the_header_in_each_part() -> None:
    assert bodies(upload(format="csv", part_records=1), ROWS) == [
        "a,b\n1,ü\n".encode(),
        b'a,b\n,"""x"",\r\n"\n',
    ]


def test_csv_is_written_in_the_dialect_that_is_asked_for() -> None:
    up = upload(
        format="csv", csv={"delimiter": ";", "quote": "'", "header": False}, fields={"x": "b", "y": "a"}
    )
    assert bodies(up, [{"a": [1], "b": "it's; so"}, {"a": True, "b": Decimal("1.50")}]) == [
        b"'it''s; so';[1]\n1.50;true\n"
    ]


def test_the_columns_of_csv_are_those_of_the_first_record() -> None:
    (reject,) = rejects(upload(format="csv"), [{"a": 1, "b": 2}, {"b": 3}, {"c": 4, "a": 5}])
    assert reject.number == 3
    assert reject.reason == "field 'c': no column has that name; the columns are a, b"
    assert bodies(upload(format="csv"), [{"a": 1, "b": 2}, {"b": 3}]) == [b"a,b\n1,2\n,3\n"]


def test_csv_of_the_same_dialect_goes_up_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    text = b'a,"b"\r\n1, x\r\n"2","y\n""z"""\r\n\r\n3,'
    path.write_bytes(text)
    assert bodies(upload(format="csv"), str(path)) == [text + b"\n"]
    assert bodies(upload(format="csv", part_records=1), str(path)) == [
        b'a,"b"\r\n1, x\r\n',
        b'a,"b"\r\n"2","y\n""z"""\r\n',
        b'a,"b"\r\n3,\n',
    ]


def test_csv_of_another_dialect_is_written_anew(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.tsv", [{"a": "1,5", "b": "x"}])
    assert bodies(upload(format="csv"), path) == [b'a,b\n"1,5",x\n']
    assert bodies(upload(format="csv", csv={"delimiter": "\t"}), path) == [b"a\tb\r\n1,5\tx\r\n"]


XML = {
    "format": "xml",
    "wrap": {"Message": {"MessageID": "{{ number }}", "Product": "{{ record }}"}},
    "envelope": {
        "Feed": {
            "@xmlns:xsi": "urn:x",
            "Header": {"Day": "{{ ds }}"},
            "MessageType": "Product",
            "#text": "{{ records }}",
        }
    },
}


def test_xml_has_the_records_where_the_envelope_says() -> None:
    rows = [{"@id": 1, "SKU": "a<b", "Tags": {"Tag": ["x", "y"]}}, {"@id": 2, "SKU": None}]
    assert [body.decode() for body in bodies(upload(**XML, part_records=1), rows)] == [
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<Feed xmlns:xsi="urn:x"><Header><Day>2026-11-22</Day></Header>'
        f"<MessageType>Product</MessageType><Message><MessageID>{number}</MessageID>{product}</Message></Feed>"
        for number, product in (
            (1, '<Product id="1"><SKU>a&lt;b</SKU><Tags><Tag>x</Tag><Tag>y</Tag></Tags></Product>'),
            (2, '<Product id="2"><SKU></SKU></Product>'),
        )
    ]


def test_records_of_xml_may_be_the_content_of_an_element() -> None:
    up = upload(format="xml", wrap={"row": "{{ record }}"}, envelope={"a": {"rows": "{{ records }}", "n": 1}})
    (body,) = bodies(up, [{"x": 1}])
    assert body.endswith(b"<a><rows><row><x>1</x></row></rows><n>1</n></a>")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"a b": 1}, "field a b: it cannot be the name of an XML element"),
        ({"@1": 1}, "field @1: it cannot be the name of an XML attribute"),
        ({"a": "x\x01"}, "field a: the character U+0001 cannot stand in XML"),
        ({"a": "\ud800"}, "field a: the character U+D800 cannot stand in XML"),
    ],
)
def test_what_xml_cannot_hold_is_refused(record: dict[str, Any], reason: str) -> None:
    (reject,) = rejects(upload(**XML), [{"ok": 1}, record])
    assert (reject.number, reject.reason) == (2, reason)


NAMES = st.sampled_from(["a", "b", "ns:c", "d-e.f", "Ü"])
LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), max_size=8)
)
TREE = st.recursive(
    LEAF
    | st.dictionaries(st.sampled_from(["@x", "@y"]), LEAF.filter(lambda leaf: leaf is not None), max_size=2),
    lambda inner: st.dictionaries(NAMES, inner | st.lists(inner, min_size=1, max_size=3), max_size=4),
    max_leaves=10,
)


def as_text(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: as_text(item) for key, item in tree.items()}
    if isinstance(tree, list):
        return [as_text(item) for item in tree]
    return (
        {True: "true", False: "false"}[tree]
        if isinstance(tree, bool)
        else tree
        if tree is None
        else str(tree)
    )


@settings(max_examples=200, deadline=None)
@given(tree=TREE)
def test_xml_is_what_xmltodict_writes(tree: Any) -> None:
    assert element("root", tree) == xmltodict.unparse({"root": as_text(tree)}, full_document=False)


def test_a_carriage_return_survives_a_reader_of_xml() -> None:
    text = element("a", "x\r\ny")
    assert xmltodict.parse(text) == {"a": "x\r\ny"}


def test_a_cell_that_csv_cannot_hold_is_refused() -> None:
    found = rejects(upload(format="csv"), [{"a": "\ud800"}, {"a": float("inf")}, {"a": 1}])
    assert [reject.number for reject in found] == [1, 2]
    assert found[0].reason == "field a: it holds a lone surrogate (such as \\ud800), which is not text"
    assert found[1].reason.startswith("field a: inf cannot be written: ")


def test_values_of_one_column_stay_records_in_csv() -> None:
    (body,) = bodies(upload(format="csv"), [{"a": ""}, {"a": None}, {"a": "x"}])
    assert [row["a"] for row in csv.DictReader(io.StringIO(body.decode()))] == ["", "", "x"]
    assert json.loads(bodies(upload(), [{"a": ""}])[0]) == [{"a": ""}]
