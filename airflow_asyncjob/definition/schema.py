"""Schema: the JSON Schema of a definition file, for editors and for other programs."""

from __future__ import annotations

from typing import Any

from airflow_asyncjob.definition.models.job import JobModel

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a definition file.

    It accepts the short forms of a file: text for an extractor, ``90s`` for a duration, a word for a list of
    one. What it cannot say (names in templates, one body in a request, values that fit together),
    ``AsyncJob.load`` checks.
    """
    schema = _without_titles(JobModel.model_json_schema(by_alias=True, mode="validation"))
    del schema["description"]
    for section in ("cancel", "delete"):
        schema["properties"][section]["anyOf"][0]["required"] = ["method"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:airflow-asyncjob:definition:1",
        "title": "airflow_asyncjob definition",
        "description": "How to talk to one kind of asynchronous job: a definition file, version 1.",
        **schema,
        "required": ["submit", "status"],
    }


def _without_titles(schema: Any) -> Any:
    """Drop the titles that pydantic makes of names: an editor shows the description."""
    if isinstance(schema, dict):
        return {
            key: _without_titles(value)
            for key, value in schema.items()
            if not (key == "title" and isinstance(value, str))
        }
    return [_without_titles(item) for item in schema] if isinstance(schema, list) else schema
