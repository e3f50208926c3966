"""Mapping: which of the caller's fields become which of the API's, and why a record cannot be sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_asyncjob.errors import EmptySourceError, RecordError
from tests.uploads.given import bodies, plan, rejects, upload, written

CONTACTS = [
    {"id": 1, "mail": "a@x.org", "name": {"first": "A"}, "tags": ["x", "y"]},
    {"id": 2, "mail": "b@x.org", "name": {}, "tags": None},
    {"id": 3, "mail": None},
]


def sent(rows: Any, **fields: Any) -> list[Any]:
    (body,) = bodies(upload(**fields), rows)
    return list(json.loads(body))


def reasons(rows: Any, **fields: Any) -> dict[int, str]:
    return {reject.number: reject.reason for reject in rejects(upload(**fields), rows)}


def test_fields_are_renamed_and_found_by_paths() -> None:
    fields = {"email": "mail", "first": "name.first", "tag": "tags[0]", "all": "join('+', tags || `[]`)"}
    assert sent(CONTACTS, fields=fields) == [
        {"email": "a@x.org", "first": "A", "tag": "x", "all": "x+y"},
        {"email": "b@x.org", "tag": None, "all": ""},
        {"email": None, "tag": None, "all": ""},
    ]


def test_a_dotted_name_makes_an_object_in_json() -> None:
    fields = {"email": "mail", "custom.id": "id", "custom.more.tags": "tags"}
    assert sent(CONTACTS[:1], fields=fields) == [
        {"email": "a@x.org", "custom": {"id": 1, "more": {"tags": ["x", "y"]}}}
    ]


def test_a_dotted_name_is_a_column_in_csv() -> None:
    up = upload(fields={"Account.Id": "id", "mail": "mail"}, format="csv")
    assert bodies(up, CONTACTS) == [b"Account.Id,mail\n1,a@x.org\n2,b@x.org\n3,\n"]


def test_a_field_that_is_not_there_is_left_out_and_null_is_sent() -> None:
    assert sent([{"a": None}, {}, {"a": 1}], fields={"x": "a"}) == [{"x": None}, {}, {"x": 1}]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_columns_are_mapped_like_records(suffix: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"rows{suffix}", [{"a": "1", "b": "x"}, {"a": "2", "b": ""}])
    assert sent(path, fields={"B": "b", "A": "a", "again": "a"}) == [
        {"B": "x", "A": "1", "again": "1"},
        {"B": "", "A": "2", "again": "2"},
    ]
    assert sent(path, fields={"B": "b"}) == [{"B": "x"}, {"B": ""}]


def test_text_of_csv_becomes_values_of_its_types(tmp_path: Path) -> None:
    row = {"n": "007", "price": "1.50", "on": "yes", "day": "2026-01-31", "more": '{"a": [1]}', "none": " "}
    path = written(tmp_path / "rows.csv", [row])
    types = {
        "n": "integer",
        "price": "number",
        "on": "boolean",
        "day": "date",
        "more": "json",
        "none": "number",
    }
    (body,) = bodies(upload(types=types), path)
    assert body == b'[{"n":7,"price":1.50,"on":true,"day":"2026-01-31","more":{"a":[1]},"none":null}]'


def test_a_value_that_is_not_of_its_type_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", [{"id": "1", "age": "7"}, {"id": "2", "age": "old"}])
    assert reasons(path, types={"age": "integer"}) == {
        2: "field age: 'old' is not of type integer: it is not a whole number"
    }


def test_a_required_field_is_there_and_not_empty() -> None:
    rows = [{"mail": "a"}, {"mail": ""}, {"mail": None}, {}, {"mail": 0}]
    assert reasons(rows, fields={"email": "mail"}, required="email") == {
        2: "field email is required, and is empty",
        3: "field email is required, and is null",
        4: "field email is required, and is not there",
    }


def test_a_path_that_fails_on_a_record_is_named() -> None:
    found = reasons([{"a": ["x"]}, {"a": 5}], fields={"x": "join(',', a)"})
    assert list(found) == [2]
    assert found[2].startswith("field x: join(',', a) fails: ")


def test_what_is_no_mapping_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"a": 1}, 2, "x", [3], null]')
    assert reasons(str(path)) == {
        2: "it is a number, not a mapping with fields",
        3: "it is text, not a mapping with fields",
        4: "it is a list, not a mapping with fields",
        5: "it is null, not a mapping with fields",
    }
    assert [reject.record for reject in rejects(upload(key="a"), str(path))] == [2, "x", [3], None]


def test_what_json_cannot_hold_is_refused() -> None:
    rows = [{"a": "\ud800"}, {"a": float("inf")}, {"a": 1, "b": [float("nan")]}, {"a": 2.5, "b": None}]
    assert reasons(rows) == {
        1: "field a: it holds a lone surrogate (such as \\ud800), which is not text",
        2: "field a: inf is not a number that JSON can hold",
        3: "field b: nan is not a number that JSON can hold",
    }


def test_bytes_of_parquet_that_are_no_text_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [b"\xff", b"text"]}), tmp_path / "r.parquet")
    assert reasons(str(tmp_path / "r.parquet")) == {
        1: "field a: it is bytes that are no text, which JSON cannot hold"
    }


def test_a_record_that_is_not_sent_is_named_by_its_key() -> None:
    (reject,) = rejects(upload(required="mail", key=["id", "shop"]), [{"id": 7, "shop": "x"}])
    assert (reject.number, reject.stage, reject.key) == (1, "local", {"id": 7, "shop": "x"})
    assert reject.record == {"id": 7, "shop": "x"}


def test_with_fail_nothing_is_planned_and_the_message_names_record_and_field() -> None:
    up = upload(fields={"email": "mail"}, required="email", key="id", on_invalid="fail")
    with pytest.raises(RecordError) as caught:
        plan(up, CONTACTS)
    assert caught.value.message == (
        "The list of records cannot be sent: record 3 (id 3): field email is required, and is null. Nothing "
        "was sent. Correct the record, or set submit.upload.on_invalid to reject, which leaves such records "
        "out."
    )


def test_a_source_without_a_record_that_can_be_sent_is_an_error() -> None:
    with pytest.raises(EmptySourceError) as caught:
        plan(upload(required="x", key="id"), CONTACTS)
    assert caught.value.message == (
        "The list of records has no record that can be sent; of 3 the first is record 1 (id 1): field x is "
        "required, and is not there. Nothing was sent. Correct the records, or submit.upload."
    )


def test_records_that_are_refused_leave_no_gap_in_what_is_sent() -> None:
    up = upload(fields={"n": "id"}, types={"n": "integer"}, wrap={"no": "{{ number }}", "r": "{{ record }}"})
    rows = [{"id": 1}, {"id": "x"}, {"id": 3}]
    assert json.loads(bodies(up, rows)[0]) == [{"no": 1, "r": {"n": 1}}, {"no": 2, "r": {"n": 3}}]
    assert plan(up, rows).rejected == 1
