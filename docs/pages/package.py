"""The schema for editors."""

from __future__ import annotations

import json

__all__ = ["schema_copy"]


def schema_copy() -> str:
    """What `asyncjob schema` prints."""
    from airflow_asyncjob.definition.schema import json_schema

    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
