"""The JSON Schema of a definition file."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.schema import json_schema
from airflow_asyncjob.definition.yaml12 import read_yaml
from airflow_asyncjob.errors import DefinitionError
from tests.definition.valid import VALID

COPY = Path(__file__).parents[2] / "docs" / "schema" / "asyncjob.schema.json"
LEAST: dict[str, Any] = {
    "submit": {"request": {}, "id": "id"},
    "status": {"request": {}, "path": "s", "values": {"done": "d"}},
}


def test_the_copy_for_editors_is_current() -> None:
    assert json.loads(COPY.read_text()) == json_schema(), "write it anew: python docs/generate.py"


def test_it_is_a_schema_of_the_draft_that_it_names() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"].startswith("urn:")
    jsonschema.Draft202012Validator.check_schema(schema)


def test_every_field_has_a_description() -> None:
    schema = json_schema()
    models = {"": schema, **schema["$defs"]}
    lacking = {
        f"{model}.{name}"
        for model, body in models.items()
        for name, field in body["properties"].items()
        if "description" not in field and model != "StatusValues"  # the words of a state say it
    }
    assert lacking == set()


def right(data: dict[str, Any]) -> bool:
    return bool(jsonschema.Draft202012Validator(json_schema()).is_valid(data))


def with_(section: str, **fields: Any) -> dict[str, Any]:
    return {**LEAST, section: {**LEAST.get(section, {}), **fields}}


@pytest.mark.parametrize(
    "data",
    [
        LEAST,
        with_("submit", id={"header": "location", "regex": "(.)"}),
        with_("submit", capture={"a": "b", "c": {"code": True}}),
        with_("status", poll_wait="90s", timeout=60, longest_wait=None),
        with_("status", values={"done": ["a", 1, None, True], "failed": 2, "running": "r"}),
        with_("result", target="urls", format="csv", primary_key="id"),
        with_("result", target="urls", format="csv", primary_key=["id", "x"]),
        with_("submit", request={"json": None}),
        with_("submit", request={"xml": {"a": 1}}),
        with_("cancel", method="DELETE"),
        with_("cancel", method="Delete"),
        with_("submit", request={"method": "post"}),
    ],
)
def test_an_editor_accepts_the_short_forms(data: dict[str, Any]) -> None:
    assert right(data)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"submit": LEAST["submit"]},
        with_("submit", reqest={}),
        with_("submit", id=5),
        with_("status", unknown="ignore"),
        with_("status", timeout=[1]),
        with_("status", values={"finished": "x"}),
        with_("status", values={"done": {"a": 1}}),
        with_("cancel", url="/x"),
        with_("submit", request={"method": "fetch"}),
        with_("submit", request={"json_body": 1}),
        with_("status", from_="submit"),
        {**LEAST, "version": 2},
    ],
)
def test_an_editor_marks_mistakes(data: dict[str, Any]) -> None:
    assert not right(data)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of everything in a definition."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def instead(data: dict[str, Any], path: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    """Yield the definition with another value at a path, one that the loader might take as well."""
    text = json.dumps(data)
    *parents, last = path
    old = functools.reduce(lambda holder, key: holder[key], path, data)
    for new in (None, True, 1, "x", [], {}, [old], str(old).lower(), str(old).upper()):
        changed = json.loads(text)
        functools.reduce(lambda holder, key: holder[key], parents, changed)[last] = new
        yield changed


def loads(data: dict[str, Any]) -> bool:
    try:
        AsyncJob.load(data)
    except DefinitionError:
        return False
    return True


def test_an_editor_accepts_whatever_the_loader_accepts() -> None:
    editor = jsonschema.Draft202012Validator(json_schema())
    tried = [
        changed
        for name in ("everything about a job", "every method", "captures", "all waits", "a session")
        for data in [json.loads(json.dumps(read_yaml(VALID[name].encode(), "x").data))]
        for path in places(data)
        for changed in instead(data, path)
        if loads(changed)
    ]
    assert len(tried) > 250
    assert [changed for changed in tried if not editor.is_valid(changed)] == []
