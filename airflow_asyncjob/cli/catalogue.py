"""asyncjob list and asyncjob show: the definitions that can be used by name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from airflow_asyncjob.cli.about import (
    INPUT_COLUMNS,
    connection_of,
    input_rows,
    inputs_of,
    limits_of,
    rejects_of,
)
from airflow_asyncjob.cli.definitions import load_definition
from airflow_asyncjob.cli.outcome import ExitCode, print_json, tell
from airflow_asyncjob.cli.table import print_table
from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.catalogue import Entry, read_catalogue
from airflow_asyncjob.definition.loading import entry_of
from airflow_asyncjob.errors import DefinitionError

__all__ = ["list_definitions", "show_definition"]


def list_definitions(*, as_json: bool) -> int:
    """Show what the catalogue has; what is wrong in it goes to stderr.

    As JSON: ``{"definitions": [{"name", "description", "from", "file", "error"}], "warnings": [...]}``;
    ``error`` is null but for a definition that cannot be loaded.

    :return: exit code: 0.
    """
    catalogue = read_catalogue()
    rows = [_row(entry) for _, entry in sorted(catalogue.entries.items())]
    if as_json:
        print_json({"definitions": rows, "warnings": catalogue.warnings})
    else:
        shown = [(row["name"], row["description"] or "(cannot be loaded)", row["from"]) for row in rows]
        print_table(("name", "description", "from"), shown)
    for warning in [*catalogue.warnings, *(row["error"] for row in rows if row["error"])]:
        tell(f"warning: {warning}")
    return ExitCode.OK


def _row(entry: Entry) -> dict[str, Any]:
    row = {"name": entry.name, "description": "", "from": entry.origin, "file": str(entry.file)}
    try:
        return {**row, "description": AsyncJob.load(str(entry.file)).description, "error": None}
    except DefinitionError as problem:
        return {**row, "error": problem.message}


def show_definition(source: str, *, as_json: bool) -> int:
    """Show one definition: its file, and below it what to know before it is used.

    As JSON: ``{"name", "description", "from", "file", "connection", "auth", "inputs", "limits", "rejects",
    "text"}``.

    :param source: a name, or a path.
    :raises DefinitionError: there is no such definition, or it has mistakes.
    """
    job = load_definition(source)
    entry = entry_of(source)
    text = (entry.file if entry else Path(source)).read_text(encoding="utf-8")
    if as_json:
        print_json(
            {
                "name": job.name,
                "description": job.description,
                "from": entry.origin if entry else None,
                "file": str(entry.file) if entry else source,
                "connection": connection_of(text, job),
                "auth": job.auth.type if job.auth else None,
                "inputs": inputs_of(job),
                "limits": limits_of(job),
                "rejects": rejects_of(job),
                "text": text,
            }
        )
    else:
        sys.stdout.write(text.rstrip("\n") + "\n")
        _show_facts(job, text, entry)
    return ExitCode.OK


def _show_facts(job: AsyncJob, text: str, entry: Entry | None) -> None:
    """Write what the file says in several places, and where it lies."""
    place = f"\nfrom {entry.origin}: {entry.file}\n" if entry else ""
    sys.stdout.write(f"\n{job.name}: {job.description}\n{place}\nconnection: {connection_of(text, job)}\n\n")
    if job.inputs:
        print_table(INPUT_COLUMNS, input_rows(job))
        sys.stdout.write("\n")
    print_table(("limit or time", "is"), list(limits_of(job).items()))
    if rejects := rejects_of(job):
        sys.stdout.write("\n")
        print_table(("rejects", "is"), list(rejects.items()))
