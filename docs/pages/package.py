"""Packaged definitions, and the schema for editors."""

from __future__ import annotations

import json

from pages.docstrings import cell
from pages.markdown import NOTICE, table

__all__ = ["catalogue_page", "schema_copy"]


def catalogue_page() -> str:
    """The definitions that ship."""
    from importlib import resources

    from airflow_asyncjob.definition import AsyncJob
    from airflow_asyncjob.definition.catalogue import packaged_names

    parts = [
        NOTICE,
        '# Packaged definitions\n\nUse them by name: `async_job(job="sendgrid/contacts_export", ...)`, '
        "`asyncjob run sendgrid/contacts_export`. A copy of the file is the start of your own.\n",
    ]
    for name in packaged_names():
        job = AsyncJob.load(name)
        file = resources.files("airflow_asyncjob") / "catalogue" / f"{name}.yaml"
        comment = [line for line in file.read_text().splitlines() if line.startswith("#")]
        head = "\n".join(line.removeprefix("#").removeprefix(" ") for line in comment)
        parts.append(f"\n## {name}\n\n{job.description}\n\n```text\n{head}\n```\n\n")
        rows = [
            (
                f"`{key}`",
                each.type,
                "required" if each.is_required else f"`{each.default}`",
                cell(each.description),
            )
            for key, each in job.inputs.items()
        ]
        parts.append(table(("input", "type", "default", "meaning"), rows) if rows else "")
    return "".join(parts)


def schema_copy() -> str:
    """What `asyncjob schema` prints."""
    from airflow_asyncjob.definition.schema import json_schema

    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
