"""The definitions that ship: an index, and a page for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from airflow_asyncjob.cli.about import (
    INPUT_COLUMNS,
    connection_of,
    header_of,
    input_rows,
    limits_of,
    rejects_of,
)
from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.catalogue import find_entry, packaged_names
from airflow_asyncjob.testing.demo_jobs import DEMOS
from airflow_asyncjob.testing.server import KINDS
from pages.docstrings import cell
from pages.markdown import NOTICE, table

__all__ = ["CATALOGUE_PAGES"]

ROOT = Path(__file__).parents[2]
_USES = re.compile(r'job="([^"]+)"')


def _page_name(name: str) -> str:
    return f"{name.replace('/', '-')}.md"


def _index() -> str:
    rows = [
        (
            f"[{name}](catalogue/{_page_name(name)})",
            cell(AsyncJob.load(name).description),
            ", ".join(f"`{dag}`" for dag in _dags_of(name)),
        )
        for name in packaged_names()
    ]
    return "".join(
        [
            NOTICE,
            "# Packaged definitions\n\n"
            'Use them by name: `async_job(job="sendgrid/contacts_export", ...)`, '
            "`asyncjob run sendgrid/contacts_export`. `asyncjob show sendgrid/contacts_export` prints what "
            "its page says. A copy is the start of your own: `asyncjob new shop/contacts --from "
            "sendgrid/contacts_export`. Other packages add theirs: "
            "[Publish a definition](../how-to/publish-definitions.md).\n\n",
            table(("name", "what it does", "example DAG"), rows),
        ]
    )


def _entry(name: str) -> str:
    job, text = AsyncJob.load(name), find_entry(name).file.read_text(encoding="utf-8")
    parts = [
        NOTICE,
        f"# {name}\n\n{job.description}\n\n```text\n{header_of(text)}\n```\n\n",
        f"The file: [{name}.yaml](../../../airflow_asyncjob/catalogue/{name}.yaml). All definitions: "
        "[Packaged definitions](../catalogue.md).\n",
        f"\n## Connection\n\n{_sentence(connection_of(text, job))}\n",
        f"\n{_auth(job)} More: [Connections](../../how-to/connections.md).\n",
        "\n## Inputs\n\n",
    ]
    rows = [
        tuple(f"`{part}`" if n != 3 else cell(part) for n, part in enumerate(row)) for row in input_rows(job)
    ]
    parts.append(table(INPUT_COLUMNS, rows) if rows else "None.\n")
    limits = [(f"`{path}`", value) for path, value in limits_of(job).items()]
    parts += ["\n## Limits and times\n\n", table(("field", "is"), limits)]
    parts += ["\n## Result\n\n", _result(job), "\n## Rejects\n\n", _rejects(job)]
    parts += [_dag(dag) for dag in _dags_of(name)]
    if (kind := name.partition("/")[0]) in KINDS:
        parts.append(
            f'\n## For tests\n\n`FakeJobServer("{kind}")` behaves as this API does; '
            f"[its options](../testing.md#options-of-the-kind-{kind}), "
            "[how to use it](../../how-to/test-your-dag.md).\n"
        )
    return "".join(parts)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _auth(job: AsyncJob) -> str:
    if job.auth is None:
        return "The definition sets no kind of authentication: the connection does, or its login is basic."
    return f"Authentication: `{job.auth.type}`."


def _result(job: AsyncJob) -> str:
    if job.result is None:
        return "None: the job is waited for, and nothing is downloaded.\n"
    if not job.result.is_there:
        return "None of its own: the job takes records in, and what it refused is fetched.\n"
    key = job.result.primary_key or ()
    keyed = f", primary key {' and '.join(f'`{each}`' for each in key)}" if key else ""
    paged = ", in pages" if job.result.paginate is not None else ""
    return f"Comes as `{job.result.format}`{paged}{keyed}.\n"


def _rejects(job: AsyncJob) -> str:
    rows = [(f"`{path}`", f"`{cell(value)}`") for path, value in rejects_of(job).items()]
    if not rows:
        return "The definition asks for none.\n"
    more = "\nWhat is written, and where: [Rejected records](../../how-to/rejected-records.md).\n"
    return table(("field", "is"), rows) + more


def _dags_of(name: str) -> list[str]:
    files = sorted((ROOT / "dags").glob("*.py"))
    return [file.stem for file in files if name in _USES.findall(file.read_text())]


def _dag(dag: str) -> str:
    text = (ROOT / "dags" / f"{dag}.py").read_text()
    run = f"Run it here: `make demo DAG={dag}`.\n\n" if dag in DEMOS else ""
    return f"\n## The DAG {dag}\n\n{run}```python\n{text}```\n"


CATALOGUE_PAGES: Mapping[str, Callable[[], str]] = {
    "reference/catalogue.md": _index,
    **{f"reference/catalogue/{_page_name(name)}": partial(_entry, name) for name in packaged_names()},
}
"""Page below docs/: what makes it."""
