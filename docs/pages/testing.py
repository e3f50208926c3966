"""What the package has for tests."""

from __future__ import annotations

import dataclasses
import inspect
import re
from enum import Enum
from pathlib import Path
from typing import Any

from pages.docstrings import Docstring, cell, parse
from pages.markdown import NOTICE, table
from pages.operators import default_of

__all__ = ["how_to_page", "testing_page"]

_REGION = re.compile(r"(<!-- begin generated: (\w+) -->\n).*?(<!-- end generated -->)", re.DOTALL)


def how_to_page() -> str:
    """ "Test your DAG": written by hand, but for what it lists of the code."""
    from airflow_asyncjob.testing.faults import FAULT_KINDS
    from airflow_asyncjob.testing.ledger import PURPOSES

    purposes, kinds = (", ".join(f"`{one}`" for one in words) for words in (PURPOSES, FAULT_KINDS))
    made = {
        "kinds": _kinds(),
        "faults": f"Purposes: {purposes}, `any`. Kinds: an HTTP status code, {kinds}. What each of them "
        "does: [For tests](../reference/testing.md#add).\n",
    }
    page = (Path(__file__).parents[1] / "how-to" / "test-your-dag.md").read_text()
    return _REGION.sub(lambda match: f"{match[1]}\n{made[match[2]]}\n{match[3]}", page)


def _kinds() -> str:
    """Every kind, with what it plays, its options, and the definitions that it is for."""
    from airflow_asyncjob.definition.catalogue import packaged_names
    from airflow_asyncjob.testing.server import KINDS, api_of

    rows = []
    for kind in KINDS:
        options = api_of(kind).options_class
        plays = parse(options).summary.partition(": ")[2].removesuffix(".")
        names = ", ".join(f"`{field.name}`" for field in dataclasses.fields(options))
        link = f"[{kind}](../reference/testing.md#options-of-the-kind-{kind})"
        entries = ", ".join(
            f"[{name}](../reference/catalogue/{name.replace('/', '-')}.md)"
            for name in packaged_names()
            if name.startswith(f"{kind}/")
        )
        rows.append((link, plays, names, entries))
    return table(("kind", "plays", "options", "for"), rows)


def testing_page() -> str:
    """What `airflow_asyncjob.testing` has."""
    from airflow_asyncjob.testing import FakeClock, FakeJobServer, Faults, Ledger
    from airflow_asyncjob.testing.airflow_api import AirflowApi
    from airflow_asyncjob.testing.generic import GenericApi, GenericOptions
    from airflow_asyncjob.testing.ledger import Entry
    from airflow_asyncjob.testing.local_airflow import LocalAirflow
    from airflow_asyncjob.testing.plan import Plan
    from airflow_asyncjob.testing.records import Records, Refused
    from airflow_asyncjob.testing.server import KINDS, api_of

    parts = [
        NOTICE,
        "# For tests\n\n`airflow_asyncjob.testing` and the pytest fixture `fake_job_server`. How to use "
        "them: [Test your DAG](../how-to/test-your-dag.md).\n",
        _class("FakeJobServer", FakeJobServer),
        _class("The kind generic", GenericApi),
        _class("Options of the kind generic", GenericOptions, defaults=True),
        _class("How a job of the kind generic goes", Plan, defaults=True),
        *(
            _class(f"Options of the kind {kind}", api_of(kind).options_class, defaults=True)
            for kind in KINDS
            if kind != "generic"
        ),
        _class("server.faults", Faults, ("add", "active", "clear")),
        _class(
            "server.ledger",
            Ledger,
            ("entries", "count", "accepted", "running", "job_ids", "running_ids"),
        ),
        _class("An entry of the ledger", Entry),
        _class("server.ledger.records", Records, ("accepted", "refused", "counts")),
        _class("A refused record", Refused),
        _class("FakeClock", FakeClock, ("time", "advance", "sleep")),
        _class("LocalAirflow", LocalAirflow, ("start", "kill", "kill_task", "worker_seconds", "task_log")),
        _class(
            "LocalAirflow's REST API",
            AirflowApi,
            (
                "set_connection",
                "trigger",
                "wait_for_run",
                "wait_for_state",
                "states",
                "clear",
                "mark_failed",
                "xcom",
            ),
        ),
    ]
    return "".join(parts)


def _class(title: str, item: Any, methods: tuple[str, ...] = (), *, defaults: bool = False) -> str:
    told = parse(item)
    parts = [f"\n## {title}\n\n{told.summary}\n", f"\n{told.body}\n" if told.body else ""]
    parts.append(_params(told, item if defaults else None))
    for name in methods:
        method = parse(getattr(item, name))
        parts.append(
            f"\n### {name}\n\n```text\n{name}{_signature(getattr(item, name))}\n```\n\n{method.summary}\n"
        )
        parts.append(f"\n{method.body}\n" if method.body else "")
        parts.append(_params(method, None))
    return "".join(parts)


def _signature(method: Any) -> str:
    """Return the arguments without types, which the table says in words."""
    shown = []
    for param in list(inspect.signature(method).parameters.values())[1:]:
        star = "*" if param.kind is param.VAR_POSITIONAL else ""
        default = param.default.name if isinstance(param.default, Enum) else repr(param.default)
        if param.kind is param.KEYWORD_ONLY and not any(text.startswith("*") for text in shown):
            shown.append("*")
        shown.append(star + param.name + ("" if param.default is param.empty else f"={default}"))
    return f"({', '.join(shown)})"


def _params(told: Docstring, item: Any) -> str:
    if not told.params:
        return ""
    if item is None:
        return "\n" + table(("argument", "meaning"), [(f"`{n}`", cell(m)) for n, m in told.params.items()])
    shown = inspect.signature(item).parameters
    rows = [(f"`{n}`", default_of(shown[n]), cell(m)) for n, m in told.params.items()]
    return "\n" + table(("argument", "default", "meaning"), rows)
