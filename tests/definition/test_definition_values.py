"""Single values of a definition: raw statuses with their types, durations, plain values."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
from pydantic import ValidationError

from airflow_asyncjob.definition.models.base import parse_bytes, parse_duration
from airflow_asyncjob.definition.models.extractor import Extractor
from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.definition.models.status import StatusValues
from airflow_asyncjob.definition.models.submit import Submit
from airflow_asyncjob.definition.problems import path_text, shown
from airflow_asyncjob.definition.values import plain


def test_a_raw_status_is_compared_by_type_and_case() -> None:
    values = StatusValues.model_validate(
        {
            "running": [1],
            "done": [True],
            "failed": ["1"],
            "partial": [1.0],
            "no_data": [None],
            "cancelled": ["Done", 0],
        }
    )
    assert [values.state_of(raw) for raw in (1, True, "1", 1.0, None, "Done", 0)] == [
        "running",
        "done",
        "failed",
        "partial",
        "no_data",
        "cancelled",
        "cancelled",
    ]
    assert [values.state_of(raw) for raw in ("done", False, 0.0, "", "true", 2, [1], {"a": 1})] == [None] * 8


def test_the_types_survive_writing() -> None:
    given = {"running": [1, "1", True], "done": [1.0, None]}
    written = StatusValues.model_validate(given).model_dump(mode="json", exclude_unset=True)
    assert [type(value) for value in written["running"]] == [int, str, bool]
    assert [type(value) for value in written["done"]] == [float, type(None)]


@pytest.mark.parametrize(
    "twice", [{"done": [1, 1]}, {"done": [True], "failed": [True]}, {"running": "a", "done": ["a"]}]
)
def test_the_same_word_twice_is_a_mistake(twice: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="is mapped"):
        StatusValues.model_validate(twice)


def test_words_of_different_types_are_different() -> None:
    assert StatusValues.model_validate({"done": [1, True, "1", 1.0]}).state_of(1) == "done"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0.0),
        (30, 30.0),
        (0.25, 0.25),
        ("30", 30.0),
        (" 1.5 ", 1.5),
        ("0.5s", 0.5),
        ("90s", 90.0),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("1h30m", 5400.0),
        ("1.5 hours", 5400.0),
        ("2 days", 172800.0),
        ("1:30:00", 5400.0),
        (datetime.timedelta(minutes=5), 300.0),
    ],
)
def test_durations(written: Any, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    [
        "",
        "soon",
        "5 apples",
        "nan",
        "inf",
        float("inf"),
        float("nan"),
        True,
        None,
        [1],
        -1,
        "-1m",
        "11 years",
        1e12,
    ],
)
def test_what_is_no_duration(written: Any) -> None:
    with pytest.raises(ValueError, match=r"is not a duration|is negative|is longer than ten years"):
        parse_duration(written)


def test_plain_values_are_what_json_holds() -> None:
    when = datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)
    value = {"a": (1, 2.5, None), "b": [when, when.date()], "c": {"d": True}}
    assert plain(value) == {
        "a": [1, 2.5, None],
        "b": ["2026-01-31T00:00:00+00:00", "2026-01-31"],
        "c": {"d": True},
    }


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1: 2}, "the key 1 is not text; write it in quotes"),
        ({"a": {None: 2}}, "the key null is not text"),
        ({1, 2}, "a Python set is not a value that JSON can hold"),
        (b"x", "a Python bytes is not a value"),
        (float("nan"), "nan is not a number that JSON can hold"),
    ],
)
def test_what_json_cannot_hold(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plain(value)


def test_what_holds_itself_is_not_plain() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested more than 60 levels deep"):
        plain(endless)


def test_an_extractor_says_what_it_is() -> None:
    assert Extractor(path="a.b").describe() == "path 'a.b'"
    assert Extractor(header="Location", regex="x").describe() == "header 'Location' with regex 'x'"
    assert Extractor(code=True).describe() == "the HTTP status code"
    assert Extractor(expr="body.a").describe() == "expr 'body.a'"
    assert Extractor(template="{{ x }}").describe() == "template '{{ x }}'"


def test_the_default_method_of_a_submit_is_post_for_objects_too() -> None:
    assert Submit(request=Request(url="/x"), id=Extractor(path="id")).request.method == "POST"
    assert Submit(request=Request(url="/x", method="GET"), id=Extractor(path="id")).request.method == "GET"


def test_json_null_is_a_body() -> None:
    assert Request.model_validate({"json": None}).has_body("json")
    assert not Request.model_validate({}).has_body("json")
    assert not Request.model_validate({"form": None, "xml": None, "text": None}).has_body("form")


def test_messages_shorten_values_and_hide_credentials() -> None:
    assert shown("x" * 1000) == "'" + "x" * 76 + "..."
    assert shown("https://me:secret@host/x") == "'https://***@host/x'"
    assert [shown(value) for value in (None, True, 1, "a")] == ["null", "true", "1", "'a'"]


def test_paths_are_written_as_people_do() -> None:
    assert path_text(("status", "rules", 0, "when")) == "status.rules[0].when"
    assert path_text(()) == ""


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (1, 1),
        ("12 B", 12),
        ("32MB", 32_000_000),
        ("6 MiB", 6 * 2**20),
        ("1.5 kB", 1500),
        ("5 GB", 5_000_000_000),
        (" 2gib ", 2**31),
    ],
)
def test_a_size_is_bytes_or_text_with_a_unit(text: Any, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("5", "'5' is not a size; give bytes or text with a unit, such as 32000000"),
        ("MB", "'MB' is not a size"),
        ("5 TB", "'5 TB' is not a size"),
        (1.5, "1.5 is not a size"),
        (True, "true is not a size"),
        (0, "0 is not one byte or more"),
        ("0.5 B", "'0.5 B' is not one byte or more, as a whole number"),
    ],
)
def test_what_is_no_size_is_an_error(wrong: Any, message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        parse_bytes(wrong)
