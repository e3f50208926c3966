"""Inputs of one job: defaults, required ones, types, and times as they are sent."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.inputs import resolve_inputs
from airflow_asyncjob.errors import DefinitionError, InputError

STATUS = {"request": {}, "path": "s", "values": {"done": "d"}}


def job(**inputs: Any) -> AsyncJob:
    return AsyncJob.load({"inputs": inputs, "submit": {"request": {}, "id": "id"}, "status": STATUS})


def refused(definition: AsyncJob, given: Any, **options: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        resolve_inputs(definition, given, **options)
    return str(caught.value).splitlines()


def test_defaults_fill_what_is_not_given() -> None:
    declared = job(
        a={},
        b={"default": "x"},
        c={"type": "list", "default": []},
        d={"required": False},
        e={"default": None},
    )
    assert resolve_inputs(declared, {"a": "1"}) == {"a": "1", "b": "x", "c": [], "d": None, "e": None}


def test_a_default_is_never_shared() -> None:
    declared = job(c={"type": "list", "default": [[1]]})
    resolve_inputs(declared, None)["c"][0].append(2)
    assert resolve_inputs(declared, {}) == {"c": [[1]]}


def test_several_mistakes_are_shown_at_once() -> None:
    declared = job(
        day={"type": "datetime", "description": "First day of the export."},
        n={"type": "integer", "default": 1},
    )
    assert refused(declared, {"n": "1", "dai": "2026-01-01"}) == [
        "inputs.dai: unknown input; did you mean 'day'? Valid: day, n",
        "inputs.day: required, and not given; it is of type datetime: First day of the export.",
        "inputs.n: '1' is text, not a whole number (type integer)",
    ]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", "x"),
        ("string", ""),
        ("integer", 0),
        ("integer", -(10**30)),
        ("number", 1),
        ("number", 1.5),
        ("boolean", False),
        ("list", [1, None, {"a": []}]),
        ("object", {}),
        ("object", {"a": {"b": [1]}}),
        ("records", []),
        ("records", [{"a": 1}, {}]),
        ("records", "s3://lake/contacts.csv"),
        ("records", {"source": "/data/contacts.csv", "first": 1, "records": 5}),
    ],
)
def test_values_of_the_declared_type_are_taken_as_they_are(kind: str, value: Any) -> None:
    resolved = resolve_inputs(job(x={"type": kind}), {"x": value})["x"]
    assert resolved == value
    assert type(resolved) is type(value)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("string", 1, "1 is a number, not text (type string)"),
        ("string", None, "null is not text (type string)"),
        ("string", b"x", "is a Python bytes, not text"),
        ("integer", True, "true is a boolean, not a whole number"),
        ("integer", 1.0, "1.0 is a number, not a whole number"),
        ("integer", "1", "'1' is text, not a whole number"),
        ("number", True, "true is a boolean, not a number"),
        ("number", "1.5", "'1.5' is text, not a number"),
        ("number", float("nan"), "nan is not a number that JSON can hold"),
        ("number", float("inf"), "inf is not a number that JSON can hold"),
        ("boolean", 1, "1 is a number, not true or false"),
        ("boolean", "true", "'true' is text, not true or false"),
        ("list", "a", "'a' is text, not a list"),
        ("list", {"a": 1}, "is a mapping, not a list"),
        ("list", [object()], "a Python object is not a value that JSON can hold"),
        ("list", [{1: 2}], "the key 1 is not text; write it in quotes"),
        ("object", [1], "is a list, not a mapping"),
        (
            "records",
            [{"a": 1}, 2],
            "is a list, not a list of mappings, the path or URI of a file, or a piece",
        ),
        ("records", {"first": 1}, "is a mapping, not a list of mappings, the path or URI of a file"),
        ("records", " ", "' ' is text, not a list of mappings, the path or URI of a file"),
        ("records", [{"a": float("nan")}], "nan is not a number that JSON can hold"),
        (
            "datetime",
            "yesterday",
            "'yesterday' is not a time in ISO 8601 (type datetime), such as 2026-01-31",
        ),
        ("datetime", 1700000000, "1700000000 is a number, not a time in ISO 8601"),
        ("datetime", True, "not a time in ISO 8601"),
    ],
)
def test_nothing_is_turned_into_another_type(kind: str, value: Any, message: str) -> None:
    (line,) = refused(job(x={"type": kind}), {"x": value})
    assert line.startswith("inputs.x: ")
    assert message in line


BERLIN = datetime.timezone(datetime.timedelta(hours=1))


@pytest.mark.parametrize(
    ("value", "format", "sent"),
    [
        ("2026-01-31", None, "2026-01-31T00:00:00+00:00"),
        ("2026-01-31T12:00:00Z", "iso", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31 12:00", None, "2026-01-31T12:00:00+00:00"),
        ("2026-01-31T12:00:00+01:00", None, "2026-01-31T12:00:00+01:00"),
        (datetime.date(2026, 1, 31), None, "2026-01-31T00:00:00+00:00"),
        (datetime.datetime(2026, 1, 31, 12, tzinfo=BERLIN), None, "2026-01-31T12:00:00+01:00"),
        (datetime.datetime(2026, 1, 31, 12), "unix", 1769860800),  # noqa: DTZ001 - without a zone it is UTC
        ("2026-01-31T12:00:00+01:00", "unix", 1769857200),
        ("2026-01-31T12:00:00.5Z", "unix_ms", 1769860800500),
        ("2026-01-31T12:00:00Z", "%d.%m.%Y", "31.01.2026"),
    ],
)
def test_times_are_sent_as_their_format_says(value: Any, format: str | None, sent: object) -> None:
    declared = job(x={"type": "datetime"} | ({"format": format} if format else {}))
    assert resolve_inputs(declared, {"x": value}) == {"x": sent}


def test_a_default_time_is_formatted_too() -> None:
    assert resolve_inputs(job(x={"type": "datetime", "format": "unix", "default": "1970-01-02"}), {}) == {
        "x": 86400
    }


def test_null_is_taken_where_it_is_the_default() -> None:
    declared = job(a={"type": "integer", "default": None}, b={"type": "integer", "default": 1})
    assert resolve_inputs(declared, {"a": None})["a"] is None
    assert refused(declared, {"b": None}) == ["inputs.b: null is not a whole number (type integer)"]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", "1", "1"),
        ("string", "null", "null"),
        ("integer", "42", 42),
        ("integer", "-1", -1),
        ("number", "1.5", 1.5),
        ("number", "2", 2),
        ("boolean", "true", True),
        ("list", '["a", 1]', ["a", 1]),
        ("object", '{"a": [1]}', {"a": [1]}),
        ("datetime", "2026-01-31", "2026-01-31T00:00:00+00:00"),
        ("records", "contacts.csv", "contacts.csv"),
        ("records", '[{"a": 1}]', [{"a": 1}]),
        ("records", '{"source": "x.csv", "first": 1}', {"source": "x.csv", "first": 1}),
    ],
)
def test_text_of_a_command_line_is_read_as_the_declared_type(kind: str, text: str, value: Any) -> None:
    resolved = resolve_inputs(job(x={"type": kind}), {"x": text}, from_text=True)["x"]
    assert resolved == value
    assert type(resolved) is type(value)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("integer", "4.2", "4.2 is a number, not a whole number (type integer)"),
        ("integer", "x", "'x' is not a whole number (type integer); give it as 42"),
        ("integer", "", "'' is not a whole number (type integer); give it as 42"),
        ("integer", "true", "'true' is not a whole number (type integer); give it as 42"),
        ("number", "x", "'x' is not a number (type number); give it as 42 or 1.5"),
        ("number", "1,5", "'1,5' is not a number (type number); give it as 42 or 1.5"),
        ("number", "NaN", "'NaN' is not a number (type number); give it as 42 or 1.5"),
        ("boolean", "yes", "'yes' is not true or false (type boolean); give true or false"),
        ("boolean", "1", "1 is a number, not true or false"),
        ("list", "a,b", "'a,b' is not a list (type list); give it as JSON"),
        ("list", '{"a": 1}', "is a mapping, not a list"),
        ("records", '[{"a": 1]', "is not a list of mappings, the path or URI of a file, or a piece of one"),
        ("object", "[" * 100_000, "is not a mapping (type object); give it as JSON"),
    ],
)
def test_text_that_is_not_of_the_type_is_an_error(kind: str, text: str, message: str) -> None:
    (line,) = refused(job(x={"type": kind}), {"x": text}, from_text=True)
    assert message in line


def test_a_definition_made_of_arguments_takes_any_input() -> None:
    part = AsyncJob.load({"submit": {"request": {"url": "/{{ inputs.a }}"}, "id": "id"}}, partial=True)
    when = datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)
    assert resolve_inputs(part, {"a": 1, "b": (when,)}) == {"a": 1, "b": ["2026-01-31T00:00:00+00:00"]}
    assert resolve_inputs(part, None) == {}
    (line,) = refused(part, {"a": object()})
    assert line.startswith(
        "inputs.a: a Python object is not a value that JSON can hold, which are text, numbers"
    )


def test_a_whole_definition_without_inputs_takes_none() -> None:
    whole = AsyncJob.load({"submit": {"request": {}, "id": "id"}, "status": STATUS})
    assert refused(whole, {"a": 1}) == ["inputs.a: unknown input; Valid: none"]


def test_a_wrong_input_is_a_mistake_of_the_definition_and_is_not_retried() -> None:
    with pytest.raises(DefinitionError) as caught:
        resolve_inputs(job(a={}), {})
    assert not caught.value.retryable
